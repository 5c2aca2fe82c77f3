#!/usr/bin/python3
"""Copy the event logs of this master's drivers into the bucket, from which the next master shows them.

S3A writes an object once its file is closed: a driver that is killed would leave nothing. So drivers log to a disk of
this host, and what is new goes to `spark-events/` under the same names: each minute, soon after an application has
ended, and once more before this host goes down. Here the logs of ended applications stay for a day; earlier goes what
is in the bucket if all of them take too much room.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import shutil
import signal
import stat
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws
import files
import settings
from spark_conf import EVENT_LOGS

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "spark-events/"
LOOK_SECONDS = 5  # between two looks for applications that have ended
COPY_SECONDS = 60  # between two copies of what running applications have added
MARK_SECONDS = 24 * 3600  # between two marks of the folder, which a lifecycle rule takes away
KEPT_SECONDS = 24 * 3600
KEPT_BYTES = 2 << 30
MOST_BYTES = 8 << 30  # also of what is not in the bucket
# https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/deploy/history/EventLogFileWriters.scala
IN_PROGRESS = ".inprogress"
STATUS = "appstatus_"


@dataclass(frozen=True)
class Log:
    """What one application logs: a folder with files that follow each other, or one file.

    Attributes:
        name: of the folder or file.
        sizes: of each file, by its path below the folder of all logs. Spark only ever adds to one.
        changed: when something was last added.
    """

    name: str
    sizes: dict[str, int]
    changed: float

    @property
    def application(self) -> str:
        """What the name begins with, whether or not the application has ended."""
        return self.name.removesuffix(IN_PROGRESS)

    @property
    def has_ended(self) -> bool:
        """Whether its driver says so; one that was killed does not."""
        return not any(path.endswith(IN_PROGRESS) for path in self.sizes)


def log(message: str) -> None:
    print(f"event_logs: {message}", file=sys.stderr, flush=True)


def local(path: str) -> str:
    return os.path.join(settings.path(EVENT_LOGS), path)


def bucket() -> str:
    return str(settings.load()["bucket"])


def logs() -> list[Log]:
    """All that are there. What begins with a dot is Hadoop's own; a link is no log, nor is a pipe.

    Left out is what cannot be read: another user's, such as root's who ran Spark as itself, and what a job has closed;
    and a name that is no text, which no key of S3 may have.
    """
    return [one for top in os.listdir(local("")) if is_text(top) and (one := read(top))]


def is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def read(top: str) -> Log | None:
    """One of them, if it has files."""
    stats = {}
    with contextlib.suppress(OSError):
        if not os.access(local(top), os.R_OK):
            return None
        for path in [f"{top}/{name}" for name in os.listdir(local(top))] if is_folder(top) else [top]:
            with contextlib.suppress(FileNotFoundError):  # it has another name now, which the next look finds
                known = os.lstat(local(path))
                if is_text(path) and not os.path.basename(path).startswith(".") and stat.S_ISREG(known.st_mode):
                    stats[path] = known
    if not stats:
        return None
    sizes = {path: known.st_size for path, known in stats.items()}
    return Log(top, sizes, max(known.st_mtime for known in stats.values()))


def is_folder(top: str) -> bool:
    return os.path.isdir(local(top)) and not os.path.islink(local(top))


def open_files() -> set[str]:
    """What programs of this one's user have open."""
    found = set()
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            found.add(os.readlink(link))
    return found


class Copier:
    """What is in the bucket, as far as its logs are here, too.

    Attributes:
        there: size of each object by its path, by application; of one that is not here yet, nothing.
        mark_due: when the folder is to be marked.
        total_bytes: of all logs that are here.
    """

    def __init__(self) -> None:
        self.there: dict[str, dict[str, int]] = {}
        self.mark_due = 0.0
        self.total_bytes = 0

    def copy(self, *, everything: bool) -> list[str]:
        """Copy what is new, and remove what is kept no longer; of running applications only with `everything`.

        Returns:
            What went wrong; the rest was done.
        """
        problems = []
        found = logs()
        steps: list[Callable[[], None]] = [self.mark]
        steps += [functools.partial(self.copy_log, one) for one in found if everything or one.has_ended]
        steps += self.cleaning(found) if everything else []
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - one line that names the cause
                problems.append(f"{type(error).__name__}: {error}")
        return problems

    def mark(self) -> None:
        """Make the folder: the history server of Spark before 4.2 ends if there is none."""
        if time.monotonic() >= self.mark_due:
            aws.client("s3").put_object(Bucket=bucket(), Key=PREFIX)
            self.mark_due = time.monotonic() + MARK_SECONDS

    def copies(self, one: Log) -> dict[str, int]:
        """What the bucket has of a log: asked once, then known."""
        if one.application not in self.there:
            ask = aws.client("s3").get_paginator("list_objects_v2").paginate
            pages = [page.get("Contents", []) for page in ask(Bucket=bucket(), Prefix=PREFIX + one.application)]
            self.there[one.application] = {each["Key"][len(PREFIX) :]: each["Size"] for page in pages for each in page}
        return self.there[one.application]

    def copy_log(self, one: Log) -> None:
        """The status last: what says that the application has ended comes after its last event."""
        s3, there = aws.client("s3"), self.copies(one)
        for path in sorted(one.sizes, key=lambda path: os.path.basename(path).startswith(STATUS)):
            if there.get(path) != one.sizes[path]:
                with files.open_untrusted(local(path)) as file:
                    s3.upload_fileobj(file, bucket(), PREFIX + path)
                there[path] = one.sizes[path]
        for former in [f"{path}{IN_PROGRESS}" for path in one.sizes if f"{path}{IN_PROGRESS}" in there]:
            s3.delete_object(Bucket=bucket(), Key=PREFIX + former)
            del there[former]

    def cleaning(self, found: list[Log]) -> list[Callable[[], None]]:
        """What to do with each log, the oldest first, so that the disk does not fill."""
        here = {one.application for one in found}
        self.there = {application: copies for application, copies in self.there.items() if application in here}
        self.total_bytes = sum(sum(one.sizes.values()) for one in found)
        opened = open_files()
        return [functools.partial(self.clean, one, opened) for one in sorted(found, key=lambda one: one.changed)]

    def clean(self, one: Log, opened: set[str]) -> None:
        """Remove what is in the bucket and old, or too much: of a running application what it writes to no more.

        If S3 is away for so long that all of them are far too much, what is not in the bucket goes, too.
        """
        is_too_much, is_far_too_much = self.total_bytes > KEPT_BYTES, self.total_bytes > MOST_BYTES
        if not is_too_much and time.time() - one.changed < KEPT_SECONDS:
            return
        gone = list(one.sizes)
        if not is_far_too_much:
            gone = [path for path, size in one.sizes.items() if self.copies(one).get(path) == size]
        if any(os.path.realpath(local(path)) in opened for path in one.sizes):
            gone = [path for path in gone if is_too_much and is_done(path, opened)]
            for path in gone:
                os.remove(local(path))
        elif len(gone) == len(one.sizes):
            shutil.rmtree(local(one.name)) if is_folder(one.name) else os.remove(local(one.name))
        else:
            return
        self.total_bytes -= sum(one.sizes[path] for path in gone)
        if is_far_too_much and gone:
            log(f"removed {one.name}, of which the bucket may have nothing: all logs have {MOST_BYTES >> 30} GiB")


def is_done(path: str, opened: set[str]) -> bool:
    """Whether a running application's driver adds nothing to a file."""
    return os.path.realpath(local(path)) not in opened and not os.path.basename(path).startswith(STATUS)


def main() -> None:
    # Blocked, and waited for: what is being copied is not cut off.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    copier, due, is_last, problems = Copier(), 0.0, False, list[str]()
    while not is_last:
        is_last = signal.sigtimedwait({signal.SIGTERM}, LOOK_SECONDS) is not None
        everything = is_last or time.monotonic() >= due
        if everything:
            due = time.monotonic() + COPY_SECONDS
        elif problems:  # what fails is tried again with the next copy of everything
            continue
        problems = copier.copy(everything=everything)
        for problem in problems:
            log(problem)


if __name__ == "__main__":
    main()
