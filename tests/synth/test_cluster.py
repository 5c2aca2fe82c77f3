from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsii
import pytest
from cdktf import App, Aspects, IAspect, TerraformHclModule, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_vpc_endpoint import DataAwsVpcEndpoint
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from constructs import Construct, IConstruct

from spark_cluster import Allow, CallerRole, SparkCluster
from spark_cluster.fleet_key import Generated
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized, expressions, new_app, reached, strings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.synth.conftest import Synthesize

ADDRESSES = """\
aws_autoscaling_group.spark_workers_group_D0490F13
aws_autoscaling_lifecycle_hook.spark_workers_termination_hook_5C0033F6
aws_autoscaling_policy.spark_workers_scaling_scale_in_policy_51731B79
aws_autoscaling_policy.spark_workers_scaling_scale_out_policy_CF27775F
aws_cloudwatch_metric_alarm.spark_master_impaired_C5601793
aws_cloudwatch_metric_alarm.spark_workers_scaling_scale_in_alarm_0A15A67E
aws_cloudwatch_metric_alarm.spark_workers_scaling_scale_out_alarm_22F17C86
aws_iam_instance_profile.spark_master_role_instance_profile_50694939
aws_iam_instance_profile.spark_worker_role_instance_profile_549A947F
aws_iam_role.spark_master_role_DF8D7F07
aws_iam_role.spark_worker_role_014947C4
aws_iam_role_policy.spark_master_role_artifacts_AB60FBC3
aws_iam_role_policy.spark_master_role_boot_logs_D0A369FA
aws_iam_role_policy.spark_master_role_data_A9DBE231
aws_iam_role_policy.spark_master_role_event_logs_1004876E
aws_iam_role_policy.spark_master_role_fallback_F1D35D16
aws_iam_role_policy.spark_master_role_fleet_private_key_A07A58CF
aws_iam_role_policy.spark_master_role_fleet_public_key_DD5A6984
aws_iam_role_policy.spark_master_role_logs_115E3D49
aws_iam_role_policy.spark_master_role_session_manager_638850D0
aws_iam_role_policy.spark_master_role_spark_secret_15C60BAA
aws_iam_role_policy.spark_master_role_take_workers_out_3B8B7534
aws_iam_role_policy.spark_master_role_watch_workers_202CCD2C
aws_iam_role_policy.spark_worker_role_artifacts_3E8BF796
aws_iam_role_policy.spark_worker_role_boot_logs_56AF3A43
aws_iam_role_policy.spark_worker_role_complete_launch_95065ED5
aws_iam_role_policy.spark_worker_role_data_36A666E2
aws_iam_role_policy.spark_worker_role_fallback_B03565EF
aws_iam_role_policy.spark_worker_role_fleet_public_key_8B9B71B2
aws_iam_role_policy.spark_worker_role_logs_4C66BB50
aws_iam_role_policy.spark_worker_role_session_manager_69F70DF7
aws_iam_role_policy.spark_worker_role_spark_secret_6F82560F
aws_instance.spark_master_instance_08F7AA7C
aws_launch_template.spark_workers_launch_template_61F923CD
aws_route53_record.spark_network_master_record_F55A06B2
aws_route53_zone.spark_network_zone_29EB16FF
aws_s3_bucket.spark_storage_bucket_055D85FE
aws_s3_bucket_lifecycle_configuration.spark_storage_lifecycle_rules_D93779F1
aws_s3_bucket_ownership_controls.spark_storage_ownership_0FE4F012
aws_s3_bucket_policy.spark_storage_policy_8204700A
aws_s3_bucket_public_access_block.spark_storage_public_access_block_BB176E98
aws_s3_bucket_server_side_encryption_configuration.spark_storage_encryption_A614CEE8
aws_s3_bucket_versioning.spark_storage_versioning_FDB46B8A
aws_s3_object.spark_master_user_data_programs_33A74DEA
aws_s3_object.spark_workers_user_data_programs_8BB343F1
aws_security_group.spark_network_security_group_EFF87320
aws_ssm_parameter.spark_about_parameter_402137FD
aws_ssm_parameter.spark_fleet_key_private_parameter_B4DB0EE5
aws_ssm_parameter.spark_fleet_key_public_parameter_91C8334B
aws_ssm_parameter.spark_spark_secret_parameter_A901E571
aws_vpc_security_group_egress_rule.spark_network_all_ipv4_out_36931802
aws_vpc_security_group_egress_rule.spark_network_all_ipv6_out_A8EEC051
aws_vpc_security_group_egress_rule.spark_network_nodes_out_48FE99E0
aws_vpc_security_group_ingress_rule.spark_network_nodes_in_521C5A2D
data.aws_caller_identity.spark_location_caller_30DA49A2
data.aws_default_tags.spark_workers_default_tags_9D851D4A
data.aws_partition.spark_location_partition_A4F5EA28
data.aws_region.spark_location_region_46A3D154
data.aws_ssm_parameter.spark_image_amazon_linux_9F0C0360
data.aws_subnets.spark_network_subnets_59CA5D07
data.aws_vpc.spark_network_vpc_DD967CA6
terraform_data.spark_master_public_ip_address_37456AB2
terraform_data.spark_master_user_data_text_164DAD29
terraform_data.spark_storage_encryption_key_C51B7822
terraform_data.spark_workers_user_data_compressed_E1297E3A
"""
"""A contract: a changed address replaces what it holds, so a release that changes one gives the `moved` blocks."""

UNTAGGED = {
    # They have no tags.
    "aws_autoscaling_lifecycle_hook",
    "aws_autoscaling_policy",
    "aws_iam_role_policy",
    "terraform_data",
    "aws_route53_record",
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
    # Its tags are of another form: tests/synth/test_workers.py.
    "aws_autoscaling_group",
    # An object takes 10 tags where all else takes 50.
    "aws_s3_object",
}


def test_addresses_are_these(default: Synthesized) -> None:
    assert default.addresses() == ADDRESSES.split()


def test_addresses_do_not_depend_on_what_the_cluster_is_called_or_made_of(synthesize: Synthesize) -> None:
    changed = synthesize(name="another", subnet_ids=["subnet-9"], vpc_id="vpc-9", tags={"a": "b"}, key_name="ops")
    assert changed.addresses() == ADDRESSES.split()


def test_every_resource_that_can_be_is_tagged(synthesize: Synthesize) -> None:
    stack = synthesize(tags={"team": "data"})
    for kind, bodies in stack.json["resource"].items():
        for name, body in bodies.items():
            assert (kind in UNTAGGED) or body["tags"]["team"] == "data", f"{kind}.{name}"


@jsii.implements(IAspect)
class AddsATag:
    """As cdktf's documentation has it: https://developer.hashicorp.com/terraform/cdktf/concepts/aspects."""

    def visit(self, node: IConstruct) -> None:
        if hasattr(node, "tags") and hasattr(node, "tags_input"):
            node.tags = {**(node.tags_input or {}), "owner": "x"}


@pytest.mark.parametrize("tags", [{}, {"team": "data"}])
def test_what_an_aspect_adds_to_tags_reaches_what_is_launched_too(
    stack: TerraformStack, synthesize: Synthesize, tags: dict[str, str]
) -> None:
    Aspects.of(stack).add(AddsATag())
    found = synthesize(tags=tags)
    added = {**tags, "owner": "x"}
    for kind, bodies in found.json["resource"].items():
        for name, body in bodies.items():
            assert (kind in UNTAGGED) or body["tags"]["owner"] == "x", f"{kind}.{name}"
    template = found.the("aws_launch_template")
    of_workers = {**tags, "Name": "demo-spark-worker", "owner": "x"}
    assert template["tags"] == of_workers
    written = ", ".join(f'"{key}" = "{value}"' for key, value in of_workers.items())
    defaults = found.address("data.aws_default_tags", "spark_workers_default_tags")
    launched = f"${{merge({defaults}.tags, {{{written}}})}}"
    assert {one["tags"] for one in template["tag_specifications"]} == {launched}
    assert found.the("aws_autoscaling_group")["dynamic"]["tag"]["for_each"] == launched
    master = found.the("aws_instance")
    assert master["root_block_device"]["tags"] == master["tags"] == {**added, "Name": "demo-spark-master"}


def test_tags_may_hold_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    found = synthesize(tags={"team": TerraformVariable(stack, "team", type="string").string_value})
    assert found.the("aws_s3_bucket")["tags"] == {"team": "${var.team}"}


def test_the_json_suits_both_major_versions_of_the_provider(default: Synthesized) -> None:
    """6.x gave every resource a `region`, which 5.100 refuses, and calls `aws_region`'s `name` deprecated, whose
    successor 5.100 does not have; both have its `id`.
    """
    for bodies in default.json["resource"].values():
        assert not [body for body in bodies.values() if "region" in body]
    for bodies in default.json["data"].values():
        assert not [body for body in bodies.values() if "region" in body]
    of_region = {
        attribute
        for text in strings(default.json)
        for expression in expressions(text)
        for attribute in re.findall(r"data\.aws_region\.\w+\.(\w+)", expression)
    }
    assert of_region == {"id"}


def test_no_expression_is_undefined_or_a_python_object(synthesize: Synthesize, stack: TerraformStack) -> None:
    number = TerraformVariable(stack, "number", type="number").number_value
    found = synthesize(boot_timeout_seconds=number, ami_id="ami-1")
    for text in (found.text, *strings(found.json["locals"])):
        assert "TfToken" not in text
        assert "<jsii." not in text
        assert "e+29" not in text
    assert not [
        expression
        for text in strings(found.json["resource"])
        for expression in expressions(text)
        if "undefined" in expression
    ]


def test_only_an_app_makes_providers_backends_and_outputs(stack: TerraformStack, synthesize: Synthesize) -> None:
    found = synthesize()
    assert "output" not in found.json
    assert found.json["provider"] == {"aws": [{"region": "us-east-1"}]}
    assert [type(child).__name__ for child in stack.node.children] == [AwsProvider.__name__, SparkCluster.__name__]


def test_attributes_are_named_as_outputs_would_be(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    names = (
        *("name", "bucket_name", "bucket_arn", "security_group_id", "group_name", "master_role_arn", "worker_role_arn"),
        *("master_instance_id", "master_url", "master_ui_url"),
    )
    for name in names:
        TerraformOutput(stack, name, value=getattr(cluster, name), static_id=True)
    found = Synthesized(stack)
    assert {name: body["value"] for name, body in found.json["output"].items()} == {
        "bucket_name": f"${{{found.address('aws_s3_bucket', 'spark_storage_bucket')}.bucket}}",
        "security_group_id": f"${{{found.address('aws_security_group', 'spark_network_security_group')}.id}}",
        "master_instance_id": f"${{{found.address('aws_instance', 'spark_master_instance')}.id}}",
        "master_url": "spark://master.demo-spark:7077",
        "master_ui_url": "http://master.demo-spark:8080",
        "group_name": "demo-spark-workers",
        "name": "demo",
        "bucket_arn": f"${{{found.address('aws_s3_bucket', 'spark_storage_bucket')}.arn}}",
        "master_role_arn": f"${{{found.address('aws_iam_role', 'spark_master_role')}.arn}}",
        "worker_role_arn": f"${{{found.address('aws_iam_role', 'spark_worker_role')}.arn}}",
    }


def test_an_account_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    found = synthesize(account_id=TerraformVariable(stack, "account", type="string").string_value)
    [statement] = found.policies("worker")["complete_launch"]
    assert ":${var.account}:autoScalingGroup:" in statement["Resource"][0]


def test_a_boundary_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    found = synthesize(permissions_boundary_arn=TerraformVariable(stack, "boundary", type="string").string_value)
    assert {body["permissions_boundary"] for body in found.all("aws_iam_role").values()} == {"${var.boundary}"}


@pytest.mark.parametrize("name", ["a", "analytics", "team-a", "a" * 24, "x1-2-3"])
def test_takes_the_name(synthesize: Synthesize, name: str) -> None:
    assert synthesize(name=name).the("aws_autoscaling_group")["name"] == f"{name}-spark-workers"


NAME_RULE = "be lower-case letters, digits and single inner hyphens, beginning with a letter (a DNS and bucket name)"


ONE_ADDRESS = "be one name or address, such as 'host.internal', '.internal', '10.0.0.1' or '10.0.0.0/8'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name must not be empty, got ''"),
        ({"name": "a" * 25}, f"name must have at most 24 characters, got '{'a' * 25}'"),
        *[
            ({"name": name}, f"name must {NAME_RULE}, got {name!r}")
            for name in ("Analytics", "my_cluster", "a.b", "-a", "a-", "a--b", "1a", "a b", "café")
        ],
        ({"name": None}, "name must be a literal string, since addresses and names are built from it, got None"),
        ({"account_id": "1234"}, "account_id must be 12 digits in a string, got '1234'"),
        ({"account_id": ""}, "account_id must be 12 digits in a string, got ''"),
        ({"account_id": 111122223333}, "account_id must be 12 digits in a string, got 111122223333"),
        ({"boot_timeout_seconds": 60}, "boot_timeout_seconds must be from 120 to 7200, got 60"),
        ({"boot_timeout_seconds": "1800"}, "boot_timeout_seconds must be a whole number, got '1800'"),
        ({"boot_timeout_seconds": None}, "boot_timeout_seconds must be a whole number, got None"),
        ({"tags": ["a"]}, "tags must be a mapping whose keys are literal, got ['a']"),
        ({"tags": {"": "x"}}, "tags must have literal keys of 1 to 128 characters, got ''"),
        ({"tags": {"k" * 129: "x"}}, f"tags must have literal keys of 1 to 128 characters, got '{'k' * 129}'"),
        (
            {"tags": {"aws:team": "x"}},
            "tags must not use keys that begin with 'aws:', which AWS keeps for itself, got 'aws:team'",
        ),
        (
            {"tags": {"Name": "x"}},
            "tags must not set 'Name', which each resource gets from the cluster's name, got 'Name'",
        ),
        ({"tags": {"a": 1}}, "tags['a'] must be a string of at most 256 characters, got 1"),
        ({"tags": {"a": None}}, "tags['a'] must be a string of at most 256 characters, got None"),
        (
            {"http_proxy": "proxy:3128"},
            "http_proxy must be an address such as 'http://proxy.internal:3128', got 'proxy:3128'",
        ),
        ({"no_proxy": "a,b"}, "no_proxy must be a list of host names, domains or addresses, got 'a,b'"),
        ({"no_proxy": ["a,b"]}, f"no_proxy[0] must {ONE_ADDRESS}, got 'a,b'"),
        ({"no_proxy": ["a", ""]}, "no_proxy[1] must be a string that is not empty, got ''"),
        ({"setup_script": ""}, "setup_script must be a string that is not empty, got ''"),
        (
            {"setup_script": "echo hello"},
            "setup_script must begin with a `#!` line such as '#!/bin/bash', got 'echo hello'",
        ),
        ({"spark_defaults": ["spark.x"]}, "spark_defaults must be a mapping of Spark properties, got ['spark.x']"),
        (
            {"spark_defaults": {"executor.cores": "4"}},
            "spark_defaults must have keys that begin with 'spark.' and hold no blank, got 'executor.cores'",
        ),
        (
            {"spark_defaults": {"spark.executor.cores": 4}},
            "spark_defaults['spark.executor.cores'] must be a string on one line, got 4",
        ),
        (
            {"spark_defaults": {"spark.a": "x\ny"}},
            "spark_defaults['spark.a'] must be a string on one line, got 'x\\ny'",
        ),
    ],
)
def test_refuses(synthesize: Synthesize, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("argument", ["name", "spark_version", "python_version"])
def test_refuses_a_token_where_a_literal_is_needed(
    synthesize: Synthesize, stack: TerraformStack, argument: str
) -> None:
    token = TerraformVariable(stack, "given", type="string").string_value
    with pytest.raises(ValueError, match=f"^{argument} must be .*literal"):
        synthesize(**{argument: token})


def test_refuses_a_map_of_tags_that_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    tags = TerraformVariable(stack, "given", type="map(string)").value
    with pytest.raises(ValueError, match=r"^tags must be a mapping whose keys are literal, got "):
        synthesize(tags=tags)


def test_refuses_tag_keys_that_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    key = TerraformVariable(stack, "given", type="string").string_value
    with pytest.raises(ValueError, match=r"^tags must have literal keys of 1 to 128 characters, got "):
        synthesize(tags={key: "x"})


def test_grants_after_the_cluster_change_none_of_its_addresses(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    cluster.storage.grant_read_data(CallerRole(stack, "job", role_name="job-role"))
    others = [address for address in Synthesized(stack).addresses() if ".job_" not in address]
    assert others == ADDRESSES.split()


@pytest.mark.parametrize(
    ("argument", "value", "example"),
    [
        ("master", "m6i.large", "Master("),
        ("workers", 4, "Workers("),
        ("scaling", "cpu", "scaling.Cpu()"),
        ("fleet_key", Generated, "fleet_key.Generated()"),
    ],
)
def test_refuses_a_choice_of_the_wrong_kind(synthesize: Synthesize, argument: str, value: Any, example: str) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be an object such as {re.escape(example)}"):
        synthesize(**{argument: value})


# --- in somebody's stack -----------------------------------------------------------------------------------------


def test_a_provider_makes_all_of_the_cluster_what_is_granted_later_too(tmp_path: Path) -> None:
    stack = TerraformStack(new_app(tmp_path), "stack")
    elsewhere = AwsProvider(stack, "elsewhere", alias="elsewhere", region="us-east-1")
    cluster = SparkCluster(stack, "spark", **REQUIRED, ami_id="ami-1", provider=elsewhere)
    cluster.worker_role.allow("late", Allow(["sqs:SendMessage"], ["*"]))
    cluster.grant_submit("job-role", security_group_id="sg-9")
    found = Synthesized(stack)
    for section in ("resource", "data"):
        for kind, bodies in found.json[section].items():
            for name, body in bodies.items():
                wanted = "aws.elsewhere" if kind.startswith("aws_") else None
                assert body.get("provider") == wanted, f"{kind}.{name}"


@pytest.mark.parametrize("provider", ["aws.elsewhere", 5, AwsProvider])
def test_refuses_what_is_no_provider(synthesize: Synthesize, provider: Any) -> None:
    with pytest.raises(ValueError, match=r"^provider must be an object such as AwsProvider\("):
        synthesize(provider=provider)


def test_a_stack_within_a_stack_has_clusters_of_its_own(stack: TerraformStack) -> None:
    """In whichever order they are made: it has a provider of its own, too."""
    inner = TerraformStack(stack, "inner")
    AwsProvider(inner, "aws", region="eu-west-1")
    assert SparkCluster(inner, "spark", **REQUIRED).name == SparkCluster(stack, "spark", **REQUIRED).name


def test_refuses_a_second_cluster_of_a_name_by_the_same_provider(stack: TerraformStack) -> None:
    """Its group and parameters would be the first one's, which AWS says in the midst of a deploy."""
    elsewhere = AwsProvider(stack, "elsewhere", alias="elsewhere", region="eu-west-1")
    SparkCluster(Construct(stack, "part"), "spark", **REQUIRED)
    SparkCluster(stack, "abroad", **REQUIRED, provider=elsewhere)
    SparkCluster(stack, "other", **{**REQUIRED, "name": "other"})
    [default] = [one for one in stack.node.children if isinstance(one, AwsProvider) and one.node.id == "aws"]
    taken: list[tuple[AwsProvider | None, str]] = [(None, "part/spark"), (default, "part/spark"), (elsewhere, "abroad")]
    for provider, first in taken:
        with pytest.raises(ValueError, match=r"^name must be another") as error:
            SparkCluster(stack, "second", **REQUIRED, provider=provider)
        assert str(error.value) == (
            f"name must be another than that of the cluster 'stack/{first}', which the same provider makes, got 'demo'"
        )


def test_a_name_may_be_used_again_in_another_stack(stack: TerraformStack) -> None:
    """Which may be of another region or account."""
    SparkCluster(stack, "spark", **REQUIRED)
    SparkCluster(TerraformStack(App.of(stack), "abroad"), "spark", **REQUIRED)


def test_nodes_may_be_made_to_wait_for_something(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    endpoint = VpcEndpoint(stack, "ssm", vpc_id="vpc-1", security_group_ids=[cluster.security_group_id])
    looked_up = DataAwsVpcEndpoint(stack, "s3", vpc_id="vpc-1")
    module = TerraformHclModule(stack, "endpoints", source="terraform-aws-modules/vpc/aws//modules/vpc-endpoints")
    cluster.start_after(endpoint, looked_up, module)
    cluster.start_after(endpoint)
    found = Synthesized(stack)
    for node in ("aws_instance", "aws_autoscaling_group"):
        assert {"aws_vpc_endpoint.ssm", "data.aws_vpc_endpoint.s3", "module.endpoints"} <= set(
            found.the(node)["depends_on"]
        )
    assert not [address for address in found.graph() if address in reached(found.graph(), address)]


def test_refuses_to_wait_for_what_waits_for_the_node(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        cluster.start_after(VpcEndpoint(stack, "late", vpc_id="vpc-1", tags={"master": cluster.master_instance_id}))
    node = "aws_instance.spark_master_instance_08F7AA7C"
    assert (
        str(error.value) == f"others[0] must not wait for {node}, which would wait for it, got 'aws_vpc_endpoint.late'"
    )


def test_refuses_to_wait_for_what_is_no_resource_of_its_stack(stack: TerraformStack, tmp_path: Path) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    other = TerraformStack(new_app(tmp_path), "other")
    for thing in ("aws_vpc_endpoint.ssm", VpcEndpoint(other, "ssm", vpc_id="vpc-1")):
        with pytest.raises(ValueError, match=r"^others\[0\] must be a resource of the cluster's stack, such as a VpcE"):
            cluster.start_after(thing)  # type: ignore[arg-type]
