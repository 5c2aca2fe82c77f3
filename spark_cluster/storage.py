"""The cluster's bucket: `artifacts/` (what nodes run), `data/` (what jobs read and write), `boot-logs/`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cdktf import DataResource, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import S3BucketVersioningA, S3BucketVersioningVersioningConfiguration
from constructs import Construct

from spark_cluster import plan_checks
from spark_cluster.identity import POLICY_VERSION, Allow
from spark_cluster.references import address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdktf import TerraformResource

    from spark_cluster import checks
    from spark_cluster.identity import Grantee, NodeRole

ARTIFACTS_PREFIX = "artifacts"
DATA_PREFIX = "data"
BOOT_LOGS_PREFIX = "boot-logs"
NONCURRENT_VERSION_DAYS = 7
BOOT_LOG_DAYS = 30
INCOMPLETE_UPLOAD_DAYS = 3

_READ = ("s3:GetObject",)
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_LIST = ("s3:ListBucket", "s3:GetBucketLocation")


class ClusterStorage(Construct):
    """The private, encrypted, TLS-only bucket of the cluster.

    Attributes:
        bucket: the `aws_s3_bucket`.
        bucket_name: its name.
        bucket_arn: its ARN.
        ready: the resources that must be there before a node uses the bucket.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        master_role: NodeRole,
        worker_role: NodeRole,
        kms_key_arn: str | None,
        force_destroy: checks.Flag,
        tags: Mapping[str, str],
    ) -> None:
        """Make the bucket and let both kinds of node use it, each as it needs.

        Args:
            scope: the construct above.
            id: its id.
            name: the cluster's name; the bucket's name begins with `<name>-spark-`, as bucket names are global.
            master_role: reads and writes `artifacts/` and `data/`.
            worker_role: reads `artifacts/`, reads and writes `data/`; writing `artifacts/` is denied to it by the
                bucket's own policy, because every worker runs what lies there.
            kms_key_arn: the key of new objects. `None`: S3's own AES-256.
            force_destroy: whether destroying the bucket deletes the objects in it.
            tags: of the bucket.
        """
        super().__init__(scope, id)
        self._kms_key_arn = kms_key_arn
        self.bucket = S3Bucket(
            self, "bucket", bucket_prefix=f"{name}-spark-", force_destroy=force_destroy, tags=dict(tags)
        )
        plan_checks.require_key(self.bucket, "bucket_kms_key_arn", kms_key_arn)
        self.bucket_name = self.bucket.bucket
        self.bucket_arn = self.bucket.arn
        versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        # No node waits for the lifecycle rules: the provider alone takes nearly a minute to see them.
        self._lifecycle_rules(versioning)
        self.ready: list[TerraformResource] = [
            *self._private_and_encrypted(),
            versioning,
            self._policy(master_role, worker_role),
        ]
        self.grant_read_write_data(master_role)
        self.grant_read_write_data(worker_role)
        self._grant(master_role, "artifacts", ARTIFACTS_PREFIX, (*_READ, *_WRITE))
        self._grant(worker_role, "artifacts", ARTIFACTS_PREFIX, _READ)
        self._grant(master_role, "boot_logs", BOOT_LOGS_PREFIX, (*_READ, "s3:PutObject"))
        self._grant(worker_role, "boot_logs", BOOT_LOGS_PREFIX, ("s3:PutObject",))

    def grant_read_data(self, grantee: Grantee) -> None:
        """Let a role list the bucket and read `data/`."""
        self._grant(grantee, "read_data", DATA_PREFIX, _READ)

    def grant_read_write_data(self, grantee: Grantee) -> None:
        """Let a role list the bucket, and read, write and delete in `data/`."""
        self._grant(grantee, "data", DATA_PREFIX, (*_READ, *_WRITE))

    def _grant(self, grantee: Grantee, id: str, prefix: str, actions: tuple[str, ...]) -> None:
        # ListBucket, of the whole bucket: to who may not list S3 answers 403 for an object that is not there, and
        # neither the node nor S3A can tell "absent" from "forbidden".
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        statements = [Allow(_LIST, (self.bucket_arn,)), Allow(actions, (f"{self.bucket_arn}/{prefix}/*",))]
        if self._kms_key_arn is not None:
            statements.append(Allow(("kms:Decrypt", "kms:GenerateDataKey"), (self._kms_key_arn,)))
        grantee.allow(id, *statements)

    def _private_and_encrypted(self) -> list[TerraformResource]:
        bucket = self.bucket.id
        default = S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="AES256" if self._kms_key_arn is None else "aws:kms", kms_master_key_id=self._kms_key_arn
        )
        rule = S3BucketServerSideEncryptionConfigurationRuleA(
            apply_server_side_encryption_by_default=default, bucket_key_enabled=self._kms_key_arn is not None
        )
        # S3 adds to the rule what it sets by itself (since 2026 a block of SSE-C). The provider has an argument for it
        # from 6.22 on that 5.100 refuses, and that until 6.40 is a change in every plan if it is not given. So the
        # rule is left as S3 tells it, and made anew if the key is another.
        key = DataResource(self, "encryption_key", input={"kms_master_key_id": self._kms_key_arn or ""})
        as_s3_tells = TerraformResourceLifecycle(ignore_changes=["rule"], replace_triggered_by=[address(key)])
        return [
            S3BucketPublicAccessBlock(
                self,
                "public_access_block",
                bucket=bucket,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
            ),
            S3BucketOwnershipControls(
                self,
                "ownership",
                bucket=bucket,
                rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
            ),
            S3BucketServerSideEncryptionConfigurationA(
                self, "encryption", bucket=bucket, rule=[rule], lifecycle=as_s3_tells
            ),
        ]

    def _policy(self, master_role: NodeRole, worker_role: NodeRole) -> S3BucketPolicy:
        everything = [self.bucket_arn, f"{self.bucket_arn}/*"]
        both = {"AWS": [master_role.role.arn, worker_role.role.arn]}
        statements: list[dict[str, Any]] = [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": everything,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "NodesUseData",
                "Effect": "Allow",
                "Principal": both,
                "Action": [*_READ, *_WRITE],
                "Resource": f"{self.bucket_arn}/{DATA_PREFIX}/*",
            },
            {
                "Sid": "WorkersNeverWriteArtifacts",
                "Effect": "Deny",
                "Principal": {"AWS": worker_role.role.arn},
                "Action": ["s3:PutObject*", "s3:DeleteObject*", "s3:AbortMultipartUpload", "s3:RestoreObject"],
                "Resource": f"{self.bucket_arn}/{ARTIFACTS_PREFIX}/*",
            },
        ]
        document = {"Version": POLICY_VERSION, "Statement": statements}
        return S3BucketPolicy(self, "policy", bucket=self.bucket.id, policy=json.dumps(document))

    def _lifecycle_rules(self, versioning: S3BucketVersioningA) -> None:
        everywhere = [S3BucketLifecycleConfigurationRuleFilter(prefix="")]
        abort = S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
            days_after_initiation=INCOMPLETE_UPLOAD_DAYS
        )
        noncurrent = S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
            noncurrent_days=NONCURRENT_VERSION_DAYS
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle_rules",
            bucket=self.bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="incomplete-uploads",
                    status="Enabled",
                    filter=everywhere,
                    abort_incomplete_multipart_upload=[abort],
                ),
                S3BucketLifecycleConfigurationRule(
                    id="noncurrent-versions",
                    status="Enabled",
                    filter=everywhere,
                    noncurrent_version_expiration=[noncurrent],
                    expiration=[S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)],
                ),
                S3BucketLifecycleConfigurationRule(
                    id="boot-logs",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=f"{BOOT_LOGS_PREFIX}/")],
                    expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=BOOT_LOG_DAYS)],
                ),
            ],
            # S3 asks for versioning before rules about versions.
            depends_on=[versioning],
        )
