"""What master and workers have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spark_cluster import checks

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class NodeOptions:
    """The cluster's arguments that every instance takes as they are.

    Attributes:
        key_name: an EC2 key pair for the AMI's own user. `None`: none.
        ebs_optimized: `None`: as the instance type has it.
        associate_public_ip_address: `None`: as the subnet has it.
        volume_kms_key_arn: the key of the root volumes. `None`: the account's default key for EBS.
        tags: of instances and volumes.
    """

    key_name: str | None
    ebs_optimized: checks.Flag | None
    associate_public_ip_address: checks.Flag | None
    volume_kms_key_arn: str | None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check every field."""
        if self.key_name is not None:
            checks.text("key_name", self.key_name)
        checks.flag("ebs_optimized", self.ebs_optimized)
        checks.flag("associate_public_ip_address", self.associate_public_ip_address)
        if self.volume_kms_key_arn is not None:
            checks.prefixed("volume_kms_key_arn", self.volume_kms_key_arn, "arn:")
        checks.tags("tags", self.tags)
