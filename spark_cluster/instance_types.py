"""What an EC2 instance type's name says: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spark_cluster import checks

# `EbsOptimizedSupport` is `unsupported` in what DescribeInstanceTypes says of them; their successors have it always.
# https://docs.aws.amazon.com/ebs/latest/userguide/ebs-optimized.html
_WITHOUT_EBS_OPTIMIZATION = re.compile(
    r"t[12]\..*|c1\.medium|c3\.(large|8xlarge)|i2\.8xlarge|m1\.(small|medium)|m2\.xlarge|m3\.(medium|large)"
    r"|r3\.(large|8xlarge)"
)
_FAMILY = re.compile(r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<options>[a-z]*)")


def architecture(instance_type: str) -> str:
    """`arm64` for AWS Graviton and NVIDIA Grace, else `x86_64`.

    Graviton has a `g` behind the generation (its first family, `a1`, has none), Grace a `-gb` behind the family.
    """
    family = instance_type.partition(".")[0]
    match = _FAMILY.match(family)
    arm = family == "a1" or "-gb" in family or (match is not None and "g" in match["options"])
    return "arm64" if arm else "x86_64"


def check(master: str, workers: Sequence[str], *, ebs_optimized: object) -> None:
    """Hold all nodes to one architecture, since they have one AMI, and `ebs_optimized=True` to types that can be it.

    What only Terraform knows is left to the plan.

    Raises:
        ValueError: the known instance types have different architectures, or EC2 launches one not with that flag.
    """
    known = [one for one in (master, *workers) if checks.is_known(one)]
    found = {one: architecture(one) for one in known}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{one} ({its})" for one, its in found.items())
        message = f"master.instance_type and workers.instance_types must have one architecture, got {listed}"
        raise ValueError(message)
    without = [one for one in found if _WITHOUT_EBS_OPTIMIZATION.fullmatch(one)]
    if ebs_optimized is True and without:
        rule = f"be False or left out with {', '.join(without)}, which EC2 does not launch so"
        raise checks.fail("ebs_optimized", rule, ebs_optimized)
