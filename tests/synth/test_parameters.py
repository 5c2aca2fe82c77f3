from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cdktf import TerraformOutput, TerraformStack

from spark_cluster import SparkCluster
from spark_cluster.parameters import PLACEHOLDER
from tests.synth.conftest import NO_ALIAS, REQUIRED
from tests.synth.synthesized import Synthesized

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize

SECRET = "spark_spark_secret_parameter"  # noqa: S105 - a name
FILLED_BY_NODES = (SECRET, "spark_fleet_key_private_parameter", "spark_fleet_key_public_parameter")


def test_sparks_secret_is_a_secure_string_that_the_master_fills(default: Synthesized) -> None:
    assert default.the("aws_ssm_parameter", SECRET) == {
        "name": "/spark-cluster/demo/spark-secret",
        "description": "Secret of spark.authenticate of the Spark cluster demo",
        "type": "SecureString",
        "value_wo": "unset",
        "value_wo_version": 1,
        "tags": {},
        "lifecycle": {"ignore_changes": "all"},
    }


def test_terraform_never_writes_what_a_node_filled(default: Synthesized) -> None:
    """A change of anything but the tags would send an empty value, a raised version the placeholder, and a plain value
    would be reset at every deploy: so no change of any argument is a change.
    """
    for name in FILLED_BY_NODES:
        assert default.the("aws_ssm_parameter", name)["lifecycle"] == {"ignore_changes": "all"}


def test_no_secret_is_in_terraforms_state(default: Synthesized) -> None:
    """A write-only argument is in no state; `value` and `insecure_value` are."""
    for body in default.all("aws_ssm_parameter").values():
        assert "value" not in body
        assert ("insecure_value" in body) is (body["type"] == "String")


def test_nodes_know_the_placeholder(default: Synthesized) -> None:
    """A node that took another text for it would make the placeholder the cluster's secret."""
    for role in ("master", "worker"):
        assert default.settings(role)["parameter_placeholder"] == PLACEHOLDER


def test_the_secrets_key_is_the_callers_choice(synthesize: Synthesize) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert synthesize(parameter_kms_key_arn=key).the("aws_ssm_parameter", SECRET)["key_id"] == key


def test_nodes_get_the_secrets_name_by_reference(default: Synthesized) -> None:
    address = default.address("aws_ssm_parameter", SECRET)
    for role in ("master", "worker"):
        assert default.settings(role)["secret_parameter"] == f"${{{address}.name}}"


def test_the_cluster_tells_where_a_submitter_reads_the_secret(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED)
    TerraformOutput(stack, "secret", value=cluster.spark_secret_parameter_name, static_id=True)
    found = Synthesized(stack)
    assert found.json["output"]["secret"]["value"] == f"${{{found.address('aws_ssm_parameter', SECRET)}.name}}"


def test_refuses_an_alias_where_a_keys_arn_is_wanted(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError, match=f"^parameter_kms_key_arn must {re.escape(NO_ALIAS)}, got 'alias/team'$"):
        synthesize(parameter_kms_key_arn="alias/team")
