"""A worker that its master does not list is started again."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.userdata.conftest import Clock

WORKER = "10.0.0.7"
LISTED = {"workers": [{"host": WORKER, "state": "ALIVE"}]}
UNLISTED = {"workers": [{"host": WORKER, "state": "DEAD"}, {"host": "10.0.0.8", "state": "ALIVE"}]}
RESTART = ["/usr/bin/systemctl", "--no-block", "restart", "spark-worker.service"]


@pytest.fixture
def restarts(
    settle: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[float], dict[str, Any]]], list[tuple[float, list[str]]]]:
    """Runs the program against a master of which a function tells the state by the seconds that have gone."""
    settle("worker")
    monkeypatch.setattr(registration, "time", clock)
    began = clock.now

    def run(state: Callable[[float], dict[str, Any]]) -> list[tuple[float, list[str]]]:
        done: list[tuple[float, list[str]]] = []

        def read(host: str) -> dict[str, Any]:
            assert host == "master.demo-spark"
            return state(clock.now - began)

        def called(command: list[str], *, check: bool) -> None:
            assert check
            done.append((clock.now - began, command))

        monkeypatch.setattr(registration.spark_state, "read", read)
        monkeypatch.setattr(subprocess, "run", called)
        registration.main(WORKER)
        return done

    return run


def away(_: float) -> dict[str, Any]:
    raise OSError("connection refused")


def test_listed_worker_is_left_alone_and_no_longer_watched(restarts: Any, clock: Clock) -> None:
    assert restarts(lambda _: LISTED) == []
    assert clock.pauses == []


def test_worker_that_registers_late_is_left_alone(restarts: Any) -> None:
    assert restarts(lambda seconds: LISTED if seconds > 35 else UNLISTED) == []


def test_worker_that_a_living_master_does_not_list_is_started_again(restarts: Any, capsys: Any) -> None:
    ((seconds, command),) = restarts(lambda _: UNLISTED)
    assert command == RESTART
    assert 40 < seconds < 70
    assert f"does not list {WORKER}" in capsys.readouterr().err


def test_while_the_master_is_away_or_recovers_nobody_is_started_again(restarts: Any, clock: Clock) -> None:
    assert restarts(away) == []
    assert sum(clock.pauses) == pytest.approx(1800)


def test_time_counts_from_when_the_master_answers_again(restarts: Any) -> None:
    def state(seconds: float) -> dict[str, Any]:
        if 30 < seconds < 60:
            raise ValueError("the master is RECOVERING")
        return UNLISTED

    ((seconds, _),) = restarts(state)
    assert 100 < seconds < 130
