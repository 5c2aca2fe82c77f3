"""How the group of workers changes its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from cdktf import Op, Token
from cdktf_cdktf_provider_aws.autoscaling_group import AutoscalingGroup
from cdktf_cdktf_provider_aws.autoscaling_policy import AutoscalingPolicy
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from constructs import Construct

from spark_cluster import checks, limits, plan_checks, references
from spark_cluster.identity import NodeRole
from spark_cluster.settings import NodeSettings

CPU_PERIOD_SECONDS = 60


@dataclass(frozen=True)
class Prepared:
    """What a strategy wants of the nodes.

    Attributes:
        settings: theirs: what the strategy was given, with what it changes in it.
        detailed_monitoring: whether CloudWatch gets the workers' figures each minute, which costs extra.

    Raises:
        ValueError: a value is of another type.
    """

    settings: NodeSettings
    detailed_monitoring: bool = False

    def __post_init__(self) -> None:
        """Hold both to their types."""
        example = "replace(settings, spark_defaults={…})"
        checks.instance("scaling.prepare.settings", self.settings, NodeSettings, example)
        checks.literal_flag("scaling.prepare.detailed_monitoring", self.detailed_monitoring)


@dataclass(frozen=True)
class Attached:
    """What a strategy made.

    Attributes:
        policies: the scaling policies, by what they do.
        alarms: the alarms that start them, likewise.

    Raises:
        ValueError: a value is of another type.
    """

    policies: Mapping[str, AutoscalingPolicy] = field(default_factory=dict)
    alarms: Mapping[str, CloudwatchMetricAlarm] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold both to their types."""
        checks.instance("scaling.attach.policies", self.policies, Mapping, "{'scale_out': policy}")
        checks.instance("scaling.attach.alarms", self.alarms, Mapping, "{'scale_out': alarm}")


class Scaling(Protocol):
    """A strategy of scaling.

    Attributes:
        leaves_zero: whether it can bring a group without workers back to life.
    """

    leaves_zero: ClassVar[bool]

    def prepare(self, settings: NodeSettings, *, master_role: NodeRole, group_arn: str) -> Prepared:
        """Say what the nodes need, before there are any, and let the master do its part.

        Args:
            settings: what both kinds of node are to be given. The caller's `spark_defaults` stand in it, and win over
                those that a strategy puts before them.
            master_role: what the master may do; a grant made here is there before the master.
            group_arn: the group, which need not exist yet.
        """

    def attach(
        self, scope: Construct, *, group: AutoscalingGroup, name: str, tags: Mapping[str, str]
    ) -> Attached | None:
        """Make in `scope` what scales `group`; `name` begins the names of what it makes.

        What AWS deletes with the group, such as its policies, refers to `group.id`: it is then made anew with it.

        Returns:
            What callers may want of it; `None` if nothing.
        """


@dataclass(frozen=True)
class Cpu:
    """Add workers when the group's average CPU is high, remove some when it is low.

    It reads a shuffle-bound stage as idle, takes steps of a fixed size, and cannot leave zero, since a group without
    workers has no CPU.

    Attributes:
        scale_out_above_percent: average CPU above which workers are added.
        scale_out_workers: how many are added at once.
        scale_in_below_percent: average CPU below which workers are removed.
        scale_in_workers: how many are removed at once.
        evaluation_periods: how many minutes in a row the average must be beyond the threshold, at most a day's.
        cooldown_seconds: the pause after a step, in which no other is taken; it covers a worker's boot.

    Raises:
        ValueError: a percentage is not from 1 to 100 or the two are out of order, or a count is not one that AWS takes.
    """

    scale_out_above_percent: checks.Whole = 85
    scale_out_workers: checks.Whole = 2
    scale_in_below_percent: checks.Whole = 20
    scale_in_workers: checks.Whole = 2
    evaluation_periods: checks.Whole = 2
    cooldown_seconds: checks.Whole = 300

    leaves_zero: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Hold the percentages to 1 to 100 and in order, the counts to 1 or more."""
        checks.whole("scaling.scale_out_above_percent", self.scale_out_above_percent, 1, 100)
        checks.whole("scaling.scale_in_below_percent", self.scale_in_below_percent, 1, 100)
        checks.whole("scaling.scale_out_workers", self.scale_out_workers, 1)
        checks.whole("scaling.scale_in_workers", self.scale_in_workers, 1)
        longest = limits.SHORT_ALARM_SECONDS // CPU_PERIOD_SECONDS
        checks.whole("scaling.evaluation_periods", self.evaluation_periods, 1, longest)
        checks.whole("scaling.cooldown_seconds", self.cooldown_seconds, 0)
        checks.not_above(
            "scaling.scale_in_below_percent",
            self.scale_in_below_percent,
            "scaling.scale_out_above_percent",
            self.scale_out_above_percent,
        )

    def prepare(self, settings: NodeSettings, *, master_role: NodeRole, group_arn: str) -> Prepared:  # noqa: ARG002
        """Detailed monitoring: basic has one CPU figure in five minutes, which would starve an alarm on two."""
        plan_checks.require_given(master_role.role, plan_checks.fields("scaling", self))
        return Prepared(settings, detailed_monitoring=True)

    def attach(self, scope: Construct, *, group: AutoscalingGroup, name: str, tags: Mapping[str, str]) -> Attached:
        """Two policies and the two alarms that start them: `scale_out` and `scale_in`."""
        out, high, comparison = self.scale_out_workers, self.scale_out_above_percent, "GreaterThanThreshold"
        more = self._step(scope, "scale_out", group, name, tags, adjustment=out, threshold=high, comparison=comparison)
        # A number token is a placeholder: only Terraform can negate it.
        known = checks.is_known(self.scale_in_workers)
        down = (
            -self.scale_in_workers if known else Token.as_number(Op.negate(references.operand(self.scale_in_workers)))
        )
        low, comparison = self.scale_in_below_percent, "LessThanThreshold"
        fewer = self._step(scope, "scale_in", group, name, tags, adjustment=down, threshold=low, comparison=comparison)
        steps = {"scale_out": more, "scale_in": fewer}
        return Attached({id: step[0] for id, step in steps.items()}, {id: step[1] for id, step in steps.items()})

    def _step(
        self,
        scope: Construct,
        id: str,
        group: AutoscalingGroup,
        name: str,
        tags: Mapping[str, str],
        *,
        adjustment: checks.Whole,
        threshold: checks.Whole,
        comparison: str,
    ) -> tuple[AutoscalingPolicy, CloudwatchMetricAlarm]:
        step = Construct(scope, id)
        words = id.replace("_", "-")
        policy = AutoscalingPolicy(
            step,
            "policy",
            name=f"{name}-{words}",
            # Not its name, which stays if it is replaced: AWS deletes a group's policies with it.
            autoscaling_group_name=group.id,
            policy_type="SimpleScaling",
            adjustment_type="ChangeInCapacity",
            scaling_adjustment=adjustment,
            cooldown=self.cooldown_seconds,
        )
        alarm = CloudwatchMetricAlarm(
            step,
            "alarm",
            alarm_name=f"{name}-{words}",
            alarm_description=f"Average CPU of the Spark workers {name}: {words}",
            namespace="AWS/EC2",
            metric_name="CPUUtilization",
            dimensions={"AutoScalingGroupName": group.name},
            statistic="Average",
            period=CPU_PERIOD_SECONDS,
            evaluation_periods=self.evaluation_periods,
            comparison_operator=comparison,
            threshold=threshold,
            alarm_actions=[policy.arn],
            tags=dict(tags),
        )
        return policy, alarm


@dataclass(frozen=True)
class Manual:
    """Nothing scales by itself: the group keeps the size that an operator gives it."""

    leaves_zero: ClassVar[bool] = True

    def prepare(self, settings: NodeSettings, *, master_role: NodeRole, group_arn: str) -> Prepared:  # noqa: ARG002
        """The settings as they are."""
        return Prepared(settings)

    def attach(self, scope: Construct, *, group: AutoscalingGroup, name: str, tags: Mapping[str, str]) -> None:
        """Makes nothing."""
