"""Deploys that are to fail, and say why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.inventory import ClusterInAws

if TYPE_CHECKING:
    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments


def test_subnet_of_another_vpc_is_refused_before_anything_is_made(aws: EmulatedAws, deployments: Deployments) -> None:
    deployment, future = deployments["wrong_subnet"]
    assert future.result().returncode != 0
    assert "subnet_ids must name subnets of the VPC" in deployment.reason()
    assert not any(ClusterInAws(aws, "wrong-subnet", "us-west-2").left().values())


def test_missing_ami_is_refused_before_anything_is_made(aws: EmulatedAws, deployments: Deployments) -> None:
    deployment, future = deployments["missing_ami"]
    assert future.result().returncode != 0
    assert "query returned no results" in deployment.reason()
    assert not any(ClusterInAws(aws, "missing-ami", "us-west-2").left().values())


def test_a_first_deploy_that_cannot_get_workers_says_why_and_the_next_one_goes_on(
    aws: EmulatedAws, deployments: Deployments
) -> None:
    """The group that never had its workers is replaced; nothing else is, and nothing is lost."""
    deployment, future = deployments["no_workers"]
    first = future.result()
    assert first.returncode != 0
    said = " ".join(re.sub("[│╷╵]", "", first.stdout).split())
    assert "waiting for Auto Scaling Group (no-workers-spark-workers) capacity satisfied: scaling activity" in said
    assert "MaxSpotInstanceCountExceeded - Max spot instance count exceeded" in said
    cluster = ClusterInAws(aws, "no-workers", "us-west-2")
    master = cluster.master()["InstanceId"]
    (bucket,) = cluster.left()["buckets"]
    cluster.client("s3").put_object(Bucket=bucket, Key="data/result", Body=b"precious")

    second = deployment.deploy()
    assert second.returncode == 0, second.stdout[-4000:]
    assert deployment.outputs() == {"bucket_name": bucket, "master_instance_id": master}
    assert cluster.client("s3").get_object(Bucket=bucket, Key="data/result")["Body"].read() == b"precious"
    assert len(cluster.instances("worker")) == 1
