"""A cluster of small workers that leave in every way, and are sick in every way, on a pre-baked image."""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, Workers, s3a

DRAIN_SECONDS = 60
"""Of every notice but spot's own: short, so that what cannot end ends within a test."""
UNLISTED_SECONDS = 60
"""The shortest that there is."""


def build(app: App) -> TerraformStack:
    """The stack of this app; its context says what a test changes: `volume_gib`, `master_volume_gib`, `s3a`."""
    stack = TerraformStack(app, "leaving")
    AwsProvider(stack, "aws", region="us-east-1")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    cluster = SparkCluster(
        stack,
        "spark",
        name="leaving",
        vpc_id=vpc.id,
        subnet_ids=DataAwsSubnets(stack, "subnets").ids,
        ami_id=TerraformVariable(stack, "baked_ami", type="string").string_value,
        master=Master(root_volume_gib=app.node.try_get_context("master_volume_gib") or 32),
        workers=Workers(
            min_size=1, max_size=4, desired_size=4, root_volume_gib=app.node.try_get_context("volume_gib") or 100
        ),
        drain_timeout_seconds=DRAIN_SECONDS,
        unlisted_timeout_seconds=UNLISTED_SECONDS,
        metrics=True,
        s3a=s3a.Off() if app.node.try_get_context("s3a") is False else None,
        force_destroy=True,
    )
    TerraformOutput(stack, "bucket_name", value=cluster.bucket_name, static_id=True)
    return stack
