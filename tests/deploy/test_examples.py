"""The examples deployed and destroyed."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.inventory import ClusterInAws
from tests.deploy.conftest import finished

if TYPE_CHECKING:
    from lab.deployment import Deployment
    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def company(deployments: Deployments) -> Deployment:
    return finished(deployments, "existing_stack")


@pytest.fixture(scope="module")
def analytics(aws: EmulatedAws, company: Deployment) -> ClusterInAws:
    return ClusterInAws(aws, "analytics", "eu-central-1")


def test_company_stack_puts_its_tags_on_group_template_and_parameters(analytics: ClusterInAws) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in analytics.group()["Tags"]}
    assert tags == {"Name": "analytics-spark-worker", "team": "data-platform", "cost-center": "4711"}
    launched = {
        kind["ResourceType"]: {tag["Key"]: tag["Value"] for tag in kind["Tags"]}
        for kind in analytics.template()["TagSpecifications"]
        if kind["ResourceType"] != "launch-template"  # the template's own, which EC2 does not tell here
    }
    assert launched == {"instance": tags, "volume": tags, "network-interface": tags}


def test_company_stack_encrypts_with_its_own_key(analytics: ClusterInAws) -> None:
    ebs = analytics.template()["BlockDeviceMappings"][0]["Ebs"]
    key = ebs["KmsKeyId"]
    assert ebs["Encrypted"] is True
    assert key.startswith("arn:aws:kms:eu-central-1:")
    secret = analytics.client("ssm").describe_parameters(
        ParameterFilters=[{"Key": "Name", "Values": ["/spark-cluster/analytics/spark-secret"]}]
    )["Parameters"][0]
    assert secret["KeyId"] == key
    (bucket,) = analytics.left()["buckets"]
    rule = analytics.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule["BucketKeyEnabled"] is True


def test_company_stack_bounds_both_roles(analytics: ClusterInAws) -> None:
    iam = analytics.client("iam")
    for name in analytics.left()["roles"]:
        boundary = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert "policy/analytics-boundary-" in boundary


def test_company_stack_keeps_nodes_private_and_in_both_groups(analytics: ClusterInAws) -> None:
    (interface,) = analytics.template()["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is False
    assert len(interface["Groups"]) == 2
    (interface,) = analytics.master()["NetworkInterfaces"]
    assert len(interface["Groups"]) == 2


def test_company_stack_lets_its_scheduler_submit(analytics: ClusterInAws) -> None:
    iam = analytics.client("iam")
    (role,) = [item["RoleName"] for item in iam.list_roles()["Roles"] if item["RoleName"].startswith("scheduler-")]
    policies = iam.list_role_policies(RoleName=role)["PolicyNames"]
    names = [f"analytics-spark-{name}-" for name in ("data", "event_logs", "fallback", "spark_secret")]
    assert [name[:-26] for name in sorted(policies)] == names


def test_company_stack_has_a_dashboard_whose_name_says_its_region(analytics: ClusterInAws) -> None:
    assert analytics.left()["dashboards"] == ["analytics-spark-eu-central-1"]
    dashboard = analytics.client("cloudwatch").get_dashboard(DashboardName="analytics-spark-eu-central-1")
    properties = [widget["properties"] for widget in json.loads(dashboard["DashboardBody"])["widgets"]]
    assert {(each["region"], each["metrics"][0][0]) for each in properties} == {
        ("eu-central-1", "SparkCluster/analytics")
    }


def test_two_clusters_share_nothing(aws: EmulatedAws, deployments: Deployments) -> None:
    finished(deployments, "two_clusters")
    reports, backfill = ClusterInAws(aws, "reports"), ClusterInAws(aws, "backfill")
    assert reports.settings("worker")["spark_version"] == "4.2.1"
    assert backfill.settings("worker")["spark_version"] == "4.3.0"
    assert set(reports.left()["security_groups"]).isdisjoint(backfill.left()["security_groups"])
    assert backfill.parameters().keys() == {"about", "spark-secret"}
    assert backfill.group()["DesiredCapacity"] == 0
    assert backfill.instances("worker") == []
    assert backfill.left()["alarms"] == ["backfill-spark-master-impaired"]
    assert sorted(reports.left()["alarms"]) == [
        *("reports-spark-master-impaired", "reports-spark-workers-scale-in", "reports-spark-workers-scale-out")
    ]


@pytest.fixture(scope="module")
def ported(deployments: Deployments) -> Deployment:
    return finished(deployments, "ported_module")


@pytest.fixture(scope="module")
def platform(aws: EmulatedAws, ported: Deployment) -> ClusterInAws:
    return ClusterInAws(aws, "platform", "ap-southeast-2")


def test_ported_module_bids_the_old_price_for_the_old_sizes(platform: ClusterInAws) -> None:
    group = platform.group()
    assert (group["MinSize"], group["DesiredCapacity"], group["MaxSize"]) == (2, 4, 10)
    assert group["MixedInstancesPolicy"]["InstancesDistribution"]["SpotMaxPrice"] == "0.0095"
    assert platform.template()["KeyName"] == "operators"
    assert platform.template()["EbsOptimized"] is True


def test_callers_private_key_is_in_its_parameter_and_nowhere_else(
    ported: Deployment, platform: ClusterInAws, private_key: str
) -> None:
    held = platform.parameters()["fleet-private-key-given"]
    assert (held["Type"], held["Value"].strip()) == ("SecureString", private_key.strip())
    body = private_key.splitlines()[1]
    elsewhere = [value["Value"] for name, value in platform.parameters().items() if name != "fleet-private-key-given"]
    documents = [gzip.decompress(platform.user_data(role)).decode() for role in ("master", "worker")]
    files = [
        file.read_text(errors="replace")
        for file in ported.folder.rglob("*")
        if file.is_file() and ".terraform" not in file.parts
    ]
    assert len(files) > 3
    assert not [text for text in [ported.state(), *elsewhere, *documents, *files] if body in text]


def test_a_later_plan_needs_no_private_key(ported: Deployment) -> None:
    """Only the deploy that writes it does; nor does a destroy: tests/deploy/test_removal.py."""
    variables = {name: text for name, text in ported.variables.items() if name != "fleet_private_key"}
    with_it, without = (one.plan()["resource_changes"] for one in (ported, replace(ported, variables=variables)))
    assert [change["change"]["actions"] for change in without] == [change["change"]["actions"] for change in with_it]
    assert not [change for change in without if "delete" in change["change"]["actions"]]
