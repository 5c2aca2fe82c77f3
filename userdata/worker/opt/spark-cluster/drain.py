#!/usr/bin/python3
"""Let this worker's executors go, with what they hold: it is to leave, and notices.py has why and until when.

Level-triggered: it may be killed at any time and started again, and does what is still to be done. SIGPWR to the worker
is one message through the master, which may be away, or may have been restarted since and list the worker as before: so
it is sent again and again, until the master lists the worker no more as alive and the worker has no executor. At the
deadline what still runs is lost, what was moved is not. Then the worker's unit stops for good, and its logs follow.

A worker that is to leave because it is sick, and for nothing else, stays listed as DECOMMISSIONED when nothing is left
on it: by that the master sees that the instance is to be replaced, and the notice that it is terminated comes then. If
the notice is withdrawn instead, since its disks have room again, the drain ends, and notice.py starts the worker again.

It is done with the earliest deadline of all notices. Time is that of a clock that nobody can change.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pwd
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import aws
import drain_report
import executor_logs
import files
import notices
import polling
import settings
import spark_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "logs/drains/"
WORKER = "spark-worker.service"
BOOT = "spark-boot.service"
LOGS = ("spark-executor-logs.service", "spark-daemon-logs.service")
REGISTRATION = "spark-registration.service"
NODE_ENV = "/etc/spark-cluster/node.env"
LOOK_SECONDS = 1
TELL_SECONDS = 5
PAGE_SECONDS, SHORTEST_PAGE_SECONDS = 2, 0.1
SILENT_SECONDS = 10  # of the master, after which executors are told directly
AWS_SECONDS = 60  # for what AWS is told; then notice.py starts this program again


def log(message: str) -> None:
    print(f"drain: {message}", file=sys.stderr, flush=True)


def systemctl(*arguments: str) -> str | None:
    """What it says; `None` if it failed: it says why in the journal, and the next round tries again."""
    done = subprocess.run(["systemctl", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    return None if done.returncode else done.stdout.strip()


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process; empty if it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {}


def catches_sigpwr(process: dict[str, str]) -> bool:
    """Whether it has asked for SIGPWR; it would kill any other, such as a JVM that has just begun."""
    return bool(int(process.get("SigCgt", "0"), 16) >> (signal.SIGPWR - 1) & 1)


def tell(*pids: int) -> None:
    """Send SIGPWR to those of the worker's user that catch it.

    What is looked at and what is signalled is one process, even if another one has its number by then: the kernel would
    let this program, whose real user is root, signal root's as well.
    """
    user = str(pwd.getpwnam("spark").pw_uid)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError), pidfd(pid) as process:
            found = status(pid)
            if catches_sigpwr(found) and found["Uid"].split()[0] == user:
                with files.acting_as("spark"):
                    signal.pidfd_send_signal(process, signal.SIGPWR)


@contextlib.contextmanager
def pidfd(pid: int) -> Iterator[int]:
    """A process itself, rather than its number."""
    process = os.pidfd_open(pid)
    try:
        yield process
    finally:
        os.close(process)


def children(pid: int) -> list[int]:
    """The processes that a process has started: of a worker its executors."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [each for each in pids if status(each).get("PPid") == str(pid)]


def worker_pid() -> int | None:
    """The worker's process; 0 if there is none, `None` if systemd does not say."""
    shown = systemctl("show", "--property=MainPID", "--value", WORKER)
    return int(shown) if shown and shown.isdecimal() else None


def private_ip() -> str:
    """The address by which the master knows this worker; none before it was configured."""
    with contextlib.suppress(FileNotFoundError), open(settings.path(NODE_ENV), encoding="utf-8") as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file).get("PRIVATE_IP", "")
    return ""


class Drain:
    """One drain, over all starts of this program.

    Attributes:
        state: what the next start needs, in a file: when it began (by the clock since the host's boot, and by the
            host's), whether a worker has run since, each executor that was met and whether it has left, since when
            nothing is left on a worker that stays, the report, whether the bucket has that and the worker's unit is
            stopped, and which notices were answered.
        notices: those that were read so far, by their kind.
        was_running: whether this start found a worker.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = notices.load(notices.DRAIN_FILE)
        self.notices = notices.read()
        self.was_running = False

    def keep(self, **more: object) -> None:
        """Add to the state."""
        if any(key not in self.state or self.state[key] != value for key, value in more.items()):
            self.state.update(more)
            notices.keep(notices.DRAIN_FILE, self.state)

    def seconds_left(self) -> float:
        """Until the earliest deadline of what was noticed so far; a sick worker that is empty has none."""
        self.notices.update(notices.read())
        if set(self.notices) == {notices.SICK} and self.state.get("empty_since"):
            return math.inf
        return min(float(each["boot_clock_deadline"]) for each in self.notices.values()) - notices.boot_clock()

    def patience(self) -> float:
        """How many seconds a page may take to answer: what hangs makes nobody late."""
        return max(SHORTEST_PAGE_SECONDS, min(PAGE_SECONDS, self.seconds_left()))

    def begin(self) -> None:
        """Note when, and end what would start a worker: the boot, which says why and gives up the launch."""
        if self.state.get("is_stopped") and worker_pid():  # somebody has brought it back since
            self.state = {"answered": self.state.get("answered", {})}
        if "began" not in self.state:
            self.keep(began=notices.boot_clock(), started_at=time.time(), executors={})
        systemctl("disable", "--quiet", "--no-reload", BOOT)
        systemctl("stop", "--no-block", BOOT)

    def wait(self) -> bool:
        """Tell the worker and its executors, until none is left; whether that was before the deadline."""
        address, host = private_ip(), settings.load()["master_host"]
        heard, signalled, is_heard = notices.boot_clock(), -math.inf, True
        for _ in polling.rounds(math.inf, LOOK_SECONDS):
            now = notices.boot_clock()
            is_due, is_silent = now - signalled >= TELL_SECONDS, now - heard >= SILENT_SECONDS
            if not is_due and self.seconds_left() == math.inf:
                continue  # it may be empty for hours, and all that is new each second is another notice
            pid = worker_pid()
            if pid == 0:
                break
            if self.seconds_left() <= 0:
                return bool(self.state.get("empty_since"))
            if pid is None:
                continue
            self.was_running = True
            self.keep(has_run=True)
            if is_due:
                systemctl("stop", REGISTRATION)  # it would start a worker again that is not listed as alive
                tell(pid, *(children(pid) if is_silent else ()))
                signalled = now
            left = executors(pid, self.patience())
            if left is not None:
                met = dict.fromkeys(self.state["executors"], True)
                since = None if left else self.state.get("empty_since")
                self.keep(executors={**met, **dict.fromkeys(sorted(left), False)}, empty_since=since)
            is_listed = True
            if is_due or not left or not is_heard:
                is_heard = False
                with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                    is_listed = address in spark_state.alive_hosts(spark_state.read(host, self.patience()))
                    heard, is_heard = notices.boot_clock(), True
            is_empty = left == set() and (is_silent or not is_listed or not catches_sigpwr(status(pid)))
            if is_empty and not self.stays():
                break
        return all(self.state["executors"].values())  # a worker that crashed has lost them

    def stays(self) -> bool:
        """Whether an empty worker stays, which is noted: one that is sick still, and is not terminated yet."""
        stays = set(self.notices) == {notices.SICK} and bool(notices.read())
        if stays and not self.state.get("empty_since"):
            self.keep(empty_since=notices.boot_clock())
        return stays

    def report(self, *, in_time: bool) -> dict[str, Any]:
        """What there is to say."""
        seconds = round((self.state.get("empty_since") or notices.boot_clock()) - self.state["began"], 1)
        figures = drain_report.figures(self.state["executors"])
        return {
            **self.reasons(),
            "started_at": round(self.state["started_at"], 1),
            "seconds": seconds,
            **figures,
            "in_time": in_time and all(each["left"] for each in figures["executors"]),
        }

    def reasons(self) -> dict[str, Any]:
        """That part of the report that a later notice adds to."""
        all_of_them = sorted(self.notices.values(), key=lambda each: float(each["noticed_at"]))
        return {
            "kinds": [each["kind"] for each in all_of_them],
            "why": "; ".join(each["why"] for each in all_of_them),
            "noticed_at": round(all_of_them[0]["noticed_at"], 1),
            "deadline": round(min(each["deadline"] for each in all_of_them), 1),
        }

    def tell_how_it_ended(self, *, in_time: bool) -> None:
        """One line in the journal, and a report of a worker that has run.

        Of one that was drained before, a later notice changes the reasons alone.
        """
        if not self.state.get("has_run"):
            log("{why}: no worker was found".format(**self.reasons()))
            return
        if "report" in self.state and not self.was_running:
            report = {**self.state["report"], **self.reasons()}
        else:
            report = self.report(in_time=in_time)
        if report != self.state.get("report"):
            self.keep(report=report, is_stored=False)
            log(drain_report.summary(report))

    def stop(self) -> None:
        """Stop the worker's unit for good; while it and its logs go, the report is made and stored."""
        systemctl("disable", "--quiet", "--no-reload", WORKER)
        systemctl("stop", "--no-block", WORKER)

    def store(self) -> None:
        """Put the report into the bucket, unless it is there."""
        if self.state.get("is_stored", True):
            return
        instance = aws.metadata("instance-id")
        began = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime(self.state["started_at"]))
        what = {
            "Bucket": settings.load()["bucket"],
            "Key": f"{PREFIX}{instance}-{began}.json",
            "Body": json.dumps({"instance": instance, **self.state["report"]}).encode(),
            "ContentType": "application/json",
        }
        aws.eventually(aws.client("s3").put_object, AWS_SECONDS, **what)
        self.keep(is_stored=True)

    def complete(self) -> None:
        """Tell Auto Scaling, if it terminates this instance, that it may: again and again until it waits for that."""
        if "termination" in notices.unanswered(self.notices):
            hook = aws.LifecycleHook(settings.load()["termination_hook"])
            if not hook.complete("CONTINUE"):
                raise TimeoutError("Auto Scaling does not wait yet for what it terminates")


def executors(pid: int, seconds: float) -> set[str] | None:
    """Those of the worker, each as `<application>/<executor>`; `None` if it does not say which it has."""
    try:
        return executor_logs.running(seconds)
    except (OSError, ValueError, LookupError, TypeError):  # no page, or another one than Spark's
        return None if children(pid) else set()


def attempt(what: Callable[[], None]) -> bool:
    """Do something that needs AWS; whether it could be done."""
    try:
        what()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one line that names the cause; the next start tries again
        log(f"{type(error).__name__}: {error}")
        return False
    return True


def main() -> None:
    drain = Drain()
    if not notices.unanswered(drain.notices):
        return
    drain.begin()
    in_time = drain.wait()
    drain.stop()
    drain.tell_how_it_ended(in_time=in_time)
    is_stored = attempt(drain.store)
    systemctl("stop", BOOT, WORKER, *LOGS)  # now until all have stopped
    drain.keep(is_stopped=True)
    if not attempt(drain.complete) or not is_stored:
        raise SystemExit("drain: AWS does not know it yet: again")
    noticed = {kind: each["noticed_at"] for kind, each in drain.notices.items()}
    drain.keep(answered={**drain.state.get("answered", {}), **noticed})


if __name__ == "__main__":
    main()
