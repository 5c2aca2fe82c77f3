"""Clusters without workers, each of the image that a benchmark names; `make submit` finds the first."""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster, Workers, s3a
from spark_cluster.scaling import Manual

REGION = "us-east-1"


def build(app: App) -> TerraformStack:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    stack = TerraformStack(app, "boot")
    AwsProvider(stack, "aws", region=REGION)
    vpc_id = DataAwsVpc(stack, "default_vpc", default=True).id
    subnet_ids = DataAwsSubnets(stack, "subnets").ids
    clusters = [
        SparkCluster(
            stack,
            one["name"],
            name=one["name"],
            vpc_id=vpc_id,
            subnet_ids=subnet_ids,
            ami_id=one["ami_id"],
            workers=Workers(min_size=0, max_size=1),
            scaling=Manual(),
            s3a=s3a.Off() if one.get("without_s3a") else None,
            force_destroy=True,
        )
        for one in app.node.try_get_context("clusters")
    ]
    first = clusters[0]
    outputs = {"region": REGION, "master_instance_id": first.master_instance_id, "bucket_name": first.bucket_name}
    for name, value in outputs.items():
        TerraformOutput(stack, name, value=value, static_id=True)
    return stack
