from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleTransition,
)

from spark_cluster import SparkCluster
from tests.synth.conftest import NO_ALIAS, REQUIRED
from tests.synth.synthesized import Synthesized, reached

if TYPE_CHECKING:
    from spark_cluster.storage import ClusterStorage
    from tests.synth.conftest import Synthesize


ENCRYPTION = "aws_s3_bucket_server_side_encryption_configuration"


def bucket(stack: Synthesized, attribute: str) -> str:
    return f"${{{stack.address('aws_s3_bucket', 'spark_storage_bucket')}.{attribute}}}"


def test_the_bucket_is_named_by_its_cluster_and_keeps_what_it_holds(default: Synthesized) -> None:
    assert default.the("aws_s3_bucket") == {"bucket_prefix": "demo-spark-", "force_destroy": False, "tags": {}}


def test_the_bucket_can_be_destroyed_with_what_it_holds(synthesize: Synthesize) -> None:
    """A running cluster's bucket is never empty, and S3 deletes only an empty one."""
    assert synthesize(force_destroy=True).the("aws_s3_bucket")["force_destroy"] is True


def test_force_destroy_may_be_a_variable(synthesize: Synthesize, stack: TerraformStack) -> None:
    choice = TerraformVariable(stack, "choice", type="bool").boolean_value
    assert synthesize(force_destroy=choice).the("aws_s3_bucket")["force_destroy"] == "${var.choice}"


def test_the_bucket_is_private(default: Synthesized) -> None:
    assert default.the("aws_s3_bucket_public_access_block") == {
        "bucket": bucket(default, "id"),
        "block_public_acls": True,
        "block_public_policy": True,
        "ignore_public_acls": True,
        "restrict_public_buckets": True,
    }


def test_acls_are_off(default: Synthesized) -> None:
    assert default.the("aws_s3_bucket_ownership_controls") == {
        "bucket": bucket(default, "id"),
        "rule": {"object_ownership": "BucketOwnerEnforced"},
    }
    assert not default.all("aws_s3_bucket_acl")


def test_objects_are_encrypted_with_s3s_own_key(default: Synthesized) -> None:
    [rule] = default.the(ENCRYPTION)["rule"]
    assert rule == {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"},
        "bucket_key_enabled": False,
    }


def test_objects_can_be_encrypted_with_a_key_of_the_callers(synthesize: Synthesize, stack: TerraformStack) -> None:
    key = TerraformVariable(stack, "key", type="string").string_value
    found = synthesize(bucket_kms_key_arn=key)
    [rule] = found.the(ENCRYPTION)["rule"]
    assert rule == {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": "${var.key}"},
        "bucket_key_enabled": True,
    }


@pytest.mark.parametrize("key", [None, "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"])
def test_what_s3_adds_to_the_rule_of_encryption_is_no_change_but_another_key_is(
    synthesize: Synthesize, key: str | None
) -> None:
    """S3 blocks SSE-C by itself, and provider 6.22 to 6.39 would take that back in every plan."""
    found = synthesize(bucket_kms_key_arn=key)
    address = found.address("terraform_data", "spark_storage_encryption_key")
    assert found.the("terraform_data", "spark_storage_encryption_key")["input"] == {"kms_master_key_id": key or ""}
    body = found.the(ENCRYPTION)
    assert body["lifecycle"] == {"ignore_changes": ["rule"], "replace_triggered_by": [address]}
    assert "blocked_encryption_types" not in body["rule"][0]


def test_versions_are_kept(default: Synthesized) -> None:
    assert default.the("aws_s3_bucket_versioning") == {
        "bucket": bucket(default, "id"),
        "versioning_configuration": {"status": "Enabled"},
    }


def test_old_versions_uploads_that_never_ended_and_logs_go_after_a_while(default: Synthesized) -> None:
    rules = {rule.pop("id"): rule for rule in default.the("aws_s3_bucket_lifecycle_configuration")["rule"]}
    assert rules == {
        "incomplete-uploads": {
            "status": "Enabled",
            "filter": [{"prefix": ""}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 14}],
        },
        "incomplete-artifacts": {
            "status": "Enabled",
            "filter": [{"prefix": "artifacts/"}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 3}],
        },
        "noncurrent-versions": {
            "status": "Enabled",
            "filter": [{"prefix": ""}],
            "noncurrent_version_expiration": [{"noncurrent_days": 7}],
            "expiration": [{"expired_object_delete_marker": True}],
        },
        "boot-logs": {
            "status": "Enabled",
            "filter": [{"prefix": "boot-logs/"}],
            "expiration": [{"days": 30}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 3}],
        },
        "event-logs": {
            "status": "Enabled",
            "filter": [{"prefix": "spark-events/"}],
            "expiration": [{"days": 30}],
            "noncurrent_version_expiration": [{"noncurrent_days": 1}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 3}],
        },
        "logs": {
            "status": "Enabled",
            "filter": [{"prefix": "logs/"}],
            "expiration": [{"days": 30}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 3}],
        },
        "fallback": {
            "status": "Enabled",
            "filter": [{"prefix": "fallback/"}],
            "expiration": [{"days": 7}],
            "noncurrent_version_expiration": [{"noncurrent_days": 1}],
            "abort_incomplete_multipart_upload": [{"days_after_initiation": 1}],
        },
    }


def test_logs_of_every_kind_go_after_as_many_days_as_are_asked_for(
    synthesize: Synthesize, stack: TerraformStack
) -> None:
    days = TerraformVariable(stack, "days", type="number").number_value
    rules = {
        rule["id"]: rule.get("expiration")
        for rule in synthesize(log_retention_days=days).the("aws_s3_bucket_lifecycle_configuration")["rule"]
    }
    assert rules["boot-logs"] == rules["event-logs"] == rules["logs"] == [{"days": "${var.days}"}]
    assert rules["incomplete-uploads"] is None, "jobs' data stay"


def test_rules_about_versions_come_after_versions(default: Synthesized) -> None:
    assert default.the("aws_s3_bucket_lifecycle_configuration")["depends_on"] == [
        default.address("aws_s3_bucket_versioning", "spark_storage_versioning")
    ]


def test_the_buckets_policy(default: Synthesized) -> None:
    arn = bucket(default, "arn")
    master, worker = (
        f"${{{default.address('aws_iam_role', f'spark_{role}_role')}.arn}}" for role in ("master", "worker")
    )
    body = default.the("aws_s3_bucket_policy")
    assert body["bucket"] == bucket(default, "id")
    assert json.loads(body["policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "NodesUseData",
                "Effect": "Allow",
                "Principal": {"AWS": [master, worker]},
                "Action": [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": f"{arn}/data/*",
            },
            {
                "Sid": "NodesDeleteNoArtifacts",
                "Effect": "Deny",
                "Principal": {"AWS": [master, worker]},
                "Action": ["s3:DeleteObject*", "s3:RestoreObject"],
                "Resource": f"{arn}/artifacts/*",
            },
            {
                "Sid": "MasterWritesNoPrograms",
                "Effect": "Deny",
                "Principal": {"AWS": master},
                "Action": ["s3:PutObject*", "s3:AbortMultipartUpload"],
                "Resource": f"{arn}/artifacts/node/*",
            },
            {
                "Sid": "MasterWritesArtifactsOnce",
                "Effect": "Deny",
                "Principal": {"AWS": master},
                "Action": "s3:PutObject",
                "Resource": f"{arn}/artifacts/*",
                "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
            },
            {
                "Sid": "WorkersNeverWriteArtifacts",
                "Effect": "Deny",
                "Principal": {"AWS": worker},
                "Action": ["s3:PutObject*", "s3:AbortMultipartUpload"],
                "Resource": f"{arn}/artifacts/*",
            },
            {
                "Sid": "WorkersNeverWriteEventLogs",
                "Effect": "Deny",
                "Principal": {"AWS": worker},
                "Action": [
                    *("s3:PutObject*", "s3:AbortMultipartUpload"),
                    *("s3:DeleteObject*", "s3:RestoreObject"),
                ],
                "Resource": f"{arn}/spark-events/*",
            },
            {
                "Sid": "NodesDeleteNoLogs",
                "Effect": "Deny",
                "Principal": {"AWS": [master, worker]},
                "Action": ["s3:DeleteObject*", "s3:RestoreObject"],
                "Resource": [f"{arn}/logs/*", f"{arn}/boot-logs/*"],
            },
        ],
    }


def test_the_deployer_is_not_locked_out(default: Synthesized) -> None:
    """A Deny with NotPrincipal denies whoever it does not name, the deployer too."""
    assert "NotPrincipal" not in default.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"force_destroy": "yes"}, "force_destroy must be True or False, got 'yes'"),
        ({"bucket_kms_key_arn": "alias/mine"}, f"bucket_kms_key_arn must {NO_ALIAS}, got 'alias/mine'"),
        ({"log_retention_days": 0}, "log_retention_days must be a whole number of at least 1, got 0"),
        ({"log_retention_days": "30"}, "log_retention_days must be a whole number, got '30'"),
        ({"bucket_kms_key_arn": ""}, "bucket_kms_key_arn must be a string that is not empty, got ''"),
    ],
)
def test_refuses(synthesize: Synthesize, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(**arguments)
    assert str(error.value) == message


# --- what callers add --------------------------------------------------------------------------------------------


@pytest.fixture
def storage(stack: TerraformStack) -> ClusterStorage:
    return SparkCluster(stack, "spark", **REQUIRED).storage


def test_rules_of_ones_own_stand_beside_those_of_the_cluster(stack: TerraformStack, storage: ClusterStorage) -> None:
    old = S3BucketLifecycleConfigurationRuleExpiration(days=400)
    only_data = S3BucketLifecycleConfigurationRuleFilter(prefix="data/")
    for id in ("old-data", "older-data"):
        storage.add_lifecycle_rule(
            S3BucketLifecycleConfigurationRule(id=id, status="Enabled", filter=[only_data], expiration=[old])
        )
    rules = Synthesized(stack).the("aws_s3_bucket_lifecycle_configuration")["rule"]
    assert [rule["id"] for rule in rules] == [
        *("incomplete-uploads", "incomplete-artifacts", "noncurrent-versions", "boot-logs", "event-logs", "logs"),
        "fallback",
        *("old-data", "older-data"),
    ]
    assert rules[-1] == {
        "id": "older-data",
        "status": "Enabled",
        "filter": [{"prefix": "data/"}],
        "expiration": [{"days": 400}],
    }


SHARE = {
    "Sid": "Share",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::bucket/data/*",
}


def test_statements_of_ones_own_stand_beside_those_of_the_cluster(
    stack: TerraformStack, storage: ClusterStorage
) -> None:
    storage.add_policy_statement({**SHARE, "Resource": f"{storage.bucket_arn}/data/${{aws:username}}/*"})
    statements = json.loads(Synthesized(stack).the("aws_s3_bucket_policy")["policy"])["Statement"]
    assert len(statements) == 9
    assert statements[-1]["Resource"].endswith(".arn}/data/$${aws:username}/*")


def rule(**changed: Any) -> S3BucketLifecycleConfigurationRule:
    expiration = [S3BucketLifecycleConfigurationRuleExpiration(days=400)]
    return S3BucketLifecycleConfigurationRule(**{"id": "a", "status": "Enabled", "expiration": expiration, **changed})


def test_a_rule_may_hold_what_only_terraform_knows(stack: TerraformStack, storage: ClusterStorage) -> None:
    text = TerraformVariable(stack, "text", type="string").string_value
    days = TerraformVariable(stack, "days", type="number").number_value
    expiration = [S3BucketLifecycleConfigurationRuleExpiration(days=days)]
    storage.add_lifecycle_rule(rule(id=text, status=text, expiration=expiration))
    storage.add_lifecycle_rule(rule(id="b" * 255, status="Disabled"))
    added = Synthesized(stack).the("aws_s3_bucket_lifecycle_configuration")["rule"][-2]
    assert added == {"id": "${var.text}", "status": "${var.text}", "expiration": [{"days": "${var.days}"}]}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"id": "old"}, "rule must be an object such as S3BucketLifecycleConfigurationRule(id='old-data', "),
        (
            S3BucketLifecycleConfigurationRule(id="boot-logs", status="Enabled"),
            "rule.id must be one that no other rule of the bucket has, got 'boot-logs'",
        ),
        (rule(id=""), "rule.id must be a string that is not empty, got ''"),
        (rule(id="a" * 256), "rule.id must have at most 255 characters, got 'aaa"),
        (rule(status="enabled"), "rule.status must be 'Enabled' or 'Disabled', got 'enabled'"),
        (
            S3BucketLifecycleConfigurationRule(id="old", status="Enabled"),
            "rule must do something: have one of abort_incomplete_multipart_upload, expiration, ",
        ),
        (rule(expiration=[]), "rule must do something: have one of abort_incomplete_multipart_upload, expiration, "),
        (
            rule(expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=-5)]),
            "rule.expiration[0].days must be a whole number of at least 1, got -5",
        ),
        (
            rule(transition=[S3BucketLifecycleConfigurationRuleTransition(storage_class="GLACIER", days=-1)]),
            "rule.transition[0].days must be a whole number of at least 0, got -1",
        ),
    ],
)
def test_refuses_a_rule(storage: ClusterStorage, rule: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        storage.add_lifecycle_rule(rule)
    assert str(error.value).startswith(message)


def read_only(value: Any) -> Any:
    return (
        MappingProxyType({key: read_only(inner) for key, inner in value.items()}) if hasattr(value, "items") else value
    )


def test_a_statement_may_be_of_read_only_mappings_and_be_added_again(
    stack: TerraformStack, storage: ClusterStorage
) -> None:
    key = KmsKey(stack, "key")
    for _ in range(2):  # each time it is asked for, an attribute is another token
        statement = {
            **SHARE,
            "Condition": {"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key.arn}},
        }
        storage.add_policy_statement(read_only(statement))
        storage.add_policy_statement({**SHARE, "Sid": "Other"})
    statements = json.loads(Synthesized(stack).the("aws_s3_bucket_policy")["policy"])["Statement"]
    assert [each["Sid"] for each in statements[8:]] == ["Share", "Other"]
    assert statements[8]["Principal"] == SHARE["Principal"]


def test_a_condition_may_be_on_a_key_that_terraform_knows(stack: TerraformStack, storage: ClusterStorage) -> None:
    key = TerraformVariable(stack, "key", type="string").string_value
    condition = {"StringEquals": {f"aws:PrincipalTag/{key}": "data"}}
    storage.add_policy_statement({**SHARE, "Condition": condition})
    statements = json.loads(Synthesized(stack).the("aws_s3_bucket_policy")["policy"])["Statement"]
    assert statements[-1]["Condition"] == {"StringEquals": {"aws:PrincipalTag/${var.key}": "data"}}


def test_a_statement_that_is_refused_leaves_the_others(stack: TerraformStack, storage: ClusterStorage) -> None:
    with pytest.raises(ValueError, match=r"^statement\['Effect'\]"):
        storage.add_policy_statement({**SHARE, "Effect": "allow"})
    storage.add_policy_statement(SHARE)
    statements = json.loads(Synthesized(stack).the("aws_s3_bucket_policy")["policy"])["Statement"]
    assert len(statements) == 9


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("Allow", "statement must be a mapping with Sid, Effect, Principal or NotPrincipal, Action or NotAction, "),
        ({**SHARE, "Sid": "TlsOnly"}, "statement['Sid'] must be one that no other statement of the bucket has, got 'T"),
    ],
)
def test_refuses_a_statement(storage: ClusterStorage, statement: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        storage.add_policy_statement(statement)
    assert str(error.value).startswith(message)


def test_refuses_a_policy_that_is_larger_than_s3_takes(storage: ClusterStorage) -> None:
    keys = [f"arn:aws:s3:::bucket/data/of-somebody-{index:04}/*" for index in range(470)]
    with pytest.raises(ValueError, match=r"^statement must keep the bucket's policy within S3's 20480 bytes "):
        storage.add_policy_statement({**SHARE, "Resource": keys})
    storage.add_policy_statement(SHARE)


def test_another_key_does_not_take_the_buckets_rule_away(synthesize: Synthesize) -> None:
    """Objects that nodes run are made before the old ones go, and Terraform does the same with what they wait for."""
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    found = synthesize(bucket_kms_key_arn=key)
    rule = found.address(ENCRYPTION, "spark_storage_encryption")
    for body in found.all("aws_s3_object").values():
        assert rule not in body["depends_on"]
        assert body["kms_key_id"] == key
    assert rule in found.the("aws_instance")["depends_on"]
    new_first = [
        f"{kind}.{name}"
        for kind, bodies in found.json["resource"].items()
        for name, body in bodies.items()
        if body.get("lifecycle", {}).get("create_before_destroy")
    ]
    graph = found.graph()
    assert new_first
    assert not [one for one in new_first if rule in reached(graph, one)]
