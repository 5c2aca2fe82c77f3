"""What an EC2 instance type's name says: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<options>[a-z]*)")


def architecture(instance_type: str) -> str:
    """`arm64` for AWS Graviton and NVIDIA Grace, else `x86_64`.

    Graviton has a `g` behind the generation (its first family, `a1`, has none), Grace a `-gb` behind the family.
    """
    family = instance_type.partition(".")[0]
    match = _FAMILY.match(family)
    arm = family == "a1" or "-gb" in family or (match is not None and "g" in match["options"])
    return "arm64" if arm else "x86_64"
