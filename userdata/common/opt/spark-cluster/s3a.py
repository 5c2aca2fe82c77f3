#!/usr/bin/python3
"""Which jars a Spark needs for `s3a://` and has not: Apache's release has neither Hadoop's S3A nor the AWS SDK."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HADOOP = re.compile(r"hadoop-client-api-(?P<version>\d[\w.]*)\.jar")
SPARK = re.compile(r"spark-core_(?P<scala>[\d.]+)-(?P<version>\d[\w.-]*)\.jar")
S3A = "hadoop-aws-*.jar"
COMMITTERS = "spark-hadoop-cloud_*.jar"
WITHOUT_IT = (
    "put it into jars/ of spark_archive or into artifacts/spark/ of the bucket, or choose another repository_url of "
    "s3a.On(), or s3a.Off()"
)


class UnknownHadoopError(Exception):
    """A Spark with a Hadoop for which no jars are listed, and without any of its own."""


@dataclass(frozen=True)
class Jar:
    """One jar of a Maven repository.

    Attributes:
        coordinates: group, artifact and version.
        sha256: its checksum; empty: what the repository says.
        slim_sha256: that of its copy without the services that S3A does not use; empty: it stays whole.
    """

    coordinates: tuple[str, str, str]
    sha256: str = ""
    slim_sha256: str = ""

    @property
    def file(self) -> str:
        """Its name."""
        _, artifact, version = self.coordinates
        return f"{artifact}-{version}.jar"

    @property
    def path(self) -> str:
        """Where it is in a repository (https://maven.apache.org/repository/layout.html)."""
        group, artifact, version = self.coordinates
        return "/".join([*group.split("."), artifact, version, self.file])

    def is_in(self, folder: Path) -> bool:
        """Whether a folder has it, in this version or another: what an archive or an AMI brought is left alone."""
        return any(folder.glob(f"{self.coordinates[1]}-[0-9]*.jar"))


def expected(given: Mapping[str, Any]) -> list[Jar]:
    """The jars for Apache's own release before it is there; none if its Hadoop is not known yet."""
    if not given["hadoop_version"]:
        return []
    release = table()["releases"][given["spark_version"]]
    return _jars(given, given["hadoop_version"], release["scala"], given["spark_version"])


def lacking(given: Mapping[str, Any], jars: Path) -> list[Jar]:
    """The jars that a Spark needs besides those in its own folder."""
    if not given["s3a_sdk"]:
        return []
    names = [path.name for path in jars.glob("*.jar")]
    hadoop, spark = _first(HADOOP, names), _first(SPARK, names)
    if hadoop is None or spark is None or hadoop["version"] not in table()["jars"]:
        if any(jars.glob(S3A)):
            return []
        version = hadoop["version"] if hadoop else "?"
        raise UnknownHadoopError(
            f"no jars of S3A are listed for Hadoop {version} of this Spark: put hadoop-aws and its AWS SDK into the "
            "jars/ of spark_archive, or choose s3a=s3a.Off()"
        )
    wanted = _jars(given, hadoop["version"], spark["scala"], spark["version"])
    return [jar for jar in wanted if not jar.is_in(jars)]


def table() -> dict[str, Any]:
    """What spark_cluster/s3a.py says of it."""
    known: dict[str, Any] = json.loads(Path(__file__).with_name("s3a_jars.json").read_text(encoding="utf-8"))
    return known


def _jars(given: Mapping[str, Any], hadoop: str, scala: str, spark: str) -> list[Jar]:
    rows = [row.split(":") for row in table()["jars"][hadoop]]
    rows.append(["org.apache.spark", f"spark-hadoop-cloud_{scala}", spark, _committers_sha256(scala, spark)])
    whole = given["s3a_sdk"] == "whole"
    return [
        Jar((group, artifact, version), *digests[: 1 if whole else 2]) for group, artifact, version, *digests in rows
    ]


def _committers_sha256(scala: str, spark: str) -> str:
    release = table()["releases"].get(spark, {})
    digest: str = release["committers_sha256"] if release.get("scala") == scala else ""
    return digest


def _first(pattern: re.Pattern[str], names: list[str]) -> re.Match[str] | None:
    return next(filter(None, map(pattern.fullmatch, names)), None)
