"""What an EC2 instance type's name says: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spark_cluster import checks

_FAMILY = re.compile(r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<options>[a-z]*)")


def architecture(instance_type: str) -> str:
    """`arm64` for AWS Graviton and NVIDIA Grace, else `x86_64`.

    Graviton has a `g` behind the generation (its first family, `a1`, has none), Grace a `-gb` behind the family.
    """
    family = instance_type.partition(".")[0]
    match = _FAMILY.match(family)
    arm = family == "a1" or "-gb" in family or (match is not None and "g" in match["options"])
    return "arm64" if arm else "x86_64"


def check_one_architecture(master: str, workers: Sequence[str]) -> None:
    """Hold all nodes to one architecture, since they have one AMI; what only Terraform knows is left to the plan.

    Raises:
        ValueError: the known instance types have different architectures.
    """
    found = {one: architecture(one) for one in (master, *workers) if checks.is_known(one)}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{one} ({its})" for one, its in found.items())
        message = f"master.instance_type and workers.instance_types must have one architecture, got {listed}"
        raise ValueError(message)
