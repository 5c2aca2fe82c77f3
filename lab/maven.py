"""The jars of Maven Central that nodes fetch for S3A, kept in the cache: fetched once, verified, served as they are."""

from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .places import CACHE, MAVEN_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REPOSITORY = CACHE / "maven"
"""Laid out as the repository's `maven2/`."""

_URL = f"https://{MAVEN_HOST}/maven2"
_DIGESTS = ("sha1", "sha256", "sha512")
"""Files that a repository may have beside a jar; the first is there for every jar, and the last to come here."""
_ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Jar:
    """One jar by its coordinates.

    Attributes:
        group: its group's id.
        artifact: its own.
        version: its version.
        played_by: the version whose jar stands for it, with its digests, where Maven Central has not this one.
    """

    group: str
    artifact: str
    version: str
    played_by: str = ""

    @property
    def path(self) -> str:
        """Where the repository has it."""
        return self._path(self.version)

    @property
    def source(self) -> str:
        """Where Maven Central has what stands for it."""
        return self._path(self.played_by or self.version)

    def _path(self, version: str) -> str:
        return f"{self.group.replace('.', '/')}/{self.artifact}/{version}/{self.artifact}-{version}.jar"


_HADOOP_3_5 = (
    Jar("org.apache.hadoop", "hadoop-aws", "3.5.0"),
    Jar("software.amazon.awssdk", "bundle", "2.35.4"),
    Jar("software.amazon.s3.analyticsaccelerator", "analyticsaccelerator-s3", "1.3.1"),
)
_HADOOP_3_3 = (
    Jar("org.apache.hadoop", "hadoop-aws", "3.3.4"),
    Jar("com.amazonaws", "aws-java-sdk-bundle", "1.12.262"),
)
JARS = {
    "4.3.0": (*_HADOOP_3_5, Jar("org.apache.spark", "spark-hadoop-cloud_2.13", "4.3.0", played_by="4.1.2")),
    "4.2.1": (*_HADOOP_3_5, Jar("org.apache.spark", "spark-hadoop-cloud_2.13", "4.2.1", played_by="4.1.2")),
    "3.5.9": (*_HADOOP_3_3, Jar("org.apache.spark", "spark-hadoop-cloud_2.12", "3.5.9", played_by="3.5.8")),
}
"""What each release of Spark needs for `s3a://`, by the Hadoop that it was built with."""


def ensure(versions: Iterable[str]) -> str:
    """Fetch what the cache has not of these releases' jars; return why some are missing, nothing if all are there.

    Raises:
        urllib.error.HTTPError: Maven Central has not what `JARS` says.
        ValueError: a jar is not the one that its published digest is of.
    """
    wanted = dict.fromkeys(jar for version in versions for jar in JARS.get(version, ()))
    try:
        for jar in wanted:
            _fetch(jar)
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        return f"{_URL} is not reached: {error}"
    return ""


def files() -> dict[str, Path]:
    """What the repository serves: file by path."""
    there = sorted(REPOSITORY.rglob("*.jar*"))
    return {f"/maven2/{file.relative_to(REPOSITORY)}": file for file in there if file.suffix != ".partial"}


def _fetch(jar: Jar) -> None:
    file = REPOSITORY / jar.path
    if file.with_name(f"{file.name}.{_DIGESTS[0]}").exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    digests = {kind: digest for kind in _DIGESTS if (digest := _published(jar, kind))}
    wanted = digests[_DIGESTS[0]].split()[0]
    partial = file.with_name(f"{file.name}.partial")
    with _open(jar.source) as answer, partial.open("wb") as target:
        shutil.copyfileobj(answer, target, 1 << 20)
    with partial.open("rb") as written:
        digest = hashlib.file_digest(written, _DIGESTS[0]).hexdigest()
    if digest != wanted:
        raise ValueError(f"the {_DIGESTS[0]} of {jar.source} must be {wanted}, got {digest}")
    partial.rename(file)
    for kind in reversed(digests):
        file.with_name(f"{file.name}.{kind}").write_text(digests[kind], encoding="ascii")


def _published(jar: Jar, kind: str) -> str:
    """A digest as it is published beside a jar; nothing if this kind is not."""
    try:
        with _open(f"{jar.source}.{kind}") as answer:
            digest: str = answer.read().decode("ascii")
            return digest
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND and kind != _DIGESTS[0]:
            return ""
        raise


def _open(path: str) -> Any:
    return urllib.request.urlopen(f"{_URL}/{path}", timeout=_ANSWER_SECONDS)
