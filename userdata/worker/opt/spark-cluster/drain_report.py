"""What a drain has moved and what it has lost, by the executors' logs, where jobs write, too. It holds up no drain.

Their newest parts are read, as much of each as there is time for: where a figure may be too low, the report says so.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import decommission_log
import executor_logs
import files

if TYPE_CHECKING:
    from collections.abc import Mapping

READ_SECONDS = 5  # for all logs
MOST_BYTES = 32 << 20  # of all logs, their ends: a second or two
MOST_EXECUTORS = 200  # the last ones
MOST_PARTS = 10  # of the line in the journal
SUMS = ("shuffle_blocks", "shuffle_bytes", "fallback_blocks", "rdd_blocks", "rdd_blocks_left")


def log(message: str) -> None:
    print(f"drain: {message}", file=sys.stderr, flush=True)


def figures(executors: Mapping[str, bool]) -> dict[str, Any]:
    """What each executor has moved and lost, and the sums of that.

    Args:
        executors: each as `<application>/<executor>`, and whether the worker has it no more.
    """
    found, end = [], time.monotonic() + READ_SECONDS
    for name, has_gone in list(executors.items())[-MOST_EXECUTORS:]:
        application, _, executor = name.partition("/")
        said, is_whole = read(name, MOST_BYTES // min(len(executors), MOST_EXECUTORS), end)
        has_crashed = not (said.finished or said.dismissed) and bool(said.tasks() or said.shuffle_blocks_left)
        who = {"application": application, "executor": executor, "left": has_gone and not has_crashed}
        found.append({**who, **said.to_dict(), "log_is_whole": is_whole})
    # Of an application that has ended, or wanted an executor no more, nothing is lost.
    needed = [each for each in found if not (each["left"] and each["dismissed"])]
    return {
        "executors": found,
        **{key: sum(each[key] for each in found) for key in SUMS},
        "shuffle_blocks_left": sum(each["shuffle_blocks_left"] or 0 for each in needed),
        "tasks": sum(len(each["tasks"]) for each in found if not each["left"]),
    }


def read(executor: str, most_bytes: int, end: float) -> tuple[decommission_log.Said, bool]:
    """What the end of an executor's log says, and whether that is all since it was told to leave.

    Args:
        executor: as `<application>/<executor>`.
        most_bytes: how much of it is read.
        end: by `time.monotonic`, when there is no time to read on.
    """
    said, is_cut = decommission_log.Said(), False
    try:
        with files.acting_as("spark"), contextlib.ExitStack() as opened:
            names = [name for name in executor_logs.output(executor) if re.fullmatch(r"stderr[\d-]*", name)]
            parts = []
            for name in names:
                file = opened.enter_context(files.open_untrusted(os.path.join(executor_logs.work(), executor, name)))
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - most_bytes))
                is_cut = is_cut or size > most_bytes
                most_bytes -= min(size, most_bytes)
                parts.append(file)
            for file in reversed(parts):
                # Piece by piece: a job may write without an end of line.
                pieces = iter(lambda: file.readline(1 << 16), b"")  # noqa: B023 - read before there is another file
                said.read(itertools.takewhile(lambda _: time.monotonic() < end, pieces))
    except Exception as error:  # noqa: BLE001 - a job wrote it, and may have closed it: figures hold up no drain
        log(f"{type(error).__name__}: {error}")
        return said, False
    return said, (said.decommissioned or not is_cut) and time.monotonic() < end


def summary(report: Mapping[str, Any]) -> str:
    """The report in a line."""
    found = report["executors"]
    how = "drained in part" if report["shuffle_blocks_left"] else "drained"
    parts = ["{why}: {how} after {seconds} s".format(**{"how": how if report["in_time"] else "not drained", **report})]
    if found:
        parts += [
            "{} of {} executors have left".format(sum(each["left"] for each in found), len(found)),
            "{shuffle_blocks} map outputs of {shuffle_bytes} bytes were moved, {fallback_blocks} of them to the "
            "fallback, {shuffle_blocks_left} were not".format(**report),
            "{rdd_blocks} cached blocks were moved, {rdd_blocks_left} were not".format(**report),
            "{tasks} running tasks are lost".format(**report),
            *([] if all(each["log_is_whole"] for each in found) else ["more may be: not all was read"]),
            *(problem for each in found for problem in each["problems"]),
        ]
    return ", ".join(parts[:MOST_PARTS])
