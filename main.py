"""The smallest real app: one Spark cluster in the account's default VPC, with the settings of `cdktf.json`'s context.

`cdktf synth` needs no account; `cdktf deploy` makes the cluster in the first zone that offers all its instance types.
"""

from __future__ import annotations

from spark_cluster.lazy_provider import import_lazily

import_lazily()  # Before anything else imports the provider: a tenth of the time.

# ruff: noqa: E402
from typing import Any

from cdktf import App, Fn, Op, Precondition, S3Backend, TerraformOutput, TerraformResourceLifecycle, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_ec2_instance_type_offerings import (
    DataAwsEc2InstanceTypeOfferings,
    DataAwsEc2InstanceTypeOfferingsFilter,
)
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, Workers

DEFAULTS: dict[str, Any] = {
    "name": "demo",
    "region": "us-east-1",
    "profile": None,
    "spark_version": "4.3.0",
    "state_bucket": None,
    "master_instance_type": "m6i.large",
    "worker_instance_types": ["m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge"],
    "min_size": 2,
    "max_size": 4,
    "desired_size": None,
    "force_destroy": True,
}
"""What the context of `cdktf.json` does not set."""


class SparkStack(TerraformStack):
    """One cluster, and the commands that its user wants first."""

    def __init__(self, app: App) -> None:
        super().__init__(app, "spark-cluster")
        settings = {key: _from_context(app, key, default) for key, default in DEFAULTS.items()}
        region = settings["region"]
        AwsProvider(self, "aws", region=region, profile=settings["profile"])
        if settings["state_bucket"]:
            key = f"spark-cluster/{settings['name']}.tfstate"
            bucket, profile = settings["state_bucket"], settings["profile"]
            backend = S3Backend(self, bucket=bucket, key=key, region=region, profile=profile, encrypt=True)
            # Terraform has it since 1.10, cdktf has no argument for it.
            backend.add_override("use_lockfile", value=True)
        workers = settings["worker_instance_types"]
        vpc = DataAwsVpc(self, "default_vpc", default=True)
        cluster = SparkCluster(
            self,
            "spark",
            name=settings["name"],
            vpc_id=vpc.id,
            subnet_ids=self._subnets(vpc.id, [settings["master_instance_type"], *workers]),
            master=Master(instance_type=settings["master_instance_type"]),
            workers=Workers(
                instance_types=workers,
                min_size=settings["min_size"],
                max_size=settings["max_size"],
                desired_size=settings["desired_size"],
            ),
            spark_version=settings["spark_version"],
            force_destroy=settings["force_destroy"],
        )
        self._outputs(cluster, settings["profile"])

    def _subnets(self, vpc_id: str, instance_types: list[str]) -> list[str]:
        """The default VPC's subnet in one zone: not every zone has every instance type."""
        zones = [
            DataAwsEc2InstanceTypeOfferings(
                self,
                f"offers_{index}",
                location_type="availability-zone",
                filter=[DataAwsEc2InstanceTypeOfferingsFilter(name="instance-type", values=[instance_type])],
            ).locations
            for index, instance_type in enumerate(instance_types)
        ]
        common = Fn.sort(Fn.setintersection(zones[0], zones[1:]))
        listed = ", ".join(instance_types)
        some = Precondition(
            condition=Op.gte(Fn.length_of(common), 1),
            error_message=f"no zone of the region offers all of {listed}: set worker_instance_types in cdktf.json",
        )
        ids: list[str] = DataAwsSubnets(
            self,
            "subnets",
            filter=[
                DataAwsSubnetsFilter(name="vpc-id", values=[vpc_id]),
                DataAwsSubnetsFilter(name="default-for-az", values=["true"]),
                DataAwsSubnetsFilter(name="availability-zone", values=[str(Fn.element(common, 0))]),
            ],
            lifecycle=TerraformResourceLifecycle(precondition=[some]),
        ).ids
        return ids

    def _outputs(self, cluster: SparkCluster, profile: str | None) -> None:
        commands = cluster.commands
        for name, value in {
            "region": cluster.location.region,
            "master_url": cluster.master_url,
            "master_ui_url": cluster.master_ui_url,
            "master_instance_id": cluster.master_instance_id,
            "bucket_name": cluster.bucket_name,
            "group_name": cluster.group_name,
            "security_group_id": cluster.security_group_id,
            "shell_command": commands.shell(profile),
            "ui_command": commands.ui(profile),
            "submit_command": commands.submit(profile=profile),
            "status_command": commands.status(profile),
            "wait_command": commands.wait(profile),
        }.items():
            TerraformOutput(self, name, value=value, static_id=True)


def _from_context(app: App, key: str, default: object) -> Any:  # noqa: ANN401 - JSON
    value = app.node.try_get_context(key)
    return default if value is None else value


def build(app: App) -> SparkStack:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    return SparkStack(app)


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
