"""Spark Connect: the server on the master that a client elsewhere uses without a driver of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cdktf import TerraformResource
from constructs import Construct

from spark_cluster import checks
from spark_cluster.identity import NodeRole
from spark_cluster.location import Location
from spark_cluster.parameters import NodeParameter, parameter_name

_FIRST_NUMBERS = (4, 0)
"""Spark's distribution has the server (https://spark.apache.org/docs/4.0.0/spark-connect-overview.html), and that a
token (https://github.com/apache/spark/pull/50006), since 4.0.0. Previews of that are older: they take everyone."""


@dataclass(frozen=True)
class SparkConnect:
    """A Spark Connect server on the master, reached through a forwarded port by whoever has its token.

    All its clients share one application, which takes cores when a query needs them, and gives them back.

    Attributes:
        cores_max: how many cores of the cluster its application takes at most (`spark.cores.max`). Default: 8, half of
            those of four workers of the default types.
            Changing it: replaces the master.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    cores_max: checks.Whole = 8

    def __post_init__(self) -> None:
        """Hold the number of cores to a whole one."""
        checks.whole("spark_connect.cores_max", self.cores_max, 1)


def check(connect: SparkConnect, spark_version: str, spark_defaults: Mapping[str, str]) -> None:
    """Refuse a server that this Spark does not have, or that no executor would ever run for.

    Raises:
        ValueError: as it says.
    """
    checks.instance("spark_connect", connect, SparkConnect, "SparkConnect()")
    numbers = tuple(map(int, re.findall(r"\d+", spark_version)[:2]))
    if numbers < _FIRST_NUMBERS or spark_version.startswith("4.0.0-preview"):
        rule = "be at least 4.0.0 with spark_connect, since earlier releases have no such server with a token"
        raise checks.fail("spark_version", rule, spark_version)
    cores = spark_defaults.get("spark.executor.cores")
    known = cores is not None and checks.is_known(cores) and checks.is_known(connect.cores_max)
    if known and connect.cores_max < int(str(cores)):
        rule = f"be at least spark.executor.cores of spark_defaults, {cores}, or no query ever runs"
        raise checks.fail("spark_connect.cores_max", rule, connect.cores_max)


class ClusterConnect(Construct):
    """The server's token, if the cluster has a server: a SecureString that the master fills.

    Attributes:
        cores_max: what the application may take; 0 if there is no server.
        token_parameter_name: where the token is; empty likewise.
        ready: what must be there before the master boots.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        connect: SparkConnect | None,
        name: str,
        location: Location,
        master_role: NodeRole,
        kms_key_arn: str | None,
        tags: Mapping[str, str],
    ) -> None:
        """Make the parameter, and let the master fill it.

        Args:
            scope: the construct above.
            id: its id.
            connect: the caller's choice. `None`: there is no server.
            name: the cluster's name.
            location: where the parameter is made.
            master_role: who fills it; no other node may read it.
            kms_key_arn: its key. `None`: the account's `aws/ssm` key.
            tags: of the parameter.
        """
        super().__init__(scope, id)
        self.cores_max: checks.Whole = 0
        self.token_parameter_name = ""
        self.ready: list[TerraformResource] = []
        if connect is None:
            return
        address = NodeParameter(
            self,
            "token",
            name=parameter_name(name, "connect-token"),
            description=f"Token of the Spark Connect server of the Spark cluster {name}",
            secret=True,
            location=location,
            kms_key_arn=kms_key_arn,
            tags=tags,
        ).address
        master_role.allow("connect_token", *address.allow_fill())
        self.cores_max = connect.cores_max
        self.token_parameter_name = address.name
        self.ready = [*address.ready]
