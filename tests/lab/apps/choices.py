"""Three small clusters in one VPC: other AMIs, other answers to where the fleet key lives, and an AWS that is slow.

The one on Debian has an older Spark, a proxy and a key for its bucket; the one on a pre-baked image Spark Connect.
"""

from __future__ import annotations

from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, SparkConnect, Workers, fleet_key, s3a


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "choices")
    AwsProvider(stack, "aws", region="us-east-1")
    vpc = DataAwsVpc(stack, "default_vpc", default=True)
    variables = {
        name: TerraformVariable(stack, name, type="string").string_value
        for name in ("subnet", "other_subnet", "debian_ami", "baked_ami", "proxy", "bucket_key")
    }
    private_key = TerraformVariable(stack, "private_key", type="string", sensitive=True)
    private_key.add_override("ephemeral", value=True)
    moved = bool(app.node.try_get_context("keyless_master_moved"))
    answers = {
        "debian": {
            "ami_id": variables["debian_ami"],
            "fleet_key": fleet_key.PrivateKey(private_key.string_value),
            "spark_version": "3.5.9",
            "http_proxy": variables["proxy"],
            "bucket_kms_key_arn": variables["bucket_key"],
        },
        "baked": {
            "ami_id": variables["baked_ami"],
            "fleet_key": fleet_key.SsmParameter("/team/spark-key"),
            "spark_connect": SparkConnect(cores_max=2),
        },
        "keyless": {
            "fleet_key": fleet_key.NoKey(),
            "master": Master(subnet_id=variables["other_subnet" if moved else "subnet"]),
        },
    }
    for name, arguments in answers.items():
        cluster = SparkCluster(
            stack,
            name,
            name=name,
            vpc_id=vpc.id,
            subnet_ids=[variables["subnet"]],
            workers=Workers(min_size=1, max_size=2),
            force_destroy=True,
            s3a=s3a.Off() if app.node.try_get_context("s3a") is False else None,
            **arguments,  # type: ignore[arg-type]  # of several kinds
        )
        TerraformOutput(stack, f"{name}_bucket_name", value=cluster.bucket_name, static_id=True)
    return stack
