"""A mistake: an AMI that is not there."""

from __future__ import annotations

from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "missing-ami")
    AwsProvider(stack, "aws", region="us-west-2")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    of_the_vpc = DataAwsSubnetsFilter(name="vpc-id", values=[vpc.id])
    subnet_ids = DataAwsSubnets(stack, "subnets", filter=[of_the_vpc]).ids
    SparkCluster(
        stack, "spark", name="missing-ami", vpc_id=vpc.id, subnet_ids=subnet_ids, ami_id="ami-0123456789abcdef0"
    )
    return stack
