"""One stack with COUNT clusters: `clusters.py COUNT`."""

from __future__ import annotations

import sys

from spark_cluster import lazy_provider

lazy_provider.import_lazily()

# ruff: noqa: E402 - the provider comes first
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster

app = App()
stack = TerraformStack(app, "clusters")
AwsProvider(stack, "aws", region="us-east-1")
for index in range(int(sys.argv[1])):
    SparkCluster(stack, f"spark_{index}", name=f"spark-{index}", vpc_id="vpc-1", subnet_ids=["subnet-1"])
app.synth()
