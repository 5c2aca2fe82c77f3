"""The cluster's bucket: `artifacts/` (what nodes run), `data/` (what jobs read and write), and what is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdktf import DataResource, TerraformResource, TerraformResourceLifecycle
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

from spark_cluster import checks, limits, plan_checks, policies, references
from spark_cluster.grants import Grantee, Grants
from spark_cluster.identity import Allow, NodeRole
from spark_cluster.location import Location

ARTIFACTS_PREFIX = "artifacts"
PROGRAMS_PREFIX = f"{ARTIFACTS_PREFIX}/node"
SPARK_PREFIX = f"{ARTIFACTS_PREFIX}/spark"
DATA_PREFIX = "data"
BOOT_LOGS_PREFIX = "boot-logs"
EVENT_LOGS_PREFIX = "spark-events"
LOGS_PREFIX = "logs"
DAEMON_LOGS_PREFIX = f"{LOGS_PREFIX}/daemons"
DRAINS_PREFIX = f"{LOGS_PREFIX}/drains"
FALLBACK_PREFIX = "fallback"
NONCURRENT_VERSION_DAYS = 7
LOG_RETENTION_DAYS = 30
INCOMPLETE_UPLOAD_DAYS = 3
INCOMPLETE_DATA_UPLOAD_DAYS = 14
"""S3A's committers complete a job's uploads at its end: those of a job that still runs must not be taken for lost."""
FALLBACK_DAYS = 7
"""Of what a driver left that did not come to its end. An application that still needs it then computes it again."""
FALLBACK_UPLOAD_DAYS = 1
"""No worker takes longer to leave."""

_READ = ("s3:GetObject",)
_PUT = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_WRITE = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_ANY_WRITE = ["s3:PutObject*", "s3:AbortMultipartUpload"]
_ANY_DELETION = ["s3:DeleteObject*", "s3:RestoreObject"]
_LIST = ("s3:ListBucket", "s3:GetBucketLocation")
_LIST_UPLOADS = "s3:ListBucketMultipartUploads"
"""S3A's committers look for uploads that a job left behind."""


@dataclass(frozen=True)
class BucketAddress:
    """A cluster's bucket as others see it.

    Attributes:
        name: its name.
        arn: its ARN.
        location: its region.
        kms_key_arn: the key of its objects. `None`: S3's own AES-256.
    """

    name: str
    arn: str
    location: Location
    kms_key_arn: str | None = None

    def grant_read_data(self, grants: Grants, grantee: Grantee) -> None:
        """Let a role list the bucket and read `data/`."""
        grants.give(grantee, "read_data", *self.allow({DATA_PREFIX: _READ}), self._look_at(DATA_PREFIX))

    def grant_read_write_data(self, grants: Grants, grantee: Grantee) -> None:
        """Let a role list the bucket and its uploads, and read, write and delete in `data/`."""
        statements = self.allow({DATA_PREFIX: (*_READ, *_WRITE)}, (*_LIST, _LIST_UPLOADS))
        grants.give(grantee, "data", *statements, self._look_at(DATA_PREFIX))

    def grant_keep_event_logs(self, grants: Grants, grantee: Grantee) -> None:
        """Let a role list the bucket, and write the event logs of its drivers."""
        grants.give(grantee, "event_logs", *self.allow_event_logs())

    def allow_event_logs(self) -> list[Allow]:
        """Statements that allow to keep event logs: S3A also copies and deletes what a driver names anew at its end."""
        return [*self.allow({EVENT_LOGS_PREFIX: (*_READ, *_WRITE)}), self._look_at(EVENT_LOGS_PREFIX)]

    def grant_clear_fallback(self, grants: Grants, grantee: Grantee) -> None:
        """Let a role delete what executors of its drivers put into `fallback/`."""
        grants.give(grantee, "fallback", *self.allow_clear_fallback())

    def allow_clear_fallback(self) -> list[Allow]:
        """Statements that allow to delete in `fallback/`: S3A also writes the mark of a folder that it leaves empty."""
        return [*self.allow({FALLBACK_PREFIX: (*_READ, *_WRITE)}), self._look_at(FALLBACK_PREFIX)]

    def allow_use_fallback(self) -> list[Allow]:
        """Statements that allow to write and to read there, and to delete nothing: drivers do, at their end."""
        return [*self.allow({FALLBACK_PREFIX: (*_READ, *_PUT)}), self._look_at(FALLBACK_PREFIX)]

    def allow(self, actions: Mapping[str, Sequence[str]], on_bucket: Sequence[str] = _LIST) -> list[Allow]:
        """Statements that allow `on_bucket`, and what `actions` has for each prefix on what is below that."""
        # ListBucket, of the whole bucket: to who may not list S3 answers 403 for an object that is not there, and
        # neither the node nor S3A can tell "absent" from "forbidden".
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        return [
            Allow(on_bucket, (self.arn,)),
            *(Allow(allowed, (f"{self.arn}/{prefix}/*",)) for prefix, allowed in actions.items()),
            *self._use_key(writes=any("s3:PutObject" in allowed for allowed in actions.values())),
        ]

    def _look_at(self, prefix: str) -> Allow:
        """S3A asks for an object of a folder's own name before it lists the folder, and for those of folders above."""
        return Allow(_READ, (f"{self.arn}/{prefix}",))

    def _use_key(self, *, writes: bool) -> list[Allow]:
        if self.kms_key_arn is None:
            return []
        # With a bucket key the context is the bucket's ARN, else the object's.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#encryption-context
        context = {"kms:EncryptionContext:aws:s3:arn": [self.arn, f"{self.arn}/*"]}
        conditions = {"StringEquals": {"kms:ViaService": [self.location.endpoint("s3")]}, "StringLike": context}
        actions = ("kms:Decrypt", "kms:GenerateDataKey") if writes else ("kms:Decrypt",)
        return [Allow(actions, (self.kms_key_arn,), conditions)]


class ClusterStorage(Construct):
    """The private, encrypted, TLS-only bucket of the cluster.

    Attributes:
        bucket: the `aws_s3_bucket`.
        bucket_name: its name.
        bucket_arn: its ARN.
        address: both, with its region and key.
        ready: the resources that must be there before a node uses the bucket.
        ready_for_objects: those that must be there before an object is put into it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        location: Location,
        grants: Grants,
        master_role: NodeRole,
        worker_role: NodeRole,
        kms_key_arn: str | None,
        force_destroy: checks.Flag,
        log_retention_days: checks.Whole,
        tags: Mapping[str, str],
    ) -> None:
        """Make the bucket and let both kinds of node use it, each as it needs.

        Args:
            scope: the construct above.
            id: its id.
            name: the cluster's name; the bucket's name begins with `<name>-spark-`, as bucket names are global.
            location: where it is made.
            grants: what the cluster grants.
            master_role: reads `artifacts/`, adds to `artifacts/spark/`, reads and writes `data/`, `spark-events/` and
                `fallback/`, reads `logs/drains/`.
            worker_role: reads `artifacts/`, reads and writes `data/`, and reads and adds to `fallback/`. The bucket's
                own policy denies either role the rest of `artifacts/`, because every node runs what lies there, and
                this one `spark-events/`, which the history server reads. Both add to `logs/`, the master its daemons'
                own alone; neither deletes there.
            kms_key_arn: the key of new objects. `None`: S3's own AES-256.
            force_destroy: whether destroying the bucket deletes the objects in it.
            log_retention_days: how long logs stay in it.
            tags: of the bucket.
        """
        super().__init__(scope, id)
        self._grants = grants
        self._kms_key_arn = kms_key_arn
        self.bucket = S3Bucket(
            self, "bucket", bucket_prefix=f"{name}-spark-", force_destroy=force_destroy, tags=dict(tags)
        )
        plan_checks.require_key(self.bucket, "bucket_kms_key_arn", kms_key_arn)
        self.bucket_name = self.bucket.bucket
        self.bucket_arn = self.bucket.arn
        self.address = BucketAddress(self.bucket_name, self.bucket_arn, location, kms_key_arn)
        versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        # No node waits for the lifecycle rules: the provider alone takes nearly a minute to see them.
        self._rules = _lifecycle_rules(log_retention_days)
        self._lifecycle = S3BucketLifecycleConfiguration(
            self,
            "lifecycle_rules",
            bucket=self.bucket.id,
            rule=self._rules,
            # S3 asks for versioning before rules about versions.
            depends_on=[versioning],
        )
        self._statements = self._policy_statements(master_role, worker_role)
        self._policy = S3BucketPolicy(self, "policy", bucket=self.bucket.id, policy=policies.document(self._statements))
        # Not its rule of encryption, which is made anew for another key: objects that are made before the old ones go
        # would have Terraform make the new rule before it takes the old one, and the bucket's only one, away.
        self.ready_for_objects: list[TerraformResource] = [*self._private(), versioning, self._policy]
        self.ready: list[TerraformResource] = [*self.ready_for_objects, self._encrypted()]
        self.grant_read_write_data(master_role)
        self.grant_read_write_data(worker_role)
        master_role.allow("artifacts", *self.address.allow({ARTIFACTS_PREFIX: _READ, SPARK_PREFIX: _PUT}))
        worker_role.allow("artifacts", *self.address.allow({ARTIFACTS_PREFIX: _READ}))
        master_role.allow("event_logs", *self.address.allow_event_logs())
        master_role.allow("boot_logs", *self.address.allow({BOOT_LOGS_PREFIX: (*_READ, "s3:PutObject")}))
        worker_role.allow("boot_logs", *self.address.allow({BOOT_LOGS_PREFIX: ("s3:PutObject",)}))
        master_role.allow("logs", *self.address.allow({DAEMON_LOGS_PREFIX: ("s3:PutObject",), DRAINS_PREFIX: _READ}))
        worker_role.allow("logs", *self.address.allow({LOGS_PREFIX: ("s3:PutObject",)}))
        # Without S3A, too: Spark may have jars of its own for it, and be told of this place by its owner.
        master_role.allow("fallback", *self.address.allow_clear_fallback())
        worker_role.allow("fallback", *self.address.allow_use_fallback())

    def grant_read_data(self, grantee: Grantee) -> None:
        """Let a role list the bucket and read `data/`.

        Raises:
            ValueError: `grantee` is no role.
        """
        self.address.grant_read_data(self._grants, grantee)

    def grant_read_write_data(self, grantee: Grantee) -> None:
        """Let a role list the bucket, and read, write and delete in `data/`.

        Raises:
            ValueError: `grantee` is no role.
        """
        self.address.grant_read_write_data(self._grants, grantee)

    def add_lifecycle_rule(self, rule: S3BucketLifecycleConfigurationRule) -> None:
        """Add a lifecycle rule of yours: a second resource with rules of the bucket would take the first one's away.

        Raises:
            ValueError: it is none that S3 takes, or its id is taken; the message names what and the rule
                (https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html).
        """
        if not isinstance(rule, S3BucketLifecycleConfigurationRule):
            example = "S3BucketLifecycleConfigurationRule(id='old-data', status='Enabled', …)"
            raise checks.fail("rule", f"be an object such as {example}", rule)
        if rule.id in [known.id for known in self._rules]:
            raise checks.fail("rule.id", "be one that no other rule of the bucket has", rule.id)
        _check_rule(rule)
        if len(self._rules) == limits.LIFECYCLE_RULES_OF_A_BUCKET:
            raise checks.fail("rule", f"be one of at most {limits.LIFECYCLE_RULES_OF_A_BUCKET} of the bucket", rule)
        self._rules.append(rule)
        self._lifecycle.put_rule(self._rules)

    def add_policy_statement(self, statement: Mapping[str, Any]) -> None:
        """Add a statement of yours to the bucket's policy, of which it has one. The same one may be added again.

        Args:
            statement: as IAM has it: `{"Sid": …, "Effect": …, "Principal": …, "Action": …, "Resource": …}`, perhaps
                with `"Condition": …`; nothing that makes the bucket public.

        Raises:
            ValueError: IAM or S3 would not take it, or another one has its `Sid`; the message names what and the rule
                (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
        """
        added = policies.statement("statement", statement)
        for known in self._statements:
            if known["Sid"] == added["Sid"]:
                if self._resolved(known) == self._resolved(added):
                    return
                raise checks.fail("statement['Sid']", "be one that no other statement of the bucket has", added["Sid"])
        policy = policies.document([*self._statements, added])
        length = policies.known_length(policy)
        if length > limits.BUCKET_POLICY_BYTES:
            rule = f"keep the bucket's policy within S3's {limits.BUCKET_POLICY_BYTES} bytes (use wildcards)"
            raise checks.fail("statement", rule, length)
        self._statements.append(added)
        self._policy.policy = policy

    def _resolved(self, statement: Mapping[str, Any]) -> str:
        return references.resolved(self, policies.document([statement]))

    def _encrypted(self) -> S3BucketServerSideEncryptionConfigurationA:
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
        as_s3_tells = TerraformResourceLifecycle(
            ignore_changes=["rule"], replace_triggered_by=[references.address(key)]
        )
        return S3BucketServerSideEncryptionConfigurationA(
            self, "encryption", bucket=self.bucket.id, rule=[rule], lifecycle=as_s3_tells
        )

    def _private(self) -> list[TerraformResource]:
        return [
            S3BucketPublicAccessBlock(
                self,
                "public_access_block",
                bucket=self.bucket.id,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
            ),
            S3BucketOwnershipControls(
                self,
                "ownership",
                bucket=self.bucket.id,
                rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
            ),
        ]

    def _policy_statements(self, master_role: NodeRole, worker_role: NodeRole) -> list[Mapping[str, Any]]:
        everything = [self.bucket_arn, f"{self.bucket_arn}/*"]
        both = {"AWS": [master_role.role.arn, worker_role.role.arn]}
        return [
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
                "Sid": "NodesDeleteNoArtifacts",
                "Effect": "Deny",
                "Principal": both,
                "Action": _ANY_DELETION,
                "Resource": f"{self.bucket_arn}/{ARTIFACTS_PREFIX}/*",
            },
            {
                "Sid": "MasterWritesNoPrograms",
                "Effect": "Deny",
                "Principal": {"AWS": master_role.role.arn},
                "Action": _ANY_WRITE,
                "Resource": f"{self.bucket_arn}/{PROGRAMS_PREFIX}/*",
            },
            {
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
                "Sid": "MasterWritesArtifactsOnce",
                "Effect": "Deny",
                "Principal": {"AWS": master_role.role.arn},
                "Action": "s3:PutObject",
                "Resource": f"{self.bucket_arn}/{ARTIFACTS_PREFIX}/*",
                "Condition": {
                    "Null": {"s3:if-none-match": "true"},
                    "Bool": {"s3:ObjectCreationOperation": "true"},
                },
            },
            {
                "Sid": "WorkersNeverWriteArtifacts",
                "Effect": "Deny",
                "Principal": {"AWS": worker_role.role.arn},
                "Action": _ANY_WRITE,
                "Resource": f"{self.bucket_arn}/{ARTIFACTS_PREFIX}/*",
            },
            {
                # An event log runs code in a history server that has a flaw: CVE-2025-54920 was one.
                "Sid": "WorkersNeverWriteEventLogs",
                "Effect": "Deny",
                "Principal": {"AWS": worker_role.role.arn},
                "Action": [*_ANY_WRITE, *_ANY_DELETION],
                "Resource": f"{self.bucket_arn}/{EVENT_LOGS_PREFIX}/*",
            },
            {
                # Whoever takes a node over leaves traces there. What it writes anew stays as an earlier version.
                "Sid": "NodesDeleteNoLogs",
                "Effect": "Deny",
                "Principal": both,
                "Action": _ANY_DELETION,
                "Resource": [f"{self.bucket_arn}/{prefix}/*" for prefix in (LOGS_PREFIX, BOOT_LOGS_PREFIX)],
            },
        ]


_LEAST_FIGURES: Mapping[str, Mapping[str, int]] = {
    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
    "expiration": {"days": 1},
    "noncurrent_version_expiration": {"noncurrent_days": 1, "newer_noncurrent_versions": 1},
    "noncurrent_version_transition": {"noncurrent_days": 0, "newer_noncurrent_versions": 1},
    "transition": {"days": 0},
}
"""What a lifecycle rule may do, and from where on its figures go."""


def _check_rule(rule: S3BucketLifecycleConfigurationRule) -> None:
    id, longest = checks.text("rule.id", rule.id), limits.LIFECYCLE_RULE_ID_CHARACTERS
    if checks.is_known(id) and len(id) > longest:
        raise checks.fail("rule.id", f"have at most {longest} characters", id)
    if checks.is_known(rule.status) and rule.status not in {"Enabled", "Disabled"}:
        raise checks.fail("rule.status", "be 'Enabled' or 'Disabled'", rule.status)
    if not any(getattr(rule, action) for action in _LEAST_FIGURES):
        raise checks.fail("rule", f"do something: have one of {', '.join(_LEAST_FIGURES)}", rule)
    for action, figures in _LEAST_FIGURES.items():
        given = getattr(rule, action)
        for index, one in enumerate(given if isinstance(given, Sequence) else ()):
            for figure, least in figures.items():
                value = getattr(one, figure, None)
                if value is not None:
                    checks.whole(f"rule.{action}[{index}].{figure}", value, least)


def _lifecycle_rules(log_retention_days: checks.Whole) -> list[S3BucketLifecycleConfigurationRule]:
    everywhere = [S3BucketLifecycleConfigurationRuleFilter(prefix="")]
    return [
        # Of two that apply to an upload, or to a former version, S3 takes the earlier day.
        S3BucketLifecycleConfigurationRule(
            id="incomplete-uploads",
            status="Enabled",
            filter=everywhere,
            abort_incomplete_multipart_upload=_abort_after(INCOMPLETE_DATA_UPLOAD_DAYS),
        ),
        S3BucketLifecycleConfigurationRule(
            id="incomplete-artifacts",
            status="Enabled",
            filter=_below(ARTIFACTS_PREFIX),
            abort_incomplete_multipart_upload=_abort_after(INCOMPLETE_UPLOAD_DAYS),
        ),
        S3BucketLifecycleConfigurationRule(
            id="noncurrent-versions",
            status="Enabled",
            filter=everywhere,
            noncurrent_version_expiration=[_noncurrent(NONCURRENT_VERSION_DAYS)],
            expiration=[S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)],
        ),
        *(
            S3BucketLifecycleConfigurationRule(
                id=id,
                status="Enabled",
                filter=_below(prefix),
                expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=log_retention_days)],
                noncurrent_version_expiration=noncurrent_copies,
                abort_incomplete_multipart_upload=_abort_after(INCOMPLETE_UPLOAD_DAYS),
            )
            for id, prefix, noncurrent_copies in (
                ("boot-logs", BOOT_LOGS_PREFIX, None),
                # What grows is copied whole each minute.
                ("event-logs", EVENT_LOGS_PREFIX, [_noncurrent(1)]),
                ("logs", LOGS_PREFIX, None),
            )
        ),
        S3BucketLifecycleConfigurationRule(
            id="fallback",
            status="Enabled",
            filter=_below(FALLBACK_PREFIX),
            expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=FALLBACK_DAYS)],
            # What a driver deletes at its end becomes one.
            noncurrent_version_expiration=[_noncurrent(1)],
            abort_incomplete_multipart_upload=_abort_after(FALLBACK_UPLOAD_DAYS),
        ),
    ]


def _below(prefix: str) -> list[S3BucketLifecycleConfigurationRuleFilter]:
    return [S3BucketLifecycleConfigurationRuleFilter(prefix=f"{prefix}/")]


def _noncurrent(days: int) -> S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration:
    return S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=days)


def _abort_after(days: int) -> list[S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload]:
    return [S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=days)]
