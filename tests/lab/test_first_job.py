"""docs/first-job.md, block by block: what it tells people to type runs here, and what it shows is what comes."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, until
from tests.lab.conftest import LEAVING_MAY_BEGIN
from tests.lab.documents import Block, Clone, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from lab.deployment import Deployment
    from lab.lab import Lab

DEPLOY, PAGES = Block("bash", "make deploy\n"), Block("bash", "make ui\n")
HISTORY = "http://localhost:8080/history"
SHOWN_SECONDS = 90
"""The history server looks each minute, and reads."""


@pytest.fixture(scope="module", autouse=True)
def leaving_may_begin(shared_folder: Path) -> None:
    """By now most of what else is deployed has booted."""
    (shared_folder / LEAVING_MAY_BEGIN).touch()


@pytest.fixture
def clone(lab: Lab, demo: Cluster, demo_deployment: Deployment, tmp_path: Path) -> Clone:
    """Where the cluster was deployed from."""
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    return Clone.of(tmp_path, demo_deployment)


def test_every_command_of_it_works_and_shows_what_it_says(demo: Cluster, clone: Clone) -> None:
    page = blocks("first-job.md")
    assert page[0] == DEPLOY, "which is how the cluster came to be"
    assert page[-1] == PAGES, "with the history, once the job has run"
    shown = ""
    for block in page[1:-1]:
        if block.language == "bash":
            done = clone.run(block)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            shown = done.stdout
        elif block.language == "text":
            lines = [line.strip() for line in shown.splitlines()]
            for line in block.text.replace("BUCKET", demo.bucket()).splitlines():
                assert line in lines, shown[-3000:]
        else:
            pytest.fail(f"how is this block to be tried?\n{block.text}")
    with clone.running(PAGES, until="Waiting for connections"):
        until(lambda: "visits" in applications(), SHOWN_SECONDS, "the history shows the job")
        assert "visits" in got(f"/history/{applications()['visits']}/jobs/")
    assert partitions(demo) == [f"day=2026-01-{day:02}" for day in range(1, 32)]


def got(path: str) -> str:
    """A page of the history server's, through the one port."""
    with urllib.request.urlopen(f"{HISTORY}{path}", timeout=30) as answer:
        page: str = answer.read().decode()
        return page


def applications() -> dict[str, str]:
    """The id of each application that has ended, by name."""
    return {one["name"]: one["id"] for one in json.loads(got("/api/v1/applications?status=completed"))}


def partitions(demo: Cluster) -> list[str]:
    """The folders of the table, which hold something."""
    prefix = "data/warehouse/visits/"
    listed = demo.in_aws.client("s3").list_objects_v2(Bucket=demo.bucket(), Prefix=prefix)["Contents"]
    keys = [one["Key"].removeprefix(prefix) for one in listed]
    return sorted({key.partition("/")[0] for key in keys if key.endswith(".parquet")})
