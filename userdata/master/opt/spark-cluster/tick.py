#!/usr/bin/python3
"""Keep what the master knows of its group of workers, and the group as its work wants it.

Without arguments it is the program of spark-tick.service: every 15 s or so one reading of master and group
(observation.py), of which each keeper makes its steps. An API error, or a master that does not answer, changes nothing.

tick.py --once: one tick, with what it sees and does. Ends with status 1 if anything of it failed.
tick.py --explain: what a tick sees and would do, and why; changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import math
import os
import socket
import stat
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import drivers
import executor_memory
import failed_starts
import files
import health
import master_disk
import metrics
import observation
import polling
import protection
import settings
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from observation import Observation

PAUSE_SECONDS = 15
WORKERS_FILE = "/opt/spark/conf/workers"
KNOWN_HOSTS = "/var/lib/spark-known-hosts"
LOCK_FILE = "/run/spark-cluster/tick.lock"
LOCK_SECONDS, LOCK_PAUSE_SECONDS = 30, 1  # a tick takes a few
USAGE_STATUS = 2


def say(message: str) -> None:
    print(f"tick: {message}", file=sys.stderr, flush=True)


def in_words(error: Exception) -> str:
    """One line that names the cause, in place of a stack."""
    return f"{type(error).__name__}: {error}"


# --- keepers -----------------------------------------------------------------------------------------------------


def by_number(address: str) -> list[int]:
    """Addresses in the order of their numbers."""
    return [int(part) for part in address.split(".")]


def keep_workers_file(seen: Observation) -> Iterator[Step]:
    """The list of workers that Spark's own scripts read, `conf/workers`, and `conf/slaves`, its old name."""
    addresses = sorted(seen.in_service, key=by_number)
    text = "".join(f"{address}\n" for address in addresses)
    if not files.holds(WORKERS_FILE, text):
        why = f"{len(addresses)} workers in service"
        yield Step("write conf/workers", why, lambda: files.keep(WORKERS_FILE, text, mode=0o644))
    slaves = settings.path(os.path.join(os.path.dirname(WORKERS_FILE), "slaves"))
    if not os.path.islink(slaves):
        yield Step("link conf/slaves to it", "that is its old name", lambda: os.symlink("workers", slaves))


def forget_hosts(seen: Observation) -> Iterator[Step]:
    """Drop the host keys of addresses that are gone, or that another host has now.

    The folder is the spark user's: there may be anything, and what is a folder itself is left there.
    """
    folder, members = settings.path(KNOWN_HOSTS), seen.in_service
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        file, launched = os.path.join(folder, name), members[name].launched if name in members else None
        found = os.lstat(file)
        if stat.S_ISDIR(found.st_mode):
            continue
        if launched is None:
            yield Step(f"forget the host key of {name}", "it is no worker in service", partial(os.remove, file))
        elif found.st_mtime < launched.timestamp():
            yield Step(f"forget the host key of {name}", "another host has it now", partial(os.remove, file))


def clean_up(_: Observation) -> Iterator[Step]:
    """Drivers that ended: their scratch goes, and what they said when it is old or much."""
    yield Step("clean up after drivers", "some may have ended", drivers.clean, is_routine=True)


def watch_disk(_: Observation) -> Iterator[Step]:
    """That the disk of Spark's state has little room left is told, and no more.

    Raises:
        OSError: it has; in words that are the same each time.
    """
    if master_disk.trouble():
        raise OSError("the master's disk has little room left: spark-status names what holds it")
    yield from ()


KEEPERS: tuple[Callable[[Observation], Iterator[Step]], ...] = (
    keep_workers_file,
    forget_hosts,
    executor_memory.keep_executor_memory,
    protection.keep_protection,
    health.keep_health,
    failed_starts.end_applications,
    watch_disk,
    clean_up,  # it may take seconds
    metrics.keep_metrics,  # the last, since nothing is to wait for it
)
WITHOUT_GROUP = (failed_starts.end_applications, watch_disk, clean_up)
"""Those that ask nothing of the group: they go on while AWS does not answer, when there seems to be none."""


# --- a tick ------------------------------------------------------------------------------------------------------


class Tick:
    """One look, and the steps that come of it.

    Attributes:
        troubles: what failed, by where: one keeper that fails keeps no other from its own.
    """

    def __init__(self, take: Callable[[Step], None]) -> None:
        self.take = take
        self.troubles: dict[str, str] = {}

    def run(self, see: Callable[[Observation], None]) -> dict[str, str]:
        """Have each step taken; `see` is given what they were made of."""
        seen, keepers = observation.Observation(), KEEPERS
        try:
            seen = observation.ask_master()
            seen = observation.ask_aws(seen)
            see(seen)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next tick asks again
            self.troubles["observing"] = f"{in_words(error)}, so nothing of the group is changed"
            keepers = WITHOUT_GROUP
        if seen.trouble:
            self.troubles["asking the master"] = seen.trouble
        for keeper in keepers:
            self._keep(keeper.__name__, keeper(seen))
        return self.troubles

    def _keep(self, name: str, steps: Iterator[Step]) -> None:
        while True:
            try:
                step = next(steps, None)
                if step is None:
                    return
                self.take(step)
            except Exception as error:  # noqa: BLE001 - told by whoever runs the tick
                self.troubles.setdefault(name, in_words(error))
            notify("WATCHDOG=1")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """While no other tick runs: each would tell Auto Scaling of one sick member.

    The file is root's alone, since whoever may open it may hold the lock.

    Raises:
        TimeoutError: another has run for LOCK_SECONDS.
    """
    file = settings.path(LOCK_FILE)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(os.open(file, os.O_RDWR | os.O_CREAT, mode=0o600), "w", encoding="utf-8") as lock:
        os.fchmod(lock.fileno(), 0o600)  # one that was there
        for _ in polling.rounds(LOCK_SECONDS, LOCK_PAUSE_SECONDS):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            notify("WATCHDOG=1")
        else:
            raise TimeoutError("another tick holds the lock")
        yield


def tick_alone(take: Callable[[Step], None], see: Callable[[Observation], None]) -> dict[str, str]:
    """One tick while no other runs: its troubles, of which another tick that does not end is one."""
    try:
        with alone():
            return Tick(take).run(see)
    except TimeoutError as error:
        return {"waiting for another tick": f"{in_words(error)}, so nothing is changed"}


def notify(message: str) -> None:
    """Tell systemd, if it is what started this: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.sendto(message.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


# --- how it is run -----------------------------------------------------------------------------------------------


class Journal:
    """What the daemon says: each thing that it does, and each trouble when it begins and when it is over."""

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}

    def take(self, step: Step) -> None:
        """Take a step; what was done is told, but for what is done each time."""
        if step.act is None:
            return
        step.act()
        if not step.is_routine:
            say(f"{step.what}: {step.why}")

    def tick(self) -> None:
        """Tick once; tell what is another trouble than at the last tick, and what is none any more."""
        troubles = tick_alone(self.take, lambda _: None)
        for where, words in troubles.items():
            if self.troubles.get(where) != words:
                say(f"{words}, in {where}")
        for where in sorted(self.troubles.keys() - troubles.keys()):
            say(f"no trouble any more in {where}")
        self.troubles = troubles


def keep_on() -> None:
    """Tick for ever. Systemd takes it for started once the first tick is over, whatever came of it."""
    journal = Journal()
    for number, _ in enumerate(polling.rounds(math.inf, PAUSE_SECONDS)):
        journal.tick()
        if number == 0:
            notify("READY=1")


def show(seen: Observation) -> None:
    """What a tick sees."""
    states = Counter(member.state for member in seen.members)
    members = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
    protected = sum(member.is_protected for member in seen.members)
    unhealthy = sum(not member.is_healthy for member in seen.members)
    group = f"members {members}; {protected} protected, {unhealthy} unhealthy"
    sizes = f"{seen.min_size} to {seen.max_size}, {seen.desired} desired"
    print(f"sees   group: {sizes}; {group}" if seen.has_group else "sees   group: there is none yet")
    workers = Counter(worker["state"] for worker in seen.workers)
    said = ", ".join(f"{count} {state}" for state, count in sorted(workers.items())) or "none"
    page = f"does not answer: {seen.trouble}" if seen.page is None else f"workers {said}"
    since = "it is not known since when" if seen.master_seconds is None else f"for {seen.master_seconds:.0f} s"
    print(f"sees   master: {page}; active {since}")
    print("sees   a worker may be unlisted for {} s".format(settings.load()["unlisted_timeout_seconds"]))


def once() -> int:
    """One tick, told in full; once it is over, since who reads it may pause while the lock is held."""

    def take(step: Step) -> None:
        if step.act:
            step.act()
        print(f"{'does' if step.act else 'leaves':<7}{step.what}: {step.why}")

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        troubles = tick_alone(take, show)
    print(said.getvalue(), end="")
    return tell(troubles)


def explain() -> int:
    """What a tick would do."""

    def take(step: Step) -> None:
        print(f"{'would' if step.act else 'leaves':<7}{step.what}: {step.why}")

    return tell(Tick(take).run(show))


def tell(troubles: dict[str, str]) -> int:
    for where, words in troubles.items():
        print(f"fails  {words}, in {where}")
    return 1 if troubles else 0


def main(*arguments: str) -> int:
    if not arguments:
        keep_on()
        return 0
    ways = {("--once",): once, ("--explain",): explain}
    if arguments not in ways:
        print(__doc__.strip(), file=sys.stderr)
        return USAGE_STATUS
    return ways[arguments]()


if __name__ == "__main__":
    if sys.argv[1:]:  # a person
        drivers.as_root(os.path.abspath(__file__), sys.argv[1:])
    raise SystemExit(main(*sys.argv[1:]))
