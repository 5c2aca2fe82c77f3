from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import main
from tests.synth.synthesized import Synthesized, new_app


@pytest.fixture(scope="session")
def default_app(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    return synthesize(tmp_path_factory.mktemp("main"))


def synthesize(folder: Path, **context: Any) -> Synthesized:
    return Synthesized(main.build(new_app(folder, **context)))


def instance_types(stack: Synthesized) -> list[str]:
    policy = stack.the("aws_autoscaling_group")["mixed_instances_policy"]
    return [override["instance_type"] for override in policy["launch_template"]["override"]]


def test_one_small_master_and_two_workers_of_one_shape(default_app: Synthesized) -> None:
    group = default_app.the("aws_autoscaling_group")
    assert default_app.the("aws_instance")["instance_type"] == "m6i.large"
    assert (group["min_size"], group["desired_capacity"], group["max_size"]) == (2, 2, 4)
    assert instance_types(default_app) == ["m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge"]


def test_nothing_has_to_be_set_for_a_first_deploy(default_app: Synthesized) -> None:
    assert default_app.json["provider"] == {"aws": [{"region": "us-east-1"}]}
    assert "local" in default_app.json["terraform"].get("backend", {"local": {}})
    assert "variable" not in default_app.json
    assert default_app.the("aws_autoscaling_group")["name"] == "demo-spark-workers"


def test_destroy_works_without_emptying_the_bucket_by_hand(default_app: Synthesized) -> None:
    assert default_app.the("aws_s3_bucket")["force_destroy"] is True


def test_the_default_vpcs_subnet_is_in_one_zone_that_offers_every_type(default_app: Synthesized) -> None:
    """Not every zone has every type, and `aws_subnets` promises no order: so the first of a sorted list of zones."""
    offers = default_app.all("data.aws_ec2_instance_type_offerings")
    assert [body["filter"][0]["values"] for body in offers.values()] == [
        ["m6i.large"],
        ["m6i.xlarge"],
        ["m6a.xlarge"],
        ["m5.xlarge"],
        ["m5a.xlarge"],
    ]
    assert {body["location_type"] for body in offers.values()} == {"availability-zone"}
    listed = ", ".join(f"data.aws_ec2_instance_type_offerings.offers_{index}.locations" for index in range(5))
    zones = f"sort(setintersection({listed}))"
    subnets = default_app.the("data.aws_subnets")
    assert subnets["filter"] == [
        {"name": "vpc-id", "values": ["${data.aws_vpc.default_vpc.id}"]},
        {"name": "default-for-az", "values": ["true"]},
        {"name": "availability-zone", "values": [f"${{element({zones}, 0)}}"]},
    ]
    assert subnets["lifecycle"]["precondition"] == [
        {
            "condition": f"${{(length({zones}) >= 1)}}",
            "error_message": "no zone of the region offers all of m6i.large, m6i.xlarge, m6a.xlarge, m5.xlarge, "
            "m5a.xlarge: set worker_instance_types in cdktf.json",
        }
    ]


def test_nodes_keep_the_public_addresses_that_a_default_vpc_gives(default_app: Synthesized) -> None:
    """Its subnets have no NAT: without an address there is no way out."""
    assert "associate_public_ip_address" not in default_app.the("aws_instance")
    assert "network_interfaces" not in default_app.the("aws_launch_template")


def test_outputs_are_addresses_and_commands_that_can_be_pasted(default_app: Synthesized) -> None:
    outputs = {name: body["value"] for name, body in default_app.json["output"].items()}
    master = f"${{{default_app.address('aws_instance', 'spark_master_instance')}.id}}"
    bucket = f"${{{default_app.address('aws_s3_bucket', 'spark_storage_bucket')}.bucket}}"
    region = outputs["region"]
    assert re.fullmatch(r"\$\{data\.aws_region\.spark_location_region_\w+\.id\}", region)
    session = f"aws ssm start-session --region {region} --target {master}"

    def on_the_master(command: str) -> str:
        return f"""{session} --document-name AWS-StartInteractiveCommand --parameters '{{"command": ["{command}"]}}'"""

    page = '{"portNumber": ["8080"], "localPortNumber": ["8080"]}'
    assert outputs == {
        "region": region,
        "master_instance_id": master,
        "master_url": "spark://master.demo-spark:7077",
        "master_ui_url": "http://master.demo-spark:8080",
        "bucket_name": bucket,
        "group_name": "demo-spark-workers",
        "security_group_id": f"${{{default_app.address('aws_security_group', 'spark_network_security_group')}.id}}",
        "shell_command": session,
        "ui_command": f"{session} --document-name AWS-StartPortForwardingSession --parameters '{page}'",
        "submit_command": on_the_master(f"sudo /usr/local/bin/spark-job s3://{bucket}/data/job.py"),
        "status_command": on_the_master("sudo /usr/local/bin/spark-status"),
        "wait_command": on_the_master("sudo /usr/local/bin/spark-wait"),
    }


def test_context_sets_what_a_deploy_wants_otherwise(tmp_path: Path) -> None:
    stack = synthesize(
        tmp_path,
        name="big",
        region="eu-central-1",
        profile="work",
        spark_version="4.2.1",
        master_instance_type="m7g.large",
        worker_instance_types=["r7g.2xlarge"],
        min_size=3,
        max_size=30,
        desired_size=5,
        force_destroy=False,
    )
    group = stack.the("aws_autoscaling_group")
    assert stack.json["provider"] == {"aws": [{"region": "eu-central-1", "profile": "work"}]}
    assert (group["name"], group["min_size"], group["desired_capacity"], group["max_size"]) == (
        "big-spark-workers",
        3,
        5,
        30,
    )
    assert stack.the("aws_instance")["instance_type"] == "m7g.large"
    assert instance_types(stack) == ["r7g.2xlarge"]
    assert stack.the("aws_s3_bucket")["force_destroy"] is False
    assert stack.settings("master")["spark_version"] == "4.2.1"
    assert stack.json["output"]["shell_command"]["value"].endswith("--profile work")


def test_state_may_be_kept_in_a_bucket(tmp_path: Path) -> None:
    stack = synthesize(tmp_path, state_bucket="company-state", profile="work", name="big")
    assert stack.json["terraform"]["backend"] == {
        "s3": {
            "bucket": "company-state",
            "key": "spark-cluster/big.tfstate",
            "region": "us-east-1",
            "profile": "work",
            "encrypt": True,
            "use_lockfile": True,
        }
    }


def test_every_setting_of_cdktf_json_is_one_that_the_app_reads() -> None:
    context = json.loads((Path(main.__file__).parent / "cdktf.json").read_text())["context"]
    assert context.keys() <= main.DEFAULTS.keys() | {"excludeStackIdFromLogicalIds", "allowSepCharsInLogicalIds"}
