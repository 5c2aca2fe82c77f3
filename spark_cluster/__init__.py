"""A Spark standalone cluster on AWS as one Terraform construct.

The names below are imported when they are first used (PEP 562), so that `spark_cluster.lazy_provider` can be
imported, and the AWS provider made lazy, before anything loads the provider.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spark_cluster import fleet_key, s3a, scaling
    from spark_cluster.cluster import SparkCluster
    from spark_cluster.connect import SparkConnect
    from spark_cluster.existing import ExistingCluster
    from spark_cluster.grants import Grantee
    from spark_cluster.identity import Allow, CallerRole
    from spark_cluster.master import Master
    from spark_cluster.network import PrivateZone
    from spark_cluster.spark_release import SparkArchive
    from spark_cluster.workers import Workers

__all__ = [
    "Allow",
    "CallerRole",
    "ExistingCluster",
    "Grantee",
    "Master",
    "PrivateZone",
    "SparkArchive",
    "SparkCluster",
    "SparkConnect",
    "Workers",
    "fleet_key",
    "s3a",
    "scaling",
]

_HOMES = {
    "Allow": "identity",
    "CallerRole": "identity",
    "ExistingCluster": "existing",
    "Grantee": "grants",
    "PrivateZone": "network",
    "SparkCluster": "cluster",
    "Master": "master",
    "SparkArchive": "spark_release",
    "SparkConnect": "connect",
    "Workers": "workers",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
