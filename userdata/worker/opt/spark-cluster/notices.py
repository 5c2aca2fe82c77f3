"""What was noticed so far: that this worker is to leave. Files in /run, which end with the host's boot.

So a host that is started again while it drains notices anew, and has all of drain_timeout_seconds again; but the time
of a spot notice is AWS's, and Auto Scaling's hook waits no longer than before.

`notices/<kind>.json` is written by notice.py and worker_health.py: the kind, why, when it was noticed, by when the
worker is to have left (epoch seconds, and seconds of CLOCK_BOOTTIME, which no change of the clock moves). `drain.json`
is drain.py's: how far it is, and which notices it has answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

import files
import settings

FOLDER = "/run/spark-cluster/notices"
DRAIN_FILE = "/run/spark-cluster/drain.json"
SICK = "sick"  # the notice of worker_health.py


def boot_clock() -> float:
    """Seconds that this host is up, whatever is done to its clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def load(file: str) -> dict[str, Any]:
    """What a file of these has; empty if there is none."""
    with contextlib.suppress(FileNotFoundError), open(settings.path(file), encoding="utf-8") as opened:
        found: dict[str, Any] = json.load(opened)
        return found
    return {}


def keep(file: str, what: dict[str, Any]) -> None:
    os.makedirs(settings.path(FOLDER), exist_ok=True)
    files.keep(file, json.dumps(what) + "\n", mode=0o644)


def read() -> dict[str, dict[str, Any]]:
    """All notices, by their kind."""
    names: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        names = [name for name in os.listdir(settings.path(FOLDER)) if name.endswith(".json")]
    found = {name[: -len(".json")]: load(f"{FOLDER}/{name}") for name in sorted(names)}
    return {kind: notice for kind, notice in found.items() if notice}  # one may have been withdrawn meanwhile


def write(kind: str, why: str, deadline: float, seconds: float) -> bool:
    """Keep a notice to have left by a time of AWS's clock, which is in so many seconds; a known one is only shortened.

    Returns:
        Whether anything was written.
    """
    file, ends = f"{FOLDER}/{kind}.json", boot_clock() + seconds
    known = load(file)
    if known and known["deadline"] <= deadline:
        return False
    notice = {"kind": kind, "why": why, "noticed_at": known.get("noticed_at", time.time()), "deadline": deadline}
    keep(file, {**notice, "boot_clock_deadline": min(ends, known.get("boot_clock_deadline", ends))})
    return True


def remove(file: str) -> bool:
    """Remove a file of these; whether there was one."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(settings.path(file))
        return True
    return False


def withdraw(kind: str) -> bool:
    """Forget a notice; whether there was one."""
    return remove(f"{FOLDER}/{kind}.json")


def unanswered(notices: dict[str, dict[str, Any]]) -> list[str]:
    """The kinds that no drain has ended for; one that was withdrawn and has come again is another notice."""
    answered = load(DRAIN_FILE).get("answered", {})
    return [kind for kind, notice in notices.items() if answered.get(kind) != notice["noticed_at"]]
