"""What a cluster lets other roles do, whoever made them."""

from __future__ import annotations

import hashlib
from typing import TypeAlias, cast

from cdktf import TerraformProvider, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_iam_role import DataAwsIamRole
from cdktf_cdktf_provider_aws.iam_role import IamRole
from constructs import Construct

from spark_cluster import checks, references
from spark_cluster.identity import Allow, CallerRole, NodeRole, add_policy
from spark_cluster.network import SubmitRules
from spark_cluster.parameters import ParameterAddress

Grantee: TypeAlias = IamRole | DataAwsIamRole | CallerRole | NodeRole | str
"""A role: one of the app's, one that is looked up, one by its name, or a node's."""

_FORMER_IDS = ("read_data", "data", "spark_secret")
"""Of grants that there were before their ids had the cluster in them."""

_RULE = "be a role: an IamRole, a role's name, a CallerRole, or a cluster's master_role or worker_role"


class Grants:
    """What one cluster grants.

    A grant is made once, however often it is asked for. Its policy is in the role's own stack, where the role is one of
    the app; a role that is given by its name gets it in the cluster's. No two policies of a role have one name.
    """

    def __init__(self, cluster: Construct, *, name: str) -> None:
        """Begin with none.

        Args:
            cluster: what grants.
            name: the cluster's name, which begins the policies' names.
        """
        self._cluster = cluster
        self._name = name
        # Two clusters of one name may be in two regions, and grant to one role.
        self._path_digest = hashlib.sha256(cluster.node.path.encode()).hexdigest()[:8]

    def give(self, grantee: Grantee, id: str, *statements: Allow) -> None:
        """Let a role do what `statements` say.

        Args:
            grantee: the role.
            id: names the grant among the cluster's.
            statements: what it is let to do.

        Raises:
            ValueError: `grantee` is no role.
        """
        of_cluster = f"{self._name}_{id}_{self._path_digest}"
        if isinstance(grantee, NodeRole):
            own = grantee.node.scope is self._cluster
            grantee.allow(id if own else of_cluster, *statements)
            return
        scope, name = self._place_of(grantee)
        policy = add_policy(scope, of_cluster, name, f"{self._name}-spark-{id}-", statements, argument="grantee")
        if policy is None:
            return
        policy.provider = _provider_of(grantee)
        if isinstance(grantee, CallerRole) and id in _FORMER_IDS:
            grantee.move_former(id, policy)

    def give_submit(
        self, grantee: Grantee, secret: ParameterAddress, rules: SubmitRules, security_group_id: str
    ) -> None:
        """Let a role read the cluster's secret, and the hosts of its group in.

        Raises:
            ValueError: `grantee` is no role, or one of the cluster's own.
        """
        if isinstance(grantee, NodeRole) and grantee.node.scope is self._cluster:
            rule = "be a role outside the cluster, whose master may submit without, and whose workers submit nothing"
            raise checks.fail("grantee", rule, grantee)
        self.give(grantee, "spark_secret", *secret.allow_read())
        former_id = grantee.node.id if isinstance(grantee, CallerRole) else None
        # A group that is there already is in the cluster's region, and any role may be behind it: where its rules are
        # does not depend on which was first.
        scope = rules.scope if checks.is_known(security_group_id) else self._scope_of(rules, grantee)
        rules.open_to(security_group_id, scope=scope, former_id=former_id)

    def _place_of(self, grantee: IamRole | DataAwsIamRole | CallerRole | str) -> tuple[Construct, str]:
        """Where a role's policies are made, and its name."""
        if isinstance(grantee, CallerRole):
            return grantee, grantee.role_name
        if isinstance(grantee, (IamRole, DataAwsIamRole)):
            if grantee.count is not None or grantee.for_each is not None:
                example = "CallerRole(scope, id, role_name=f'${{{role.fqn}[0].name}}')"
                raise checks.fail("grantee", f"be one role, without count and for_each (name one: {example})", grantee)
            return grantee, str(grantee.name)
        if not isinstance(grantee, str):
            raise checks.fail("grantee", _RULE, grantee)
        if not checks.is_known(grantee) and grantee:
            rule = f"{_RULE} (a name that only Terraform knows goes into CallerRole(scope, id, role_name=…))"
            raise checks.fail("grantee", rule, grantee)
        checks.object_key("grantee", grantee)
        checks.role_name("grantee", grantee)
        # Names that differ in what addresses leave out have addresses of their own: cdktf's hash is of the whole name.
        return _child(_child(self._cluster, "grantees"), grantee), grantee

    def _scope_of(self, rules: SubmitRules, grantee: Grantee) -> Construct:
        """Where a role's rules are made: in its own stack, which may come after the cluster's."""
        own = TerraformStack.of(rules.scope)
        stack = own if isinstance(grantee, str) else TerraformStack.of(grantee)
        if stack.node.path == own.node.path:
            return rules.scope
        id = f"{self._name}_submit_{self._path_digest}"
        there = stack.node.try_find_child(id)
        if there is not None:
            return cast("Construct", there)
        made = Construct(stack, id)
        references.provide(made, _provider_of(grantee))
        return made


def _child(scope: Construct, id: str) -> Construct:
    return cast("Construct", scope.node.try_find_child(id) or Construct(scope, id))


def _provider_of(grantee: Grantee) -> TerraformProvider | None:
    """The provider that a role of the app names; what is in a `CallerRole` gets that one's by itself."""
    return grantee.provider if isinstance(grantee, (IamRole, DataAwsIamRole)) else None
