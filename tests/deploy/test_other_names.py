"""What was seen while the cluster of one folder had another name for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.deploy.renames import Renames

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def seen(renames: Future[Renames]) -> Renames:
    return renames.result()


def test_the_cluster_is_in_a_zone_that_has_a_default_subnet(seen: Renames) -> None:
    """`eu-west-1a`, which sorts first, offers all types and has none."""
    assert seen.zone == "eu-west-1c"


def test_another_name_leaves_the_cluster_of_before_with_its_data(seen: Renames) -> None:
    assert seen.second_outputs["group_name"] == "second-spark-workers"
    assert seen.second_outputs["bucket_name"] != seen.bucket
    assert seen.left_beside == seen.left
    assert seen.master_beside == seen.master
    assert seen.result_beside == b"new"


def test_a_destroy_takes_only_the_cluster_that_is_named(seen: Renames) -> None:
    assert {kind: names for kind, names in seen.second_left.items() if names} == {}
    assert seen.left["buckets"] == [seen.bucket]
    assert seen.left_after == seen.left


def test_output_finds_the_cluster_that_is_named_again(seen: Renames) -> None:
    """The command line removes the folder of a stack that it did not synthesize; `make status` reads that folder."""
    assert not seen.had_folder
    assert seen.output.returncode == 0, seen.output.stdout[-4000:]
    assert seen.shown == "first-spark-workers"


def test_the_name_of_before_finds_its_cluster_again_as_it_is_whatever_zones_offer_by_now(seen: Renames) -> None:
    """The state file is its own; and a new default subnet, however its id sorts, does not move the master."""
    assert seen.changes == {}


def test_a_subnet_whose_zone_lacks_a_wanted_type_is_named_in_the_plan(seen: Renames) -> None:
    """The alternative would be to replace the master by one in another zone, such as `eu-west-1a`."""
    assert f"the cluster is in {seen.subnet}, in whose zone not all of" in seen.elsewhere


def test_the_former_state_file_is_to_be_renamed_and_then_found(seen: Renames) -> None:
    assert seen.refused.returncode != 0
    assert "it must be renamed to terraform.spark-cluster-first-eu-west-1.tfstate" in seen.refused.stdout
    assert seen.changes_renamed == {}


def test_destroy_leaves_nothing_of_the_first(seen: Renames) -> None:
    assert {kind: names for kind, names in seen.destroyed.items() if names} == {}
