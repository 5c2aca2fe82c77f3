"""Spark Connect, an option: what the cluster then has besides, and which Spark has it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformOutput, TerraformStack, TerraformVariable, Token

from spark_cluster import SparkArchive, SparkCluster, SparkConnect
from spark_cluster.commands import CONNECT_PORT
from spark_cluster.spark_properties import KEPT
from spark_cluster.spark_release import RELEASES
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize

TOKEN = "spark_connect_token_parameter"  # noqa: S105 - a name
ARCHIVE = SparkArchive("https://example.org/spark.tgz", "a" * 64)


def addresses(stack: Synthesized) -> set[str]:
    return {f"{kind}.{name}" for kind in stack.json["resource"] for name in stack.all(kind)}


def test_by_default_there_is_nothing_of_it(default: Synthesized) -> None:
    assert not [address for address in addresses(default) if "connect" in address]
    assert "connect-token" not in json.dumps(default.json)
    settings = default.settings("master")
    assert (settings["connect_parameter"], settings["connect_cores"]) == ("", 0)


def test_it_adds_a_parameter_and_a_policy_of_the_master_s(default: Synthesized, synthesize: Synthesize) -> None:
    found = synthesize(spark_connect=SparkConnect())
    added = {f"aws_ssm_parameter.{TOKEN}", "aws_iam_role_policy.spark_master_role_connect_token"}
    assert addresses(found) - addresses(default) == added
    assert addresses(default) <= addresses(found)


def test_its_token_is_kept_like_spark_s_secret(synthesize: Synthesize) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    found = synthesize(spark_connect=SparkConnect(), parameter_kms_key_arn=key)
    secret = found.the("aws_ssm_parameter", "spark_spark_secret_parameter")
    token = found.the("aws_ssm_parameter", TOKEN)
    assert token.pop("name") == "/spark-cluster/demo/connect-token"
    assert token.pop("description") == "Token of the Spark Connect server of the Spark cluster demo"
    assert token == {key: value for key, value in secret.items() if key not in {"name", "description"}}
    assert (token["type"], token["value_wo"], token["key_id"]) == ("SecureString", "unset", key)


def test_the_master_fills_it_and_a_worker_knows_nothing_of_it(default: Synthesized, synthesize: Synthesize) -> None:
    found = synthesize(spark_connect=SparkConnect(cores_max=12))
    parameter = found.address("aws_ssm_parameter", TOKEN)
    holders = {
        address: json.loads(body["policy"])["Statement"]
        for address, body in found.all("aws_iam_role_policy").items()
        if parameter in body["policy"]
    }
    assert list(holders) == ["spark_master_role_connect_token"]
    (statement,) = holders["spark_master_role_connect_token"]
    assert statement["Action"] == ["ssm:GetParameter", "ssm:PutParameter"]
    assert statement["Resource"] == [f"${{{parameter}.arn}}"]
    settings = found.settings("master")
    assert settings["connect_parameter"] == f"${{{parameter}.name}}"
    assert settings["connect_cores"] == 12
    assert not [key for key in found.settings("worker") if "connect" in key]
    assert found.settings("worker") == default.settings("worker"), "whose template does not change"


def test_the_master_boots_once_it_is_there(synthesize: Synthesize) -> None:
    found = synthesize(spark_connect=SparkConnect())
    waits = found.the("aws_instance", "spark_master_instance")["depends_on"]
    policy = found.address("aws_iam_role_policy", "spark_master_role_connect_token")
    assert {found.address("aws_ssm_parameter", TOKEN), policy} <= set(waits)


def test_it_is_forwarded_from_where_it_listens(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED, spark_connect=SparkConnect())
    TerraformOutput(stack, "connect", value=cluster.commands.connect(), static_id=True)
    TerraformOutput(stack, "token", value=cluster.commands.connect_token(), static_id=True)
    found = Synthesized(stack)
    port, _ = KEPT["spark.connect.grpc.binding.port"]
    assert port == str(CONNECT_PORT)
    assert f'"portNumber": ["{port}"]' in found.json["output"]["connect"]["value"]
    name = f"${{{found.address('aws_ssm_parameter', TOKEN)}.name}}"
    assert f"get-parameter --region us-east-1 --name {name} --with-decryption" in re.sub(
        r"\$\{data\.aws_region\.\w+\.\w+\}", "us-east-1", found.json["output"]["token"]["value"]
    )


@pytest.mark.parametrize("version", [version for version in RELEASES if version >= "4"])
def test_every_release_since_4_0_has_it(synthesize: Synthesize, version: str) -> None:
    assert synthesize(spark_connect=SparkConnect(), spark_version=version).settings("master")["connect_cores"] == 8


@pytest.mark.parametrize(
    ("version", "archive"),
    [("3.5.9", None), ("3.5.9", ARCHIVE), ("3.5.9-ours", ARCHIVE), ("3.3.4", ARCHIVE), ("4.0.0-preview2", ARCHIVE)],
)
def test_a_spark_without_it_is_refused(synthesize: Synthesize, version: str, archive: SparkArchive | None) -> None:
    rule = "be at least 4.0.0 with spark_connect, since earlier releases have no such server with a token"
    with pytest.raises(ValueError, match=f"^spark_version must {rule}, got '{version}'$"):
        synthesize(spark_connect=SparkConnect(), spark_version=version, spark_archive=archive)


@pytest.mark.parametrize("version", ["4.0.0-ours", "4.10.0", "5.0.0"])
def test_a_later_spark_of_one_s_own_has_it(synthesize: Synthesize, version: str) -> None:
    found = synthesize(spark_connect=SparkConnect(), spark_version=version, spark_archive=ARCHIVE)
    assert found.settings("master")["connect_cores"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spark_connect": True}, "spark_connect must be an object such as SparkConnect(), got True"),
        ({"spark_connect": SparkConnect}, "spark_connect must be an object such as SparkConnect(), got <class"),
        (
            {"spark_connect": SparkConnect(cores_max=4), "spark_defaults": {"spark.executor.cores": "8"}},
            "spark_connect.cores_max must be at least spark.executor.cores of spark_defaults, 8, or no query ever runs",
        ),
        (
            {"spark_defaults": {"spark.connect.authenticate.token": "mine"}},
            "spark_defaults must hold no secret",
        ),
    ],
)
def test_what_would_give_no_server_or_an_open_one_is_refused(
    synthesize: Synthesize, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        synthesize(**arguments)


@pytest.mark.parametrize("cores", [0, -1, "8", 8.5, True, None])
def test_a_number_of_cores_is_a_whole_one(cores: object) -> None:
    with pytest.raises(ValueError, match=r"^spark_connect\.cores_max must be a whole number"):
        SparkConnect(cores_max=cores)  # type: ignore[arg-type]


def test_how_many_cores_may_be_terraform_s_to_say(synthesize: Synthesize, stack: TerraformStack) -> None:
    cores = TerraformVariable(stack, "cores", type="number").number_value
    found = synthesize(spark_connect=SparkConnect(cores_max=cores), spark_defaults={"spark.executor.cores": "8"})
    assert found.settings("master")["connect_cores"] == "${var.cores}"
    assert "spark_connect.cores_max must not be null" in json.dumps(found.json)
    assert Token.is_unresolved(cores)
