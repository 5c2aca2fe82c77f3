"""`cdktf destroy` of what was deployed, after all other tests: nothing is left, unless a bucket is to be kept.

By then Terraform has made each call that it makes here: the last test asks whether the rules of all are known.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab import calls
from lab.deployment import PROVIDER_COPY, Done
from lab.inventory import ClusterInAws
from tests.deploy.conftest import LONG, LONG_TESTS_ALONE, finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments

CLUSTERS = {
    "main": [("demo", "us-east-1")],
    "existing_stack": [("analytics", "eu-central-1")],
    "two_clusters": [("reports", "us-east-1"), ("backfill", "us-east-1")],
    "ported_module": [("platform", "ap-southeast-2")],
    "unasked": [("unasked", "eu-central-1")],
    # Its AMI and one of its subnets are gone by now.
    "kept_bucket": [("kept-bucket", "us-west-2")],
}
EMPTIED = ("existing_stack", "two_clusters", "ported_module")
"""Stacks that keep a bucket with objects in it: it is emptied first. The others delete theirs, objects included."""
REMOVED = [stack for stack in CLUSTERS if LONG or stack not in LONG_TESTS_ALONE]


def clusters(aws: EmulatedAws, stack: str) -> list[ClusterInAws]:
    return [ClusterInAws(aws, name, region) for name, region in CLUSTERS[stack]]


def bucket(cluster: ClusterInAws) -> str:
    (name,) = cluster.left()["buckets"]
    return str(name)


def empty(cluster: ClusterInAws) -> None:
    s3, name = cluster.client("s3"), bucket(cluster)
    versions = s3.list_object_versions(Bucket=name).get("Versions", [])
    named = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions]
    s3.delete_objects(Bucket=name, Delete={"Objects": named})


def protect(cluster: ClusterInAws) -> None:
    """As the master does with a worker that computes."""
    group = cluster.group()
    names = [member["InstanceId"] for member in group["Instances"]]
    cluster.client("autoscaling").set_instance_protection(
        AutoScalingGroupName=group["AutoScalingGroupName"], InstanceIds=names, ProtectedFromScaleIn=True
    )


@pytest.fixture(scope="module")
def removals(aws: EmulatedAws, deployments: Deployments) -> Iterator[dict[str, tuple[str, Future[Done]]]]:
    """All of them side by side, since nearly all of a destroy is waiting; each with the bucket that it began with."""
    begun = {}
    with ThreadPoolExecutor(max_workers=len(CLUSTERS) if PROVIDER_COPY else 1) as pool:
        for stack in REMOVED:
            deployment = finished(deployments, stack)
            # What only the deploy needed.
            variables = {name: text for name, text in deployment.variables.items() if name != "fleet_private_key"}
            deployment = replace(deployment, variables=variables)
            first = clusters(aws, stack)[0]
            name = bucket(first)
            for cluster in clusters(aws, stack) if stack in EMPTIED else ():
                empty(cluster)
            if stack not in EMPTIED:
                first.run_for_a_while(name)
            if stack == "unasked":
                protect(first)
            begun[stack] = name, pool.submit(deployment.destroy)
        yield begun


@pytest.mark.parametrize("stack", [stack for stack in REMOVED if stack != "kept_bucket"])
def test_destroy_leaves_nothing(aws: EmulatedAws, removals: dict[str, tuple[str, Future[Done]]], stack: str) -> None:
    _, future = removals[stack]
    assert future.result().returncode == 0, future.result().stdout[-4000:]
    for cluster in clusters(aws, stack):
        assert {kind: names for kind, names in cluster.left().items() if names} == {}


def test_destroy_keeps_a_bucket_that_holds_something_and_names_it(
    aws: EmulatedAws, removals: dict[str, tuple[str, Future[Done]]]
) -> None:
    name, future = removals["kept_bucket"]
    assert future.result().returncode != 0
    assert "BucketNotEmpty" in future.result().stdout
    assert name in future.result().stdout
    (cluster,) = clusters(aws, "kept_bucket")
    assert {kind: names for kind, names in cluster.left().items() if names} == {"buckets": [name]}


def test_every_call_that_terraform_made_is_one_whose_rules_are_listed(
    aws: EmulatedAws, removals: dict[str, tuple[str, Future[Done]]]
) -> None:
    """Otherwise `python -m lab.calls` adds it, and `make docs` shows its rules."""
    for _, future in removals.values():
        future.result()
    assert calls.missing(aws.calls) == [], f"python -m lab.calls {aws.calls}"
