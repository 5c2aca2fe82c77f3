from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import fleet_key
from spark_cluster.parameters import ParameterAddress
from tests.synth.conftest import NO_ALIAS

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

PARAMETER = "aws_ssm_parameter"
PRIVATE, PUBLIC = "spark_fleet_key_private_parameter", "spark_fleet_key_public_parameter"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def name_of(stack: Synthesized, parameter: str) -> str:
    return f"${{{stack.address(PARAMETER, parameter)}.name}}"


def test_by_default_the_master_makes_the_key_and_keeps_it_in_a_secure_string(default: Synthesized) -> None:
    assert default.the(PARAMETER, PRIVATE) == {
        "name": "/spark-cluster/demo/fleet-private-key",
        "description": "Private half of the SSH key with which the Spark master reaches its workers",
        "type": "SecureString",
        "value_wo": "unset",
        "value_wo_version": 1,
        "tags": {},
        "lifecycle": {"ignore_changes": "all"},
    }
    assert "s3" not in str(default.policies("worker")["fleet_public_key"])
    assert default.settings("master")["fleet_private_key_parameter"] == name_of(default, PRIVATE)


def test_the_public_half_is_a_parameter_of_its_own(default: Synthesized) -> None:
    assert default.the(PARAMETER, PUBLIC) == {
        "name": "/spark-cluster/demo/fleet-public-key",
        "description": "Public half of the SSH key with which the Spark master reaches its workers",
        "type": "String",
        "insecure_value": "unset",
        "tags": {},
        "lifecycle": {"ignore_changes": "all"},
    }
    for role in ("master", "worker"):
        assert default.settings(role)["fleet_public_key_parameter"] == name_of(default, PUBLIC)


def test_workers_do_not_know_where_the_private_half_is(default: Synthesized) -> None:
    assert "fleet_private_key_parameter" not in default.settings("worker")
    assert "parameter_kms_key" not in default.settings("worker")


def test_the_key_of_the_secure_string_is_the_callers_choice(synthesize: Synthesize) -> None:
    stack = synthesize(parameter_kms_key_arn=KEY)
    assert stack.the(PARAMETER, PRIVATE)["key_id"] == KEY
    assert "key_id" not in stack.the(PARAMETER, PUBLIC)


def test_the_master_writes_with_the_same_key_as_terraform_made_the_parameter_with(synthesize: Synthesize) -> None:
    stack = synthesize(parameter_kms_key_arn=KEY)
    assert stack.settings("master")["parameter_kms_key"] == KEY


# --- an existing parameter ---------------------------------------------------------------------------------------


def test_an_existing_parameter_of_the_callers_is_read_by_the_master(synthesize: Synthesize) -> None:
    stack = synthesize(fleet_key=fleet_key.SsmParameter("/team/key", KEY))
    assert PRIVATE not in stack.all(PARAMETER)
    assert stack.settings("master")["fleet_private_key_parameter"] == "/team/key"
    read, decrypt = stack.policies("master")["fleet_private_key"]
    assert read["Action"] == ["ssm:GetParameter"]
    assert read["Resource"][0].endswith(":parameter/team/key")
    assert (decrypt["Action"], decrypt["Resource"]) == (["kms:Decrypt"], [KEY])
    assert PUBLIC in stack.all(PARAMETER)


def test_an_existing_parameter_under_the_accounts_own_key_needs_no_kms(synthesize: Synthesize) -> None:
    stack = synthesize(fleet_key=fleet_key.SsmParameter("/team/key"), parameter_kms_key_arn=KEY)
    assert len(stack.policies("master")["fleet_private_key"]) == 1


def test_an_existing_parameter_may_be_one_that_terraform_makes(synthesize: Synthesize, stack: TerraformStack) -> None:
    name, key = (TerraformVariable(stack, each, type="string").string_value for each in ("name", "key"))
    found = synthesize(fleet_key=fleet_key.SsmParameter(name, key))
    assert found.settings("master")["fleet_private_key_parameter"] == "${var.name}"
    read, decrypt = found.policies("master")["fleet_private_key"]
    assert read["Resource"][0].endswith(":parameter${var.name}")
    assert decrypt["Resource"] == ["${var.key}"]


# --- the caller's private key ------------------------------------------------------------------------------------


@pytest.fixture
def private_key(stack: TerraformStack) -> str:
    return TerraformVariable(stack, "private_key", type="string", sensitive=True).string_value


def test_the_callers_private_key_passes_through_a_write_only_argument(synthesize: Synthesize, private_key: str) -> None:
    stack = synthesize(fleet_key=fleet_key.PrivateKey(private_key), parameter_kms_key_arn=KEY)
    assert stack.the(PARAMETER, "spark_fleet_key_private") == {
        "name": "/spark-cluster/demo/fleet-private-key-given",
        "description": "Private half of the SSH key with which the Spark master reaches its workers",
        "type": "SecureString",
        "value_wo": "${var.private_key}",
        "value_wo_version": 1,
        "key_id": KEY,
        "tags": {},
        # Nothing but the version: a change of anything else would write no key over this one.
        "lifecycle": {"ignore_changes": ["description", "key_id", "tags", "tags_all"]},
    }
    assert stack.text.count("${var.private_key}") == 1


def test_the_master_reads_the_callers_key_and_never_writes_it(synthesize: Synthesize, private_key: str) -> None:
    stack = synthesize(fleet_key=fleet_key.PrivateKey(private_key))
    [read] = stack.policies("master")["fleet_private_key"]
    assert read["Action"] == ["ssm:GetParameter"]


def test_a_raised_version_has_terraform_write_a_changed_key(synthesize: Synthesize, private_key: str) -> None:
    stack = synthesize(fleet_key=fleet_key.PrivateKey(private_key, version=3))
    assert stack.the(PARAMETER, "spark_fleet_key_private")["value_wo_version"] == 3


def test_the_version_may_be_a_variable(synthesize: Synthesize, stack: TerraformStack, private_key: str) -> None:
    version = TerraformVariable(stack, "version", type="number").number_value
    found = synthesize(fleet_key=fleet_key.PrivateKey(private_key, version))
    assert found.the(PARAMETER, "spark_fleet_key_private")["value_wo_version"] == "${var.version}"


def test_refuses_a_literal_private_key_without_repeating_it() -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        fleet_key.PrivateKey("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert str(error.value) == (
        "fleet_key.private_key must be a token alone, such as a sensitive and ephemeral variable's "
        "string_value: what of a key is literal would be readable in the synthesized JSON"
    )


@pytest.mark.parametrize("form", ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n{}", "{}\n", "{0}{0}"])
def test_refuses_a_private_key_of_which_a_part_is_literal(private_key: str, form: str) -> None:
    with pytest.raises(ValueError, match=r"^fleet_key\.private_key must be a token alone") as error:
        fleet_key.PrivateKey(form.format(private_key))
    assert "b3Blbn" not in str(error.value)


# --- none at all -------------------------------------------------------------------------------------------------


def test_no_key_makes_no_parameter_and_no_policy(synthesize: Synthesize) -> None:
    stack = synthesize(fleet_key=fleet_key.NoKey())
    assert stack.all(PARAMETER).keys() == {"spark_about_parameter", "spark_spark_secret_parameter"}
    for role in ("master", "worker"):
        assert not [name for name in stack.policies(role) if name.startswith("fleet")]
        assert stack.settings(role)["fleet_public_key_parameter"] == ""
    assert stack.settings("master")["fleet_private_key_parameter"] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "team/key"},
            "fleet_key.name must be a parameter's name that begins with '/', such as '/team/fleet-key', got 'team/key'",
        ),
        ({"name": ""}, "fleet_key.name must be a string that is not empty, got ''"),
        ({"name": "/key", "kms_key_arn": "alias/key"}, f"fleet_key.kms_key_arn must {NO_ALIAS}, got 'alias/key'"),
    ],
)
def test_refuses_what_is_no_parameter(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        fleet_key.SsmParameter(**arguments)
    assert str(error.value) == message


def test_refuses_a_version_below_one(private_key: str) -> None:
    with pytest.raises(ValueError, match=r"^fleet_key\.version must be a whole number of at least 1, got 0$"):
        fleet_key.PrivateKey(private_key, version=0)


class Own:
    def private_parameter(self, _place: fleet_key.FleetKeyPlace) -> str:
        return "/team/key"


def test_a_place_of_the_callers_own_says_where_the_key_is_by_a_parameters_address(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError, match=r"^fleet_key.private_parameter must be an object such as ParameterAddress"):
        synthesize(fleet_key=Own())


ARN = "arn:aws:ssm:us-east-1:111122223333:parameter/team/key"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": 5}, "parameter.name must be a string that is not empty, got 5"),
        ({"name": "a b\n"}, "parameter.name must be a parameter's name that begins with '/'"),
        ({"arn": "arn"}, "parameter.arn must be a parameter's ARN such as 'arn:aws:ssm:"),
        ({"arn": "arn:aws:s3:::bucket"}, "parameter.arn must be a parameter's ARN such as 'arn:aws:ssm:"),
        ({"location": "us-east-1"}, "parameter.location must be an object such as the location of the FleetKeyPlace"),
        ({"kms_key_arn": "alias/a"}, "parameter.kms_key_arn must be a KMS key's ARN such as "),
        ({"ready": None}, "parameter.ready must be a list of resources, got None"),
        ({"ready": ["aws_ssm_parameter.a"]}, "parameter.ready must be a list of resources, got ['aws_ssm"),
    ],
)
def test_the_address_that_a_place_of_the_callers_own_gives_is_one(
    synthesize: Synthesize, values: dict[str, Any], message: str
) -> None:
    class Answer:
        def private_parameter(self, place: fleet_key.FleetKeyPlace) -> ParameterAddress:
            right: dict[str, Any] = {"name": "/team/key", "arn": ARN, "location": place.location}
            return ParameterAddress(**{**right, **values})

    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        synthesize(fleet_key=Answer())
    assert str(error.value).startswith(message)


def test_a_place_of_the_callers_own_may_name_a_parameter_of_the_callers(synthesize: Synthesize) -> None:
    class Answer:
        def private_parameter(self, place: fleet_key.FleetKeyPlace) -> ParameterAddress:
            return ParameterAddress("/team/key", ARN, place.location)

    found = synthesize(fleet_key=Answer()).settings("master")
    assert found["fleet_private_key_parameter"] == "/team/key"


def test_refuses_a_key_of_another_form_without_repeating_it(stack: TerraformStack) -> None:
    value = TerraformVariable(stack, "key", type="string").value
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        fleet_key.PrivateKey(value)
    assert str(error.value) == (
        "fleet_key.private_key must be a token of a string (convert with cdktf's Token.as_string), got a token"
    )
