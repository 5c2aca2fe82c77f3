"""Where the cluster lives: region, account and partition."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.data_aws_region import DataAwsRegion
from constructs import Construct


class Location(Construct):
    """Region, account and partition of the provider that deploys.

    Attributes:
        region: the region's name.
        account_id: the account's id.
        partition: `aws`, `aws-cn`, …
        dns_suffix: what ends the names of the partition's services.
    """

    def __init__(self, scope: Construct, id: str, *, account_id: str | None = None) -> None:
        """Look up what is not given.

        Args:
            scope: the construct above.
            id: its id.
            account_id: the account whose parameters and groups the policies name. Default: the deployer's account.
        """
        super().__init__(scope, id)
        partition = DataAwsPartition(self, "partition")
        self.partition = partition.partition
        self.dns_suffix = partition.dns_suffix
        # `id` is the one attribute for the region's name that provider 5.100 has and 6.x does not call deprecated.
        self.region = DataAwsRegion(self, "region").id
        self.account_id = account_id or DataAwsCallerIdentity(self, "caller").account_id

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def s3_arn(self, path: str) -> str:
        """The ARN of a bucket, or of an object by its bucket and key, which names neither region nor account."""
        return f"arn:{self.partition}:s3:::{path}"

    def endpoint(self, service: str) -> str:
        """The name of a service's endpoint in this region, as `kms:ViaService` has it.

        https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
        """
        return f"{service}.{self.region}.{self.dns_suffix}"
