"""The activities of groups, which moto knows nothing of: launches, those that fail among them, and terminations."""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from moto.autoscaling.models import FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from . import faults
from .moto_changes import replaces

REASONS = {
    "quota": "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded.",
    "capacity": (
        "Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches your "
        "request."
    ),
    "type": (
        "Could not launch Spot Instances. InvalidParameterCombination - The specified instance type is not eligible "
        "for Free Tier."
    ),
}
"""What Auto Scaling says of a launch that fails: too small a quota, dry pools, a type that a free plan may not use."""

ABANDONED = "Instance failed to complete user's Lifecycle Action: Lifecycle Action was abandoned"
"""What it says of a launch whose hook was abandoned, or not completed in time."""

_PAUSE_SECONDS = 10.0
"""How long a group waits after a launch that failed."""

_ENDED = {"Successful", "Failed", "Cancelled"}


@dataclass
class Activity:
    """One activity of a group, in the words of https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html.

    Attributes:
        group: the group's name.
        description: what is done.
        cause: why.
        instance_id: with whom; None if no instance came of it.
        status: `InProgress`, `MidLifecycleAction` while a hook holds it, `Successful`, `Failed` or `Cancelled`.
        message: why it failed or was cancelled.
    """

    group: str
    description: str
    cause: str
    instance_id: str | None = None
    status: str = "InProgress"
    message: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None

    def become(self, status: str, message: str = "") -> None:
        """Go on, or end."""
        self.status, self.message = status, message
        self.ended = datetime.now(UTC) if status in _ENDED else None

    def described(self) -> dict[str, Any]:
        """As DescribeScalingActivities has it."""
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "Cause": f"At {self.started:%Y-%m-%dT%H:%M:%SZ} {self.cause}.",
            "Description": self.description,
            "StartTime": _stamp(self.started),
            **({"EndTime": _stamp(self.ended)} if self.ended else {}),
            "Progress": 100 if self.ended else 50,
            "StatusCode": self.status,
            **({"StatusMessage": self.message} if self.message else {}),
        }


_activities: WeakKeyDictionary[FakeAutoScalingGroup, list[Activity]] = WeakKeyDictionary()


def begin(group: FakeAutoScalingGroup, description: str, cause: str, instance_id: str | None = None) -> Activity:
    """Note that a group begins to do something."""
    activity = Activity(group.name, description, cause, instance_id)
    _activities.setdefault(group, []).append(activity)
    return activity


def of(group: FakeAutoScalingGroup, instance_id: str) -> Activity | None:
    """What a group is doing with an instance; None if it has done all."""
    latest = next((one for one in reversed(_activities.get(group, [])) if one.instance_id == instance_id), None)
    return latest if latest and latest.status not in _ENDED else None


def under_way(group: FakeAutoScalingGroup) -> bool:
    """Whether a group is doing anything."""
    return any(one.status not in _ENDED for one in _activities.get(group, []))


def let_launches_fail() -> None:
    """Let the launches fail that the faults name, and tell of all activities by DescribeScalingActivities.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html
    """

    @replaces(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
    def launch(launch_all: Any, group: FakeAutoScalingGroup, count: int, tags: Any) -> None:
        reason = faults.read().failed_launches.get(group.name.removesuffix("-spark-workers"))
        if reason is None:
            launch_all(group, count, tags)
        elif count > 0:
            _fail(group, f"{REASONS[reason]} Launching EC2 instance failed.")

    @replaces(AutoScalingResponse, "describe_scaling_activities")
    def describe(_: Any, response: AutoScalingResponse) -> ActionResult:
        group = response.autoscaling_backend.autoscaling_groups.get(response._get_param("AutoScalingGroupName"))
        known = _activities.get(group, []) if group else []
        newest = known[::-1][: response._get_int_param("MaxRecords", 100)]
        return ActionResult({"Activities": [activity.described() for activity in newest]})


def _fail(group: FakeAutoScalingGroup, message: str) -> None:
    failed = [one for one in _activities.get(group, []) if one.status == "Failed"]
    if failed and (datetime.now(UTC) - failed[-1].started).total_seconds() < _PAUSE_SECONDS:
        return
    cause = "an instance was started in response to a difference between desired and actual capacity"
    begin(group, f"Launching a new EC2 instance.  Status Reason: {message}", cause).become("Failed", message)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
