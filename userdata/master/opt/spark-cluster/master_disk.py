"""The room of the disk that Spark's recovery state is on, and what drivers hold of it.

They share the root volume. Once it is full, Spark's master cannot write its state any more: no application and no
worker is registered, and what Spark says of that names no cause. Nothing is removed or ended for it here, since nobody
but its owner knows what a driver is worth.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

import disk_room
import drivers
import recovery
import settings

PLACES = (drivers.HOME, "/var/tmp", "/var/lib/spark-events", drivers.LOGS)  # noqa: S108 - where drivers write, too
DU_SECONDS = 5
MOST = 3


def trouble() -> str:
    """What is wrong with its room, in words; empty if nothing is, or before Spark has any state."""
    with contextlib.suppress(FileNotFoundError):
        folder = recovery.folder()
        said, is_low = disk_room.room(os.statvfs(folder))
        return f"{folder} {said}" if is_low else ""
    return ""


def largest() -> list[tuple[str, int]]:
    """The folders that hold most of what drivers wrote, with their MiB: as far as that is found in DU_SECONDS."""
    scratch = settings.path(drivers.SCRATCH)
    names = sorted(os.listdir(scratch)) if os.path.isdir(scratch) else []
    paths = [drivers.folder(name) for name in names] + [settings.path(place) for place in PLACES]
    du = ["du", "--summarize", "--one-file-system", "--block-size=1M", "--", *paths]
    try:
        said = subprocess.run(
            du, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=DU_SECONDS
        ).stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    sizes = [line.split("\t", 1) for line in said.decode(errors="replace").splitlines() if "\t" in line]
    found = [(path, int(mebibytes)) for mebibytes, path in sizes if int(mebibytes)]
    return sorted(found, key=lambda one: one[1], reverse=True)[:MOST]
