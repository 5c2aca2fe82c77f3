#!/usr/bin/python3
"""Put what this worker's executors said into the bucket, once each has ended: `logs/<application>/<executor>/`.

An executor has ended if its folder is there and the worker does not call it running. Spark removes the folders of an
application a day after its end. What is stored is asked of the bucket, so that this program may be started again at any
time. Its unit stops after the worker's: what is not there by then follows at once, as far as LAST_SECONDS go.
"""

from __future__ import annotations

import contextlib
import glob
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import aws
import files
import polling
import settings
import spark_state

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "logs/"
LOCAL_DIRS = "/run/spark-cluster/local-dirs.env"
# A job may make others there, which may be no key of S3. Former parts Spark calls stderr--2026-11-29--12-00-00--0123.
EXECUTOR = re.compile(r"[\w.-]+/\d+", re.ASCII)
FILE = re.compile(r"std(out|err)(--[\d-]+(\.gz)?)?", re.ASCII)
LOOK_SECONDS = 12
LAST_SECONDS = 40  # its unit's TimeoutStopSec is for one file more
LAST_PAUSE_SECONDS = 2
MOST_EXECUTORS = 200  # of an application, that have ended
MOST_FILES = 20  # of an executor, the last written; Spark keeps ten
MOST_BYTES = 64 << 20  # of a file, the last; Spark begins another after as many


def log(message: str) -> None:
    print(f"executor_logs: {message}", file=sys.stderr, flush=True)


def bucket() -> str:
    return str(settings.load()["bucket"])


def work() -> str:
    """The folder of all executors; none before the worker's first start since the host's."""
    with contextlib.suppress(FileNotFoundError), open(settings.path(LOCAL_DIRS), encoding="utf-8") as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file)["SPARK_WORKER_DIR"]
    return ""


def executors(besides: set[str]) -> list[str]:
    """The executors that have or had a folder here, each as `<application>/<executor>`.

    Of an application the last ones, since executors that cannot start follow each other without an end, and `besides`.
    """
    top = work()
    found = [os.path.relpath(path, top) for path in glob.glob(f"{glob.escape(top)}/*/*/")] if top else []
    known = sorted(filter(EXECUTOR.fullmatch, found), key=lambda one: int(one.partition("/")[2]), reverse=True)
    kept, number = list[str](), Counter[str]()
    for one in known:
        application = one.partition("/")[0]
        number[application] += 1
        if number[application] <= MOST_EXECUTORS or one in besides:
            kept.append(one)
    return kept


def output(executor: str) -> dict[str, int]:
    """How much is to be stored of each file, the last written first: only regular ones, since a job writes there."""
    found = {}
    with os.scandir(os.path.join(work(), executor)) as entries:
        for entry in entries:
            if FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                found[entry.name] = entry.stat(follow_symlinks=False)
    names = sorted(found, key=lambda name: found[name].st_mtime, reverse=True)[:MOST_FILES]
    return {name: min(found[name].st_size, MOST_BYTES) for name in names}


def last_bytes(file: str) -> bytes:
    """What is stored of a file."""
    with files.open_untrusted(file) as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - MOST_BYTES))
        return opened.read(MOST_BYTES)


def running(seconds: float = spark_state.PATIENCE_SECONDS) -> set[str]:
    """The executors that the worker calls so; `OSError` or `ValueError` if it says nothing."""
    state = spark_state.page("127.0.0.1", spark_state.WORKER_UI_PORT, seconds)
    return {"{}/{}".format(one["appid"], one["id"]) for one in state["executors"]}


class Store:
    """The bucket, as far as executors of this worker are concerned.

    Attributes:
        there: how much it has of each file of an executor; of one that is not here yet, nothing is known.
        running: the executors that ran when the worker was asked last.
    """

    def __init__(self) -> None:
        self.there: dict[str, dict[str, int]] = {}
        self.running: set[str] = set()

    def look(self, is_over: Callable[[], bool], *, is_last: bool = False) -> None:
        """Store what executors said that have ended; with `is_last` of all, unless the worker still has them.

        Between two files it ends if `is_over`.
        """
        # Before the worker is asked: one that is there by now has begun in its eyes.
        found = executors(self.running)
        self.there = {one: self.there[one] for one in found if one in self.there}
        waiting = {one for one in found if self.missing(one)}
        try:
            still = self.running = running() if waiting else set()
        except (OSError, ValueError):
            if not is_last:
                return  # it starts or hangs, and the next look asks again
            still = set()
        for executor in sorted(waiting - still):
            self.ask(executor)
            for name in self.missing(executor):
                if is_over():
                    return
                self.put(executor, name)

    def missing(self, executor: str) -> list[str]:
        """The files of which the bucket has not got what is here, as far as is known."""
        there = self.there.get(executor)
        try:
            return [name for name, size in output(executor).items() if there is None or there.get(name) != size]
        except OSError as error:  # Spark has removed the folder meanwhile, or a job has closed it
            log(f"{type(error).__name__}: {error}")
            return []

    def ask(self, executor: str) -> None:
        """Ask the bucket, once, what it has of an executor."""
        if executor not in self.there:
            prefix = f"{PREFIX}{executor}/"
            # One page: who put more than that there does not hold this up.
            listed = aws.client("s3").list_objects_v2(Bucket=bucket(), Prefix=prefix).get("Contents", [])
            self.there[executor] = {each["Key"][len(prefix) :]: each["Size"] for each in listed}

    def put(self, executor: str, name: str) -> None:
        """Store one file."""
        try:
            body = last_bytes(os.path.join(work(), executor, name))
        except OSError as error:  # likewise; the others are read all the same
            log(f"{type(error).__name__}: {error}")
            return
        key, kind = f"{PREFIX}{executor}/{name}", "text/plain; charset=utf-8"
        aws.client("s3").put_object(Bucket=bucket(), Key=key, Body=body, ContentType=kind)
        self.there[executor][name] = len(body)


def attempt(store: Store, is_over: Callable[[], bool], *, is_last: bool = False) -> bool:
    """Look once; whether neither AWS nor anything else was in the way."""
    try:
        store.look(is_over, is_last=is_last)
    except Exception as error:  # noqa: BLE001 - one line that names the cause; the next look tries again
        log(f"{type(error).__name__}: {error}")
        return False
    return True


def main() -> None:
    # Blocked, and waited for: what is being stored is not cut off.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    store = Store()
    while not signal.sigtimedwait(
        {signal.SIGTERM}, LOOK_SECONDS * random.uniform(1 - polling.JITTER, 1 + polling.JITTER)
    ):
        attempt(store, lambda: signal.SIGTERM in signal.sigpending())
    end = time.monotonic() + LAST_SECONDS
    for _ in polling.rounds(LAST_SECONDS, LAST_PAUSE_SECONDS):
        if attempt(store, lambda: time.monotonic() > end, is_last=True):
            return


if __name__ == "__main__":
    main()
