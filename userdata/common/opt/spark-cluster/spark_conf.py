#!/usr/bin/python3
"""Write Spark's configuration on this node.

What differs from Spark's own defaults stands here, each with its reason; `spark_defaults` of the caller wins over it.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import settings
from aws import metadata
from files import keep
from s3a import COMMITTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER_MEMORY_SHARE = 0.85  # of what the machine has; the rest is for the system and the worker's own JVM
SYSTEM_MEMORY_MIB = 1024  # what these need at the least, and what Spark itself leaves them by default
LEAST_EXECUTOR_MIB = 512
"""Spark refuses a heap below 450 MiB, of which the serial collector that Java takes on a small host hides a part."""
MASTER_PORT = 7077
EXECUTOR_FILE = "/etc/spark-cluster/executor.env"
EVENT_LOGS = "/var/lib/spark-events"
HISTORY_PORT = 18080
HISTORY_CONF = "/etc/spark-cluster/history"
CONNECT_CONF = "/etc/spark-cluster/connect.conf"
FRONT_BUCKET = "/etc/spark-cluster/front-bucket.conf"
FALLBACK_PATH = "spark.storage.decommission.fallbackStorage.path"
FALLBACK_CLEAN_UP = "spark.storage.decommission.fallbackStorage.cleanUp"
OF_HISTORY = ("spark.history.", "spark.hadoop.")
SEVERAL_FOLDERS = [4, 2]
GCM_WORKS = [4, 3]
LEAVING_IS_NO_FAILURE = [4]
MAGIC_BY_ITSELF = [4, 1]


def release_line(spark_version: str) -> list[int]:
    """A release's first two numbers, such as 4 and 3."""
    return [int(number) for number in re.findall(r"\d+", spark_version)[:2]]


def defaults(master_host: str, spark_version: str) -> dict[str, str]:
    """The cluster's own spark-defaults.conf."""
    # Authenticated encryption; before 4.3 the messages of this cipher could not be read (SPARK-56227).
    stronger = {
        "spark.network.crypto.authEngineVersion": "2",
        "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    }
    return {
        "spark.master": f"spark://{master_host}:{MASTER_PORT}",
        # On by default since 4.1, and open to everyone who reaches it, whatever spark.authenticate says.
        "spark.master.rest.enabled": "false",
        # Without it a restarted master forgets applications, whose drivers then hang.
        "spark.deploy.recoveryMode": "FILESYSTEM",
        "spark.deploy.recoveryDirectory": "/var/lib/spark/recovery",
        # A worker that stops takes its executors along ten times in a second: no reason to end the application.
        "spark.deploy.maxExecutorRetries": "-1",
        # A vanished host is noticed after half a minute rather than one to two.
        "spark.worker.timeout": "30",
        "spark.network.timeout": "60s",
        "spark.network.timeoutInterval": "30s",
        # A master that moved is found by its name, not at the address it had.
        "spark.worker.preferConfiguredMasterAddress": "true",
        # And soon: a worker tries every 5 to 15 s for a quarter of an hour, where Spark's own goes over to 30 to 90 s
        # after six times, and waits a minute for an answer from the address of a host that is gone.
        "spark.worker.initialRegistrationRetries": "60",
        "spark.worker.maxRegistrationRetries": "60",
        "spark.rpc.io.connectionCreationTimeout": "10s",
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.saslFallback": "false",
        **(stronger if release_line(spark_version) >= GCM_WORKS else {}),
        # Without decommissioning SIGPWR kills a worker at once. Two rounds of Spark's 30 s take half of a spot notice.
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.replicationReattemptInterval": "5s",
        # A plain number of milliseconds. For Spark's minute an executor would go on sending to one that has left, too.
        "spark.storage.cachedPeersTtl": "10000",
        # By default a driver forgets at once that an executor was to leave: what others then fail to fetch from it
        # counts against the stage, and one that registers late is not told to leave.
        "spark.scheduler.maxRetainedRemovedDecommissionExecutors": "1000",
        "spark.scheduler.maxRetainedUnknownDecommissionExecutors": "1000",
        **(
            {}
            if release_line(spark_version) >= LEAVING_IS_NO_FAILURE
            else {"spark.stage.ignoreDecommissionFetchFailure": "true"}
        ),
        # Disks: what applications leave behind goes after a day, executors' logs have an end.
        "spark.worker.cleanup.enabled": "true",
        "spark.worker.cleanup.appDataTtl": "86400",
        "spark.executor.logs.rolling.strategy": "size",
        "spark.executor.logs.rolling.maxSize": "67108864",
        "spark.executor.logs.rolling.maxRetainedFiles": "4",
        # All pages through the master's: one forwarded port shows everything.
        "spark.ui.reverseProxy": "true",
        # Whatever name or port the browser has for it: links begin at the root.
        "spark.ui.reverseProxyUrl": "/",
    }


def of_master(given: Mapping[str, Any]) -> dict[str, str]:
    """What the master, and drivers on it, have besides."""
    return {
        # The name, which every node resolves, rather than what the AMI calls this host.
        "spark.driver.host": given["master_host"],
        # On a disk, since S3A writes what is closed alone; event_logs.py copies it, in files of this size at the most.
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file:{EVENT_LOGS}",
        "spark.eventLog.rolling.enabled": "true",
        "spark.eventLog.rolling.maxFileSize": "16m",
        # By default a page of this host may take workers away, and through the front every page is one.
        "spark.master.ui.decommission.allow.mode": "DENY",
        # Where an application that has ended is shown; unknown before Spark 4.
        **({"spark.master.ui.historyServerUrl": "/history"} if given["history_server"] else {}),
    }


def history(given: Mapping[str, Any]) -> dict[str, str]:
    """The history server's own spark-defaults.conf: without the secret, since a job wrote what it reads."""
    here, bucket = f"file:{EVENT_LOGS}", f"s3a://{given['bucket']}/spark-events"
    if not given["s3a_sdk"]:
        folders = here
    else:
        folders = f"{here},{bucket}" if release_line(given["spark_version"]) >= SEVERAL_FOLDERS else bucket
    of_s3 = s3a(given) if given["s3a_sdk"] else {}
    return {
        "spark.history.fs.logDirectory": folders,
        "spark.history.fs.update.interval": "60s",
        "spark.history.ui.port": str(HISTORY_PORT),
        # What it has in memory at once.
        "spark.history.retainedApplications": "10",
        # It may delete nothing; a lifecycle rule of the bucket does.
        "spark.history.fs.cleaner.enabled": "false",
        **{key: value for key, value in of_s3.items() if key.startswith("spark.hadoop.fs.s3a.")},
        **{key: value for key, value in given["spark_defaults"].items() if key.startswith(OF_HISTORY)},
    }


def connect(given: Mapping[str, Any]) -> dict[str, str]:
    """What the Spark Connect server has besides: one application, which all its clients share and which never ends."""
    ours = {
        # From no executors, the default, to what waiting tasks need, and back.
        "spark.dynamicAllocation.enabled": "true",
        # By default executors that hold shuffle data or a cached table stay for ever, whoever has long left.
        "spark.dynamicAllocation.shuffleTracking.timeout": "30min",
        "spark.dynamicAllocation.cachedExecutorIdleTimeout": "30min",
        # Clients have pyarrow, by which Spark 4.2 then takes functions in Python to have it, too; nodes have none.
        "spark.sql.execution.pythonUDF.arrow.enabled": "false",
        "spark.sql.execution.pythonUDTF.arrow.enabled": "false",
        # What spark-env.sh says to daemons, Spark says to this one, too; but its page may be on the next free port.
        "spark.port.maxRetries": "16",
    }
    return {
        **{key: given["spark_defaults"].get(key, value) for key, value in ours.items()},
        "spark.cores.max": str(int(given["connect_cores"])),
        # Whichever of this and SPARK_DAEMON_MEMORY a release goes by; the unit bounds it.
        "spark.driver.memory": "1g",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "15002",
    }


def s3a(given: Mapping[str, Any]) -> dict[str, str]:
    """What S3A needs."""
    # Spark 4.1 takes this committer for every bucket by itself, and only if its side of it is there, too.
    has_committers = any(Path(settings.path("/opt/spark/jars")).glob(COMMITTERS))
    is_set_here = has_committers and release_line(given["spark_version"]) < MAGIC_BY_ITSELF
    magic = {
        "spark.hadoop.fs.s3a.committer.name": "magic",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": (
            "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
        ),
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    }
    return {
        "spark.hadoop.fs.s3a.endpoint.region": given["region"],
        # The instance's role. S3A's own list begins with what lies in the environment.
        "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
        # What is written waits on a local disk, where shuffle data are; not in /tmp, which may be memory.
        "spark.hadoop.fs.s3a.buffer.dir": "${env.SPARK_LOCAL_DIRS:-/var/lib/spark-local/local}",
        # The default stream of Hadoop 3.5 leaks in long-lived JVMs (HADOOP-20058).
        "spark.hadoop.fs.s3a.input.stream.type": "classic",
        "spark.sql.warehouse.dir": f"s3a://{given['bucket']}/data/warehouse",
        # Where an executor that leaves puts what no other one takes; its driver deletes it at its end.
        FALLBACK_PATH: f"s3a://{given['bucket']}/fallback/",
        FALLBACK_CLEAN_UP: "true",
        **(magic if is_set_here else {}),
        # Hadoop 3.3 would sign for the region and go on asking the global endpoint.
        **({"spark.hadoop.fs.s3a.endpoint": given["s3_endpoint"]} if is_of_hadoop_3_3(given["spark_version"]) else {}),
        **s3a_proxy(given),
    }


def is_of_hadoop_3_3(spark_version: str) -> bool:
    return release_line(spark_version) < [4]


def s3a_proxy(given: Mapping[str, Any]) -> dict[str, str]:
    """S3A reads no environment. `no_proxy` is as others read it: a name stands for itself and for what is below it."""
    direct = [f".{name.lstrip('.')}" for name in given["no_proxy"]]
    if not given["http_proxy"] or any(f".{given['bucket']}.{given['s3_endpoint']}".endswith(name) for name in direct):
        return {}
    proxy = urllib.parse.urlsplit(given["http_proxy"])
    is_tls = proxy.scheme == "https"
    return {
        "spark.hadoop.fs.s3a.proxy.host": proxy.hostname or "",
        "spark.hadoop.fs.s3a.proxy.port": str(proxy.port or (443 if is_tls else 80)),
        "spark.hadoop.fs.s3a.proxy.ssl.enabled": str(is_tls).lower(),
    }


def total_memory_mib(meminfo: str) -> float:
    """What the kernel has to give, from the text of /proc/meminfo."""
    return next(int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemTotal:")) / 1024


def worker_memory_mib(total_mib: float) -> int:
    """What a worker may give to executors, of so much."""
    return int(min(total_mib * WORKER_MEMORY_SHARE, total_mib - SYSTEM_MEMORY_MIB))


def java_home() -> str:
    """Where the `java` on the path really is."""
    java = shutil.which("java")
    if java is None:
        raise SystemExit("spark_conf: there is no java")
    return os.path.dirname(os.path.dirname(os.path.realpath(java)))


def environment(role: str, python_version: str) -> str:
    """spark-env.sh, which Spark's own scripts read."""
    lines = [
        f"export JAVA_HOME={java_home()}",
        f"export PYSPARK_PYTHON=python{python_version}",
        # Ports are part of the security group's contract: better no daemon than one on the next port.
        'SPARK_DAEMON_JAVA_OPTS="-Dspark.port.maxRetries=0"',
        # The JVM that only puts together the command of the next need not compile for the long run.
        'SPARK_LAUNCHER_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"',
    ]
    if role == "worker":
        with open("/proc/meminfo", encoding="ascii") as file:
            total = total_memory_mib(file.read())
        memory = worker_memory_mib(total)
        if memory < LEAST_EXECUTOR_MIB:
            raise SystemExit(f"spark_conf: a worker with {total:.0f} MiB of memory has no room for an executor")
        lines += ["SPARK_DAEMON_MEMORY=512m", f"SPARK_WORKER_MEMORY={memory}m", f"SPARK_WORKER_CORES={os.cpu_count()}"]
    else:
        # Made by tick.py: an executor fills a worker, as far as spark_defaults does not say otherwise.
        executor = settings.path(EXECUTOR_FILE)
        lines += ["SPARK_DAEMON_MEMORY=1g", f"[ ! -r {executor} ] || . {executor}"]
    return "\n".join(lines) + "\n"


def history_environment() -> str:
    """Its spark-env.sh: bounded in memory, started again where that does not do, reached through the front alone."""
    lines = [
        f"export JAVA_HOME={java_home()}",
        "export SPARK_LOCAL_IP=127.0.0.1",
        "SPARK_DAEMON_MEMORY=512m",
        'SPARK_DAEMON_JAVA_OPTS="-Dspark.port.maxRetries=0 -XX:+ExitOnOutOfMemoryError"',
    ]
    return "\n".join(lines) + "\n"


def lines_of(properties: Mapping[str, str]) -> str:
    """A properties file: a backslash stands for itself only as two."""
    return "".join("{} {}\n".format(key, value.replace("\\", "\\\\")) for key, value in properties.items())


def main() -> None:
    given = settings.load()
    role, host = given["role"], given["master_host"]
    with open(settings.path("/etc/spark-cluster/spark-secret"), encoding="utf-8") as file:
        secret = {"spark.authenticate.secret": file.read()}
    properties = {
        **defaults(host, given["spark_version"]),
        **(of_master(given) if role == "master" else {}),
        **(s3a(given) if given["s3a_sdk"] else {}),
        # Of the caller's own fallback storage, too, whatever it is reached with.
        **({FALLBACK_CLEAN_UP: "true"} if FALLBACK_PATH in given["spark_defaults"] else {}),
        **given["spark_defaults"],
        **secret,
    }
    conf = "/opt/spark/conf"
    os.makedirs(settings.path(conf), exist_ok=True)
    # It holds the secret, without which no driver can reach its executors.
    keep(f"{conf}/spark-defaults.conf", lines_of(properties), mode=0o640, owner="spark", group="spark-driver")
    if given["s3a_sdk"]:
        # Without it Hadoop before 3.4 warns in every job.
        keep(f"{conf}/hadoop-metrics2.properties", "# S3A's figures go nowhere.\n", mode=0o644)
    address = metadata("local-ipv4")
    if address is None:
        raise SystemExit("spark_conf: this instance has no private IPv4 address, by which its cluster knows a node")
    keep(f"{conf}/spark-env.sh", environment(role, given["python_version"]), mode=0o644)
    if role == "master":
        os.makedirs(settings.path(HISTORY_CONF), exist_ok=True)
        keep(f"{HISTORY_CONF}/spark-defaults.conf", lines_of(history(given)), mode=0o644)
        keep(f"{HISTORY_CONF}/spark-env.sh", history_environment(), mode=0o644)
        # For nginx, where links to the logs of executors that are gone lead.
        keep(FRONT_BUCKET, f"set $bucket {given['bucket']};\n", mode=0o644)
        if given["connect_parameter"]:
            keep(CONNECT_CONF, lines_of(connect(given)), mode=0o644)
    keep("/etc/spark-cluster/node.env", f"MASTER_HOST={host}\nPRIVATE_IP={address}\n", mode=0o644)


if __name__ == "__main__":
    main()
