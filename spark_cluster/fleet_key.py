"""The SSH key with which the master reaches the workers, and the four answers to where its private half lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdktf import TerraformResource, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter as SsmParameterResource
from constructs import Construct

from spark_cluster import checks, plan_checks
from spark_cluster.identity import NodeRole
from spark_cluster.location import Location
from spark_cluster.parameters import NodeParameter, ParameterAddress, parameter_name

_DESCRIPTION = "Private half of the SSH key with which the Spark master reaches its workers"


@dataclass(frozen=True)
class FleetKeyPlace:
    """What an answer may need to say where the private half is: the cluster makes it.

    Attributes:
        scope: the construct in which it makes its resources.
        name: the name of the parameter that it may make.
        kms_key_arn: the key of that parameter. `None`: the account's `aws/ssm` key.
        location: region and account.
        master_role: who reads the private half.
        tags: of what it makes.
    """

    scope: Construct
    name: str
    kms_key_arn: str | None
    location: Location
    master_role: NodeRole
    tags: Mapping[str, str]


class FleetKey(Protocol):
    """Where the private half of the fleet key lives."""

    def private_parameter(self, place: FleetKeyPlace) -> ParameterAddress | None:
        """Make what is missing, let the master use it, and say where it is; `None`: there is no fleet key."""


@dataclass(frozen=True)
class Generated:
    """The master makes the key at its first boot, and keeps it in a SecureString that Terraform owns."""

    def private_parameter(self, place: FleetKeyPlace) -> ParameterAddress:
        """The SecureString, which the master may fill."""
        address = NodeParameter(
            place.scope,
            "private",
            name=place.name,
            description=_DESCRIPTION,
            secret=True,
            location=place.location,
            kms_key_arn=place.kms_key_arn,
            tags=place.tags,
        ).address
        place.master_role.allow("fleet_private_key", *address.allow_fill())
        return address


@dataclass(frozen=True)
class SsmParameter:
    """An existing SecureString of the caller's, which holds a private key in OpenSSH or PEM form.

    Attributes:
        name: the parameter's full name; may be a token.
        kms_key_arn: the key it is encrypted with. Default: the account's `aws/ssm` key.

    Raises:
        ValueError: the name is no parameter's, or the key is not given by its ARN.
    """

    name: str
    kms_key_arn: str | None = None

    def __post_init__(self) -> None:
        """Hold the name to that of a parameter, the key to its ARN."""
        checks.parameter_name("fleet_key.name", self.name)
        checks.key_arn("fleet_key.kms_key_arn", self.kms_key_arn)

    def private_parameter(self, place: FleetKeyPlace) -> ParameterAddress:
        """The caller's parameter, which the master may read."""
        arn = place.location.arn("ssm", f"parameter{self.name}")
        plan_checks.require_given(place.master_role.role, {"fleet_key.name": self.name})
        plan_checks.require_key(place.master_role.role, "fleet_key.kms_key_arn", self.kms_key_arn)
        address = ParameterAddress(self.name, arn, place.location, kms_key_arn=self.kms_key_arn)
        place.master_role.allow("fleet_private_key", *address.allow_read())
        return address


@dataclass(frozen=True)
class PrivateKey:
    """The caller's own private key, which passes through a write-only argument: no plan and no state holds it.

    Attributes:
        private_key: the key in OpenSSH or PEM form, as a token: a `TerraformVariable` with `sensitive` and
            `ephemeral`, say. A literal, or text beside the token, would stand in the synthesized JSON and is refused.
        version: raise it to have Terraform write a changed key.

    Raises:
        ValueError: the key is no token alone, or the version is below 1.
    """

    private_key: str
    version: checks.Whole = 1

    def __post_init__(self) -> None:
        """Refuse a literal without repeating it."""
        if checks.is_resolvable(self.private_key):
            rule = "be a token of a string (convert with cdktf's Token.as_string)"
            raise checks.fail("fleet_key.private_key", rule, self.private_key)
        if not isinstance(self.private_key, str) or not checks.is_token_alone(self.private_key):
            message = (
                "fleet_key.private_key must be a token alone, such as a sensitive and ephemeral variable's "
                "string_value: what of a key is literal would be readable in the synthesized JSON"
            )
            raise ValueError(message)
        checks.whole("fleet_key.version", self.version, 1)

    def private_parameter(self, place: FleetKeyPlace) -> ParameterAddress:
        """A SecureString with the key, which the master may read."""
        parameter = SsmParameterResource(
            place.scope,
            "private",
            # Not the name of a generated one, which may still be there while this one is made.
            name=f"{place.name}-given",
            description=_DESCRIPTION,
            type="SecureString",
            value_wo=self.private_key,
            value_wo_version=self.version,
            key_id=place.kms_key_arn,
            tags=dict(place.tags),
            # The key is given when it is written, and need not be later. Terraform's provider would write an empty one
            # with another description or KMS key, which AWS refuses; and since 6.x, after any change without the key,
            # read the parameter's value into the state.
            lifecycle=TerraformResourceLifecycle(ignore_changes=["description", "key_id", "tags", "tags_all"]),
        )
        plan_checks.require_key(parameter, "parameter_kms_key_arn", place.kms_key_arn)
        plan_checks.require_given(parameter, {"fleet_key.version": self.version})
        address = ParameterAddress(parameter.name, parameter.arn, place.location, place.kms_key_arn, [parameter])
        place.master_role.allow("fleet_private_key", *address.allow_read())
        return address


@dataclass(frozen=True)
class NoKey:
    """No fleet key: the master cannot log in to the workers. Spark itself never does."""

    def private_parameter(self, place: FleetKeyPlace) -> None:
        """Makes nothing: there is no such parameter."""


class ClusterFleetKey(Construct):
    """Both halves of the fleet key, as parameters.

    Attributes:
        private_name: name of the parameter with the private half; `None` if there is no fleet key.
        public_name: name of the parameter with the public half, which the master fills; `None` likewise.
        ready: the resources that must be there before a node uses them.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        fleet_key: FleetKey,
        name: str,
        kms_key_arn: str | None,
        location: Location,
        master_role: NodeRole,
        worker_role: NodeRole,
        tags: Mapping[str, str],
    ) -> None:
        """Make the parameters; only the master may read the private half, workers read the public one.

        Args:
            scope: the construct above.
            id: its id.
            fleet_key: where the private half lives.
            name: the cluster's name.
            kms_key_arn: the key of the SecureString. `None`: the account's `aws/ssm` key.
            location: region and account.
            master_role: reads the private half, fills the public one.
            worker_role: reads the public half.
            tags: of the parameters.
        """
        super().__init__(scope, id)
        place = FleetKeyPlace(self, parameter_name(name, "fleet-private-key"), kms_key_arn, location, master_role, tags)
        private = fleet_key.private_parameter(place)
        if private is not None:
            checks.instance(
                "fleet_key.private_parameter", private, ParameterAddress, "ParameterAddress(name, arn, place.location)"
            )
        self.private_name: str | None = None
        self.public_name: str | None = None
        self.ready: Sequence[TerraformResource] = []
        if private is None:
            return
        public = NodeParameter(
            self,
            "public",
            name=parameter_name(name, "fleet-public-key"),
            description="Public half of the SSH key with which the Spark master reaches its workers",
            secret=False,
            location=location,
            kms_key_arn=None,
            tags=tags,
        ).address
        master_role.allow("fleet_public_key", *public.allow_fill())
        worker_role.allow("fleet_public_key", *public.allow_read())
        self.private_name = private.name
        self.public_name = public.name
        self.ready = [*private.ready, *public.ready]
