"""The activities of groups: launches that fail, which moto knows nothing of."""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import time
import uuid
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

_PAUSE_SECONDS = 10.0
"""How long a group waits after a launch that failed."""

_activities: WeakKeyDictionary[FakeAutoScalingGroup, list[dict[str, Any]]] = WeakKeyDictionary()


def let_launches_fail() -> None:
    """Let the launches fail that the faults name, and tell of them by DescribeScalingActivities.

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
        return ActionResult({"Activities": known[::-1][: response._get_int_param("MaxRecords", 100)]})


def _fail(group: FakeAutoScalingGroup, message: str) -> None:
    known = _activities.setdefault(group, [])
    now = datetime.now(UTC)
    if known and now.timestamp() < known[-1]["at"] + _PAUSE_SECONDS:
        return
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known.append(
        {
            "at": time.time(),
            "ActivityId": str(uuid.uuid4()),
            "AutoScalingGroupName": group.name,
            "Cause": "an instance was started in response to a difference between desired and actual capacity",
            "Description": f"Launching a new EC2 instance.  Status Reason: {message}",
            "StartTime": at,
            "EndTime": at,
            "Progress": 100,
            "StatusCode": "Failed",
            "StatusMessage": message,
        }
    )
