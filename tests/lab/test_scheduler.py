"""A driver on another instance of the VPC, set up as docs/submitting.md has it for a scheduler."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, start, until, write
from lab.hosts import Host
from lab.lab import refused, run
from tests.lab.documents import blocks
from tests.lab.test_history import COPIED_SECONDS, SHOWN_SECONDS, in_bucket, shown_stages

if TYPE_CHECKING:
    from lab.lab import Lab

# What the document asks of the AWS command line, which the stand-in of Amazon Linux has not.
AWS = """#!/usr/bin/python3
import sys, boto3
name = sys.argv[sys.argv.index("--name") + 1]
print(boto3.client("ssm", "us-east-1").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
"""

JOB = """
import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("scheduled").getOrCreate()
pairs = spark.sparkContext.parallelize(range(100), 2).map(lambda number: (number % 2, number))
print("sums", sorted(pairs.reduceByKey(lambda one, other: one + other).collect()))
print("application", spark.sparkContext.applicationId, flush=True)
table = spark.conf.get("spark.sql.warehouse.dir") + "/scheduled"
spark.range(100).write.mode("overwrite").parquet(table)
print("rows", spark.read.parquet(table).count(), flush=True)
time.sleep(float(sys.argv[1]))
spark.stop()
"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def scheduler(lab: Lab, baked: Cluster) -> Host:
    """Its host, with Spark in a folder of its own."""
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    named = [{"Name": "tag:Name", "Values": ["scheduler"]}, {"Name": "instance-state-name", "Values": ["running"]}]
    ((one,),) = [each["Instances"] for each in lab.client("ec2").describe_instances(Filters=named)["Reservations"]]
    host = Host(one["InstanceId"])
    until(lambda: "done" in run(host, "cloud-init", "status").stdout, 120, "its boot")
    own = "mkdir -p /opt/own/conf && ln -sf $(ls -d /opt/spark-*/* | grep -v /conf$) /opt/own"
    assert run(host, "sh", "-c", own).returncode == 0
    write(host, "/usr/local/bin/aws", AWS)
    run(host, "chmod", "755", "/usr/local/bin/aws")
    write(host, "/root/job.py", JOB)
    return host


def as_documented(baked: Cluster, seconds: float) -> str:
    """The document's block, with this cluster's names, memory for a small worker, and an argument for the job."""
    block = next(one for one in blocks("submitting.md", "## From a scheduler") if one.language == "bash").text
    for theirs, ours in (
        ("analytics", "baked"),
        ("eu-central-1", "us-east-1"),
        ("BUCKET", baked.bucket()),
        ("12g", "1g"),
        ("job.py", f"job.py {seconds}"),
    ):
        assert theirs in block
        block = block.replace(theirs, ours)
    return f"cd /root; export SPARK_HOME=/opt/own; set -e\n{block}"


def test_a_driver_elsewhere_runs_as_the_docs_set_it_up_and_is_in_the_history(baked: Cluster, scheduler: Host) -> None:
    before = len(refused())
    done = run(scheduler, "bash", "-c", as_documented(baked, 0), timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "sums [(0, 2450), (1, 2500)]" in done.stdout
    assert "rows 100" in done.stdout
    (application,) = re.findall(r"(?m)^application (\S+)$", done.stdout)
    assert f"appstatus_{application}" in in_bucket(baked, application)
    until(lambda: {0, 1} <= set(shown_stages(baked, application)), SHOWN_SECONDS, "the history has it")
    ours = {host.instance_id for host in (scheduler, baked.master(), *baked.workers().values())}
    assert not [one for one in refused()[before:] if one["instance"] in ours]


def test_one_that_is_killed_leaves_no_log_of_what_it_did_last(baked: Cluster, scheduler: Host) -> None:
    """As the document says: S3A writes a file when it is closed. On the master it would be there."""
    driver = start(scheduler, "bash", "-c", as_documented(baked, 600))
    assert driver.stdout
    said = []
    for line in driver.stdout:
        said.append(line)
        if line.startswith("rows 100"):
            break
    (application,) = re.findall(r"(?m)^application (\S+)$", "".join(said))
    assert run(scheduler, "pkill", "-9", "-f", "SparkSubmit.*job.py").returncode == 0
    driver.communicate(timeout=60)
    assert [name for name in in_bucket(baked, application) if name.startswith("events_")] == []
    until(lambda: not [one for one in baked.state()["activeapps"] if one["id"] == application], COPIED_SECONDS, "gone")
