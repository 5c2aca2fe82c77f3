"""SSM parameters whose values only nodes know: Terraform owns them, the master fills them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter
from constructs import Construct

from spark_cluster import plan_checks
from spark_cluster.identity import Allow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdktf import TerraformResource

    from spark_cluster.identity import Grantee

PLACEHOLDER = "unset"
"""What Terraform puts into a parameter that the master fills; nodes know it."""


@dataclass(frozen=True)
class ParameterAddress:
    """A parameter as a node sees it.

    Attributes:
        name: its full name.
        arn: its ARN.
        kms_key_arn: the key of a SecureString. `None`: the account's `aws/ssm` key.
        ready: the resources that must be there before a node uses it; empty if the caller's stack owns it.
    """

    name: str
    arn: str
    kms_key_arn: str | None = None
    ready: Sequence[TerraformResource] = ()

    def grant_read(self, id: str, grantee: Grantee) -> None:
        """Let a role read the value."""
        grantee.allow(id, Allow(("ssm:GetParameter",), (self.arn,)), *self._use_key("kms:Decrypt"))

    def grant_fill(self, id: str, grantee: Grantee) -> None:
        """Let a role read and write the value."""
        grantee.allow(
            id,
            Allow(("ssm:GetParameter", "ssm:PutParameter"), (self.arn,)),
            *self._use_key("kms:Decrypt", "kms:Encrypt"),
        )

    def _use_key(self, *actions: str) -> list[Allow]:
        return [Allow(actions, (self.kms_key_arn,))] if self.kms_key_arn is not None else []


class NodeParameter(Construct):
    """A parameter that Terraform makes empty and never writes again, because the master fills it.

    Attributes:
        parameter: the `aws_ssm_parameter`.
        address: its name, ARN and key.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        description: str,
        secret: bool,
        kms_key_arn: str | None,
        tags: Mapping[str, str],
    ) -> None:
        """Make the parameter with a placeholder.

        Args:
            scope: the construct above.
            id: its id.
            name: its full name.
            description: what it holds.
            secret: whether it is a SecureString. Its value is in no state: the placeholder is a write-only argument.
            kms_key_arn: the key of a SecureString. `None`: the account's `aws/ssm` key.
            tags: of the parameter.
        """
        super().__init__(scope, id)
        key = kms_key_arn if secret else None
        # All changes are ignored: one of anything but the tags would send the placeholder, or nothing, over the value.
        self.parameter = SsmParameter(
            self,
            "parameter",
            name=name,
            description=description,
            type="SecureString" if secret else "String",
            value_wo=PLACEHOLDER if secret else None,
            value_wo_version=1 if secret else None,
            insecure_value=None if secret else PLACEHOLDER,
            key_id=key,
            tags=dict(tags),
            lifecycle=TerraformResourceLifecycle(ignore_changes="all"),
        )
        plan_checks.require_key(self.parameter, "parameter_kms_key_arn", key)
        self.address = ParameterAddress(
            name=self.parameter.name, arn=self.parameter.arn, kms_key_arn=key, ready=[self.parameter]
        )
