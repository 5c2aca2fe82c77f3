"""`main.py` deployed, changed and destroyed."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.inventory import NODE_FILLS, ClusterInAws
from spark_cluster import limits, userdata
from tests.deploy.conftest import finished

if TYPE_CHECKING:
    from lab.deployment import Deployment
    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments


@pytest.fixture(scope="module")
def deployed(deployments: Deployments) -> Deployment:
    return finished(deployments, "main")


@pytest.fixture(scope="module")
def cluster(aws: EmulatedAws, deployed: Deployment) -> ClusterInAws:
    return ClusterInAws(aws, "demo")


def test_outputs_are_filled_in(deployed: Deployment, cluster: ClusterInAws) -> None:
    outputs = deployed.outputs()
    master = cluster.master()["InstanceId"]
    assert outputs["master_url"] == "spark://master.demo-spark:7077"
    assert outputs["master_ui_url"] == "http://master.demo-spark:8080"
    assert outputs["group_name"] == "demo-spark-workers"
    assert outputs["bucket_name"].startswith("demo-spark-")
    assert outputs["security_group_id"].startswith("sg-")
    for command in ("shell_command", "ui_command", "submit_command", "wait_command"):
        assert f"--target {master}" in outputs[command]
    assert f"spark-job s3://{outputs['bucket_name']}/data/" in outputs["submit_command"]


def test_group_is_of_spot_workers_with_a_launch_hook(cluster: ClusterInAws) -> None:
    group = cluster.group()
    policy = group["MixedInstancesPolicy"]
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (2, 2, 4)
    assert [override["InstanceType"] for override in policy["LaunchTemplate"]["Overrides"]] == [
        "m6i.xlarge",
        "m6a.xlarge",
        "m5.xlarge",
        "m5a.xlarge",
    ]
    distribution = policy["InstancesDistribution"]
    assert distribution["SpotAllocationStrategy"] == "price-capacity-optimized"
    assert int(distribution["OnDemandBaseCapacity"]) == 0
    assert int(distribution["OnDemandPercentageAboveBaseCapacity"]) == 0
    assert group["CapacityRebalance"] is True
    assert [process["ProcessName"] for process in group["SuspendedProcesses"]] == ["AZRebalance"]
    hooks = cluster.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName="demo-spark-workers")
    keys = ("LifecycleHookName", "LifecycleTransition", "HeartbeatTimeout", "DefaultResult")
    assert {tuple(hook[key] for key in keys) for hook in hooks["LifecycleHooks"]} == {
        ("registered-with-master", "autoscaling:EC2_INSTANCE_LAUNCHING", 1800, "ABANDON"),
        ("drained", "autoscaling:EC2_INSTANCE_TERMINATING", 1100, "CONTINUE"),
    }
    assert len(cluster.instances("worker")) == 2


def test_master_is_one_hardened_instance(cluster: ClusterInAws) -> None:
    master = cluster.master()
    assert master["InstanceType"] == "m6i.large"
    assert master["MetadataOptions"]["HttpTokens"] == "required"
    assert master["IamInstanceProfile"]["Arn"].rpartition("/")[2].startswith("demo-master-")


def test_record_points_at_the_master(cluster: ClusterInAws) -> None:
    assert cluster.record() == [cluster.master()["PrivateIpAddress"]]


@pytest.mark.parametrize("role", ["master", "worker"])
def test_user_data_is_what_the_construct_made_to_the_byte(
    deployed: Deployment, cluster: ClusterInAws, role: str
) -> None:
    document = gzip.decompress(cluster.user_data(role)).decode()
    settings_line = json.dumps(cluster.settings(role), separators=(",", ":"), sort_keys=True)
    assert document == userdata.script(role, settings_line)
    synthesized = deployed.synthesized()["locals"]
    (expected,) = [value for key, value in synthesized.items() if "settings" in key and value["role"] == role]
    assert expected.keys() == cluster.settings(role).keys()
    assert len(cluster.user_data(role)) <= limits.USER_DATA_BYTES // 2


@pytest.mark.parametrize("role", ["master", "worker"])
def test_programs_in_the_bucket_are_those_of_the_user_data(
    deployed: Deployment, cluster: ClusterInAws, role: str
) -> None:
    key = cluster.settings(role)["programs_key"]
    stored = cluster.client("s3").get_object(Bucket=deployed.outputs()["bucket_name"], Key=key)["Body"].read()
    assert stored == userdata.archive(role)


def test_worker_role_reads_the_secret_and_the_public_key_and_no_private_key(cluster: ClusterInAws) -> None:
    readable = [
        resource
        for statements in cluster.policies("worker").values()
        for statement in statements
        if "ssm:GetParameter" in statement["Action"]
        for resource in statement["Resource"]
    ]
    assert sorted(resource.rpartition("/")[2] for resource in readable) == ["fleet-public-key", "spark-secret"]


def test_only_the_master_role_may_write_artifacts(cluster: ClusterInAws) -> None:
    writers = [
        role
        for role in ("master", "worker")
        for statements in cluster.policies(role).values()
        for statement in statements
        if "s3:PutObject" in statement["Action"] and any("/artifacts/" in arn for arn in statement["Resource"])
    ]
    assert writers == ["master"]


def test_parameters_that_nodes_fill_hold_the_placeholder(cluster: ClusterInAws) -> None:
    found = {name: (item["Type"], item["Value"]) for name, item in cluster.filled_parameters().items()}
    assert found == {
        "spark-secret": ("SecureString", "unset"),
        "fleet-private-key": ("SecureString", "unset"),
        "fleet-public-key": ("String", "unset"),
    }


def test_a_parameter_says_what_the_clusters_name_does_not(deployed: Deployment, cluster: ClusterInAws) -> None:
    about = json.loads(cluster.parameters()["about"]["Value"])
    outputs = deployed.outputs()
    assert about == {
        "bucket_name": outputs["bucket_name"],
        "security_group_id": outputs["security_group_id"],
        "master_host": "master.demo-spark",
    }


def test_bucket_is_private_encrypted_versioned_and_tls_only(deployed: Deployment, cluster: ClusterInAws) -> None:
    s3, bucket = cluster.client("s3"), deployed.outputs()["bucket_name"]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    statements = {statement["Sid"]: statement for statement in policy["Statement"]}
    assert set(blocked.values()) == {True}
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert rule["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert statements["TlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    denied = statements["WorkersNeverWriteArtifacts"]
    assert denied["Effect"] == "Deny"
    assert "/demo-worker-" in str(denied["Principal"]["AWS"])
    assert denied["Resource"] == f"arn:aws:s3:::{bucket}/artifacts/*"


@pytest.fixture(scope="module")
def before(aws: EmulatedAws, deployed: Deployment, cluster: ClusterInAws) -> dict[str, Any]:
    """The cluster as it was before the change, after it has run for a while."""
    cluster.run_for_a_while(deployed.outputs()["bucket_name"])
    return {
        "master": cluster.master()["InstanceId"],
        "bucket": deployed.outputs()["bucket_name"],
        "template_version": _template_version(cluster),
        "workers": sorted(instance["InstanceId"] for instance in cluster.instances("worker")),
        "refreshes": _refreshes(aws),
    }


@pytest.fixture(scope="module")
def changed(deployed: Deployment, before: dict[str, Any]) -> dict[str, Any]:
    """A new Spark version and larger sizes, deployed over it."""
    deployed.context = {"spark_version": "4.2.1", "min_size": 3, "max_size": 8}
    done = deployed.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    return before


def test_new_spark_version_replaces_the_master_under_the_same_name(
    changed: dict[str, Any], cluster: ClusterInAws
) -> None:
    assert cluster.master()["InstanceId"] != changed["master"]
    assert cluster.record() == [cluster.master()["PrivateIpAddress"]]
    assert cluster.settings("master")["spark_version"] == "4.2.1"


def test_new_spark_version_starts_a_rolling_refresh_of_the_workers(
    aws: EmulatedAws, changed: dict[str, Any], cluster: ClusterInAws
) -> None:
    assert cluster.settings("worker")["spark_version"] == "4.2.1"
    assert int(_template_version(cluster)) > int(changed["template_version"])
    assert len(_refreshes(aws)) == len(changed["refreshes"]) + 1
    assert _refreshes(aws)[-1]["preferences"]["SkipMatching"] is False
    assert set(changed["workers"]) <= {instance["InstanceId"] for instance in cluster.instances("worker")}


@pytest.mark.parametrize(
    "asked",
    [
        {"Preferences": {"SkipMatching": True}},
        {"DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateName": "any", "Version": "1"}}},
    ],
    ids=["skip matching", "desired configuration"],
)
def test_refresh_that_aws_refuses_for_a_template_with_a_parameter_is_refused(
    cluster: ClusterInAws, asked: dict[str, Any]
) -> None:
    scaling = cluster.client("autoscaling")
    with pytest.raises(scaling.exceptions.ClientError, match="Systems Manager parameter"):
        scaling.start_instance_refresh(AutoScalingGroupName="demo-spark-workers", **asked)


def test_new_sizes_reach_the_group(changed: dict[str, Any], cluster: ClusterInAws) -> None:
    assert changed
    assert (cluster.group()["MinSize"], cluster.group()["MaxSize"]) == (3, 8)


def test_change_leaves_what_nodes_filled_and_the_bucket_alone(
    changed: dict[str, Any], deployed: Deployment, cluster: ClusterInAws
) -> None:
    assert all(item["Value"] == NODE_FILLS[item["Type"]] for item in cluster.filled_parameters().values())
    assert deployed.outputs()["bucket_name"] == changed["bucket"]
    assert cluster.client("s3").get_object(Bucket=changed["bucket"], Key="data/result")["Body"].read() == b"new"
    assert NODE_FILLS["SecureString"] not in deployed.state()


def _template_version(cluster: ClusterInAws) -> str:
    used = cluster.group()["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    return str(used["Version"])


def _refreshes(aws: EmulatedAws) -> list[dict[str, Any]]:
    calls = aws.actions("demo-spark-workers")
    return [call for call in calls if call["action"] == "StartInstanceRefresh"]
