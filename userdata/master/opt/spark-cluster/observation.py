"""One reading of the master and its group of workers, which the keepers of `tick.py` and `spark-wait` take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import spark_state
import worker_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Offer:
    """What an alive worker gives to executors, and the type of its instance."""

    instance_type: str
    cores: int
    memory_mib: int


@dataclass(frozen=True)
class Observation:
    """What AWS says of the group, and the master of its workers, at one moment.

    Attributes:
        has_group: whether there is a group: Terraform makes it after the master.
        desired: how many workers the group wants.
        instance_types: those that the group may launch.
        members: launch time of each member in service, by its address.
        alive: addresses of the workers that the master has; `None` if it does not answer.
        trouble: why it does not.
        offers: what those of these workers that are in service offer.
    """

    has_group: bool
    desired: int
    instance_types: tuple[str, ...]
    members: Mapping[str, datetime]
    alive: frozenset[str] | None
    trouble: str = ""
    offers: frozenset[Offer] = frozenset()


def in_service(group: Mapping[str, Any], instances: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The instance of each member in service, by its address."""
    ids = [member["InstanceId"] for member in group["Instances"] if member["LifecycleState"] == "InService"]
    members = [instances[name] for name in ids if instances.get(name, {}).get("PrivateIpAddress")]
    return {member["PrivateIpAddress"]: member for member in members}


def offers(workers: Iterable[Mapping[str, Any]], members: Mapping[str, Mapping[str, Any]]) -> frozenset[Offer]:
    """What members offer that the master lists as alive."""
    return frozenset(
        Offer(members[worker["host"]]["InstanceType"], worker["cores"], worker["memory"])
        for worker in workers
        if worker["state"] == "ALIVE" and worker["host"] in members
    )


def types(group: Mapping[str, Any]) -> tuple[str, ...]:
    """The instance types that the group may launch."""
    overrides = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", [])
    return tuple(sorted(override["InstanceType"] for override in overrides))


def observe() -> Observation:
    """Ask Auto Scaling and EC2 once each, and the master. What AWS does not answer is raised: it changes nothing."""
    group = worker_group.group()
    workers: list[dict[str, Any]] = []
    try:
        state = spark_state.read("127.0.0.1")
        alive, workers, trouble = frozenset(spark_state.alive_hosts(state)), state["workers"], ""
    except (OSError, ValueError) as error:
        alive, trouble = None, f"{type(error).__name__}: {error}"
    if group is None:
        return Observation(False, 0, (), {}, alive, trouble)  # noqa: FBT003 - there is none
    members = in_service(group, worker_group.instances(group["AutoScalingGroupName"]))
    return Observation(
        has_group=True,
        desired=group["DesiredCapacity"],
        instance_types=types(group),
        members={address: member["LaunchTime"] for address, member in members.items()},
        alive=alive,
        trouble=trouble,
        offers=offers(workers, members),
    )
