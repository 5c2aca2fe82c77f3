"""What AWS says of the workers' group and its instances."""

import aws
import settings


def group():
    """The group as Auto Scaling has it; `None` before Terraform has made it. One call, however many members."""
    name = settings.load()["group"]
    groups = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return groups[0] if groups else None


def instances(group_name):
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


def instance_types(names):
    """Cores and memory of instance types: one call for each hundred."""
    pages = aws.client("ec2").get_paginator("describe_instance_types").paginate(InstanceTypes=names)
    return [kind for page in pages for kind in page["InstanceTypes"]]
