"""Spark properties: which the cluster keeps to itself, which are a secret, and what the values of the others look like.

Spark reads a value when it needs it: on a node, in a driver, or in a daemon that then does not start. What can be said
earlier is said here. The forms are those of https://spark.apache.org/docs/latest/configuration.html (Spark Properties),
the ranges those of Spark's own code, core/src/main/scala/org/apache/spark/internal/config at v4.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spark_cluster import limits


@dataclass(frozen=True)
class Form:
    """What a value looks like.

    Attributes:
        rule: in words, behind "must".
        fits: whether a text is of this form.
    """

    rule: str
    fits: Callable[[str], bool]


def _whole(lowest: int, highest: int = limits.API_INTEGER) -> Form:
    return Form(f"be a whole number of at least {lowest}, as text", lambda text: _is_within(text, lowest, highest))


def _is_within(text: str, lowest: int, highest: int) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None and lowest <= int(text) <= highest


def _one_of(*words: str) -> Form:
    return Form(f"be one of {', '.join(map(repr, words))}", lambda text: text.lower() in {one.lower() for one in words})


def _is_heap(text: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,9})([kmgt])", text.lower())
    return match is not None and int(match[1]) << _SHIFTS[match[2]] >= limits.SMALLEST_HEAP_MIB << _SHIFTS["m"]


_SHIFTS = {"k": 10, "m": 20, "g": 30, "t": 40}

SWITCH = _one_of("true", "false")
COUNT = _whole(1)
LONG_COUNT = _whole(1, 10**15)
NUMBER = _whole(0)
MILLISECONDS = Form(
    # With a unit no executor that is told to leave moves anything, and nothing but its own log says so.
    "be a whole number of milliseconds without a unit, such as '10000'",
    lambda text: _is_within(text, 1, limits.API_INTEGER),
)
FOLDER = Form("end with '/', as in 's3a://bucket/folder/'", lambda text: text.endswith("/"))
PORT = Form(
    f"be 0 or a port from {limits.LOWEST_SPARK_PORT} to {limits.HIGHEST_PORT}, as text",
    lambda text: text == "0" or _is_within(text, limits.LOWEST_SPARK_PORT, limits.HIGHEST_PORT),
)
TIME = Form(
    "be a time such as '90s'", lambda text: re.fullmatch(r"[0-9]{1,15}(us|ms|s|m|min|h|d)?", text.lower()) is not None
)
SIZE = Form(
    "be a size such as '512m'", lambda text: re.fullmatch(r"[0-9]{1,15}([kmgtp]?b|[kmgtp])?", text.lower()) is not None
)
HEAP = Form(
    # Of these one is an argument of a JVM as it is, and the other one is read as bytes by some of Spark's code.
    f"be a size with one of the units k, m, g and t, of at least {limits.SMALLEST_HEAP_MIB}m, such as '4g'",
    _is_heap,
)
JVM_OPTIONS = Form("not set -Xmx, which Spark refuses: use its own property", lambda text: "-Xmx" not in text)
EXECUTOR_JVM_OPTIONS = Form(
    "set neither -Xmx nor -Dspark…, which Spark refuses: use its properties",
    lambda text: "-Xmx" not in text and "-Dspark" not in text,
)

FORMS: Mapping[str, Form] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "spark.decommission.enabled",
                "spark.dynamicAllocation.enabled",
                "spark.dynamicAllocation.shuffleTracking.enabled",
                "spark.eventLog.enabled",
                "spark.shuffle.service.enabled",
                "spark.speculation",
                "spark.storage.decommission.enabled",
                "spark.stage.ignoreDecommissionFetchFailure",
                "spark.storage.decommission.fallbackStorage.cleanUp",
                "spark.storage.decommission.rddBlocks.enabled",
                "spark.storage.decommission.shuffleBlocks.enabled",
                "spark.ui.enabled",
                "spark.ui.reverseProxy",
                "spark.worker.cleanup.enabled",
                "spark.worker.preferConfiguredMasterAddress",
            ),
            SWITCH,
        ),
        **dict.fromkeys(
            (
                "spark.cores.max",
                "spark.default.parallelism",
                "spark.deploy.defaultCores",
                "spark.driver.cores",
                "spark.dynamicAllocation.maxExecutors",
                "spark.executor.cores",
                "spark.sql.shuffle.partitions",
                "spark.stage.maxConsecutiveAttempts",
                "spark.storage.decommission.shuffleBlocks.maxThreads",
                "spark.task.cpus",
                "spark.task.maxFailures",
            ),
            COUNT,
        ),
        **dict.fromkeys(
            (
                "spark.executor.logs.rolling.maxSize",
                "spark.worker.cleanup.appDataTtl",
                "spark.worker.cleanup.interval",
                "spark.worker.timeout",
            ),
            LONG_COUNT,
        ),
        **dict.fromkeys(
            (
                "spark.deploy.retainedApplications",
                "spark.deploy.retainedDrivers",
                "spark.dynamicAllocation.initialExecutors",
                "spark.dynamicAllocation.minExecutors",
                "spark.executor.instances",
                "spark.port.maxRetries",
                "spark.scheduler.maxRetainedRemovedDecommissionExecutors",
                "spark.scheduler.maxRetainedUnknownDecommissionExecutors",
                "spark.storage.decommission.maxReplicationFailuresPerBlock",
            ),
            NUMBER,
        ),
        **dict.fromkeys(
            ("spark.deploy.maxExecutorRetries", "spark.executor.logs.rolling.maxRetainedFiles"), _whole(-1)
        ),
        **dict.fromkeys(
            ("spark.blockManager.port", "spark.driver.blockManager.port", "spark.driver.port", "spark.ui.port"), PORT
        ),
        **dict.fromkeys(
            (
                "spark.dynamicAllocation.executorIdleTimeout",
                "spark.dynamicAllocation.schedulerBacklogTimeout",
                "spark.dynamicAllocation.shuffleTracking.timeout",
                "spark.executor.decommission.forceKillTimeout",
                "spark.executor.decommission.killInterval",
                "spark.executor.heartbeatInterval",
                "spark.locality.wait",
                "spark.network.timeout",
                "spark.network.timeoutInterval",
                "spark.rpc.askTimeout",
                "spark.storage.decommission.replicationReattemptInterval",
            ),
            TIME,
        ),
        **dict.fromkeys(
            (
                "spark.driver.maxResultSize",
                "spark.executor.memoryOverhead",
                "spark.executor.pyspark.memory",
                "spark.memory.offHeap.size",
                "spark.storage.decommission.shuffleBlocks.maxDiskSize",
            ),
            SIZE,
        ),
        **dict.fromkeys(("spark.driver.memory", "spark.executor.memory"), HEAP),
        "spark.storage.cachedPeersTtl": MILLISECONDS,
        "spark.storage.decommission.fallbackStorage.path": FOLDER,
        "spark.driver.extraJavaOptions": JVM_OPTIONS,
        "spark.executor.extraJavaOptions": EXECUTOR_JVM_OPTIONS,
        "spark.executor.logs.rolling.strategy": _one_of("", "size", "time"),
        "spark.authenticate.secretBitLength": COUNT,
    }
)
"""What the value of a property that the nodes, our own defaults or a first consumer use looks like."""

KEPT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "spark.authenticate": ("true", "or whoever reaches a node runs programs on it"),
        "spark.network.crypto.enabled": ("true", "or what nodes say to each other is readable on its way"),
        "spark.network.crypto.saslFallback": ("false", "since the older protocol encrypts nothing"),
        "spark.master.rest.enabled": (
            "false",
            "since it starts drivers for whoever reaches its port, and no master starts with it and a secret",
        ),
        "spark.deploy.recoveryMode": (
            "FILESYSTEM",
            "or a restarted master forgets its applications",
        ),
        "spark.deploy.recoveryDirectory": ("/var/lib/spark/recovery", "which the node makes and looks after"),
        "spark.submit.deployMode": ("client", "since Spark runs no Python in the other mode, and no job waits for it"),
        "spark.master.ui.port": ("8082", "where the node's programs and the front of all pages look for it"),
        "spark.history.ui.port": ("18080", "where the front of all pages looks for it"),
        "spark.worker.ui.port": ("8081", "by which the node's programs go"),
        "spark.connect.grpc.binding.address": ("127.0.0.1", "or a Spark Connect server is open to the whole network"),
        "spark.connect.grpc.binding.port": ("15002", "which cluster.commands.connect forwards"),
    }
)
"""Properties with the one value that leaves the cluster working and closed, and why."""

# What Spark itself takes for a secret (spark.redaction.regex), and the keys of Azure, which it does not know.
_SECRET = re.compile(
    r"secret|password|passphrase|token|access[.]?key|api[.]?key|account[.]key|fs[.]azure[.]sas[.]", re.IGNORECASE
)
# A property about a secret: its last word says that it holds none.
_ABOUT_A_SECRET = re.compile(
    r"(enabled?|bitlength|length|provider|class|binding|mechanism|timeout|interval|duration|period|regex|algorithm)$",
    re.IGNORECASE,
)
_SECRET_IN_A_VALUE = re.compile(r"(secret|password|passphrase|token)=\S|://[^/\s@]*:[^/\s@]*@", re.IGNORECASE)


NETWORK_TIMEOUT = "60s"
"""The cluster's own `spark.network.timeout`, with which a caller's heartbeat has to go together."""

_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def clash(values: Mapping[str, str]) -> tuple[str, str] | None:
    """The property and its rule if two of them, each right by itself, do not go together; tokens are left out."""
    for upper, lower in (("spark.cores.max", "spark.executor.cores"), ("spark.executor.cores", "spark.task.cpus")):
        if upper in values and lower in values and int(values[upper]) < int(values[lower]):
            return upper, f"be at least {lower}, {values[lower]}, or nothing ever runs"
    heartbeat, timeout = values.get("spark.executor.heartbeatInterval"), values.get("spark.network.timeout")
    silence = timeout or NETWORK_TIMEOUT
    if heartbeat is not None and _milliseconds(heartbeat, "ms") >= _milliseconds(silence, "s"):
        return (
            "spark.executor.heartbeatInterval",
            f"be shorter than spark.network.timeout, {silence}",
        )
    if timeout is not None and _milliseconds(timeout, "s") <= _milliseconds(heartbeat or "10s", "ms"):
        return "spark.network.timeout", "be longer than spark.executor.heartbeatInterval (Spark's own: 10s)"
    return None


def _milliseconds(text: str, unit: str) -> float:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return int(digits) * _MILLISECONDS[text[len(digits) :].lower() or unit]


def is_secret(key: str) -> bool:
    """Whether a property's name says that its value is a secret."""
    return _SECRET.search(key) is not None and _ABOUT_A_SECRET.search(key) is None


def holds_secret(value: str) -> bool:
    """Whether a value has a secret in it by its own words: `-Djavax.net.ssl.trustStorePassword=…`, `https://a:b@c`."""
    return _SECRET_IN_A_VALUE.search(value) is not None
