"""lab/drains.py: what a drain cost, counted from event logs of real runs (`python -m tests.unit.record_event_logs`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.drains import Count, Move, in_order, lines_in, whole_lines
from lab.jobs import shuffle

RECORDED = Path(__file__).with_name("event_logs")


def count(name: str) -> Count:
    return Count.of(recorded(name))


def recorded(name: str) -> list[str]:
    return (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


def test_a_drain_costs_reduce_tasks_and_no_map_task() -> None:
    found = count("drained")
    assert (found.map_outputs, found.map_tasks_again, found.retried_map_tasks) == (6, 0, 0)
    assert set(found.failures) <= {"FetchFailed"}
    assert found.retried_reduce_tasks >= sum(found.failures.values())
    assert list(found.removed.values()) == ["Executor decommission: worker decommissioned"]
    assert set(found.succeeded.values()) == {True}


def test_a_loss_costs_map_tasks() -> None:
    found = count("lost")
    assert found.map_outputs == 6
    assert found.map_tasks_again == found.retried_map_tasks == 1, "that of one task alone had been there"
    assert found.failures == {"ExecutorLostFailure": 1, "FetchFailed": 1}
    assert "decommission" not in "".join(found.removed.values())
    assert set(found.succeeded.values()) == {True}


def test_map_outputs_that_a_later_job_writes_again_count() -> None:
    """Its stage has an id of its own."""
    found = count("lost_between")
    assert found.map_outputs == 6
    assert found.map_tasks_again == 4, "those of the worker that was lost"


def test_a_job_without_an_end_has_not_succeeded() -> None:
    unfinished = [line for line in recorded("drained") if "SparkListenerJobEnd" not in line]
    assert set(Count.of(unfinished).succeeded.values()) == {False}


def test_tasks_are_told_apart_by_their_partition() -> None:
    """Their `Index` begins anew in each attempt of a stage."""
    events = [json.loads(line) for line in recorded("lost")]
    for event in events:
        if event["Event"] == "SparkListenerTaskEnd":
            event["Task Info"]["Index"] = 0
    assert Count.of(map(json.dumps, events)) == count("lost")


def test_files_follow_each_other_by_number() -> None:
    names = ["appstatus_app-1", *(f"events_{number}_app-1" for number in (10, 9, 1))]
    assert in_order(names) == ["events_1_app-1", "events_9_app-1", "events_10_app-1"]


@pytest.mark.parametrize("names", [["appstatus_app-1"], ["events_1_app-1.zstd"]])
def test_files_that_cannot_be_read_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="no events that can be read"):
        in_order(names)


def test_a_line_that_is_half_there_is_left_out(tmp_path: Path) -> None:
    lines = recorded("lost")
    (tmp_path / "events_1_app-1").write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    (tmp_path / "events_2_app-1").write_text("\n".join(lines[5:]) + '\n{"Event": "Spark', encoding="utf-8")
    assert lines_in(tmp_path) == lines
    assert whole_lines("half") == []


def test_moves_are_read_from_an_executor_s_log() -> None:
    where = "BlockManagerDecommissioner: Migrated migrate_shuffle_0_3 (size: 12.5 MiB) to BlockManagerId"
    log = (
        f"26/11/29 20:09:39 INFO {where}(1, 127.0.0.3, 36871, None) in 466 ms\n"
        "26/11/29 20:09:39 INFO BlockManagerDecommissioner: Attempting to migrate all shuffle blocks\n"
        f"26/11/29 21:07:05 INFO {where}(fallback, remote, 7337, None) in 5284 ms\n"
    )
    assert Move.all_in(log) == [Move("shuffle_0_3", "1", 0.466), Move("shuffle_0_3", "fallback", 5.284)]


def test_the_answer_of_the_shuffle_is_what_its_records_add_up_to() -> None:
    tasks = 3
    rows = [row for part in (range(5), range(5, 8)) for row in shuffle.records(part, tasks)]
    parts = [
        part
        for task in range(tasks)
        for part in shuffle.checked([row for row in rows if row[0] == task], seconds=0, number_of_rows=1)
    ]
    found = f"answer: {sum(count for count, _ in parts)} {sum(total for _, total in parts)}"
    assert found == shuffle.expected(2)


@pytest.mark.parametrize("change", [b"", b"x" * shuffle.RECORD_BYTES])
def test_a_record_that_is_not_what_was_written_fails_its_task(change: bytes) -> None:
    ((task, (number, checksum, _)),) = shuffle.records([7], 1)
    with pytest.raises(ValueError, match="record 7 is not what was written"):
        list(shuffle.checked([(task, (number, checksum, change))], seconds=0, number_of_rows=1))
