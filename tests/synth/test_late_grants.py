"""Permissions granted once the cluster is made: there before the node, unless they refer to it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cdktf import Fn, TerraformLocal, TerraformStack
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue

from spark_cluster import SparkCluster
from spark_cluster.identity import Allow
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized, plain, reached

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = {"master": "aws_instance.spark_master_instance", "worker": "aws_autoscaling_group.spark_workers_group"}
READ = ("sqs:ReceiveMessage",)


def plain_graph(stack: TerraformStack) -> dict[str, set[str]]:
    graph = Synthesized(stack).graph()
    return {plain(address): {plain(one) for one in needed} for address, needed in graph.items()}


def precedes(stack: TerraformStack, role: str) -> bool:
    """Whether the node of a role waits for the policy `late` of it; fails if Terraform would find a cycle."""
    graph = plain_graph(stack)
    policy, node = f"aws_iam_role_policy.spark_{role}_role_late", NODES[role]
    assert policy in graph
    assert node not in reached(graph, node)
    return policy in graph[node]


@pytest.fixture
def cluster(stack: TerraformStack) -> SparkCluster:
    return SparkCluster(stack, "spark", **REQUIRED)


@pytest.mark.parametrize("role", NODES)
def test_what_is_granted_after_the_cluster_is_there_before_the_node(
    stack: TerraformStack, cluster: SparkCluster, role: str
) -> None:
    """A `setup_script` that needs it would race."""
    queue = SqsQueue(stack, "queue")
    getattr(cluster, f"{role}_role").allow("late", Allow(READ, (queue.arn,)))
    assert precedes(stack, role)


def by_id(cluster: SparkCluster, _: TerraformStack) -> str:
    return f"arn:aws:ec2:us-east-1:111122223333:instance/{cluster.master.instance_id}"


def by_address(cluster: SparkCluster, _: TerraformStack) -> str:
    return f"arn:aws:x:::{cluster.master.instance.private_ip}"


def by_a_local(cluster: SparkCluster, stack: TerraformStack) -> str:
    return TerraformLocal(stack, "of_master", Fn.join("/", ["arn:aws:x:::", cluster.master_instance_id])).as_string


def by_another_resource(cluster: SparkCluster, stack: TerraformStack) -> str:
    return str(SqsQueue(stack, "queue", name=cluster.master_instance_id).arn)


def by_what_waits_for_it(cluster: SparkCluster, stack: TerraformStack) -> str:
    return str(SqsQueue(stack, "queue", depends_on=[cluster.master.record]).arn)


def by_the_group(cluster: SparkCluster, _: TerraformStack) -> str:
    return str(cluster.workers.group.arn)


@pytest.mark.parametrize(
    "resource", [by_id, by_address, by_a_local, by_another_resource, by_what_waits_for_it, by_the_group]
)
def test_what_refers_to_the_master_or_to_what_waits_for_it_comes_after_the_master(
    stack: TerraformStack, cluster: SparkCluster, resource: Callable[[SparkCluster, TerraformStack], str]
) -> None:
    cluster.master_role.allow("late", Allow(READ, (resource(cluster, stack),)))
    assert not precedes(stack, "master")


def test_what_refers_to_the_group_comes_after_the_group(stack: TerraformStack, cluster: SparkCluster) -> None:
    cluster.worker_role.allow("late", Allow(READ, (cluster.workers.group.arn,)))
    assert not precedes(stack, "worker")


def test_a_worker_may_be_granted_what_refers_to_the_master(stack: TerraformStack, cluster: SparkCluster) -> None:
    cluster.worker_role.allow("late", Allow(READ, (by_id(cluster, stack),)))
    assert precedes(stack, "worker")


def test_the_callers_own_order_stays(stack: TerraformStack, cluster: SparkCluster) -> None:
    queue = SqsQueue(stack, "queue")
    instance = cluster.master.instance
    instance.depends_on = [*(instance.depends_on or []), f"aws_sqs_queue.{queue.friendly_unique_id}"]
    cluster.storage.grant_read_data(cluster.master_role)
    waits_for = plain_graph(stack)[NODES["master"]]
    assert {"aws_sqs_queue.queue", "aws_iam_role_policy.spark_master_role_read_data"} <= waits_for
