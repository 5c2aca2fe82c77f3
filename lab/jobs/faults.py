"""Shuffles one of whose map tasks has a fault: `faults.py '[{"fault": "own", "times": 3, "settings": {...}}, ...]'`.

Each is a job in an application of its own, with settings of its own, one after the other. Every map task writes
`kibibytes` of random bytes, so that a small disk is soon full. The first `times` attempts of the first map task end by
an error of their own (`own`), or take their executor along (`lost`). Of each job one line is printed: `ended: `, and as
JSON its `application`, how many `seconds` it took without the start of its driver, and the `error` it failed with, if
it did.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORD_BYTES = 1 << 18
TASKS = 6
TASK_SECONDS = 0.2


def parent(process: int) -> int:
    """The process that started another; the name before the numbers is in brackets, and may hold any character."""
    return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def fail(fault: str) -> None:
    """Have the fault."""
    if fault == "lost":  # the JVM started the daemon that forked this process
        os.kill(parent(os.getppid()), signal.SIGKILL)
        time.sleep(60)
    message = "a fault of its own"
    raise ValueError(message)


def written(task: int, job: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """What a map task hands on, unless this attempt has a fault."""
    from pyspark import TaskContext  # noqa: PLC0415 - on the executor

    context = TaskContext.get()
    assert context, "it runs in a task"
    time.sleep(TASK_SECONDS)
    if task == 0 and context.attemptNumber() < job.get("times", 0):
        fail(job["fault"])
    content = random.Random(task)  # noqa: S311 - no secret, and the same each time
    for number in range(records(job)):
        yield number, content.randbytes(RECORD_BYTES)


def records(job: Mapping[str, Any]) -> int:
    """How many of them each map task writes."""
    kibibytes: int = job.get("kibibytes", 0)
    return max(1, kibibytes * 1024 // RECORD_BYTES)


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """One job in an application of its own."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-not-found]  # noqa: PLC0415
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415

    begin, error = time.monotonic(), ""
    conf = SparkConf().setAppName("faults")
    for key, value in job["settings"].items():
        conf.set(key, value)
    with SparkContext(conf=conf) as context:
        tasks = context.parallelize(range(TASKS), TASKS)
        parts = tasks.mapPartitionsWithIndex(lambda task, _: written(task, job)).partitionBy(TASKS)
        try:
            count = parts.count()
            assert count == TASKS * records(job), count
        except Py4JJavaError as failure:
            error = str(failure)
        seconds = time.monotonic() - begin
        return {"application": context.applicationId, "seconds": seconds, "error": error}


def main() -> None:
    for job in json.loads(sys.argv[1]):
        print(f"ended: {json.dumps(run(job))}", flush=True)


if __name__ == "__main__":
    main()
