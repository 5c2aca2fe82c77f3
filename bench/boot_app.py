"""A cluster without workers, of the image that the benchmark of a boot names."""

from __future__ import annotations

from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster, Workers
from spark_cluster.scaling import Manual


def build(app: App) -> TerraformStack:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    stack = TerraformStack(app, "boot")
    AwsProvider(stack, "aws", region="us-east-1")
    vpc_id = DataAwsVpc(stack, "default_vpc", default=True).id
    subnet_ids = DataAwsSubnets(stack, "subnets").ids
    context = app.node.try_get_context
    SparkCluster(
        stack,
        "cluster",
        name=context("name"),
        vpc_id=vpc_id,
        subnet_ids=subnet_ids,
        ami_id=context("ami_id"),
        workers=Workers(min_size=0, max_size=1),
        scaling=Manual(),
        force_destroy=True,
    )
    return stack
