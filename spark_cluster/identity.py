"""Roles: what a node, or a caller's own program, may do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from cdktf import TerraformProvider, TerraformResource, TerraformResourceLifecycle, TerraformStack
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from spark_cluster import checks, limits, policies, references
from spark_cluster.location import Location

_POLICY_NAME = re.compile(r"[\w+=,.@-]{1,100}", re.ASCII)
"""As IAM has it, with room for Terraform's 26 characters behind a prefix: its limit is 128.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""

_taken: WeakKeyDictionary[TerraformStack, dict[str, int]] = WeakKeyDictionary()
"""How many characters the inline policies of each role have in a stack, whatever grants them, as far as is known."""


@dataclass(frozen=True)
class Allow:
    """One statement of a role's policy.

    Attributes:
        actions: such as `s3:GetObject`.
        resources: ARNs, which may be tokens or hold some. `*` only for actions to which AWS gives no resource type.
        conditions: values by condition key, by operator: `{"StringEquals": {"kms:ViaService": ["s3.…"]}}`. Default:
            none.

    Raises:
        ValueError: IAM would not take it; the message names what and the rule
            (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
    """

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold the statement to what IAM takes."""
        policies.actions("actions", self.actions)
        policies.resources("resources", self.resources)
        policies.conditions("conditions", self.conditions)

    def to_dict(self) -> dict[str, Any]:
        """The statement in the policy's own words."""
        statement: dict[str, Any] = {"Effect": "Allow", "Action": list(self.actions), "Resource": list(self.resources)}
        if self.conditions:
            statement["Condition"] = {
                operator: {key: list(values) for key, values in keys.items()}
                for operator, keys in self.conditions.items()
            }
        return statement


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
"""Session Manager's own actions. `ssmmessages` takes no resource. `ssm:UpdateInstanceInformation` could name instances
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html), but the agent asks
before its instance is managed, and AWS's own policies for this give it on `*` alone. `AmazonSSMManagedInstanceCore`
would add reading every parameter of the account. https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html"""


class CallerRole(Construct):
    """A role of the caller's own, known by its name, and the place of what it is granted: its stack."""

    def __init__(self, scope: Construct, id: str, *, role_name: str, provider: TerraformProvider | None = None) -> None:
        """Name the role.

        Args:
            scope: the construct above; the policies that the role is granted are in its stack.
            id: its id, part of the policies' addresses.
            role_name: the role's name (not its ARN); may be a token.
            provider: the AWS provider of its policies, one of this stack. Default: the one without an alias.

        Raises:
            ValueError: `role_name` is no role's name, or there is no place for such a construct in `scope`.
        """
        checks.place(scope, id)
        checks.role_name("role_name", role_name)
        checks.provider("provider", provider, scope=scope)
        super().__init__(scope, id)
        references.provide(self, provider)
        self.provider = provider
        self.role_name = role_name
        self._moved: set[str] = set()

    def allow(self, id: str, *statements: Allow) -> None:
        """Add an inline policy to the role.

        Raises:
            ValueError: there is no statement, or another one of that id.
        """
        check_policy_id(id)
        if id in self._moved:
            raise checks.fail("id", "be another than that of a grant of a cluster's, which it was once", id)
        add_policy(self, id, self.role_name, f"{id}-", statements)

    def move_former(self, id: str, policy: IamRolePolicy) -> None:
        """Have Terraform take `policy` for the one that was `id` before ids had the cluster in them.

        A role could have the grants of one cluster only, so it is the first one's.
        """
        if id not in self._moved and self.node.try_find_child(id) is None:
            self._moved.add(id)
            # It gets another name: the new one is made first, so that nothing is taken away in between. Terraform then
            # does the same with all that it refers to, so no other policy has this: not all may be there twice.
            policy.lifecycle = TerraformResourceLifecycle(create_before_destroy=True)
            policy.move_from_id(references.address_of_child(self, policy.terraform_resource_type, id))


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
        trust = [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]
        # Prefixes, because IAM names are global to the account: the same cluster may live in two regions.
        self.role = IamRole(
            self,
            "role",
            name_prefix=name_prefix,
            assume_role_policy=policies.document(trust),
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

        Raises:
            ValueError: there is no statement, or another one of that id.
        """
        policy = add_policy(self, id, self.role.name, None, statements)
        if policy is None:
            return
        self.policies.append(policy)
        for node in self._nodes:
            if not references.refers_to(policy, node):
                node.depends_on = [*(node.depends_on or []), references.address(policy)]

    def precede(self, node: TerraformResource) -> None:
        """Have `node`, which waits for `policies`, wait for what is granted from now on, too."""
        self._nodes.append(node)


def check_policy_id(id: object) -> None:
    """What the name of an inline policy may be made of."""
    if not isinstance(id, str) or not _POLICY_NAME.fullmatch(id):
        raise checks.fail("id", "be 1 to 100 letters, digits or any of +=,.@_-", id)
    checks.object_key("id", id)


def add_policy(
    scope: Construct,
    id: str,
    role_name: str,
    name_prefix: str | None,
    statements: Sequence[Allow],
    *,
    argument: str = "statements",
) -> IamRolePolicy | None:
    """An inline policy; `None` if it is there already.

    Args:
        scope: the construct above.
        id: of the policy among those of `scope`.
        role_name: whose policy it is.
        name_prefix: of its name, which no other policy of the role then has, wherever it is made. `None`: the id is
            the name.
        statements: what it says.
        argument: what a caller gave that a policy too many is blamed on.

    Raises:
        ValueError: there is no statement, or another policy of that id, or no room for it.
    """
    check_policy_id(id)
    if not statements or not all(isinstance(statement, Allow) for statement in statements):
        rule = "be one or more such as Allow(['sqs:ReceiveMessage'], [queue.arn])"
        raise checks.fail("statements", rule, list(statements))
    policy = policies.document([statement.to_dict() for statement in statements])
    there = scope.node.try_find_child(id)
    if there is None:
        _take_room(scope, role_name, policy, argument)
        if name_prefix is None:
            return IamRolePolicy(scope, id, name=id, role=role_name, policy=policy)
        return IamRolePolicy(scope, id, name_prefix=name_prefix, role=role_name, policy=policy)
    written = there.policy_input if isinstance(there, IamRolePolicy) else None
    if written is None or references.resolved(scope, written) != references.resolved(scope, policy):
        raise checks.fail("id", "be new: the role has another policy of that id", id)
    return None


def _take_room(scope: Construct, role_name: str, policy: str, argument: str) -> None:
    of_stack = _taken.setdefault(TerraformStack.of(scope), {})
    provider = getattr(scope, "provider", None)  # of another account, perhaps, with a role of that name
    role = f"{references.alias(provider)} {role_name}" if checks.is_known(role_name) else scope.node.path
    length = of_stack.get(role, 0) + policies.known_length(policy)
    if length > limits.ROLE_POLICY_CHARACTERS:
        rule = (
            f"keep the role's inline policies within IAM's {limits.ROLE_POLICY_CHARACTERS} characters in all "
            "(use wildcards, make some managed policies, or use another role)"
        )
        raise checks.fail(argument, rule, length)
    of_stack[role] = length
