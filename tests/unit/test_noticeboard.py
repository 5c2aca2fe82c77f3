"""What hosts ask for again and again, and how they are told."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab import faults, metadata, noticeboard
from lab.deployment import ROOT
from lab.faults import Faults
from lab.noticeboard import Posted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_800_000_000.0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[metadata.Server]:
    """The metadata service, with an AWS API that must not be asked."""
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    monkeypatch.setattr(noticeboard, "_FILE", tmp_path / "noticeboard.json")
    monkeypatch.setattr(metadata, "_Instances", lambda: None)
    with metadata.Server(("127.0.0.1", 0)) as server:
        yield server


def test_a_host_that_nothing_is_said_of_reads_nothing() -> None:
    assert noticeboard.notices(Posted("i-1", None), Faults()) == {}


def test_a_member_reads_where_its_group_takes_it() -> None:
    assert noticeboard.notices(Posted("i-1", "Terminated"), Faults()) == {
        "autoscaling/target-lifecycle-state": "Terminated"
    }


def test_an_interrupted_instance_reads_when_it_ends_and_no_other_does() -> None:
    interrupted = Faults(interruptions={"i-1": NOON})
    found = noticeboard.notices(Posted("i-1", None), interrupted)
    assert json.loads(found["spot/instance-action"]) == {"action": "terminate", "time": "2027-01-15T08:00:00Z"}
    assert found["spot/termination-time"] == "2027-01-15T08:00:00Z"
    assert noticeboard.notices(Posted("i-2", None), interrupted) == {}


def test_a_recommended_instance_reads_since_when() -> None:
    found = noticeboard.notices(Posted("i-1", "InService"), Faults(recommendations={"i-1": NOON}))
    assert json.loads(found["events/recommendations/rebalance"]) == {"noticeTime": "2027-01-15T08:00:00Z"}


def test_the_board_is_read_without_the_aws_api(server: metadata.Server) -> None:
    noticeboard.post({"10.0.0.1": Posted("i-1", "Standby")})
    events = {"events/maintenance/scheduled": "[]"}
    with faults.injected(notices={"i-1": events}):
        for version in ("latest", "2021-03-23"):
            read = f"/{version}/meta-data/"
            assert server.read("10.0.0.1", f"{read}autoscaling/target-lifecycle-state") == b"Standby"
            assert server.read("10.0.0.1", f"{read}events/") == b"maintenance/"
            assert server.read("10.0.0.1", f"{read}events/maintenance/scheduled") == b"[]"
            assert server.read("10.0.0.1", f"{read}spot/instance-action") is None
            assert server.read("10.0.0.2", f"{read}autoscaling/target-lifecycle-state") is None


def test_faults_of_two_tests_at_once_do_not_end_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    one = faults.injected(unavailable=["demo"], throttled={"demo": 0.5})
    another = faults.injected(unavailable=["other"], throttled={"other": 0.2})
    one.__enter__()
    with another:
        assert faults.read() == Faults(unavailable=["demo", "other"], throttled={"demo": 0.5, "other": 0.2})
        one.__exit__(None, None, None)
        assert faults.read() == Faults(unavailable=["other"], throttled={"other": 0.2})
        with (
            pytest.raises(ValueError, match=r"throttled has been injected for \{'other'\}"),
            faults.injected(throttled={"other": 0.9}),
        ):
            pass
    assert faults.read() == Faults()


def test_a_process_takes_its_own_notices_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    told = "from lab import faults; faults.interrupt('i-2', 60); faults.recommend_rebalance('i-3')"
    subprocess.run([sys.executable, "-c", told], check=True, cwd=ROOT)
    faults.interrupt("i-1", 60)
    faults.recommend_rebalance("i-1")
    faults.forget_interruptions()
    left = faults.read()
    assert ([*left.interruptions], [*left.recommendations]) == (["i-2"], ["i-3"])
