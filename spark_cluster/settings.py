"""What a node is given: the contract between the constructs and the programs in `userdata/`.

One dataclass for each role makes `/etc/spark-cluster/settings.json`, the table in `docs/architecture.md` and what the
tests give a node. A node refuses a key that it does not know, and to go without one that it does
(`userdata/common/…/contract.py`; a test compares the two).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, get_args

from cdktf import Fn, Token

from spark_cluster import checks, limits

_ROLE = "`master` or `worker`"


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """What both kinds of node are given, each field with its meaning. No secret: user data is readable."""

    role: Annotated[str, _ROLE] = field(init=False)
    programs_key: Annotated[str, "the object in the bucket with the role's programs"] = ""
    programs_sha256: Annotated[str, "the SHA-256 of that object"] = ""
    region: Annotated[str, "the region, for every client of AWS"]
    bucket: Annotated[str, "the cluster's bucket"]
    group: Annotated[str, "name of the workers' Auto Scaling group"]
    master_host: Annotated[str, "`master.<name>-spark`, the master's name in the private zone"]
    boot_timeout_seconds: Annotated[
        checks.Whole,
        "how long a boot may last, from the launch on: the launch hook's time-out; Terraform's wait, the node's "
        "deadline and `spark-wait` go by it",
    ]
    spark_version: Annotated[str, "names the folder `/opt/spark-<version>`"]
    spark_file: Annotated[str, "name of Spark's tarball, in the bucket and at Apache"]
    spark_checksum: Annotated[str, 'the tarball\'s SHA-256 or SHA-512, or `""`: a node looks it up']
    spark_urls: Annotated[Sequence[str], "where the tarball is, besides the bucket, in order"]
    checksum_urls: Annotated[Sequence[str], "where the foundation publishes its SHA-512"]
    hadoop_version: Annotated[str, 'the Hadoop of that release, or `""`: a node sees once it has it']
    s3a_sdk: Annotated[
        str, 'the AWS SDK beside S3A, `slim` or `whole`; `""`: Spark has jars of its own for it, or none'
    ]
    maven_url: Annotated[str, "the Maven repository that the master takes the jars of S3A from"]
    s3_endpoint: Annotated[str, "the name of S3 in the region"]
    spark_defaults: Annotated[Mapping[str, str], "Spark properties that win over the cluster's own"]
    executor_cores: Annotated[
        checks.Whole, "`spark.executor.cores` of `spark_defaults`, or 0: an executor has all cores of a worker"
    ]
    python_version: Annotated[str, "the Python of drivers and executors, such as `3.11`"]
    secret_parameter: Annotated[str, "name of the parameter with the secret of `spark.authenticate`"]
    fleet_public_key_parameter: Annotated[
        str, 'name of the parameter with the public half of the fleet key, or `""`: there is no such key'
    ]
    parameter_placeholder: Annotated[str, "what a parameter holds until the master fills it"]
    setup_script_key: Annotated[str, 'the object in the bucket with the caller\'s script, or `""`: there is none']
    setup_script_sha256: Annotated[str, "the script's SHA-256"]
    http_proxy: Annotated[str, 'address of the proxy, or `""`: there is none']
    no_proxy: Annotated[Sequence[str], "names reached without it, besides those that always are"]

    def __post_init__(self) -> None:
        """Check what a strategy of scaling may have changed.

        Raises:
            ValueError: a value is wrong; the message names it and the rule.
        """
        shortest, longest = limits.SHORTEST_BOOT_SECONDS, limits.LONGEST_BOOT_SECONDS
        checks.whole("boot_timeout_seconds", self.boot_timeout_seconds, shortest, longest)
        checks.spark_defaults("spark_defaults", self.spark_defaults)
        checks.no_proxy("no_proxy", self.no_proxy)

    def to_dict(self) -> dict[str, object]:
        """The document as the node reads it."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}


@dataclass(frozen=True, kw_only=True)
class MasterSettings(NodeSettings):
    """What the master is given besides: what it makes for itself and for others, and what it runs."""

    role: Annotated[str, _ROLE] = field(init=False, default="master")
    fleet_private_key_parameter: Annotated[str, 'name of the parameter with the private half, or `""`: there is none']
    parameter_kms_key: Annotated[str, 'the key with which it writes SecureStrings, or `""`: `aws/ssm`']
    history_server: Annotated[str, '`yes`, or `""`: it runs none, since that of this Spark has a flaw']
    connect_parameter: Annotated[
        str, 'name of the parameter with the token of the Spark Connect server, or `""`: there is no such server'
    ]
    connect_cores: Annotated[checks.Whole, "how many cores the server's application takes at most, or 0"]
    unlisted_timeout_seconds: Annotated[
        checks.Whole, "how long a member in service may not be listed as alive, until it is replaced"
    ]
    metrics_namespace: Annotated[str, 'where in CloudWatch its metrics are, or `""`: it sends none']


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(NodeSettings):
    """What a worker is given besides: the lifecycle hooks that it completes, and the time it has to leave."""

    role: Annotated[str, _ROLE] = field(init=False, default="worker")
    launch_hook: Annotated[str, "name of the lifecycle hook that it completes when it is ready"]
    termination_hook: Annotated[str, "name of the lifecycle hook that it completes when it has left"]
    drain_timeout_seconds: Annotated[checks.Whole, "how long it may take to leave, unless a notice says less"]


def executor_cores(spark_defaults: Mapping[str, str]) -> checks.Whole:
    """Cores of an executor that the caller's Spark properties ask for, or 0 if they do not."""
    cores = spark_defaults.get("spark.executor.cores")
    if cores is None:
        return 0
    return int(cores) if checks.is_known(cores) else Token.as_number(Fn.tonumber(cores))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


KINDS: Mapping[object, str] = {
    str: "text",
    checks.Whole: "number",
    Sequence[str]: "list of texts",
    Mapping[str, str]: "texts by name",
}
"""What each type is in JSON."""


def kinds(role: type[NodeSettings]) -> dict[str, str]:
    """Kind of value of each key that a role is given."""
    return {one.name: KINDS[get_args(one.type)[0]] for one in fields(role)}


def table() -> str:
    """All settings, as a table in Markdown."""
    rows = [*_rows(NodeSettings, "both"), *_rows(MasterSettings, "master"), *_rows(WorkerSettings, "worker")]
    return "\n".join(["| Key | Kind | Given to | Meaning |", "|---|---|---|---|", *rows])


def _rows(role: type[NodeSettings], whom: str) -> Iterator[str]:
    inherited = {one.name for base in role.__bases__ if base is not object for one in fields(base)}
    for one in fields(role):
        if one.name not in inherited:
            kind, meaning = get_args(one.type)
            yield f"| `{one.name}` | {KINDS[kind]} | {whom} | {meaning} |"
