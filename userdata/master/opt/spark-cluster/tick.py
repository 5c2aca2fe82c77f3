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
import json
import os
import sys
from typing import TYPE_CHECKING

import drivers
import files
import settings
import spark_conf
import worker_group
from observation import Offer, observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from observation import Observation

WORKERS_FILE = "/opt/spark/conf/workers"
KNOWN_HOSTS = "/var/lib/spark-known-hosts"
TYPES_FILE = "/var/lib/spark-cluster/instance-types.json"
HIDDEN_SHARE, HIDDEN_MIB, HIDDEN_SHARE_BEYOND = 0.12, 256, 0.075
"""What hypervisor and kernel take of an instance type's nominal memory, at the most: this share, or so much and the
second share if that is less. Karpenter assumes 7.5 % (https://karpenter.sh/docs/reference/settings/), and found more on
small types (https://github.com/aws/karpenter-provider-aws/issues/7929)."""


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


def expected_offer(instance_type: str, cores: int, nominal_mib: int) -> Offer:
    """What a worker of a type will offer at the least, before one is seen."""
    hidden = min(nominal_mib * HIDDEN_SHARE, HIDDEN_MIB + nominal_mib * HIDDEN_SHARE_BEYOND)
    return Offer(instance_type, cores, spark_conf.worker_memory_mib(nominal_mib - hidden))


def executor_memory_mib(offers: Iterable[Offer], cores: int) -> int:
    """Memory of an executor of so many cores (0: all of a worker's) that fits on each of the workers."""
    fitting = min(int(one.memory_mib * (min(1.0, cores / one.cores) if cores else 1.0)) for one in offers)
    return max(fitting, spark_conf.LEAST_EXECUTOR_MIB)


def nominal(instance_types: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Cores and MiB of the group's types. EC2 is asked only if they are others than at the last time."""
    try:
        with open(settings.path(TYPES_FILE), encoding="utf-8") as file:
            known = {name: (cores, mib) for name, (cores, mib) in json.load(file).items()}
    except (FileNotFoundError, ValueError):  # a power cut may have emptied it
        known = {}
    if known.keys() != set(instance_types):
        asked = worker_group.instance_types(list(instance_types))
        known = {
            kind["InstanceType"]: (kind["VCpuInfo"]["DefaultVCpus"], kind["MemoryInfo"]["SizeInMiB"]) for kind in asked
        }
        files.keep(TYPES_FILE, json.dumps(known))
    return known


def keep_executor_memory(seen: Observation) -> None:
    """By what alive workers offer, and what is expected of the group's types of which there is none."""
    if not seen.has_group:
        return
    if not seen.instance_types:  # asked for none EC2 would answer with all that there are
        raise ValueError("the group names no instance types")
    types = {one.instance_type for one in seen.offers}
    expected = [
        expected_offer(name, cores, mib)
        for name, (cores, mib) in nominal(seen.instance_types).items()
        if name not in types
    ]
    memory = executor_memory_mib([*seen.offers, *expected], int(settings.load()["executor_cores"]))
    write_if_changed(spark_conf.EXECUTOR_FILE, f"SPARK_EXECUTOR_MEMORY={memory}m\n")


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
