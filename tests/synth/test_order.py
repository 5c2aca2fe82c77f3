"""The order in which Terraform makes and removes things, walked in the synthesized graph.

Not here, because no synthesized stack can show it: that IAM, new buckets and new parameters are eventually consistent
(the nodes' programs retry for five minutes, and their tests say so); that an abandoned host takes its log with it (the
nodes' programs copy it to the bucket first); that Auto Scaling makes its own service-linked roles and the provider
retries the race about a new instance profile (nothing to do); that DHCP options with other DNS servers break a private
zone, and that private subnets without NAT need endpoints (a data source tells neither: docs/architecture.md and
docs/private-subnets.md do);
that a group whose creation failed is tainted, and that an instance refresh is started and not awaited (the provider's
doing: the output `wait_command` waits); that protecting instances from scale-in takes 50 ids a call and fails for all
if one is not in service, and holds up a deletion (nothing here protects any: test_workers.py).
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from spark_cluster import SparkArchive, SparkCluster
from tests.synth.synthesized import Synthesized, plain, reached

if TYPE_CHECKING:
    from cdktf import TerraformStack

    from tests.synth.conftest import Synthesize

GROUP = ("aws_autoscaling_group", "spark_workers_group")
MASTER = ("aws_instance", "spark_master_instance")
RECORD = ("aws_route53_record", "spark_network_master_record")

NEEDED_BY_BOTH = {
    "aws_vpc_security_group_ingress_rule.spark_network_nodes_in",
    "aws_vpc_security_group_egress_rule.spark_network_nodes_out",
    "aws_vpc_security_group_egress_rule.spark_network_all_ipv4_out",
    "aws_vpc_security_group_egress_rule.spark_network_all_ipv6_out",
    "aws_s3_bucket_policy.spark_storage_policy",
    "aws_s3_bucket_public_access_block.spark_storage_public_access_block",
    "aws_s3_bucket_ownership_controls.spark_storage_ownership",
    "aws_s3_bucket_server_side_encryption_configuration.spark_storage_encryption",
    "aws_s3_bucket_versioning.spark_storage_versioning",
    "aws_ssm_parameter.spark_spark_secret_parameter",
    "aws_ssm_parameter.spark_fleet_key_private_parameter",
    "aws_ssm_parameter.spark_fleet_key_public_parameter",
}
MASTER_POLICIES = {
    f"aws_iam_role_policy.spark_master_role_{name}"
    for name in (
        "artifacts",
        "boot_logs",
        "data",
        "event_logs",
        "fallback",
        "fleet_private_key",
        "fleet_public_key",
        "logs",
        "session_manager",
        "spark_secret",
        "take_workers_out",
        "watch_workers",
    )
}
WORKER_POLICIES = {
    f"aws_iam_role_policy.spark_worker_role_{name}"
    for name in (
        "artifacts",
        "boot_logs",
        "complete_launch",
        "data",
        "fallback",
        "fleet_public_key",
        "logs",
        "session_manager",
        "spark_secret",
    )
}


def behind(stack: Synthesized, thing: tuple[str, str]) -> set[str]:
    return {plain(address) for address in reached(stack.graph(), stack.address(*thing))}


def test_the_graph_has_no_cycle(default: Synthesized) -> None:
    assert list(TopologicalSorter(default.graph()).static_order())


def test_the_group_waits_for_all_that_a_worker_uses(default: Synthesized) -> None:
    needed = NEEDED_BY_BOTH | WORKER_POLICIES | MASTER_POLICIES
    needed |= {".".join(RECORD), ".".join(MASTER), "aws_s3_object.spark_workers_user_data_programs"}
    assert behind(default, GROUP) >= needed


def test_the_master_waits_for_all_that_it_uses(default: Synthesized) -> None:
    needed = NEEDED_BY_BOTH | MASTER_POLICIES | {"aws_s3_object.spark_master_user_data_programs"}
    assert behind(default, MASTER) >= needed


def test_every_policy_of_the_roles_is_among_those(default: Synthesized) -> None:
    assert {
        f"aws_iam_role_policy.{name}" for name in default.all("aws_iam_role_policy")
    } == MASTER_POLICIES | WORKER_POLICIES


def test_group_and_master_name_policies_rules_and_parameters_themselves(default: Synthesized) -> None:
    """None of these is in an argument of theirs, so none is an implied dependency."""
    for thing in (GROUP, MASTER):
        direct = {plain(address) for address in default.graph()[default.address(*thing)]}
        assert direct >= NEEDED_BY_BOTH | MASTER_POLICIES


def test_a_policy_that_is_granted_by_arguments_is_waited_for_too(synthesize: Synthesize) -> None:
    stack = synthesize(spark_archive=SparkArchive("s3://bucket/spark.tgz", "a" * 64))
    assert "aws_iam_role_policy.spark_worker_role_spark_archive" in behind(stack, GROUP)
    assert "aws_iam_role_policy.spark_master_role_spark_archive" in behind(stack, MASTER)


def test_workers_start_after_the_record_since_a_missing_name_is_remembered(default: Synthesized) -> None:
    """A resolver keeps "no such name" for the zone's negative time, 900 seconds by default."""
    assert ".".join(RECORD) in {plain(address) for address in default.graph()[default.address(*GROUP)]}


def test_the_master_does_not_wait_for_its_record(default: Synthesized) -> None:
    assert ".".join(RECORD) not in behind(default, MASTER)


def test_nothing_that_a_node_needs_waits_for_the_group(default: Synthesized) -> None:
    """The group is there only when its first workers are in service, so a worker's need of it would never be met."""
    graph = default.graph()
    group = default.address(*GROUP)
    assert {plain(address) for address, found in graph.items() if group in found} == {
        "aws_autoscaling_lifecycle_hook.spark_workers_termination_hook",
        "aws_autoscaling_policy.spark_workers_scaling_scale_in_policy",
        "aws_autoscaling_policy.spark_workers_scaling_scale_out_policy",
        "aws_cloudwatch_metric_alarm.spark_workers_scaling_scale_in_alarm",
        "aws_cloudwatch_metric_alarm.spark_workers_scaling_scale_out_alarm",
    }
    for thing in (GROUP, MASTER, RECORD):
        assert group not in reached(graph, default.address(*thing))


def test_the_groups_name_is_the_same_literal_wherever_it_is_named(default: Synthesized) -> None:
    name = "demo-spark-workers"
    assert default.the(*GROUP)["name"] == name
    assert default.settings("master")["group"] == name
    assert default.settings("worker")["group"] == name
    [statement] = default.policies("worker")["complete_launch"]
    assert statement["Resource"][0].endswith(f":autoScalingGroup:*:autoScalingGroupName/{name}")


def test_nobody_waits_for_the_buckets_lifecycle_rules(default: Synthesized) -> None:
    """The provider waits nearly a minute for them to read back the same."""
    rules = default.address("aws_s3_bucket_lifecycle_configuration", "spark_storage_lifecycle_rules")
    assert not [address for address, found in default.graph().items() if rules in found]


@pytest.mark.parametrize("thing", [GROUP, MASTER])
def test_what_a_node_uses_is_removed_after_it(default: Synthesized, thing: tuple[str, str]) -> None:
    """Terraform removes in the opposite order, so this is the same graph: role, profile, bucket, key and zone stay."""
    role = "workers" if thing is GROUP else "master"
    kind = "worker" if thing is GROUP else "master"
    assert behind(default, thing) >= {
        f"aws_iam_role.spark_{kind}_role",
        f"aws_iam_instance_profile.spark_{kind}_role_instance_profile",
        "aws_s3_bucket.spark_storage_bucket",
        "aws_security_group.spark_network_security_group",
        f"local.spark_{role}_user_data_settings",
    }


def test_a_programs_object_is_replaced_before_the_old_one_goes(default: Synthesized) -> None:
    """Until the group has the new template, a worker may still start with the old one, and fetch what that names."""
    for body in default.all("aws_s3_object").values():
        assert body["lifecycle"] == {"create_before_destroy": True}


def test_depends_on_names_resources_and_is_never_empty(default: Synthesized) -> None:
    """A construct in `depends_on` becomes an empty list, silently."""
    named = [
        body["depends_on"]
        for found in default.json["resource"].values()
        for body in found.values()
        if "depends_on" in body
    ]
    assert len(named) == 5
    assert all(named)
    assert {address for each in named for address in each} <= set(default.addresses())


def test_two_clusters_in_one_stack_share_nothing(stack: TerraformStack, synthesize: Synthesize) -> None:
    SparkCluster(stack, "other", name="other", vpc_id="vpc-1", subnet_ids=["subnet-1"])
    both = synthesize()
    graph = both.graph()
    for address in graph:
        own = address.rpartition(".")[2].partition("_")[0]
        assert {found.rpartition(".")[2].partition("_")[0] for found in reached(graph, address)} <= {own}


def test_terraform_reads_the_references_that_this_module_walks(default: Synthesized) -> None:
    """The walk sees through locals: the master's settings are made of the bucket's name, say."""
    settings = [address for address in default.graph() if plain(address) == "local.spark_master_user_data_settings"]
    assert {plain(address) for address in default.graph()[settings[0]]} >= {
        "aws_s3_bucket.spark_storage_bucket",
        "aws_ssm_parameter.spark_spark_secret_parameter",
        "data.aws_region.spark_location_region",
    }
