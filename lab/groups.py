"""The life of a group's members: waiting states, lifecycle hooks that hold and time out, replacement, rolling refresh.

moto's groups hold instances that are in service at once. Here a member is in service when its host runs and its launch
hooks are completed, as in https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html.
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from .emulated_aws import refuse_refresh
from .moto_changes import replaces

if TYPE_CHECKING:
    from collections.abc import Iterable

_LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
_TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
_NOTICE_SECONDS = 6.0
"""How long after its host has begun to run Auto Scaling notices it: a fast boot may be over by then."""
_GONE = {"shutting-down", "terminated", "stopping", "stopped"}
_RESULTS = {"CONTINUE", "ABANDON"}


class _RefreshInProgressError(AutoscalingClientError):
    code = "InstanceRefreshInProgress"


class _NoRefreshError(AutoscalingClientError):
    code = "ActiveInstanceRefreshNotFound"


class _InUseError(AutoscalingClientError):
    code = "ResourceInUse"


@dataclass
class _Action:
    """A hook that holds a member."""

    heartbeat_seconds: int
    default_result: str
    deadline: float = 0.0
    result: str | None = None

    def __post_init__(self) -> None:
        self.beat()

    def beat(self) -> None:
        self.deadline = time.monotonic() + self.heartbeat_seconds

    def outcome(self) -> str | None:
        """How it was completed, or timed out; None while it holds."""
        return self.result or (self.default_result if time.monotonic() > self.deadline else None)


@dataclass
class _Refresh:
    """A rolling refresh: members of another template than the group's are replaced, few at a time.

    Without a maximum, members are ended and launched together; with one, new members are launched first.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
    """

    min_healthy_percentage: int
    max_healthy_percentage: int | None
    old: set[str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    status: str = "InProgress"

    @property
    def active(self) -> bool:
        return self.status == "InProgress"

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
        self.status, self.ended = status, datetime.now(UTC)

    def described(self, group: str) -> dict[str, Any]:
        return {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": group,
            "Status": self.status,
            "StartTime": self.started.isoformat(),
            **({"EndTime": self.ended.isoformat()} if self.ended else {}),
            "InstancesToUpdate": len(self.old),
        }


class Groups:
    """What Auto Scaling does with members of groups that moto leaves out: waiting, hooks, refreshes."""

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], _Action] = {}
        """By instance and hook."""
        self._templates: dict[str, tuple[str, str]] = {}
        """Which template, in which version, a member was launched from."""
        self._refreshes: dict[str, list[_Refresh]] = {}
        self._running_since: dict[str, float] = {}

    def install(self) -> None:  # noqa: C901 - a list of short replacements
        """Give moto's groups these members."""
        groups = self

        @replaces(FakeAutoScalingGroup, "set_desired_capacity")
        def set_desired_capacity(_: Any, group: FakeAutoScalingGroup, new_capacity: int | None) -> None:
            group.desired_capacity = group.min_size if new_capacity is None else new_capacity

        @replaces(AutoScalingBackend, "delete_auto_scaling_group")
        def delete_auto_scaling_group(_: Any, backend: AutoScalingBackend, group_name: str) -> None:
            group = backend.autoscaling_groups.get(group_name)
            if group is None:
                message = f"AutoScalingGroup name not found - AutoScalingGroup '{group_name}' not found"
                raise ValidationError(message)
            if group.instance_states:
                message = "You cannot delete an AutoScalingGroup while there are instances in it"
                raise _InUseError(message)
            del backend.autoscaling_groups[group_name]

        @replaces(AutoScalingBackend, "notify_terminate_instances")
        def notify_terminate_instances(_: Any, backend: AutoScalingBackend, instance_ids: list[str]) -> None:
            """The next round sees it."""

        @replaces(AutoScalingBackend, "terminate_instance")
        def terminate_instance(_: Any, backend: AutoScalingBackend, instance_id: str, should_decrement: bool) -> Any:  # noqa: FBT001
            group, member = _member(backend, instance_id)
            if should_decrement:
                group.desired_capacity = (group.desired_capacity or 0) - 1
            groups._begin_termination(member)
            return {
                "ActivityId": str(uuid.uuid4()),
                "AutoScalingGroupName": group.name,
                "Cause": "a user request",
                "Description": f"Terminating EC2 instance: {instance_id}",
                "StartTime": datetime.now(UTC).isoformat(),
                "StatusCode": "InProgress",
            }

        @replaces(AutoScalingResponse, "complete_lifecycle_action")
        def complete_lifecycle_action(_: Any, response: AutoScalingResponse) -> ActionResult:
            action = groups._action_named_in(response)
            result = response._get_param("LifecycleActionResult")
            if result not in _RESULTS:
                message = "The lifecycle action result must be CONTINUE or ABANDON"
                raise ValidationError(message)
            action.result = result
            return EmptyResult()

        @replaces(AutoScalingResponse, "record_lifecycle_action_heartbeat")
        def record_lifecycle_action_heartbeat(_: Any, response: AutoScalingResponse) -> ActionResult:
            groups._action_named_in(response).beat()
            return EmptyResult()

        @replaces(AutoScalingResponse, "start_instance_refresh")
        def start_instance_refresh(_: Any, response: AutoScalingResponse) -> ActionResult:
            refuse_refresh(response)
            group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]
            return ActionResult({"InstanceRefreshId": groups._start_refresh(group, response)})

        @replaces(AutoScalingResponse, "cancel_instance_refresh")
        def cancel_instance_refresh(_: Any, response: AutoScalingResponse) -> ActionResult:
            refresh = groups._active_refresh(response._get_param("AutoScalingGroupName"))
            if refresh is None:
                message = "There is no active instance refresh"
                raise _NoRefreshError(message)
            refresh.end("Cancelled")
            return ActionResult({"InstanceRefreshId": refresh.id})

        @replaces(AutoScalingResponse, "describe_instance_refreshes")
        def describe_instance_refreshes(_: Any, response: AutoScalingResponse) -> ActionResult:
            name = response._get_param("AutoScalingGroupName")
            found = [refresh.described(name) for refresh in reversed(groups._refreshes.get(name, []))]
            return ActionResult({"InstanceRefreshes": found[: response._get_int_param("MaxRecords", 50)]})

    def reconcile(self, backends: Iterable[AutoScalingBackend]) -> None:
        """Move every member on by what has happened. To be called often."""
        for backend in backends:
            for group in list(backend.autoscaling_groups.values()):
                for member in list(group.instance_states):
                    self._advance(group, member)
                self._resize(group)
                self._go_on_refreshing(group)

    def _advance(self, group: FakeAutoScalingGroup, member: InstanceState) -> None:
        state, instance = member.lifecycle_state, member.instance
        if not state.startswith("Terminating") and instance.state in _GONE:
            member.health_status = "Unhealthy"
            self._begin_termination(member)
        elif state in {"Pending", "Terminating"}:
            self._hold(group, member, _LAUNCHING if state == "Pending" else _TERMINATING)
        elif state in {"Pending:Wait", "Terminating:Wait"}:
            self._decide(member)
        elif state == "Pending:Proceed":
            member.lifecycle_state = "InService"
        elif state == "Terminating:Proceed":
            if instance.state not in {"shutting-down", "terminated"}:
                group.ec2_backend.terminate_instances([instance.id])
            if instance.state == "terminated":
                group.instance_states.remove(member)

    def _hold(self, group: FakeAutoScalingGroup, member: InstanceState, transition: str) -> None:
        """Once a launched host runs, or a member is to go: begin the actions of its hooks."""
        if member.lifecycle_state == "Pending":
            if member.instance.state != "running":
                return
            if (
                time.monotonic()
                < self._running_since.setdefault(member.instance.id, time.monotonic()) + _NOTICE_SECONDS
            ):
                return
        hooks = [
            hook
            for hook in group.autoscaling_backend.describe_lifecycle_hooks(group.name)
            if hook.lifecycle_transition == transition
        ]
        for hook in hooks:
            action = _Action(int(hook.heartbeat_timeout), hook.default_result)
            self._actions[member.instance.id, hook.name] = action
        member.lifecycle_state += ":Wait" if hooks else ":Proceed"

    def _decide(self, member: InstanceState) -> None:
        actions = {key: action for key, action in self._actions.items() if key[0] == member.instance.id}
        outcomes = [action.outcome() for action in actions.values()]
        launching = member.lifecycle_state.startswith("Pending")
        if "ABANDON" not in outcomes and None in outcomes:
            return
        for key in actions:
            del self._actions[key]
        if launching and "ABANDON" in outcomes:
            self._begin_termination(member)
        else:
            member.lifecycle_state = "Pending:Proceed" if launching else "Terminating:Proceed"

    def _begin_termination(self, member: InstanceState) -> None:
        if not member.lifecycle_state.startswith("Terminating"):
            for key in [key for key in self._actions if key[0] == member.instance.id]:
                del self._actions[key]
            member.lifecycle_state = "Terminating"

    def _resize(self, group: FakeAutoScalingGroup) -> None:
        staying, desired = _staying(group), group.desired_capacity or 0
        refresh = self._active_refresh(group.name)
        if refresh:
            desired += refresh.surplus(desired, len([one for one in staying if one.instance.id in refresh.old]))
        surplus = len(staying) - desired
        if surplus < 0 and "Launch" not in {process["ProcessName"] for process in group.suspended_processes}:
            self._launch(group, -surplus)
        if surplus > 0:
            free = [member for member in staying if not member.protected_from_scale_in]
            current = _template(group)
            free.sort(key=lambda member: self._templates.get(member.instance.id) == current)
            for member in free[:surplus]:
                self._begin_termination(member)

    def _launch(self, group: FakeAutoScalingGroup, count: int) -> None:
        before = len(group.instance_states)
        group.replace_autoscaling_group_instances(count, group.get_propagated_tags())
        for member in group.instance_states[before:]:
            member.lifecycle_state = "Pending"
            self._templates[member.instance.id] = _template(group)
            distribution = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
            if int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100)) == 0:
                member.instance.lifecycle = "spot"

    def _start_refresh(self, group: FakeAutoScalingGroup, response: AutoScalingResponse) -> str:
        if self._active_refresh(group.name):
            message = "An instance refresh is already in progress"
            raise _RefreshInProgressError(message)
        preferences = response._get_param("Preferences") or {}
        current = _template(group)
        skip = str(preferences.get("SkipMatching", "false")).lower() == "true"
        old = {
            member.instance.id
            for member in _staying(group)
            if not skip or self._templates.get(member.instance.id) != current
        }
        most = preferences.get("MaxHealthyPercentage")
        refresh = _Refresh(int(preferences.get("MinHealthyPercentage", 90)), None if most is None else int(most), old)
        self._refreshes.setdefault(group.name, []).append(refresh)
        return refresh.id

    def _active_refresh(self, group_name: str) -> _Refresh | None:
        return next((one for one in self._refreshes.get(group_name, []) if one.active), None)

    def _go_on_refreshing(self, group: FakeAutoScalingGroup) -> None:
        refresh = self._active_refresh(group.name)
        if refresh is None:
            return
        left = [member for member in _staying(group) if member.instance.id in refresh.old]
        desired = group.desired_capacity or 0
        healthy = [member for member in group.instance_states if member.lifecycle_state == "InService"]
        if not refresh.old & {member.instance.id for member in group.instance_states} and len(healthy) >= desired:
            refresh.end("Successful")
            return
        for member in left[: refresh.may_end(desired, len(healthy))]:
            self._begin_termination(member)

    def _action_named_in(self, response: AutoScalingResponse) -> _Action:
        group, hook = response._get_param("AutoScalingGroupName"), response._get_param("LifecycleHookName")
        instance_id = response._get_param("InstanceId")
        if not response.autoscaling_backend.describe_lifecycle_hooks(group, [hook]):
            message = f"No lifecycle hook found with name {hook}"
            raise ValidationError(message)
        action = self._actions.get((instance_id, hook))
        if action is None or action.result:
            message = f"No active Lifecycle Action found with instance ID {instance_id}"
            raise ValidationError(message)
        return action


def _staying(group: FakeAutoScalingGroup) -> list[InstanceState]:
    return [member for member in group.instance_states if not member.lifecycle_state.startswith("Terminating")]


def _template(group: FakeAutoScalingGroup) -> tuple[str, str]:
    template = group.ec2_launch_template
    return (template.id if template else "", str(group.launch_template_version))


def _member(backend: AutoScalingBackend, instance_id: str) -> tuple[FakeAutoScalingGroup, InstanceState]:
    for group in backend.autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance.id == instance_id:
                return group, member
    message = f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
    raise ValidationError(message)
