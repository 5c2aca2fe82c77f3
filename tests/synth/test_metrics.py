"""Metrics, an option: the right to send them, their namespace, and the dashboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from spark_cluster.metrics import WIDGETS
from tests.synth.test_connect import addresses

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

DASHBOARD = "spark_metrics_dashboard"


def widgets(found: Synthesized) -> list[dict[str, Any]]:
    body = json.loads(found.the("aws_cloudwatch_dashboard", DASHBOARD)["dashboard_body"])
    shown: list[dict[str, Any]] = body["widgets"]
    return shown


def test_by_default_there_is_nothing_of_them(default: Synthesized) -> None:
    assert not [address for address in addresses(default) if "metrics" in address or "dashboard" in address]
    assert "cloudwatch:PutMetricData" not in json.dumps(default.json)
    assert default.settings("master")["metrics_namespace"] == ""


def test_they_add_a_dashboard_and_a_policy_of_the_master_s(default: Synthesized, synthesize: Synthesize) -> None:
    found = synthesize(metrics=True)
    added = {f"aws_cloudwatch_dashboard.{DASHBOARD}", "aws_iam_role_policy.spark_master_role_metrics"}
    assert addresses(found) - addresses(default) == added
    assert addresses(default) <= addresses(found)


def test_the_master_may_send_them_in_the_cluster_s_own_namespace_alone(synthesize: Synthesize) -> None:
    found = synthesize(metrics=True)
    assert found.policies("master")["metrics"] == [
        {
            "Effect": "Allow",
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"cloudwatch:namespace": ["SparkCluster/demo"]}},
        }
    ]
    assert found.settings("master")["metrics_namespace"] == "SparkCluster/demo"
    policy = found.address("aws_iam_role_policy", "spark_master_role_metrics")
    assert policy in found.the("aws_instance", "spark_master_instance")["depends_on"]


def test_a_worker_knows_nothing_of_them(default: Synthesized, synthesize: Synthesize) -> None:
    found = synthesize(metrics=True)
    assert found.settings("worker") == default.settings("worker"), "whose template does not change"
    assert found.policies("worker") == default.policies("worker")


def test_the_dashboard_s_name_says_its_region(synthesize: Synthesize) -> None:
    """Dashboards are the account's: one of the same name in another region would be overwritten."""
    found = synthesize(metrics=True)
    region = f"${{{found.address('data.aws_region', 'spark_location_region')}.id}}"
    assert found.the("aws_cloudwatch_dashboard", DASHBOARD)["dashboard_name"] == f"demo-spark-{region}"
    assert {widget["properties"]["region"] for widget in widgets(found)} == {region}


def test_the_dashboard_shows_each_metric_of_the_namespace_once(synthesize: Synthesize) -> None:
    shown = [metric for widget in widgets(synthesize(metrics=True)) for metric in widget["properties"]["metrics"]]
    assert {namespace for namespace, _ in shown} == {"SparkCluster/demo"}
    names = [name for _, name in shown]
    assert sorted(names) == sorted({name for _, _, metrics in WIDGETS for name in metrics})


def test_what_is_counted_is_summed_and_what_is_measured_is_not(synthesize: Synthesize) -> None:
    statistics = {
        metric: widget["properties"]["stat"]
        for widget in widgets(synthesize(metrics=True))
        for _, metric in widget["properties"]["metrics"]
    }
    assert {metric for metric, statistic in statistics.items() if statistic == "Sum"} == {"Drains", "Interruptions"}


def test_widgets_do_not_lie_over_one_another(synthesize: Synthesize) -> None:
    corners = [(widget["x"], widget["y"]) for widget in widgets(synthesize(metrics=True))]
    assert corners == [(0, 0), (12, 0), (0, 6), (12, 6)]


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_refuses_what_is_no_answer(synthesize: Synthesize, value: object) -> None:
    with pytest.raises(ValueError, match=r"^metrics must be "):
        synthesize(metrics=value)
