"""Credentials of nodes: given by the metadata service, good for an hour, replaced by others before they end.

A fault has those end early that the nodes of a cluster are given for a while: a job that is started then outlives its
first ones, and notices nothing if it renews them as early as EC2 has others.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from . import faults

LIFE_SECONDS = 3600
"""As STS gives them to who does not ask for longer."""

REPLACED_SECONDS = 310.0
"""How long before the end that they are told others are given. EC2 promises five minutes, and what renews them then, as
S3A does, finds them: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
"""

EARLY_SECONDS = 290.0
"""How long before the end that they are told a fault has credentials refused, or tests would wait for as long."""


def cluster_of(role: str) -> str:
    """The name of a role's cluster: a role is called `<name>-master-…` or `<name>-worker-…`."""
    return re.split(r"-(?:master|worker)-", role)[0]


def refused_from(role: str, given: float) -> float:
    """From when on credentials are refused that a node was given at a moment, both in seconds since the epoch."""
    if _is_early(role, given):
        return faults.read().credentials_end[cluster_of(role)][1]
    return given + LIFE_SECONDS


def _told_end(role: str, given: float) -> float:
    return refused_from(role, given) + (EARLY_SECONDS if _is_early(role, given) else 0.0)


def _is_early(role: str, given: float) -> bool:
    """Whether a fault ends them: it does so with those given from its start until others are given."""
    start, end = faults.read().credentials_end.get(cluster_of(role), (0.0, 0.0))
    return start <= given < end + EARLY_SECONDS - REPLACED_SECONDS


class Credentials:
    """Those that instances have."""

    def __init__(self, sts: Any) -> None:
        """Let `sts`, a client of boto3's, make them."""
        self._sts = sts
        self._given: dict[str, tuple[float, dict[str, str]]] = {}

    def of(self, instance_id: str, role_arn: str) -> dict[str, str]:
        """An instance's, as the metadata service tells them: the same ones until others are due."""
        role = role_arn.rpartition("/")[2]
        given, answer = self._given.get(instance_id, (0.0, {}))
        now = time.time()
        due = now >= _told_end(role, given) - REPLACED_SECONDS
        if not answer or due or (_is_early(role, now) and not _is_early(role, given)):
            given = now
            made = self._sts.assume_role(RoleArn=role_arn, RoleSessionName=instance_id, DurationSeconds=LIFE_SECONDS)
            answer = {
                "Type": "AWS-HMAC",
                "AccessKeyId": made["Credentials"]["AccessKeyId"],
                "SecretAccessKey": made["Credentials"]["SecretAccessKey"],
                "Token": made["Credentials"]["SessionToken"],
            }
            self._given[instance_id] = (given, answer)
        expiration = datetime.fromtimestamp(_told_end(role, given), UTC)
        return {**answer, "Expiration": f"{expiration:%Y-%m-%dT%H:%M:%SZ}"}
