"""A cluster with an AMI of its own, whose bucket is not emptied when it is destroyed: the construct's default."""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster, Workers
from spark_cluster.scaling import Manual


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "kept-bucket")
    AwsProvider(stack, "aws", region="us-west-2")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    subnet_ids = TerraformVariable(stack, "subnet_ids", type="list(string)").list_value
    cluster = SparkCluster(
        stack,
        "spark",
        name="kept-bucket",
        vpc_id=vpc.id,
        subnet_ids=subnet_ids,
        workers=Workers(min_size=0),
        scaling=Manual(),
        ami_id=TerraformVariable(stack, "ami_id", type="string").string_value,
    )
    TerraformOutput(stack, "bucket_name", value=cluster.bucket_name, static_id=True)
    return stack
