"""What executors and daemons said, in the bucket, when they and their host are gone."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, ask_aws, start, until, write
from lab.lab import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from lab.hosts import Host
    from lab.lab import Lab

STORED_SECONDS = 45
"""`executor_logs.py`: a look each 12 s or so, and the storing."""
STOPPED_SECONDS = 60
"""What a host takes to go down, and what it stores then."""

JOB = """
import sys, time
from pyspark.sql import SparkSession
context = SparkSession.builder.appName("says").getOrCreate().sparkContext
def say(_):
    print("a task says so", file=sys.stderr, flush=True)
print("application", context.applicationId, flush=True)
for _ in range(600):
    context.parallelize(range(1), 1).foreach(say)
    time.sleep(1)
"""
SUBMIT = ("/usr/local/bin/spark-submit", "--executor-memory", "512m", "--conf", "spark.cores.max=1", "/opt/says.py")


@pytest.fixture(scope="module")
def application(demo: Cluster) -> Iterator[str]:
    """The id of an application that runs, with one executor at a time."""
    write(demo.master(), "/opt/says.py", JOB)
    driver = start(demo.master(), *SUBMIT)
    assert driver.stdout
    said = []
    for line in driver.stdout:
        said.append(line)
        if line.startswith("application "):
            yield line.split()[1]
            end(driver, demo.master())
            return
    raise AssertionError("".join(said)[-3000:])


def end(driver: Popen[str], master: Host) -> None:
    run(master, "pkill", "-u", "spark-driver", "-f", "org.apache.spark.deploy.SparkSubmit")
    driver.communicate(timeout=60)


def with_executor(demo: Cluster, application: str, executor: int) -> tuple[str, Host]:
    """The worker that has an executor which has said something."""
    log = f"/var/lib/spark-local/work/{application}/{executor}/stderr"
    found: list[tuple[str, Host]] = []

    def look() -> bool:
        found[:] = [
            (address, host)
            for address, host in demo.workers().items()
            if "a task says so" in run(host, "cat", log).stdout
        ]
        return bool(found)

    until(look, 90, f"executor {executor} says something")
    return found[0]


def test_a_killed_executor_s_log_is_in_the_bucket(
    demo: Cluster, application: str, record_property: Callable[[str, object], None]
) -> None:
    before = len(demo.refused())
    _, host = with_executor(demo, application, 0)
    assert run(host, "pkill", "-9", "-f", f"CoarseGrainedExecutorBackend.*{application}").returncode == 0
    stored = until(lambda: "0/stderr" in demo.executors_logs(application), STORED_SECONDS, "its log is in the bucket")
    record_property("seconds until a killed executor's log is in the bucket:", round(stored))
    with_executor(demo, application, 1)
    logs = demo.executors_logs(application)
    assert "a task says so" in logs["0/stderr"]
    assert set(logs) <= {"0/stderr", "0/stdout"}, "the next one runs"
    assert demo.refused()[before:] == []


@pytest.mark.long
def test_a_worker_that_auto_scaling_ends_leaves_the_logs_of_its_executor_and_of_its_daemon(
    lab: Lab, demo: Cluster, application: str
) -> None:
    before = len(demo.refused())
    address, host = with_executor(demo, application, 1)
    (worker,) = [one["id"] for one in demo.state()["workers"] if one["host"] == address and one["state"] == "ALIVE"]
    lab.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=host.instance_id, ShouldDecrementDesiredCapacity=False
    )
    until(lambda: "1/stderr" in demo.executors_logs(application), STOPPED_SECONDS, "its executor's log")
    assert "a task says so" in demo.executors_logs(application)["1/stderr"]
    until(lambda: demo.daemons_log(host.instance_id), STOPPED_SECONDS, "what the daemon said")
    assert f"Asked to launch executor {application}/1" in demo.daemons_log(host.instance_id)
    assert "spark-boot" not in demo.daemons_log(host.instance_id)
    assert demo.refused()[before:] == []

    page = (
        f"http://{demo.master_address()}:8080/proxy/{worker}/logPage/?appId={application}&executorId=1&logType=stderr"
    )

    def leads_to_the_bucket() -> bool:
        with urllib.request.urlopen(page, timeout=60) as answer:
            return f"s3://{demo.bucket()}/logs/{application}/1/" in answer.read().decode()

    until(leads_to_the_bucket, 90, "the link to its log leads to the bucket")
    until(lambda: host.instance_id not in demo.members(), 120, "the group has let it go")
    demo.wait_ready()


def test_the_rights_below_logs(demo: Cluster) -> None:
    """A worker adds there, the master for its daemons; neither reads or deletes what is there."""
    worker, master = next(iter(demo.workers().values())), demo.master()
    of_executor, of_daemons = "logs/app-x/0/stderr", "logs/daemons/i-x/journal.log"
    s3 = f"aws.client('s3').{{}}(Bucket={demo.bucket()!r}, Key={{!r}})"
    for host, key, is_allowed in (
        (worker, of_executor, True),
        (worker, of_daemons, True),
        (master, of_executor, False),
        (master, of_daemons, True),
    ):
        assert ("ETag" in ask_aws(host, s3.format("put_object", key))) == is_allowed
        for operation in ("get_object", "delete_object"):
            assert "AccessDenied" in ask_aws(host, s3.format(operation, key))
