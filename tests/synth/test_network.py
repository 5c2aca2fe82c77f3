from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import Fn, TerraformStack, TerraformVariable

from spark_cluster import Master, PrivateZone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

INGRESS, EGRESS = "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"


def group_id(stack: Synthesized) -> str:
    return f"${{{stack.address('aws_security_group', 'spark_network_security_group')}.id}}"


def test_one_group_lets_all_nodes_talk_to_each_other(default: Synthesized) -> None:
    assert default.the("aws_security_group") == {
        "name_prefix": "demo-spark-",
        "description": "Nodes of the Spark cluster demo",
        "vpc_id": "vpc-1",
        "tags": {"Name": "demo-spark"},
    }
    assert default.the(INGRESS) == {
        "security_group_id": group_id(default),
        "referenced_security_group_id": group_id(default),
        "description": "All traffic between nodes",
        "ip_protocol": "-1",
        "tags": {},
    }


def test_nodes_reach_every_address_by_default(default: Synthesized) -> None:
    rules = default.all(EGRESS)
    assert {name: body.get("cidr_ipv4", body.get("cidr_ipv6")) for name, body in rules.items()} == {
        "spark_network_nodes_out": None,
        "spark_network_all_ipv4_out": "0.0.0.0/0",
        "spark_network_all_ipv6_out": "::/0",
    }
    assert {body["ip_protocol"] for body in rules.values()} == {"-1"}


def test_outbound_traffic_can_be_switched_off_but_for_that_between_nodes(synthesize: Synthesize) -> None:
    stack = synthesize(allow_all_egress=False)
    assert stack.all(EGRESS).keys() == {"spark_network_nodes_out"}
    assert stack.the(EGRESS)["referenced_security_group_id"] == group_id(stack)


def test_nobody_else_comes_in(default: Synthesized) -> None:
    assert "cidr_ipv4" not in default.the(INGRESS)
    assert "ingress" not in default.the("aws_security_group")


def test_the_callers_groups_are_added_to_every_node(synthesize: Synthesize) -> None:
    stack = synthesize(security_group_ids=["sg-1", "sg-2"])
    expected = [group_id(stack), "sg-1", "sg-2"]
    assert stack.the("aws_instance")["vpc_security_group_ids"] == expected
    assert stack.the("aws_launch_template")["vpc_security_group_ids"] == expected


def test_the_callers_groups_may_be_a_list_that_only_terraform_knows(
    synthesize: Synthesize, stack: TerraformStack
) -> None:
    """Or a set, which `concat` takes by way of `tolist` alone."""
    groups = TerraformVariable(stack, "groups", type="list(string)")
    found = synthesize(security_group_ids=groups.list_value)
    group = group_id(found).removeprefix("${").removesuffix("}")
    expected = f"${{concat([{group}], tolist(var.groups))}}"
    assert found.the("aws_instance")["vpc_security_group_ids"] == expected
    assert found.the("aws_launch_template")["vpc_security_group_ids"] == expected


def test_the_zone_gets_as_many_tags_as_a_hosted_zone_takes(synthesize: Synthesize) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeTagsForResource.html."""
    tags = {f"key-{number:02}": "x" for number in range(12)}
    found = synthesize(tags=tags)
    assert found.the("aws_route53_zone")["tags"] == dict(list(tags.items())[:10])
    assert found.the("aws_s3_bucket")["tags"] == tags


def test_a_private_zone_holds_the_masters_name_for_half_a_minute(default: Synthesized) -> None:
    zone = default.the("aws_route53_zone")
    lifecycle = zone.pop("lifecycle")
    assert zone == {
        "name": "demo-spark",
        "comment": "Nodes of the Spark cluster demo",
        "vpc": [{"vpc_id": "vpc-1"}],
        "tags": {},
    }
    # More VPCs may be let find the master, by whomever.
    assert lifecycle["ignore_changes"] == ["vpc"]
    master = default.address("aws_instance", "spark_master_instance")
    address = default.address("aws_route53_zone", "spark_network_zone")
    assert default.the("aws_route53_record") == {
        "zone_id": f"${{{address}.zone_id}}",
        "name": "master.demo-spark",
        "type": "A",
        "ttl": 30,
        "records": [f"${{{master}.private_ip}}"],
    }


def test_a_vpc_without_both_dns_attributes_is_refused_in_the_plan(default: Synthesized) -> None:
    """A private zone answers only if both are on, and `aws_vpc` leaves the second off."""
    assert default.the("data.aws_vpc") == {
        "id": "vpc-1",
        "lifecycle": {
            "postcondition": [
                {
                    "condition": "${self.enable_dns_support && self.enable_dns_hostnames}",
                    "error_message": "vpc_id must name a VPC with enable_dns_support and enable_dns_hostnames both on, "
                    "or workers cannot find the master by its name in the private zone",
                }
            ]
        },
    }


def in_the_vpc(rule: str, subnet_ids: str | list[str]) -> dict[str, object]:
    listed = json.dumps(subnet_ids) if isinstance(subnet_ids, list) else subnet_ids.removeprefix("${").removesuffix("}")
    missing = f"setsubtract({listed}, self.ids)"
    condition = {
        "condition": f"${{(length({missing}) < 1)}}",
        "error_message": f'{rule} of the VPC that vpc_id names; it does not have ${{join(", ", {missing})}}',
    }
    return {
        "filter": [{"name": "vpc-id", "values": ["vpc-1"]}, {"name": "subnet-id", "values": subnet_ids}],
        "lifecycle": {"postcondition": [condition]},
    }


def test_subnets_of_another_vpc_are_refused_in_the_plan(synthesize: Synthesize) -> None:
    """One that is gone, too, and a destroy goes on: tests/deploy/test_nothing_unasked.py, test_removal.py."""
    found = synthesize(subnet_ids=["subnet-1", "subnet-2"])
    expected = in_the_vpc("subnet_ids must name subnets", ["subnet-1", "subnet-2"])
    assert found.the("data.aws_subnets") == expected


def test_a_masters_subnet_of_another_vpc_is_refused_in_the_plan(synthesize: Synthesize) -> None:
    found = synthesize(master=Master(subnet_id="subnet-9"))
    expected = in_the_vpc("master.subnet_id must name a subnet", ["subnet-9"])
    assert found.the("data.aws_subnets", "spark_network_master_subnet") == expected


def test_the_vpc_may_be_one_that_terraform_makes(synthesize: Synthesize, stack: TerraformStack) -> None:
    found = synthesize(vpc_id=TerraformVariable(stack, "vpc", type="string").string_value)
    for kind, argument in (("data.aws_vpc", "id"), ("aws_security_group", "vpc_id")):
        assert found.the(kind)[argument] == "${var.vpc}"
    assert found.the("aws_route53_zone")["vpc"] == [{"vpc_id": "${var.vpc}"}]


def test_what_is_only_looked_at_is_named_by_nothing_that_is_made(synthesize: Synthesize) -> None:
    """A data source with a condition is read late if what it depends on is to change, if only in a tag."""
    found = synthesize(ami_id="ami-1", master=Master(subnet_id="subnet-9"))
    looked_at = ("aws_vpc", "aws_subnets", "aws_ami", "aws_instances")
    for kind in found.json["resource"].values():
        for body in kind.values():
            if "triggers_replace" not in body:  # of those, what is kept is ignored
                named = {**body, "depends_on": []}
                assert not [one for one in looked_at if f"data.{one}." in str(named)]


def test_nodes_come_after_what_is_looked_at(synthesize: Synthesize) -> None:
    found = synthesize(master=Master(subnet_id="subnet-9"))
    looked_at = {one for one in found.addresses() if one.startswith(("data.aws_vpc.", "data.aws_subnets."))}
    assert looked_at <= set(found.the("aws_instance")["depends_on"])
    of_the_master = {found.address("data.aws_subnets", "spark_network_master_subnet")}
    assert looked_at - of_the_master <= set(found.the("aws_autoscaling_group")["depends_on"])


def test_subnets_may_be_a_list_that_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    """Or a set, of which `element` takes none."""
    found = synthesize(subnet_ids=TerraformVariable(stack, "subnets", type="list(string)").list_value)
    assert found.the("aws_autoscaling_group")["vpc_zone_identifier"] == "${var.subnets}"
    assert found.the("aws_instance")["subnet_id"] == "${element(tolist(var.subnets), 0)}"
    assert found.the("data.aws_subnets") == in_the_vpc("subnet_ids must name subnets", "${var.subnets}")


def test_subnets_may_be_a_list_of_ids_that_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    one, two = (TerraformVariable(stack, name, type="string").string_value for name in ("one", "two"))
    found = synthesize(subnet_ids=(one, two))
    assert found.the("aws_autoscaling_group")["vpc_zone_identifier"] == ["${var.one}", "${var.two}"]
    assert found.the("aws_instance")["subnet_id"] == "${var.one}"


def test_a_function_of_terraforms_may_choose_the_subnet(synthesize: Synthesize) -> None:
    found = synthesize(subnet_ids=[Fn.element(["subnet-1", "subnet-2"], 1)])
    assert found.the("aws_instance")["subnet_id"] == '${element(["subnet-1", "subnet-2"], 1)}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vpc_id": ""}, "vpc_id must be a string that is not empty, got ''"),
        ({"vpc_id": None}, "vpc_id must be given, got None"),
        ({"vpc_id": "subnet-1"}, "vpc_id must begin with 'vpc-', got 'subnet-1'"),
        ({"subnet_ids": []}, "subnet_ids must name at least 1, got []"),
        ({"subnet_ids": None}, "subnet_ids must be a list of ids such as ['subnet-0123'], got None"),
        ({"subnet_ids": "subnet-1"}, "subnet_ids must be a list of ids such as ['subnet-0123'], got 'subnet-1'"),
        ({"subnet_ids": ["subnet-1", "vpc-1"]}, "subnet_ids[1] must begin with 'subnet-', got 'vpc-1'"),
        ({"subnet_ids": [""]}, "subnet_ids[0] must be a string that is not empty, got ''"),
        (
            {"subnet_ids": ["subnet-1", "subnet-1"]},
            "subnet_ids must name each id once, got ['subnet-1', 'subnet-1']",
        ),
        ({"security_group_ids": "sg-1"}, "security_group_ids must be a list of ids such as ['sg-0123'], got 'sg-1'"),
        ({"security_group_ids": ["default"]}, "security_group_ids[0] must begin with 'sg-', got 'default'"),
        ({"allow_all_egress": None}, "allow_all_egress must be a literal True or False, got None"),
        ({"allow_all_egress": "no"}, "allow_all_egress must be a literal True or False, got 'no'"),
    ],
)
def test_refuses(synthesize: Synthesize, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(**arguments)
    assert str(error.value) == message


# --- a zone of the caller's --------------------------------------------------------------------------------------


def test_the_masters_name_may_go_into_a_zone_that_is_there(synthesize: Synthesize, stack: TerraformStack) -> None:
    """In a VPC of another account no zone of one's own can be used."""
    zone_id = TerraformVariable(stack, "zone", type="string").string_value
    found = synthesize(private_zone=PrivateZone(zone_id, "data.internal"))
    assert not found.all("aws_route53_zone")
    record = found.the("aws_route53_record")
    assert (record["zone_id"], record["name"]) == ("${var.zone}", "master.demo-spark.data.internal")
    for role in ("master", "worker"):
        assert found.settings(role)["master_host"] == "master.demo-spark.data.internal"
    assert (
        "master.demo-spark.data.internal" in found.the("aws_ssm_parameter", "spark_about_parameter")["insecure_value"]
    )


@pytest.mark.parametrize("zone_id", ["Z1D633PJN98FT9", "Z0123456789ABCDEFGHIJ", "Z" * 32])
def test_the_id_of_a_zone_is_in_upper_case(synthesize: Synthesize, zone_id: str) -> None:
    found = synthesize(private_zone=PrivateZone(zone_id, "data.internal"))
    assert found.the("aws_route53_record")["zone_id"] == zone_id


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *(
            (
                partial(PrivateZone, zone_id, "data.internal"),
                f"private_zone.zone_id must be the id of a hosted zone such as 'Z1D633PJN98FT9', got {zone_id!r}",
            )
            for zone_id in ("data.internal", "z1", "Zone", "/hostedzone/Z1D633PJN98FT9", "Z" * 33, "1Z")
        ),
        (
            lambda: PrivateZone("Z1", "data.internal."),
            "private_zone.name must be a domain's name in lower case",
        ),
        (lambda: PrivateZone("Z1", ""), "private_zone.name must be a string that is not empty, got ''"),
        (
            lambda: PrivateZone("Z1", "a." * 110 + "a"),
            "private_zone.name must be a domain's name in lower case",
        ),
        (
            lambda: "data.internal",
            "private_zone must be an object such as PrivateZone('Z1D633PJN98FT9', 'data.internal')",
        ),
    ],
)
def test_refuses_what_is_no_zone(synthesize: Synthesize, make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        synthesize(private_zone=make())
    assert str(error.value).startswith(message)
