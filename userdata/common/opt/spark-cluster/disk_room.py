"""How much room a disk of a node must have left: a worker leaves before its disks are full, a master's status tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

# YARN takes a disk for bad from 90 % on (max-disk-utilization-per-disk-percentage,
# https://hadoop.apache.org/docs/stable/hadoop-yarn/hadoop-yarn-common/yarn-default.xml), Kubernetes evicts below 10 %
# of the room and 5 % of the inodes (https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/).
LOW_SHARE, LOW_BYTES = 0.1, 16 << 30  # the lesser: of a large disk a tenth is more than running tasks write meanwhile
LOW_SHARE_OF_INODES = 0.05


def room(state: os.statvfs_result) -> tuple[str, bool]:
    """What is wrong with a file system's room, and whether anything is. Some count no inodes, and say 0."""
    size, free = state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize
    if free < min(size * LOW_SHARE, LOW_BYTES):
        return f"has {free >> 20:,} MiB of {size >> 20:,} left", True
    if state.f_favail < state.f_files * LOW_SHARE_OF_INODES:
        return f"has {state.f_favail:,} of {state.f_files:,} inodes left", True
    return "", False
