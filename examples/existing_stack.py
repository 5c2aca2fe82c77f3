"""A cluster in a company's own stack: its VPC with private subnets behind NAT, its key, boundary, tags and groups."""

from __future__ import annotations

import json

from spark_cluster.lazy_provider import import_lazily

import_lazily()

# ruff: noqa: E402
from cdktf import App, Fn, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_availability_zones import DataAwsAvailabilityZones
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.route import Route
from cdktf_cdktf_provider_aws.route_table import RouteTable
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc
from constructs import Construct

from spark_cluster import Master, SparkCluster, Workers

TAGS = {"team": "data-platform", "cost-center": "4711"}


class PrivateNetwork(Construct):
    """A VPC with one public subnet for the NAT gateway and one private subnet for the nodes."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        # aws_vpc leaves enable_dns_hostnames off, and a private zone needs it.
        self.vpc = Vpc(
            self, "vpc", cidr_block="10.20.0.0/16", enable_dns_support=True, enable_dns_hostnames=True, tags=TAGS
        )
        zone = str(Fn.element(DataAwsAvailabilityZones(self, "zones", state="available").names, 0))
        public = Subnet(self, "public", vpc_id=self.vpc.id, cidr_block="10.20.0.0/24", availability_zone=zone)
        self.private = Subnet(self, "private", vpc_id=self.vpc.id, cidr_block="10.20.16.0/20", availability_zone=zone)
        internet = InternetGateway(self, "internet", vpc_id=self.vpc.id)
        address = Eip(self, "nat_address", domain="vpc", depends_on=[internet])
        nat = NatGateway(self, "nat", allocation_id=address.allocation_id, subnet_id=public.id, depends_on=[internet])
        self._route("public_routes", public, gateway_id=internet.id)
        self._route("private_routes", self.private, nat_gateway_id=nat.id)

    def _route(self, id: str, subnet: Subnet, **target: str) -> None:
        table = RouteTable(self, id, vpc_id=self.vpc.id)
        Route(table, "default", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", **target)
        RouteTableAssociation(table, "subnet", route_table_id=table.id, subnet_id=subnet.id)


class CompanyStack(TerraformStack):
    """What the company has, and the cluster in it."""

    def __init__(self, app: App) -> None:
        super().__init__(app, "existing-stack")
        AwsProvider(self, "aws", region="eu-central-1")
        network = PrivateNetwork(self, "network")
        key = KmsKey(
            self,
            "key",
            description="Data of the analytics team",
            enable_key_rotation=True,
            policy=self._key_policy(),
            tags=TAGS,
        )
        office = SecurityGroup(self, "office", name_prefix="office-", vpc_id=network.vpc.id, tags=TAGS)
        boundary = IamPolicy(self, "boundary", name_prefix="analytics-boundary-", policy=self._boundary())

        cluster = SparkCluster(
            self,
            "analytics",
            name="analytics",
            vpc_id=network.vpc.id,
            subnet_ids=[network.private.id],
            master=Master(instance_type="m7g.large"),
            workers=Workers(
                instance_types=["r7g.2xlarge", "r6g.2xlarge", "r8g.2xlarge"],
                min_size=1,
                max_size=20,
                on_demand_base_capacity=1,
            ),
            security_group_ids=[office.id],
            associate_public_ip_address=False,
            permissions_boundary_arn=boundary.arn,
            bucket_kms_key_arn=key.arn,
            parameter_kms_key_arn=key.arn,
            volume_kms_key_arn=key.arn,
            metrics=True,
            tags=TAGS,
        )

        scheduler = IamRole(self, "scheduler", name_prefix="scheduler-", assume_role_policy=self._scheduler_trust())
        scheduler_group = SecurityGroup(self, "scheduler_group", name_prefix="scheduler-", vpc_id=network.vpc.id)
        cluster.storage.grant_read_write_data(scheduler)
        cluster.grant_submit(scheduler, security_group_id=scheduler_group.id)
        TerraformOutput(self, "master_url", value=cluster.master_url, static_id=True)

    def _key_policy(self) -> str:
        """The account's administration, and what Auto Scaling needs to start instances with encrypted volumes.

        https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
        """
        account = DataAwsCallerIdentity(self, "caller").account_id
        partition = DataAwsPartition(self, "partition").partition
        service_role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
        # Named by a condition, because KMS refuses a principal that does not exist yet, and the account's first group
        # makes this role.
        scaling = {"ArnEquals": {"aws:PrincipalArn": f"arn:{partition}:iam::{account}:{service_role}"}}
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "AccountAdministers",
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                    {
                        "Sid": "AutoScalingUses",
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": [
                            "kms:Encrypt",
                            "kms:Decrypt",
                            "kms:ReEncrypt*",
                            "kms:GenerateDataKey*",
                            "kms:DescribeKey",
                        ],
                        "Resource": "*",
                        "Condition": scaling,
                    },
                    {
                        "Sid": "AutoScalingGrantsToVolumes",
                        "Effect": "Allow",
                        "Principal": {"AWS": "*"},
                        "Action": "kms:CreateGrant",
                        "Resource": "*",
                        "Condition": {**scaling, "Bool": {"kms:GrantIsForAWSResource": "true"}},
                    },
                ],
            }
        )

    @staticmethod
    def _boundary() -> str:
        services = ["s3:*", "ssm:*", "ssmmessages:*", "kms:*", "ec2:Describe*", "autoscaling:*", "cloudwatch:*"]
        statement = {"Effect": "Allow", "Action": services, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    @staticmethod
    def _scheduler_trust() -> str:
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def build(app: App) -> CompanyStack:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    return CompanyStack(app)


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
