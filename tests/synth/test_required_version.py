from __future__ import annotations

from typing import TYPE_CHECKING

from spark_cluster import SparkCluster
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized

if TYPE_CHECKING:
    from cdktf import TerraformStack


def terraform(stack: TerraformStack) -> dict[str, object]:
    found: dict[str, object] = Synthesized(stack).json["terraform"]
    return found


def test_terraform_must_know_write_only_arguments(stack: TerraformStack) -> None:
    for name in ("one", "two"):
        SparkCluster(stack, name, **{**REQUIRED, "name": name})
    assert terraform(stack)["required_version"] == ">= 1.11"


def test_the_stack_s_own_requirement_wins_whenever_it_is_made(stack: TerraformStack) -> None:
    stack.add_override("terraform.required_version", "~> 1.12")
    SparkCluster(stack, "spark", **REQUIRED)
    assert terraform(stack)["required_version"] == "~> 1.12"
    stack.add_override("terraform.required_version", "~> 1.13")
    assert terraform(stack)["required_version"] == "~> 1.13"


def test_a_stack_may_take_a_range_of_providers(stack: TerraformStack) -> None:
    SparkCluster(stack, "spark", **REQUIRED)
    stack.add_override("terraform.required_providers.aws.version", "~> 6.60")
    assert terraform(stack)["required_providers"] == {"aws": {"source": "aws", "version": "~> 6.60"}}
    assert terraform(stack)["required_version"] == ">= 1.11"
