"""Members of groups as the lab has them, without hosts: what holds them, what lets them go, what is told of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from lab import activities, faults, groups, refreshes
from lab.deployment import CREDENTIALS
from lab.groups import Groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP = "workers"
REGION = "us-east-1"


class Fleet:
    """A group whose instances run at once, its time in the test's hands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.groups = Groups()
        self.groups.install()
        self.client = boto3.client("autoscaling", region_name=REGION)
        self.ec2 = boto3.client("ec2", region_name=REGION)
        image = self.ec2.describe_images()["Images"][0]["ImageId"]
        self.ec2.create_launch_template(
            LaunchTemplateName=GROUP, LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"}
        )
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=GROUP,
            MinSize=0,
            MaxSize=3,
            DesiredCapacity=0,
            CapacityRebalance=True,
            VPCZoneIdentifier=self.ec2.describe_subnets()["Subnets"][0]["SubnetId"],
            LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"},
        )

    @property
    def backends(self) -> list[AutoScalingBackend]:
        return list(autoscaling_backends[DEFAULT_ACCOUNT_ID].values())

    def hook(self, name: str, transition: str, default: str = "CONTINUE") -> None:
        """Hold members at a transition for 100 s."""
        self.client.put_lifecycle_hook(
            AutoScalingGroupName=GROUP,
            LifecycleHookName=name,
            LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}",
            HeartbeatTimeout=100,
            DefaultResult=default,
        )

    def grow(self, size: int) -> list[str]:
        """Have so many members in service."""
        self.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=size)
        self.go_on(10)
        assert self.in_service() == set(self.states())
        return list(self.states())

    def go_on(self, seconds: float = 1.0) -> None:
        """Let time go by, with enough rounds for all that follows of it."""
        for _ in range(8):
            self.now += seconds / 8
            self.groups.reconcile(self.backends)

    def complete(self, hook: str, instance_id: str, result: str = "CONTINUE") -> None:
        named = {"AutoScalingGroupName": GROUP, "LifecycleHookName": hook, "InstanceId": instance_id}
        self.client.complete_lifecycle_action(**named, LifecycleActionResult=result)
        self.go_on()

    @property
    def described(self) -> dict[str, Any]:
        (group,) = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        return dict(group)

    def states(self) -> dict[str, str]:
        return {one["InstanceId"]: one["LifecycleState"] for one in self.described["Instances"]}

    def in_service(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "InService"}

    def activities(self) -> list[tuple[str, str]]:
        """Description and status of each, the newest first."""
        told = self.client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
        return [(one["Description"], one["StatusCode"]) for one in told]

    def instance(self, instance_id: str) -> str:
        described = self.ec2.describe_instances(InstanceIds=[instance_id])
        return str(described["Reservations"][0]["Instances"][0]["State"]["Name"])


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fleet]:
    """A group in a moto of this process, which is as it was afterwards."""
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    changed = (AutoScalingBackend, AutoScalingResponse, FakeAutoScalingGroup)
    before = {owner: dict(vars(owner)) for owner in changed}
    activities.let_launches_fail()
    try:
        with mock_aws():
            yield Fleet(monkeypatch)
    finally:
        for owner, attributes in before.items():
            for name, value in vars(owner).copy().items():
                if name not in attributes:
                    delattr(owner, name)
                elif value is not attributes[name]:
                    setattr(owner, name, attributes[name])


def test_a_member_is_in_service_once_its_launch_is_completed(fleet: Fleet) -> None:
    fleet.hook("ready", "LAUNCHING")
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.go_on()
    assert list(fleet.states().values()) == ["Pending"]
    fleet.go_on(10)
    assert list(fleet.states().values()) == ["Pending:Wait"]
    (name,) = fleet.states()
    assert fleet.activities() == [(f"Launching a new EC2 instance: {name}", "MidLifecycleAction")]
    fleet.complete("ready", name)
    assert fleet.states() == {name: "InService"}
    assert fleet.activities() == [(f"Launching a new EC2 instance: {name}", "Successful")]
