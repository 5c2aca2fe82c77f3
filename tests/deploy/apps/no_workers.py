"""A cluster with a worker, for which the account has no room."""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "no-workers")
    AwsProvider(stack, "aws", region="us-west-2")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    of_the_vpc = DataAwsSubnetsFilter(name="vpc-id", values=[vpc.id])
    subnet_ids = DataAwsSubnets(stack, "subnets", filter=[of_the_vpc]).ids
    cluster = SparkCluster(stack, "spark", name="no-workers", vpc_id=vpc.id, subnet_ids=subnet_ids)
    TerraformOutput(stack, "bucket_name", value=cluster.bucket_name, static_id=True)
    TerraformOutput(stack, "master_instance_id", value=cluster.master_instance_id, static_id=True)
    return stack
