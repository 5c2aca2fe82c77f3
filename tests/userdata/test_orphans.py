"""The end of drivers whose application their master does not know any more."""

from __future__ import annotations

import io
import json
import os
import time
import urllib.request
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orphans
import polling
import pytest
import spark_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    monkeypatch.setattr(orphans, "SECONDS", 60)
    orphans.main()
    assert heard == [["a:1", "b:2"]]
    assert 60 <= rounds[-1] < 70


def test_master_that_does_not_answer_yet_is_asked_again_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, rounds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(orphans, "look", fails)
    monkeypatch.setattr(orphans, "SECONDS", 60)
    orphans.main()
    assert len(rounds) > 5
    assert capsys.readouterr().err == "orphans: connection refused\n"


# Which starts of a master end drivers

RECOVERY = "var/lib/spark/recovery"
SET_ASIDE = [f"{RECOVERY}-broken/1795816800-app_app-1", f"{RECOVERY}/corrupted_app_app-1"]
"""By recovery.py, and by a Spark from 4.3 on itself."""


class Start:
    """A start of a master that knows no application, whose worker had executors of app-1 and app-2.

    Attributes:
        heard: the drivers that heard that their application was removed.
        not_yet: what the master has to do before it answers.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.heard: list[str] = []
        self.not_yet: list[Callable[[], object]] = []
        monkeypatch.setattr(spark_state, "read", self.read)
        monkeypatch.setattr(orphans, "executors", lambda _: iter([("app-1", "a:1"), ("app-2", "b:2")]))
        monkeypatch.setattr(orphans, "tell", self.heard.extend)

    def read(self, _: str) -> dict[str, Any]:
        if self.not_yet:
            self.not_yet.pop(0)()
            raise ValueError("the master is RECOVERING")
        return state()

    def put(self, path: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).touch()
        return self.root / path

    def is_new(self, seconds_ago: float) -> None:
        """This host has started its first master so long ago."""
        os.utime(self.put(orphans.NEW_MASTER_FILE.lstrip("/")), (time.time() - seconds_ago,) * 2)


@pytest.fixture
def start(root: Path, rounds: list[float], monkeypatch: pytest.MonkeyPatch) -> Start:
    defaults = f"spark.deploy.recoveryMode FILESYSTEM\nspark.deploy.recoveryDirectory /{RECOVERY}\n"
    (root / "opt/spark/conf/spark-defaults.conf").write_text(defaults)
    started = Start(root, monkeypatch)
    started.put(f"{RECOVERY}/app_app-3")
    return started


@pytest.mark.parametrize(
    "others", [[], [f"{RECOVERY}/corrupted_worker_1"], [f"{RECOVERY}-broken/1795816800-driver_app_app-1"]]
)
def test_a_reboot_or_restart_ends_nothing_and_does_not_look_for_long(
    start: Start, rounds: list[float], others: list[str]
) -> None:
    for other in others:
        start.put(other)
    orphans.main()
    assert start.heard == []
    assert len(rounds) == 1, "it has not waited"


def test_a_new_master_ends_all_that_it_does_not_know(start: Start) -> None:
    start.is_new(0)
    orphans.main()
    assert start.heard == ["a:1", "b:2"]


def test_a_reboot_of_a_new_master_does_not_end_the_looking(start: Start) -> None:
    start.is_new(orphans.SECONDS - 60)
    orphans.main()
    assert start.heard == ["a:1", "b:2"]


def test_a_master_is_not_new_for_ever(start: Start) -> None:
    start.is_new(orphans.SECONDS + 1)
    orphans.main()
    assert start.heard == []


@pytest.mark.parametrize("path", SET_ASIDE)
def test_of_a_master_that_is_not_new_only_an_application_whose_file_was_set_aside_is_ended(
    start: Start, path: str
) -> None:
    start.is_new(86_400)
    start.put(path)
    orphans.main()
    assert start.heard == ["a:1"]


@pytest.mark.parametrize("path", SET_ASIDE)
def test_what_was_set_aside_long_ago_is_over(start: Start, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By when it was moved, not by when it was written."""
    os.utime(start.put(path), (0, 0))
    later = time.time() + orphans.SECONDS + 1
    monkeypatch.setattr(orphans, "time", SimpleNamespace(time=lambda: later))
    orphans.main()
    assert start.heard == []


def test_spark_may_set_a_file_aside_until_it_answers(start: Start) -> None:
    start.not_yet = [lambda: None, lambda: start.put(SET_ASIDE[1])]
    orphans.main()
    assert start.heard == ["a:1"]


def test_a_file_that_was_written_long_ago_and_moved_just_now_is_one_that_was_set_aside_just_now(start: Start) -> None:
    written = start.put(f"{RECOVERY}/app_app-1")
    os.utime(written, (0, 0))
    written.rename(start.root / SET_ASIDE[1])
    orphans.main()
    assert start.heard == ["a:1"]
