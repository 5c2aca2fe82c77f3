"""Changes deployed over running clusters, and their end."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, start, stop, until, write
from lab.demo import EXPECTED, run_job
from lab.inventory import ClusterInAws
from lab.lab import run
from tests.lab.conftest import NEXT_SPARK_VERSION, asked_for
from tests.lab.test_cluster import restart_over_broken_recovery_files
from tests.lab.test_history import SHOWN_SECONDS
from tests.lab.test_s3a import assert_writes_and_reads

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from lab.deployment import Deployment, Done
    from lab.lab import Lab
    from tests.lab.conftest import NextRelease

LONG_JOB = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("long").getOrCreate()
print("long job runs", flush=True)
spark.sparkContext.parallelize(range(2000), 2000).map(lambda _: time.sleep(2)).count()
print("long job is done", flush=True)
"""


@pytest.fixture(scope="module", autouse=True)
def meanwhile(request: pytest.FixtureRequest) -> None:
    """`demo` gets the next release, or has it; not beside failing downloads."""
    if "next_release" in asked_for(request):
        request.getfixturevalue("next_release")


@pytest.mark.long
@pytest.mark.parametrize(
    "is_lost",
    [pytest.param(False, id="whose host shuts down"), pytest.param(True, id="whose host is lost in silence")],
)
def test_replaced_master_is_found_by_its_workers_and_a_driver_elsewhere_ends_with_an_error(
    keyless: Cluster,
    choices_deployment: Deployment,
    record_property: Callable[[str, object], None],
    is_lost: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    (worker,) = keyless.workers().values()
    write(worker, "/opt/long.py", LONG_JOB)
    driver = start(worker, "runuser", "-u", "spark", "--", "/opt/spark/bin/spark-submit", "/opt/long.py")
    try:
        until(lambda: [app for app in keyless.state()["activeapps"] if app["cores"]], 120, "the long job has executors")
        before, was_moved = keyless.in_aws.master(), choices_deployment.context.get("keyless_master_moved", False)

        if is_lost:
            keyless.master().unplug()
        lost = time.monotonic()
        choices_deployment.context = {**choices_deployment.context, "keyless_master_moved": not was_moved}
        done = choices_deployment.deploy()
        assert done.returncode == 0, done.stdout[-4000:]
        after = keyless.in_aws.master()
        assert after["InstanceId"] != before["InstanceId"]
        assert after["PrivateIpAddress"] != before["PrivateIpAddress"]
        until(lambda: keyless.state().get("status") == "ALIVE", 240, "the new master answers")
        answered = time.monotonic()
        until(lambda: keyless.alive() == set(keyless.workers()), 120, "its worker has found it")
        found = time.monotonic()
        said, _ = driver.communicate(timeout=60)
        record_property("seconds from the loss until the new master answered:", round(answered - lost))
        record_property("further seconds until its worker had found it:", round(found - answered))
        record_property("further seconds until the driver ended:", round(time.monotonic() - found))
    finally:
        if driver.poll() is None:
            stop(worker, driver, "/opt/long.py")
    assert driver.returncode not in {0, None}
    assert "Master removed our application: its master was replaced" in said, said[-3000:]
    assert "long job is done" not in said


def test_new_spark_version_reaches_master_and_workers_one_after_the_other(
    lab: Lab, demo: Cluster, demo_deployment: Deployment, next_release: Future[NextRelease]
) -> None:
    change = next_release.result()
    assert change.done.returncode == 0, change.done.stdout[-4000:]
    assert demo.in_aws.master()["InstanceId"] != change.old_master
    assert "Master: Registered app" in demo.daemons_log(change.old_master), "what its daemons said outlives it"
    group = {"AutoScalingGroupName": "demo-spark-workers"}
    client = lab.client("autoscaling")

    def refreshed() -> bool:
        return bool(client.describe_instance_refreshes(**group)["InstanceRefreshes"][0]["Status"] == "Successful")

    until(refreshed, 300, "the refresh of the workers is over")
    demo.wait_ready()
    assert not set(demo.members()) & change.old_workers
    for host in (demo.master(), *demo.workers().values()):
        assert run(host, "readlink", "/opt/spark").stdout.strip() == f"/opt/spark-{NEXT_SPARK_VERSION}"
    printed = run_job(lab, demo_deployment.outputs(), demo.master())
    assert f"answer: {EXPECTED}" in printed
    until(lambda: demo.history_has(change.old_application), SHOWN_SECONDS, "the history outlives it, too")
    if not lab.without_maven:
        assert_writes_and_reads(demo, "next")


def test_master_of_an_older_spark_comes_up_over_broken_recovery_files(demo: Cluster) -> None:
    names = restart_over_broken_recovery_files(demo)
    assert {name.partition("-")[2] for name in names} == {"app_app-1", "app_app-2"}, "set aside, with their times"


def test_destroy_leaves_no_host(
    lab: Lab, demo_deployment: Deployment, background: dict[str, tuple[Deployment, Future[Done]]]
) -> None:
    """But those of `leaving`, with which another process may still be at work."""
    leaving = ClusterInAws(lab, "leaving")
    assert lab.running_hosts() - leaving.launched()
    assert lab.mounted_hosts() - leaving.launched()
    deployments = [demo_deployment, *(deployment for deployment, _ in background.values())]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda deployment: deployment.destroy(), deployments):
            assert done.returncode == 0, done.stdout[-4000:]
    left = {name: ClusterInAws(lab, name).left() for name in ("demo", "debian", "baked", "keyless", "broken")}
    assert [(name, kind, found) for name, kinds in left.items() for kind, found in kinds.items() if found] == []
    until(lambda: not lab.running_hosts() - leaving.launched(), 60, "no host is left")
    until(lambda: not lab.mounted_hosts() - leaving.launched(), 30, "no host's disk is left")
