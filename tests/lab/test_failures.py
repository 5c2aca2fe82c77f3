"""Boots that fail: fast, loudly, and in a place where one can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, until
from lab.hosts import Host

if TYPE_CHECKING:
    from lab.deployment import Done
    from lab.lab import Lab


@pytest.mark.long
def test_workers_whose_spark_never_starts_are_abandoned_and_replaced_and_the_deploy_fails(
    lab: Lab, broken_deployment: Done
) -> None:
    assert broken_deployment.returncode != 0
    assert "aws_autoscaling_group" in broken_deployment.stdout
    broken = Cluster(lab, "broken")
    assert broken.state()["status"] == "ALIVE"
    assert "InService" not in broken.members().values()
    until(lambda: len(failed_boots(broken)) >= 2, 60, "the first has been replaced, and that one has failed, too")
    failed = failed_boots(broken)
    for name in failed:
        assert "boot failed: wait_until_ready" in broken.boot_log(name)
        assert "Failed to find Spark jars directory" in broken.daemons_log(name), "what Spark itself said"
    # An abandoned launch enters the terminating hook, which would hold the instance for longer than the deploy took.
    until(lambda: len(set(failed) - broken.members().keys()) >= len(failed) - 1, 60, "they complete that hook, too")


def failed_boots(cluster: Cluster) -> list[str]:
    """The hosts whose Spark did not start."""
    said = "boot failed: wait_until_ready: spark-worker.service failed"
    return [name for name in cluster.in_aws.launched() if said in Host(name).console]
