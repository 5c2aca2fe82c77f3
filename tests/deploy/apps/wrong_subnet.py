"""A mistake: the subnet is one of another VPC."""

from __future__ import annotations

from cdktf import App, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "wrong-subnet")
    AwsProvider(stack, "aws", region="us-west-2")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    subnet_id = TerraformVariable(stack, "subnet_id", type="string")
    SparkCluster(stack, "spark", name="wrong-subnet", vpc_id=vpc.id, subnet_ids=[subnet_id.string_value])
    return stack
