"""The Spark releases we know: what each needs, and how its download is verified."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from spark_cluster import checks, limits

DEFAULT_SPARK_VERSION = "4.3.0"
PYTHON_VERSION = "3.11"
"""The Python that both families of AMI can install, and that every release in the table runs on."""
AMAZON_LINUX_PYTHONS = ("3.9", "3.11", "3.12", "3.13", "3.14")
"""All that the default AMI has or can install: https://docs.aws.amazon.com/linux/al2023/ug/python.html"""
OLDEST_SPARK = (3, 3)
"""The first line on Java 17, which is what nodes have at the least: https://spark.apache.org/docs/3.3.4/"""

CDN = "https://dlcdn.apache.org/spark"
"""Apache's CDN: fast, and only the newest patch of each live line. https://spark.apache.org/downloads.html"""
ORIGIN = "https://downloads.apache.org/spark"
ARCHIVE = "https://archive.apache.org/dist/spark"
"""Every release ever made; slow. https://archive.apache.org/dist/spark/"""

_NUMBER = r"(0|[1-9][0-9]{0,3})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-[a-z0-9]{{1,32}})?")
_PYTHON = re.compile(r"3\.(0|[1-9][0-9]?)")
_PATH = r"/+([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
# A key is part of a policy, in which `*` and `?` match anything and `$` begins a variable.
_OBJECT = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>/*[A-Za-z0-9._~!&'()+,;=:%-][A-Za-z0-9._~!&'()+,;=:/%-]*)")


@dataclass(frozen=True)
class SparkRelease:
    """What a release of Spark needs.

    Attributes:
        python_minimum: the oldest Python that its PySpark runs on, from the release's own `Requires-Python`.
        checksum: the SHA-256 of `spark-VERSION-bin-hadoop3.tgz`, if a second source has published one; "" if the
            SHA-512 of Apache's own hosts is used.
    """

    python_minimum: tuple[int, int]
    checksum: str = ""


RELEASES: Mapping[str, SparkRelease] = MappingProxyType(
    {
        "4.3.0": SparkRelease((3, 11)),
        "4.2.1": SparkRelease((3, 10)),
        "4.2.0": SparkRelease((3, 10), "cc1232a4a23858300ba9c887b7ac5a9128b4a1819cea2fa8ee2bc6ce98ced72b"),
        "4.1.4": SparkRelease((3, 10)),
        "4.1.2": SparkRelease((3, 10), "cf8035f265f9c3307baa2ed863897b5473c812dc1791302ba94798c2aad686f9"),
        "4.1.1": SparkRelease((3, 10), "f5874d9d6a4935f26bc9f761467971d26812a17d94c6493b8eb4b810e7db31ae"),
        "4.0.5": SparkRelease((3, 9)),
        "4.0.0": SparkRelease((3, 9), "2ebac46b59be8b85b0aecc5a479d6de26672265fb7f6570bde2e72859fd87cc4"),
        "3.5.9": SparkRelease((3, 8)),
    },
)
"""Requires-Python: each release's sdist on PyPI. Checksums: Homebrew's `apache-spark` formula at that version."""


@dataclass(frozen=True)
class SparkArchive:
    """A Spark distribution of the caller's own, in place of Apache's.

    Attributes:
        url: `https://…` or `s3://bucket/key` of a gzip'ed tar whose one top folder holds `bin/` and `jars/`. A literal:
            the permission to read an `s3://` object is made from it.
        checksum: its SHA-256 or SHA-512, in hexadecimal.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    url: str
    checksum: str

    def __post_init__(self) -> None:
        """Hold the address to a literal https or s3 one, the checksum to its digits."""
        literal = self.url if isinstance(self.url, str) and checks.is_known(self.url) else ""
        if re.match(r"(https|s3)://([^/]*@|.*\?)", literal):
            message = "spark_archive.url must hold no user, password or query, because user data is readable"
            raise ValueError(message)
        if not checks.is_url(literal, "https", _PATH) and not _is_object(literal):
            rule = "be a literal 'https://…' or 's3://bucket/key' address"
            raise checks.fail("spark_archive.url", rule, self.url)
        checks.written("spark_archive.url", literal)
        checks.text("spark_archive.checksum", self.checksum)
        checks.checksum("spark_archive.checksum", self.checksum)

    @property
    def s3_object(self) -> str | None:
        """`bucket/key` if the archive is in S3, else `None`."""
        return self.url.removeprefix("s3://") if self.url.startswith("s3://") else None


def _is_object(url: str) -> bool:
    match = _OBJECT.fullmatch(url)
    return match is not None and checks.is_bucket(match["bucket"]) and len(match["key"]) <= limits.OBJECT_KEY_BYTES


@dataclass(frozen=True)
class SparkDistribution:
    """Which Spark a node gets and from where: the arguments of the cluster, checked together.

    Attributes:
        version: such as `4.3.0`.
        checksum: of the tarball, or "" if Apache's own hosts say it.
        archive: the caller's own distribution, or `None` for Apache's.
        python_version: the Python of drivers and executors, such as `3.11`.
    """

    version: str = DEFAULT_SPARK_VERSION
    checksum: str | None = None
    archive: SparkArchive | None = None
    python_version: str = PYTHON_VERSION
    file_name: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Check that version, checksum and Python go together."""
        numbers = _VERSION.fullmatch(self.version) if isinstance(self.version, str) else None
        if numbers is None:
            rule = f"be a release such as {DEFAULT_SPARK_VERSION!r}, and literal"
            raise checks.fail("spark_version", rule, self.version)
        checks.written("spark_version", self.version)
        if (int(numbers[1]), int(numbers[2])) < OLDEST_SPARK:
            oldest = ".".join(map(str, OLDEST_SPARK))
            rule = f"be at least {oldest}, the first that runs on the nodes' Java 17"
            raise checks.fail("spark_version", rule, self.version)
        if not isinstance(self.python_version, str) or not _PYTHON.fullmatch(self.python_version):
            raise checks.fail(
                "python_version", f"be a version such as {PYTHON_VERSION!r}, and literal", self.python_version
            )
        checks.written("python_version", self.python_version)
        if self.archive is not None:
            checks.instance("spark_archive", self.archive, SparkArchive, "SparkArchive(url='https://…', checksum='…')")
        if self.archive is not None and self.checksum is not None:
            message = "spark_checksum must be left out beside spark_archive, which has its own checksum"
            raise ValueError(message)
        checks.checksum("spark_checksum", self.checksum)
        release = RELEASES.get(self.version)
        if release is None and self.checksum is None and self.archive is None:
            known = ", ".join(RELEASES)
            message = (
                f"spark_version must be one of {known}, or come with its spark_checksum or spark_archive, "
                f"got {self.version!r}"
            )
            raise ValueError(message)
        python = tuple(int(part) for part in self.python_version.split("."))
        if release is not None and python < release.python_minimum:
            lowest = ".".join(map(str, release.python_minimum))
            message = f"python_version must be at least {lowest} for Spark {self.version}, got {self.python_version!r}"
            raise ValueError(message)
        chosen = self.archive.checksum if self.archive else self.checksum or (release.checksum if release else "")
        object.__setattr__(self, "checksum", chosen)
        object.__setattr__(self, "file_name", f"spark-{self.version}-bin-hadoop3.tgz")

    @property
    def urls(self) -> list[str]:
        """Where the tarball is, besides the cluster's bucket, in the order in which a node tries."""
        if self.archive:
            return [self.archive.url]
        return [f"{host}/spark-{self.version}/{self.file_name}" for host in (CDN, ARCHIVE)]

    @property
    def checksum_urls(self) -> list[str]:
        """Where the foundation itself publishes the SHA-512: never a CDN or a mirror."""
        return [f"{host}/spark-{self.version}/{self.file_name}.sha512" for host in (ORIGIN, ARCHIVE)]


def check_amazon_linux_has(python_version: str) -> None:
    """Hold the Python of a cluster without an `ami_id` to those that its AMI's packages have.

    Raises:
        ValueError: there is no such package.
    """
    if python_version not in AMAZON_LINUX_PYTHONS:
        has = ", ".join(AMAZON_LINUX_PYTHONS)
        rule = f"be one that Amazon Linux 2023 has ({has}), or come with an ami_id that has it"
        raise checks.fail("python_version", rule, python_version)
