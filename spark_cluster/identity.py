"""Roles: what a node, or a caller's own program, may do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from spark_cluster import checks, references

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdktf import TerraformResource

    from spark_cluster.location import Location

POLICY_VERSION = "2012-10-17"


@dataclass(frozen=True)
class Allow:
    """One statement of a role's policy.

    Attributes:
        actions: such as `s3:GetObject`.
        resources: ARNs. `*` only for actions to which AWS gives no resource type.
    """

    actions: Sequence[str]
    resources: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """The statement in the policy's own words."""
        return {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}


SESSION_MANAGER = Allow(
    (
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    ),
    ("*",),
)
"""Session Manager's own actions, which take no resource. `AmazonSSMManagedInstanceCore` would add reading every
parameter of the account. https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html"""


class Grantee(Protocol):
    """Who can be granted something: `NodeRole` and `CallerRole`."""

    def allow(self, id: str, *statements: Allow) -> None:
        """Let the role do what `statements` say, in a policy of its own called `id`."""


class CallerRole(Construct):
    """A role of the caller's own, to be granted something of the cluster's.

    Each grant adds an inline policy to the role. If one role gets grants of two clusters, make one `CallerRole` for
    each.
    """

    def __init__(self, scope: Construct, id: str, *, role_name: str) -> None:
        """Name the role.

        Args:
            scope: the construct above.
            id: its id; the policies' names begin with it.
            role_name: the role's name (not its ARN); may be a token.

        Raises:
            ValueError: `role_name` is no role's name, or there is no place for such a construct in `scope`.
        """
        checks.place(scope, id)
        checks.role_name("role_name", role_name)
        super().__init__(scope, id)
        self.role_name = role_name

    def allow(self, id: str, *statements: Allow) -> None:
        """Add an inline policy to the role."""
        _inline_policy(self, id, self.role_name, f"{self.node.id}-{id}", statements)


class NodeRole(Construct):
    """The role and instance profile of one kind of node.

    Attributes:
        role: the `aws_iam_role`.
        instance_profile: the `aws_iam_instance_profile`.
        policies: the inline policies granted so far: a node must not start before them.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name_prefix: str,
        location: Location,
        permissions_boundary_arn: str | None,
        tags: Mapping[str, str],
    ) -> None:
        """Make the role, which may use Session Manager and nothing else yet.

        Args:
            scope: the construct above.
            id: its id.
            name_prefix: beginning of the role's name; AWS allows 38 characters.
            location: for the partition's service names.
            permissions_boundary_arn: the boundary of the role. `None`: no boundary.
            tags: of role and profile.
        """
        super().__init__(scope, id)
        principal = {"Service": f"ec2.{location.dns_suffix}"}
        trust = {
            "Version": POLICY_VERSION,
            "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
        }
        # Prefixes, because IAM names are global to the account: the same cluster may live in two regions.
        self.role = IamRole(
            self,
            "role",
            name_prefix=name_prefix,
            assume_role_policy=json.dumps(trust),
            permissions_boundary=permissions_boundary_arn,
            tags=dict(tags),
        )
        self.instance_profile = IamInstanceProfile(
            self, "instance_profile", name_prefix=name_prefix, role=self.role.name, tags=dict(tags)
        )
        self.policies: list[IamRolePolicy] = []
        self._nodes: list[TerraformResource] = []
        self.allow("session_manager", SESSION_MANAGER)

    def allow(self, id: str, *statements: Allow) -> None:
        """Add an inline policy to the role.

        A node of the role waits for it, whenever it is granted, unless it refers to that node, or to something that
        waits for the node: then it comes after it, and what the node runs must wait for the permission itself.
        """
        policy = _inline_policy(self, id, self.role.name, id, statements)
        self.policies.append(policy)
        for node in self._nodes:
            if not references.refers_to(policy, node):
                node.depends_on = [*(node.depends_on or []), references.address(policy)]

    def precede(self, node: TerraformResource) -> None:
        """Have `node`, which waits for `policies`, wait for what is granted from now on, too."""
        self._nodes.append(node)


def _inline_policy(
    scope: Construct, id: str, role_name: str, policy_name: str, statements: Sequence[Allow]
) -> IamRolePolicy:
    document = {"Version": POLICY_VERSION, "Statement": [statement.to_dict() for statement in statements]}
    return IamRolePolicy(scope, id, name=policy_name, role=role_name, policy=json.dumps(document))
