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

from lab import activities, faults
from lab.deployment import CREDENTIALS
from lab.groups import Groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
        image = self.ec2.register_image(Name="of the test")["ImageId"]
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
        found = self.client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
        return [(one["Description"], one["StatusCode"]) for one in found]

    def instance(self, instance_id: str) -> str:
        described = self.ec2.describe_instances(InstanceIds=[instance_id])
        return str(described["Reservations"][0]["Instances"][0]["State"]["Name"])


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fleet]:
    """A group in a moto of this process, which is as it was afterwards."""
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    for name, value in {**CREDENTIALS, "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}.items():
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


def test_an_abandoned_launch_passes_the_terminating_hook_and_is_replaced(fleet: Fleet) -> None:
    fleet.hook("ready", "LAUNCHING")
    fleet.hook("drained", "TERMINATING")
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.go_on(10)
    (name,) = fleet.states()
    fleet.complete("ready", name, "ABANDON")
    assert fleet.states()[name] == "Terminating:Wait"
    assert fleet.instance(name) == "running"
    found = fleet.client.describe_scaling_activities(AutoScalingGroupName=GROUP)["Activities"]
    (cancelled,) = [one for one in found if one["StatusCode"] == "Cancelled"]
    assert cancelled["StatusMessage"] == activities.ABANDONED
    assert cancelled["Description"] == f"Launching a new EC2 instance: {name}"
    fleet.complete("drained", name)
    assert name not in fleet.states()
    assert fleet.instance(name) == "terminated"
    assert list(fleet.states().values()) == ["Pending"]
    assert fleet.activities()[1] == (f"Terminating EC2 instance: {name}", "Successful")


@pytest.mark.parametrize("result", ["CONTINUE", "ABANDON"])
def test_a_hook_whose_time_is_over_ends_by_its_default(fleet: Fleet, result: str) -> None:
    (name,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING", result)
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.go_on(90)
    assert fleet.states() == {name: "Terminating:Wait"}
    fleet.client.record_lifecycle_action_heartbeat(
        AutoScalingGroupName=GROUP, LifecycleHookName="drained", InstanceId=name
    )
    fleet.go_on(90)
    assert fleet.states() == {name: "Terminating:Wait"}
    fleet.go_on(20)
    assert fleet.states() == {}
    with pytest.raises(ClientError, match="No active Lifecycle Action found with instance ID"):
        fleet.complete("drained", name)


def test_a_hook_that_is_completed_lets_others_run_and_one_that_is_abandoned_does_not(fleet: Fleet) -> None:
    first, second = fleet.grow(2)
    fleet.hook("drained", "TERMINATING")
    fleet.hook("stored", "TERMINATING")
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.go_on()
    fleet.complete("drained", first)
    fleet.complete("drained", second, "ABANDON")
    assert fleet.states() == {first: "Terminating:Wait"}
    fleet.complete("stored", first)
    assert fleet.states() == {}


def test_a_deleted_hook_completes_what_is_outstanding(fleet: Fleet) -> None:
    (leaving,) = fleet.grow(1)
    fleet.hook("ready", "LAUNCHING")
    fleet.hook("drained", "TERMINATING")
    fleet.client.terminate_instance_in_auto_scaling_group(InstanceId=leaving, ShouldDecrementDesiredCapacity=False)
    fleet.go_on(10)
    (coming,) = fleet.states().keys() - {leaving}
    assert fleet.states() == {leaving: "Terminating:Wait", coming: "Pending:Wait"}
    fleet.client.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="drained")
    fleet.go_on()
    assert fleet.states() == {coming: "Pending:Wait"}
    fleet.client.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="ready")
    fleet.go_on()
    assert coming not in fleet.states()


def test_with_capacity_rebalance_an_interrupted_member_leaves_by_its_hook_and_is_replaced_at_once(
    fleet: Fleet,
) -> None:
    name, other = fleet.grow(2)
    fleet.hook("drained", "TERMINATING")
    faults.interrupt(name, 120)
    fleet.go_on()
    assert fleet.states()[name] == "Terminating:Wait"
    assert len(fleet.states()) == 3
    assert fleet.described["DesiredCapacity"] == 2
    assert fleet.in_service() == {other}


def test_an_interrupted_member_goes_at_its_time_whatever_its_hook_says(fleet: Fleet) -> None:
    (name,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING")
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[name], ProtectedFromScaleIn=True)
    faults.interrupt(name, 0)
    fleet.ec2.terminate_instances(InstanceIds=[name])
    fleet.go_on()
    assert name not in fleet.states()
    with pytest.raises(ClientError, match="No active Lifecycle Action"):
        fleet.complete("drained", name)


def test_without_capacity_rebalance_a_member_is_replaced_when_it_has_gone(fleet: Fleet) -> None:
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, CapacityRebalance=False)
    (name,) = fleet.grow(1)
    faults.interrupt(name, 120)
    faults.recommend_rebalance(name)
    fleet.go_on(10)
    assert fleet.states() == {name: "InService"}
    faults.interrupt(name, 0)
    fleet.ec2.terminate_instances(InstanceIds=[name])
    fleet.go_on()
    assert list(fleet.states().values()) == ["Pending"]


def test_a_member_in_its_boot_is_not_ended_by_a_notice(fleet: Fleet) -> None:
    """A boot that is told to end abandons its launch itself."""
    fleet.hook("ready", "LAUNCHING")
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.go_on(10)
    (name,) = fleet.states()
    faults.interrupt(name, 120)
    fleet.go_on()
    assert fleet.states() == {name: "Pending:Wait"}


def test_a_recommended_member_is_ended_once_another_is_in_service(fleet: Fleet) -> None:
    members = fleet.grow(3)
    fleet.hook("ready", "LAUNCHING")
    fleet.hook("drained", "TERMINATING")
    for name in members:
        faults.recommend_rebalance(name)
    fleet.go_on(10)
    (fresh,) = fleet.states().keys() - set(members)
    assert fleet.states()[fresh] == "Pending:Wait"
    assert fleet.in_service() == set(members)
    fleet.complete("ready", fresh)
    (leaving,) = set(members) - fleet.in_service()
    assert fleet.states()[leaving] == "Terminating:Wait"
    assert fleet.described["DesiredCapacity"] == 3


def test_scale_in_takes_the_unhealthy_first_and_leaves_the_protected(fleet: Fleet) -> None:
    first, sick, protected = fleet.grow(3)
    fleet.client.suspend_processes(AutoScalingGroupName=GROUP, ScalingProcesses=["ReplaceUnhealthy"])
    fleet.client.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[protected], ProtectedFromScaleIn=True)
    fleet.go_on()
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    fleet.go_on()
    assert fleet.in_service() == {first, protected}
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    fleet.go_on()
    assert fleet.in_service() == {protected}
    words = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    assert fleet.activities()[0] == (words, "Cancelled")
    fleet.client.set_instance_protection(
        AutoScalingGroupName=GROUP, InstanceIds=[protected], ProtectedFromScaleIn=False
    )
    fleet.go_on()
    assert fleet.states() == {}


def test_a_new_maximum_lowers_the_desired_size_alone(fleet: Fleet) -> None:
    """Members that leave do not count, or a smaller maximum would be a larger desired size."""
    first, _, _ = fleet.grow(3)
    fleet.hook("drained", "TERMINATING")
    fleet.client.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    fleet.client.terminate_instance_in_auto_scaling_group(
        InstanceId=fleet.in_service().pop(), ShouldDecrementDesiredCapacity=True
    )
    fleet.go_on()
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=2)
    assert fleet.described["DesiredCapacity"] == 1
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=2)
    assert fleet.described["DesiredCapacity"] == 2


def test_protection_does_not_keep_a_member_that_is_named(fleet: Fleet) -> None:
    (name,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING")
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[name], ProtectedFromScaleIn=True)
    terminate = fleet.client.terminate_instance_in_auto_scaling_group
    activity = terminate(InstanceId=name, ShouldDecrementDesiredCapacity=False)["Activity"]
    assert activity["Description"] == f"Terminating EC2 instance: {name}"
    assert "a user request" in activity["Cause"]
    fleet.go_on()
    assert fleet.states()[name] == "Terminating:Wait"
    assert len(fleet.states()) == 2
    again = terminate(InstanceId=name, ShouldDecrementDesiredCapacity=False)["Activity"]
    assert again["ActivityId"] == activity["ActivityId"]
    with pytest.raises(ClientError, match="No managed instance found for instance ID: i-0123"):
        terminate(InstanceId="i-0123", ShouldDecrementDesiredCapacity=False)


def test_what_ec2_itself_ends_waits_at_its_hook_without_a_host(fleet: Fleet) -> None:
    """As was seen on AWS: https://github.com/cattle-ops/terraform-aws-gitlab-runner/pull/1117."""
    (name,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING")
    fleet.ec2.terminate_instances(InstanceIds=[name])
    fleet.go_on()
    assert fleet.states()[name] == "Terminating:Wait"
    assert fleet.instance(name) == "terminated"
    fleet.go_on(101)
    fleet.go_on()
    assert name not in fleet.states()


def test_an_unhealthy_member_is_replaced_after_its_grace_period_through_the_hook(fleet: Fleet) -> None:
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, HealthCheckGracePeriod=60)
    (name,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING")
    fleet.client.set_instance_health(InstanceId=name, HealthStatus="Unhealthy")
    fleet.go_on()
    assert fleet.states() == {name: "InService"}
    fleet.go_on(60)
    fleet.client.set_instance_health(InstanceId=name, HealthStatus="Unhealthy")
    fleet.go_on()
    assert fleet.states()[name] == "Terminating:Wait"
    with pytest.raises(ClientError, match="Healthy"):
        fleet.client.set_instance_health(InstanceId=name, HealthStatus="Sick")


def test_a_member_in_standby_keeps_its_host_is_not_checked_and_comes_back_past_the_hooks(fleet: Fleet) -> None:
    (name,) = fleet.grow(1)
    fleet.hook("ready", "LAUNCHING")
    fleet.hook("drained", "TERMINATING")
    members = {"AutoScalingGroupName": GROUP, "InstanceIds": [name]}
    fleet.client.enter_standby(**members, ShouldDecrementDesiredCapacity=True)
    assert fleet.groups.target(name, fleet.backends) == "Standby"
    fleet.go_on()
    assert fleet.states() == {name: "Standby"}
    assert fleet.described["DesiredCapacity"] == 0
    fleet.client.set_instance_health(InstanceId=name, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    fleet.go_on()
    assert fleet.states() == {name: "Standby"}
    fleet.client.set_instance_health(InstanceId=name, HealthStatus="Healthy")
    fleet.client.exit_standby(**members)
    fleet.go_on()
    assert fleet.states() == {name: "InService"}
    assert fleet.described["DesiredCapacity"] == 1
    with pytest.raises(ClientError, match="not in Standby"):
        fleet.client.exit_standby(**members)


def test_a_standby_that_does_not_lower_the_desired_size_is_replaced(fleet: Fleet) -> None:
    members = fleet.grow(3)
    members_of = {"AutoScalingGroupName": GROUP, "InstanceIds": members[:1]}
    fleet.client.enter_standby(**members_of, ShouldDecrementDesiredCapacity=False)
    fleet.go_on(10)
    assert fleet.described["DesiredCapacity"] == 3
    assert len(fleet.in_service()) == 3
    with pytest.raises(ClientError, match="update the AutoScalingGroup sizes"):
        fleet.client.exit_standby(**members_of)


def test_a_detached_member_keeps_its_host_and_its_metadata_say_so(fleet: Fleet) -> None:
    name, _ = fleet.grow(2)
    members = {"AutoScalingGroupName": GROUP, "InstanceIds": [name]}
    (activity,) = fleet.client.detach_instances(**members, ShouldDecrementDesiredCapacity=True)["Activities"]
    assert activity["StatusCode"] == "InProgress"
    assert fleet.states()[name] == "Detaching"
    fleet.go_on()
    assert name not in fleet.states()
    assert fleet.instance(name) == "running"
    assert fleet.groups.target(name, fleet.backends) == "Detached"
    assert fleet.groups.target("i-0123", fleet.backends) is None
    detach, lower = fleet.client.detach_instances, {"ShouldDecrementDesiredCapacity": True}
    with pytest.raises(ClientError, match="not part of Auto Scaling group"):
        detach(**members, **lower)
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=1)
    with pytest.raises(ClientError, match="update the AutoScalingGroup sizes"):
        detach(AutoScalingGroupName=GROUP, InstanceIds=list(fleet.states()), **lower)
    with pytest.raises(ClientError, match="20"):
        detach(AutoScalingGroupName=GROUP, InstanceIds=list(fleet.states()) * 21, ShouldDecrementDesiredCapacity=False)


def test_protection_is_set_for_all_or_for_none(fleet: Fleet) -> None:
    leaving, staying = fleet.grow(2)
    fleet.hook("drained", "TERMINATING")
    fleet.client.terminate_instance_in_auto_scaling_group(InstanceId=leaving, ShouldDecrementDesiredCapacity=True)
    fleet.go_on()
    protect = fleet.client.set_instance_protection
    arguments = {"AutoScalingGroupName": GROUP, "ProtectedFromScaleIn": True}
    with pytest.raises(ClientError, match=f"{leaving} is not in InService or EnteringStandby or Standby"):
        protect(**arguments, InstanceIds=[staying, leaving])
    with pytest.raises(ClientError, match="not part of Auto Scaling group"):
        protect(**arguments, InstanceIds=[staying, "i-0123"])
    with pytest.raises(ClientError, match="50"):
        protect(**arguments, InstanceIds=[staying] * 51)
    assert not any(one["ProtectedFromScaleIn"] for one in fleet.described["Instances"])
    protect(**arguments, InstanceIds=[staying])
    assert [one["InstanceId"] for one in fleet.described["Instances"] if one["ProtectedFromScaleIn"]] == [staying]


@pytest.mark.parametrize(
    ("choice", "seconds", "status"),
    [
        ("Refresh", 60, "Successful"),
        ("Ignore", 60, "Successful"),
        ("Wait", 3000, "InProgress"),
        ("Wait", 4000, "Failed"),
    ],
)
def test_a_refresh_replaces_protected_members_waits_for_them_or_leaves_them(
    fleet: Fleet, choice: str, seconds: float, status: str
) -> None:
    protected, free = fleet.grow(2)
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[protected], ProtectedFromScaleIn=True)
    preferences = {"MinHealthyPercentage": 50, "ScaleInProtectedInstances": choice}
    fleet.client.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences=preferences)
    fleet.go_on(60)
    fleet.go_on(seconds)
    (refresh,) = fleet.client.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    assert refresh["Status"] == status
    assert len(fleet.in_service()) == 2
    assert free not in fleet.states()
    assert (protected not in fleet.states()) == (choice == "Refresh")


def test_a_refresh_goes_by_the_terminating_hook(fleet: Fleet) -> None:
    (old,) = fleet.grow(1)
    fleet.hook("drained", "TERMINATING")
    preferences = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110}
    fleet.client.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences=preferences)
    fleet.go_on(20)
    assert fleet.states()[old] == "Terminating:Wait"
    assert len(fleet.in_service()) == 1
    fleet.complete("drained", old)
    (refresh,) = fleet.client.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    assert refresh["Status"] == "Successful"


def test_a_group_that_is_deleted_by_force_goes_with_its_instances_past_the_hooks(fleet: Fleet) -> None:
    name, _ = fleet.grow(2)
    fleet.hook("drained", "TERMINATING")
    with pytest.raises(ClientError, match="while there are instances in it"):
        fleet.client.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
    fleet.client.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    fleet.go_on()
    assert fleet.client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"] == []
    assert fleet.instance(name) == "terminated"
    assert fleet.client.describe_lifecycle_hooks(AutoScalingGroupName=GROUP)["LifecycleHooks"] == []


def test_terraforms_way_to_delete_a_group_waits_for_no_hook(fleet: Fleet) -> None:
    """The hook first, then no members, then the group."""
    fleet.grow(2)
    fleet.hook("drained", "TERMINATING")
    fleet.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=1)
    fleet.go_on()
    assert sorted(fleet.states().values()) == ["InService", "Terminating:Wait"]
    fleet.client.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="drained")
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=0, MaxSize=0, DesiredCapacity=0)
    fleet.go_on()
    assert fleet.states() == {}
    fleet.client.delete_auto_scaling_group(AutoScalingGroupName=GROUP)


def policy(fleet: Fleet, adjustment: int, cooldown: int = 300) -> Callable[..., None]:
    """A simple policy that changes the size by so much; what executes it."""
    named = {"AutoScalingGroupName": GROUP, "PolicyName": f"by {adjustment}"}
    fleet.client.put_scaling_policy(
        **named, AdjustmentType="ChangeInCapacity", ScalingAdjustment=adjustment, Cooldown=cooldown
    )

    def execute(**more: object) -> None:
        fleet.client.execute_policy(**{**named, **more})
        fleet.go_on()

    return execute


def test_a_policy_takes_idle_members_and_leaves_the_protected_ones(fleet: Fleet) -> None:
    first, idle, last = fleet.grow(3)
    fleet.client.set_instance_protection(
        AutoScalingGroupName=GROUP, InstanceIds=[first, last], ProtectedFromScaleIn=True
    )
    policy(fleet, -1)()
    assert fleet.described["DesiredCapacity"] == 2
    assert fleet.in_service() == {first, last}
    assert (f"Terminating EC2 instance: {idle}", "Successful") in fleet.activities()


def test_if_all_are_protected_a_policy_lowers_the_desired_size_and_who_is_free_first_goes(fleet: Fleet) -> None:
    """https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html."""
    members = fleet.grow(3)
    group = {"AutoScalingGroupName": GROUP}
    fleet.client.set_instance_protection(**group, InstanceIds=members, ProtectedFromScaleIn=True)
    policy(fleet, -1)()
    fleet.go_on(100)
    assert fleet.described["DesiredCapacity"] == 2
    assert fleet.in_service() == set(members)
    words = "Could not scale to desired capacity because all remaining instances are protected from scale-in."
    assert fleet.activities().count((words, "Cancelled")) == 1
    fleet.client.set_instance_protection(**group, InstanceIds=members[1:], ProtectedFromScaleIn=False)
    fleet.go_on()
    assert members[0] in fleet.in_service()
    assert len(fleet.states()) == 2


def test_a_policy_stays_within_the_groups_bounds(fleet: Fleet) -> None:
    fleet.grow(2)
    policy(fleet, 2)()
    assert fleet.described["DesiredCapacity"] == 3
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MinSize=2)
    policy(fleet, -2)()
    assert fleet.described["DesiredCapacity"] == 2


def test_a_policy_that_honours_the_cooldown_waits_for_what_goes_on_and_then_for_so_long(fleet: Fleet) -> None:
    fleet.grow(3)
    fleet.hook("drained", "TERMINATING")
    scale_in = policy(fleet, -1, cooldown=60)
    scale_in(HonorCooldown=True)
    (leaving,) = fleet.states().keys() - fleet.in_service()
    fleet.go_on(90)
    with pytest.raises(ClientError, match="ScalingActivityInProgress"):
        scale_in(HonorCooldown=True)
    fleet.complete("drained", leaving)
    fleet.go_on(50)
    with pytest.raises(ClientError, match="ScalingActivityInProgress"):
        scale_in(HonorCooldown=True)
    fleet.go_on(20)
    scale_in(HonorCooldown=True)
    assert fleet.described["DesiredCapacity"] == 1


def test_a_policy_that_is_executed_by_hand_waits_for_no_cooldown(fleet: Fleet) -> None:
    fleet.grow(3)
    scale_in = policy(fleet, -1)
    scale_in()
    scale_in()
    assert fleet.described["DesiredCapacity"] == 1


def test_a_policy_is_named_with_its_group(fleet: Fleet) -> None:
    scale_in = policy(fleet, -1)
    for other in ({"PolicyName": "by -2"}, {"AutoScalingGroupName": "others"}):
        with pytest.raises(ClientError, match="No scaling policy found"):
            scale_in(**other)
    (described,) = fleet.client.describe_policies(AutoScalingGroupName=GROUP)["ScalingPolicies"]
    scale_in(PolicyName=described["PolicyARN"])


def test_a_policy_of_another_kind_is_not_taken_for_one_that_does_nothing(fleet: Fleet) -> None:
    named = {"AutoScalingGroupName": GROUP, "PolicyName": "steps"}
    steps = [{"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1}]
    fleet.client.put_scaling_policy(
        **named, PolicyType="StepScaling", AdjustmentType="ChangeInCapacity", StepAdjustments=steps
    )
    with pytest.raises(ClientError, match="StepScaling"):
        fleet.client.execute_policy(**named)


def test_an_unhealthy_member_is_replaced_though_it_is_protected_and_no_member_is_told_so_that_is_none(
    fleet: Fleet,
) -> None:
    sick, _ = fleet.grow(2)
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[sick], ProtectedFromScaleIn=True)
    tell = fleet.client.set_instance_health
    tell(InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    fleet.go_on(10)
    assert sick not in fleet.states()
    assert len(fleet.in_service()) == 2
    assert fleet.described["DesiredCapacity"] == 2
    with pytest.raises(ClientError, match=f"No managed instance found for instance ID: {sick}"):
        tell(InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)


def test_protection_of_a_group_that_is_gone_is_refused(fleet: Fleet) -> None:
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        fleet.client.set_instance_protection(AutoScalingGroupName="gone", InstanceIds=[], ProtectedFromScaleIn=True)
