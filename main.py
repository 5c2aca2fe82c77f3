"""The smallest real app: one Spark cluster in the account's default VPC, with the settings of `cdktf.json`'s context.

`cdktf synth` needs no account; `cdktf deploy` makes the cluster in a zone that offers all its instance types.
"""

from __future__ import annotations

from spark_cluster.lazy_provider import import_lazily

import_lazily()  # Before anything else imports the provider: a tenth of the time.

# ruff: noqa: E402
import difflib
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdktf import (
    Annotations,
    App,
    DataResource,
    Fn,
    Op,
    Postcondition,
    Precondition,
    S3Backend,
    TerraformOutput,
    TerraformResourceLifecycle,
    TerraformSelf,
    TerraformStack,
)
from cdktf_cdktf_provider_aws.data_aws_ec2_instance_type_offerings import (
    DataAwsEc2InstanceTypeOfferings,
    DataAwsEc2InstanceTypeOfferingsFilter,
)
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpcs import DataAwsVpcs, DataAwsVpcsFilter
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, SparkConnect, Workers, checks, s3a

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DEFAULTS: dict[str, Any] = {
    "name": "demo",
    "region": "us-east-1",
    "profile": None,
    "spark_version": "4.3.0",
    "s3a": True,
    "spark_connect": False,
    "metrics": False,
    "state_bucket": None,
    "master_instance_type": "m6i.large",
    "worker_instance_types": ["m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge"],
    "min_size": 2,
    "max_size": 4,
    "desired_size": None,
    "force_destroy": True,
}
"""What the context of `cdktf.json` does not set."""

# fmt: off
REGIONS = [
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-1",
    "eu-central-2", "eu-isoe-west-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
    "eusc-de-east-1", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1",
    "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-iso-west-1", "us-isob-east-1",
    "us-isob-west-1", "us-isof-east-1", "us-isof-south-1", "us-west-1", "us-west-2",
]
# fmt: on
"""Regions that a mistyped one is compared with. A newer one of their form is taken; if there is none, the plan says so.

https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
"""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)*-(central|(north|south)(east|west)?|east|west)-[0-9]{1,2}")
# fmt: off
_CDKTF_KEYS = [
    "app", "codeMakerOutput", "context", "language", "output", "projectId", "sendCrashReports", "terraformModules",
    "terraformProviders", "watchPattern",
]
# fmt: on
"""Of `cdktf.json`: https://developer.hashicorp.com/terraform/cdktf/create-and-deploy/configuration-file."""
_EXAMPLE = {"context": {"name": "nightly"}}
_FORMER_STATE = Path("terraform.spark-cluster.tfstate")


class SparkStack(TerraformStack):
    """One cluster, and the commands that its user wants first."""

    def __init__(self, app: App) -> None:
        settings = settings_of(app.node.get_all_context())
        region = settings["region"]
        # The id names the file of the local state: another name or region must not find the state of this one, and
        # destroy the cluster in it.
        super().__init__(app, f"spark-cluster-{settings['name']}-{region}")
        if region not in REGIONS:
            message = f"{_argument('region')} {region} is none that this app knows{_nearest(region, REGIONS)}"
            Annotations.of(self).add_warning(message)
        AwsProvider(self, "aws", region=region, profile=settings["profile"])
        if settings["state_bucket"]:
            key = f"spark-cluster/{settings['name']}.tfstate"
            bucket, profile = settings["state_bucket"], settings["profile"]
            backend = S3Backend(self, bucket=bucket, key=key, region=region, profile=profile, encrypt=True)
            # Terraform has it since 1.10, cdktf has no argument for it.
            backend.add_override("use_lockfile", value=True)
        else:
            _refuse_former_state()
        workers = settings["worker_instance_types"]
        vpc_id = self._default_vpc()
        cluster = SparkCluster(
            self,
            "spark",
            name=settings["name"],
            vpc_id=vpc_id,
            subnet_ids=[self._subnet(vpc_id, [settings["master_instance_type"], *workers])],
            master=Master(instance_type=settings["master_instance_type"]),
            workers=Workers(
                instance_types=workers,
                min_size=settings["min_size"],
                max_size=settings["max_size"],
                desired_size=settings["desired_size"],
            ),
            spark_version=settings["spark_version"],
            s3a=None if settings["s3a"] else s3a.Off(),
            spark_connect=SparkConnect() if settings["spark_connect"] else None,
            force_destroy=settings["force_destroy"],
            metrics=settings["metrics"],
        )
        self._outputs(cluster, settings)

    def _default_vpc(self) -> str:
        one = Postcondition(
            condition="${length(self.ids) == 1}",
            error_message="the region has no default VPC: `aws ec2 create-default-vpc` makes one",
        )
        ids = DataAwsVpcs(
            self,
            "default_vpc",
            filter=[DataAwsVpcsFilter(name="is-default", values=["true"])],
            lifecycle=TerraformResourceLifecycle(postcondition=[one]),
        ).ids
        return str(Fn.element(ids, 0))

    def _subnet(self, vpc_id: str, instance_types: list[str]) -> str:
        """A default subnet in a zone that offers all types, as not every zone does; chosen once."""
        zones = [
            DataAwsEc2InstanceTypeOfferings(
                self,
                f"offers_{index}",
                location_type="availability-zone",
                filter=[DataAwsEc2InstanceTypeOfferingsFilter(name="instance-type", values=[instance_type])],
            ).locations
            for index, instance_type in enumerate(instance_types)
        ]
        # Local Zones are among them, which have no default subnet.
        common = Fn.setintersection(zones[0], zones[1:])
        listed = ", ".join(instance_types)
        zone = Precondition(
            condition=Op.gte(Fn.length_of(common), 1),
            error_message=f"no zone of the region offers all of {listed}: set worker_instance_types in cdktf.json",
        )
        subnet = Postcondition(
            condition="${length(self.ids) >= 1}",
            error_message=f"the default VPC has no default subnet in {Fn.join(', ', common)}, which offer "
            f"all of {listed}: `aws ec2 create-default-subnet --availability-zone ZONE` makes one",
        )
        ids = DataAwsSubnets(
            self,
            "subnets",
            filter=[
                DataAwsSubnetsFilter(name="vpc-id", values=[vpc_id]),
                DataAwsSubnetsFilter(name="default-for-az", values=["true"]),
                DataAwsSubnetsFilter(name="availability-zone", values=common),
            ],
            lifecycle=TerraformResourceLifecycle(precondition=[zone], postcondition=[subnet]),
        ).ids
        # AWS adds types to zones, and people add subnets: neither may move the master to another zone.
        stays = Postcondition(
            condition=Fn.contains(ids, TerraformSelf.get_string("output.id")),
            error_message=f"the cluster is in ${{self.output.id}}, in whose zone not all of {listed} are offered: set "
            "worker_instance_types in cdktf.json, or make a cluster of another name",
        )
        chosen = DataResource(
            self,
            "subnet",
            input={"id": Fn.element(Fn.sort(ids), 0)},
            lifecycle=TerraformResourceLifecycle(ignore_changes=["input"], postcondition=[stays]),
        )
        return str(chosen.get_string_attribute("output.id"))

    def _outputs(self, cluster: SparkCluster, settings: Mapping[str, Any]) -> None:
        commands, profile = cluster.commands, settings["profile"]
        of_connect = (
            {
                "connect_parameter": cluster.connect.token_parameter_name,
                "connect_command": commands.connect(profile),
                "connect_token_command": commands.connect_token(profile),
            }
            if settings["spark_connect"]
            else {}
        )
        for name, value in {
            "region": cluster.location.region,
            "master_url": cluster.master_url,
            "master_ui_url": cluster.master_ui_url,
            "master_instance_id": cluster.master_instance_id,
            "bucket_name": cluster.bucket_name,
            "group_name": cluster.group_name,
            "security_group_id": cluster.security_group_id,
            "shell_command": commands.shell(profile),
            "ui_command": commands.ui(profile),
            "submit_command": commands.submit(profile=profile),
            "status_command": commands.status(profile),
            "wait_command": commands.wait(profile),
            **of_connect,
        }.items():
            TerraformOutput(self, name, value=value, static_id=True)


def settings_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a context gives, and the defaults of the others.

    Raises:
        ValueError: a key is unknown, or a value is not of its kind; the message names it.
    """
    for key in context:
        if key not in DEFAULTS and not _is_of_cdktf(key):
            near = _nearest(key, DEFAULTS) or f", it may have {', '.join(DEFAULTS)}"
            raise ValueError(f"{_argument(key)} is unknown{near}")
    given = {key: context[key] for key in DEFAULTS if context.get(key) is not None}
    for key, value in given.items():
        _CHECKS[key](_argument(key), value)
    return DEFAULTS | given


def _argument(key: str) -> str:
    return f"cdktf.json's context: {key}"


def _is_of_cdktf(key: str) -> bool:
    """Whether cdktf, its command line or an older `cdktf init` may have put a key into the context."""
    return key.startswith(("cdktf", "@cdktf/")) or key in {"excludeStackIdFromLogicalIds", "allowSepCharsInLogicalIds"}


def _nearest(given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    found = difflib.get_close_matches(given.lower(), known, n=1, cutoff=cutoff)
    return f", did you mean {found[0]}?" if found else ""


def _text(argument: str, value: object) -> None:
    """Text that is meant as it stands: of a template Terraform would make something else, or nothing."""
    checks.line(argument, value)
    if re.search("[$%]{", str(value)):
        raise checks.fail(argument, "hold no ${ or %{, since nothing takes their place", value)
    if str(value).strip() != value:
        raise checks.fail(argument, "have no blank at either end", value)


def _region(argument: str, value: object) -> None:
    _text(argument, value)
    if not _REGION.fullmatch(str(value)):
        raise ValueError(f"{argument} must be a region such as us-east-1, got {value!r}{_nearest(str(value), REGIONS)}")


def _bucket(argument: str, value: object) -> None:
    _text(argument, value)
    if not checks.is_bucket(str(value)):
        rule = (
            "3 to 63 lower-case letters, digits, hyphens and single dots, with a letter or digit at either end, but no "
            "IP address and nothing that S3 keeps for itself"
        )
        raise checks.fail(argument, f"be the name of a bucket, {rule}", value)


def _type(argument: str, value: object) -> None:
    _text(argument, value)
    checks.instance_type(argument, value)


def _types(argument: str, value: object) -> None:
    if not isinstance(value, list):
        raise checks.fail(argument, "be a list such as ['m6i.xlarge']", value)
    for index, one in enumerate(value):
        _type(f"{argument}[{index}]", one)


def _size(argument: str, value: object) -> None:
    checks.whole(argument, value, 0)


_CHECKS = {
    "name": checks.name,
    "region": _region,
    "profile": _text,
    "spark_version": _text,
    "s3a": checks.literal_flag,
    "spark_connect": checks.literal_flag,
    "metrics": checks.literal_flag,
    "state_bucket": _bucket,
    "master_instance_type": _type,
    "worker_instance_types": _types,
    "min_size": _size,
    "max_size": _size,
    "desired_size": _size,
    "force_destroy": checks.flag,
}
"""What each setting must be before the construct sees it, which has more rules for most."""


def _refuse_former_state() -> None:
    """Until 0.1.0 one file had the state of whatever cluster: not to be left behind with a cluster in it."""
    file = _FORMER_STATE
    if not file.exists():
        return
    remedy = (
        f"if it keeps a cluster of an earlier version, it, or a good copy such as {file}.backup, must be renamed to "
        f"{_new_state()}, else it must be moved away"
    )
    try:
        state = _json(str(file), lambda: file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{error}: {remedy}") from error
    match state:
        case {"resources": []}:
            return
        case {"resources": [*_], "outputs": {"group_name": {"value": str(group)}, "region": {"value": str(region)}}}:
            now = _new_state(group.removesuffix("-spark-workers"), region)
        case {"resources": [*_]}:
            now = _new_state()
        case None:
            raise ValueError(f"{file} is empty: {remedy}")
        case {"encrypted_data": _}:
            raise ValueError(f"{file} is encrypted: {remedy}")
        case _:
            raise ValueError(f"{file} must be a state of version 4, with its resources: {remedy}")
    raise ValueError(f"{file} keeps the cluster of an earlier version: it must be renamed to {now}")


def _new_state(name: str = "NAME", region: str = "REGION") -> str:
    return f"terraform.spark-cluster-{name}-{region}.tfstate"


def context_of(file: Path) -> dict[str, Any]:
    """The context of a `cdktf.json`, as the command line hands it to an app.

    Raises:
        ValueError: the file is not there or no JSON, its context is no object, a setting stands outside of it, where
            nothing reads it, or a key is almost one that cdktf or this app reads; others cdktf ignores.
    """
    if not file.exists():
        raise ValueError(f"there is no {file.name} in {file.absolute().parent}: call main.py where it is")
    document = _object(file.name, _json(file.name, lambda: file.read_text(encoding="utf-8")), _EXAMPLE)
    if misplaced := sorted(DEFAULTS.keys() & document.keys()):
        raise ValueError(f"{file.name}: {', '.join(misplaced)} must stand in its context")
    for key in document:
        near = _nearest(key, [*_CDKTF_KEYS, *DEFAULTS], cutoff=0.8)
        # A mark before its name makes a key that is kept as a comment.
        if near and key not in _CDKTF_KEYS and key[0].isalpha():
            raise ValueError(f"{file.name}: {key} is unknown{near}")
    context = document.get("context")
    return {} if context is None else _object(f"{file.name}'s context", context, _EXAMPLE["context"])


def _object(what: str, value: object, example: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise checks.fail(what, f"be an object such as {json.dumps(example)}", value)
    return value


def _json(what: str, read: Callable[[], str]) -> object:
    """What a JSON text says, which is nothing if it is empty."""
    try:
        return json.loads(read() or "null", object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except OSError as error:
        raise ValueError(f"{what} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{what} must be JSON in UTF-8: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are different: of two alike the first would be lost."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{key} is in it twice")
    return dict(pairs)


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"{number} is no number of JSON's")
    return float(number)


def build(app: App) -> SparkStack:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    return SparkStack(app)


def main() -> None:
    """Write the stack, or end with what is wrong with a setting."""
    try:
        context = context_of(Path("cdktf.json"))
        # The command line hands it on, and App reads that by itself; what is wrong with it Node would say, at length.
        if handed := os.environ.get("CDKTF_CONTEXT_JSON"):
            context = _object("CDKTF_CONTEXT_JSON", _json("CDKTF_CONTEXT_JSON", lambda: handed), _EXAMPLE["context"])
        app = App(context=context)
        build(app)
    except ValueError as error:
        sys.exit(f"main.py: {error}")
    app.synth()


if __name__ == "__main__":
    main()
