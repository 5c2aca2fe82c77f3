"""What an executor's log says of its decommissioning: the only place where Spark tells what was moved.

Words as Spark 3.5, 4.2 and 4.3 have them (classes BlockManagerDecommissioner, CoarseGrainedExecutorBackend, Executor).
A job writes there, too, whatever it likes: no number is longer than one that Spark can have written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

FALLBACK = b"BlockManagerId(fallback,"
MOVED = re.compile(rb"Migrated migrate_shuffle_\d+_\d+ \(size: (\d{1,12}(?:\.\d{1,9})?) (\w+)\) to ")
LEFT = re.compile(rb"local shuffles are added\. In total, (\d{1,9}) shuffles are remained")
RDD_MOVED = re.compile(rb"Block rdd_\d+_\d+ migrated successfully")
RDD_LEFT = re.compile(rb"Blocks failed replication in cache decommissioning process: (.*)")
RUNNING = re.compile(rb"Blocked from shutdown by (\d{1,9}) running tasks|(No running tasks), ")
FINISHED = re.compile(rb"all blocks migrated, stopping|no block migration configured, stopping")
DECOMMISSIONED = re.compile(rb"Decommission executor \d")
DISMISSED = re.compile(
    rb"Driver commanded a shutdown|RECEIVED SIGNAL TERM|Driver [^\s]{1,300} disassociated! Shutting down"
)
TASK = re.compile(
    rb"(Running|Finished|Exception in|Executor killed|Executor interrupted and killed)"
    rb" (task \d{1,9}\.\d{1,9} in stage \d{1,9}\.\d{1,9}) \(TID (\d{1,18})\)"
)
PROBLEM = re.compile(
    rb"INVALID_CONF_VALUE|Error occurred during|No available peers|decommission feature is disabled|Give up migrating|"
    rb"Fail to tell driver|Fail to decommission self|error while decommissioning self|attempted but neither"
)
UNITS = {b"B": 1, b"KiB": 1 << 10, b"MiB": 1 << 20, b"GiB": 1 << 30, b"TiB": 1 << 40}
MOST_PROBLEMS = 5
MOST_CHARACTERS = 300  # of each
MOST_TASKS = 1000  # at a time; no executor has as many cores


class Said:
    """What was read so far.

    Attributes:
        decommissioned: whether the decommissioning began in what was read.
        finished: whether Spark says that nothing is left.
        dismissed: whether it was sent away before, by its driver or a signal, or its driver was gone.
        shuffle_blocks: map outputs that were moved, those to the fallback storage among them.
        shuffle_bytes: their sizes, which Spark gives to a tenth of its unit.
        fallback_blocks: how many of them went to the fallback storage.
        shuffle_blocks_left: map outputs that were not moved, by Spark's last count of them; none if it never counted.
        rdd_blocks: cached blocks that were moved; rdd_blocks_left: those of the last round that were not.
        problems: the first lines that name what went wrong.
    """

    def __init__(self) -> None:
        self.decommissioned = self.finished = self.dismissed = False
        self.shuffle_blocks = self.shuffle_bytes = self.fallback_blocks = 0
        self.shuffle_blocks_left: int | None = None
        self.rdd_blocks = self.rdd_blocks_left = 0
        self.problems: list[str] = []
        self._tasks: dict[int, str] = {}
        self._running: int | None = None

    def read(self, lines: Iterable[bytes]) -> Said:
        """Read on."""
        for line in lines:
            self._moves(line)
            self.dismissed = self.dismissed or bool(DISMISSED.search(line))
            if not self.dismissed:  # by which what still runs is killed
                self._tasks_of(line)
            self.decommissioned = self.decommissioned or bool(DECOMMISSIONED.search(line))
            self.finished = self.finished or bool(FINISHED.search(line))
            if len(self.problems) < MOST_PROBLEMS and PROBLEM.search(line):
                self.problems.append(line.decode(errors="replace").strip()[:MOST_CHARACTERS])
        return self

    def _moves(self, line: bytes) -> None:
        moved, left, rdd_left = MOVED.search(line), LEFT.search(line), RDD_LEFT.search(line)
        if moved:
            self.shuffle_blocks += 1
            self.shuffle_bytes += round(float(moved[1]) * UNITS.get(moved[2], 0))
            self.fallback_blocks += FALLBACK in line
            if self.shuffle_blocks_left:
                self.shuffle_blocks_left -= 1
        elif left:
            self.shuffle_blocks_left = int(left[1])
        elif rdd_left:
            self.rdd_blocks_left = rdd_left[1].count(b"rdd_")
        elif RDD_MOVED.search(line):
            self.rdd_blocks += 1
        elif b"Attempting to migrate all cached RDD blocks" in line:
            self.rdd_blocks_left = 0

    def _tasks_of(self, line: bytes) -> None:
        task, running = TASK.search(line), RUNNING.search(line)
        if task and task[1] == b"Running":
            self._tasks[int(task[3])] = task[2].decode()
            if len(self._tasks) > MOST_TASKS:
                del self._tasks[next(iter(self._tasks))]
        elif task:
            self._tasks.pop(int(task[3]), None)
        elif running:
            self._running = int(running[1] or 0)

    def tasks(self) -> list[str]:
        """What ran at the end. Of one that failed to fetch nothing is logged: by Spark's count it is an earlier one."""
        known = [self._tasks[key] for key in sorted(self._tasks)]
        return known if self._running is None else known[len(known) - min(self._running, len(known)) :]

    def to_dict(self) -> dict[str, Any]:
        """The attributes, and the tasks that ran at the end."""
        public = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {**public, "tasks": self.tasks()}
