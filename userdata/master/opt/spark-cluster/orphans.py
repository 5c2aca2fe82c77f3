#!/usr/bin/python3
"""End drivers that wait for a master that does not know their application: at each start of the master.

A driver registers once. An application is lost to its master in two ways. If the master's host is replaced, Spark's
recovery state goes with it: for a while a new master ends all that it does not know. If an application's recovery file
cannot be read, it is set aside at the master's next start: then that application alone is ended. Whatever else starts
a master again, it has recovered all, and nothing is ended.

Without executors and without an error the driver would wait for ever. The workers still say whose executors they had:
the driver of a lost application hears, as from a master, that its application was removed. It ends with that error.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import polling
import recovery
import settings
import spark_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NEW_MASTER_FILE = "/var/lib/spark-cluster/new-master"  # of the boot, written when this host first started a master
# From then on, or since a file was set aside: longer than a worker outlives the master that it lost, as it ends by
# itself after a quarter of an hour.
SECONDS = 1800
PAUSE_SECONDS = 5
DRIVER = re.compile(r"spark://CoarseGrainedScheduler@([^,\s]+:\d+)")


def executors(host: str) -> Iterator[tuple[str, str]]:
    """Application and driver of each executor that a worker has or had."""
    state = spark_state.page(host, spark_state.WORKER_UI_PORT)
    for executor in state["executors"] + state["finishedexecutors"]:
        driver = DRIVER.search(executor["appdesc"]["command"])
        if driver:
            yield executor["appid"], driver.group(1)


def orphans(state: dict[str, Any], found: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Drivers by application, of applications that the master does not know, from what the workers' executors say.

    None while an application of this master has no executor yet: its driver may have the address that one of a lost
    application had.
    """
    active = {app["id"] for app in state["activeapps"]}
    known = active | {app["id"] for app in state["completedapps"]}
    if active - {app for app, _ in found}:
        return {}
    taken = {driver for app, driver in found if app in known}
    return {app: driver for app, driver in found if app not in known and driver not in taken}


def is_recent(seconds: float) -> bool:
    """Whether it was within SECONDS, by clocks that may have been set since."""
    return abs(time.time() - seconds) < SECONDS


def is_new() -> bool:
    """Whether this host has not been a master for long; a reboot does not change that."""
    file = settings.path(NEW_MASTER_FILE)
    return os.path.exists(file) and is_recent(os.stat(file).st_mtime)


def look() -> dict[str, str] | None:
    """Drivers to end at this moment, by application; `None` if there is nothing to look for."""
    state = spark_state.read("127.0.0.1")
    # Not before: until it answers Spark may set files aside.
    all_of_them = is_new()
    broken = {app for app, seconds in recovery.lost_applications().items() if is_recent(seconds)}
    if not all_of_them and not broken:
        return None
    found: list[tuple[str, str]] = []
    for host in spark_state.alive_hosts(state):
        try:
            found += executors(host)
        except (OSError, ValueError) as error:  # a worker that just left: the next round asks again
            print(f"orphans: {host}: {error}", file=sys.stderr)
    return {app: driver for app, driver in orphans(state, found).items() if all_of_them or app in broken}


def tell(drivers: list[str]) -> None:
    """Tell them, from a program that speaks Spark's protocol and reads the secret from Spark's configuration."""
    library = os.path.dirname(os.path.abspath(__file__))
    submit = settings.path("/opt/spark/bin/spark-submit")
    subprocess.run(
        [submit, "--driver-memory", "256m", f"{library}/tell_drivers.py", *drivers], check=False, timeout=120
    )


def main() -> None:
    heard, trouble = set[str](), ""
    for _ in polling.rounds(SECONDS, PAUSE_SECONDS):
        try:
            found = look()
            if found is None:
                return
            lost = {app: driver for app, driver in found.items() if app not in heard}
            if lost:
                print(f"orphans: lost to this master: {lost}", file=sys.stderr)
                tell(sorted(set(lost.values())))
                heard.update(lost)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            if str(error) != trouble:  # while the master starts it is the same each time
                print(f"orphans: {error}", file=sys.stderr)
            trouble = str(error)


if __name__ == "__main__":
    main()
