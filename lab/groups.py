"""The life of a group's members: waiting states, hooks, replacement, standby, interruptions, rolling refresh.

moto's groups hold instances that are in service at once. Here a member is in service when its host runs and its launch
hooks are completed, as in https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html.
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from . import activities, faults
from .lifecycle_hooks import LAUNCHING, TERMINATING, LifecycleHooks
from .moto_changes import replaces
from .refreshes import Refreshes
from .rules import health_forbids, managed, protection_forbids, sizes_forbid
from .scaling_policies import ScalingPolicies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .activities import Activity

_NOTICE_SECONDS = 6.0
"""How long after its host has begun to run Auto Scaling notices it: a fast boot may be over by then."""
_GONE = {"shutting-down", "terminated", "stopping", "stopped"}
_TARGETS = {
    **dict.fromkeys(("Pending", "Pending:Wait", "Pending:Proceed", "InService"), "InService"),
    **dict.fromkeys(("Terminating", "Terminating:Wait", "Terminating:Proceed"), "Terminated"),
    **dict.fromkeys(("EnteringStandby", "Standby"), "Standby"),
    "Detaching": "Detached",
}
_DIFFERENCE = "in response to a difference between desired and actual capacity"
_TAKEN = "an instance was taken out of service"
_HEALTH_CHECK = f"{_TAKEN} in response to an EC2 health check indicating it has been terminated or stopped"
_NOTICE = f"{_TAKEN} in response to an EC2 Spot Instance interruption notice"
_REBALANCE = f"{_TAKEN} in response to an EC2 instance rebalance recommendation"
_REPORTED = f"{_TAKEN} in response to a user health-check"
_REFRESH = f"{_TAKEN} in response to an instance refresh"
_ABANDONED = f"{_TAKEN} in response to a launch that was not completed"
_SHRUNK = f"{_TAKEN} {_DIFFERENCE}"
_ALL_PROTECTED = "Could not scale to desired capacity because all remaining instances are protected from scale-in."


class _InUseError(AutoscalingClientError):
    code = "ResourceInUse"


class Groups:
    """What Auto Scaling does with members of groups that moto leaves out."""

    def __init__(self) -> None:
        self._hooks = LifecycleHooks()
        self._refreshes = Refreshes(self._of_the_groups_template)
        self._policies = ScalingPolicies()
        self._templates: dict[str, tuple[str, str]] = {}
        """Which template, in which version, a member was launched from."""
        self._running_since: dict[str, float] = {}
        self._in_service_since: dict[str, float] = {}
        self._detached: set[str] = set()
        self._taken_back: set[str] = set()
        """Instances whose time of interruption is over."""
        self._forced: set[FakeAutoScalingGroup] = set()
        """Groups that go as soon as their instances have gone."""
        self._told_of_protection: dict[str, int] = {}
        """By group, of which desired size it was said that protection prevents it."""

    def install(self) -> None:
        """Give moto's groups these members."""
        self._hooks.install()
        self._refreshes.install()
        self._policies.install()
        self._install_sizes()
        self._install_deletion()
        self._install_ways_to_leave()
        self._install_standby()
        self._install_health()

    def target(self, instance_id: str, backends: Iterable[AutoScalingBackend]) -> str | None:
        """Where a group is taking an instance; None if it is in no group, and was never detached from one.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html
        """
        for backend in backends:
            for member in backend.describe_auto_scaling_instances([instance_id]):
                return _TARGETS[member.lifecycle_state]
        return "Detached" if instance_id in self._detached else None

    def reconcile(self, backends: Iterable[AutoScalingBackend]) -> None:
        """Move every member on by what has happened. To be called often."""
        now = faults.read()
        self._taken_back |= {name for name, at in now.interruptions.items() if time.time() >= at}
        for backend in backends:
            for group in list(backend.autoscaling_groups.values()):
                if group in self._forced:
                    self._go_on_deleting(group)
                    continue
                for member in list(group.instance_states):
                    self._advance(group, member, noticed=member.instance.id in now.interruptions)
                self._resize(group, now.recommendations.keys())
                self._policies.reconcile(group)
                for member in self._refreshes.next_to_go(group):
                    self._begin_termination(group, member, _REFRESH)

    def _install_sizes(self) -> None:
        @replaces(FakeAutoScalingGroup, "set_desired_capacity")
        def set_desired_capacity(_: Any, group: FakeAutoScalingGroup, new_capacity: int | None) -> None:
            group.desired_capacity = group.min_size if new_capacity is None else new_capacity

        @replaces(FakeAutoScalingGroup, "update")
        def update(update_group: Any, group: FakeAutoScalingGroup, *args: Any, **kwargs: Any) -> None:
            """Moto's fault: bring the desired size within new bounds; moto compares all members with them."""
            desired = kwargs["desired_capacity"]
            if desired is None:
                least, most = kwargs["min_size"], kwargs["max_size"]
                desired = group.desired_capacity or 0
                desired = desired if least is None else max(desired, least)
                desired = desired if most is None else min(desired, most)
            update_group(group, *args, **{**kwargs, "desired_capacity": desired})

        @replaces(AutoScalingResponse, "update_auto_scaling_group")
        def update_auto_scaling_group(update_all: Any, response: AutoScalingResponse) -> ActionResult:
            """Moto's fault: take a changed capacity rebalance, too."""
            result: ActionResult = update_all(response)
            group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]
            group.capacity_rebalance = response._get_bool_param("CapacityRebalance", group.capacity_rebalance)
            return result

    def _install_deletion(self) -> None:
        @replaces(AutoScalingResponse, "delete_auto_scaling_group")
        def delete_auto_scaling_group(_: Any, response: AutoScalingResponse) -> ActionResult:
            backend, name = response.autoscaling_backend, response._get_param("AutoScalingGroupName")
            group = backend.autoscaling_groups.get(name)
            if group is None:
                message = f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"
                raise ValidationError(message)
            if group.instance_states and not response._get_bool_param("ForceDelete", False):  # noqa: FBT003 - moto's
                message = "You cannot delete an AutoScalingGroup while there are instances in it"
                raise _InUseError(message)
            self._forced.add(group)
            group.status = "Delete in progress"  # type: ignore[attr-defined]
            self._go_on_deleting(group)
            return EmptyResult()

        @replaces(AutoScalingBackend, "notify_terminate_instances")
        def notify_terminate_instances(_: Any, backend: AutoScalingBackend, instance_ids: list[str]) -> None:
            """The next round sees it."""

    def _install_ways_to_leave(self) -> None:
        @replaces(AutoScalingBackend, "terminate_instance")
        def terminate_instance(_: Any, backend: AutoScalingBackend, instance_id: str, should_decrement: bool) -> Any:  # noqa: FBT001
            group, member = managed(backend, instance_id)
            cause = f"instance {instance_id} was taken out of service in response to a user request"
            if should_decrement:
                cause += _decrement(group, 1)
            activity = self._begin_termination(group, member, cause) or activities.of(group, instance_id)
            return activity.described() if activity else None

        @replaces(AutoScalingBackend, "detach_instances")
        def detach_instances(
            _: Any,
            backend: AutoScalingBackend,
            group_name: str,
            instance_ids: list[str],
            should_decrement: bool,  # noqa: FBT001
        ) -> list[dict[str, Any]]:
            what, why = "Detaching EC2 instance", "was detached in response to a user request"
            members = _members_named(backend, group_name, instance_ids, most=20)
            if should_decrement:
                _refuse(sizes_forbid(backend.autoscaling_groups[group_name], -len(members), "detach"))
            return _set_aside(members, "Detaching", what, why, decrement=should_decrement)

    def _install_standby(self) -> None:
        @replaces(AutoScalingBackend, "enter_standby_instances")
        def enter_standby_instances(
            _: Any,
            backend: AutoScalingBackend,
            group_name: str,
            instance_ids: list[str],
            should_decrement: bool,  # noqa: FBT001
        ) -> list[dict[str, Any]]:
            what, why = "Moving EC2 instance to Standby", "was moved to standby in response to a user request"
            members = _members_named(backend, group_name, instance_ids, most=20)
            return _set_aside(members, "EnteringStandby", what, why, decrement=should_decrement)

        @replaces(AutoScalingBackend, "exit_standby_instances")
        def exit_standby_instances(
            _: Any, backend: AutoScalingBackend, group_name: str, instance_ids: list[str]
        ) -> list[dict[str, Any]]:
            """Past the launch hooks: https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks.html."""
            group = backend.autoscaling_groups[group_name]
            members = _members_named(backend, group_name, instance_ids, most=20)
            for member in members:
                _refuse_if(member.lifecycle_state != "Standby", f"The instance {member.instance.id} is not in Standby.")
            _refuse(sizes_forbid(group, len(members), "move out of standby"))
            group.desired_capacity = (group.desired_capacity or 0) + len(members)
            done = []
            for member in members:
                member.lifecycle_state = "Pending:Proceed"
                name = member.instance.id
                cause = f"instance {name} was moved out of standby in response to a user request"
                done.append(activities.begin(group, f"Moving EC2 instance out of Standby: {name}", cause, name))
            return [activity.described() for activity in done]

    def _install_health(self) -> None:
        @replaces(AutoScalingBackend, "set_instance_protection")
        def set_instance_protection(
            protect: Any,
            backend: AutoScalingBackend,
            group_name: str,
            instance_ids: list[str],
            protected_from_scale_in: bool,  # noqa: FBT001
        ) -> None:
            _refuse(protection_forbids(_group_named(backend, group_name), instance_ids))
            protect(backend, group_name, instance_ids, protected_from_scale_in)

        @replaces(AutoScalingResponse, "set_instance_health")
        def set_instance_health(_: Any, response: AutoScalingResponse) -> ActionResult:
            """Within the group's grace period of a member nothing comes of it, unless it is not to be respected.

            https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html
            """
            instance_id, health = response._get_param("InstanceId"), response._get_param("HealthStatus")
            group, member = managed(response.autoscaling_backend, instance_id)
            _refuse(health_forbids(health))
            respect = response._get_bool_param("ShouldRespectGracePeriod", True)  # noqa: FBT003 - moto's
            since = self._in_service_since.get(instance_id, math.inf)
            spared = health == "Unhealthy" and respect
            if not spared or time.monotonic() >= since + int(group.health_check_grace_period or 0):
                member.health_status = health
            return EmptyResult()

    def _advance(self, group: FakeAutoScalingGroup, member: InstanceState, *, noticed: bool) -> None:
        state, instance = member.lifecycle_state, member.instance
        if instance.id in self._taken_back:
            # No hook holds what has no host any longer.
            member.health_status = "Unhealthy"
            self._begin_termination(group, member, _HEALTH_CHECK)
            if instance.state == "terminated":
                self._remove(group, member)
        elif noticed and group.capacity_rebalance and state == "InService":
            self._begin_termination(group, member, _NOTICE)
        elif state == "InService" and not self._checked(group, member):
            self._begin_termination(group, member, _HEALTH_CHECK if instance.state in _GONE else _REPORTED)
        elif state.startswith("Pending") and instance.state in _GONE:
            self._begin_termination(group, member, _HEALTH_CHECK)
        else:
            self._step(group, member)

    def _checked(self, group: FakeAutoScalingGroup, member: InstanceState) -> bool:
        """Whether a member may stay: those in standby are not checked."""
        if member.instance.state in _GONE and not _suspended(group, "HealthCheck"):
            member.health_status = "Unhealthy"
        replaced = not _suspended(group, "ReplaceUnhealthy", "Terminate")
        return member.health_status == "Healthy" or not replaced

    def _step(self, group: FakeAutoScalingGroup, member: InstanceState) -> None:
        """Take a member from one state to the next, if it is time."""
        instance_id = member.instance.id
        match member.lifecycle_state:
            case "Pending" if self._noticed_to_run(member):
                self._hold(group, member, LAUNCHING)
            case "Terminating":
                self._hold(group, member, TERMINATING)
            case "Pending:Wait" | "Terminating:Wait":
                self._decide(group, member)
            case "Pending:Proceed":
                self._in_service_since.setdefault(instance_id, time.monotonic())
                self._settle(group, member, "InService")
            case "EnteringStandby":
                self._settle(group, member, "Standby")
            case "Detaching":
                self._settle(group, member, "Detached")
                group.ec2_backend.delete_tags([instance_id], {ASG_NAME_TAG: group.name})
                self._detached.add(instance_id)
                self._remove(group, member)
            case "Terminating:Proceed":
                if member.instance.state not in {"shutting-down", "terminated"}:
                    group.ec2_backend.terminate_instances([instance_id])
                if member.instance.state == "terminated":
                    self._remove(group, member)

    def _noticed_to_run(self, member: InstanceState) -> bool:
        if member.instance.state != "running":
            return False
        since = self._running_since.setdefault(member.instance.id, time.monotonic())
        return time.monotonic() >= since + _NOTICE_SECONDS

    def _hold(self, group: FakeAutoScalingGroup, member: InstanceState, transition: str) -> None:
        held = self._hooks.hold(group, member.instance.id, transition)
        member.lifecycle_state += ":Wait" if held else ":Proceed"
        self._become(group, member, "MidLifecycleAction" if held else "InProgress")

    def _decide(self, group: FakeAutoScalingGroup, member: InstanceState) -> None:
        outcome, launching = self._hooks.outcome(member.instance.id), member.lifecycle_state == "Pending:Wait"
        if outcome is None:
            return
        self._hooks.release(member.instance.id)
        if launching and outcome == "ABANDON":
            self._begin_termination(group, member, _ABANDONED)
        else:
            member.lifecycle_state = "Pending:Proceed" if launching else "Terminating:Proceed"
            self._become(group, member, "InProgress")

    def _begin_termination(self, group: FakeAutoScalingGroup, member: InstanceState, cause: str) -> Activity | None:
        """Have a member leave by the terminating hooks; None if it leaves already."""
        if member.lifecycle_state.startswith("Terminating"):
            return None
        instance_id = member.instance.id
        self._hooks.release(instance_id)
        if begun := activities.of(group, instance_id):
            begun.become("Cancelled", activities.ABANDONED if cause == _ABANDONED else "")
        member.lifecycle_state = "Terminating"
        return activities.begin(group, f"Terminating EC2 instance: {instance_id}", cause, instance_id)

    def _settle(self, group: FakeAutoScalingGroup, member: InstanceState, state: str) -> None:
        member.lifecycle_state = state
        self._become(group, member, "Successful")

    def _become(self, group: FakeAutoScalingGroup, member: InstanceState, status: str) -> None:
        if activity := activities.of(group, member.instance.id):
            activity.become(status)

    def _remove(self, group: FakeAutoScalingGroup, member: InstanceState) -> None:
        self._become(group, member, "Successful")
        self._hooks.release(member.instance.id)
        group.instance_states.remove(member)

    def _resize(self, group: FakeAutoScalingGroup, recommended: Iterable[str]) -> None:
        counted, desired = _counted(group), group.desired_capacity or 0
        at_risk = self._at_risk(group, counted, set(recommended))
        most = desired + self._in_place_of_old(group, counted)
        most += min(len(at_risk), max(0, (group.max_size or 0) + max(1, desired // 10) - desired))
        surplus = len(counted) - most
        in_service = [member for member in counted if member.lifecycle_state == "InService"]
        if surplus < 0 and not _suspended(group, "Launch"):
            self._launch(group, -surplus)
        elif surplus > 0 and not _suspended(group, "Terminate"):
            self._shrink(group, counted, surplus)
        elif not _suspended(group, "Terminate"):
            for member in at_risk[: max(0, len(in_service) - desired)]:
                self._begin_termination(group, member, _REBALANCE)
        if surplus <= 0:
            self._told_of_protection.pop(group.name, None)

    def _at_risk(
        self, group: FakeAutoScalingGroup, counted: list[InstanceState], recommended: set[str]
    ) -> list[InstanceState]:
        """Members that are replaced because EC2 is likely to take them back: one is launched first.

        For them the group may have more members than its maximum: 10 % of its desired size, here at least one.
        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-capacity-rebalancing.html
        """
        if not group.capacity_rebalance:
            return []
        return [one for one in counted if one.instance.id in recommended and one.lifecycle_state == "InService"]

    def _in_place_of_old(self, group: FakeAutoScalingGroup, counted: list[InstanceState]) -> int:
        """How many more members there are while a refresh replaces others."""
        refresh = self._refreshes.active(group.name)
        if refresh is None:
            return 0
        return refresh.surplus(group.desired_capacity or 0, len([one for one in counted if refresh.replaces_now(one)]))

    def _shrink(self, group: FakeAutoScalingGroup, counted: list[InstanceState], surplus: int) -> None:
        """Choose who goes: the unhealthy, then members of an older template.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-termination-policies.html
        """
        free = [member for member in counted if not member.protected_from_scale_in]
        current = _template(group)
        free.sort(
            key=lambda one: (one.health_status == "Healthy", self._templates.get(one.instance.id) == current),
        )
        for member in free[:surplus]:
            self._begin_termination(group, member, _SHRUNK)
        desired = group.desired_capacity or 0
        if not free and self._told_of_protection.get(group.name) != desired:
            self._told_of_protection[group.name] = desired
            activities.begin(group, _ALL_PROTECTED, _SHRUNK).become("Cancelled", _ALL_PROTECTED)

    def _launch(self, group: FakeAutoScalingGroup, count: int) -> None:
        before = len(group.instance_states)
        group.replace_autoscaling_group_instances(count, group.get_propagated_tags())
        for member in group.instance_states[before:]:
            instance_id = member.instance.id
            member.lifecycle_state = "Pending"
            self._templates[instance_id] = _template(group)
            distribution = (group.mixed_instances_policy or {}).get("InstancesDistribution", {})
            if int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100)) == 0:
                member.instance.lifecycle = "spot"
            cause = f"an instance was started {_DIFFERENCE}"
            activities.begin(group, f"Launching a new EC2 instance: {instance_id}", cause, instance_id)

    def _of_the_groups_template(self, group: FakeAutoScalingGroup) -> set[str]:
        current = _template(group)
        return {one.instance.id for one in group.instance_states if self._templates.get(one.instance.id) == current}

    def _go_on_deleting(self, group: FakeAutoScalingGroup) -> None:
        """End a group's instances past all hooks, then the group.

        https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteAutoScalingGroup.html
        """
        backend = group.autoscaling_backend
        for member in list(group.instance_states):
            self._begin_termination(group, member, "the group was deleted by a user request")
            member.lifecycle_state = "Terminating:Proceed"
            self._step(group, member)
        if not group.instance_states:
            self._forced.discard(group)
            del backend.autoscaling_groups[group.name]
            for hook in backend.describe_lifecycle_hooks(group.name):
                backend.delete_lifecycle_hook(group.name, hook.name)


def _counted(group: FakeAutoScalingGroup) -> list[InstanceState]:
    """The members that count against the desired size."""
    return [member for member in group.instance_states if _TARGETS[member.lifecycle_state] == "InService"]


def _suspended(group: FakeAutoScalingGroup, *processes: str) -> bool:
    return any(one["ProcessName"] in processes for one in group.suspended_processes)


def _template(group: FakeAutoScalingGroup) -> tuple[str, str]:
    template = group.ec2_launch_template
    return (template.id if template else "", str(group.launch_template_version))


def _decrement(group: FakeAutoScalingGroup, count: int) -> str:
    """Lower a group's desired size; return what is said of it."""
    before = group.desired_capacity or 0
    group.desired_capacity = before - count
    return f", shrinking the capacity from {before} to {group.desired_capacity}"


def _members_named(
    backend: AutoScalingBackend, group_name: str, instance_ids: list[str], *, most: int
) -> list[InstanceState]:
    """The members that a call names; one that is not of the group, or one too many, and nothing is done."""
    _refuse_if(len(instance_ids) > most, f"A call may name {most} instances, got {len(instance_ids)}")
    there = {member.instance.id: member for member in _group_named(backend, group_name).instance_states}
    for name in instance_ids:
        _refuse_if(name not in there, f"The instance {name} is not part of Auto Scaling group {group_name}.")
    return [there[name] for name in instance_ids]


def _group_named(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
    missing = name not in backend.autoscaling_groups
    _refuse_if(missing, f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return backend.autoscaling_groups[name]


def _refuse(message: str | None) -> None:
    if message:
        raise ValidationError(message)


def _refuse_if(broken: bool, message: str) -> None:  # noqa: FBT001 - a condition
    if broken:
        raise ValidationError(message)


def _set_aside(
    members: list[InstanceState], state: str, what: str, why: str, *, decrement: bool
) -> list[dict[str, Any]]:
    """Take members out of service without an end to their instances: hooks do not hold them."""
    done = []
    for member in members:
        group, name = member.auto_scaling_group, member.instance.id
        member.lifecycle_state = state
        cause = f"instance {name} {why}{_decrement(group, 1) if decrement else ''}"
        done.append(activities.begin(group, f"{what}: {name}", cause, name))
    return [activity.described() for activity in done]
