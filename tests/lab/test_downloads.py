"""Where a node gets Spark from when a host is down, wrong or slow: the boot's own program, run again on a real node.

`start` may be run again, and does what is not done. So each test takes Spark away from a running node and from the
bucket, breaks a download host, and boots again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from lab import faults, maven
from lab.cluster import LIB, Cluster
from lab.lab import requests, run
from lab.places import MAVEN_HOST, SPARK_VERSION

if TYPE_CHECKING:
    from lab.lab import Lab

CDN, ORIGIN, ARCHIVE = "https://dlcdn.apache.org", "https://downloads.apache.org", "https://archive.apache.org"
TARBALL = f"spark-{SPARK_VERSION}-bin-hadoop3.tgz"


class Again:
    """A second boot of a master."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        """Take Spark away from the master and from the bucket."""
        self.host = cluster.master()
        s3, bucket = lab.client("s3"), cluster.bucket()
        for name in (TARBALL, f"{TARBALL}.sha512"):
            s3.delete_object(Bucket=bucket, Key=f"artifacts/spark/{name}")
        run(self.host, "systemctl", "stop", "spark-master")
        # And what a boot that failed had fetched: verified, it is as good as any.
        left = (
            f"/opt/spark-{SPARK_VERSION}",
            f"/opt/spark-{SPARK_VERSION}.jars",
            "/opt/spark",
            "/var/cache/spark-cluster",
        )
        run(self.host, "rm", "-rf", *left)
        self._requests = len(requests())

    def boot(self) -> bool:
        """Boot, and return whether that succeeded."""
        done = run(self.host, f"{LIB}/start", timeout=300)
        self.log = done.stdout + done.stderr
        return done.returncode == 0

    def asked(self, start: str) -> list[dict[str, object]]:
        """What it asked of addresses that begin so."""
        return [one for one in requests()[self._requests :] if str(one["url"]).startswith(start)]


@pytest.fixture
def again(lab: Lab, keyless: Cluster) -> Again:
    """A master that has to boot again."""
    return Again(lab, keyless)


@pytest.mark.long
def test_cdn_that_is_down_is_replaced_by_the_archive(again: Again) -> None:
    with faults.injected(downloads={CDN: "refuse"}):
        assert again.boot(), again.log
    assert f"from {ARCHIVE}" in again.log
    assert again.asked(ORIGIN)


@pytest.mark.long
def test_release_that_only_the_archive_has_is_taken_and_verified_from_there(again: Again) -> None:
    with faults.injected(downloads={CDN: "404", ORIGIN: "404"}):
        assert again.boot(), again.log
    assert f"from {ARCHIVE}" in again.log
    assert [one["status"] for one in again.asked(f"{ARCHIVE}/dist/spark/spark-{SPARK_VERSION}/{TARBALL}.sha512")] == [
        200
    ]


@pytest.mark.long
def test_truncated_transfer_goes_on_where_it_stopped(lab: Lab, keyless: Cluster, again: Again) -> None:
    with faults.injected(downloads={f"{CDN}/spark/spark-{SPARK_VERSION}/{TARBALL}": "truncate"}):
        assert again.boot(), again.log
    parts = [one for one in again.asked("https://") if str(one["url"]).endswith(TARBALL)]
    assert len(parts) > 1
    assert all(one["range"] for one in parts[1:])
    size = lab.client("s3").head_object(Bucket=keyless.bucket(), Key=f"artifacts/spark/{TARBALL}")["ContentLength"]
    assert sum(int(str(one["bytes"])) for one in parts) == size


def test_wrong_checksum_fails_the_boot_and_starts_nothing(again: Again) -> None:
    with faults.injected(downloads={f"{CDN}/spark/spark-{SPARK_VERSION}/{TARBALL}": "corrupt", ARCHIVE: "corrupt"}):
        assert not again.boot()
    last = again.log.strip().splitlines()[-1]
    assert "boot failed: install_spark: checksum of" in last
    assert run(again.host, "systemctl", "is-active", "spark-master").stdout.strip() in {"inactive", "failed"}
    assert run(again.host, "systemctl", "is-enabled", "spark-master").stdout.strip() == "disabled"
    assert run(again.host, "test", "-e", f"/opt/spark-{SPARK_VERSION}").returncode != 0


@pytest.fixture
def without_jars(lab: Lab, keyless: Cluster, again: Again) -> Again:
    """A master that has to boot again, with none of its jars in the bucket."""
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    s3, bucket = lab.client("s3"), keyless.bucket()
    for one in s3.list_objects_v2(Bucket=bucket, Prefix="artifacts/spark/")["Contents"]:
        if ".jar" in one["Key"]:
            s3.delete_object(Bucket=bucket, Key=one["Key"])
    return again


@pytest.mark.long
def test_jars_that_people_put_into_the_bucket_are_taken_where_maven_is_not_reached(
    lab: Lab, keyless: Cluster, without_jars: Again
) -> None:
    s3, bucket = lab.client("s3"), keyless.bucket()
    for jar in maven.JARS[SPARK_VERSION]:
        file = maven.REPOSITORY / jar.path
        s3.upload_file(str(file), bucket, f"artifacts/spark/{file.name}")
    with file.open("rb") as committers:
        digest = hashlib.file_digest(committers, "sha512").hexdigest()
    s3.put_object(Bucket=bucket, Key=f"artifacts/spark/{file.name}.sha512", Body=f"{digest}  {file.name}".encode())
    with faults.injected(downloads={f"https://{MAVEN_HOST}": "refuse"}):
        assert without_jars.boot(), without_jars.log
    assert keyless.state()["status"] == "ALIVE"


@pytest.mark.long
def test_wrong_checksum_of_a_jar_fails_the_boot_by_its_name(without_jars: Again) -> None:
    with faults.injected(downloads={f"https://{MAVEN_HOST}/maven2/org/apache/hadoop": "corrupt"}):
        assert not without_jars.boot()
    assert "boot failed: install_spark: checksum of hadoop-aws-" in without_jars.log.strip().splitlines()[-1]


def test_boot_after_that_succeeds(again: Again, keyless: Cluster) -> None:
    assert again.boot(), again.log
    assert keyless.state()["status"] == "ALIVE"
    keyless.wait_ready(180)
