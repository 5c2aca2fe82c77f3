"""What the plan refuses: `null`, and the ARN of an alias, where an argument is known to Terraform alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cdktf
import jsii
import pytest
from cdktf import Lazy, TerraformStack, TerraformVariable

from spark_cluster import ExistingCluster, Master, PrivateZone, SparkArchive, SparkCluster, fleet_key
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized, plain, reached
from tests.synth.test_arguments import OBJECTS, TAKES

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize

NULL = "must not be null, which is not the same as leaving it out"
KEY = "must be the ARN of a KMS key, not of an alias, and not null, which is not the same as leaving it out"
IS_KEY = '${can(regex(":key/", var.given))}'
IS_GIVEN = "${(try(var.given) != null)}"

SECRET = "aws_ssm_parameter.spark_spark_secret_parameter"  # noqa: S105 - an address
BUCKET = "aws_s3_bucket.spark_storage_bucket"
MASTER_ROLE = "aws_iam_role.spark_master_role"
WORKER_ROLE = "aws_iam_role.spark_worker_role"


def preconditions(stack: Synthesized) -> list[tuple[str, str, str]]:
    """Resource, condition and message of each precondition on what was given."""
    return [one for one in every_precondition(stack) if ".aws_default_tags." not in one[1]]


def every_precondition(stack: Synthesized) -> list[tuple[str, str, str]]:
    """Resource, condition and message of each precondition, those on the provider's default tags included."""
    found = []
    for section, prefix in (("resource", ""), ("data", "data.")):
        for kind, bodies in stack.json[section].items():
            for name, body in bodies.items():
                own = body.get("lifecycle", {}).get("precondition", [])
                address = prefix + plain(f"{kind}.{name}")
                found += [(address, one["condition"], one["error_message"]) for one in own]
    return found


@pytest.mark.parametrize(
    ("argument", "checked"),
    [
        ("bucket_kms_key_arn", [(BUCKET, IS_KEY, KEY)]),
        (
            "parameter_kms_key_arn",
            [
                ("aws_ssm_parameter.spark_fleet_key_private_parameter", IS_KEY, KEY),
                (SECRET, IS_KEY, KEY),
            ],
        ),
        (
            "volume_kms_key_arn",
            [
                (
                    "aws_instance.spark_master_instance",
                    '${((try(var.given) == null) || can(regex(":key/", var.given)))}',
                    "must be the ARN of a KMS key, not of an alias",
                )
            ],
        ),
        ("account_id", [(MASTER_ROLE, IS_GIVEN, NULL), (WORKER_ROLE, IS_GIVEN, NULL)]),
        *[
            (argument, [(SECRET, IS_GIVEN, NULL)])
            for argument in ("setup_script", "http_proxy", "spark_checksum", "vpc_id", "ami_id")
        ],
    ],
)
def test_null_is_refused_where_it_would_be_an_error_of_terraforms_or_of_the_nodes(
    synthesize: Synthesize, stack: TerraformStack, argument: str, checked: list[tuple[str, str, str]]
) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    found = sorted(preconditions(synthesize(**{argument: given})))
    assert found == [(resource, condition, f"{argument} {message}") for resource, condition, message in checked]


AS_LEFT_OUT = {
    "SparkCluster": {
        *{"key_name", "permissions_boundary_arn", "associate_public_ip_address", "ebs_optimized", "force_destroy"},
    },
    "Workers": {"desired_size", "spot_max_price"},
}
"""Where `null` does what leaving the argument out does."""

TAKEN = [
    (part, kind, name)
    for kind, parts in TAKES.items()
    for part, names in parts.items()
    for name in names.split()
    if name not in AS_LEFT_OUT.get(part.replace("cluster", "SparkCluster"), ())
]
"""Every argument that may be a token, but for a few that need something besides."""


ROUNDS = [
    TAKEN,
    [
        *(("cluster", "string", f"{name}[0]") for name in TAKES["list"]["cluster"].split()),
        ("cluster", "string", "tags['team']"),
        ("Workers", "string", "instance_types[0]"),
        ("fleet_key.PrivateKey", "number", "version"),
    ],
    [("Workers", "string", "instance_types[1]")],
]


@pytest.mark.parametrize("given", ROUNDS, ids=["whole", "first in a list", "second in a list"])
def test_null_is_refused_by_the_name_of_every_argument_that_may_be_a_token(
    synthesize: Synthesize, stack: TerraformStack, given: list[tuple[str, str, str]]
) -> None:
    variable = TerraformVariable(stack, "given", type="any")
    tokens = {"string": variable.string_value, "number": variable.number_value, "list": variable.list_value}
    arguments: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}
    named = []
    for part, kind, name in given:
        field, _, place = name.partition("[")
        token = tokens[kind]
        value = {"": token, "0]": [token], "1]": ["m6i.large", token], "'team']": {"team": token}}[place]
        named.append(name if part == "cluster" else f"{OBJECTS[part][2]}.{name}")
        (arguments if part == "cluster" else fields.setdefault(part, {}))[field] = value
    for part, values in fields.items():
        made, needed, of_cluster = OBJECTS[part]
        needed = {**needed, **({"private_key": variable.string_value} if part == "fleet_key.PrivateKey" else {})}
        arguments[of_cluster] = made(**{**needed, **values})
    messages = [message for _, _, message in preconditions(synthesize(**arguments))]
    unsaid = [name for name in named if not any(message.startswith(f"{name} must ") for message in messages)]
    assert not unsaid


def test_so_it_is_within_lists_and_mappings_and_objects(synthesize: Synthesize, stack: TerraformStack) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(
        subnet_ids=["subnet-1", given],
        master=Master(subnet_id=given),
        no_proxy=["a", given],
        spark_defaults={"spark.a": given},
        spark_archive=SparkArchive("https://example.org/x.tgz", given),
        fleet_key=fleet_key.SsmParameter("/team/key", kms_key_arn=given),
    )
    assert {message for _, _, message in preconditions(found)} == {
        f"subnet_ids[1] {NULL}",
        f"master.subnet_id {NULL}",
        f"no_proxy[1] {NULL}",
        f"spark_defaults['spark.a'] {NULL}",
        f"spark_checksum {NULL}",
        f"fleet_key.kms_key_arn {KEY}",
    }


def test_a_list_that_only_terraform_knows_is_no_null(synthesize: Synthesize, stack: TerraformStack) -> None:
    given = TerraformVariable(stack, "given", type="list(string)").list_value
    assert preconditions(synthesize(subnet_ids=given)) == [(SECRET, IS_GIVEN, f"subnet_ids {NULL}")]


@pytest.mark.parametrize(
    ("argument", "looks"), [("bucket_kms_key_arn", [BUCKET]), ("account_id", [MASTER_ROLE, WORKER_ROLE])]
)
def test_every_policy_with_the_value_in_it_waits_for_the_one_that_looks_at_it(
    synthesize: Synthesize, stack: TerraformStack, argument: str, looks: list[str]
) -> None:
    """So that the plan ends with these words alone."""
    given = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(**{argument: given})
    graph = found.graph()
    every = found.json["resource"]["aws_iam_role_policy"]
    policies = [f"aws_iam_role_policy.{name}" for name, body in every.items() if "var.given" in body["policy"]]
    assert policies
    for policy in policies:
        assert {plain(address) for address in reached(graph, policy)} & set(looks), policy


def test_what_is_known_or_has_a_text_around_it_is_left_alone(
    default: Synthesized, synthesize: Synthesize, stack: TerraformStack
) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    assert not preconditions(default)
    assert not preconditions(
        synthesize(http_proxy=f"http://{given}:3128", setup_script=f"#!/bin/sh\necho {given}\n", ami_id=None)
    )


@jsii.implements(cdktf.IStringProducer)
class Later:
    def produce(self, _context: object) -> str:
        return "http://proxy:3128"


def test_what_python_makes_later_is_no_null(synthesize: Synthesize) -> None:
    """In an expression cdktf would write it as a word without quotes."""
    found = synthesize(http_proxy=Lazy.string_value(Later()))
    assert found.settings("worker")["http_proxy"] == "http://proxy:3128"
    assert not preconditions(found)


def test_a_precondition_leaves_the_rest_of_a_lifecycle_as_it_is(synthesize: Synthesize, stack: TerraformStack) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(parameter_kms_key_arn=given, vpc_id=given)
    lifecycle = found.the("aws_ssm_parameter", "spark_spark_secret_parameter")["lifecycle"]
    assert lifecycle["ignore_changes"] == "all"
    assert len(lifecycle["precondition"]) == 2


def test_no_look_up_has_a_precondition(synthesize: Synthesize, stack: TerraformStack) -> None:
    """It would be read late whenever anything changes that the condition refers to, and what it tells be unknown."""
    given = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(vpc_id=given, ami_id=given, account_id=given, subnet_ids=[given])
    assert not [resource for resource, _, _ in preconditions(found) if resource.startswith("data.")]


# --- the provider's default tags ---------------------------------------------------------------------------------


def of_default_tags(stack: Synthesized) -> dict[str, tuple[str, str]]:
    """Condition, with `default` for the look-up, and message of what is asked of them, by the resource that asks."""
    address = stack.address("data.aws_default_tags", "spark_workers_default_tags")
    every = every_precondition(stack)
    return {resource: (when.replace(f"{address}.tags", "default"), message) for resource, when, message in every}


ZONE = "aws_route53_zone.spark_network_zone"


def test_keys_that_differ_in_case_from_those_of_the_provider_are_refused_in_the_plan(synthesize: Synthesize) -> None:
    """IAM refuses them in the midst of a deploy."""
    condition, message = of_default_tags(synthesize(tags={"team": "data"}))[WORKER_ROLE]
    keys = 'keys(merge(default, {"team" = ""}))'
    assert condition == rf'${{(length({keys}) <= length(distinct(split("\n", lower(join("\n", {keys}))))))}}'
    assert message == (
        "tags must have keys that differ from those of the provider's default_tags in more than upper and lower case, "
        "since IAM's do"
    )


def test_a_tag_with_a_token_in_it_needs_no_warning_of_cdktfs(
    synthesize: Synthesize, stack: TerraformStack, capfd: pytest.CaptureFixture[str]
) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(tags={"team": f"of {given}"})
    assert found.the("aws_launch_template")["tags"]["team"] == "of ${var.given}"
    assert "escape sequences" not in "".join(capfd.readouterr())


def test_more_tags_than_the_zone_takes_with_those_of_the_provider_are_refused_in_the_plan(
    synthesize: Synthesize,
) -> None:
    """The zone has the first ten of the caller's own, and the provider adds its own to them."""
    tags = {f"tag{number:02}": "x" for number in range(12)}
    condition, message = of_default_tags(synthesize(tags=tags))[ZONE]
    sent = ", ".join(f'"{key}" = ""' for key in list(tags)[:10])
    assert condition == f"${{(length(merge(default, {{{sent}}})) <= 10)}}"
    assert message == (
        "tags and the provider's default_tags must be at most 10 keys together on the private zone, as Route 53 takes "
        "no more: `cluster.network.zone.tags = {}` leaves out those of tags, a provider with fewer default_tags the "
        "rest"
    )


def test_what_leaves_out_those_of_the_zone_is_as_that_says(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED, tags={"team": "data"})
    assert cluster.network.zone is not None
    cluster.network.zone.tags = {}
    found = Synthesized(stack)
    assert of_default_tags(found)[ZONE][0] == "${(length(merge(default, {})) <= 10)}"
    assert not found.the("aws_route53_zone")["tags"]


def test_a_zone_of_somebody_else_s_gets_no_tags(synthesize: Synthesize) -> None:
    assert of_default_tags(synthesize(private_zone=PrivateZone("Z1", "data.internal"))).keys() == {WORKER_ROLE}


# --- of a cluster of another program -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "condition", "message"),
    [
        ("account_id", IS_GIVEN, NULL),
        ("bucket_kms_key_arn", IS_KEY, KEY),
        ("parameter_kms_key_arn", IS_KEY, KEY),
    ],
)
def test_so_they_are_of_an_existing_cluster(stack: TerraformStack, argument: str, condition: str, message: str) -> None:
    """Before any policy: all have the value from the resource that looks at it, in a later stack, too."""
    given = TerraformVariable(stack, "given", type="string").string_value
    arguments: dict[str, Any] = {argument: given}
    existing = ExistingCluster(stack, "analytics", name="analytics", **arguments)
    existing.grant_read_data("job")
    existing.grant_submit("job", security_group_id="sg-1")
    found = Synthesized(stack)
    assert preconditions(found) == [("terraform_data.analytics_given", condition, f"{argument} {message}")]
    policies = [body["policy"] for body in found.all("aws_iam_role_policy").values()]
    address = found.address("terraform_data", "analytics_given")
    assert any(f"${{{address}.output.{argument}}}" in policy for policy in policies)
    assert not any("var.given" in policy for policy in policies)


def test_so_are_the_tags_of_an_existing_cluster_s_rules(stack: TerraformStack) -> None:
    given = TerraformVariable(stack, "given", type="string").string_value
    ExistingCluster(stack, "analytics", name="analytics", tags={"team": given})
    assert preconditions(Synthesized(stack)) == [("terraform_data.analytics_given", IS_GIVEN, f"tags['team'] {NULL}")]


def test_an_existing_cluster_with_literals_makes_nothing_of_its_own(stack: TerraformStack) -> None:
    ExistingCluster(stack, "analytics", name="analytics", account_id="111122223333", tags={"team": "data"})
    assert "resource" not in Synthesized(stack).json
