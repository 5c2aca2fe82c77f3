"""What AWS's documentation refuses, both emulators refuse: `lab/rules.py` names each rule, its page and its test."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from lab.serving import emulated_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Client = Callable[[str], Any]

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of an AWS as the deploy tests have it, which check nothing themselves."""
    # No compression: a large call of metrics would have it, and no node makes one.
    config = Config(parameter_validation=False, retries={"max_attempts": 0}, disable_request_compression=True)
    with emulated_aws(tmp_path_factory.mktemp("aws")) as aws:
        clients: dict[str, Any] = {}

        def made(service: str) -> Any:
            if service not in clients:
                clients[service] = aws.client(service, config=config)
            return clients[service]

        yield made


def refused(code: str, words: str, call: Callable[..., Any], **arguments: Any) -> None:
    """Make a call that AWS refuses by `code` and a message with `words`."""
    with pytest.raises(ClientError, match=words) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code


@pytest.fixture(scope="module")
def subnet(client: Client) -> str:
    return str(client("ec2").describe_subnets()["Subnets"][0]["SubnetId"])


@pytest.fixture(scope="module")
def image(client: Client) -> str:
    return str(client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"])


@pytest.fixture(scope="module")
def group(client: Client, subnet: str, image: str) -> dict[str, Any]:
    """Arguments of a group that is there, from one to three members."""
    client("ec2").create_launch_template(
        LaunchTemplateName="workers", LaunchTemplateData={"ImageId": image, "InstanceType": "m6i.xlarge"}
    )
    arguments = {
        "AutoScalingGroupName": "workers",
        "MinSize": 1,
        "MaxSize": 3,
        "VPCZoneIdentifier": subnet,
        "LaunchTemplate": {"LaunchTemplateName": "workers", "Version": "1"},
    }
    client("autoscaling").create_auto_scaling_group(**arguments)
    return arguments


# --- Auto Scaling ------------------------------------------------------------------------------------------------


def test_sizes_out_of_order_are_refused(client: Client, group: dict[str, Any]) -> None:
    scaling = client("autoscaling")
    fresh = {**group, "AutoScalingGroupName": "other"}
    refused("ValidationError", "size|bound", scaling.create_auto_scaling_group, **{**fresh, "MinSize": 4})
    refused("ValidationError", "size|bound", scaling.create_auto_scaling_group, **fresh, DesiredCapacity=0)
    update = scaling.update_auto_scaling_group
    refused("ValidationError", "size|bound", update, AutoScalingGroupName="workers", DesiredCapacity=4)
    refused("ValidationError", "size|bound", update, AutoScalingGroupName="workers", MinSize=5)


def test_more_than_forty_instance_types_are_refused(client: Client, group: dict[str, Any]) -> None:
    overrides = [{"InstanceType": f"m{number}.large"} for number in range(41)]
    template = {
        "LaunchTemplateSpecification": {"LaunchTemplateName": "workers", "Version": "1"},
        "Overrides": overrides,
    }
    mixed = {"LaunchTemplate": template}
    update = client("autoscaling").update_auto_scaling_group
    refused("ValidationError", "40", update, AutoScalingGroupName="workers", MixedInstancesPolicy=mixed)


@pytest.mark.parametrize(
    "distribution",
    [
        {"SpotMaxPrice": "0.0005"},
        {"SpotMaxPrice": "cheap"},
        {"SpotAllocationStrategy": "cheapest"},
        {"OnDemandPercentageAboveBaseCapacity": 101},
        {"OnDemandBaseCapacity": -1},
    ],
)
def test_a_distribution_that_auto_scaling_has_not_is_refused(
    client: Client, group: dict[str, Any], distribution: dict[str, Any]
) -> None:
    template = {"LaunchTemplateSpecification": {"LaunchTemplateName": "workers", "Version": "1"}}
    mixed = {"LaunchTemplate": template, "InstancesDistribution": distribution}
    words = next(iter(distribution)).replace("SpotAllocationStrategy", "strategy")
    update = client("autoscaling").update_auto_scaling_group
    refused("ValidationError", words, update, AutoScalingGroupName="workers", MixedInstancesPolicy=mixed)


@pytest.mark.parametrize(
    "word", [{"LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCH"}, {"DefaultResult": "TERMINATE"}]
)
def test_words_that_a_hook_has_not_are_refused(client: Client, group: dict[str, Any], word: dict[str, str]) -> None:
    hook = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", **word}
    put = client("autoscaling").put_lifecycle_hook
    refused("ValidationError", next(iter(word.values())), put, AutoScalingGroupName="workers", **hook)


@pytest.mark.parametrize("seconds", [29, 7201])
def test_a_hooks_time_out_of_bounds_is_refused(client: Client, group: dict[str, Any], seconds: int) -> None:
    hook = {"AutoScalingGroupName": "workers", "LifecycleHookName": "h"}
    launching = "autoscaling:EC2_INSTANCE_LAUNCHING"
    put = client("autoscaling").put_lifecycle_hook
    refused("ValidationError", "30 and 7200", put, **hook, LifecycleTransition=launching, HeartbeatTimeout=seconds)


def test_an_unknown_process_is_not_suspended(client: Client, group: dict[str, Any]) -> None:
    suspend = client("autoscaling").suspend_processes
    refused("ValidationError", "AZBalance", suspend, AutoScalingGroupName="workers", ScalingProcesses=["AZBalance"])


def test_a_step_of_a_policy_needs_its_size(client: Client, group: dict[str, Any]) -> None:
    policy = {"AutoScalingGroupName": "workers", "PolicyName": "p", "AdjustmentType": "ChangeInCapacity"}
    put = client("autoscaling").put_scaling_policy
    refused("ValidationError", "ScalingAdjustment", put, **policy)
    exact = {**policy, "AdjustmentType": "ExactCapacity"}
    refused("ValidationError", "negative", put, **exact, ScalingAdjustment=-1)
    refused("ValidationError", "More", put, **{**policy, "AdjustmentType": "More"}, ScalingAdjustment=1)


def test_more_than_a_hundred_activities_are_refused(client: Client, group: dict[str, Any]) -> None:
    describe = client("autoscaling").describe_scaling_activities
    refused("ValidationError", "100", describe, AutoScalingGroupName="workers", MaxRecords=101)


def test_a_group_with_members_is_not_deleted(client: Client, group: dict[str, Any]) -> None:
    scaling = client("autoscaling")
    scaling.create_auto_scaling_group(**{**group, "AutoScalingGroupName": "leaving"})
    refused("ResourceInUse", "instances", scaling.delete_auto_scaling_group, AutoScalingGroupName="leaving")
    scaling.update_auto_scaling_group(AutoScalingGroupName="leaving", MinSize=0, MaxSize=0, DesiredCapacity=0)
    scaling.delete_auto_scaling_group(AutoScalingGroupName="leaving")


def test_only_a_member_is_ended_and_not_below_the_minimum(client: Client, group: dict[str, Any]) -> None:
    scaling = client("autoscaling")
    scaling.create_auto_scaling_group(**{**group, "AutoScalingGroupName": "ending", "DesiredCapacity": 2})
    end = scaling.terminate_instance_in_auto_scaling_group
    first, second = _members(scaling, "ending")
    refused("ValidationError", "No managed instance", end, InstanceId="i-0123", ShouldDecrementDesiredCapacity=True)
    end(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    words = r"desiredSize equals minSize \(1\)"
    refused("ValidationError", words, end, InstanceId=second, ShouldDecrementDesiredCapacity=True)
    end(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    assert second not in _members(scaling, "ending")


def test_only_members_in_service_go_into_standby_and_not_below_the_minimum(
    client: Client, group: dict[str, Any]
) -> None:
    scaling = client("autoscaling")
    scaling.create_auto_scaling_group(**{**group, "AutoScalingGroupName": "aside", "DesiredCapacity": 2})
    first, second = _members(scaling, "aside")
    lower = {"AutoScalingGroupName": "aside", "ShouldDecrementDesiredCapacity": True}
    enter = scaling.enter_standby
    words = "min-size=1, max-size=3, and desired-size=2. To place into standby 2 instances"
    refused("ValidationError", words, enter, **lower, InstanceIds=[first, second])
    enter(**lower, InstanceIds=[first])
    refused("ValidationError", f"{first} is not in InService", enter, **lower, InstanceIds=[first])


def test_fifty_members_at_most_are_protected_and_only_those_in_service(client: Client, group: dict[str, Any]) -> None:
    scaling = client("autoscaling")
    scaling.create_auto_scaling_group(**{**group, "AutoScalingGroupName": "busy", "DesiredCapacity": 2})
    first, second = _members(scaling, "busy")
    protect, busy = scaling.set_instance_protection, {"AutoScalingGroupName": "busy", "ProtectedFromScaleIn": True}
    refused("ValidationError", "50 instances, got 51", protect, **busy, InstanceIds=[first] * 51)
    scaling.enter_standby(AutoScalingGroupName="busy", InstanceIds=[first], ShouldDecrementDesiredCapacity=True)
    protect(**busy, InstanceIds=[first])
    refused("ValidationError", "i-0123 is not part", protect, **busy, InstanceIds=[second, "i-0123"])
    (described,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["busy"])["AutoScalingGroups"]
    protected = {one["InstanceId"] for one in described["Instances"] if one["ProtectedFromScaleIn"]}
    assert protected == {first}, "nothing is done of a call that is refused"


def test_only_a_member_has_a_health_and_it_is_one_of_two_words(client: Client, group: dict[str, Any]) -> None:
    scaling = client("autoscaling")
    scaling.create_auto_scaling_group(**{**group, "AutoScalingGroupName": "sick", "DesiredCapacity": 1})
    (member,) = _members(scaling, "sick")
    tell = scaling.set_instance_health
    refused("ValidationError", "No managed instance", tell, InstanceId="i-0123", HealthStatus="Unhealthy")
    refused("ValidationError", "sick is no health", tell, InstanceId=member, HealthStatus="sick")


def _members(scaling: Any, name: str) -> list[str]:
    (described,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return [member["InstanceId"] for member in described["Instances"]]


def test_healthy_percentages_differ_by_at_most_100(client: Client, group: dict[str, Any]) -> None:
    preferences = {"MinHealthyPercentage": 50, "MaxHealthyPercentage": 200}
    start = client("autoscaling").start_instance_refresh
    refused("ValidationError", "difference", start, AutoScalingGroupName="workers", Preferences=preferences)
    alone = {"MaxHealthyPercentage": 110}
    refused("ValidationError", "must be there", start, AutoScalingGroupName="workers", Preferences=alone)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ({"AutoScalingGroupName": "a:b"}, "colon"),
        ({"HealthCheckType": "EC3"}, "EC3"),
        ({"Tags": [{"Key": "a", "Value": "b", "ResourceType": "instance"}]}, "auto-scaling-group"),
    ],
)
def test_words_that_a_group_has_not_are_refused(
    client: Client, group: dict[str, Any], word: dict[str, Any], said: str
) -> None:
    make = client("autoscaling").create_auto_scaling_group
    refused("ValidationError", said, make, **{**group, "AutoScalingGroupName": "fresh", **word})


# --- EC2 ---------------------------------------------------------------------------------------------------------


def test_user_data_over_16_kib_is_refused(client: Client, image: str) -> None:
    run, text = client("ec2").run_instances, "x" * 16_385
    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    refused("InvalidParameterValue", "16384 bytes", run, **one, UserData=text)
    make, data = client("ec2").create_launch_template, base64.b64encode(text.encode()).decode()
    refused(
        "InvalidParameterValue", "16384 bytes", make, LaunchTemplateName="big", LaunchTemplateData={"UserData": data}
    )


def test_more_hops_than_64_are_refused(client: Client, image: str) -> None:
    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    hops = {"MetadataOptions": {"HttpPutResponseHopLimit": 65}}
    refused("InvalidParameterValue", "64", client("ec2").run_instances, **one, **hops)
    make = client("ec2").create_launch_template
    refused("InvalidParameterValue", "64", make, LaunchTemplateName="far", LaunchTemplateData=hops)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"Iops": 2999}, "between 3000 and 80000"),
        ({"Iops": 80_001}, "between 3000 and 80000"),
        ({"Throughput": 124}, "between 125 and 2000"),
        ({"Throughput": 2001, "Iops": 9000}, "between 125 and 2000"),
        ({"Iops": 8001}, "Iops to volume size ratio of 500.0625"),
        ({"Throughput": 751}, "Throughput .MiBps. to iops ratio of 0.250333"),
    ],
    ids=str,
)
def test_a_volume_that_gp3_is_not_is_refused(client: Client, image: str, volume: dict[str, int], words: str) -> None:
    def devices(**figures: int) -> dict[str, Any]:
        ebs = {"VolumeType": "gp3", "VolumeSize": 16, **figures}
        return {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ebs}]}

    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    refused("InvalidParameterValue", words, client("ec2").run_instances, **one, **devices(**volume))
    make = client("ec2").create_launch_template
    refused("InvalidParameterValue", words, make, LaunchTemplateName="fast", LaunchTemplateData=devices(**volume))
    client("ec2").run_instances(**one, **devices(Iops=8000, Throughput=2000))


@pytest.mark.parametrize("size", [4, 1001])
def test_pages_of_more_than_a_thousand_instances_are_refused(client: Client, size: int) -> None:
    refused("InvalidParameterValue", "1000", client("ec2").describe_instances, MaxResults=size)


def test_a_key_pair_that_is_not_there_is_refused(client: Client, image: str) -> None:
    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    refused("InvalidKeyPair.NotFound", "nobody", client("ec2").run_instances, **one, KeyName="nobody")


def test_security_groups_stand_with_the_interface_or_with_the_instance(client: Client, image: str, subnet: str) -> None:
    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    both = {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet}], "SecurityGroupIds": ["sg-12345678"]}
    refused("InvalidParameterCombination", "etwork interfaces", client("ec2").run_instances, **one, **both)


def test_a_type_that_the_zone_has_not_is_refused(client: Client, image: str) -> None:
    ec2 = client("ec2")
    zones = {"Name": "availability-zone", "Values": ["us-east-1e"]}
    (subnet,) = [one["SubnetId"] for one in ec2.describe_subnets(Filters=[zones])["Subnets"]]
    one = {"ImageId": image, "InstanceType": "m6i.large", "MinCount": 1, "MaxCount": 1}
    refused("Unsupported", "us-east-1e", ec2.run_instances, **one, SubnetId=subnet)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ({"Key": "k" * 129, "Value": "v"}, "128"),
        ({"Key": "k", "Value": "v" * 257}, "256"),
        ({"Key": "aws:team", "Value": "v"}, "aws:"),
    ],
)
def test_tags_that_ec2_has_not_are_refused(client: Client, subnet: str, tag: dict[str, str], words: str) -> None:
    refused("InvalidParameterValue", words, client("ec2").create_tags, Resources=[subnet], Tags=[tag])
    make, tags = client("ec2").create_launch_template, [{"ResourceType": "launch-template", "Tags": [tag]}]
    refused(
        "InvalidParameterValue",
        words,
        make,
        LaunchTemplateName="t",
        LaunchTemplateData={"KeyName": "k"},
        TagSpecifications=tags,
    )


@pytest.mark.parametrize("description", ["the team's nodes", "Größe", "d" * 256])
def test_descriptions_of_security_groups_and_rules_have_few_signs(client: Client, description: str) -> None:
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    make = ec2.create_security_group
    refused("InvalidParameterValue", "escription", make, GroupName="described", VpcId=vpc, Description=description)
    known = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ranges = [{"CidrIp": "10.0.0.0/8", "Description": description}]
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": ranges}
    allow = ec2.authorize_security_group_ingress
    refused("InvalidParameterValue", "escription", allow, GroupId=known, IpPermissions=[rule])


def test_the_same_rule_twice_is_refused(client: Client) -> None:
    ec2 = client("ec2")
    known = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.authorize_security_group_ingress(GroupId=known, IpPermissions=[rule])
    allow = ec2.authorize_security_group_ingress
    refused("InvalidPermission.Duplicate", "already exists", allow, GroupId=known, IpPermissions=[rule])


# --- IAM ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def role(client: Client) -> Iterator[str]:
    client("iam").create_role(RoleName="node", AssumeRolePolicyDocument=TRUST)
    yield "node"
    for name in client("iam").list_role_policies(RoleName="node")["PolicyNames"]:
        client("iam").delete_role_policy(RoleName="node", PolicyName=name)
    client("iam").delete_role(RoleName="node")


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [{"Effect": "Allow", "Action": ["s", "3", ":"], "Resource": "*"}],
        [{"Effect": "Allow", "Action": "s3:GetObject"}],
        [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "bucket/*"}],
    ],
)
def test_a_policy_that_iam_does_not_read_is_refused(client: Client, role: str, statements: list[Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    put = client("iam").put_role_policy
    refused(
        "MalformedPolicyDocument",
        "policy|Policy|must|Syntax",
        put,
        RoleName=role,
        PolicyName="p",
        PolicyDocument=document,
    )


def test_a_roles_policies_together_have_10240_characters(client: Client, role: str) -> None:
    def document(size: int) -> str:
        arns = [f"arn:aws:s3:::bucket/{number:04}" for number in range(size)]
        return json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": arns}}, indent=8
        )

    put = client("iam").put_role_policy
    put(RoleName=role, PolicyName="first", PolicyDocument=document(200))
    refused("LimitExceeded", "10240", put, RoleName=role, PolicyName="second", PolicyDocument=document(200))
    put(RoleName=role, PolicyName="first", PolicyDocument=document(300))


def test_a_trust_policy_has_2048_characters(client: Client) -> None:
    services = [f"service-{number}.amazonaws.com" for number in range(100)]
    statement = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    make = client("iam").create_role
    refused("LimitExceeded", "2048", make, RoleName="trusting", AssumeRolePolicyDocument=document)


def test_tags_that_differ_by_case_are_one_to_iam(client: Client) -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}]
    make = client("iam").create_role
    refused("InvalidInput", "[Dd]uplicate", make, RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=tags)


# --- S3 ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(client: Client) -> str:
    client("s3").create_bucket(Bucket="a-bucket")
    return "a-bucket"


def test_a_buckets_policy_speaks_of_that_bucket(client: Client, bucket: str) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::another/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    refused("MalformedPolicy", "resource", client("s3").put_bucket_policy, Bucket=bucket, Policy=policy)


def test_a_buckets_policy_names_roles_that_are_there(client: Client, bucket: str, role: str) -> None:
    def put(name: str) -> None:
        principal = {"AWS": f"arn:aws:iam::123456789012:role/{name}"}
        statement = {"Effect": "Deny", "Principal": principal, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)

    put(role)
    refused("MalformedPolicy", "principal", put, name="gone")


def test_a_buckets_policy_over_20_kb_is_refused(client: Client, bucket: str) -> None:
    resources = [f"arn:aws:s3:::{bucket}/{number:06}/*" for number in range(700)]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    refused("MalformedPolicy", "20", client("s3").put_bucket_policy, Bucket=bucket, Policy=policy)


def test_lifecycle_rules_that_s3_has_not_are_refused(client: Client, bucket: str) -> None:
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 1}}
    put = client("s3").put_bucket_lifecycle_configuration
    refused("InvalidArgument", "unique", put, Bucket=bucket, LifecycleConfiguration={"Rules": [rule, rule]})
    long = {**rule, "ID": "r" * 256}
    refused("InvalidArgument", "255", put, Bucket=bucket, LifecycleConfiguration={"Rules": [long]})
    never = {**rule, "Expiration": {"Days": 0}}
    refused("InvalidArgument", "positive", put, Bucket=bucket, LifecycleConfiguration={"Rules": [never]})


def test_small_parts_and_high_numbers_are_refused(client: Client, bucket: str) -> None:
    s3, named = client("s3"), {"Bucket": bucket, "Key": "large"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
    tags = [s3.upload_part(**upload, PartNumber=number, Body=b"small")["ETag"] for number in (1, 2)]
    parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]}
    refused("EntityTooSmall", "smaller", s3.complete_multipart_upload, **upload, MultipartUpload=parts)
    refused("InvalidArgument", "10000", s3.upload_part, **upload, PartNumber=10_001, Body=b"small")


def test_an_empty_object_has_no_range(client: Client, bucket: str) -> None:
    client("s3").put_object(Bucket=bucket, Key="empty", Body=b"")
    refused("InvalidRange", "range", client("s3").get_object, Bucket=bucket, Key="empty", Range="bytes=-2000")


def test_a_folder_is_gone_when_its_objects_are_deleted(client: Client, bucket: str) -> None:
    s3, keys = client("s3"), ["folder/a/1", "folder/b/1", "folder/b/2"]
    enabled = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    s3.put_bucket_versioning(**enabled)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key)

    def folders() -> list[str]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="folder/", Delimiter="/", MaxKeys=2)
        return [one["Prefix"] for one in listed.get("CommonPrefixes", [])]

    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys[:2]]})
    assert folders() == ["folder/b/"]
    s3.delete_object(Bucket=bucket, Key=keys[2])
    assert folders() == []
    versions = s3.list_object_versions(Bucket=bucket, Prefix="folder/")
    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (3, 3)


def test_an_object_has_ten_tags(client: Client, bucket: str) -> None:
    tags = "&".join(f"k{number}=v" for number in range(11))
    refused("BadRequest", "10", client("s3").put_object, Bucket=bucket, Key="k", Body=b"", Tagging=tags)


# --- Systems Manager, CloudWatch, Route 53 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"Value": ""}, "alue"),
        ({"Value": "v" * 4097}, "4096"),
        ({"Value": "v", "Name": "/aws/mine"}, "reserved"),
        ({"Value": "v", "Name": "/a//b"}, "empty levels"),
        ({"Value": "v", "Name": "a/b"}, "at its beginning"),
        ({"Value": "v", "Name": "/a b"}, "other signs"),
        ({"Value": "v", "Name": f"/{'n' * 980}"}, "1011"),
        ({"Value": "a {{b}}"}, "cannot contain"),
        ({"Value": "v", "Tags": [{"Key": "a", "Value": "b"}], "Overwrite": True}, "overwrite"),
    ],
)
def test_parameters_that_ssm_has_not_are_refused(client: Client, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        client("ssm").put_parameter(**{"Name": "/a/b", "Type": "SecureString", **arguments})


@pytest.mark.parametrize(("period", "periods"), [(45, 1), (0, 1), (86_400, 8)])
def test_an_alarms_time_is_in_bounds(client: Client, period: int, periods: int) -> None:
    alarm = {
        "AlarmName": "a",
        "Namespace": "AWS/EC2",
        "MetricName": "CPUUtilization",
        "Statistic": "Average",
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    put = client("cloudwatch").put_metric_alarm
    with pytest.raises(ClientError, match="eriod"):
        put(**alarm, Period=period, EvaluationPeriods=periods)
    refused("ValidationError", "ignored", put, **alarm, Period=60, EvaluationPeriods=1, TreatMissingData="ignored")


def test_metrics_that_cloudwatch_does_not_take_are_refused(client: Client) -> None:
    put, one = client("cloudwatch").put_metric_data, {"MetricName": "WorkersSick", "Value": 1.0, "Unit": "Count"}
    put(Namespace="SparkCluster/demo", MetricData=[one] * 1000)
    refused("InvalidParameterValue", "1000", put, Namespace="SparkCluster/demo", MetricData=[one] * 1001)
    refused("InvalidParameterValue", "AWS/", put, Namespace="AWS/EC2", MetricData=[one])
    for value in (float("nan"), float("inf"), -(2.0**361)):
        refused("InvalidParameterValue", "range", put, Namespace="n", MetricData=[{**one, "Value": value}])


def test_a_dashboard_has_a_plain_name_and_widgets(client: Client) -> None:
    put = client("cloudwatch").put_dashboard
    put(DashboardName="demo-spark_1", DashboardBody='{"widgets": []}')
    for name in ("demo spark", "demo/spark", "d" * 256):
        refused("InvalidParameterInput", "DashboardName", put, DashboardName=name, DashboardBody='{"widgets": []}')
    for body in ("{", "[]", "{}"):
        refused("InvalidParameterInput", "body|Body", put, DashboardName="demo", DashboardBody=body)


def test_a_vpc_has_one_private_zone_of_a_name(client: Client) -> None:
    vpc = {"VPCRegion": "us-east-1", "VPCId": client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]}
    make = client("route53").create_hosted_zone
    make(Name="demo-spark", CallerReference="1", VPC=vpc)
    refused("ConflictingDomainExists", "demo-spark", make, Name="demo-spark", CallerReference="2", VPC=vpc)


def test_a_record_is_made_once_and_in_its_zone(client: Client) -> None:
    route53 = client("route53")
    zone = route53.create_hosted_zone(Name="zone.test", CallerReference="3")["HostedZone"]["Id"]

    def change(name: str) -> None:
        record = {"Name": name, "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "10.0.0.1"}]}
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    change("master.zone.test")
    refused("InvalidChangeBatch", "already exists", change, name="master.zone.test")
    refused("InvalidChangeBatch", "not permitted", change, name="master.other.test")


def test_a_zone_with_records_is_not_deleted(client: Client) -> None:
    route53 = client("route53")
    zone = route53.create_hosted_zone(Name="full.test", CallerReference="4")["HostedZone"]["Id"]
    record = {"Name": "a.full.test", "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    refused("HostedZoneNotEmpty", "record", route53.delete_hosted_zone, Id=zone)
