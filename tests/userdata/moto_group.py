"""A group of workers in an AWS of moto's, as the programs of the master see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import spark_state
import worker_group

from tests.userdata.conftest import client

if TYPE_CHECKING:
    import pytest

GROUP = "demo-spark-workers"
IMAGE = "ami-12c6146b"  # any will do


def make_group(size: int, types: tuple[str, ...] = ("m6i.xlarge", "m5.xlarge")) -> None:
    ec2 = client("ec2")

    template = ec2.create_launch_template(
        LaunchTemplateName="workers", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": types[0]}
    )["LaunchTemplate"]["LaunchTemplateId"]
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=2000,
        DesiredCapacity=size,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        MixedInstancesPolicy=mixed(template, types),
    )


def mixed(template: str, types: tuple[str, ...]) -> Any:
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
            "Overrides": [{"InstanceType": name} for name in types],
        }
    }


def addresses() -> list[str]:
    """The group's, as EC2 has them."""
    instances = worker_group.instances(GROUP).values()
    return [instance["PrivateIpAddress"] for instance in instances if instance["State"]["Name"] == "running"]


def resize(size: int) -> None:
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=size)


def with_state(monkeypatch: pytest.MonkeyPatch, state: str) -> str:
    """Give the group's first member another lifecycle state; returns its address."""
    group = worker_group.group()
    assert group
    member = group["Instances"][0]
    member["LifecycleState"] = state
    monkeypatch.setattr(worker_group, "group", lambda: group)
    address: str = worker_group.instances(GROUP)[member["InstanceId"]]["PrivateIpAddress"]
    return address


def listed(
    monkeypatch: pytest.MonkeyPatch, *workers: tuple[str, int, int], state: str = "ALIVE", used: int = 0
) -> None:
    """The master lists these: address, cores, MiB."""
    page = [
        {"host": host, "state": state, "cores": cores, "coresused": used, "memory": mib} for host, cores, mib in workers
    ]
    monkeypatch.setattr(spark_state, "read", lambda _: {"workers": page, "activeapps": []})
