"""The port of a call of the older Terraform module `terraform_spark`: each of its inputs, and where it is now."""

from __future__ import annotations

from spark_cluster.lazy_provider import import_lazily

import_lazily()

# ruff: noqa: E402
from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import Master, SparkCluster, Workers, fleet_key


class PortedModule(TerraformStack):
    """The old call in new words.

    Deploy with `cdktf deploy --var vpc_platform_id=… --var subnet_id=… --var key_name=…`, and the private key in the
    environment variable `TF_VAR_fleet_private_key`.
    """

    def __init__(self, app: App) -> None:
        super().__init__(app, "ported-module")
        AwsProvider(self, "aws", region="ap-southeast-2")
        vpc_platform_id = TerraformVariable(self, "vpc_platform_id", type="string")
        subnet_id = TerraformVariable(self, "subnet_id", type="string")
        key_name = TerraformVariable(self, "key_name", type="string")
        security_groups_ids = TerraformVariable(self, "security_groups_ids", type="list(string)", default=[])
        account_id = TerraformVariable(self, "account_id", type="string")
        # Ephemeral: Terraform hands it to the parameter's write-only argument, and keeps it in no plan and no state.
        # Only a deploy that writes it needs it: the others, and a destroy, do without.
        fleet_private_key = TerraformVariable(self, "fleet_private_key", type="string", sensitive=True, default="")
        fleet_private_key.add_override("ephemeral", True)  # noqa: FBT003

        cluster = SparkCluster(
            self,
            "spark",
            name="platform",
            vpc_id=vpc_platform_id.string_value,
            subnet_ids=[subnet_id.string_value],
            key_name=key_name.string_value,
            master=Master(instance_type="m5.large"),  # Master_instance_type
            workers=Workers(
                instance_types=["m5.large", "m5a.large", "m4.large"],  # slave_instance_type
                min_size=2,  # slave_asg_min_size
                max_size=10,  # slave_asg_max_size
                desired_size=4,  # slave_asg_desired_capacity
                spot_max_price="0.0095",  # spot_price
            ),
            ebs_optimized=True,
            account_id=account_id.string_value,
            fleet_key=fleet_key.PrivateKey(fleet_private_key.string_value),
            security_group_ids=security_groups_ids.list_value,
        )
        TerraformOutput(self, "master_url", value=cluster.master_url, static_id=True)
        TerraformOutput(self, "bucket_name", value=cluster.bucket_name, static_id=True)


def build(app: App) -> PortedModule:
    """Add the stack; tests and the lab call it, and synthesize in their own way."""
    return PortedModule(app)


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()
