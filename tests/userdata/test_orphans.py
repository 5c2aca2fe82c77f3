"""The end of drivers whose master was replaced."""

from __future__ import annotations

import io
import json
import urllib.request
from typing import Any

import orphans
import polling
import pytest

COMMAND = (
    "Command(CoarseGrainedExecutorBackend,List(--driver-url, spark://CoarseGrainedScheduler@{}, --executor-id, 0))"
)


def state(active: tuple[str, ...] = (), completed: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "activeapps": [{"id": app} for app in active],
        "completedapps": [{"id": app} for app in completed],
        "workers": [{"host": "10.0.0.7", "state": "ALIVE"}],
        "status": "ALIVE",
    }


def test_driver_of_an_application_that_the_master_does_not_know_is_one() -> None:
    assert orphans.orphans(state(), [("app-1", "10.0.0.9:40000")]) == {"app-1": "10.0.0.9:40000"}


@pytest.mark.parametrize("known", [state(active=("app-1",)), state(completed=("app-1",))])
def test_driver_of_a_known_application_is_none(known: dict[str, Any]) -> None:
    assert orphans.orphans(known, [("app-1", "10.0.0.9:40000")]) == {}


def test_address_that_a_new_driver_has_now_is_spared() -> None:
    found = [("app-1", "10.0.0.9:40000"), ("app-2", "10.0.0.9:40000"), ("app-3", "10.0.0.9:40001")]
    assert orphans.orphans(state(active=("app-2",)), found) == {"app-3": "10.0.0.9:40001"}


def test_nobody_hears_anything_while_a_new_application_has_no_executor_and_so_no_known_address() -> None:
    assert orphans.orphans(state(active=("app-2",)), [("app-1", "10.0.0.9:40000")]) == {}


def test_finished_executors_of_a_worker_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    page = {
        "executors": [{"appid": "app-1", "appdesc": {"command": COMMAND.format("10.0.0.9:40000")}}],
        "finishedexecutors": [{"appid": "app-2", "appdesc": {"command": COMMAND.format("host.internal:40001")}}],
    }
    asked = []

    class Answer(io.BytesIO):
        length = 0  # what has not come

    class Opener:
        def open(self, url: str, **_: float) -> Any:
            asked.append(url)
            return Answer(json.dumps(page).encode())

    monkeypatch.setattr(urllib.request, "build_opener", lambda *_: Opener())
    assert list(orphans.executors("10.0.0.7")) == [("app-1", "10.0.0.9:40000"), ("app-2", "host.internal:40001")]
    assert asked == ["http://10.0.0.7:8081/json/"]


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only in `sleep`."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now.append(now[-1] + seconds)

    monkeypatch.setattr(polling.time, "monotonic", lambda: now[-1])
    monkeypatch.setattr(polling.time, "sleep", sleep)
    return now


def test_each_driver_hears_once_and_the_program_has_an_end(
    monkeypatch: pytest.MonkeyPatch, rounds: list[float]
) -> None:
    heard: list[list[str]] = []
    monkeypatch.setattr(orphans, "look", lambda: {"app-1": "a:1", "app-2": "a:1", "app-3": "b:2"})
    monkeypatch.setattr(orphans, "tell", heard.append)
    orphans.main("60")
    assert heard == [["a:1", "b:2"]]
    assert 60 <= rounds[-1] < 70


def test_master_that_does_not_answer_yet_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, rounds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(orphans, "look", fails)
    orphans.main("60")
    assert len(rounds) > 5
    assert "connection refused" in capsys.readouterr().err
