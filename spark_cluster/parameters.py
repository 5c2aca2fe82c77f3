"""SSM parameters whose values only nodes know: Terraform owns them, the master fills them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf import TerraformResource, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter
from constructs import Construct

from spark_cluster import checks, plan_checks
from spark_cluster.identity import Allow
from spark_cluster.location import Location

PLACEHOLDER = "unset"
"""What Terraform puts into a parameter that the master fills; nodes know it."""


@dataclass(frozen=True)
class ParameterAddress:
    """A parameter as a node sees it.

    Attributes:
        name: its full name.
        arn: its ARN.
        location: its region.
        kms_key_arn: the key of a SecureString. `None`: the account's `aws/ssm` key.
        ready: the resources that must be there before a node uses it; empty if the caller's stack owns it.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    name: str
    arn: str
    location: Location
    kms_key_arn: str | None = None
    ready: Sequence[TerraformResource] = ()

    def __post_init__(self) -> None:
        """Hold what a fleet key of the caller's own may say to what a node can use."""
        checks.parameter_name("parameter.name", self.name)
        checks.parameter_arn("parameter.arn", self.arn)
        checks.instance("parameter.location", self.location, Location, "the location of the FleetKeyPlace")
        checks.key_arn("parameter.kms_key_arn", self.kms_key_arn)
        is_list = isinstance(self.ready, Sequence) and not isinstance(self.ready, str)
        if not is_list or not all(isinstance(one, TerraformResource) for one in self.ready):
            raise checks.fail("parameter.ready", "be a list of resources", self.ready)

    def allow_read(self) -> list[Allow]:
        """Statements that allow reading the value."""
        return [Allow(("ssm:GetParameter",), (self.arn,)), *self._use_key("kms:Decrypt")]

    def allow_fill(self) -> list[Allow]:
        """Statements that allow reading and writing the value."""
        actions = ("ssm:GetParameter", "ssm:PutParameter")
        return [Allow(actions, (self.arn,)), *self._use_key("kms:Decrypt", "kms:Encrypt")]

    def _use_key(self, *actions: str) -> list[Allow]:
        if self.kms_key_arn is None:
            return []
        # https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
        conditions = {
            "StringEquals": {
                "kms:ViaService": [self.location.endpoint("ssm")],
                "kms:EncryptionContext:PARAMETER_ARN": [self.arn],
            }
        }
        return [Allow(actions, (self.kms_key_arn,), conditions)]


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
        location: Location,
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
            location: where it is made.
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
            self.parameter.name, self.parameter.arn, location, kms_key_arn=key, ready=[self.parameter]
        )


def parameter_name(cluster_name: str, what: str) -> str:
    """The full name of one of a cluster's parameters."""
    return f"/spark-cluster/{cluster_name}/{what}"


def spark_secret_parameter_name(cluster_name: str) -> str:
    """The name of a cluster's parameter for Spark's secret."""
    return parameter_name(cluster_name, "spark-secret")
