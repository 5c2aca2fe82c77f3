from __future__ import annotations

import pytest
from cdktf import Token
from moto.ec2.models.instance_types import INSTANCE_TYPES

from spark_cluster import instance_types


@pytest.mark.parametrize(
    "name", ["m6i.large", "m5a.xlarge", "c5.metal", "i4i.2xlarge", "x2iedn.xlarge", "u-6tb1.metal"]
)
def test_intel_and_amd_types_are_x86_64(name: str) -> None:
    assert instance_types.architecture(name) == "x86_64"


@pytest.mark.parametrize(
    "name", ["g4dn.xlarge", "g5.xlarge", "gr6.4xlarge", "p4d.24xlarge", "trn1.2xlarge", "p3.2xlarge"]
)
def test_a_g_before_the_generation_is_a_family_and_no_graviton(name: str) -> None:
    assert instance_types.architecture(name) == "x86_64"


@pytest.mark.parametrize(
    "name",
    [
        "m7g.large",
        "t4g.micro",
        "c7gn.xlarge",
        "r6gd.4xlarge",
        "x2gd.large",
        "im4gn.large",
        "p6e-gb200.36xlarge",
        "is4gen.medium",
        "g5g.xlarge",
    ],
)
def test_a_g_behind_the_generation_is_graviton(name: str) -> None:
    assert instance_types.architecture(name) == "arm64"


def test_the_first_graviton_family_has_no_g() -> None:
    assert instance_types.architecture("a1.large") == "arm64"


def test_types_without_ebs_optimization_are_those_that_ec2_describes_so() -> None:
    """By what DescribeInstanceTypes said when moto noted it."""
    for name, kind in INSTANCE_TYPES.items():
        if kind["EbsInfo"]["EbsOptimizedSupport"] == "unsupported":
            with pytest.raises(ValueError, match="ebs_optimized must be False or left out"):
                instance_types.check(name, [name], ebs_optimized=True)
        else:
            instance_types.check(name, [name], ebs_optimized=True)


def test_ebs_optimization_that_is_wanted_names_the_types_without_it() -> None:
    token = Token.as_string({"Ref": "x"})
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        instance_types.check("m6i.large", ["t2.large", token], ebs_optimized=True)
    assert str(error.value) == (
        "ebs_optimized must be False or left out with t2.large, which EC2 does not launch so, got True"
    )
    for flag in (False, None):
        instance_types.check("m6i.large", ["t2.large"], ebs_optimized=flag)
    instance_types.check(token, [token], ebs_optimized=True)
