from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cdktf import Fn, TerraformStack, TerraformVariable

from spark_cluster import SparkCluster, Workers, scaling

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

GROUP, TEMPLATE = "aws_autoscaling_group", "aws_launch_template"


def template_address(stack: Synthesized) -> str:
    return stack.address(TEMPLATE, "spark_workers_launch_template")


# --- the group ---------------------------------------------------------------------------------------------------


def test_a_group_of_one_to_four_workers_in_the_callers_subnets(default: Synthesized) -> None:
    body = default.the(GROUP)
    assert body["name"] == "demo-spark-workers"
    assert (body["min_size"], body["desired_capacity"], body["max_size"]) == (1, 1, 4)
    assert body["vpc_zone_identifier"] == ["subnet-1"]


def test_all_workers_are_spot_instances_of_several_types_at_up_to_the_on_demand_price(default: Synthesized) -> None:
    policy = default.the(GROUP)["mixed_instances_policy"]
    assert policy["instances_distribution"] == {
        "on_demand_base_capacity": 0,
        "on_demand_percentage_above_base_capacity": 0,
        "spot_allocation_strategy": "price-capacity-optimized",
    }
    assert policy["launch_template"]["override"] == [
        {"instance_type": instance_type} for instance_type in ("m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge")
    ]


def test_price_and_on_demand_base_reach_the_group(synthesize: Synthesize) -> None:
    body = synthesize(workers=Workers(spot_max_price="0.0095", on_demand_base_capacity=1)).the(GROUP)
    distribution = body["mixed_instances_policy"]["instances_distribution"]
    assert distribution["spot_max_price"] == "0.0095"
    assert distribution["on_demand_base_capacity"] == 1


def test_sizes_reach_the_group(synthesize: Synthesize) -> None:
    body = synthesize(workers=Workers(min_size=2, max_size=9, desired_size=5)).the(GROUP)
    assert (body["min_size"], body["desired_capacity"], body["max_size"]) == (2, 5, 9)


def test_a_group_of_nobody_is_made_with_a_strategy_that_leaves_zero(synthesize: Synthesize) -> None:
    body = synthesize(workers=Workers(min_size=0), scaling=scaling.Manual()).the(GROUP)
    assert (body["min_size"], body["desired_capacity"]) == (0, 0)


def test_a_deploy_does_not_undo_what_scaling_did(default: Synthesized) -> None:
    assert default.the(GROUP)["lifecycle"] == {"ignore_changes": ["desired_capacity"]}


def test_a_spot_instance_at_risk_is_replaced_ahead(default: Synthesized) -> None:
    assert default.the(GROUP)["capacity_rebalance"] is True


def test_a_worker_that_computes_is_not_ended_to_even_out_zones(default: Synthesized) -> None:
    assert default.the(GROUP)["suspended_processes"] == ["AZRebalance"]


def test_a_new_template_starts_a_rolling_refresh(default: Synthesized) -> None:
    """`$Latest` or `$Default` would not: only a number that changes is a change."""
    body = default.the(GROUP)
    specification = body["mixed_instances_policy"]["launch_template"]["launch_template_specification"]
    assert specification == {
        "launch_template_id": f"${{{template_address(default)}.id}}",
        "version": f"${{{template_address(default)}.latest_version}}",
    }
    assert body["instance_refresh"]["strategy"] == "Rolling"


NEW_FIRST = {
    "min_healthy_percentage": 100,
    "max_healthy_percentage": 110,
    "scale_in_protected_instances": "Refresh",
}
"""A new worker works before the old one goes, and no old one stays."""


def test_a_refresh_skips_nobody_where_ec2_resolves_the_ami_at_each_launch(default: Synthesized) -> None:
    """Auto Scaling refuses skip matching for a template that names a parameter, and the refresh with it."""
    assert default.the("aws_launch_template")["image_id"].startswith("resolve:ssm:")
    assert default.the(GROUP)["instance_refresh"]["preferences"] == NEW_FIRST


def test_a_refresh_leaves_workers_that_fit_where_the_ami_is_pinned(synthesize: Synthesize) -> None:
    preferences = synthesize(ami_id="ami-0123456789abcdef0").the(GROUP)["instance_refresh"]["preferences"]
    assert preferences == {**NEW_FIRST, "skip_matching": True}


def test_no_worker_is_protected_so_a_refresh_reaches_each(default: Synthesized) -> None:
    """A refresh leaves protected instances at their old template, unless it says otherwise."""
    assert "protect_from_scale_in" not in default.the(GROUP)


def test_a_worker_is_in_service_when_it_says_so(default: Synthesized) -> None:
    assert default.the(GROUP)["initial_lifecycle_hook"] == [
        {
            "name": "registered-with-master",
            "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            "default_result": "ABANDON",
            "heartbeat_timeout": 1800,
        }
    ]
    assert default.settings("worker")["launch_hook"] == "registered-with-master"


def test_the_initial_hook_is_the_only_one_since_any_change_of_it_replaces_the_group(synthesize: Synthesize) -> None:
    """Only `boot_timeout_seconds` changes it; its docstring says what that does."""
    variants = synthesize(workers=Workers(min_size=2, max_size=9), tags={"a": "b"}, key_name="ops", ami_id="ami-1")
    [hook] = variants.the(GROUP)["initial_lifecycle_hook"]
    assert hook["name"] == "registered-with-master"
    assert hook["heartbeat_timeout"] == 1800


HOOK = "aws_autoscaling_lifecycle_hook"


def test_a_worker_that_leaves_is_waited_for_until_it_says_so(default: Synthesized) -> None:
    """And for 200 seconds beyond the drain. Whoever says nothing is gone all the same.

    AWS deletes the hook with the group: where that is replaced, under the same name, the hook is made anew.
    """
    group = default.address(GROUP, "spark_workers_group")
    assert default.the(HOOK) == {
        "name": "drained",
        "autoscaling_group_name": f"${{{group}.name}}",
        "lifecycle": {"replace_triggered_by": [f"{group}.id"]},
        "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "default_result": "CONTINUE",
        "heartbeat_timeout": 1100,
    }
    settings = default.settings("worker")
    assert (settings["termination_hook"], settings["drain_timeout_seconds"]) == ("drained", 900)


@pytest.mark.parametrize("seconds", [10, 7000])
def test_the_hook_of_leaving_outlasts_the_drain_within_what_a_hook_takes(synthesize: Synthesize, seconds: int) -> None:
    """A hook's time-out is 30 to 7,200 seconds."""
    stack = synthesize(drain_timeout_seconds=seconds)
    assert stack.the(HOOK)["heartbeat_timeout"] == seconds + 200
    assert 30 <= stack.the(HOOK)["heartbeat_timeout"] <= 7200
    assert stack.settings("worker")["drain_timeout_seconds"] == seconds


def test_a_drain_s_time_changes_the_hook_and_the_workers_and_neither_group_nor_master(synthesize: Synthesize) -> None:
    """The hook in the group's own arguments would replace the group."""
    stack = synthesize(drain_timeout_seconds=60)
    assert stack.the(GROUP)["initial_lifecycle_hook"][0]["heartbeat_timeout"] == 1800
    assert stack.the(GROUP)["timeouts"] == {"delete": "2700s"}
    assert "drain_timeout_seconds" not in stack.settings("master")


def test_a_destroy_takes_the_hook_away_before_the_group(default: Synthesized) -> None:
    """Which completes what is outstanding: nobody waits for drains of a cluster that goes."""
    assert (
        default.address(GROUP, "spark_workers_group")
        in default.graph()[default.address(HOOK, "spark_workers_termination_hook")]
    )


def test_terraform_waits_longer_than_a_boot_may_last(default: Synthesized) -> None:
    """It waits until the workers are in service, ten minutes unless something else is said."""
    assert default.the(GROUP)["wait_for_capacity_timeout"] == "2700s"


def test_one_argument_gives_the_hooks_time_and_terraforms_wait(synthesize: Synthesize) -> None:
    stack = synthesize(boot_timeout_seconds=600)
    assert stack.the(GROUP)["initial_lifecycle_hook"][0]["heartbeat_timeout"] == 600
    assert stack.the(GROUP)["wait_for_capacity_timeout"] == "1500s"
    assert stack.settings("worker")["boot_timeout_seconds"] == 600
    assert stack.settings("master")["boot_timeout_seconds"] == 600


def test_a_launch_that_fails_ends_the_deploy(default: Synthesized) -> None:
    """The provider then ends its wait by the activity's message; otherwise a quota would be 45 silent minutes."""
    assert "ignore_failed_scaling_activities" not in default.the(GROUP)


@pytest.mark.parametrize(("boot_timeout_seconds", "wait"), [(120, "1020s"), (1800, "2700s"), (7200, "8100s")])
def test_deleting_the_group_outlasts_a_boot_that_its_hook_holds(
    synthesize: Synthesize, boot_timeout_seconds: int, wait: str
) -> None:
    """Ten minutes by default, and a worker that boots may be held for its hook's time."""
    assert synthesize(boot_timeout_seconds=boot_timeout_seconds).the(GROUP)["timeouts"] == {"delete": wait}


def test_the_groups_own_tags_do_not_repeat_the_templates(synthesize: Synthesize) -> None:
    """The template tags instances and volumes; a tag that both would propagate is refused by nobody and read by all."""
    stack = synthesize(tags={"team": "data"})
    tags = tags_of(stack, '{"team" = "data", "Name" = "demo-spark-worker"}')
    assert stack.the(GROUP)["dynamic"]["tag"] == {
        "for_each": f"${{{tags}}}",
        "iterator": "each",
        "content": {"key": "${each.key}", "value": "${each.value}", "propagate_at_launch": False},
    }


# --- the launch template -----------------------------------------------------------------------------------------


def test_the_template_has_the_workers_role_and_data(default: Synthesized) -> None:
    body = default.the(TEMPLATE)
    profile = default.address("aws_iam_instance_profile", "spark_worker_role_instance_profile")
    assert body["iam_instance_profile"] == {"arn": f"${{{profile}.arn}}"}
    compressed = default.address("terraform_data", "spark_workers_user_data_compressed")
    assert body["user_data"] == f"${{{compressed}.output.value}}"
    assert body["name_prefix"] == "demo-spark-worker-"


def test_the_modern_form_of_a_launch_configuration(default: Synthesized) -> None:
    """New accounts cannot make launch configurations at all."""
    assert not default.all("aws_launch_configuration")


def test_metadata_wants_a_session_and_is_not_reached_from_containers(default: Synthesized) -> None:
    assert default.the(TEMPLATE)["metadata_options"] == {
        "http_endpoint": "enabled",
        "http_tokens": "required",
        "http_put_response_hop_limit": 1,
    }


def test_the_root_volume_is_encrypted_gp3(default: Synthesized) -> None:
    assert default.the(TEMPLATE)["block_device_mappings"] == [
        {
            "device_name": "/dev/xvda",
            "ebs": {
                "volume_type": "gp3",
                "volume_size": 100,
                "throughput": 125,
                "iops": 3000,
                "encrypted": "true",
                "delete_on_termination": "true",
            },
        }
    ]


def test_cpu_is_measured_each_minute_where_scaling_reads_it(default: Synthesized) -> None:
    assert default.the(TEMPLATE)["monitoring"] == {"enabled": True}


def test_cpu_is_not_measured_in_detail_where_nothing_reads_it(synthesize: Synthesize) -> None:
    assert synthesize(scaling=scaling.Manual()).the(TEMPLATE)["monitoring"] == {"enabled": False}


def tags_of(stack: Synthesized, own: str) -> str:
    """The provider's default tags and the cluster's own, which win."""
    defaults = stack.address("data.aws_default_tags", "spark_workers_default_tags")
    return f"merge({defaults}.tags, {own})"


@pytest.mark.parametrize("base", [0, 1])
def test_all_that_a_worker_is_made_of_is_tagged_by_the_template(synthesize: Synthesize, base: int) -> None:
    """A launch fails if its template tags what it does not have, such as a request for spot of an on-demand one."""
    stack = synthesize(tags={"team": "data"}, workers=Workers(on_demand_base_capacity=base))
    body = stack.the(TEMPLATE)
    kinds = [one["resource_type"] for one in body["tag_specifications"]]
    assert kinds == ["instance", "volume", "network-interface", *(["spot-instances-request"] if base == 0 else [])]
    tags = tags_of(stack, '{"team" = "data", "Name" = "demo-spark-worker"}')
    assert {one["tags"] for one in body["tag_specifications"]} == {f"${{{tags}}}"}
    assert body["tags"] == {"team": "data", "Name": "demo-spark-worker"}


def test_public_addresses_are_the_subnets_choice(default: Synthesized) -> None:
    body = default.the(TEMPLATE)
    assert "network_interfaces" not in body
    assert len(body["vpc_security_group_ids"]) == 1


@pytest.mark.parametrize("text", ["true", "false"])
def test_a_choice_of_public_addresses_moves_the_groups_to_the_interface(synthesize: Synthesize, text: str) -> None:
    """EC2 refuses a template with groups at both places."""
    stack = synthesize(associate_public_ip_address=text == "true", security_group_ids=["sg-1"])
    body = stack.the(TEMPLATE)
    group = stack.address("aws_security_group", "spark_network_security_group")
    assert body["network_interfaces"] == [
        {
            "device_index": 0,
            "associate_public_ip_address": text,
            "security_groups": [f"${{{group}.id}}", "sg-1"],
            "delete_on_termination": "true",
        }
    ]
    assert "vpc_security_group_ids" not in body


def test_each_choice_reaches_the_template(synthesize: Synthesize) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    body = synthesize(
        workers=Workers(root_volume_gib=500), key_name="ops", ebs_optimized=True, volume_kms_key_arn=key
    ).the(TEMPLATE)
    [root] = body["block_device_mappings"]
    assert root["ebs"]["volume_size"] == 500
    assert root["ebs"]["kms_key_id"] == key
    assert body["key_name"] == "ops"
    assert body["ebs_optimized"] == "true"


def test_each_choice_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    def variable(name: str, kind: str = "string") -> TerraformVariable:
        return TerraformVariable(stack, name, type=kind)

    found = synthesize(
        workers=Workers(
            instance_types=[variable("type").string_value, "m5.xlarge"],
            min_size=variable("min", "number").number_value,
            max_size=variable("max", "number").number_value,
            desired_size=variable("desired", "number").number_value,
            spot_max_price=variable("price").string_value,
            on_demand_base_capacity=variable("base", "number").number_value,
            root_volume_gib=variable("size", "number").number_value,
            root_volume_throughput_mibps=variable("throughput", "number").number_value,
            root_volume_iops=variable("iops", "number").number_value,
        ),
        boot_timeout_seconds=variable("timeout", "number").number_value,
        drain_timeout_seconds=variable("drain", "number").number_value,
        ebs_optimized=variable("optimized", "bool").boolean_value,
        associate_public_ip_address=variable("public", "bool").boolean_value,
        volume_kms_key_arn=variable("kms").string_value,
        key_name=variable("key").string_value,
        tags={"team": variable("team").string_value},
    )
    group = found.the(GROUP)
    policy = group["mixed_instances_policy"]
    assert (group["min_size"], group["max_size"], group["desired_capacity"]) == (
        "${var.min}",
        "${var.max}",
        "${var.desired}",
    )
    assert policy["instances_distribution"]["spot_max_price"] == "${var.price}"
    assert policy["instances_distribution"]["on_demand_base_capacity"] == "${var.base}"
    assert policy["launch_template"]["override"][0] == {"instance_type": "${var.type}"}
    assert group["initial_lifecycle_hook"][0]["heartbeat_timeout"] == "${var.timeout}"
    assert group["wait_for_capacity_timeout"] == "${(try(var.timeout) + 900)}s"
    assert found.the(HOOK)["heartbeat_timeout"] == "${(try(var.drain) + 200)}"
    assert found.settings("worker")["drain_timeout_seconds"] == "${var.drain}"
    assert '"team" = var.team' in group["dynamic"]["tag"]["for_each"]
    template = found.the(TEMPLATE)
    [root] = template["block_device_mappings"]
    assert root["ebs"]["volume_size"] == "${var.size}"
    assert (root["ebs"]["throughput"], root["ebs"]["iops"]) == ("${var.throughput}", "${var.iops}")
    assert root["ebs"]["kms_key_id"] == "${var.kms}"
    assert template["ebs_optimized"] == "${var.optimized}"
    assert template["network_interfaces"][0]["associate_public_ip_address"] == "${var.public}"
    assert template["key_name"] == "${var.key}"
    assert '"team" = var.team' in template["tag_specifications"][1]["tags"]


def test_the_desired_size_is_the_minimum_where_only_terraform_knows_that(
    synthesize: Synthesize, stack: TerraformStack
) -> None:
    minimum = TerraformVariable(stack, "min", type="number").number_value
    assert synthesize(workers=Workers(min_size=minimum)).the(GROUP)["desired_capacity"] == "${var.min}"


def test_sizes_that_are_known_in_part_are_not_compared(synthesize: Synthesize, stack: TerraformStack) -> None:
    maximum = TerraformVariable(stack, "max", type="number").number_value
    body = synthesize(workers=Workers(min_size=50, max_size=maximum)).the(GROUP)
    assert (body["min_size"], body["max_size"]) == (50, "${var.max}")


def test_a_result_of_a_function_of_terraforms_is_a_size(synthesize: Synthesize) -> None:
    size = Fn.max([1, 2])
    assert synthesize(workers=Workers(min_size=size)).the(GROUP)["min_size"] == "${max(1, 2)}"


def test_the_cluster_tells_the_groups_name(default_cluster: SparkCluster) -> None:
    assert default_cluster.group_name == default_cluster.workers.group_name == "demo-spark-workers"


# --- refusals ----------------------------------------------------------------------------------------------------

TYPES_RULE = "be a list of instance types such as ['m6i.xlarge'] (its elements may be tokens, the list may not)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instance_types": []}, f"workers.instance_types must {TYPES_RULE}, got []"),
        ({"instance_types": "m5.large"}, f"workers.instance_types must {TYPES_RULE}, got 'm5.large'"),
        ({"instance_types": None}, f"workers.instance_types must {TYPES_RULE}, got None"),
        (
            {"instance_types": ["m5.large", "large"]},
            "workers.instance_types[1] must be an EC2 instance type such as 'm6i.xlarge', got 'large'",
        ),
        (
            {"instance_types": ["m5.large", "m5.large"]},
            "workers.instance_types must name each type once, got ['m5.large', 'm5.large']",
        ),
        ({"min_size": 5, "max_size": 3}, "workers.min_size must be at most workers.max_size, got 5 > 3"),
        (
            {"min_size": 2, "max_size": 3, "desired_size": 1},
            "workers.min_size must be at most workers.desired_size, got 2 > 1",
        ),
        (
            {"min_size": 1, "max_size": 3, "desired_size": 4},
            "workers.desired_size must be at most workers.max_size, got 4 > 3",
        ),
        ({"min_size": -1}, "workers.min_size must be a whole number of at least 0, got -1"),
        ({"min_size": 1.5}, "workers.min_size must be a whole number, got 1.5"),
        ({"min_size": "1"}, "workers.min_size must be a whole number, got '1'"),
        ({"min_size": True}, "workers.min_size must be a whole number, got True"),
        ({"max_size": None}, "workers.max_size must be a whole number, got None"),
        ({"desired_size": -1}, "workers.desired_size must be a whole number of at least 0, got -1"),
        (
            {"on_demand_base_capacity": -1},
            "workers.on_demand_base_capacity must be a whole number of at least 0, got -1",
        ),
        ({"root_volume_gib": 4}, "workers.root_volume_gib must be from 16 to 65536, got 4"),
        (
            {"spot_max_price": "cheap"},
            "workers.spot_max_price must be US dollars an hour as text, such as '0.0950', got 'cheap'",
        ),
        (
            {"spot_max_price": 0.0095},
            "workers.spot_max_price must be US dollars an hour as text, such as '0.0950', got 0.0095",
        ),
        (
            {"spot_max_price": "NaN"},
            "workers.spot_max_price must be US dollars an hour as text, such as '0.0950', got 'NaN'",
        ),
        (
            {"spot_max_price": "0.0001"},
            "workers.spot_max_price must be at least 0.001, the lowest price EC2 takes, got '0.0001'",
        ),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        Workers(**arguments)
    assert str(error.value) == message


def test_refuses_a_list_of_types_that_only_terraform_knows(stack: TerraformStack) -> None:
    types = TerraformVariable(stack, "types", type="list(string)").list_value
    with pytest.raises(
        ValueError, match=r"^workers\.instance_types must be a list .* \(its elements may be tokens, the "
    ):
        Workers(instance_types=types)


def test_refuses_a_variables_text_where_a_number_is_wanted(stack: TerraformStack) -> None:
    with pytest.raises(
        ValueError, match=r"^workers\.min_size must be a whole number \(convert with .*\), got a token$"
    ):
        Workers(min_size=TerraformVariable(stack, "size", type="string").string_value)  # type: ignore[arg-type]


def test_refuses_to_shrink_to_zero_with_a_strategy_that_never_leaves_it(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(workers=Workers(min_size=0))
    assert str(error.value) == (
        "workers.min_size must be at least 1 with scaling.Cpu, which cannot scale a group without workers, got 0"
    )


@pytest.mark.parametrize("seconds", [119, 7201])
def test_refuses_a_boot_timeout_beyond_what_a_hook_takes(synthesize: Synthesize, seconds: int) -> None:
    """A hook's time-out is at most 7,200 seconds."""
    with pytest.raises(ValueError, match=f"^boot_timeout_seconds must be from 120 to 7200, got {seconds}$"):
        synthesize(boot_timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (9, "drain_timeout_seconds must be from 10 to 7000, got 9"),
        (7001, "drain_timeout_seconds must be from 10 to 7000, got 7001"),
        (900.0, "drain_timeout_seconds must be a whole number, got 900.0"),
        (True, "drain_timeout_seconds must be a whole number, got True"),
        ("900", "drain_timeout_seconds must be a whole number, got '900'"),
        (None, "drain_timeout_seconds must be a whole number, got None"),
    ],
)
def test_refuses_a_drain_beyond_what_its_hook_covers(synthesize: Synthesize, seconds: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(drain_timeout_seconds=seconds)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("gib", "throughput", "iops"), [(100, 125, 3000), (16, 2000, 8000), (160, 2000, 80_000), (100, 750, 3003)]
)
def test_takes_what_gp3_takes(gib: int, throughput: int, iops: int) -> None:
    Workers(root_volume_gib=gib, root_volume_throughput_mibps=throughput, root_volume_iops=iops)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"root_volume_throughput_mibps": 124}, "root_volume_throughput_mibps must be from 125 to 2000, got 124"),
        ({"root_volume_throughput_mibps": 2001}, "root_volume_throughput_mibps must be from 125 to 2000, got 2001"),
        ({"root_volume_throughput_mibps": None}, "root_volume_throughput_mibps must be a whole number, got None"),
        ({"root_volume_iops": 2999}, "root_volume_iops must be from 3000 to 80000, got 2999"),
        ({"root_volume_iops": 80_001}, "root_volume_iops must be from 3000 to 80000, got 80001"),
        ({"root_volume_iops": "3000"}, "root_volume_iops must be a whole number, got '3000'"),
        (
            {"root_volume_throughput_mibps": 751},
            "root_volume_throughput_mibps must be at most 750, a quarter of workers.root_volume_iops, got 751",
        ),
        (
            {"root_volume_iops": 50_001},
            "root_volume_iops must be at most 50000, 500 for each GiB of workers.root_volume_gib, got 50001",
        ),
    ],
)
def test_refuses_a_volume_that_gp3_is_not(arguments: dict[str, Any], message: str) -> None:
    """https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-performance."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        Workers(**arguments)
    assert str(error.value) == f"workers.{message}"


@pytest.mark.parametrize("known", ["root_volume_gib", "root_volume_throughput_mibps", "root_volume_iops"])
def test_what_only_terraform_knows_of_a_volume_is_compared_with_nothing(stack: TerraformStack, known: str) -> None:
    token = TerraformVariable(stack, "figure", type="number").number_value
    figures: dict[str, Any] = {"root_volume_gib": 16, "root_volume_throughput_mibps": 2000, "root_volume_iops": 8000}
    Workers(**{**dict.fromkeys(figures, token), known: figures[known]})
    others: dict[str, Any] = {"root_volume_gib": 16, "root_volume_throughput_mibps": 125, "root_volume_iops": 3000}
    Workers(**{**others, known: token})
