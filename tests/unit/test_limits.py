"""Each figure of AWS's, as far as AWS's own service models have it too."""

from __future__ import annotations

import re

import botocore.session
import pytest

from spark_cluster import limits

MODELS: dict[str, tuple[int, str, str, str, str]] = {
    # figure: service, structure, member, where it stands
    "ARN_CHARACTERS": (limits.ARN_CHARACTERS, "iam", "CreateRoleRequest", "PermissionsBoundary", "max"),
    "ROLE_NAME_CHARACTERS": (limits.ROLE_NAME_CHARACTERS, "iam", "PutRolePolicyRequest", "RoleName", "max"),
    "POLICY_NAME_CHARACTERS": (limits.POLICY_NAME_CHARACTERS, "iam", "CreatePolicyRequest", "PolicyName", "max"),
    "TAG_KEY_CHARACTERS": (limits.TAG_KEY_CHARACTERS, "iam", "Tag", "Key", "max"),
    "TAG_VALUE_CHARACTERS": (limits.TAG_VALUE_CHARACTERS, "iam", "Tag", "Value", "max"),
    "TAGS_OF_A_RESOURCE": (limits.TAGS_OF_A_RESOURCE, "iam", "CreateRoleRequest", "Tags", "max"),
    "TAGS_OF_A_HOSTED_ZONE": (
        limits.TAGS_OF_A_HOSTED_ZONE,
        "route53",
        "ChangeTagsForResourceRequest",
        "AddTags",
        "max",
    ),
    "ZONE_ID_CHARACTERS": (limits.ZONE_ID_CHARACTERS, "route53", "HostedZone", "Id", "max"),
    "SPOT_PRICE_CHARACTERS": (
        limits.SPOT_PRICE_CHARACTERS,
        "autoscaling",
        "InstancesDistribution",
        "SpotMaxPrice",
        "max",
    ),
    "SUBNETS_OF_A_GROUP_CHARACTERS": (
        limits.SUBNETS_OF_A_GROUP_CHARACTERS,
        "autoscaling",
        "CreateAutoScalingGroupType",
        "VPCZoneIdentifier",
        "max",
    ),
    "INSTANCE_TYPES_OF_A_GROUP": (
        limits.INSTANCE_TYPES_OF_A_GROUP,
        "autoscaling",
        "LaunchTemplateOverrides",
        "InstanceType",
        r"up to (\d+) instance types",
    ),
    "LONGEST_BOOT_SECONDS": (
        limits.LONGEST_BOOT_SECONDS,
        "autoscaling",
        "PutLifecycleHookType",
        "HeartbeatTimeout",
        r"from 30 to (\d+) seconds",
    ),
    "LARGEST_GP3_VOLUME_GIB": (
        limits.LARGEST_GP3_VOLUME_GIB,
        "ec2",
        "EbsBlockDevice",
        "VolumeSize",
        r"gp3: 1 - ([\d,]+) GiB",
    ),
    "KEY_PAIR_NAME_CHARACTERS": (
        limits.KEY_PAIR_NAME_CHARACTERS,
        "ec2",
        "CreateKeyPairRequest",
        "KeyName",
        r"Up to (\d+) ASCII characters",
    ),
}


@pytest.mark.parametrize("figure", MODELS)
def test_a_figure_is_that_of_the_service_model(figure: str) -> None:
    value, service, structure, member, place = MODELS[figure]
    shape = botocore.session.get_session().get_service_model(service).shape_for(structure).members[member]
    if place == "max":
        assert shape.metadata["max"] == value
        return
    [found] = re.findall(place, re.sub(r"<[^>]+>", "", shape.documentation))
    assert int(found.replace(",", "")) == value


def test_what_a_sessions_parameter_holds_is_that_of_the_service_model() -> None:
    model = botocore.session.get_session().get_service_model("ssm")
    assert model.shape_for("SessionManagerParameterValue").metadata["max"] == limits.SESSION_PARAMETER_CHARACTERS


def test_a_tag_may_hold_what_iams_pattern_has() -> None:
    pattern = (
        botocore.session.get_session().get_service_model("iam").shape_for("Tag").members["Key"].metadata["pattern"]
    )
    marks = pattern.removeprefix(r"[\p{L}\p{Z}\p{N}").removesuffix("]+").replace("\\", "")
    assert sorted(marks) == sorted(limits.TAG_MARKS)
