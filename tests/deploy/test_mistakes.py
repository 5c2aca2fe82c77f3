"""Deploys that are to fail, and say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.inventory import ClusterInAws

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lab.deployment import Deployment, Done
    from tests.deploy.conftest import EmulatedAws

    Deployments = dict[str, tuple[Deployment, Future[Done]]]


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
