#!/usr/bin/python3
"""End drivers that wait for a master that is gone: `orphans.py SECONDS`, once a new master has booted.

A driver registers once. If its master's host is replaced, Spark's recovery state goes with it, and the driver waits
for the old master for ever, without executors and without an error. The workers outlive it and still say whose
executors they had: the driver of an application that this master does not know hears, as from a master, that its
application was removed. It ends with that error.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polling
import settings
import spark_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


def look() -> dict[str, str]:
    """What `orphans` makes of the cluster at this moment."""
    state = spark_state.read("127.0.0.1")
    found: list[tuple[str, str]] = []
    for host in spark_state.alive_hosts(state):
        try:
            found += executors(host)
        except (OSError, ValueError) as error:  # a worker that just left: the next round asks again
            print(f"orphans: {host}: {error}", file=sys.stderr)
    return orphans(state, found)


def tell(drivers: list[str]) -> None:
    """Tell them, from a program that speaks Spark's protocol and reads the secret from Spark's configuration."""
    library = os.path.dirname(os.path.abspath(__file__))
    submit = settings.path("/opt/spark/bin/spark-submit")
    subprocess.run(
        [submit, "--driver-memory", "256m", f"{library}/tell_drivers.py", *drivers], check=False, timeout=120
    )


def main(seconds: str) -> None:
    heard = set[str]()
    for _ in polling.rounds(int(seconds), PAUSE_SECONDS):
        try:
            lost = {app: driver for app, driver in look().items() if app not in heard}
            if lost:
                print(f"orphans: lost with a former master: {lost}", file=sys.stderr)
                tell(sorted(set(lost.values())))
                heard.update(lost)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            print(f"orphans: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
