"""The history server: for which Spark the master gets one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spark_cluster import SparkCluster
from spark_cluster.history import is_sound
from spark_cluster.spark_release import RELEASES
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import Synthesized

if TYPE_CHECKING:
    from typing import Any

    from cdktf import TerraformStack


def warnings(stack: TerraformStack) -> list[str]:
    found: list[dict[str, Any]] = [
        {"type": entry.type, "data": entry.data} for one in stack.node.find_all() for entry in one.node.metadata
    ]
    return [str(entry["data"]) for entry in found if "warn" in entry["type"]]


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        *[("4.0.0", False), ("4.0.0-preview2", False), ("4.0.1", True), ("4.0.5", True), ("4.1.0", True)],
        *[("3.5.6", False), ("3.5.7", True), ("3.5.9", True), ("3.4.4", False), ("2.4.8", False)],
        *[("4.3.0", True), ("4.3.0-ours", True), ("5.0.0", True), ("4.10.0", True), ("3.5.10", True)],
    ],
)
def test_a_release_is_sound_from_the_one_on_that_mended_the_flaw_in_its_line(version: str, sound: bool) -> None:  # noqa: FBT001
    assert is_sound(version) == sound


def test_of_the_known_releases_one_has_the_flaw() -> None:
    assert [version for version in RELEASES if not is_sound(version)] == ["4.0.0"]


def test_the_master_is_told_to_run_one(stack: TerraformStack) -> None:
    SparkCluster(stack, "spark", **REQUIRED)
    found = Synthesized(stack)
    assert found.settings("master")["history_server"] == "yes"
    assert "history_server" not in found.settings("worker")
    assert not [warning for warning in warnings(stack) if "history server" in warning]


def test_a_spark_with_the_flaw_has_none_and_synthesis_says_so(stack: TerraformStack) -> None:
    SparkCluster(stack, "spark", **REQUIRED, spark_version="4.0.0")
    assert Synthesized(stack).settings("master")["history_server"] == ""
    assert [warning for warning in warnings(stack) if "history server" in warning] == [
        (
            "the master gets no history server, since that of Spark 4.0.0 runs code of whoever writes an event log "
            "(CVE-2025-54920): choose 3.5.7 or 4.0.1, or later"
        )
    ]
