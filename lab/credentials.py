"""Credentials of nodes: given by the metadata service, good for an hour, replaced by others before they end.

A fault has those that the nodes of a cluster are given first end earlier. Whoever asks the metadata service again when
they said that they would end notices nothing.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from . import faults

LIFE_SECONDS = 3600
"""As STS gives them to who does not ask for longer."""

REPLACED_SECONDS = 30.0
"""How long before their end others are given. EC2 does it five minutes before, for which a test would have to wait:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
"""


def cluster_of(role: str) -> str:
    """The name of a role's cluster: a role is called `<name>-master-…` or `<name>-worker-…`."""
    return re.split(r"-(?:master|worker)-", role)[0]


def end(role: str, given: float) -> float:
    """When credentials end that a node was given at a moment, both in seconds since the epoch."""
    early = faults.read().credentials_end.get(cluster_of(role))
    if early is not None and given < early - REPLACED_SECONDS:
        return early
    return given + LIFE_SECONDS


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
        if not answer or time.time() >= end(role, given) - REPLACED_SECONDS:
            given = time.time()
            made = self._sts.assume_role(RoleArn=role_arn, RoleSessionName=instance_id, DurationSeconds=LIFE_SECONDS)
            answer = {
                "Type": "AWS-HMAC",
                "AccessKeyId": made["Credentials"]["AccessKeyId"],
                "SecretAccessKey": made["Credentials"]["SecretAccessKey"],
                "Token": made["Credentials"]["SessionToken"],
            }
            self._given[instance_id] = (given, answer)
        expiration = datetime.fromtimestamp(end(role, given), UTC)
        return {**answer, "Expiration": f"{expiration:%Y-%m-%dT%H:%M:%SZ}"}
