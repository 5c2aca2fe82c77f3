"""Whether `spark.excludeOnFailure` helps a job or ends it, on Spark's own processes on loopback.

The matrix of docs/adr/0010-tasks-are-not-kept-from-workers.md is what this printed: for clusters of one worker and of
three, with one executor of one core on each, a job whose first map task fails by a fault of its own or takes its
executor along; a job that meets a worker whose disk is full, here a small tmpfs, hence as root; and one of whose three
workers one is drained under the reduce tasks. Each with Spark's default, with exclusion and Spark's own figures, and
with other figures. Last, what it costs if all executors of an application die at their start. Arguments name some of
the faults, and WORKERS is one of the two sizes, `WORKERS=3 python -m bench.exclusion "full disk"`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cluster import until
from lab.deployment import ROOT
from lab.drains import lines_in
from lab.loopback import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.loopback import Loopback

FULL_KIBIBYTES = 3 << 10
MOST_SECONDS = 240.0
LOOP_SECONDS = 30
SIZES = tuple(map(int, os.environ.get("WORKERS", "1 3").split()))
PROGRAMS = ("first_stage", "common", "master")
EXCLUDE = "spark.excludeOnFailure"
NEVER = str(10**6)

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "off": {},
    "Spark's figures": {f"{EXCLUDE}.enabled": "true"},
    "three a worker": {
        f"{EXCLUDE}.enabled": "true",
        f"{EXCLUDE}.task.maxTaskAttemptsPerExecutor": "3",
        f"{EXCLUDE}.task.maxTaskAttemptsPerNode": "3",
        f"{EXCLUDE}.stage.maxFailedTasksPerExecutor": "4",
    },
    "four a worker, five in all": {
        "spark.task.maxFailures": "5",
        f"{EXCLUDE}.enabled": "true",
        f"{EXCLUDE}.task.maxTaskAttemptsPerExecutor": "4",
        f"{EXCLUDE}.task.maxTaskAttemptsPerNode": "4",
        f"{EXCLUDE}.stage.maxFailedTasksPerExecutor": NEVER,
        f"{EXCLUDE}.stage.maxFailedExecutorsPerNode": NEVER,
        f"{EXCLUDE}.application.maxFailedTasksPerExecutor": NEVER,
        f"{EXCLUDE}.application.maxFailedExecutorsPerNode": NEVER,
    },
}
FAULTS: Mapping[str, Mapping[str, Any]] = {
    "fails once": {"fault": "own", "times": 1},
    "fails thrice": {"fault": "own", "times": 3},
    "fails always": {"fault": "own", "times": 100},
    "executor lost once": {"fault": "lost", "times": 1},
    "executor lost thrice": {"fault": "lost", "times": 3},
}
DISK, FULL = "full disk", {"kibibytes": 4096}
DRAINED = "drained under reduce tasks"
DRAINED_JOB = ("--mebibytes", "48", "--map-tasks", "12", "--reduce-tasks", "12", "--seconds", "1.5")
OF_DRAINS: Mapping[str, Mapping[str, str]] = {
    "and for fetch failures": {f"{EXCLUDE}.enabled": "true", f"{EXCLUDE}.application.fetchFailure.enabled": "true"}
}
LOOPS = "loops"


@dataclass(frozen=True)
class Run:
    """How one job went.

    Attributes:
        seconds: that it took.
        failures: how many tasks did not end well.
        excluded: how often Spark excluded what, as its event log calls it.
        error: what the driver said of a job that failed; empty if the job gave its answer.
    """

    seconds: float
    failures: int
    excluded: Mapping[str, int]
    error: str

    def __str__(self) -> str:
        """One cell of the matrix."""
        excluded = ", ".join(f"{name} {times}" for name, times in self.excluded.items())
        ended = f"FAILED, {self.error}," if self.error else "ended well"
        return f"{ended} {self.seconds:.0f} s, {self.failures} failed tasks; {excluded or 'nothing excluded'}"


def main() -> None:
    """Run each fault, or those that are named, with each of the settings."""
    chosen = sys.argv[1:] or [*FAULTS, DISK, DRAINED, LOOPS]
    for workers in SIZES:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # where /tmp may be memory
            if DISK in chosen:
                with ExitStack() as stack:
                    on = stack.enter_context(cluster(Path(place, "full"), workers=workers))
                    stack.enter_context(small_disk(on.workers[0].folder / "local"))
                    tell_all(workers, on, {DISK: FULL})
            if {*FAULTS, DRAINED}.isdisjoint(chosen):
                continue
            with cluster(Path(place, "cluster"), workers=workers) as on:
                tell_all(workers, on, {name: fault for name, fault in FAULTS.items() if name in chosen})
                if DRAINED in chosen and workers > 1:
                    for settings, properties in {**SETTINGS, **OF_DRAINS}.items():
                        tell(workers, DRAINED, settings, drained(on, properties))
    for retries in ("10", "-1") if LOOPS in chosen else ():
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
            properties = {"spark.deploy.maxExecutorRetries": retries}
            with cluster(Path(place, "cluster"), workers=1, properties=properties) as on:
                loop(on, retries)


def tell_all(workers: int, on: Loopback, faults: Mapping[str, Mapping[str, Any]]) -> None:
    """Run jobs with these faults, and print their cells."""
    cells = [(fault, settings) for fault in faults for settings in SETTINGS]
    jobs = [{**faults[fault], "settings": SETTINGS[settings]} for fault, settings in cells]
    driver = on.submit(str(ROOT / "lab/jobs/faults.py"), json.dumps(jobs))
    for fault, settings in cells:
        ended = json.loads(on.said(driver, "ended: ").partition(" ")[2])
        tell(workers, fault, settings, outcome(on, **ended))


def tell(workers: int, fault: str, settings: str, how: Run) -> None:
    """Print one cell."""
    print(f"{workers} worker{'s' * (workers > 1)} | {fault:<26} | {settings:<26} | {how}", flush=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system with no room for a map output."""
    folder.mkdir(exist_ok=True)
    subprocess.run(("/usr/bin/mount", "-t", "tmpfs", "-o", f"size={FULL_KIBIBYTES}k", "tmpfs", folder), check=True)
    try:
        yield
    finally:
        subprocess.run(("/usr/bin/umount", "--lazy", folder), check=True)


def drained(on: Loopback, properties: Mapping[str, str]) -> Run:
    """One job of which a worker is drained while reduce tasks fetch from it; another comes in its place."""
    start, leaving = time.monotonic(), next(each for each in on.workers if each.process.poll() is None)
    driver = on.submit(str(ROOT / "lab/jobs/shuffle.py"), *DRAINED_JOB, settings=properties)
    application = on.said(driver, "application: ").split()[1]
    on.said(driver, "reduced: 1/")
    leaving.decommission()
    rest = driver.communicate(timeout=MOST_SECONDS)[0]
    error = "" if "answer: " in rest else (on.folder / "driver.log").read_text()
    leaving.cut_power()
    on.add_worker()
    return outcome(on, application, time.monotonic() - start, error)


def outcome(on: Loopback, application: str, seconds: float, error: str) -> Run:
    """What became of a job."""
    events = [json.loads(line) for line in lines_in(on.event_logs / f"eventlog_v2_{application}")]
    names = [event["Event"].rpartition("SparkListener")[2] for event in events]
    ends = [event["Task End Reason"]["Reason"] for event in events if event["Event"] == "SparkListenerTaskEnd"]
    causes = re.findall(r"cannot run anywhere|a fault of its own|No space left on device|failed \d+ times", error)
    return Run(
        seconds=seconds,
        failures=sum(end != "Success" for end in ends),
        excluded=Counter(name for name in names if "Excluded" in name),
        error=next(iter(causes), error[:200]),
    )


def loop(on: Loopback, retries: str) -> None:
    """Watch an application whose executors die at their start, and end it as the master's tick does."""
    settings = {"spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:+UseParallelGC"}
    driver = on.submit(str(ROOT / "lab/jobs/faults.py"), json.dumps([{"settings": {}}]), settings=settings)
    work = on.workers[0].folder / "work"
    until(lambda: len(list(work.glob("*/*"))) > 1, MOST_SECONDS, "the second executor")
    before = len(list(work.glob("*/*")))
    time.sleep(LOOP_SECONDS)
    rate = (len(list(work.glob("*/*"))) - before) / LOOP_SECONDS
    folder = next(work.glob("*/0"))
    application = folder.parent.name
    inodes, kibibytes = 1 + len(list(folder.iterdir())), sum(each.stat().st_blocks for each in folder.iterdir()) / 2
    state = "ended" if driver.poll() is not None else "alive"
    print(
        f"executors that die at their start, maxExecutorRetries {retries}: {rate:.1f} a second on one worker,", end=""
    )
    print(
        f" {inodes} inodes and {kibibytes:.0f} KiB each; after {LOOP_SECONDS} s the application is {state}", flush=True
    )
    start, log = time.monotonic(), on.folder / "driver.log"
    program = (
        f"import failed_starts, spark_state; spark_state.UI_PORT = {on.ui_port}; failed_starts.kill({application!r})"
    )
    folders = os.pathsep.join(str(ROOT / f"userdata/{part}/opt/spark-cluster") for part in PROGRAMS)
    subprocess.run((sys.executable, "-c", program), env={**os.environ, "PYTHONPATH": folders}, check=True)
    status = driver.wait(MOST_SECONDS)
    said = re.findall(r"Master removed our application: \w+", log.read_text())[:1]
    print(
        f"  ended by the master's page: the driver after {time.monotonic() - start:.0f} s by {status}: {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
