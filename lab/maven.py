"""The jars of Maven Central that nodes fetch for S3A, kept in the cache: fetched once, verified, served as they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .deployment import ROOT
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
_PROGRAMS = ROOT / "userdata/common/opt/spark-cluster"
_SLIM_JAR = _PROGRAMS / "slim_jar.py"


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


def _jars() -> dict[str, tuple[Jar, ...]]:
    table = json.loads((_PROGRAMS / "s3a_jars.json").read_text(encoding="utf-8"))
    found = {}
    for version, release in table["releases"].items():
        hadoop = [Jar(*row.split(":")[:3]) for row in table["jars"][release["hadoop"]]]
        played_by = "" if release["committers_sha256"] else _PLAYED_BY[release["scala"]]
        committers = Jar("org.apache.spark", f"spark-hadoop-cloud_{release['scala']}", version, played_by)
        found[version] = (*hadoop, committers)
    return found


_PLAYED_BY = {"2.12": "3.5.8", "2.13": "4.1.2"}
"""Of each Scala the release whose `spark-hadoop-cloud` Maven Central has everywhere."""

JARS = _jars()
"""What each release of Spark needs for `s3a://`."""


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


def for_an_image(version: str) -> Path:
    """A folder with a release's jars as they are added to its Spark, the SDK made smaller; empty without them."""
    jars = [REPOSITORY / jar.path for jar in JARS[version]]
    there = [jar for jar in jars if jar.exists()]
    folder = CACHE / "jars" / f"{version}-{hashlib.sha256(_SLIM_JAR.read_bytes()).hexdigest()[:12]}-{len(there)}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for jar in there:
            subprocess.run([sys.executable, _SLIM_JAR, jar, partial / jar.name], check=True)
        partial.rename(folder)
    return folder


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
