#!/usr/bin/python3
"""See every few seconds that this worker is of use; one that is not is to leave: the notice `sick` (notices.py).

Looked at are the disks, as the worker's user finds them: one with little room left is drained before it is full, since
whatever task finds no room fails; one that cannot be written, or hangs, brings no task to its end. And the worker's own
page: a process that does not answer, and that its master has given up, is stopped for good. Then the master has the
instance replaced. No more workers drain for their disks at once than it replaces at once: each hands what it holds to
those that stay, and a job that needs more room than the cluster has fills all disks alike.

A worker that is drained for a disk, and that nobody could replace meanwhile, stays once its disks are in order again.

What is wrong is said once in the journal, and once more when it is over.
"""

from __future__ import annotations

import errno
import json
import math
import os
import random
import select
import sys
import tempfile
import time
from typing import Any, NamedTuple

import disk_room
import drain
import executor_logs
import files
import notice
import notices
import polling
import settings
import spark_state

LOOK_SECONDS = 5
LOOKS = 2  # that find the same in a row
# Looks that one worker or another waits besides: of disks that fill up in the same seconds one is drained, and the
# others' workers see that it is.
MOST_LOOKS_BESIDES = 2
SHARE_TO_LEAVE = 10  # of so many workers one may, as of the members that the master has replaced (its health.py)
SILENT_SECONDS = 120  # of the worker's page, or of a disk: four times as long as its master waits for a heartbeat
SECONDS_OF_A_SILENT_WORKER = 60  # to drain: its master has told the drivers that it is lost
LONGEST_PAUSE_SECONDS = 60  # between two looks: after a longer one nothing has lasted
WELL_SECONDS = 60  # without trouble, of the disks of a worker that is empty for as long
CRASHES = 3
PATIENCE_SECONDS = 3  # for the process that looks at the disks
MOST_BYTES = 1 << 14  # that it says
ALSO = ("/tmp", "/")  # noqa: S108 - where jobs write, too, and the system
# Why a worker is to leave that nothing but its end mends.
HANGS = f"the worker has not answered for {SILENT_SECONDS} s, and its master does not list it"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NEVER_HAD_ROOM = "has had little room from the start, and another instance would have no more: nothing is done"
# Folders that had room once, over restarts of this program and of the host.
ROOM_FILE = "/var/lib/spark-cluster/had-room.json"


def log(message: str) -> None:
    print(f"health: {message}", file=sys.stderr, flush=True)


class Disk(NamedTuple):
    """A file system as it was found, by the first of its folders.

    Attributes:
        trouble: what is wrong with it, in words; empty if nothing is.
        is_low: whether that is its room.
    """

    folder: str
    trouble: str = ""
    is_low: bool = False


def used() -> list[str]:
    """The folders of the worker that runs; local-dirs writes them down before each start of it."""
    try:
        with open(settings.path(executor_logs.LOCAL_DIRS), encoding="utf-8") as file:
            named = dict(line.rstrip("\n").split("=", 1) for line in file)
    except FileNotFoundError:
        return []
    return [*named["SPARK_LOCAL_DIRS"].split(","), named["SPARK_WORKER_DIR"]]


def disks(folders: list[str]) -> list[Disk]:
    """Each file system of these and of ALSO, and each folder of these that cannot be written."""
    found: dict[int, Disk] = {}
    broken = []
    for folder in [*folders, *ALSO]:
        try:
            device, state = os.stat(folder).st_dev, os.statvfs(folder)
            disk = Disk(folder, *disk_room.room(state))
            if state.f_flag & os.ST_RDONLY:
                disk = Disk(folder, "is read-only")
            elif folder in folders:
                write(folder)
        except OSError as error:
            disk = Disk(folder, f"cannot be written: {error.strerror}", error.errno in NO_ROOM)
            broken.append(disk)
        else:
            found.setdefault(device, disk)
    return [*broken, *found.values()]


def write(folder: str) -> None:
    """Write a file that is gone at once; `OSError` if that cannot be done."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(bytes(4096))


def said_of(folders: list[str]) -> bytes:
    """The disks as the worker's user finds them, or what went wrong."""
    said: object
    try:
        with files.acting_as("spark"):
            said = disks(folders)
    except Exception as error:  # noqa: BLE001 - who asked says it
        said = f"{type(error).__name__}: {error}"
    return json.dumps(said).encode()[:MOST_BYTES]


class Look:
    """A look at the disks by a process of its own, which has the rights of the worker's user to files.

    So what Spark may do is tried rather than guessed, no link of a job leads to what that could not reach itself, and a
    disk that hangs holds up nothing else. Its real user is root, whom no job signals or traces.
    """

    def __init__(self, folders: list[str]) -> None:
        self.began = notices.boot_clock()
        self.reader, writer = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                os.write(writer, said_of(folders))
            finally:
                os._exit(0)
        os.close(writer)

    def answer(self) -> list[Disk] | None:
        """What was found; `None` if nothing has come yet, `ValueError` if it went wrong."""
        if not select.select([self.reader], [], [], PATIENCE_SECONDS)[0]:
            return None
        said = os.read(self.reader, MOST_BYTES)
        os.close(self.reader)
        os.waitpid(self.process, 0)
        found = json.loads(said)
        if isinstance(found, str):
            raise ValueError(found)  # noqa: TRY004 - what went wrong there, in words
        return [Disk(*each) for each in found]


def had_room() -> set[str]:
    """What was remembered."""
    return set(files.known(ROOM_FILE).get("folders", ()))


def unit_state() -> dict[str, str] | None:
    """What systemd says of the worker's unit; `None` if it says nothing."""
    asked = [f"--property={name}" for name in ("MainPID", "NRestarts", "Result")]
    shown = drain.systemctl("show", *asked, drain.WORKER)
    return dict(line.split("=", 1) for line in shown.splitlines()) if shown else None


def may_leave(state: dict[str, Any], address: str) -> bool:
    """Whether few enough others, by what the master says, have left already and are not replaced yet."""
    others = [worker["state"] for worker in state["workers"] if worker["host"] != address]
    return others.count("DECOMMISSIONED") < max(1, others.count("ALIVE") // SHARE_TO_LEAVE)


class Watch:
    """The worker, look by look.

    Attributes:
        said: what was said last of each thing, so that it is said once.
        had_room: folders that had room once: of one that never had, another instance's has no more.
        found: in how many looks in a row each folder was in trouble.
        looks: in how many it has to be, which differs from worker to worker.
        silent: the worker's process, and since when it does not answer.
        restarts: of the worker's unit, when it answered last.
        well: since when the disks of a worker that is to leave are in order.
        looking: the look at the disks that has not ended yet.
    """

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.had_room = had_room()
        self.found: dict[str, int] = {}
        self.looks = LOOKS + random.randint(0, MOST_LOOKS_BESIDES)
        self.silent: tuple[int, float] | None = None
        self.restarts: int | None = None
        self.well: float | None = None
        self.looking: Look | None = None
        self.looked = notices.boot_clock()

    def say(self, what: str, text: str) -> None:
        """Say once what is new of a thing; an empty text is that it is over."""
        if self.said.get(what, "") != text:
            self.said[what] = text
            log(f"{what}: {text}" if text else f"{what}: no longer")

    def look(self) -> None:
        """Look at everything; if the worker is to leave already, at what it may stay for."""
        now = notices.boot_clock()
        if now - self.looked > LONGEST_PAUSE_SECONDS:
            self.found, self.silent, self.well = {}, None, None
            if self.looking:
                self.looking.began = now
        self.looked = now
        if noticed := notices.read():
            if self.may_stay(noticed):
                self.look_for_room()
            else:
                self.well = None
            return
        unit = unit_state()
        pid = int(unit["MainPID"]) if unit else 0
        if unit:
            self.look_at_unit(unit)
        if pid:
            self.look_at_page(pid)
            self.look_at_disks()

    def may_stay(self, noticed: dict[str, dict[str, Any]]) -> bool:
        """Whether a disk is all that the worker is to leave for, and nothing is lost on it if it starts again.

        While no instance can be launched nobody is replaced, and it may be needed for as long.
        """
        if set(noticed) != {notices.SICK} or noticed[notices.SICK]["why"] == HANGS:
            return False
        since = notices.load(notices.DRAIN_FILE).get("empty_since")
        return since is not None and notices.boot_clock() - since >= WELL_SECONDS

    def look_for_room(self) -> None:
        """Withdraw the notice if the disks are in order for long; notice.py then has the worker started again."""
        if self.troubles() != {}:
            self.well = None
            return
        self.well = self.well or notices.boot_clock()
        if notices.boot_clock() - self.well < WELL_SECONDS:
            return
        if notices.withdraw(notices.SICK):
            log(f"its disks are in order for {WELL_SECONDS} s: the worker stays")
        self.found, self.well, self.silent = {}, None, None
        self.said.pop("its disks", None)

    def look_at_unit(self, unit: dict[str, str]) -> None:
        """Say if it fails again and again: local-dirs without a disk, or a process that ends at its start."""
        restarts = int(unit["NRestarts"])
        if self.restarts is None or restarts < self.restarts:
            self.restarts = restarts
        if restarts - self.restarts >= CRASHES and unit["Result"] != "success" and not self.said.get(drain.WORKER):
            self.say(drain.WORKER, f"fails again and again: {unit['Result']}")

    def look_at_page(self, pid: int) -> None:
        """See that the worker's process answers; leave if it does not for long, and its master has given it up."""
        try:
            spark_state.page("127.0.0.1", spark_state.WORKER_UI_PORT)
        except (OSError, ValueError):
            if self.silent is None or self.silent[0] != pid:
                self.silent = pid, notices.boot_clock()
        else:
            self.silent = self.restarts = None
            self.say("its page", "")
            self.say(drain.WORKER, "")
            return
        if notices.boot_clock() - self.silent[1] < SILENT_SECONDS:
            return
        silence, state = f"has not answered for {SILENT_SECONDS} s", self.master()
        if state is None:
            self.say("its page", f"{silence}; the master does not answer either")
        elif drain.private_ip() in spark_state.alive_hosts(state):
            self.say("its page", f"{silence}; the master lists the worker as alive")
        else:
            sick(HANGS, SECONDS_OF_A_SILENT_WORKER)

    def look_at_disks(self) -> None:
        """Leave if a disk stays in trouble, and few others leave."""
        troubles = self.troubles()
        if troubles is None:
            return
        self.found = {folder: self.found.get(folder, 0) + 1 for folder in troubles}
        lasting = [f"{folder} {troubles[folder]}" for folder, looks in self.found.items() if looks >= self.looks]
        if not lasting:
            self.say("its disks", "")
            return
        why, state = "; ".join(lasting), self.master()
        if state is None:
            self.say("its disks", "in trouble; the worker stays while the master does not answer")
        elif not may_leave(state, drain.private_ip()):
            self.say("its disks", "in trouble; the worker stays until others that leave are replaced")
        else:
            sick(why, settings.load()["drain_timeout_seconds"])

    def troubles(self) -> dict[str, str] | None:
        """What is wrong, by folder; `None` if it is not known yet."""
        self.looking = self.looking or Look(used())
        try:
            found = self.looking.answer()
        except (ValueError, TypeError) as error:
            self.looking = None
            self.say("the look at its disks", f"{type(error).__name__}: {error}"[:500])
            return None
        if found is None:
            if notices.boot_clock() - self.looking.began < SILENT_SECONDS:
                return None
            self.found["a disk"] = self.looks  # this took longer than all of them
            return {"a disk": f"has not answered for {SILENT_SECONDS} s"}
        self.looking = None
        self.say("the look at its disks", "")
        self.remember({disk.folder for disk in found if not disk.trouble})
        never = {disk.folder for disk in found if disk.is_low} - self.had_room
        for disk in found:
            self.say(disk.folder, NEVER_HAD_ROOM if disk.folder in never else "")
        return {disk.folder: disk.trouble for disk in found if disk.trouble and disk.folder not in never}

    def remember(self, folders: set[str]) -> None:
        """Add to those that had room."""
        if folders <= self.had_room:
            return
        self.had_room |= folders
        try:
            files.keep(ROOM_FILE, json.dumps({"folders": sorted(self.had_room)}) + "\n")
        except OSError as error:  # this program knows it all the same, until it is started again
            self.say(ROOM_FILE, f"{error.strerror}")

    def master(self) -> dict[str, Any] | None:
        """What the master says; `None` if nothing."""
        try:
            return spark_state.read(settings.load()["master_host"])
        except (OSError, ValueError):
            return None


def sick(why: str, seconds: float) -> None:
    """Have the worker leave."""
    if notices.write(notices.SICK, why, time.time() + seconds, seconds):
        log(f"the worker is to leave: {why}")
    notice.start_drain()


def main() -> None:
    watch = Watch()
    for _ in polling.rounds(math.inf, LOOK_SECONDS):
        watch.look()


if __name__ == "__main__":
    main()
