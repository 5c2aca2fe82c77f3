"""Changes deployed over running clusters, and their end."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab.cluster import Cluster, start, until, write
from lab.demo import EXPECTED, run_job
from lab.hosts import all_hosts
from lab.inventory import ClusterInAws
from lab.lab import run
from tests.lab.conftest import NEXT_SPARK_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from lab.deployment import Deployment, Done
    from lab.lab import Lab

LONG_JOB = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("long").getOrCreate()
print("long job runs", flush=True)
spark.sparkContext.parallelize(range(2000), 2000).map(lambda _: time.sleep(2)).count()
print("long job is done", flush=True)
"""


def test_replaced_master_is_found_by_its_workers_and_a_driver_elsewhere_ends_with_an_error(
    keyless: Cluster, choices_deployment: Deployment, record_property: Callable[[str, object], None]
) -> None:
    (worker,) = keyless.workers().values()
    write(worker, "/opt/long.py", LONG_JOB)
    driver = start(worker, "runuser", "-u", "spark", "--", "/opt/spark/bin/spark-submit", "/opt/long.py")
    until(lambda: [app for app in keyless.state()["activeapps"] if app["cores"]], 120, "the long job has executors")
    before = keyless.in_aws.master()

    choices_deployment.context = {"keyless_master_moved": True}
    done = choices_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    after = keyless.in_aws.master()
    assert after["InstanceId"] != before["InstanceId"]
    assert after["PrivateIpAddress"] != before["PrivateIpAddress"]
    until(lambda: keyless.state().get("status") == "ALIVE", 240, "the new master answers")
    found = until(lambda: keyless.alive() == set(keyless.workers()), 240, "its worker has found it")
    start_of_end = time.monotonic()
    said, _ = driver.communicate(timeout=240)
    ended = time.monotonic() - start_of_end
    record_property("seconds until its worker had found the answering master:", round(found))
    record_property("further seconds until the driver ended:", round(ended))
    assert driver.returncode not in {0, None}
    assert "Master removed our application: its master was replaced" in said, said[-3000:]
    assert "long job is done" not in said


def test_new_spark_version_reaches_master_and_workers_one_after_the_other(
    lab: Lab, demo: Cluster, demo_deployment: Deployment
) -> None:
    old_master, old_workers = demo.in_aws.master()["InstanceId"], set(demo.members())
    demo_deployment.context = {**demo_deployment.context, "spark_version": NEXT_SPARK_VERSION}
    done = demo_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    assert demo.in_aws.master()["InstanceId"] != old_master
    group = {"AutoScalingGroupName": "demo-spark-workers"}
    client = lab.client("autoscaling")

    def refreshed() -> bool:
        return bool(client.describe_instance_refreshes(**group)["InstanceRefreshes"][0]["Status"] == "Successful")

    until(refreshed, 300, "the refresh of the workers is over")
    demo.wait_ready()
    assert not set(demo.members()) & old_workers
    for host in (demo.master(), *demo.workers().values()):
        assert run(host, "readlink", "/opt/spark").stdout.strip() == f"/opt/spark-{NEXT_SPARK_VERSION}"
    printed = run_job(lab, demo_deployment.outputs(), demo.master())
    assert f"answer: {EXPECTED}" in printed


def test_destroy_leaves_no_host(
    lab: Lab, demo_deployment: Deployment, background: dict[str, tuple[Deployment, Future[Done]]]
) -> None:
    assert any(host.first_process for host in all_hosts())
    deployments = [demo_deployment, *(deployment for deployment, _ in background.values())]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(lambda deployment: deployment.destroy(), deployments):
            assert done.returncode == 0, done.stdout[-4000:]
    left = {name: ClusterInAws(lab, name).left() for name in ("demo", "debian", "baked", "keyless", "broken")}
    assert [(name, kind, found) for name, kinds in left.items() for kind, found in kinds.items() if found] == []
    until(lambda: not [host for host in all_hosts() if host.first_process], 60, "no host is left")
