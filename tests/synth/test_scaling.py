from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import SparkCluster, scaling
from spark_cluster.identity import Allow
from tests.synth.conftest import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdktf_cdktf_provider_aws.autoscaling_group import AutoscalingGroup
    from constructs import Construct

    from spark_cluster.identity import NodeRole
    from spark_cluster.settings import NodeSettings
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

POLICY, ALARM = "aws_autoscaling_policy", "aws_cloudwatch_metric_alarm"
OUT, IN = "spark_workers_scaling_scale_out", "spark_workers_scaling_scale_in"


def test_alarms_and_policies_are_attributes(default_cluster: SparkCluster) -> None:
    workers = default_cluster.workers
    assert workers.scaling_policies.keys() == workers.scaling_alarms.keys() == {"scale_out", "scale_in"}
    assert workers.scaling_alarms["scale_out"].alarm_name_input == "demo-spark-workers-scale-out"
    assert workers.scaling_policies["scale_in"].name_input == "demo-spark-workers-scale-in"


def test_a_strategy_that_makes_nothing_has_none(stack: TerraformStack) -> None:
    workers = SparkCluster(stack, "spark", **REQUIRED, scaling=scaling.Manual()).workers
    assert workers.scaling_policies == workers.scaling_alarms == {}


def group(stack: Synthesized, attribute: str = "name") -> str:
    return f"${{{stack.address('aws_autoscaling_group', 'spark_workers_group')}.{attribute}}}"


def test_two_more_workers_above_85_percent(default: Synthesized) -> None:
    assert default.the(POLICY, f"{OUT}_policy") == {
        "name": "demo-spark-workers-scale-out",
        "autoscaling_group_name": group(default, "id"),
        "policy_type": "SimpleScaling",
        "adjustment_type": "ChangeInCapacity",
        "scaling_adjustment": 2,
        "cooldown": 300,
    }
    policy = default.address(POLICY, f"{OUT}_policy")
    assert default.the(ALARM, f"{OUT}_alarm") == {
        "alarm_name": "demo-spark-workers-scale-out",
        "alarm_description": "Average CPU of the Spark workers demo-spark-workers: scale-out",
        "namespace": "AWS/EC2",
        "metric_name": "CPUUtilization",
        "dimensions": {"AutoScalingGroupName": group(default)},
        "statistic": "Average",
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 85,
        "period": 60,
        "evaluation_periods": 2,
        "alarm_actions": [f"${{{policy}.arn}}"],
        "tags": {},
    }


def test_two_fewer_below_20_percent(default: Synthesized) -> None:
    policy, alarm = default.the(POLICY, f"{IN}_policy"), default.the(ALARM, f"{IN}_alarm")
    assert policy["scaling_adjustment"] == -2
    assert policy["adjustment_type"] == "ChangeInCapacity"
    assert alarm["comparison_operator"] == "LessThanThreshold"
    assert alarm["threshold"] == 20
    assert alarm["alarm_actions"] == [f"${{{default.address(POLICY, f'{IN}_policy')}.arn}}"]


def test_every_figure_is_an_argument(synthesize: Synthesize) -> None:
    stack = synthesize(
        scaling=scaling.Cpu(
            scale_out_above_percent=70,
            scale_out_workers=3,
            scale_in_below_percent=10,
            scale_in_workers=1,
            evaluation_periods=5,
            cooldown_seconds=600,
        )
    )
    assert stack.the(POLICY, f"{OUT}_policy")["scaling_adjustment"] == 3
    assert stack.the(POLICY, f"{IN}_policy")["scaling_adjustment"] == -1
    assert {body["cooldown"] for body in stack.all(POLICY).values()} == {600}
    assert stack.the(ALARM, f"{OUT}_alarm")["threshold"] == 70
    assert stack.the(ALARM, f"{IN}_alarm")["threshold"] == 10
    assert {stack.the(ALARM, f"{step}_alarm")["evaluation_periods"] for step in (OUT, IN)} == {5}


def test_every_figure_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    above, more, below, fewer, periods, pause = (
        TerraformVariable(stack, name, type="number").number_value
        for name in ("above", "more", "below", "fewer", "periods", "pause")
    )
    found = synthesize(scaling=scaling.Cpu(above, more, below, fewer, periods, pause))
    assert found.the(POLICY, f"{OUT}_policy")["scaling_adjustment"] == "${var.more}"
    assert found.the(POLICY, f"{IN}_policy")["scaling_adjustment"] == "${-try(var.fewer)}"
    assert found.the(POLICY, f"{IN}_policy")["cooldown"] == "${var.pause}"
    assert found.the(ALARM, f"{OUT}_alarm")["threshold"] == "${var.above}"
    assert found.the(ALARM, f"{IN}_alarm")["threshold"] == "${var.below}"
    assert found.the(ALARM, f"{IN}_alarm")["evaluation_periods"] == "${var.periods}"


def test_alarms_are_tagged(synthesize: Synthesize) -> None:
    for body in synthesize(tags={"team": "data"}).all(ALARM).values():
        assert body["tags"] == {"team": "data"}


def test_manual_scaling_makes_nothing(synthesize: Synthesize) -> None:
    stack = synthesize(scaling=scaling.Manual())
    assert not stack.all(POLICY)
    assert stack.all(ALARM).keys() == {"spark_master_impaired"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale_out_above_percent": 0}, "scaling.scale_out_above_percent must be from 1 to 100, got 0"),
        ({"scale_out_above_percent": 101}, "scaling.scale_out_above_percent must be from 1 to 100, got 101"),
        ({"scale_in_below_percent": 0}, "scaling.scale_in_below_percent must be from 1 to 100, got 0"),
        (
            {"scale_in_below_percent": 90},
            "scaling.scale_in_below_percent must be at most scaling.scale_out_above_percent, got 90 > 85",
        ),
        ({"scale_out_workers": 0}, "scaling.scale_out_workers must be a whole number of at least 1, got 0"),
        ({"scale_in_workers": -2}, "scaling.scale_in_workers must be a whole number of at least 1, got -2"),
        ({"evaluation_periods": 0}, "scaling.evaluation_periods must be from 1 to 1440, got 0"),
        ({"cooldown_seconds": -1}, "scaling.cooldown_seconds must be a whole number of at least 0, got -1"),
        ({"cooldown_seconds": "300"}, "scaling.cooldown_seconds must be a whole number, got '300'"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        scaling.Cpu(**arguments)
    assert str(error.value) == message


# --- a strategy of the caller's own -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    leaves_zero: ClassVar[bool] = True

    def prepare(self, settings: NodeSettings, *, master_role: NodeRole, group_arn: str) -> scaling.Prepared:
        master_role.allow("set_size", Allow(("autoscaling:SetDesiredCapacity",), (group_arn,)))
        own = {"spark.a": "the strategy's", "spark.b": "the strategy's", "spark.executor.cores": "2"}
        defaults = {**own, **settings.spark_defaults}
        return scaling.Prepared(replace(settings, spark_defaults=defaults, no_proxy=["intern.example"]))

    def attach(self, scope: Construct, *, group: AutoscalingGroup, name: str, tags: Mapping[str, str]) -> None:
        """Nothing."""


def test_a_strategy_grants_to_the_master_and_tells_the_nodes_before_there_are_any(synthesize: Synthesize) -> None:
    stack = synthesize(scaling=Own(), spark_defaults={"spark.b": "the caller's"})
    address = stack.address("aws_iam_role_policy", "spark_master_role_set_size")
    assert address in stack.graph()[stack.address("aws_instance", "spark_master_instance")]
    [statement] = json.loads(stack.the("aws_iam_role_policy", "spark_master_role_set_size")["policy"])["Statement"]
    assert statement["Resource"][0].endswith(":autoScalingGroup:*:autoScalingGroupName/demo-spark-workers")
    for role in ("master", "worker"):
        given = stack.settings(role)
        assert given["spark_defaults"] == {
            "spark.a": "the strategy's",
            "spark.b": "the caller's",
            "spark.executor.cores": "2",
        }
        assert given["executor_cores"] == 2
        assert given["no_proxy"] == ["intern.example"]
    assert stack.the("aws_launch_template")["monitoring"] == {"enabled": False}


@dataclass(frozen=True)
class Wrong(Own):
    def prepare(self, *_: object, **__: object) -> Any:
        return "as they are"


def test_what_a_strategy_wants_of_the_nodes_is_of_the_class_for_it(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError, match=r"^scaling.prepare must be an object such as Prepared\(settings\), got "):
        synthesize(scaling=Wrong())


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            scaling.Prepared,
            (None,),
            "scaling.prepare.settings must be an object such as the settings that prepare() is ",
        ),
        (scaling.Attached, (5, None), "scaling.attach.policies must be a mapping of what the strategy made, got 5"),
        (scaling.Attached, ({}, None), "scaling.attach.alarms must be a mapping of what the strategy made, got None"),
    ],
)
def test_what_a_strategy_gives_is_held_to_its_types(kind: type, values: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        kind(*values)
    assert str(error.value).startswith(message)


def test_detailed_monitoring_is_a_literal_choice(synthesize: Synthesize) -> None:
    class Strategy(scaling.Manual):
        def prepare(self, settings: NodeSettings, **_: object) -> scaling.Prepared:
            return scaling.Prepared(settings, detailed_monitoring="yes")  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"^scaling.prepare.detailed_monitoring must be a literal True or False, got "):
        synthesize(scaling=Strategy())


class Half:
    def prepare(self) -> None:
        """Too little."""

    def attach(self) -> None:
        """Too little."""


def test_a_strategy_that_misses_a_part_is_refused_by_the_parts_name(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError, match=r"scaling must have `leaves_zero`, as scaling.Cpu\(\) has, got"):
        synthesize(scaling=Half())
