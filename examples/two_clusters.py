"""Two clusters in one stack: a small one that is always there, and a large one that an operator sizes by hand."""

from __future__ import annotations

from spark_cluster.lazy_provider import import_lazily

import_lazily()

# ruff: noqa: E402
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, Workers, fleet_key, scaling


class TwoClusters(TerraformStack):
    """Both in the default VPC; they share nothing."""

    def __init__(self, app: App) -> None:
        super().__init__(app, "two-clusters")
        AwsProvider(self, "aws", region="us-east-1")
        vpc = DataAwsVpc(self, "default_vpc", default=True)
        in_one_zone = [
            DataAwsSubnetsFilter(name="vpc-id", values=[vpc.id]),
            DataAwsSubnetsFilter(name="availability-zone", values=["us-east-1a"]),
        ]
        subnet_ids = DataAwsSubnets(self, "subnets", filter=in_one_zone).ids

        reports = SparkCluster(
            self,
            "reports",
            name="reports",
            vpc_id=vpc.id,
            subnet_ids=subnet_ids,
            workers=Workers(min_size=1, max_size=3),
            scaling=scaling.Cpu(scale_out_above_percent=70, scale_out_workers=1, scale_in_workers=1),
            spark_version="4.2.1",
            tags={"workload": "reports"},
        )
        backfill = SparkCluster(
            self,
            "backfill",
            name="backfill",
            vpc_id=vpc.id,
            subnet_ids=subnet_ids,
            master=Master(instance_type="r6i.large"),
            workers=Workers(
                instance_types=["r6i.4xlarge", "r5.4xlarge", "r5a.4xlarge"], min_size=0, max_size=40, desired_size=0
            ),
            scaling=scaling.Manual(),
            fleet_key=fleet_key.NoKey(),
            spark_defaults={"spark.executor.cores": "4", "spark.sql.shuffle.partitions": "640"},
            tags={"workload": "backfill"},
        )
        for cluster, name in ((reports, "reports"), (backfill, "backfill")):
            TerraformOutput(self, f"{name}_master_url", value=cluster.master_url, static_id=True)
            TerraformOutput(self, f"{name}_group_name", value=cluster.group_name, static_id=True)


def build(app: App) -> TwoClusters:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    return TwoClusters(app)


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
