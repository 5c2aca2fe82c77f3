"""A cluster whose workers' Spark never starts, and whose deploy does not wait as long for them as it would.

Its image is pre-baked: that its workers boot one after the other is to cost little.
"""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster, Workers, fleet_key, s3a

WITHOUT_JARS = """#!/bin/bash
if grep -q '"role":"worker"' /etc/spark-cluster/settings.json; then
  mv /opt/spark/jars /opt/spark/no-jars
fi
"""


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "broken")
    AwsProvider(stack, "aws", region="us-east-1")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    cluster = SparkCluster(
        stack,
        "spark",
        name="broken",
        vpc_id=vpc.id,
        subnet_ids=DataAwsSubnets(stack, "subnets").ids,
        workers=Workers(min_size=1, max_size=1),
        fleet_key=fleet_key.NoKey(),
        ami_id=TerraformVariable(stack, "baked_ami", type="string").string_value,
        s3a=s3a.Off(),
        setup_script=WITHOUT_JARS,
        force_destroy=True,
    )
    cluster.workers.group.wait_for_capacity_timeout = "150s"
    TerraformOutput(stack, "bucket_name", value=cluster.bucket_name, static_id=True)
    return stack
