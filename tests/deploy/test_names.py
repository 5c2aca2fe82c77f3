"""`main.py` deployed under one name, then under another, from the same folder."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lab.inventory import ClusterInAws
from tests.deploy.conftest import finished

if TYPE_CHECKING:
    from lab.deployment import Deployment
    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments

REGION = "eu-west-1"


def changes(deployment: Deployment) -> dict[str, str]:
    """What a deploy would change, but for what this AWS does not remember: that a policy is enabled."""
    done = deployment.diff()
    assert done.returncode == 0, done.stdout[-4000:]
    found = deployment.changes().items()
    return {address: action for address, action in found if not address.startswith("aws_autoscaling_policy.")}


@pytest.fixture(scope="module")
def first(deployments: Deployments) -> Deployment:
    return finished(deployments, "renamed")


@pytest.fixture(scope="module")
def first_cluster(aws: EmulatedAws, first: Deployment) -> ClusterInAws:
    return ClusterInAws(aws, "first", REGION)


@pytest.fixture(scope="module")
def before(first: Deployment, first_cluster: ClusterInAws) -> dict[str, Any]:
    """The first cluster after it has run for a while."""
    bucket = first.outputs()["bucket_name"]
    first_cluster.run_for_a_while(bucket)
    return {"bucket": bucket, "left": first_cluster.left(), "master": first_cluster.master()["InstanceId"]}


@pytest.fixture(scope="module")
def second(first: Deployment, before: dict[str, Any]) -> Deployment:
    """The same folder, with another name in its `cdktf.json`."""
    renamed = replace(first, stack="spark-cluster-second-eu-west-1", context={"name": "second", "region": REGION})
    done = renamed.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    return renamed


def test_the_cluster_is_in_a_zone_that_has_a_default_subnet(first_cluster: ClusterInAws) -> None:
    """`eu-west-1a`, which sorts first, offers all types and has none."""
    assert first_cluster.master()["Placement"]["AvailabilityZone"] == "eu-west-1c"


def test_another_name_leaves_the_cluster_of_before_with_its_data(
    aws: EmulatedAws, second: Deployment, first_cluster: ClusterInAws, before: dict[str, Any]
) -> None:
    assert second.outputs()["group_name"] == "second-spark-workers"
    assert second.outputs()["bucket_name"] != before["bucket"]
    assert first_cluster.left() == before["left"]
    assert first_cluster.master()["InstanceId"] == before["master"]
    assert first_cluster.client("s3").get_object(Bucket=before["bucket"], Key="data/result")["Body"].read() == b"new"


def test_a_destroy_takes_only_the_cluster_that_is_named(
    aws: EmulatedAws, second: Deployment, first_cluster: ClusterInAws, before: dict[str, Any]
) -> None:
    done = second.destroy()
    assert done.returncode == 0, done.stdout[-4000:]
    assert {kind: names for kind, names in ClusterInAws(aws, "second", REGION).left().items() if names} == {}
    assert first_cluster.left() == before["left"]


def test_output_finds_the_cluster_that_is_named_again(first: Deployment, second: Deployment) -> None:
    """The command line removes the folder of a stack that it did not synthesize; `make status` reads that folder."""
    assert not first.stack_folder.exists()
    done = first.output()
    assert done.returncode == 0, done.stdout[-4000:]
    show = ["terraform", "output", "-raw", "group_name"]
    shown = subprocess.run(show, cwd=first.stack_folder, stdout=subprocess.PIPE, text=True, check=True)
    assert shown.stdout == "first-spark-workers"


def test_the_name_of_before_finds_its_cluster_again_as_it_is_whatever_zones_offer_by_now(
    aws: EmulatedAws, first: Deployment, second: Deployment, first_cluster: ClusterInAws
) -> None:
    """The state file is its own; and a new default subnet, however its id sorts, does not move the master."""
    ec2, used = aws.client("ec2", REGION), first_cluster.master()["SubnetId"]
    while (new := ec2.create_default_subnet(AvailabilityZone="eu-west-1a")["Subnet"]["SubnetId"]) > used:
        ec2.delete_subnet(SubnetId=new)
    assert changes(first) == {}


def test_a_subnet_whose_zone_lacks_a_wanted_type_is_named_in_the_plan(
    first: Deployment, second: Deployment, first_cluster: ClusterInAws
) -> None:
    """The alternative would be to replace the master by one in another zone, such as `eu-west-1a`."""
    elsewhere = replace(first, context={**first.context, "worker_instance_types": ["c8a.2xlarge"]})
    assert elsewhere.diff().returncode != 0
    assert f"the cluster is in {first_cluster.master()['SubnetId']}, in whose zone not all of" in elsewhere.reason()


def test_the_former_state_file_is_to_be_renamed_and_then_found(first: Deployment, second: Deployment) -> None:
    now, old = (first.folder / f"terraform.{stack}.tfstate" for stack in (first.stack, "spark-cluster"))
    now.rename(old)
    refused = first.diff()
    assert refused.returncode != 0
    assert f"it must be renamed to {now.name}" in refused.stdout
    old.rename(now)
    assert changes(first) == {}


def test_destroy_leaves_nothing_of_the_first(
    first: Deployment, second: Deployment, first_cluster: ClusterInAws
) -> None:
    done = first.destroy()
    assert done.returncode == 0, done.stdout[-4000:]
    assert {kind: names for kind, names in first_cluster.left().items() if names} == {}
