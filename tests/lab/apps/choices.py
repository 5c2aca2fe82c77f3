"""Small clusters in one VPC: other AMIs, other answers to where the fleet key lives, and an AWS that is slow.

The one on a pre-baked image has Spark Connect, and if the context says so a scheduler, on an instance of its own, that
may submit. If it says so there is one on Debian, with an older Spark, a proxy and a key for its bucket.
"""

from __future__ import annotations

import json

from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.instance import Instance
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.security_group import SecurityGroup

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
            "spark_defaults": {
                "spark.dynamicAllocation.executorIdleTimeout": "15s",
                "spark.dynamicAllocation.shuffleTracking.timeout": "15s",
            },
        },
        "keyless": {
            "fleet_key": fleet_key.NoKey(),
            "master": Master(subnet_id=variables["other_subnet" if moved else "subnet"]),
        },
    }
    if not app.node.try_get_context("debian"):
        del answers["debian"]
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
        if name == "baked" and app.node.try_get_context("scheduler"):
            add_scheduler(stack, cluster, vpc, variables)
    return stack


def add_scheduler(stack: TerraformStack, cluster: SparkCluster, vpc: DataAwsVpc, variables: dict[str, str]) -> None:
    """An instance with a role and a security group of its own, both of which may submit."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
    role = IamRole(stack, "scheduler_role", name="scheduler", assume_role_policy=json.dumps(trust))
    group = SecurityGroup(stack, "scheduler_group", name="scheduler", vpc_id=vpc.id)
    Instance(
        stack,
        "scheduler",
        ami=variables["baked_ami"],
        instance_type="m6i.large",
        subnet_id=variables["subnet"],
        vpc_security_group_ids=[group.id],
        iam_instance_profile=IamInstanceProfile(stack, "scheduler_profile", name="scheduler", role=role.name).name,
        tags={"Name": "scheduler"},
    )
    cluster.grant_submit(role, security_group_id=group.id)
    cluster.storage.grant_read_write_data(role)
