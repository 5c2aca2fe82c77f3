"""What master and workers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdktf import ITerraformDependable

from spark_cluster import checks
from spark_cluster.image import NodeImage
from spark_cluster.network import ClusterNetwork
from spark_cluster.storage import ClusterStorage

METADATA_OPTIONS: dict[str, Any] = {
    "http_endpoint": "enabled",
    "http_tokens": "required",
    "http_put_response_hop_limit": 1,
}
"""IMDSv2 only, and not reachable over a second hop, as from a container."""

ROOT_VOLUME_TYPE = "gp3"


@dataclass(frozen=True, kw_only=True)
class NodeCommon:
    """What every node of a cluster is made with.

    Attributes:
        name: the cluster's name.
        network: its security groups, subnets and zone.
        partition: of its region.
        storage: where its programs go.
        image: its AMI.
        key_name: an EC2 key pair for the AMI's own user. `None`: none.
        ebs_optimized: `None`: as the instance type has it.
        associate_public_ip_address: `None`: as the subnet has it.
        volume_kms_key_arn: the key of the root volumes. `None`: the account's default key for EBS.
        tags: of instances and volumes.
        ready: what must be there before it starts.
    """

    name: str
    partition: str
    network: ClusterNetwork
    storage: ClusterStorage
    image: NodeImage
    key_name: str | None
    ebs_optimized: checks.Flag | None
    associate_public_ip_address: checks.Flag | None
    volume_kms_key_arn: str | None
    tags: Mapping[str, str]
    ready: Sequence[ITerraformDependable]

    def tags_of(self, role: str) -> dict[str, str]:
        """The tags of a node and its volumes: the caller's, and its name."""
        return {**self.tags, "Name": node_name(self.name, role)}


def node_name(cluster_name: str, role: str) -> str:
    """The `Name` of an instance of a role."""
    return f"{cluster_name}-spark-{role}"
