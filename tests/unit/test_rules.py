"""docs/aws.md is made of these: each rule has its call, its page and its test, each call is known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab import calls, rules, service_models
from tools import tables

CHECKOUT = Path(__file__).parents[2]
KNOWN = calls.read()
NODE_CALL = re.compile(r'client\("(\w+)"\)\.(?:get_paginator\("(\w+)"\)|(\w+))')


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: f"{rule.calls[0]} {rule.argument}")
def test_a_rule_is_of_calls_that_are_made_and_is_held_or_says_why_not(rule: rules.Rule) -> None:
    assert set(rule.calls) <= KNOWN.keys()
    assert rule.page.startswith("https://")
    assert bool(rule.broken) == bool(rule.code)
    assert sum(map(bool, (rule.broken, rule.holder, rule.unheld))) == 1
    assert rule.test or rule.unheld


@pytest.mark.parametrize("test", sorted({rule.test for rule in rules.RULES if rule.test}))
def test_a_rules_test_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (CHECKOUT / file).read_text()


@pytest.mark.parametrize("operation", KNOWN)
def test_every_argument_is_one_of_the_model(operation: str) -> None:
    """Their patterns are read, too."""
    service_models.input_rules(operation, KNOWN[operation]["arguments"])


def test_what_nodes_call_is_known() -> None:
    """Every call is written down as `aws.client("...").call`, or is S3's own way to upload."""
    sources = [path.read_text() for path in CHECKOUT.glob("userdata/**/*") if path.is_file()]
    made = {
        f"{service}:{(paged or called).replace('_', '')}".lower()
        for source in sources
        for service, paged, called in NODE_CALL.findall(source)
    }
    assert "autoscaling:describeautoscalinggroups" in made
    assert made <= {operation.lower() for operation, call in KNOWN.items() if "node" in call["by"]}


def test_actions_are_of_calls_that_are_made() -> None:
    assert calls.BESIDES.keys() <= KNOWN.keys()
    assert KNOWN.keys() >= calls.EXAMPLES_OWN


def test_the_deployer_may_do_what_aws_asks_for_besides_the_calls_themselves() -> None:
    actions = set(calls.deployers_actions())
    assert {"iam:CreateServiceLinkedRole", "ssm:GetParameters", "iam:PassRole", "ec2:RunInstances"} <= actions
    assert not actions & calls.EXAMPLES_OWN


def test_the_deployer_may_have_each_service_make_its_role() -> None:
    """An alarm that reboots the master needs one of CloudWatch's, which has the name of Events."""
    statements = json.loads(tables.of_deployer().strip("`json\n"))["Statement"]
    conditions = {one["Action"]: one["Condition"]["StringEquals"] for one in statements if "Condition" in one}
    assert conditions == {
        "iam:PassRole": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]},
        "iam:CreateServiceLinkedRole": {"iam:AWSServiceName": ["autoscaling.amazonaws.com", "events.amazonaws.com"]},
    }


def test_the_deployers_policy_is_no_larger_than_a_managed_policy_may_be() -> None:
    """6,144 characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""
    page = (CHECKOUT / "docs/aws.md").read_text()
    policy = re.search(r"<!-- deployer -->\n```json\n(.*)```", page, re.DOTALL)
    assert policy
    assert len(re.sub(r"\s", "", policy[1])) <= 6144
