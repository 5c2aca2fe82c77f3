from __future__ import annotations

import json
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

import contract
import pytest
from cdktf import Token

from spark_cluster import checks, settings
from tests.userdata.node import node_settings

CHECKOUT = Path(__file__).parents[2]
ROLES = {"master": settings.MasterSettings, "worker": settings.WorkerSettings}
KINDS = {"text": str, "number": (int, float), "list of texts": list, "texts by name": dict}


@pytest.mark.parametrize("role", ROLES)
def test_the_node_knows_each_key_and_its_kind(role: str) -> None:
    assert contract.kinds(role) == {key: KINDS[kind] for key, kind in settings.kinds(ROLES[role]).items()}


@pytest.mark.parametrize("role", ROLES)
def test_the_node_takes_what_the_constructs_make(role: str) -> None:
    contract.check(json.loads(json.dumps(node_settings(role))))


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in node_settings("worker").items() if name != key}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (without("bucket"), "bucket is missing"),
        ({**node_settings("worker"), "parameter_kms_key": ""}, "parameter_kms_key is unknown"),
        ({**node_settings("worker"), "colour": "blue"}, "colour is unknown"),
        ({**node_settings("worker"), "no_proxy": "a"}, "no_proxy must be a list, got 'a'"),
        ({**node_settings("worker"), "role": "slave"}, "role must be one of master, worker, got 'slave'"),
        (without("role"), "role must be one of"),
    ],
)
def test_the_node_names_the_key_that_is_not_as_agreed(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(contract.SettingsError, match=re.escape(problem)):
        contract.check(given)


def test_every_setting_has_a_meaning_of_its_own() -> None:
    rows = settings.table().splitlines()[2:]
    meanings = [row.split(" | ")[3] for row in rows]
    assert len(set(meanings)) == len(meanings)
    both = settings.kinds(settings.MasterSettings).keys() | settings.kinds(settings.WorkerSettings).keys()
    assert len(rows) == len(both)


def test_a_document_is_plain_json_whatever_the_caller_gave() -> None:
    given = node_settings("master", no_proxy=("a", "b"), spark_defaults=MappingProxyType({"spark.x": "y"}))
    assert json.loads(json.dumps(given))["no_proxy"] == ["a", "b"]
    assert given["spark_defaults"] == {"spark.x": "y"}


def test_cores_of_an_executor_are_a_number() -> None:
    assert settings.executor_cores({"spark.executor.cores": "2"}) == 2
    token = settings.executor_cores({"spark.executor.cores": Token.as_string({"a": 1})})
    assert not checks.is_known(token)
