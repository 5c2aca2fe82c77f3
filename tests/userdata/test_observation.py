from __future__ import annotations

import time
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import observation
import pytest
import spark_state
import worker_group

if TYPE_CHECKING:
    from pathlib import Path

LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)
GROUP = {
    "AutoScalingGroupName": "g",
    "MinSize": 1,
    "MaxSize": 9,
    "DesiredCapacity": 3,
    "Instances": [
        {"InstanceId": name, "LifecycleState": state, "HealthStatus": health, "ProtectedFromScaleIn": is_protected}
        for name, state, health, is_protected in (
            ("i-1", "InService", "Healthy", True),
            ("i-2", "Pending:Wait", "Healthy", False),
            ("i-3", "InService", "Unhealthy", False),
            ("i-4", "InService", "Healthy", False),
        )
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

    def master_seconds() -> float:
        made.append("systemd")
        return 42.0

    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "instances", instances)
    monkeypatch.setattr(spark_state, "read", read)
    monkeypatch.setattr(observation, "master_seconds", master_seconds)
    return made


def test_one_reading_asks_each_once_and_the_master_before_aws(calls: list[str]) -> None:
    seen = observation.observe()
    assert calls == ["systemd", "master at 127.0.0.1", "group", "instances of g"]
    of: Any = {"launched": LAUNCHED, "instance_type": "m5.xlarge"}
    assert seen == observation.Observation(
        has_group=True,
        min_size=1,
        max_size=9,
        desired=3,
        instance_types=("m5.xlarge", "m6i.xlarge"),
        members=(
            observation.Member("i-1", "InService", is_protected=True, address="10.0.0.1", **of),
            observation.Member("i-2", "Pending:Wait", address="10.0.0.2", **of),
            observation.Member("i-3", "InService", is_healthy=False, address="10.0.0.3", **of),
            observation.Member("i-4", "InService"),
        ),
        page=seen.page,
        master_seconds=42.0,
    )
    assert seen.alive == frozenset({"10.0.0.1", "10.0.0.9"})
    assert seen.hosts("DEAD") == {"10.0.0.3"}
    assert seen.in_service.keys() == {"10.0.0.1", "10.0.0.3"}, "of i-4 EC2 says nothing yet"
    assert seen.offers == {observation.Offer("m5.xlarge", 4, 13000)}


def test_a_reading_does_not_change(calls: list[str]) -> None:
    seen = observation.observe()
    assert calls
    with pytest.raises(FrozenInstanceError):
        seen.desired = 4  # type: ignore[misc]


def test_before_there_is_a_group_ec2_is_not_asked(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_group, "group", lambda: None)
    seen = observation.observe()
    assert (seen.has_group, seen.desired, seen.members) == (False, 0, ())
    assert calls == ["systemd", "master at 127.0.0.1"]


def test_a_master_that_does_not_answer_is_part_of_the_reading(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(spark_state, "read", refused)
    seen = observation.observe()
    assert calls
    assert (seen.alive, seen.trouble) == (None, "ConnectionRefusedError: [Errno 111] Connection refused")
    assert seen.in_service.keys() == {"10.0.0.1", "10.0.0.3"}


def test_what_aws_does_not_answer_is_no_reading(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> None:
        raise TimeoutError("busy")

    monkeypatch.setattr(worker_group, "group", busy)
    with pytest.raises(TimeoutError):
        observation.observe()
    assert calls == ["systemd", "master at 127.0.0.1"]


# Since when the master is active


def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> float | None:
    """What comes of what a systemctl says."""
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return observation.master_seconds()


def test_systemd_says_for_how_long_the_master_is_active(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    since = int((time.clock_gettime(time.CLOCK_MONOTONIC) - 100) * 1e6)
    script = f"""[ "$*" = "show --property=ActiveState --property=ActiveEnterTimestampMonotonic spark-master.service" ]
echo ActiveState=active
echo ActiveEnterTimestampMonotonic={since}"""
    seconds = shown(monkeypatch, tmp_path, script)
    assert seconds is not None
    assert 100 <= seconds < 130


@pytest.mark.parametrize(
    "script",
    [
        "echo ActiveState=activating; echo ActiveEnterTimestampMonotonic=1000000",
        "echo ActiveState=failed; echo ActiveEnterTimestampMonotonic=1000000",
        "echo ActiveState=active; echo ActiveEnterTimestampMonotonic=",
        "exit 1",
    ],
)
def test_a_master_of_which_systemd_does_not_say_it_has_no_age(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    assert shown(monkeypatch, tmp_path, script) is None


def test_without_systemd_it_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert observation.master_seconds() is None
