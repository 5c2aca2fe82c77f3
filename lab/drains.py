"""What a drain cost an application, counted from its event log.

`Partition ID` says which part of a stage a task is; `Index` begins anew in each attempt of a stage. The fields are
those of https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/util/JsonProtocol.scala.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

EVENTS = ("StageSubmitted", "TaskEnd", "ExecutorRemoved", "JobStart", "JobEnd")
_MAP = "ShuffleMapTask"
_WELL = "Success"
_FILE = re.compile(r"(?:.*/)?events_(\d+)_[^./]+(\..+)?")
"""One that is compressed ends in a point and its codec's name."""

_MIGRATED = re.compile(r"Migrated migrate_(shuffle_\d+_\d+) .* to BlockManagerId\((\S+), \S+, .*\) in (\d+) ms")
"""https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/storage/BlockManagerDecommissioner.scala"""


@dataclass(frozen=True)
class Move:
    """One map output that an executor has moved.

    Attributes:
        output: its shuffle and its map task, such as `shuffle_0_3`.
        to: the executor that has it now, or `fallback`.
        seconds: how long that took; each of them has a thread of its own, which moves one after the other.
    """

    output: str
    to: str
    seconds: float

    @classmethod
    def all_in(cls, log: str) -> list[Self]:
        """All of which an executor's log tells, in their order."""
        return [cls(output, to, int(milliseconds) / 1000) for output, to, milliseconds in _MIGRATED.findall(log)]


@dataclass(frozen=True)
class Count:
    """What happened to one application's tasks.

    Attributes:
        map_outputs: how many map outputs were written, each counted once.
        map_tasks_again: how many map tasks ended well whose output had been written before: what had been lost.
        attempts: of each stage that ran, by its id, how many there were.
        retried_map_tasks: how many map tasks ended in attempts after the first of their stage, however they ended.
        retried_reduce_tasks: the same of tasks that are no map tasks.
        failures: of the reduce tasks that did not end well, how many for each reason.
        removed: for each executor that went, what the driver said of it first.
        succeeded: of each job, by its id, whether it ended well; of one without an end, false.
    """

    map_outputs: int
    map_tasks_again: int
    attempts: Mapping[int, int]
    retried_map_tasks: int
    retried_reduce_tasks: int
    failures: Mapping[str, int]
    removed: Mapping[str, str]
    succeeded: Mapping[int, bool]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Self:
        """Count what is in the lines of an event log, in their order."""
        events = [json.loads(line) for line in lines]
        named = {name: [each for each in events if each["Event"] == f"SparkListener{name}"] for name in EVENTS}
        submitted = [each["Stage Info"] for each in named["StageSubmitted"]]
        # A later job's stage that writes the same outputs again has another id, but not another data set. Two shuffles
        # of one data set are then counted as one: too many tasks run again, never too few.
        written = {stage["Stage ID"]: stage["RDD Info"][0]["RDD ID"] for stage in submitted}
        ended = named["TaskEnd"]
        outputs = Counter(
            (written[task["Stage ID"]], task["Task Info"]["Partition ID"])
            for task in ended
            if task["Task Type"] == _MAP and task["Task End Reason"]["Reason"] == _WELL
        )
        retried = Counter(task["Task Type"] == _MAP for task in ended if task["Stage Attempt ID"] > 0)
        reasons = [task["Task End Reason"]["Reason"] for task in ended if task["Task Type"] != _MAP]
        results = {job["Job ID"]: job["Job Result"]["Result"] for job in named["JobEnd"]}
        return cls(
            map_outputs=len(outputs),
            map_tasks_again=outputs.total() - len(outputs),
            attempts=dict(Counter(stage["Stage ID"] for stage in submitted)),
            retried_map_tasks=retried[True],
            retried_reduce_tasks=retried[False],
            failures={reason: times for reason, times in Counter(reasons).items() if reason != _WELL},
            removed={each["Executor ID"]: each["Removed Reason"] for each in reversed(named["ExecutorRemoved"])},
            succeeded={job["Job ID"]: results.get(job["Job ID"]) == "JobSucceeded" for job in named["JobStart"]},
        )


def in_order(names: Iterable[str]) -> list[str]:
    """Of the names of one application's files, those with events, as they follow each other.

    Compressed ones are refused: Python 3.11 reads no zstd, so who wants to count sets `spark.eventLog.compress=false`.
    """
    matches = [match for match in map(_FILE.fullmatch, names) if match]
    if not matches or any(match[2] for match in matches):
        message = f"there are no events that can be read in {sorted(match.string for match in matches)}"
        raise ValueError(message)
    return [match.string for match in sorted(matches, key=lambda match: int(match[1]))]


def lines_in(folder: Path) -> list[str]:
    """All lines of an application's event log, from the folder in which its driver writes it.

    The last line of a driver that still runs, or was killed, may be half there: it is left out.
    """
    names = in_order(each.name for each in folder.iterdir())
    return whole_lines("".join((folder / name).read_text(encoding="utf-8") for name in names))


def whole_lines(text: str) -> list[str]:
    """The lines of a text that ends in the middle of one."""
    return text[: text.rfind("\n") + 1].splitlines()
