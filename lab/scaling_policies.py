"""Scaling policies that are executed by their call, as an alarm does, with the cooldown that simple ones have.

moto sets the desired size that a policy says, whatever the group's bounds are and however shortly after the last one.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_ExecutePolicy.html
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from . import activities
from .moto_changes import replaces

if TYPE_CHECKING:
    from moto.autoscaling.models import FakeAutoScalingGroup, FakeScalingPolicy

_SIMPLE = "SimpleScaling"


class _InProgressError(AutoscalingClientError):
    code = "ScalingActivityInProgress"


class ScalingPolicies:
    """The groups' simple policies, and until when each group cools down after one of them."""

    def __init__(self) -> None:
        self._scaling: dict[str, float] = {}
        """By group whose members still come or go because of a policy, that policy's cooldown in seconds."""
        self._ends: dict[str, float] = {}
        """By group, when its cooldown is over."""

    def install(self) -> None:
        """Let moto's Auto Scaling execute policies."""

        @replaces(AutoScalingResponse, "execute_policy")
        def execute_policy(_: Any, response: AutoScalingResponse) -> ActionResult:
            policy = _named_in(response)
            group = response.autoscaling_backend.autoscaling_groups[policy.auto_scaling_group_name]
            if response._get_bool_param("HonorCooldown", False):  # noqa: FBT003 - moto's
                self._refuse_while_it_cools_down(group)
            before = group.desired_capacity or 0
            policy.execute()
            bounded = min(max(group.desired_capacity or 0, group.min_size or 0), group.max_size or 0)
            group.desired_capacity = bounded
            if bounded != before:
                self._scaling[group.name] = float(policy.cooldown or 0)
            return EmptyResult()

    def reconcile(self, group: FakeAutoScalingGroup) -> None:
        """Begin a group's cooldown once all that a policy has begun is over. To be called often.

        It takes effect when the last instance has come or gone:
        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scaling-cooldowns.html
        """
        if group.name in self._scaling and not activities.under_way(group):
            self._ends[group.name] = time.monotonic() + self._scaling.pop(group.name)

    def _refuse_while_it_cools_down(self, group: FakeAutoScalingGroup) -> None:
        end = math.inf if group.name in self._scaling else self._ends.get(group.name, 0.0)
        if time.monotonic() < end:
            message = f"Scaling activities of AutoScalingGroup {group.name} are in progress, or it is in a cooldown"
            raise _InProgressError(message)


def _named_in(response: AutoScalingResponse) -> FakeScalingPolicy:
    """The policy that a call names, by its name or its ARN."""
    group, name = response._get_param("AutoScalingGroupName"), response._get_param("PolicyName")
    for policy in response.autoscaling_backend.policies.values():
        if name in {policy.name, policy.arn} and group in {None, policy.auto_scaling_group_name}:
            if policy.policy_type != _SIMPLE:
                message = f"{name} is of the type {policy.policy_type}, and this Auto Scaling executes {_SIMPLE} alone"
                raise ValidationError(message)
            return policy
    message = f"No scaling policy found with name {name}"
    raise ValidationError(message)
