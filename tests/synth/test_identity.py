from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from spark_cluster import SparkArchive, fleet_key
from tests.synth.policies import LIST, allow, arn, bucket_arn, event_logs, fallback, read_write_data
from tests.synth.synthesized import Statements, Synthesized, listed

if TYPE_CHECKING:
    from cdktf import TerraformStack

    from tests.synth.conftest import Synthesize

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WITHOUT_RESOURCE_TYPE = {
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonmessagegatewayservice.html
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    # AWS's own policies for Session Manager give it on `*` only: the agent asks before any instance is managed.
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
    "ssm:UpdateInstanceInformation",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    # With a condition: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
    "cloudwatch:PutMetricData",
}
"""Actions that may stand beside `*`."""

READ_DATA = {"s3:GetObject"}
WRITE_ACTIONS = ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload")
PUT = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
TAKE_OUT = [
    *("autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:EnterStandby"),
    *("autoscaling:SetInstanceHealth", "autoscaling:SetInstanceProtection"),
]
SESSION_MANAGER = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]


def parameter_arn(stack: Synthesized, name: str) -> str:
    return arn(stack, "aws_ssm_parameter", f"spark_{name}_parameter")


def endpoint(stack: Synthesized, service: str) -> str:
    region = stack.address("data.aws_region", "spark_location_region")
    partition = stack.address("data.aws_partition", "spark_location_partition")
    return f"{service}.${{{region}.id}}.${{{partition}.dns_suffix}}"


def here(stack: Synthesized, service: str, resource: str) -> str:
    partition = stack.address("data.aws_partition", "spark_location_partition")
    region = stack.address("data.aws_region", "spark_location_region")
    account = stack.address("data.aws_caller_identity", "spark_location_caller")
    return f"arn:${{{partition}.partition}}:{service}:${{{region}.id}}:${{{account}.account_id}}:{resource}"


def group_arn(stack: Synthesized) -> str:
    return here(stack, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/demo-spark-workers")


def all_statements(stack: Synthesized, role: str) -> Statements:
    """What a role may do by its own policies and by the bucket's."""
    own = [statement for policy in stack.policies(role).values() for statement in policy]
    role_arn = arn(stack, "aws_iam_role", f"spark_{role}_role")
    bucket = json.loads(stack.the("aws_s3_bucket_policy")["policy"])["Statement"]
    concerns = [each for each in bucket if each["Principal"] == "*" or role_arn in listed(each["Principal"]["AWS"])]
    return Statements(own + concerns)


def test_the_masters_policies_are_these_and_no_other(default: Synthesized) -> None:
    bucket = bucket_arn(default)
    assert default.policies("master") == {
        "session_manager": [allow(SESSION_MANAGER, "*")],
        "watch_workers": [
            allow(
                [
                    *("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"),
                    *("ec2:DescribeInstances", "ec2:DescribeInstanceTypes"),
                ],
                "*",
            )
        ],
        "take_workers_out": [
            allow(TAKE_OUT, group_arn(default)),
        ],
        "spark_secret": [allow(["ssm:GetParameter", "ssm:PutParameter"], parameter_arn(default, "spark_secret"))],
        "fleet_private_key": [
            allow(["ssm:GetParameter", "ssm:PutParameter"], parameter_arn(default, "fleet_key_private"))
        ],
        "fleet_public_key": [
            allow(["ssm:GetParameter", "ssm:PutParameter"], parameter_arn(default, "fleet_key_public"))
        ],
        "data": read_write_data(bucket),
        "artifacts": [
            allow(LIST, bucket),
            allow(["s3:GetObject"], f"{bucket}/artifacts/*"),
            allow(PUT, f"{bucket}/artifacts/spark/*"),
        ],
        "event_logs": event_logs(bucket),
        "boot_logs": [allow(LIST, bucket), allow(["s3:GetObject", "s3:PutObject"], f"{bucket}/boot-logs/*")],
        "logs": [
            allow(LIST, bucket),
            allow(["s3:PutObject"], f"{bucket}/logs/daemons/*"),
            allow(["s3:GetObject"], f"{bucket}/logs/drains/*"),
        ],
        "fallback": fallback(bucket),
    }


def test_the_workers_policies_are_these_and_no_other(default: Synthesized) -> None:
    bucket = bucket_arn(default)
    assert default.policies("worker") == {
        "session_manager": [allow(SESSION_MANAGER, "*")],
        "complete_launch": [allow(["autoscaling:CompleteLifecycleAction"], group_arn(default))],
        "spark_secret": [allow(["ssm:GetParameter"], parameter_arn(default, "spark_secret"))],
        "fleet_public_key": [allow(["ssm:GetParameter"], parameter_arn(default, "fleet_key_public"))],
        "data": read_write_data(bucket),
        "artifacts": [allow(LIST, bucket), allow(["s3:GetObject"], f"{bucket}/artifacts/*")],
        "boot_logs": [allow(LIST, bucket), allow(["s3:PutObject"], f"{bucket}/boot-logs/*")],
        "logs": [allow(LIST, bucket), allow(["s3:PutObject"], f"{bucket}/logs/*")],
        "fallback": [
            allow(LIST, bucket),
            allow(["s3:GetObject", *PUT], f"{bucket}/fallback/*"),
            allow(["s3:GetObject"], f"{bucket}/fallback"),
        ],
    }


def key_use(stack: Synthesized, role: str) -> dict[str, list[dict[str, Any]]]:
    found = {
        name: [each for each in policy if "kms" in str(each["Action"])] for name, policy in stack.policies(role).items()
    }
    return {name: statements for name, statements in found.items() if statements}


def test_keys_of_the_callers_add_their_use_to_the_policies_that_need_it(synthesize: Synthesize) -> None:
    """Through their service, and for the cluster's own bucket and parameters only; who only reads encrypts nothing."""
    bucket_key, parameter_key = KEY, KEY.replace("1234abcd", "5678efab")
    stack = synthesize(bucket_kms_key_arn=bucket_key, parameter_kms_key_arn=parameter_key)
    bucket = bucket_arn(stack)

    def use_bucket(*actions: str) -> list[dict[str, Any]]:
        context = {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}
        conditions = {"StringEquals": {"kms:ViaService": [endpoint(stack, "s3")]}, "StringLike": context}
        return [{**allow(list(actions), bucket_key), "Condition": conditions}]

    def use_parameter(name: str, *actions: str) -> list[dict[str, Any]]:
        own = {
            "kms:ViaService": [endpoint(stack, "ssm")],
            "kms:EncryptionContext:PARAMETER_ARN": [parameter_arn(stack, name)],
        }
        return [{**allow(list(actions), parameter_key), "Condition": {"StringEquals": own}}]

    write = use_bucket("kms:Decrypt", "kms:GenerateDataKey")
    assert key_use(stack, "master") == {
        "data": write,
        "artifacts": write,
        "event_logs": write,
        "fallback": write,
        "boot_logs": write,
        "logs": write,
        "spark_secret": use_parameter("spark_secret", "kms:Decrypt", "kms:Encrypt"),
        "fleet_private_key": use_parameter("fleet_key_private", "kms:Decrypt", "kms:Encrypt"),
    }
    assert key_use(stack, "worker") == {
        "data": write,
        "artifacts": use_bucket("kms:Decrypt"),
        "fallback": write,
        "boot_logs": write,
        "logs": write,
        "spark_secret": use_parameter("spark_secret", "kms:Decrypt"),
    }


def test_an_archive_in_s3_may_be_read_by_both_roles_and_nothing_else_of_its_bucket(synthesize: Synthesize) -> None:
    stack = synthesize(spark_archive=SparkArchive("s3://company/spark/4.3.0.tgz", "a" * 64))
    partition = stack.address("data.aws_partition", "spark_location_partition")
    expected = [allow(["s3:GetObject"], f"arn:${{{partition}.partition}}:s3:::company/spark/4.3.0.tgz")]
    assert stack.policies("master")["spark_archive"] == expected
    assert stack.policies("worker")["spark_archive"] == expected


def test_an_archive_elsewhere_needs_no_permission(synthesize: Synthesize) -> None:
    stack = synthesize(spark_archive=SparkArchive("https://example.org/spark.tgz", "a" * 64))
    assert "spark_archive" not in {**stack.policies("master"), **stack.policies("worker")}


@pytest.mark.parametrize("role", ["master", "worker"])
def test_a_star_stands_only_where_an_action_has_no_resource_type(synthesize: Synthesize, role: str) -> None:
    stack = synthesize(
        bucket_kms_key_arn=KEY,
        parameter_kms_key_arn=KEY,
        spark_archive=SparkArchive("s3://company/spark.tgz", "a" * 64),
        fleet_key=fleet_key.SsmParameter("/team/key", KEY),
    )
    everywhere = {
        action
        for policy in stack.policies(role).values()
        for statement in policy
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert everywhere
    assert everywhere <= WITHOUT_RESOURCE_TYPE


def test_no_action_has_a_wildcard(default: Synthesized) -> None:
    for role in ("master", "worker"):
        for policy in default.policies(role).values():
            assert not [action for statement in policy for action in statement["Action"] if "*" in action]


@pytest.mark.parametrize(
    "action", ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory", "ssm:PutParameter"]
)
def test_a_worker_never_reads_or_writes_the_private_key(default: Synthesized, action: str) -> None:
    assert not all_statements(default, "worker").allow(action, parameter_arn(default, "fleet_key_private"))


def test_a_worker_never_reads_a_private_key_of_the_callers(synthesize: Synthesize) -> None:
    stack = synthesize(fleet_key=fleet_key.SsmParameter("/team/key"))
    parameter = here(stack, "ssm", "parameter/team/key")
    assert all_statements(stack, "master").allow("ssm:GetParameter", parameter)
    assert not all_statements(stack, "worker").allow("ssm:GetParameter", parameter)


def test_a_worker_reads_by_no_path_and_no_parameter_of_others(default: Synthesized) -> None:
    """Session Manager's managed policy would allow every parameter of the account, and `aws/ssm` asks for no key."""
    worker = all_statements(default, "worker")
    assert not worker.allow("ssm:GetParametersByPath", here(default, "ssm", "parameter/spark-cluster/demo"))
    assert not worker.allow("ssm:GetParameter", here(default, "ssm", "parameter/anything/else"))
    assert worker.allow("ssm:GetParameter", parameter_arn(default, "spark_secret"))


@pytest.mark.parametrize("key", ["spark/spark-4.3.0-bin-hadoop3.tgz", "node/worker-1.tar", "x"])
@pytest.mark.parametrize("action", WRITE_ACTIONS)
def test_a_worker_never_writes_artifacts(default: Synthesized, action: str, key: str) -> None:
    assert not all_statements(default, "worker").allow(action, f"{bucket_arn(default)}/artifacts/{key}")


def test_a_worker_never_writes_artifacts_whatever_else_its_role_is_given(
    synthesize: Synthesize, stack: TerraformStack
) -> None:
    """Within an account a role's policy or the bucket's suffices to allow, so the bucket's has to deny."""
    found = synthesize()
    anything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    generous = Statements([*all_statements(found, "worker").statements, anything])
    for action in (
        *WRITE_ACTIONS,
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:DeleteObjectTagging",
        "s3:RestoreObject",
    ):
        assert not generous.allow(action, f"{bucket_arn(found)}/artifacts/spark/x.tgz")
    assert generous.allow("s3:PutObject", f"{bucket_arn(found)}/data/x")
    assert stack


@pytest.mark.parametrize("action", WRITE_ACTIONS)
def test_a_worker_never_writes_event_logs_whatever_else_its_role_is_given(default: Synthesized, action: str) -> None:
    """The history server on the master reads them."""
    anything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    event_log = f"{bucket_arn(default)}/spark-events/eventlog_v2_app-1/events_1_app-1"
    assert not all_statements(default, "worker").allow("s3:GetObject", event_log)
    assert not Statements([*all_statements(default, "worker").statements, anything]).allow(action, event_log)
    if action != "s3:DeleteObjectVersion":
        assert all_statements(default, "master").allow(action, event_log)


@pytest.mark.parametrize("role", ["master", "worker"])
def test_both_roles_leave_logs_and_neither_reads_a_program_s_or_deletes_one_whatever_else_it_is_given(
    default: Synthesized, role: str
) -> None:
    may = all_statements(default, role)
    generous = Statements([*may.statements, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    of_executor, of_daemons = (f"{bucket_arn(default)}/logs/{key}" for key in ("app-1/0/stderr", "daemons/i-1/journal"))
    assert may.allow("s3:PutObject", of_daemons)
    assert may.allow("s3:PutObject", of_executor) == (role == "worker"), "the master has no executors"
    for key in (of_daemons, of_executor):
        assert not may.allow("s3:GetObject", key)
    of_drain = f"{bucket_arn(default)}/logs/drains/i-1-20260101T000000Z.json"
    assert may.allow("s3:PutObject", of_drain) == (role == "worker")
    assert may.allow("s3:GetObject", of_drain) == (role == "master"), "spark-status"
    for key in (of_daemons, of_executor, of_drain, f"{bucket_arn(default)}/boot-logs/i-1"):
        for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:RestoreObject"):
            assert not generous.allow(action, key)


def test_workers_use_the_fallback_and_drivers_clear_it(default: Synthesized) -> None:
    """No driver runs on a worker; what a worker writes anew stays as an earlier version for a day."""
    block = f"{bucket_arn(default)}/fallback/app-1/0/1234/shuffle_0_1_0.data"
    for role in ("master", "worker"):
        may = all_statements(default, role)
        assert may.allow("s3:GetObject", block)
        assert may.allow("s3:GetObject", f"{bucket_arn(default)}/fallback"), "S3A asks for a folder as for an object"
        assert may.allow("s3:PutObject", block)
        assert may.allow("s3:AbortMultipartUpload", block)
        assert may.allow("s3:DeleteObject", block) == (role == "master")
        assert not may.allow("s3:DeleteObjectVersion", block)


@pytest.mark.parametrize("action", TAKE_OUT)
def test_the_master_alone_takes_workers_out_and_of_its_own_group_only(default: Synthesized, action: str) -> None:
    ours = here(default, "autoscaling", "autoScalingGroup:1234:autoScalingGroupName/demo-spark-workers")
    assert all_statements(default, "master").allow(action, ours)
    assert not all_statements(default, "master").allow(action, f"{ours}-2")
    assert not all_statements(default, "worker").allow(action, ours)


def test_the_master_writes_artifacts_and_a_worker_reads_them(default: Synthesized) -> None:
    tarball = f"{bucket_arn(default)}/artifacts/spark/x.tgz"
    assert all_statements(default, "master").allow("s3:PutObject", tarball)
    assert all_statements(default, "worker").allow("s3:GetObject", tarball)


@pytest.mark.parametrize("role", ["master", "worker"])
def test_both_roles_use_data_and_leave_a_boot_log(default: Synthesized, role: str) -> None:
    may = all_statements(default, role)
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert may.allow(action, f"{bucket_arn(default)}/data/a/b")
    assert may.allow("s3:PutObject", f"{bucket_arn(default)}/boot-logs/i-1")
    assert may.allow("s3:GetObject", f"{bucket_arn(default)}/boot-logs/i-1") == (role == "master"), "spark-status"
    assert may.allow("s3:ListBucket", bucket_arn(default))
    assert not may.allow("s3:PutBucketPolicy", bucket_arn(default))
    assert not may.allow("s3:DeleteObjectVersion", f"{bucket_arn(default)}/data/a")


def test_a_worker_completes_hooks_of_its_own_group_only(default: Synthesized) -> None:
    worker = all_statements(default, "worker")
    ours = here(default, "autoscaling", "autoScalingGroup:1234:autoScalingGroupName/demo-spark-workers")
    assert worker.allow("autoscaling:CompleteLifecycleAction", ours)
    assert not worker.allow("autoscaling:CompleteLifecycleAction", f"{ours}-2")
    assert not worker.allow("autoscaling:SetDesiredCapacity", ours)


@pytest.mark.parametrize("role", ["master", "worker"])
def test_a_node_gets_its_role_from_ec2_alone(default: Synthesized, role: str) -> None:
    partition = default.address("data.aws_partition", "spark_location_partition")
    assert json.loads(default.the("aws_iam_role", f"spark_{role}_role")["assume_role_policy"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"ec2.${{{partition}.dns_suffix}}"},
                "Action": "sts:AssumeRole",
            }
        ],
    }


def test_no_managed_policy_is_attached(default: Synthesized) -> None:
    """`AmazonSSMManagedInstanceCore` reads every parameter of the account, the fleet's private key among them."""
    assert not default.all("aws_iam_role_policy_attachment")
    assert "AmazonSSMManagedInstanceCore" not in default.text


@pytest.mark.parametrize("role", ["master", "worker"])
def test_iam_names_are_prefixes_since_they_are_global_to_the_account(default: Synthesized, role: str) -> None:
    """The same cluster may live in two regions."""
    for kind, name in (
        ("aws_iam_role", f"spark_{role}_role"),
        ("aws_iam_instance_profile", f"spark_{role}_role_instance_profile"),
    ):
        body = default.the(kind, name)
        assert body["name_prefix"] == f"demo-{role}-"
        assert "name" not in body


def test_the_longest_name_fits_where_aws_gives_least_room(synthesize: Synthesize) -> None:
    """A role's prefix has at most 38 characters, a bucket's 37."""
    stack = synthesize(name="a" * 24)
    assert all(len(body["name_prefix"]) <= 38 for body in stack.all("aws_iam_role").values())
    assert len(stack.the("aws_s3_bucket")["bucket_prefix"]) <= 37


def test_no_boundary_unless_one_is_given(default: Synthesized) -> None:
    assert all("permissions_boundary" not in body for body in default.all("aws_iam_role").values())


def test_a_boundary_is_that_of_both_roles(synthesize: Synthesize) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    roles = synthesize(permissions_boundary_arn=boundary).all("aws_iam_role")
    assert [body["permissions_boundary"] for body in roles.values()] == [boundary, boundary]


def test_an_account_that_is_given_is_the_one_in_the_policies(synthesize: Synthesize) -> None:
    stack = synthesize(account_id="111122223333", fleet_key=fleet_key.SsmParameter("/team/key"))
    assert not stack.all("data.aws_caller_identity")
    [launch] = stack.policies("worker")["complete_launch"]
    [key] = stack.policies("master")["fleet_private_key"]
    assert ":111122223333:autoScalingGroup:" in launch["Resource"][0]
    assert key["Resource"][0].endswith(":111122223333:parameter/team/key")


def test_arns_follow_the_partition(default: Synthesized) -> None:
    assert "arn:aws:" not in default.text
