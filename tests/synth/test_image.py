from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import Master, Workers

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"
GRAVITON = {
    "master": Master(instance_type="m7g.large"),
    "workers": Workers(instance_types=["r7g.xlarge", "r6g.xlarge"]),
}


def test_amazon_linux_2023_for_intel_and_amd_by_default(default: Synthesized) -> None:
    assert default.the("data.aws_ssm_parameter") == {"name": f"{PARAMETER}x86_64"}


def test_graviton_types_get_the_image_for_arm(synthesize: Synthesize) -> None:
    stack = synthesize(**GRAVITON)
    assert stack.the("data.aws_ssm_parameter") == {"name": f"{PARAMETER}arm64"}
    assert stack.the("aws_launch_template")["image_id"] == f"resolve:ssm:{PARAMETER}arm64"


def test_new_workers_get_the_newest_image_and_no_plan_changes(default: Synthesized) -> None:
    """EC2 resolves the parameter at each launch."""
    assert default.the("aws_launch_template")["image_id"] == f"resolve:ssm:{PARAMETER}x86_64"


def test_the_workers_types_are_listed_since_requirements_refuse_such_an_image(default: Synthesized) -> None:
    """A group with attribute-based `instance_requirements` wants an AMI's id."""
    assert "instance_requirements" not in default.text


def test_the_master_reads_the_parameter_since_an_instance_with_a_root_volume_cannot_resolve_it(
    default: Synthesized,
) -> None:
    body = default.the("aws_instance")
    address = default.address("data.aws_ssm_parameter", "spark_image_amazon_linux")
    assert body["root_block_device"]
    assert body["ami"] == f"${{{address}.insecure_value}}"


def test_the_callers_image_is_that_of_both_kinds_of_node(synthesize: Synthesize) -> None:
    stack = synthesize(ami_id="ami-1")
    assert stack.the("aws_instance")["ami"] == "ami-1"
    assert stack.the("aws_launch_template")["image_id"] == "ami-1"


def looked_up(stack: Synthesized, ami_id: str) -> dict[str, object]:
    """The filter of the AMI: the caller's, unless a master has it, for then it may be gone; else the public one."""
    masters = stack.address("data.aws_instances", "spark_image_masters_with_ami")
    public = stack.address("data.aws_ssm_parameter", "spark_image_amazon_linux")
    return {
        "name": "image-id",
        "values": [f"${{(length({masters}.ids) < 1) ? {ami_id} : {public}.insecure_value}}"],
    }


def test_the_callers_image_is_looked_up_until_the_master_has_it(synthesize: Synthesize) -> None:
    stack = synthesize(ami_id="ami-1")
    assert stack.the("data.aws_ami")["filter"] == [looked_up(stack, '"ami-1"')]
    masters = stack.the("data.aws_instances")
    assert masters["filter"] == [
        {"name": "image-id", "values": ["ami-1"]},
        {"name": "tag:Name", "values": ["demo-spark-master"]},
    ]
    assert {"stopped", "running"} <= set(masters["instance_state_names"])


def test_the_callers_image_has_its_root_volume_where_the_masters_is(synthesize: Synthesize) -> None:
    """What looks the AMI up may be looking at another one by then, and of a next master nothing is known."""
    stack = synthesize(ami_id="ami-1")
    [root] = stack.the("aws_launch_template")["block_device_mappings"]
    kept = stack.address("terraform_data", "spark_workers_root_device")
    assert root["device_name"] == f"${{{kept}.output.value}}"
    master = stack.address("aws_instance", "spark_master_instance")
    made = stack.the("terraform_data", "spark_workers_root_device")
    assert made["input"] == {"value": f"${{{master}.root_block_device[0].device_name}}"}
    assert made["lifecycle"] == {"ignore_changes": ["input"]}
    assert made["triggers_replace"] == {"until": "ami-1"}


def test_an_old_image_of_the_callers_is_still_found(synthesize: Synthesize) -> None:
    assert synthesize(ami_id="ami-1").the("data.aws_ami")["include_deprecated"] is True


def test_an_image_of_another_architecture_is_refused_in_the_plan(synthesize: Synthesize) -> None:
    [condition] = synthesize(ami_id="ami-1", **GRAVITON).the("data.aws_ami")["lifecycle"]["postcondition"]
    assert condition == {
        "condition": '${((self.id != "ami-1") || (self.architecture == "arm64"))}',
        "error_message": "ami_id must name an AMI of the architecture of the instance types, arm64",
    }


def test_the_callers_image_may_be_one_that_terraform_finds(synthesize: Synthesize, stack: TerraformStack) -> None:
    found = synthesize(ami_id=TerraformVariable(stack, "ami", type="string").string_value)
    assert found.the("data.aws_ami")["filter"] == [looked_up(found, "var.ami")]
    assert found.the("aws_instance")["ami"] == found.the("aws_launch_template")["image_id"] == "${var.ami}"


@pytest.fixture
def unknown_types(stack: TerraformStack) -> dict[str, object]:
    master, worker = (TerraformVariable(stack, name, type="string").string_value for name in ("master", "worker"))
    return {"master": Master(instance_type=master), "workers": Workers(instance_types=[worker])}


def test_types_that_only_terraform_knows_tell_their_architecture_in_the_plan(
    synthesize: Synthesize, unknown_types: dict[str, object]
) -> None:
    stack = synthesize(**unknown_types)
    kind = stack.address("data.aws_ec2_instance_type", "spark_image_instance_type")
    assert stack.the("data.aws_ec2_instance_type") == {"instance_type": "${var.master}"}
    assert stack.local("spark_image_architecture") == (
        f'${{contains({kind}.supported_architectures, "arm64") ? "arm64" : "x86_64"}}'
    )
    [local] = [key for key in stack.json["locals"] if key.startswith("spark_image_architecture")]
    assert stack.the("data.aws_ssm_parameter") == {"name": f"{PARAMETER}${{local.{local}}}"}
    assert stack.the("aws_launch_template")["image_id"] == f"resolve:ssm:{PARAMETER}${{local.{local}}}"


def test_an_image_of_the_callers_is_compared_with_types_that_only_terraform_knows(
    synthesize: Synthesize, unknown_types: dict[str, object]
) -> None:
    stack = synthesize(ami_id="ami-1", **unknown_types)
    [local] = [key for key in stack.json["locals"] if key.startswith("spark_image_architecture")]
    [condition] = stack.the("data.aws_ami")["lifecycle"]["postcondition"]
    assert condition["condition"] == f'${{((self.id != "ami-1") || (self.architecture == local.{local}))}}'


def test_one_known_type_is_enough(synthesize: Synthesize, stack: TerraformStack) -> None:
    kind = TerraformVariable(stack, "kind", type="string").string_value
    found = synthesize(workers=Workers(instance_types=[kind]), master=Master(instance_type="m7g.large"))
    assert found.the("data.aws_ssm_parameter") == {"name": f"{PARAMETER}arm64"}
    assert not found.all("data.aws_ec2_instance_type")


def test_refuses_types_of_two_architectures(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(master=Master(instance_type="m7g.large"), workers=Workers(instance_types=["m6i.xlarge"]))
    assert str(error.value) == (
        "master.instance_type and workers.instance_types must have one architecture, "
        "got m7g.large (arm64), m6i.xlarge (x86_64)"
    )


def test_refuses_what_is_no_image(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError, match=r"^ami_id must begin with 'ami-', got 'al2023'$"):
        synthesize(ami_id="al2023")


@pytest.mark.parametrize("version", ["3.10", "3.99"])
def test_refuses_a_python_that_amazon_linux_does_not_have(synthesize: Synthesize, version: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(spark_version="4.2.1", python_version=version)
    assert str(error.value) == (
        "python_version must be one that Amazon Linux 2023 has (3.9, 3.11, 3.12, 3.13, 3.14), or come with an ami_id "
        f"that has it, got {version!r}"
    )


def test_an_image_of_the_callers_may_have_any_python(synthesize: Synthesize) -> None:
    stack = synthesize(spark_version="4.2.1", python_version="3.10", ami_id="ami-1")
    assert stack.settings("worker")["python_version"] == "3.10"
