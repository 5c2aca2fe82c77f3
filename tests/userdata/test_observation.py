from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import Any

import observation
import pytest
import spark_state
import worker_group

LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)
GROUP = {
    "AutoScalingGroupName": "g",
    "DesiredCapacity": 3,
    "Instances": [
        {"InstanceId": "i-1", "LifecycleState": "InService"},
        {"InstanceId": "i-2", "LifecycleState": "Pending:Wait"},
        {"InstanceId": "i-3", "LifecycleState": "InService"},
    ],
    "MixedInstancesPolicy": {
        "LaunchTemplate": {"Overrides": [{"InstanceType": "m6i.xlarge"}, {"InstanceType": "m5.xlarge"}]}
    },
}
INSTANCES = {
    name: {"PrivateIpAddress": f"10.0.0.{name[-1]}", "LaunchTime": LAUNCHED, "InstanceType": "m5.xlarge"}
    for name in ("i-1", "i-2", "i-3")
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []

    def group() -> dict[str, Any]:
        made.append("group")
        return GROUP

    def instances(name: str) -> dict[str, Any]:
        made.append(f"instances of {name}")
        return INSTANCES

    def read(host: str) -> dict[str, Any]:
        made.append(f"master at {host}")
        sizes = {"cores": 4, "memory": 13000}
        states = {"10.0.0.1": "ALIVE", "10.0.0.3": "DEAD", "10.0.0.9": "ALIVE"}
        return {"workers": [{"host": host, "state": state, **sizes} for host, state in states.items()]}

    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "instances", instances)
    monkeypatch.setattr(spark_state, "read", read)
    return made


def test_one_reading_asks_each_once(calls: list[str]) -> None:
    seen = observation.observe()
    assert sorted(calls) == ["group", "instances of g", "master at 127.0.0.1"]
    assert seen == observation.Observation(
        has_group=True,
        desired=3,
        instance_types=("m5.xlarge", "m6i.xlarge"),
        members={"10.0.0.1": LAUNCHED, "10.0.0.3": LAUNCHED},
        alive=frozenset({"10.0.0.1", "10.0.0.9"}),
        offers=frozenset({observation.Offer("m5.xlarge", 4, 13000)}),
    )


def test_a_reading_does_not_change(calls: list[str]) -> None:
    seen = observation.observe()
    assert calls
    with pytest.raises(FrozenInstanceError):
        seen.desired = 4  # type: ignore[misc]


def test_before_there_is_a_group_ec2_is_not_asked(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_group, "group", lambda: None)
    seen = observation.observe()
    assert (seen.has_group, seen.desired, dict(seen.members)) == (False, 0, {})
    assert calls == ["master at 127.0.0.1"]


def test_a_master_that_does_not_answer_is_part_of_the_reading(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(spark_state, "read", refused)
    seen = observation.observe()
    assert calls
    assert (seen.alive, seen.trouble) == (None, "ConnectionRefusedError: [Errno 111] Connection refused")
    assert set(seen.members) == {"10.0.0.1", "10.0.0.3"}


def test_what_aws_does_not_answer_is_no_reading(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> None:
        raise TimeoutError("busy")

    monkeypatch.setattr(worker_group, "group", busy)
    with pytest.raises(TimeoutError):
        observation.observe()
    assert calls == []
