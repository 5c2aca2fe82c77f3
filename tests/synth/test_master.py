from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import Master, SparkCluster
from tests.synth.conftest import NO_ALIAS, REQUIRED
from tests.synth.synthesized import Synthesized

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize


def test_one_on_demand_instance_in_the_first_subnet(synthesize: Synthesize) -> None:
    body = synthesize(subnet_ids=["subnet-1", "subnet-2"]).the("aws_instance")
    assert body["instance_type"] == "m6i.large"
    assert body["subnet_id"] == "subnet-1"
    assert "instance_market_options" not in body
    assert "spot_price" not in body


def test_it_is_told_how_long_a_worker_may_not_be_listed_and_workers_are_not(synthesize: Synthesize) -> None:
    stack = synthesize(unlisted_timeout_seconds=60)
    assert stack.settings("master")["unlisted_timeout_seconds"] == 60
    assert "unlisted_timeout_seconds" not in stack.settings("worker")


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (59, "unlisted_timeout_seconds must be from 60 to 86400, got 59"),
        (86_401, "unlisted_timeout_seconds must be from 60 to 86400, got 86401"),
        (600.0, "unlisted_timeout_seconds must be a whole number, got 600.0"),
        (True, "unlisted_timeout_seconds must be a whole number, got True"),
        (None, "unlisted_timeout_seconds must be a whole number, got None"),
    ],
)
def test_refuses_to_wait_less_than_a_restart_or_more_than_a_day(
    synthesize: Synthesize, seconds: Any, message: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(unlisted_timeout_seconds=seconds)
    assert str(error.value) == message


def test_it_has_its_own_role(default: Synthesized) -> None:
    profile = default.address("aws_iam_instance_profile", "spark_master_role_instance_profile")
    role = default.address("aws_iam_role", "spark_master_role")
    assert default.the("aws_instance")["iam_instance_profile"] == f"${{{profile}.name}}"
    assert default.the("aws_iam_instance_profile", "spark_master_role_instance_profile")["role"] == f"${{{role}.name}}"


def test_metadata_wants_a_session_and_is_not_reached_from_containers(default: Synthesized) -> None:
    assert default.the("aws_instance")["metadata_options"] == {
        "http_endpoint": "enabled",
        "http_tokens": "required",
        "http_put_response_hop_limit": 1,
    }


def test_its_root_volume_is_encrypted_gp3(default: Synthesized) -> None:
    assert default.the("aws_instance")["root_block_device"] == {
        "volume_type": "gp3",
        "volume_size": 32,
        "encrypted": True,
        "tags": {"Name": "demo-spark-master"},
    }


def test_instance_and_volume_are_tagged(synthesize: Synthesize) -> None:
    body = synthesize(tags={"team": "data"}).the("aws_instance")
    assert body["tags"] == body["root_block_device"]["tags"] == {"team": "data", "Name": "demo-spark-master"}


def test_neither_a_newer_public_ami_nor_another_order_of_subnets_replaces_it(default: Synthesized) -> None:
    """What the public parameter names changes every few weeks."""
    assert default.the("aws_instance")["lifecycle"]["ignore_changes"] == [
        *("user_data_base64", "ami", "subnet_id", "associate_public_ip_address")
    ]


def test_another_ami_or_subnet_of_the_callers_replaces_it(synthesize: Synthesize) -> None:
    found = synthesize(ami_id="ami-1", master=Master(subnet_id="subnet-2"))
    assert found.the("aws_instance")["lifecycle"]["ignore_changes"] == [
        "user_data_base64",
        "associate_public_ip_address",
    ]


@pytest.mark.parametrize(("answer", "kept"), [(None, "as the subnet has it"), (True, True), (False, False)])
def test_another_answer_on_public_addresses_replaces_it_but_neither_a_stop_nor_an_elastic_address_does(
    synthesize: Synthesize, answer: Any, kept: object
) -> None:
    """EC2 tells that a stopped instance has none, and that one with an elastic address has one.

    Terraform makes nothing anew because of a trigger that is made: so it is there before anybody asks.
    """
    found = synthesize(associate_public_ip_address=answer)
    lifecycle = found.the("aws_instance")["lifecycle"]
    assert "associate_public_ip_address" in lifecycle["ignore_changes"]
    trigger = found.address("terraform_data", "spark_master_public_ip_address")
    assert trigger in lifecycle["replace_triggered_by"]
    input_ = found.the("terraform_data", "spark_master_public_ip_address")["input"]
    assert input_ == {"associate_public_ip_address": kept}


def test_changed_settings_replace_it_and_other_bytes_of_the_same_text_do_not(default: Synthesized) -> None:
    """EC2 would stop and start it, and cloud-init would not run again."""
    body = default.the("aws_instance")
    [script] = [key for key in default.json["locals"] if key.startswith("spark_master_user_data_script")]
    assert body["user_data_base64"] == f"${{base64gzip(local.{script})}}"
    assert body["user_data_replace_on_change"] is True
    text = default.address("terraform_data", "spark_master_user_data_text")
    programs = default.address("aws_s3_object", "spark_master_user_data_programs")
    assert {f"{programs}.key", text} <= set(body["lifecycle"]["replace_triggered_by"])
    assert default.the("terraform_data", "spark_master_user_data_text") == {
        "input": {"sha256": f"${{sha256(local.{script})}}"}
    }


def test_what_only_terraform_knows_is_left_to_the_subnet_and_the_type(default: Synthesized) -> None:
    """Arguments that nobody gave are not there, rather than null or false."""
    body = default.the("aws_instance")
    assert not {"associate_public_ip_address", "ebs_optimized", "key_name"} & body.keys()


def test_each_choice_reaches_the_instance(synthesize: Synthesize) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    body = synthesize(
        master=Master(instance_type="r6i.large", subnet_id="subnet-9", root_volume_gib=64),
        key_name="ops",
        ebs_optimized=True,
        associate_public_ip_address=False,
        volume_kms_key_arn=key,
    ).the("aws_instance")
    assert {name: body[name] for name in ("instance_type", "subnet_id", "key_name")} == {
        "instance_type": "r6i.large",
        "subnet_id": "subnet-9",
        "key_name": "ops",
    }
    assert body["ebs_optimized"] is True
    assert body["associate_public_ip_address"] is False
    assert body["root_block_device"]["volume_size"] == 64
    assert body["root_block_device"]["kms_key_id"] == key


def test_each_choice_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    def variable(name: str, kind: str = "string") -> TerraformVariable:
        return TerraformVariable(stack, name, type=kind)

    body = synthesize(
        master=Master(
            instance_type=variable("type").string_value,
            subnet_id=variable("subnet").string_value,
            root_volume_gib=variable("size", "number").number_value,
        ),
        key_name=variable("key").string_value,
        ebs_optimized=variable("optimized", "bool").boolean_value,
        associate_public_ip_address=variable("public", "bool").boolean_value,
        volume_kms_key_arn=variable("kms").string_value,
        tags={"team": variable("team").string_value},
    ).the("aws_instance")
    assert body["instance_type"] == "${var.type}"
    assert body["subnet_id"] == "${var.subnet}"
    assert body["root_block_device"]["volume_size"] == "${var.size}"
    assert body["root_block_device"]["kms_key_id"] == "${var.kms}"
    assert body["key_name"] == "${var.key}"
    assert body["ebs_optimized"] == "${var.optimized}"
    assert body["associate_public_ip_address"] == "${var.public}"
    assert body["tags"]["team"] == "${var.team}"


def test_its_addresses_are_names_that_workers_know(default_cluster: SparkCluster) -> None:
    assert default_cluster.master_url == "spark://master.demo-spark:7077"
    assert default_cluster.master_ui_url == "http://master.demo-spark:8080"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"instance_type": ""}, "master.instance_type must be a string that is not empty, got ''"),
        ({"instance_type": None}, "master.instance_type must be given, got None"),
        (
            {"instance_type": "large"},
            "master.instance_type must be an EC2 instance type such as 'm6i.xlarge', got 'large'",
        ),
        ({"subnet_id": "eu-central-1a"}, "master.subnet_id must begin with 'subnet-', got 'eu-central-1a'"),
        ({"root_volume_gib": 8}, "master.root_volume_gib must be from 16 to 65536, got 8"),
        ({"root_volume_gib": "32"}, "master.root_volume_gib must be a whole number, got '32'"),
        ({"root_volume_gib": None}, "master.root_volume_gib must be a whole number, got None"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        Master(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key_name": ""}, "key_name must be a string that is not empty, got ''"),
        ({"ebs_optimized": "true"}, "ebs_optimized must be True or False, got 'true'"),
        ({"associate_public_ip_address": 1}, "associate_public_ip_address must be True or False, got 1"),
        ({"volume_kms_key_arn": "alias/ebs"}, f"volume_kms_key_arn must {NO_ALIAS}, got 'alias/ebs'"),
        (
            {"permissions_boundary_arn": "boundary"},
            (
                "permissions_boundary_arn must be the ARN of a managed policy, "
                "'arn:aws:iam::<account>:policy/<name>', got 'boundary'"
            ),
        ),
    ],
)
def test_refuses_what_both_kinds_of_node_share(synthesize: Synthesize, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(**arguments)
    assert str(error.value) == message


def test_an_impaired_master_is_rebooted(default: Synthesized) -> None:
    alarm = default.the("aws_cloudwatch_metric_alarm", "spark_master_impaired")
    partition = default.address("data.aws_partition", "spark_location_partition")
    region = default.address("data.aws_region", "spark_location_region")
    assert alarm["alarm_actions"] == [f"arn:${{{partition}.partition}}:automate:${{{region}.id}}:ec2:reboot"]
    assert alarm["dimensions"] == {"InstanceId": f"${{{default.address('aws_instance', 'spark_master_instance')}.id}}"}
    assert (alarm["metric_name"], alarm["statistic"]) == ("StatusCheckFailed_Instance", "Maximum")
    assert (alarm["period"], alarm["evaluation_periods"]) == (60, 3)
    # EC2 tells nothing of a stopped instance: that is no reason.
    assert "treat_missing_data" not in alarm


def test_a_topic_may_be_told_of_an_impaired_master(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    alarm = cluster.master.impaired_alarm
    assert alarm is not None
    alarm.alarm_actions = [*(alarm.alarm_actions_input or []), "arn:aws:sns:us-east-1:111122223333:on-call"]
    reboot, topic = Synthesized(stack).the("aws_cloudwatch_metric_alarm", "spark_master_impaired")["alarm_actions"]
    assert reboot.endswith(":ec2:reboot")
    assert topic == "arn:aws:sns:us-east-1:111122223333:on-call"
    left_alone = SparkCluster(stack, "other", **{**REQUIRED, "name": "other"}, master=Master(reboot_if_impaired=False))
    assert left_alone.master.impaired_alarm is None


def test_an_impaired_master_may_be_left_alone(synthesize: Synthesize) -> None:
    found = synthesize(master=Master(reboot_if_impaired=False))
    assert "spark_master_impaired" not in found.all("aws_cloudwatch_metric_alarm")


def test_refuses_a_choice_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^master.reboot_if_impaired must be a literal True or False, got 'yes'$"):
        Master(reboot_if_impaired="yes")  # type: ignore[arg-type]
