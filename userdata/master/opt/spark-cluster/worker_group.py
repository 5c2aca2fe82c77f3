"""What AWS says of the workers' group and its instances."""

from __future__ import annotations

from typing import Any

import aws
import settings


def group() -> dict[str, Any] | None:
    """The group as Auto Scaling has it; `None` before Terraform has made it. One call, however many members."""
    name = settings.load()["group"]
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return groups[0] if groups else None


def failed_launch(group_name: str) -> str:
    """When and why the group's last activity failed; empty if it did not."""
    newest = {"AutoScalingGroupName": group_name, "MaxRecords": 1}
    activities = aws.client("autoscaling").describe_scaling_activities(**newest)["Activities"]
    failed = [activity for activity in activities if activity["StatusCode"] == "Failed"]
    return f"{failed[0]['StartTime']:%F %T} UTC  {failed[0]['StatusMessage']}" if failed else ""


def instances(group_name: str) -> dict[str, dict[str, Any]]:
    """The group's instances by id: one call for each thousand."""
    ours = [{"Name": "tag:aws:autoscaling:groupName", "Values": [group_name]}]
    paging = {"PageSize": 1000}
    pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=ours, PaginationConfig=paging)
    return {
        instance["InstanceId"]: instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def instance_types(names: list[str]) -> list[dict[str, Any]]:
    """Cores and memory of instance types: one call for each hundred."""
    pages = aws.client("ec2").get_paginator("describe_instance_types").paginate(InstanceTypes=names)
    return [kind for page in pages for kind in page["InstanceTypes"]]
