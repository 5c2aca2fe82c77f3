"""A cluster among resources of its own stack, of which one or the other changes while nothing of the cluster's does."""

from __future__ import annotations

from cdktf import App, Fn, Op, TerraformResourceLifecycle, TerraformStack, TerraformVariable, Token
from cdktf_cdktf_provider_aws.ami_copy import AmiCopy
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc

from spark_cluster import Master, SparkCluster


def build(app: App) -> TerraformStack:
    """The stack of this app."""
    stack = TerraformStack(app, "unasked")
    AwsProvider(stack, "aws", region="eu-central-1")
    tag = TerraformVariable(stack, "tag", type="string", default="before").string_value
    which = TerraformVariable(stack, "which", type="string", default="both").string_value
    source = TerraformVariable(stack, "source_ami_id", type="string").string_value
    boot_timeout = TerraformVariable(stack, "boot_timeout_seconds", type="number", default=1800).number_value
    owner = TerraformVariable(stack, "owner", type="string", default="first").string_value
    groups = TerraformVariable(stack, "security_group_ids", type="list(string)", default=[]).list_value
    boundary = TerraformVariable(stack, "permissions_boundary_arn", type="string").string_value
    instance_type = TerraformVariable(stack, "master_instance_type", type="string", default="t3.large").string_value
    volume_gib = TerraformVariable(stack, "master_volume_gib", type="number", default=32).number_value
    vpc = Vpc(stack, "vpc", cidr_block="10.7.0.0/16", enable_dns_hostnames=True, tags={"state": tag})
    subnets = [
        Subnet(stack, f"subnet_{index}", vpc_id=vpc.id, cidr_block=f"10.7.{index}.0/24", tags={"state": tag})
        for index in range(2)
    ]
    image = AmiCopy(
        stack,
        "image",
        name="unasked",
        source_ami_id=source,
        source_ami_region="eu-central-1",
        tags={"state": tag},
        # This AWS gives it one, and takes none.
        lifecycle=TerraformResourceLifecycle(ignore_changes=["description"]),
    )
    first, second = (subnet.id for subnet in subnets)
    turned = Fn.conditional(Op.eq(which, "turned"), Fn.tolist([second, first]), Fn.tolist([second]))
    subnet_ids = Fn.conditional(Op.eq(which, "both"), Fn.tolist([first, second]), turned)
    SparkCluster(
        stack,
        "spark",
        name="unasked",
        vpc_id=vpc.id,
        subnet_ids=Token.as_list(subnet_ids),
        master=Master(instance_type=instance_type, root_volume_gib=volume_gib),
        ami_id=image.id,
        security_group_ids=groups,
        permissions_boundary_arn=boundary,
        tags={"owner": owner},
        associate_public_ip_address=True,
        boot_timeout_seconds=boot_timeout,
        force_destroy=True,
    )
    return stack
