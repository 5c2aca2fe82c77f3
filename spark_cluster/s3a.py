"""S3A, Spark's way to `s3a://`: whether nodes get its jars, and for which Spark these are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cdktf import Annotations
from constructs import Construct

from spark_cluster import checks, userdata
from spark_cluster.spark_release import SparkDistribution

MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
"""https://central.sonatype.org/consume/"""

FALLBACK_PATH = "spark.storage.decommission.fallbackStorage.path"

_FOLDERS = "(/([A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+)*"

_TABLE: Mapping[str, Any] = json.loads(
    (userdata.folder() / "common/opt/spark-cluster/s3a_jars.json").read_text(encoding="utf-8")
)
"""Nodes read the same file. `jars`: by Hadoop's version `group:artifact:version:SHA-256`, as downloaded once from Maven
Central and compared with the SHA-1 published there; of the AWS SDK, which is the one that this Hadoop was built with
(https://hadoop.apache.org/docs/r3.5.0/hadoop-aws/dependency-analysis.html), also the SHA-256 of what a node makes of it
(`slim_jar.py`). The analytics accelerator is for the stream that Hadoop 3.5 takes if nobody chooses another.
`releases`: by Spark's version what its `spark-parent` at Maven Central says, or its sdist on PyPI has, and the SHA-256
of its `spark-hadoop-cloud`, if that could be downloaded."""

JARS: Mapping[str, Sequence[str]] = _TABLE["jars"]
RELEASES: Mapping[str, Mapping[str, str]] = _TABLE["releases"]


@dataclass(frozen=True)
class Jars:
    """What nodes are told of the jars.

    Attributes:
        sdk: `slim`: the AWS SDK with the services that S3A uses; `whole`: with all; "": nodes get no jars.
        hadoop_version: that of the release, if it is Apache's own and known; or "": a node sees once it has it.
        repository_url: where the jars are; "" if nodes get none.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    sdk: str = ""
    hadoop_version: str = ""
    repository_url: str = ""

    def __post_init__(self) -> None:
        """Hold the values to those that a node knows what to do with."""
        if self.sdk not in ("", "slim", "whole"):
            raise checks.fail("s3a.jars.sdk", "be one of '', 'slim', 'whole'", self.sdk)
        if self.hadoop_version not in ("", *JARS):
            raise checks.fail("s3a.jars.hadoop_version", f"be '' or one of {', '.join(JARS)}", self.hadoop_version)
        if self.sdk or self.repository_url != "":
            _check_repository("s3a.jars.repository_url", self.repository_url)


def _check_repository(argument: str, url: object) -> None:
    if not isinstance(url, str) or not checks.is_known(url) or not checks.is_url(url, "https", _FOLDERS):
        rule = f"be a literal address such as {MAVEN_CENTRAL!r}, without user, password, query or a slash at its end"
        raise checks.fail(argument, rule, url)
    checks.written(argument, url)


class S3a(Protocol):
    """Whether nodes get the jars of S3A."""

    def jars(self, distribution: SparkDistribution) -> Jars:
        """What the nodes of a Spark are told."""


@dataclass(frozen=True)
class On:
    """Every node gets the jars of S3A, or its boot ends and says what is not known of its Spark.

    Jars that a `spark_archive` or an AMI has are left alone.

    Attributes:
        repository_url: the `https://` address of a Maven repository, from which the master alone fetches them.
            Default: Maven Central.
        whole_sdk: whether the AWS SDK keeps all its services (some 600 MB, which every worker fetches from the
            bucket). Default: it keeps S3 and what gives credentials, some 25 MB.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    repository_url: str = MAVEN_CENTRAL
    whole_sdk: bool = False

    def __post_init__(self) -> None:
        """Hold the address to a literal one without user or password."""
        _check_repository("s3a.repository_url", self.repository_url)
        checks.literal_flag("s3a.whole_sdk", self.whole_sdk)

    def jars(self, distribution: SparkDistribution) -> Jars:
        """Those for the Hadoop that a node finds in its Spark; of Apache's own release it is known before."""
        release = RELEASES.get(distribution.version) if distribution.archive is None else None
        return Jars(
            sdk="whole" if self.whole_sdk else "slim",
            hadoop_version=release["hadoop"] if release else "",
            repository_url=self.repository_url,
        )


@dataclass(frozen=True)
class Off:
    """Nodes get no jars, and Spark no settings of S3A."""

    def jars(self, distribution: SparkDistribution) -> Jars:  # noqa: ARG002 - whatever it is
        """None."""
        return Jars()


def jars_of(cluster: Construct, chosen: S3a | None, distribution: SparkDistribution) -> Jars:
    """What the nodes of a cluster are told; with a warning if they get no jars though nobody said so."""
    if chosen is not None:
        jars = chosen.jars(distribution)
        checks.instance("s3a.jars", jars, Jars, "Jars('slim', repository_url='https://…')")
        return jars
    if distribution.version in RELEASES:
        return On().jars(distribution)
    Annotations.of(cluster).add_warning(
        f"nodes get no jars for s3a://, since Spark {distribution.version} is not one whose Hadoop is known: choose "
        "s3a=s3a.On(), with which a node takes those for the Hadoop that it finds, or s3a=s3a.Off()"
    )
    return Off().jars(distribution)


def warn_without_fallback(cluster: Construct, jars: Jars, spark_defaults: Mapping[str, str]) -> None:
    """Say what S3A is missed for by who may not think of it; not if the caller names another place."""
    if jars.sdk or FALLBACK_PATH in spark_defaults:
        return
    Annotations.of(cluster).add_warning(
        "without S3A there is no fallback storage: what executors of a worker that leaves hold goes to other workers, "
        f"or is computed again if there are none; choose s3a=s3a.On(), or give spark_defaults a {FALLBACK_PATH}"
    )
