"""The memory of an executor that fills a worker, for applications that do not say: `executor.env`."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import files
import settings
import spark_conf
import worker_group
from observation import Offer
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from observation import Observation

TYPES_FILE = "/var/lib/spark-cluster/instance-types.json"
HIDDEN_SHARE, HIDDEN_MIB, HIDDEN_SHARE_BEYOND = 0.12, 256, 0.075
"""What hypervisor and kernel take of an instance type's nominal memory, at the most: this share, or so much and the
second share if that is less. Karpenter assumes 7.5 % (https://karpenter.sh/docs/reference/settings/), and found more on
small types (https://github.com/aws/karpenter-provider-aws/issues/7929)."""


def expected_offer(instance_type: str, cores: int, nominal_mib: int) -> Offer:
    """What a worker of a type will offer at the least, before one is seen."""
    hidden = min(nominal_mib * HIDDEN_SHARE, HIDDEN_MIB + nominal_mib * HIDDEN_SHARE_BEYOND)
    return Offer(instance_type, cores, spark_conf.worker_memory_mib(nominal_mib - hidden))


def executor_memory_mib(offers: Iterable[Offer], cores: int) -> int:
    """Memory of an executor of so many cores (0: all of a worker's) that fits on each of the workers."""
    fitting = min(int(one.memory_mib * (min(1.0, cores / one.cores) if cores else 1.0)) for one in offers)
    return max(fitting, spark_conf.LEAST_EXECUTOR_MIB)


def known_types() -> dict[str, tuple[int, int]]:
    """Cores and MiB of the types that EC2 was asked for last."""
    with contextlib.suppress(ValueError):  # it is of another shape
        return {name: (cores, mib) for name, (cores, mib) in files.known(TYPES_FILE).items()}
    return {}


def asked_types(names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The same, from EC2."""
    return {
        kind["InstanceType"]: (kind["VCpuInfo"]["DefaultVCpus"], kind["MemoryInfo"]["SizeInMiB"])
        for kind in worker_group.instance_types(list(names))
    }


def keep_executor_memory(seen: Observation) -> Iterator[Step]:
    """By what alive workers offer, and what is expected of the group's types of which there is none."""
    if not seen.has_group:
        return
    if not seen.instance_types:  # asked for none EC2 would answer with all that there are
        raise ValueError("the group names no instance types")
    nominal = known_types()
    if nominal.keys() != set(seen.instance_types):
        nominal = asked_types(seen.instance_types)
        text = json.dumps(nominal)
        yield Step("note the sizes of the group's types", "they are others", lambda: files.keep(TYPES_FILE, text))
    types = {one.instance_type for one in seen.offers}
    expected = [expected_offer(name, cores, mib) for name, (cores, mib) in nominal.items() if name not in types]
    memory = executor_memory_mib([*seen.offers, *expected], int(settings.load()["executor_cores"]))
    line = f"SPARK_EXECUTOR_MEMORY={memory}m\n"
    if not files.holds(spark_conf.EXECUTOR_FILE, line):
        yield Step(
            f"have executors of {memory} MiB",
            "that fits a worker of each type",
            lambda: files.keep(spark_conf.EXECUTOR_FILE, line, mode=0o644),
        )
