"""The jars of S3A: which a Spark lacks, and how they come to master and worker."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import time
import zipfile
from typing import TYPE_CHECKING

import artifacts
import pytest
import s3a

from tests.userdata.node import ARCHIVE, CDN, COPIES, Node, sha512, tar
from tests.userdata.test_boot import assert_failed, assert_succeeded

if TYPE_CHECKING:
    from pathlib import Path

HADOOP_AWS = b"the bytes of hadoop-aws"
COMMITTERS = b"the bytes of spark-hadoop-cloud"
MAVEN = "maven.example.org/repo"
HADOOP_AWS_URL = f"{MAVEN}/org/apache/hadoop/hadoop-aws/3.5.0/hadoop-aws-3.5.0.jar"
SDK_URL = f"{MAVEN}/software/amazon/awssdk/bundle/2.35.4/bundle-2.35.4.jar"
COMMITTERS_URL = f"{MAVEN}/org/apache/spark/spark-hadoop-cloud_2.13/4.3.0/spark-hadoop-cloud_2.13-4.3.0.jar"
IN_SPARK = {"hadoop-client-api-3.5.0.jar": b"", "spark-core_2.13-4.3.0.jar": b""}
REAL_SECONDS = 15
ADDED = ["bundle-2.35.4.jar", "hadoop-aws-3.5.0.jar", "spark-hadoop-cloud_2.13-4.3.0.jar"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sdk(*services: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as jar:
        for service in services:
            jar.writestr(zipfile.ZipInfo(f"software/amazon/awssdk/services/{service}/Client.class"), service.encode())
    return out.getvalue()


SDK, SLIM_SDK = sdk("ec2", "s3", "sqs"), sdk("s3")
TABLE = {
    "jars": {
        "3.5.0": [
            f"org.apache.hadoop:hadoop-aws:3.5.0:{sha256(HADOOP_AWS)}",
            f"software.amazon.awssdk:bundle:2.35.4:{sha256(SDK)}:{sha256(SLIM_SDK)}",
        ]
    },
    "releases": {"4.3.0": {"hadoop": "3.5.0", "scala": "2.13", "committers_sha256": ""}},
}
GIVEN = {"s3a_sdk": "slim", "hadoop_version": "3.5.0", "maven_url": f"https://{MAVEN}"}


def list_jars(node: Node, table: object = TABLE) -> None:
    """In the node's programs, in place of the real ones."""
    node.mock_file("s3a_jars.json", json.dumps(table).encode())


@functools.cache
def spark(*jars: tuple[str, bytes]) -> bytes:
    """The same archive for the same jars, whenever it is made."""
    files = {f"spark-4.3.0/jars/{name}": content for name, content in jars}
    return tar({"spark-4.3.0/bin/spark-class": b"#!/bin/bash\n", "spark-4.3.0/conf/x": b"", **files}, "w:gz")


def with_spark(node: Node, jars: dict[str, bytes], **more: object) -> Node:
    archive = spark(*jars.items())
    for url in (CDN, ARCHIVE):
        node.serve(url, archive)
    node.settings.update({**GIVEN, "spark_checksum": sha512(archive), **more})
    list_jars(node)
    return node


@pytest.fixture
def first(master: Node) -> Node:
    """A master that finds Spark at Apache, and its jars in a repository that publishes SHA-1s."""
    for url, content in ((HADOOP_AWS_URL, HADOOP_AWS), (SDK_URL, SDK), (COMMITTERS_URL, COMMITTERS)):
        master.serve(url, content)
        master.serve(f"{url}.sha1", hashlib.sha1(content).hexdigest().encode())  # noqa: S324 - what Maven publishes
    return with_spark(master, IN_SPARK)


def shared(node: Node) -> dict[str, bytes]:
    """What is in the bucket, by its name, but for checksums."""
    found = (node.bucket / "artifacts/spark").rglob("*.jar")
    return {path.name: path.read_bytes() for path in found}


def added(node: Node) -> list[str]:
    jars = node.root / "opt/spark-4.3.0/jars"
    return sorted(path.name for path in jars.iterdir() if path.name not in IN_SPARK)


def test_the_master_adds_the_jars_to_its_spark_and_shares_them(first: Node) -> None:
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED
    assert (first.root / "opt/spark-4.3.0/jars/bundle-2.35.4.jar").read_bytes() == SLIM_SDK
    assert shared(first) == dict(zip(ADDED, [SLIM_SDK, HADOOP_AWS, COMMITTERS], strict=True))
    assert first.releases == ["spark", "spark-4.3.0"], "nothing is left beside them"


def test_a_worker_takes_them_from_the_bucket_alone(first: Node, tmp_path: Path) -> None:
    first.boot()
    (tmp_path / "worker").mkdir()
    worker = with_spark(Node(tmp_path / "worker", "worker"), IN_SPARK)
    shutil.copytree(first.bucket / "artifacts/spark", worker.bucket / "artifacts/spark")
    assert_succeeded(worker, worker.boot())
    assert added(worker) == ADDED
    assert (worker.root / "opt/spark-4.3.0/jars/bundle-2.35.4.jar").read_bytes() == SLIM_SDK
    assert not [call for call in worker.calls_of("curl") if MAVEN in call]
    (fetch,) = worker.calls_of("copies.py")
    assert all(name in fetch for name in ADDED), "one program fetches them all, and Spark"
    assert not [call for call in worker.calls_of("aws.py") if ".jar" in call]


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("comes", ["not", "with other bytes"])
def test_a_jar_that_came_with_spark_and_is_not_right_is_fetched_again(
    first: Node, tmp_path: Path, name: str, comes: str
) -> None:
    """It may have been cut off, or have been put there a moment later than Spark."""
    first.boot()
    (tmp_path / "worker").mkdir()
    worker = with_spark(Node(tmp_path / "worker", "worker"), IN_SPARK)
    shutil.copytree(first.bucket / "artifacts/spark", worker.bucket / "artifacts/spark")
    instead = "true" if comes == "not" else 'echo "other bytes" >"$2"'
    worker.mock_program("copies.py", COPIES.replace("! cp ", f"[[ $1 == *{name} ]] && {instead} || ! cp "))
    assert_succeeded(worker, worker.boot())
    assert added(worker) == ADDED


def test_the_sdk_stays_whole_if_no_smaller_one_is_told(first: Node) -> None:
    first.settings["s3a_sdk"] = "whole"
    assert_succeeded(first, first.boot())
    assert shared(first)["bundle-2.35.4.jar"] == SDK


def test_a_second_master_takes_what_the_first_one_shared(first: Node, tmp_path: Path) -> None:
    first.boot()
    for url in (HADOOP_AWS_URL, SDK_URL):
        (first.web / url).unlink()
    for path in ("opt/spark-4.3.0", "opt/spark"):
        (first.root / path).rename(tmp_path / path.replace("/", "-"))
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED


def test_other_bytes_in_the_place_of_the_committers_copy_end_the_boot_of_the_master(first: Node) -> None:
    """Whoever runs jobs on a master may have put them there, before there was a copy; workers would take them."""
    name = ADDED[2]
    first.put_object(f"artifacts/spark/{name}", b"something else")
    first.put_object(f"artifacts/spark/{name}.sha512", f"{sha512(b'something else')}  {name}\n".encode())
    cause = f"s3://demo-bucket/artifacts/spark/{name} has other bytes than {name} must have: delete it"
    assert_failed(first, first.boot(), "install_spark", cause)


def test_other_bytes_in_the_place_of_a_pinned_copy_end_the_boot_of_the_master(first: Node) -> None:
    place = f"artifacts/spark/{sha256(HADOOP_AWS)[:16]}/hadoop-aws-3.5.0.jar"
    first.put_object(place, b"something else")
    cause = f"s3://demo-bucket/{place} has other bytes than hadoop-aws-3.5.0.jar must have: delete it"
    assert_failed(first, first.boot(), "install_spark", cause)


def test_what_an_earlier_boot_has_shared_is_no_obstacle(first: Node) -> None:
    """It was cut off between the copy and its checksum, which is there in other words."""
    name = ADDED[2]
    first.put_object(f"artifacts/spark/{name}", COMMITTERS)
    assert_succeeded(first, first.boot())
    assert (first.bucket / f"artifacts/spark/{name}.sha512").read_text().split()[0] == sha512(COMMITTERS)


def test_a_jar_that_a_boot_had_fetched_and_not_shared_is_shared_by_the_next(first: Node) -> None:
    first.write("/var/cache/spark-cluster/hadoop-aws-3.5.0.jar", HADOOP_AWS)
    assert_succeeded(first, first.boot())
    assert shared(first)["hadoop-aws-3.5.0.jar"] == HADOOP_AWS


@pytest.mark.parametrize(
    ("url", "name"),
    [(HADOOP_AWS_URL, "hadoop-aws-3.5.0.jar"), (SDK_URL, "bundle-2.35.4.jar"), (COMMITTERS_URL, ADDED[2])],
)
def test_other_bytes_end_the_boot_by_the_jars_name(first: Node, url: str, name: str) -> None:
    first.serve(url, b"other bytes")
    assert_failed(first, first.boot(), "install_spark", f"checksum of {name} is wrong")
    assert name not in shared(first)


def test_an_sdk_that_becomes_another_than_was_told_ends_the_boot(first: Node) -> None:
    list_jars(first, json.loads(json.dumps(TABLE).replace(sha256(SLIM_SDK), sha256(b"another"))))
    assert_failed(first, first.boot(), "install_spark", "checksum of bundle-2.35.4.jar made smaller is wrong")
    assert "bundle-2.35.4.jar" not in shared(first)


def test_what_people_put_into_the_bucket_is_taken_where_there_is_no_way_to_the_repository(first: Node) -> None:
    for url, content in ((HADOOP_AWS_URL, HADOOP_AWS), (SDK_URL, SDK), (COMMITTERS_URL, COMMITTERS)):
        (first.web / url).unlink()
        (first.web / f"{url}.sha1").unlink()
        first.put_object(f"artifacts/spark/{url.rpartition('/')[2]}", content)
    first.put_object(f"artifacts/spark/{ADDED[2]}.sha512", f"{sha512(COMMITTERS)}  {ADDED[2]}\n".encode())
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED
    assert (first.root / "opt/spark-4.3.0/jars/bundle-2.35.4.jar").read_bytes() == SLIM_SDK


def test_jars_that_spark_has_are_left_alone_in_whatever_version(first: Node) -> None:
    with_spark(first, {**IN_SPARK, "bundle-2.40.0.jar": b"the caller's", "hadoop-aws-3.5.0.jar": b"theirs"})
    assert_succeeded(first, first.boot())
    assert added(first) == ["bundle-2.40.0.jar", "hadoop-aws-3.5.0.jar", ADDED[2]]
    assert (first.root / "opt/spark-4.3.0/jars/hadoop-aws-3.5.0.jar").read_bytes() == b"theirs"


def test_a_spark_of_the_callers_gets_the_jars_of_the_hadoop_that_it_has(first: Node) -> None:
    with_spark(first, IN_SPARK, hadoop_version="")
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED


def test_a_spark_whose_hadoop_is_not_listed_is_told_what_it_lacks(first: Node) -> None:
    with_spark(first, {"hadoop-client-api-3.3.6.jar": b"", "spark-core_2.13-4.3.0.jar": b""}, hadoop_version="")
    cause = "no jars of S3A are listed for Hadoop 3.3.6 of this Spark: put hadoop-aws and its AWS SDK into the jars/"
    assert_failed(first, first.boot(), "install_spark", cause)


def test_a_spark_whose_hadoop_is_not_listed_may_have_its_own(first: Node) -> None:
    jars = {"hadoop-client-api-3.3.6.jar": b"", "hadoop-aws-3.3.6.jar": b""}
    with_spark(first, jars, hadoop_version="")
    assert_succeeded(first, first.boot())
    assert added(first) == sorted(jars)


def test_nothing_is_added_if_none_is_wanted(first: Node) -> None:
    with_spark(first, IN_SPARK, s3a_sdk="", hadoop_version="", maven_url="")
    assert_succeeded(first, first.boot())
    assert added(first) == []


def test_a_jar_that_a_power_cut_may_have_emptied_is_fetched_again(first: Node) -> None:
    """Of an AMI with Spark and without jars: its boot was cut off when they were in their place."""
    for name, content in {"bin/spark-class": b"", **{f"jars/{name}": b"" for name in IN_SPARK}}.items():
        first.write(f"/opt/spark-4.3.0/{name}", content, mode=0o755)
    first.write("/opt/spark-4.3.0/jars/hadoop-aws-3.5.0.jar", b"")
    first.write("/var/lib/spark-cluster/unpacking/hadoop-aws-3.5.0.jar")
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED
    assert (first.root / "opt/spark-4.3.0/jars/hadoop-aws-3.5.0.jar").read_bytes() == HADOOP_AWS


def test_nobody_waits_for_the_others_if_a_jar_fails(first: Node) -> None:
    """A Spark that nobody has is looked for until the boot's time is over, with a pause of half a minute by then."""
    first.serve(HADOOP_AWS_URL, b"other bytes")
    for url in (CDN, ARCHIVE):
        (first.web / url).unlink()
    (first.site / "sitecustomize.py").unlink()
    first.mock("sleep", f'exec {shutil.which("sleep")} "$@"')
    began = time.monotonic()
    assert_failed(first, first.boot(), "install_spark", "checksum of hadoop-aws-3.5.0.jar is wrong")
    assert time.monotonic() - began < REAL_SECONDS


def test_a_jar_that_nobody_has_is_named_with_what_to_do(first: Node) -> None:
    without_committers(first)
    cause = f"no source had {ADDED[2]}, last: "
    assert_failed(first, first.boot(), "install_spark", cause)
    assert "put it into jars/ of spark_archive or into artifacts/spark/ of the bucket" in first.last_line


def without_committers(node: Node) -> None:
    (node.web / COMMITTERS_URL).unlink()
    (node.web / f"{COMMITTERS_URL}.sha1").unlink()


def test_a_jar_that_a_repository_says_it_has_not_is_not_waited_for(first: Node) -> None:
    """As that of a Spark with a version of its own."""
    without_committers(first)
    cause = f"no source had {ADDED[2]}, last: https://{COMMITTERS_URL} gave HTTP 404 (curl 22)"
    assert_failed(first, first.boot(), "install_spark", cause)
    assert len([call for call in first.calls_of("curl") if call.endswith(COMMITTERS_URL)]) == artifacts.ABSENT_ROUNDS


@pytest.mark.parametrize("answers", [["22 404"] * 3, ["7 000"] * 6, ["22 404", "22 403"] * 3])
def test_a_jar_is_waited_for_if_it_may_be_on_its_way_or_the_repository_not_reached(
    first: Node, answers: list[str]
) -> None:
    first.answer_first(COMMITTERS_URL, *answers)
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED


def test_a_jar_that_people_put_into_the_bucket_meanwhile_is_taken(first: Node) -> None:
    without_committers(first)
    first.mock(
        "sleep", f'mkdir -p "$FAKE_BUCKET/artifacts/spark"; cp "{first.web}/{ADDED[2]}"* "$FAKE_BUCKET/artifacts/spark"'
    )
    first.serve(ADDED[2], COMMITTERS)
    first.serve(f"{ADDED[2]}.sha512", f"{sha512(COMMITTERS)}  {ADDED[2]}\n".encode())
    assert_succeeded(first, first.boot())
    assert added(first) == ADDED


def test_a_jar_s_place_in_a_repository() -> None:
    jar = s3a.Jar(("software.amazon.awssdk", "bundle", "2.35.4"))
    assert jar.path == "software/amazon/awssdk/bundle/2.35.4/bundle-2.35.4.jar"


@pytest.mark.parametrize(
    ("spark", "pinned"),
    [("2.13-4.1.2", True), ("2.12-4.1.2", False), ("2.13-4.1.2-ours", False), ("2.13-4.3.0", False)],
)
def test_a_checksum_is_that_of_one_release_and_of_no_other(tmp_path: Path, spark: str, *, pinned: bool) -> None:
    for name in ("hadoop-client-api-3.4.2.jar", f"spark-core_{spark}.jar"):
        (tmp_path / name).touch()
    hadoop_aws, sdk, committers = s3a.lacking(GIVEN, tmp_path)
    scala, _, version = spark.partition("-")
    assert committers.coordinates == ("org.apache.spark", f"spark-hadoop-cloud_{scala}", version)
    assert bool(committers.sha256) == pinned
    assert hadoop_aws.sha256
    assert sdk.slim_sha256
