"""drain_report.py: what is counted of executors' logs, and what a line says of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import drain_report
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APP = "app-20261129120000-0001"
TO_LEAVE = "INFO CoarseGrainedExecutorBackend: Decommission executor 0.\n"
TASK = "INFO Executor: Running task 2.0 in stage 4.0 (TID 41)\n"
TWO = "INFO BlockManagerDecommissioner: 2 of 2 local shuffles are added. In total, 2 shuffles are remained.\n"
MOVED = (
    "INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_{} (size: 2.0 B) to BlockManagerId(1, a, 1, None)\n"
)
DONE = "INFO CoarseGrainedExecutorBackend: No running tasks, all blocks migrated, stopping.\n"
SENT_AWAY = "INFO CoarseGrainedExecutorBackend: Driver commanded a shutdown\n"
ALL = TO_LEAVE + TWO + MOVED.format(1) + MOVED.format(2)
PART = "stderr--2026-11-29--12-00-00--0123"


@pytest.fixture
def say(root: Path, acted_as: list[str]) -> Callable[..., None]:
    """Have an executor's log."""
    assert acted_as == []
    work = root / "work"
    (root / "run/spark-cluster").mkdir(parents=True)
    (root / "run/spark-cluster/local-dirs.env").write_text(f"SPARK_WORKER_DIR={work}\n")

    def write(text: str, executor: int = 0, name: str = "stderr") -> None:
        folder = work / f"{APP}/{executor}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        if name != "stderr":
            os.utime(folder / name, (1, 1))

    return write


def figures(*, gone: bool = True, number: int = 1) -> dict[str, Any]:
    return drain_report.figures({f"{APP}/{executor}": gone for executor in range(number)})


def line(found: dict[str, Any]) -> str:
    return drain_report.summary({"why": "x", "seconds": 7, "in_time": True, **found})


def test_what_executors_moved_is_summed_up(say: Callable[..., None]) -> None:
    say(ALL + DONE)
    say(TO_LEAVE + TWO + MOVED.format(1) + DONE, 1)
    found = figures(number=2)
    assert (found["shuffle_blocks"], found["shuffle_bytes"], found["shuffle_blocks_left"]) == (3, 6, 1)
    assert [each["left"] for each in found["executors"]] == [True, True]
    assert line(found).startswith("x: drained in part after 7 s, 2 of 2 executors have left, 3 map outputs of 6 bytes")


def test_only_what_has_lost_nothing_is_called_drained(say: Callable[..., None]) -> None:
    say(ALL + DONE)
    assert line(figures()).startswith("x: drained after 7 s, 1 of 1 executors have left, ")
    assert drain_report.summary({"why": "x", "seconds": 7, "in_time": False, **figures()}).startswith("x: not drained")


@pytest.mark.parametrize("lost", [TASK + TO_LEAVE, TO_LEAVE + TWO], ids=["a running task", "map outputs"])
def test_an_executor_that_went_in_the_middle_has_not_left(say: Callable[..., None], lost: str) -> None:
    say(lost)
    found = figures()
    assert found["executors"][0]["left"] is False
    assert (found["tasks"], found["shuffle_blocks_left"]) == ((1, 0) if TASK in lost else (0, 2))


def test_one_without_anything_has_left_without_a_word(say: Callable[..., None]) -> None:
    say("")
    assert figures()["executors"][0]["left"] is True


def test_of_an_application_that_ended_meanwhile_nothing_is_lost(say: Callable[..., None]) -> None:
    say(TASK + TO_LEAVE + TWO + SENT_AWAY)
    found = figures()
    assert found["executors"][0]["left"] is True
    assert (found["tasks"], found["shuffle_blocks_left"]) == (0, 0)


def test_what_the_worker_s_stop_kills_at_the_deadline_is_lost(say: Callable[..., None]) -> None:
    say(TASK + TO_LEAVE + TWO + "ERROR CoarseGrainedExecutorBackend: RECEIVED SIGNAL TERM\n")
    found = figures(gone=False)
    assert (found["tasks"], found["shuffle_blocks_left"]) == (1, 2)


# What is read


def test_a_log_is_read_across_its_parts(say: Callable[..., None]) -> None:
    say(MOVED.format(2) + DONE)
    say(TASK + TO_LEAVE + TWO + MOVED.format(1), name=PART)
    found = figures()
    assert (found["shuffle_blocks"], found["shuffle_blocks_left"]) == (2, 0)
    assert found["executors"][0]["log_is_whole"] is True


def test_of_what_is_too_long_the_newest_is_read_and_the_report_says_so(
    say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(MOVED.format(2) + DONE)
    say(TO_LEAVE + TWO + "x" * 1000 + "\n" + MOVED.format(1), name=PART)
    monkeypatch.setattr(drain_report, "MOST_BYTES", 500)
    found = figures()
    (executor,) = found["executors"]
    assert found["shuffle_blocks"] == 2
    assert executor["finished"] is True
    assert executor["log_is_whole"] is False
    assert line(found).endswith(", more may be: not all was read")


def test_what_was_said_before_an_executor_was_told_to_leave_may_be_left_out(
    say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    say("x" * 100_000 + "\n" + ALL + DONE)
    monkeypatch.setattr(drain_report, "MOST_BYTES", 5000)
    assert figures()["executors"][0]["log_is_whole"] is True


def test_executors_share_what_is_read(say: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them that writes without an end keeps no other from being read."""
    monkeypatch.setattr(drain_report, "MOST_BYTES", 2000)
    say(ALL + DONE + "x\n" * 5000)
    say(ALL + DONE, 1)
    found = figures(number=2)
    assert [each["log_is_whole"] for each in found["executors"]] == [False, True]
    assert found["shuffle_blocks"] == 2


def test_reading_has_an_end(say: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    say(ALL)
    monkeypatch.setattr(drain_report, "READ_SECONDS", 0)
    found = figures()
    assert found["shuffle_blocks"] == 0
    assert found["executors"][0]["log_is_whole"] is False


@pytest.mark.parametrize("kind", ["none", "pipe", "link"])
def test_what_is_no_log_is_not_read(root: Path, say: Callable[..., None], kind: str) -> None:
    say(ALL)
    file = root / f"work/{APP}/0/stderr"
    text = file.read_text()
    file.unlink()
    (root / "elsewhere").write_text(text)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(root / "elsewhere")
    assert figures()["shuffle_blocks"] == 0


@pytest.mark.usefixtures("say")
def test_a_folder_that_is_gone_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert figures()["executors"][0]["log_is_whole"] is False
    assert capsys.readouterr().err.startswith("drain: FileNotFoundError: ")


def test_of_executors_without_an_end_the_last_are_told(
    say: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_report, "MOST_EXECUTORS", 2)
    for executor in range(4):
        say(ALL + DONE, executor)
    assert [each["executor"] for each in figures(number=4)["executors"]] == ["2", "3"]
