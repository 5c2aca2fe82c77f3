"""Rolling refreshes: members of another template than the group's are replaced, few at a time."""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from .emulated_aws import refuse_refresh
from .moto_changes import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState

_PATIENCE_SECONDS = 3600.0
"""How long a refresh waits for members that are protected or in standby before it fails."""


class _InProgressError(AutoscalingClientError):
    code = "InstanceRefreshInProgress"


class _NotFoundError(AutoscalingClientError):
    code = "ActiveInstanceRefreshNotFound"


@dataclass
class Refresh:
    """A rolling refresh.

    Without a maximum, members are ended and launched together; with one, new members are launched first.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html

    Attributes:
        min_healthy_percentage: of the desired size, how many are in service at least.
        max_healthy_percentage: how many there are at most; None if members are not launched first.
        protected: what becomes of members that are protected from scale-in: `Refresh`, `Ignore` or `Wait`.
        standby: what becomes of members in standby: `Terminate`, `Ignore` or `Wait`.
        old: who is to be replaced.
    """

    min_healthy_percentage: int
    max_healthy_percentage: int | None
    protected: str
    standby: str
    old: set[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    status: str = "InProgress"
    waiting_since: float | None = None

    @property
    def active(self) -> bool:
        """Whether it still replaces members."""
        return self.status == "InProgress"

    def replaces_now(self, member: InstanceState) -> bool:
        """Whether a member is among the old and may be ended as it is now."""
        if member.instance.id not in self.old:
            return False
        if member.lifecycle_state == "Standby":
            return self.standby == "Terminate"
        return not member.protected_from_scale_in or self.protected == "Refresh"

    def ignores(self, member: InstanceState) -> bool:
        """Whether it ends well though one of the old is not replaced."""
        return (
            not self.replaces_now(member)
            and (self.standby if member.lifecycle_state == "Standby" else self.protected) == "Ignore"
        )

    def surplus(self, desired: int, left: int) -> int:
        """How many more than desired there may be, while so many are left to replace: at least one, if any at all."""
        if self.max_healthy_percentage is None:
            return 0
        return min(left, max(1, math.floor(desired * (self.max_healthy_percentage - 100) / 100)))

    def may_end(self, desired: int, healthy: int) -> int:
        """How many may be ended now. At least one at a time, however small the group is."""
        least = math.ceil(desired * self.min_healthy_percentage / 100)
        if self.max_healthy_percentage is None:
            least = min(least, desired - 1)
        return max(0, healthy - least)

    def end(self, status: str) -> None:
        """Have it ended."""
        self.status, self.ended = status, datetime.now(UTC)

    def described(self, group: str) -> dict[str, Any]:
        """As DescribeInstanceRefreshes has it."""
        return {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": group,
            "Status": self.status,
            "StartTime": self.started.isoformat(),
            **({"EndTime": self.ended.isoformat()} if self.ended else {}),
            "InstancesToUpdate": len(self.old),
        }


class Refreshes:
    """All refreshes, by group."""

    def __init__(self, matching: Callable[[FakeAutoScalingGroup], set[str]]) -> None:
        """Replace all members but those that `matching` names, if a refresh is to skip what matches."""
        self._matching = matching
        self._of: dict[str, list[Refresh]] = {}

    def install(self) -> None:
        """Let moto's Auto Scaling start, cancel and describe them."""

        @replaces(AutoScalingResponse, "start_instance_refresh")
        def start_instance_refresh(_: Any, response: AutoScalingResponse) -> ActionResult:
            refuse_refresh(response)
            group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]
            return ActionResult({"InstanceRefreshId": self._start(group, response._get_param("Preferences") or {})})

        @replaces(AutoScalingResponse, "cancel_instance_refresh")
        def cancel_instance_refresh(_: Any, response: AutoScalingResponse) -> ActionResult:
            refresh = self.active(response._get_param("AutoScalingGroupName"))
            if refresh is None:
                message = "There is no active instance refresh"
                raise _NotFoundError(message)
            refresh.end("Cancelled")
            return ActionResult({"InstanceRefreshId": refresh.id})

        @replaces(AutoScalingResponse, "describe_instance_refreshes")
        def describe_instance_refreshes(_: Any, response: AutoScalingResponse) -> ActionResult:
            name = response._get_param("AutoScalingGroupName")
            found = [refresh.described(name) for refresh in reversed(self._of.get(name, []))]
            return ActionResult({"InstanceRefreshes": found[: response._get_int_param("MaxRecords", 50)]})

    def active(self, group_name: str) -> Refresh | None:
        """The refresh that a group has now."""
        return next((one for one in self._of.get(group_name, []) if one.active), None)

    def next_to_go(self, group: FakeAutoScalingGroup) -> list[InstanceState]:
        """Whom a group's refresh ends now; end the refresh itself if its time has come."""
        refresh = self.active(group.name)
        if refresh is None:
            return []
        there = [member for member in group.instance_states if member.instance.id in refresh.old]
        staying = [member for member in there if not member.lifecycle_state.startswith("Terminating")]
        left = [member for member in staying if refresh.replaces_now(member)]
        desired = group.desired_capacity or 0
        healthy = [member for member in group.instance_states if member.lifecycle_state == "InService"]
        if len(healthy) >= desired and all(member in staying and refresh.ignores(member) for member in there):
            refresh.end("Successful")
            return []
        if left or not staying:
            refresh.waiting_since = None
        else:
            refresh.waiting_since = refresh.waiting_since or time.monotonic()
            if time.monotonic() > refresh.waiting_since + _PATIENCE_SECONDS:
                refresh.end("Failed")
        return left[: refresh.may_end(desired, len(healthy))]

    def _start(self, group: FakeAutoScalingGroup, preferences: dict[str, Any]) -> str:
        if self.active(group.name):
            message = "An instance refresh is already in progress"
            raise _InProgressError(message)
        skip = str(preferences.get("SkipMatching", "false")).lower() == "true"
        matching = self._matching(group) if skip else set()
        most = preferences.get("MaxHealthyPercentage")
        refresh = Refresh(
            min_healthy_percentage=int(preferences.get("MinHealthyPercentage", 90)),
            max_healthy_percentage=None if most is None else int(most),
            protected=preferences.get("ScaleInProtectedInstances", "Wait"),
            standby=preferences.get("StandbyInstances", "Wait"),
            old={
                member.instance.id
                for member in group.instance_states
                if not member.lifecycle_state.startswith("Terminating") and member.instance.id not in matching
            },
        )
        self._of.setdefault(group.name, []).append(refresh)
        return refresh.id
