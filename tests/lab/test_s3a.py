"""Jobs that read and write `s3a://` as every job does: no setting, no jar, no credentials of their own.

S3 has its own names and https here, with the lab's certificate; a bucket's policy and the nodes' roles are in force.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from lab import faults
from lab.cluster import Cluster, ask_aws, start, until, write
from lab.lab import connects, requests, run
from lab.places import AWS, MAVEN_HOST, REGION

if TYPE_CHECKING:
    from lab.hosts import Host
    from lab.lab import Lab

ROWS = 200_000

WRITE_AND_READ = f"""
import sys, time
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.appName("s3a").getOrCreate()
where, not_before = "{{where}}", {{not_before}}
print("started", flush=True)
spark.range(0, {ROWS}, 1, 4).withColumn("part", f.col("id") % 3).write.partitionBy("part").parquet(where)
time.sleep(max(0, not_before - time.time()))
back = spark.read.parquet(where)
sums = back.groupBy("part").agg(f.sum("id").alias("sum")).orderBy("part")
print("sums", [row["sum"] for row in sums.collect()])
table = where.rpartition("/")[2]
spark.sql(f"create table {{{{table}}}} using parquet as select 7 as n")
print("table", spark.table(table).first()[0])
"""
SUMS = f"sums {[sum(range(part, ROWS, 3)) for part in range(3)]}"

EXECUTORS_SAID = "cd /var/lib/spark-local/work && cat $(ls -td app-* | head -1)/*/stderr"

SLOW_WRITE = """
import time
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.appName("slow").getOrCreate()
slowly = f.udf(lambda n: time.sleep(1) or n, "long")
spark.range(0, 80, 1, 40).select(slowly("id").alias("id")).write.parquet("{where}")
print("sum", spark.read.parquet("{where}").selectExpr("sum(id)").first()[0])
"""


@pytest.fixture(scope="module", autouse=True)
def with_maven(lab: Lab) -> None:
    if lab.without_maven:
        pytest.skip(lab.without_maven)


def assert_writes_and_reads(cluster: Cluster, name: str, *, not_before: float = 0) -> str:
    """Write partitioned parquet and read it back; return the job's errors, of which none is of S3A's."""
    where, master = f"s3a://{cluster.bucket()}/data/{name}", cluster.master()
    write(master, "/opt/s3a.py", WRITE_AND_READ.format(where=where, not_before=not_before))
    before = len(cluster.refused())
    done = run(master, "/usr/local/bin/spark-submit", "/opt/s3a.py", timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert SUMS in done.stdout, done.stdout
    assert "table 7" in done.stdout
    assert cluster.refused()[before:] == []
    of_executors = [run(one, "sh", "-c", EXECUTORS_SAID).stdout for one in cluster.workers().values()]
    assert all(" INFO " in said for said in of_executors)
    lines = [line for said in (done.stderr, *of_executors) for line in said.splitlines()]
    complaints = [line for line in lines if " WARN " in line or " ERROR " in line]
    assert [line for line in complaints if "s3a" in line.lower()] == []
    s3 = cluster.in_aws.client("s3")
    success = s3.get_object(Bucket=cluster.bucket(), Key=f"data/{name}/_SUCCESS")["Body"].read()
    assert json.loads(success)["committer"] == "magic"
    assert_nothing_half_done(cluster, f"data/{name}/")
    return done.stderr


def pending_uploads(cluster: Cluster, prefix: str) -> list[str]:
    listed = cluster.in_aws.client("s3").list_multipart_uploads(Bucket=cluster.bucket(), Prefix=prefix)
    return [one["Key"] for one in listed.get("Uploads", [])]


def assert_nothing_half_done(cluster: Cluster, prefix: str) -> None:
    assert pending_uploads(cluster, prefix) == []
    listed = cluster.in_aws.client("s3").list_objects_v2(Bucket=cluster.bucket(), Prefix=prefix)["Contents"]
    keys = [one["Key"] for one in listed]
    assert [key for key in keys if "magic" in key or "_temporary" in key] == []


def test_a_node_knows_aws_by_its_own_names_alone(demo: Cluster) -> None:
    bucket = demo.bucket()
    for host in (demo.master(), *demo.workers().values()):
        for name in (f"{bucket}.s3.{REGION}.amazonaws.com", f"ssm.{REGION}.amazonaws.com"):
            assert AWS in run(host, "getent", "ahosts", name).stdout
        told = run(host, "bash", "-c", "systemctl show-environment; cat /proc/1/environ; grep -r AWS_ /etc/environment")
        assert "AWS_" not in told.stdout


def test_the_jars_come_from_maven_once_and_then_from_the_bucket(demo: Cluster) -> None:
    jars = [one for one in requests() if str(one["url"]).startswith(f"https://{MAVEN_HOST}/") and one["bytes"]]
    whole = [one for one in jars if str(one["url"]).endswith(".jar")]
    of_demo = [one for one in whole if one["client"] == demo.master_address()]
    assert len({str(one["url"]) for one in of_demo}) == len(of_demo) == 4
    addresses = {worker["host"] for worker in demo.state()["workers"]}
    assert not [one for one in jars if one["client"] in addresses]
    for host in (demo.master(), *demo.workers().values()):
        found = run(
            host, "sh", "-c", "ls /opt/spark/jars | grep -cE '^(hadoop-aws|bundle|analytics|spark-hadoop-cloud)'"
        )
        assert found.stdout.strip() == "4"


def test_a_job_writes_and_reads_and_outlives_its_first_credentials(demo: Cluster) -> None:
    worker, now = next(iter(demo.workers().values())), time.time()
    with faults.injected(credentials_end={"demo": (now, now + 60)}):
        first = _credentials(worker)
        assert_writes_and_reads(demo, "first", not_before=now + 61)
        assert _credentials(worker)["AccessKeyId"] != first["AccessKeyId"]
        assert "ExpiredToken" in _list_with(worker, first, demo.bucket())


@pytest.mark.long
def test_a_worker_that_loses_its_power_while_it_writes_leaves_nothing_half_done(demo: Cluster) -> None:
    demo.set_size(2)
    until(lambda: len(demo.workers()) == len(demo.alive()) == 2, 240, "two workers")
    where, master = f"s3a://{demo.bucket()}/data/slow", demo.master()
    write(master, "/opt/slow.py", SLOW_WRITE.format(where=where))
    job = start(master, "/usr/local/bin/spark-submit", "/opt/slow.py")
    try:
        until(lambda: len(pending_uploads(demo, "data/slow/")) > 4, 120, "tasks have uploaded")
        next(iter(demo.workers().values())).cut_power()
        said, _ = job.communicate(timeout=300)
    finally:
        job.kill()
    assert job.returncode == 0, said[-4000:]
    assert f"sum {sum(range(80))}" in said
    assert_nothing_half_done(demo, "data/slow/")
    demo.wait_ready(180)


def test_the_rights_of_each_prefix(demo: Cluster) -> None:
    """Those of which S3A makes use: uploads are listed and ended, objects deleted by the thousand."""
    (worker, *_), bucket = demo.workers().values(), demo.bucket()
    s3 = f"aws.client('s3').{{}}(Bucket={bucket!r}, {{}})"
    assert "ResponseMetadata" in ask_aws(worker, s3.format("list_multipart_uploads", "Prefix='data/'"))
    for prefix, is_allowed in (("data/x", True), ("artifacts/node/x", False), ("boot-logs/x", False)):
        delete = s3.format("delete_objects", f"Delete={{'Objects': [{{'Key': {prefix!r}}}]}}")
        assert ("AccessDenied" in ask_aws(worker, delete)) != is_allowed
        begin = s3.format("create_multipart_upload", f"Key={prefix!r}")
        assert ("AccessDenied" in ask_aws(worker, begin)) != (is_allowed or prefix.startswith("boot-logs"))


@pytest.mark.long
def test_an_older_spark_on_debian_goes_through_the_proxy_and_uses_the_key_of_the_bucket(debian: Cluster) -> None:
    before = len(connects())
    assert_writes_and_reads(debian, "older")
    (worker,) = debian.workers()
    host = f"{debian.bucket()}.s3.{REGION}.amazonaws.com"
    through = {one["client"] for one in connects()[before:] if one["host"] == host}
    assert {worker, debian.master_address()} <= through
    s3 = debian.in_aws.client("s3")
    key = s3.head_object(Bucket=debian.bucket(), Key="data/older/_SUCCESS")
    assert key["ServerSideEncryption"] == "aws:kms"
    assert "spark-3.5.9" in run(debian.master(), "readlink", "/opt/spark").stdout


def _credentials(host: Host) -> dict[str, str]:
    """What the metadata service gives a host now."""
    ask = """
    base=http://169.254.169.254/latest
    token=$(curl -sSf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
    roles=$base/meta-data/iam/security-credentials/
    get() { curl -sSf -H "X-aws-ec2-metadata-token: $token" "$1"; }
    get "$roles$(get $roles)"
    """
    given: dict[str, str] = json.loads(run(host, "bash", "-c", ask).stdout)
    return given


def _list_with(host: Host, given: dict[str, str], bucket: str) -> str:
    """What S3 says to who lists a bucket with these credentials."""
    code = f"""
import boto3
session = boto3.session.Session({given["AccessKeyId"]!r}, {given["SecretAccessKey"]!r}, {given["Token"]!r}, {REGION!r})
session.client("s3").list_objects_v2(Bucket={bucket!r})
"""
    return run(host, "/usr/bin/python3", "-c", code).stderr
