"""One reading of the master and its group of workers, which the keepers of `tick.py`, and commands, take."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import spark_state
import worker_group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

IN_SERVICE = "InService"
MASTER_UNIT = "spark-master.service"
SYSTEMCTL_SECONDS = 10
TAKEN_BACK = "Server.SpotInstanceTermination"
"""Why EC2 ended an instance: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html."""


@dataclass(frozen=True)
class Offer:
    """What an alive worker gives to executors, and the type of its instance."""

    instance_type: str
    cores: int
    memory_mib: int


@dataclass(frozen=True)
class Member:
    """A member of the group, as Auto Scaling has it, and its instance, as EC2 has it.

    Attributes:
        instance_id: its instance.
        state: where it is in its life, such as `InService` or `Terminating:Wait`.
        is_healthy: whether Auto Scaling takes it for healthy.
        is_protected: whether it is protected from scale-in.
        address: its private address; empty as long as EC2 does not know the instance, or it has none any more.
        launched: when it was launched; `None` as long as EC2 does not know the instance.
        instance_type: its type; empty as long.
    """

    instance_id: str
    state: str
    is_healthy: bool = True
    is_protected: bool = False
    address: str = ""
    launched: datetime | None = None
    instance_type: str = ""


@dataclass(frozen=True)
class Observation:
    """What the master says of its workers, and AWS of the group, at one moment.

    Attributes:
        has_group: whether there is a group: Terraform makes it after the master.
        min_size: how many workers the group has at least.
        max_size: how many it may have.
        desired: how many workers the group wants.
        instance_types: those that the group may launch.
        members: all that the group has, wherever in their lives.
        taken_back: spot instances of the group that EC2 took back, for as long as it knows them: about an hour.
        page: what the master says of itself; `None` if it does not answer, or is not the one in charge.
        trouble: why it does not.
        master_seconds: for how long the master's unit is active; `None` if it is not, or systemd does not say.
    """

    has_group: bool = False
    min_size: int = 0
    max_size: int = 0
    desired: int = 0
    instance_types: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    taken_back: frozenset[str] = frozenset()
    page: Mapping[str, Any] | None = None
    trouble: str = ""
    master_seconds: float | None = None

    @property
    def serving(self) -> list[Member]:
        """The members in service, also those whose instance EC2 does not know yet."""
        return [one for one in self.members if one.state == IN_SERVICE]

    @property
    def in_service(self) -> dict[str, Member]:
        """The members in service whose instance EC2 knows, by their address."""
        return {one.address: one for one in self.serving if one.address}

    @property
    def workers(self) -> list[dict[str, Any]]:
        """What the master's page has of its workers: also of those that are gone."""
        return list(self.page["workers"]) if self.page is not None else []

    @property
    def alive(self) -> frozenset[str] | None:
        """Addresses of the workers that the master has; `None` if it does not answer."""
        return None if self.page is None else frozenset(self.hosts("ALIVE"))

    def hosts(self, state: str) -> set[str]:
        """Addresses of the workers that the master has in a state of Spark's."""
        return {worker["host"] for worker in self.workers if worker["state"] == state}

    @property
    def offers(self) -> frozenset[Offer]:
        """What members in service offer that the master lists as alive."""
        members = self.in_service
        return frozenset(
            Offer(members[worker["host"]].instance_type, worker["cores"], worker["memory"])
            for worker in self.workers
            if worker["state"] == "ALIVE" and worker["host"] in members
        )


def member(said: Mapping[str, Any], instance: Mapping[str, Any]) -> Member:
    """A member of what Auto Scaling says of it, and EC2 of its instance."""
    return Member(
        instance_id=said["InstanceId"],
        state=said["LifecycleState"],
        is_healthy=said["HealthStatus"] == "Healthy",
        is_protected=said["ProtectedFromScaleIn"],
        address=instance.get("PrivateIpAddress") or "",
        launched=instance.get("LaunchTime"),
        instance_type=instance.get("InstanceType", ""),
    )


def types(group: Mapping[str, Any]) -> tuple[str, ...]:
    """The instance types that the group may launch."""
    overrides = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {}).get("Overrides", [])
    return tuple(sorted(override["InstanceType"] for override in overrides))


def master_seconds() -> float | None:
    """For how long the master's unit is active, by the clock that systemd keeps; `None` if it does not say.

    https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (Unit objects).
    """
    properties = ("--property=ActiveState", "--property=ActiveEnterTimestampMonotonic")
    try:
        shown = subprocess.run(
            ["systemctl", "show", *properties, MASTER_UNIT],
            capture_output=True,
            text=True,
            check=False,
            timeout=SYSTEMCTL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    microseconds = said.get("ActiveEnterTimestampMonotonic", "")
    if said.get("ActiveState") != "active" or not microseconds.isdecimal():
        return None
    return time.clock_gettime(time.CLOCK_MONOTONIC) - int(microseconds) / 1e6


def ask_master() -> Observation:
    """What the master says; of the group nothing."""
    seconds = master_seconds()
    try:
        return Observation(page=spark_state.read("127.0.0.1"), master_seconds=seconds)
    except (OSError, ValueError) as error:
        return Observation(trouble=f"{type(error).__name__}: {error}", master_seconds=seconds)


def ask_aws(seen: Observation) -> Observation:
    """The same with what Auto Scaling says of the group, and EC2 of its instances, or what they raise."""
    group = worker_group.group()
    if group is None:
        return seen
    instances = worker_group.instances(group["AutoScalingGroupName"])
    return replace(
        seen,
        has_group=True,
        min_size=group["MinSize"],
        max_size=group["MaxSize"],
        desired=group["DesiredCapacity"],
        instance_types=types(group),
        members=tuple(member(said, instances.get(said["InstanceId"], {})) for said in group["Instances"]),
        taken_back=frozenset(
            name for name, one in instances.items() if one.get("StateReason", {}).get("Code") == TAKEN_BACK
        ),
    )


def observe() -> Observation:
    """Ask the master, then Auto Scaling and EC2 once each. What AWS does not answer is raised: it changes nothing.

    In this order: a member that Auto Scaling takes out is out of service here before its worker is seen to leave.
    """
    return ask_aws(ask_master())
