"""Each app in `examples/`, found by its name: a new one is tested as soon as it is there."""

from __future__ import annotations

import importlib.util
import json
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.synth.synthesized import Synthesized, expressions, new_app, reached, strings

if TYPE_CHECKING:
    from cdktf import TerraformStack

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Synthesized]:
    return {name: Synthesized(build(name, tmp_path_factory.mktemp(name))) for name in EXAMPLES}


def build(name: str, folder: Path) -> TerraformStack:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stack: TerraformStack = module.build(new_app(folder))
    return stack


def test_the_examples_are_there() -> None:
    assert {"existing_stack", "ported_module", "two_clusters"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_synthesizes_a_cluster(made: dict[str, Synthesized], name: str) -> None:
    assert made[name].all("aws_autoscaling_group")
    assert made[name].json["output"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_graph_has_no_cycle_and_no_node_waits_for_its_own_group(made: dict[str, Synthesized], name: str) -> None:
    graph = made[name].graph()
    assert list(TopologicalSorter(graph).static_order())
    groups = {address for address in graph if address.startswith("aws_autoscaling_group.")}
    for node in [*groups, *(address for address in graph if address.startswith("aws_instance."))]:
        assert not groups & reached(graph, node)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_reference_is_to_something_that_is_there(made: dict[str, Synthesized], name: str) -> None:
    stack = made[name]
    declared = set(stack.graph()) | {f"var.{key}" for key in stack.json.get("variable", {})}
    named = {
        found
        for text in strings(stack.json)
        for expression in expressions(text)
        for found in re.findall(r"(?:data\.)?aws_\w+\.[A-Za-z][\w-]*|(?:local|var)\.[\w-]+", expression)
    }
    assert named
    assert named <= declared


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_resource_has_an_argument_that_only_the_newest_provider_knows(
    made: dict[str, Synthesized], name: str
) -> None:
    for bodies in made[name].json["resource"].values():
        assert not [body for body in bodies.values() if "region" in body]


# --- what each is there to show ----------------------------------------------------------------------------------


def test_the_existing_stacks_vpc_has_both_dns_attributes_on(made: dict[str, Synthesized]) -> None:
    body = made["existing_stack"].the("aws_vpc")
    assert body["enable_dns_support"] is True
    assert body["enable_dns_hostnames"] is True


def test_the_existing_stacks_nodes_are_private_behind_nat(made: dict[str, Synthesized]) -> None:
    stack = made["existing_stack"]
    private = stack.address("aws_subnet", "network_private")
    assert stack.the("aws_instance")["subnet_id"] == f"${{{private}.id}}"
    assert stack.the("aws_instance")["associate_public_ip_address"] is False
    assert any("nat_gateway_id" in body for body in stack.all("aws_route").values())


def test_the_existing_stacks_key_lets_auto_scaling_use_it(made: dict[str, Synthesized]) -> None:
    """Its service-linked role needs use and CreateGrant in the key's own policy, or workers end with
    `Client.InternalError`.
    """
    statements = json.loads(made["existing_stack"].the("aws_kms_key")["policy"])["Statement"]
    by_id = {statement["Sid"]: statement for statement in statements}
    role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    for sid in ("AutoScalingUses", "AutoScalingGrantsToVolumes"):
        assert by_id[sid]["Condition"]["ArnEquals"]["aws:PrincipalArn"].endswith(role)
    assert by_id["AutoScalingGrantsToVolumes"]["Action"] == "kms:CreateGrant"
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(by_id["AutoScalingUses"]["Action"])


def test_the_existing_stacks_key_boundary_tags_and_groups_reach_the_cluster(made: dict[str, Synthesized]) -> None:
    stack = made["existing_stack"]
    key = f"${{{stack.address('aws_kms_key', 'key')}.arn}}"
    boundary = f"${{{stack.address('aws_iam_policy', 'boundary')}.arn}}"
    office = f"${{{stack.address('aws_security_group', 'office')}.id}}"
    instance = stack.the("aws_instance")
    assert instance["root_block_device"]["kms_key_id"] == key
    assert office in instance["vpc_security_group_ids"]
    assert {"team", "cost-center", "Name"} == instance["tags"].keys()
    roles = {name: body for name, body in stack.all("aws_iam_role").items() if name.startswith("analytics_")}
    assert {body["permissions_boundary"] for body in roles.values()} == {boundary}


def test_two_clusters_share_nothing_but_the_vpc(made: dict[str, Synthesized]) -> None:
    stack = made["two_clusters"]
    graph = stack.graph()
    for address in graph:
        owner = address.rpartition(".")[2].partition("_")[0]
        others = {"reports", "backfill"} - {owner}
        if owner in {"reports", "backfill"}:
            behind = {found.rpartition(".")[2].partition("_")[0] for found in reached(graph, address)}
            assert not behind & others, address


def test_the_ported_module_hands_the_private_key_through_an_ephemeral_variable(made: dict[str, Synthesized]) -> None:
    stack = made["ported_module"]
    variable = {"type": "string", "sensitive": True, "ephemeral": True, "default": ""}
    assert stack.json["variable"]["fleet_private_key"] == variable
    holders = [
        f"{kind}.{argument}"
        for kind, bodies in stack.json["resource"].items()
        for body in bodies.values()
        for argument, value in body.items()
        if any("var.fleet_private_key" in text for text in strings(value))
    ]
    assert holders == ["aws_ssm_parameter.value_wo"]


def test_the_ported_module_keeps_price_and_sizes(made: dict[str, Synthesized]) -> None:
    group = made["ported_module"].the("aws_autoscaling_group")
    assert group["mixed_instances_policy"]["instances_distribution"]["spot_max_price"] == "0.0095"
    assert (group["min_size"], group["max_size"], group["desired_capacity"]) == (2, 10, 4)
