"""A shuffle of a known size with a known answer: `shuffle.py --mebibytes N` and what else `arguments` knows.

Every record is random bytes, which no codec makes smaller, with their checksum; one whose bytes are not what was
written fails its task. The job prints its application, how many reduce tasks have ended as they end, and
`answer: <records> <sum of their numbers>`, which is to be `expected(N)`.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RECORD_BYTES = 1 << 18
RECORDS_PER_MEBIBYTE = (1 << 20) // RECORD_BYTES
SHOW_SECONDS = 0.2

Record = tuple[int, tuple[int, int, bytes]]
"""To which reduce task it goes; its number, its checksum, its bytes."""


def expected(mebibytes: int) -> str:
    """What the job prints of a shuffle of this size: so many records, and the sum of 0, 1, ... below that."""
    records = mebibytes * RECORDS_PER_MEBIBYTE
    return f"answer: {records} {records * (records - 1) // 2}"


def records(numbers: Iterable[int], reduce_tasks: int) -> Iterator[Record]:
    """Each the same whenever its map task runs."""
    for number in numbers:
        content = random.Random(number).randbytes(RECORD_BYTES)  # noqa: S311 - no secret, and the same each time
        yield number % reduce_tasks, (number, zlib.crc32(content), content)


def checked(rows: Iterable[Record], *, seconds: float, number_of_rows: float) -> Iterator[tuple[int, int]]:
    """How many records a reduce task got, and the sum of their numbers."""
    count = total = 0
    for _, (number, checksum, content) in rows:
        if zlib.crc32(content) != checksum or len(content) != RECORD_BYTES:
            message = f"record {number} is not what was written"
            raise ValueError(message)
        count, total = count + 1, total + number
        time.sleep(seconds / number_of_rows)
    yield count, total


def show(context: Any, reduce_tasks: int) -> None:
    """Print how many reduce tasks have ended, as it changes."""
    tracker, shown = context.statusTracker(), -1
    while True:
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        for stage in stages:
            if stage and stage.name.startswith("collect") and shown != stage.numCompletedTasks:
                shown = stage.numCompletedTasks
                print(f"reduced: {shown}/{reduce_tasks}", flush=True)
        time.sleep(SHOW_SECONDS)


def arguments(words: list[str]) -> argparse.Namespace:
    """What it is told: how much, in how many parts, and how slowly."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mebibytes", type=int, required=True, help="of the whole shuffle")
    parser.add_argument("--map-tasks", type=int, default=24)
    parser.add_argument("--reduce-tasks", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.0, help="of a reduce task at the least, over its records")
    parser.add_argument("--sleeping", type=int, default=0, help="how many of the first reduce tasks take longer")
    parser.add_argument("--sleep-seconds", type=float, default=0.0, help="of each of these")
    parser.add_argument("--hold-seconds", type=float, default=0.0, help="for which it keeps its map outputs at its end")
    return parser.parse_args(words)


def main() -> None:
    from pyspark import SparkContext  # noqa: PLC0415 - who only wants to know the answer has no Spark

    options = arguments(sys.argv[1:])
    number_of_rows, reduce_tasks = options.mebibytes * RECORDS_PER_MEBIBYTE, options.reduce_tasks
    context = SparkContext(appName="shuffle")
    print(f"application: {context.applicationId}", flush=True)
    threading.Thread(target=show, args=(context, reduce_tasks), daemon=True).start()

    def reduced(task: int, rows: Iterable[Record]) -> Iterator[tuple[int, int]]:
        seconds = options.sleep_seconds if task < options.sleeping else options.seconds
        return checked(rows, seconds=seconds, number_of_rows=number_of_rows / reduce_tasks)

    written = (
        context.parallelize(range(number_of_rows), options.map_tasks)
        .mapPartitions(lambda numbers: records(numbers, reduce_tasks))
        .partitionBy(reduce_tasks, lambda key: key)
    )
    parts = written.mapPartitionsWithIndex(reduced).collect()
    print(f"answer: {sum(count for count, _ in parts)} {sum(total for _, total in parts)}", flush=True)
    time.sleep(options.hold_seconds)
    context.stop()


if __name__ == "__main__":
    main()
