"""Spark properties: which the cluster keeps to itself, which are a secret, and what the values of the others look like.

Spark reads a value when it needs it: on a node, in a driver, or in a daemon that then does not start. What can be said
earlier is said here. The forms are those of https://spark.apache.org/docs/latest/configuration.html (Spark Properties),
the ranges those of Spark's own code, core/src/main/scala/org/apache/spark/internal/config at v4.0.0, and of Spark 4.3.0
as it answers to such values.
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
    bounds = f"of at least {lowest}" if highest >= limits.API_INTEGER else f"from {lowest} to {highest}"
    return Form(f"be a whole number {bounds}, as text", lambda text: _is_within(text, lowest, highest))


def _is_within(text: str, lowest: int, highest: int) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None and lowest <= int(text) <= highest


def _one_of(*words: str) -> Form:
    return Form(f"be one of {', '.join(map(repr, words))}", lambda text: text.lower() in {one.lower() for one in words})


def _number(rule: str, fits: Callable[[float], bool]) -> Form:
    return Form(
        f"be a number {rule}, such as '0.5'",
        lambda text: re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", text) is not None and fits(float(text)),
    )


_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _is_time(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,15}(us|ms|s|m|min|h|d)?", text.lower()) is not None


def _milliseconds(text: str, unit: str) -> float:
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return int(digits) * _MILLISECONDS[text[len(digits) :].lower() or unit]


def _at_least_one(unit: str) -> Form:
    """A time that is not 0 in the unit in which Spark counts it, which is also that of a number without one."""
    return Form(
        f"be a time of at least 1{unit}, such as '90s'",
        lambda text: _is_time(text) and _milliseconds(text, unit) >= _MILLISECONDS[unit],
    )


_SHIFTS = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}


def _bytes(text: str, unit: str) -> int | None:
    """What a size stands for, if it is one; without a unit of its own it has the one that Spark gives it."""
    match = re.fullmatch(r"([0-9]{1,15})([kmgtp]?)(b?)", text.lower())
    return None if match is None else int(match[1]) << _SHIFTS[match[2] or match[3] or unit]


def _size(unit: str, lowest: str, highest: str | None = None) -> Form:
    least, most = _bytes(lowest, unit) or 0, _bytes(highest or f"{2**13}p", unit) or 0
    bounds = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
    return Form(f"be a size {bounds}, such as '64m'", lambda text: least <= (_bytes(text, unit) or 0) <= most)


def _is_heap(text: str) -> bool:
    size = _bytes(text, "b") if re.fullmatch(r"[0-9]{1,9}[kmgt]", text.lower()) else None
    return size is not None and size >= limits.SMALLEST_HEAP_MIB << _SHIFTS["m"]


def _is_class(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)+", text) is not None


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
TIME = Form("be a time such as '90s'", _is_time)
SIZE = Form("be a size such as '512m'", lambda text: _bytes(text, "b") is not None)
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
CLASS = Form("be a class's full name, such as 'org.apache.spark.serializer.KryoSerializer'", _is_class)
CODEC = Form(
    "be one of 'lz4', 'lzf', 'snappy', 'zstd', or a class's full name",
    lambda text: text.lower() in {"lz4", "lzf", "snappy", "zstd"} or _is_class(text),
)

FORMS: Mapping[str, Form] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "spark.broadcast.compress",
                "spark.driver.userClassPathFirst",
                "spark.eventLog.compress",
                "spark.executor.userClassPathFirst",
                "spark.files.ignoreCorruptFiles",
                "spark.files.ignoreMissingFiles",
                "spark.hadoop.fs.s3a.proxy.ssl.enabled",
                "spark.kryo.registrationRequired",
                "spark.python.worker.reuse",
                "spark.rdd.compress",
                "spark.shuffle.compress",
                "spark.shuffle.spill.compress",
                "spark.speculation",
                "spark.sql.caseSensitive",
                "spark.sql.files.ignoreCorruptFiles",
                "spark.sql.files.ignoreMissingFiles",
                "spark.sql.parquet.mergeSchema",
                "spark.stage.ignoreDecommissionFetchFailure",
                "spark.storage.decommission.fallbackStorage.cleanUp",
                "spark.ui.reverseProxy",
                "spark.ui.showConsoleProgress",
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
                "spark.excludeOnFailure.application.maxFailedExecutorsPerNode",
                "spark.excludeOnFailure.application.maxFailedTasksPerExecutor",
                "spark.excludeOnFailure.stage.maxFailedExecutorsPerNode",
                "spark.excludeOnFailure.stage.maxFailedTasksPerExecutor",
                "spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor",
                "spark.excludeOnFailure.task.maxTaskAttemptsPerNode",
                "spark.executor.cores",
                "spark.history.retainedApplications",
                "spark.sql.shuffle.partitions",
                "spark.stage.maxConsecutiveAttempts",
                "spark.storage.decommission.shuffleBlocks.maxThreads",
                "spark.task.maxFailures",
                "spark.worker.initialRegistrationRetries",
                "spark.worker.maxRegistrationRetries",
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
                "spark.dynamicAllocation.cachedExecutorIdleTimeout",
                "spark.dynamicAllocation.executorIdleTimeout",
                "spark.dynamicAllocation.shuffleTracking.timeout",
                "spark.executor.decommission.forceKillTimeout",
                "spark.executor.decommission.killInterval",
                "spark.history.fs.update.interval",
                "spark.locality.wait",
                "spark.network.timeout",
                "spark.rpc.io.connectionCreationTimeout",
            ),
            TIME,
        ),
        "spark.sql.broadcastTimeout": Form(
            "be a time such as '90s', or '-1' for no limit", lambda text: _is_time(text.removeprefix("-"))
        ),
        **dict.fromkeys(
            (
                "spark.dynamicAllocation.schedulerBacklogTimeout",
                "spark.dynamicAllocation.sustainedSchedulerBacklogTimeout",
                "spark.rpc.askTimeout",
                "spark.rpc.lookupTimeout",
            ),
            _at_least_one("s"),
        ),
        **dict.fromkeys(
            (
                "spark.executor.heartbeatInterval",
                "spark.network.timeoutInterval",
                "spark.storage.decommission.replicationReattemptInterval",
            ),
            _at_least_one("ms"),
        ),
        **dict.fromkeys(
            (
                "spark.driver.maxResultSize",
                "spark.driver.memoryOverhead",
                "spark.executor.memoryOverhead",
                "spark.executor.pyspark.memory",
                "spark.memory.offHeap.size",
                "spark.reducer.maxSizeInFlight",
                "spark.sql.files.maxPartitionBytes",
                "spark.storage.decommission.shuffleBlocks.maxDiskSize",
            ),
            SIZE,
        ),
        **dict.fromkeys(("spark.driver.memory", "spark.executor.memory"), HEAP),
        "spark.eventLog.rolling.maxFileSize": _size("b", "2m"),
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": _size("b", "1b"),
        "spark.kryoserializer.buffer": _size("k", "1k", "2047m"),
        "spark.kryoserializer.buffer.max": _size("m", "1m", "2047m"),
        "spark.sql.autoBroadcastJoinThreshold": Form(
            "be a size such as '64m', or '-1' for no such join", lambda text: text == "-1" or SIZE.fits(text)
        ),
        **dict.fromkeys(
            ("spark.dynamicAllocation.executorAllocationRatio", "spark.memory.fraction"),
            _number("above 0 and at most 1", lambda share: 0 < share <= 1),
        ),
        # A whole number before Spark 4.3.
        "spark.task.cpus": _number("above 0", lambda cpus: cpus > 0),
        "spark.memory.storageFraction": _number("of at least 0 and below 1", lambda share: 0 <= share < 1),
        "spark.storage.cachedPeersTtl": MILLISECONDS,
        "spark.storage.decommission.fallbackStorage.path": FOLDER,
        **dict.fromkeys(("spark.driver.defaultJavaOptions", "spark.driver.extraJavaOptions"), JVM_OPTIONS),
        **dict.fromkeys(("spark.executor.defaultJavaOptions", "spark.executor.extraJavaOptions"), EXECUTOR_JVM_OPTIONS),
        **dict.fromkeys(
            (
                "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a",
                "spark.serializer",
                "spark.sql.parquet.output.committer.class",
                "spark.sql.sources.commitProtocolClass",
            ),
            CLASS,
        ),
        **dict.fromkeys(("spark.eventLog.compression.codec", "spark.io.compression.codec"), CODEC),
        "spark.authenticate.secretBitLength": COUNT,
        "spark.executor.logs.rolling.strategy": _one_of("", "size", "time"),
        "spark.hadoop.fs.s3a.committer.name": _one_of("file", "directory", "partitioned", "magic"),
        "spark.hadoop.fs.s3a.input.stream.type": _one_of("classic", "prefetch", "analytics", "custom", "default"),
        "spark.hadoop.fs.s3a.proxy.port": _whole(1, limits.HIGHEST_PORT),
        "spark.log.level": _one_of("ALL", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"),
        "spark.master.ui.decommission.allow.mode": _one_of("ALLOW", "LOCAL", "DENY"),
        "spark.network.crypto.authEngineVersion": _one_of("1", "2"),
        "spark.network.crypto.cipher": _one_of("AES/CTR/NoPadding", "AES/GCM/NoPadding"),
        "spark.rpc.message.maxSize": _whole(1, 2047),
        "spark.scheduler.mode": _one_of("FAIR", "FIFO"),
        "spark.ui.reverseProxyUrl": Form(
            "have no part 'proxy' or 'history', by which Spark finds its own pages",
            lambda text: not {"proxy", "history"} & set(text.split("/")),
        ),
    }
)
"""What the value of a property that the nodes, our own defaults or a first consumer use looks like."""

# Of Spark's own; another's may have words besides, such as Delta's `auto`.
_SWITCH = re.compile(
    r"spark\.(acls|decommission|driver|dynamicAllocation|eventLog|excludeOnFailure|executor|history|io|log|master|memory"
    r"|metrics|python|rdd|scheduler|shuffle|speculation|sql(?!\.catalog\.)|storage|task|ui|worker)\.(.+[.]e|.*E|e)nabled?"
)


def form(key: str) -> Form | None:
    """What the value of a property looks like, if it is known: all of Spark's that end in `enabled` are switches."""
    return FORMS.get(key) or (SWITCH if _SWITCH.fullmatch(key) else None)


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


OWN: Mapping[str, str] = MappingProxyType({"spark.network.timeout": "60s", "spark.network.timeoutInterval": "30s"})
"""The cluster's own properties with which a caller's have to go together."""

_UNLESS_SET = {**OWN, "spark.executor.heartbeatInterval": "10s"}

_NOT_ABOVE = (
    ("spark.executor.cores", "spark.cores.max"),
    ("spark.task.cpus", "spark.executor.cores"),
    ("spark.dynamicAllocation.minExecutors", "spark.dynamicAllocation.maxExecutors"),
    ("spark.network.timeoutInterval", "spark.network.timeout"),
    ("spark.executor.heartbeatInterval", "spark.network.timeout"),
)
_BELOW = "spark.executor.heartbeatInterval"
_COUNTED_IN = {
    "spark.executor.heartbeatInterval": "ms",
    "spark.network.timeoutInterval": "ms",
    "spark.network.timeout": "s",
}


def clash(values: Mapping[str, str | None]) -> tuple[str, str] | None:
    """The property and its rule if some of them, each right by itself, do not go together.

    `None` is a value that only Terraform knows.
    """
    together = {**_UNLESS_SET, **values}
    for lower, upper in _NOT_ABOVE:
        low, high = together.get(lower), together.get(upper)
        if low is None or high is None:
            continue
        least, most = _figure(lower, low), _figure(upper, high)
        if least > most or (least == most and lower == _BELOW):
            more, less = ("more", "less") if lower == _BELOW else ("at least", "at most")
            than = " than" if lower == _BELOW else ""
            if upper in values:
                return upper, f"be {more}{than} {lower}, {low}, or no application runs"
            return lower, f"be {less}{than} {upper}, {high}, or no application runs"
    return _without_company(values)


def _figure(key: str, text: str) -> float:
    unit = _COUNTED_IN.get(key)
    return float(text) if unit is None else _milliseconds(text, unit)


def _without_company(values: Mapping[str, str | None]) -> tuple[str, str] | None:
    """What ends each application unless something else comes with it."""
    given = {key: value.lower() for key, value in values.items() if value is not None}
    off_heap, size = "spark.memory.offHeap.enabled", "spark.memory.offHeap.size"
    is_known = size in given or size not in values
    if given.get(off_heap) == "true" and is_known and (_bytes(given.get(size, "0"), "b") or 0) < 1 << _SHIFTS["m"]:
        return off_heap, f"come with a {size} of 1m or more, or no application runs"
    dynamic, tracking = "spark.dynamicAllocation.enabled", "spark.dynamicAllocation.shuffleTracking.enabled"
    moving = ("spark.decommission.enabled", "spark.storage.decommission.shuffleBlocks.enabled")
    service = "spark.shuffle.service.enabled"
    is_lost = given.get(tracking) == "false" and any(given.get(key) == "false" for key in moving)
    if given.get(dynamic) == "true" and is_lost and (service not in values or given.get(service) == "false"):
        return dynamic, f"come with {tracking} or {' and '.join(moving)}, or no application runs"
    return None


def is_secret(key: str) -> bool:
    """Whether a property's name says that its value is a secret."""
    return _SECRET.search(key) is not None and _ABOUT_A_SECRET.search(key) is None


def holds_secret(value: str) -> bool:
    """Whether a value has a secret in it by its own words: `-Djavax.net.ssl.trustStorePassword=…`, `https://a:b@c`."""
    return _SECRET_IN_A_VALUE.search(value) is not None
