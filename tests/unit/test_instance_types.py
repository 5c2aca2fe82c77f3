from __future__ import annotations

import pytest

from spark_cluster import instance_types


@pytest.mark.parametrize(
    "name", ["m6i.large", "m5a.xlarge", "c5.metal", "i4i.2xlarge", "x2iedn.xlarge", "u-6tb1.metal"]
)
def test_intel_and_amd_types_are_x86_64(name: str) -> None:
    assert instance_types.architecture(name) == "x86_64"


@pytest.mark.parametrize(
    "name", ["g4dn.xlarge", "g5.xlarge", "gr6.4xlarge", "p4d.24xlarge", "trn1.2xlarge", "mac1.metal"]
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
