#!/usr/bin/python3
"""Keep what the master knows of its group of workers; a timer runs it.

- `conf/workers` (and `conf/slaves`, its old name): the address of each member in service, one a line.
- known hosts: the host key of a member that left, or whose address went to a newer one, is forgotten.
- `executor.env`: the memory of an executor that fills a worker, for applications that do not say.
- Drivers that ended: their scratch goes, and what they said when it is old or much.

An API error changes no file and fails this run of the unit; the next is half a minute away.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import drivers
import files
import settings
import worker_group
from observation import observe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from observation import Observation

WORKERS_FILE = "/opt/spark/conf/workers"
EXECUTOR_FILE = "/etc/spark-cluster/executor.env"
KNOWN_HOSTS = "/var/lib/spark-known-hosts"
EXECUTOR_MEMORY_SHARE = 0.78
"""Of an instance type's nominal memory. A worker offers 85 % of what its kernel sees: at least 92 % of that."""


def write_if_changed(file: str, text: str) -> bool:
    """Write a file in one step, and only if its text is another; says whether it did."""
    try:
        with open(settings.path(file), encoding="utf-8") as old:
            if old.read() == text:
                return False
    except FileNotFoundError:
        pass
    files.keep(file, text, mode=0o644)
    return True


def by_address(address: str) -> list[int]:
    """Addresses in the order of their numbers."""
    return [int(part) for part in address.split(".")]


def keep_workers_file(seen: Observation) -> None:
    """The list of workers that Spark's own scripts read."""
    addresses = sorted(seen.members, key=by_address)
    if write_if_changed(WORKERS_FILE, "".join(f"{address}\n" for address in addresses)):
        print(f"tick: {len(addresses)} workers in service", file=sys.stderr)
    slaves = settings.path(os.path.join(os.path.dirname(WORKERS_FILE), "slaves"))
    if not os.path.islink(slaves):
        os.symlink("workers", slaves)


def forget_hosts(seen: Observation) -> None:
    """Drop the host keys of addresses that are gone, or that another host has now."""
    folder = settings.path(KNOWN_HOSTS)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        file = os.path.join(folder, name)
        if name not in seen.members or os.lstat(file).st_mtime < seen.members[name].timestamp():
            with contextlib.suppress(OSError):  # the folder is the spark user's: there may be anything
                os.remove(file)
            print(f"tick: forgot the host key of {name}", file=sys.stderr)


def executor_memory_mib(types: Sequence[dict[str, Any]], cores: int) -> int:
    """Memory of an executor of so many cores (0: all of a worker's) that fits on the smallest of the types."""

    def fitting(kind: dict[str, Any]) -> int:
        all_cores = kind["VCpuInfo"]["DefaultVCpus"]
        share = min(1.0, cores / all_cores) if cores else 1.0
        return int(kind["MemoryInfo"]["SizeInMiB"] * EXECUTOR_MEMORY_SHARE * share)

    return min(fitting(kind) for kind in types)


def keep_executor_memory(seen: Observation) -> None:
    """Asks EC2 only if the group's types are others than those the file was made for."""
    if not seen.has_group:
        return
    if not seen.instance_types:  # asked for none EC2 would answer with all that there are
        raise ValueError("the group names no instance types")
    comment = "# {}\n".format(" ".join(seen.instance_types))
    try:
        with open(settings.path(EXECUTOR_FILE), encoding="utf-8") as old:
            if old.readline() == comment:
                return
    except FileNotFoundError:
        pass
    cores = int(settings.load()["executor_cores"])
    memory = executor_memory_mib(worker_group.instance_types(list(seen.instance_types)), cores)
    write_if_changed(EXECUTOR_FILE, f"{comment}SPARK_EXECUTOR_MEMORY={memory}m\n")


KEEPERS = (keep_workers_file, forget_hosts, keep_executor_memory)


def in_words(error: Exception) -> str:
    """One line that names the cause, in place of a stack."""
    return f"tick: {type(error).__name__}: {error}"


def main() -> None:
    """One reading, and what each keeper makes of it; one that fails keeps no other from its own."""
    problems = []
    try:
        drivers.clean()
    except Exception as error:  # noqa: BLE001
        problems.append(f"{in_words(error)}, in cleaning up after drivers")
    try:
        seen = observe()
    except Exception as error:  # noqa: BLE001
        raise SystemExit("\n".join([*problems, f"{in_words(error)}, the files stay as they are"])) from None
    for keeper in KEEPERS:
        try:
            keeper(seen)
        except Exception as error:  # noqa: BLE001
            problems.append(f"{in_words(error)}, in {keeper.__name__}")
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
