"""What an EC2 instance type's name says: https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"(?P<series>[a-z]+)(?P<generation>\d+)(?P<options>[a-z]*)")


def architecture(instance_type: str) -> str:
    """`arm64` for AWS Graviton (a `g` behind the generation, and the first family, `a1`), else `x86_64`."""
    family = instance_type.partition(".")[0]
    match = _FAMILY.match(family)
    graviton = family == "a1" or (match is not None and "g" in match["options"])
    return "arm64" if graviton else "x86_64"
