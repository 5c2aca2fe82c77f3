"""Nothing replaces or stops master, group or bucket, or keeps one from destroying them, but their own arguments."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.inventory import ClusterInAws
from tests.deploy.conftest import finished
from tests.synth.synthesized import plain

if TYPE_CHECKING:
    from pathlib import Path

    from lab.deployment import Deployment
    from lab.serving import EmulatedAws
    from tests.deploy.conftest import Deployments

REGION = "eu-central-1"


@pytest.fixture(scope="module")
def deployed(deployments: Deployments) -> Deployment:
    return finished(deployments, "unasked")


def changes(deployment: Deployment, *arguments: str, **variables: str) -> dict[str, list[str]]:
    """What a plan would do, by address without the hash; what it would leave alone is not there."""
    document = replace(deployment, variables={**deployment.variables, **variables}).plan(*arguments)
    found = {plain(change["address"]): change["change"]["actions"] for change in document["resource_changes"]}
    return {address: actions for address, actions in found.items() if actions not in (["no-op"], ["read"])}


@pytest.fixture(scope="module")
def noise(deployed: Deployment) -> dict[str, list[str]]:
    """What a plan right after the deploy would change, since this AWS does not answer with all that it was given."""
    found = changes(deployed)
    assert {tuple(actions) for actions in found.values()} <= {("update",)}
    assert not [address for address in found if address.startswith(("aws_s3_", "aws_autoscaling_group", "aws_launch_"))]
    return found


def test_another_tag_on_the_vpc_the_subnets_and_the_ami_changes_only_these(
    deployed: Deployment, noise: dict[str, list[str]]
) -> None:
    """Data sources that depend on them are then read late: what they said would not be known."""
    tagged = ("aws_vpc.vpc", "aws_subnet.subnet_0", "aws_subnet.subnet_1", "aws_ami_copy.image")
    assert changes(deployed, tag="after") == {**noise, **{address: ["update"] for address in tagged}}


def test_another_order_of_the_subnets_changes_nothing(deployed: Deployment, noise: dict[str, list[str]]) -> None:
    assert changes(deployed, which="turned") == noise


def test_another_order_does_not_hide_that_there_is_one_subnet_less(
    deployed: Deployment, noise: dict[str, list[str]]
) -> None:
    assert changes(deployed, which="second") == {**noise, "aws_autoscaling_group.spark_workers_group": ["update"]}


def recompressed(text: str) -> str:
    """The same content as another compressor has it."""
    other = base64.b64encode(gzip.compress(gzip.decompress(base64.b64decode(text)), compresslevel=1, mtime=1)).decode()
    assert other != text
    return other


def test_a_terraform_that_compresses_otherwise_changes_nothing(deployed: Deployment, tmp_path: Path) -> None:
    """Played by a state of which each compressed text is that of another compressor."""
    compressed = re.compile(r'(?<=")H4sI[A-Za-z0-9+/=]{1000,}(?=")')
    state, found = compressed.subn(lambda text: recompressed(text[0]), deployed.state())
    assert found == 1 + 3  # the master's, and the workers': what is kept, what goes into it, and the template
    altered = tmp_path / "altered.tfstate"
    altered.write_text(state)
    unasked = "-refresh=false"
    assert changes(deployed, unasked, f"-state={altered}") == changes(deployed, unasked)


def test_a_master_that_was_stopped_over_night_is_not_replaced(
    aws: EmulatedAws, deployed: Deployment, noise: dict[str, list[str]]
) -> None:
    """Without an address then, though one was asked for."""
    ec2 = aws.client("ec2", REGION)
    master = ClusterInAws(aws, "unasked", REGION).master()["InstanceId"]
    ec2.stop_instances(InstanceIds=[master])
    try:
        [instance] = ec2.describe_instances(InstanceIds=[master])["Reservations"][0]["Instances"]
        assert "PublicIpAddress" not in instance
        assert changes(deployed) == noise
    finally:
        ec2.start_instances(InstanceIds=[master])


def test_a_group_that_is_replaced_gets_all_anew_that_aws_deletes_with_it(deployed: Deployment) -> None:
    """Its name stays, so that nothing that is known by that has changed."""
    found = changes(deployed, boot_timeout_seconds="1200")
    of_the_group = {address for address in found if address.startswith("aws_autoscaling_")}
    assert {address.partition(".")[0] for address in of_the_group} == {
        *("aws_autoscaling_group", "aws_autoscaling_lifecycle_hook", "aws_autoscaling_policy")
    }
    assert {address: found[address] for address in of_the_group} == {
        address: ["delete", "create"] for address in of_the_group
    }


def test_another_master_is_no_change_of_the_workers(deployed: Deployment, noise: dict[str, list[str]]) -> None:
    """With an AMI of the caller's, too, of which only the master knows where its root device is."""
    [master] = [one for one in deployed.plan()["resource_changes"] if one["type"] == "aws_instance"]
    found = changes(deployed, "-replace={}".format(master["address"]))
    assert sorted(found[plain(master["address"])]) == ["create", "delete"]
    assert not [one for one in found.keys() - noise.keys() if one.startswith(("aws_launch_", "aws_autoscaling_"))]


def test_an_ami_that_is_gone_is_no_obstacle_to_a_plan(aws: EmulatedAws, deployments: Deployments) -> None:
    """Nor to a destroy: tests/deploy/test_removal.py."""
    deployment = finished(deployments, "kept_bucket")
    before = changes(deployment)
    ec2 = aws.client("ec2", "us-west-2")
    ec2.deregister_image(ImageId=deployment.variables["ami_id"])
    assert not ec2.describe_images(Filters=[{"Name": "image-id", "Values": [deployment.variables["ami_id"]]}])["Images"]
    assert changes(deployment) == before


def test_a_subnet_that_is_gone_is_named_by_the_plan(aws: EmulatedAws, deployments: Deployments) -> None:
    """And no obstacle to a destroy: tests/deploy/test_removal.py."""
    deployment = finished(deployments, "kept_bucket")
    ec2 = aws.client("ec2", "us-west-2")
    *_, gone = json.loads(deployment.variables["subnet_ids"])
    ec2.delete_subnet(SubnetId=gone)
    said = f"subnet_ids must name subnets of the VPC that vpc_id names; it does not have {gone}"
    assert said in deployment.reason()


def test_a_vpc_that_somebody_let_use_the_private_zone_stays(
    aws: EmulatedAws, deployed: Deployment, noise: dict[str, list[str]]
) -> None:
    route53, vpcs = aws.client("route53", REGION), aws.client("ec2", REGION).describe_vpcs()["Vpcs"]
    [zone] = [one for one in route53.list_hosted_zones()["HostedZones"] if one["Name"] == "unasked-spark."]
    other = next(one["VpcId"] for one in vpcs if one["IsDefault"])
    route53.associate_vpc_with_hosted_zone(HostedZoneId=zone["Id"], VPC={"VPCRegion": REGION, "VPCId": other})
    assert len(route53.get_hosted_zone(Id=zone["Id"])["VPCs"]) == 2
    assert changes(deployed) == noise


@pytest.mark.long
def test_what_is_changed_in_place_leaves_the_master_and_its_volume(aws: EmulatedAws, deployed: Deployment) -> None:
    """All of it at once; the calls that it takes are in the policy of whoever deploys."""
    cluster, iam, ec2 = ClusterInAws(aws, "unasked", REGION), aws.client("iam"), aws.client("ec2", REGION)
    before = cluster.master()
    own = ec2.create_security_group(GroupName="own", Description="own", VpcId=before["VpcId"])["GroupId"]
    document = iam.get_policy_version(PolicyArn=deployed.variables["permissions_boundary_arn"], VersionId="v1")
    text = json.dumps(document["PolicyVersion"]["Document"])
    boundary = iam.create_policy(PolicyName="second", PolicyDocument=text)["Policy"]["Arn"]
    asked = {
        "owner": "second",
        "security_group_ids": json.dumps([own]),
        "permissions_boundary_arn": boundary,
        "master_instance_type": "t3.xlarge",
        "master_volume_gib": "40",
    }
    done = replace(deployed, variables={**deployed.variables, **asked}).deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    after = cluster.master()
    assert after["InstanceId"] == before["InstanceId"]
    assert after["InstanceType"] == "t3.xlarge"
    assert own in {group["GroupId"] for group in after["NetworkInterfaces"][0]["Groups"]}
    [volume] = ec2.describe_volumes(VolumeIds=[after["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"]
    assert volume["Size"] == 40
    assert {"Key": "owner", "Value": "second"} in after["Tags"]
