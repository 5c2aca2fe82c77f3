"""What the AWS API holds after a deploy: the instances to boot, and what they did to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3

from .places import AWS_ENDPOINT


@dataclass(frozen=True)
class Instance:
    """An instance, its place in the network, and the Auto Scaling group that made it, if one did."""

    id: str
    group: str | None
    address: str
    dns_name: str
    vpc_cidr: str


class Deployed:
    """The account after a deploy, seen from inside the enclosure."""

    def __init__(self, region: str) -> None:
        session = boto3.Session("lab", "lab", region_name=region)
        self._ec2 = session.client("ec2", endpoint_url=AWS_ENDPOINT)
        self._autoscaling = session.client("autoscaling", endpoint_url=AWS_ENDPOINT)
        self._s3 = session.client("s3", endpoint_url=AWS_ENDPOINT)

    def resize_groups(self, size: int) -> None:
        """Set the size of every group, as a scaling policy does."""
        for group in self._groups():
            self._autoscaling.set_desired_capacity(
                AutoScalingGroupName=group["AutoScalingGroupName"], DesiredCapacity=size
            )

    def instances(self) -> list[Instance]:
        """Return all running instances, those outside groups first."""
        cidrs = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in self._ec2.describe_vpcs()["Vpcs"]}
        groups = {
            member["InstanceId"]: group["AutoScalingGroupName"]
            for group in self._groups()
            for member in group["Instances"]
        }
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        pages = self._ec2.get_paginator("describe_instances").paginate(Filters=running)
        found = [
            Instance(
                id=one["InstanceId"],
                group=groups.get(one["InstanceId"]),
                address=one["PrivateIpAddress"],
                dns_name=one["PrivateDnsName"],
                vpc_cidr=cidrs[one["VpcId"]],
            )
            for page in pages
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
        ]
        return sorted(found, key=lambda instance: instance.group or "")

    def launch_hooks(self) -> set[tuple[str, str]]:
        """Return group and name of every hook that holds instances at launch."""
        return {
            (hook["AutoScalingGroupName"], hook["LifecycleHookName"])
            for group in self._groups()
            for hook in self._autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=group["AutoScalingGroupName"])[
                "LifecycleHooks"
            ]
            if hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        }

    def objects(self) -> dict[str, int]:
        """Return the size of every object in every bucket, by its `s3://` address."""
        return {
            f"s3://{bucket['Name']}/{one['Key']}": one["Size"]
            for bucket in self._s3.list_buckets()["Buckets"]
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"])
            for one in page.get("Contents", [])
        }

    def _groups(self) -> list[dict[str, Any]]:
        pages = self._autoscaling.get_paginator("describe_auto_scaling_groups").paginate()
        return [group for page in pages for group in page["AutoScalingGroups"]]
