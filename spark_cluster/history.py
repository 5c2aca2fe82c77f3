"""The history server: whether a Spark may have one."""

from __future__ import annotations

import re

from cdktf import Annotations
from constructs import Construct

from spark_cluster.spark_release import SparkDistribution

FIRST_SOUND = ((3, 5, 7), (4, 0, 1))
"""Before these releases of their lines an event log runs code in the history server that reads it (CVE-2025-54920):
https://spark.apache.org/security.html"""


def is_sound(spark_version: str) -> bool:
    """Whether a release is without that flaw."""
    numbers = tuple(map(int, re.findall(r"\d+", spark_version)[:3]))
    same_line = [sound for sound in FIRST_SOUND if sound[:2] == numbers[:2]]
    return numbers >= (same_line or FIRST_SOUND)[-1]


def history_server_of(cluster: Construct, distribution: SparkDistribution) -> str:
    """What the master is told of it; with a warning if it gets none."""
    if is_sound(distribution.version):
        return "yes"
    sound = " or ".join(".".join(map(str, numbers)) for numbers in FIRST_SOUND)
    Annotations.of(cluster).add_warning(
        f"the master gets no history server, since that of Spark {distribution.version} runs code of whoever writes an "
        f"event log (CVE-2025-54920): choose {sound}, or later"
    )
    return ""
