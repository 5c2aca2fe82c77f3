"""Boots that fail: fast, loudly, and in a place where one can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cluster import Cluster, until
from lab.hosts import all_hosts

if TYPE_CHECKING:
    from lab.deployment import Done
    from lab.lab import Lab


def test_workers_whose_spark_never_starts_are_abandoned_and_replaced_and_the_deploy_fails(
    lab: Lab, broken_deployment: Done
) -> None:
    assert broken_deployment.returncode != 0
    assert "aws_autoscaling_group" in broken_deployment.stdout
    broken = Cluster(lab, "broken")
    assert broken.state()["status"] == "ALIVE"
    assert "InService" not in broken.members().values()
    consoles = {host.instance_id: host.console for host in all_hosts()}
    failed = [
        name
        for name, console in consoles.items()
        if "boot failed: wait_until_ready: spark-worker.service failed" in console
    ]
    assert len(failed) >= 2, "the first should have been replaced"
    for name in failed:
        assert "boot failed: wait_until_ready" in broken.boot_log(name)
        assert "Failed to find Spark jars directory" in broken.daemons_log(name), "what Spark itself said"
    # An abandoned launch enters the terminating hook, which would hold the instance for longer than the deploy took.
    until(lambda: len(set(failed) - broken.members().keys()) >= len(failed) - 1, 60, "they complete that hook, too")
