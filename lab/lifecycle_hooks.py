"""Lifecycle hooks: who is held at which of them, for how long, and how that ends.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from .moto_changes import replaces

if TYPE_CHECKING:
    from moto.autoscaling.models import FakeAutoScalingGroup, LifecycleHook

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
_RESULTS = {"CONTINUE", "ABANDON"}


@dataclass
class _Action:
    """A hook that holds a member."""

    hook: LifecycleHook
    deadline: float = 0.0
    result: str | None = None

    def __post_init__(self) -> None:
        self.beat()

    def beat(self) -> None:
        self.deadline = time.monotonic() + int(self.hook.heartbeat_timeout)

    def outcome(self) -> str | None:
        """How it was completed, or timed out; None while it holds."""
        return self.result or (self.hook.default_result if time.monotonic() > self.deadline else None)


class LifecycleHooks:
    """The actions that hooks have open, by instance and hook."""

    def __init__(self) -> None:
        self._actions: dict[tuple[str, str], _Action] = {}

    def install(self) -> None:
        """Let moto's Auto Scaling complete and prolong them."""

        @replaces(AutoScalingResponse, "complete_lifecycle_action")
        def complete_lifecycle_action(_: Any, response: AutoScalingResponse) -> ActionResult:
            action = self._named_in(response)
            result = response._get_param("LifecycleActionResult")
            if result not in _RESULTS:
                message = "The lifecycle action result must be CONTINUE or ABANDON"
                raise ValidationError(message)
            action.result = result
            return EmptyResult()

        @replaces(AutoScalingResponse, "record_lifecycle_action_heartbeat")
        def record_lifecycle_action_heartbeat(_: Any, response: AutoScalingResponse) -> ActionResult:
            self._named_in(response).beat()
            return EmptyResult()

        @replaces(AutoScalingBackend, "delete_lifecycle_hook")
        def delete_lifecycle_hook(delete: Any, backend: AutoScalingBackend, as_name: str, name: str) -> None:
            """Complete what is outstanding, too.

            https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DeleteLifecycleHook.html
            """
            for action in self._actions.values():
                if (action.hook.auto_scaling_group_name, action.hook.name) == (as_name, name) and not action.result:
                    action.result = "ABANDON" if action.hook.lifecycle_transition == LAUNCHING else "CONTINUE"
            delete(backend, as_name, name)

    def hold(self, group: FakeAutoScalingGroup, instance_id: str, transition: str) -> bool:
        """Open the actions of a group's hooks for a member; return whether there are any."""
        hooks = group.autoscaling_backend.describe_lifecycle_hooks(group.name)
        held_at = [hook for hook in hooks if hook.lifecycle_transition == transition]
        self._actions.update({(instance_id, hook.name): _Action(hook) for hook in held_at})
        return bool(held_at)

    def outcome(self, instance_id: str) -> str | None:
        """How all actions of a member end together: one that is abandoned ends the others; None while one holds."""
        outcomes = {action.outcome() for (instance, _), action in self._actions.items() if instance == instance_id}
        if "ABANDON" in outcomes:
            return "ABANDON"
        return None if None in outcomes else "CONTINUE"

    def release(self, instance_id: str) -> None:
        """Forget the actions of a member."""
        for key in [key for key in self._actions if key[0] == instance_id]:
            del self._actions[key]

    def _named_in(self, response: AutoScalingResponse) -> _Action:
        group, hook = response._get_param("AutoScalingGroupName"), response._get_param("LifecycleHookName")
        instance_id = response._get_param("InstanceId")
        if not response.autoscaling_backend.describe_lifecycle_hooks(group, [hook]):
            message = f"No lifecycle hook found with name {hook}"
            raise ValidationError(message)
        action = self._actions.get((instance_id, hook))
        if action is None or action.outcome():
            message = f"No active Lifecycle Action found with instance ID {instance_id}"
            raise ValidationError(message)
        return action
