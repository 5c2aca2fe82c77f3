"""spark_conf.py: Spark's configuration on a node."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import spark_conf

from spark_cluster.spark_properties import form
from tests.userdata.node import node_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "the cluster's secret"  # noqa: S105

# What differs from Spark's defaults, and must: see the comments in spark_conf.py.
OURS = {
    "spark.master": "spark://master.demo-spark:7077",
    "spark.master.rest.enabled": "false",
    "spark.deploy.recoveryMode": "FILESYSTEM",
    "spark.deploy.recoveryDirectory": "/var/lib/spark/recovery",
    "spark.deploy.maxExecutorRetries": "-1",
    "spark.worker.timeout": "30",
    "spark.network.timeout": "60s",
    "spark.network.timeoutInterval": "30s",
    "spark.worker.preferConfiguredMasterAddress": "true",
    "spark.worker.initialRegistrationRetries": "60",
    "spark.worker.maxRegistrationRetries": "60",
    "spark.rpc.io.connectionCreationTimeout": "10s",
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.network.crypto.saslFallback": "false",
    "spark.network.crypto.authEngineVersion": "2",
    "spark.network.crypto.cipher": "AES/GCM/NoPadding",
    "spark.decommission.enabled": "true",
    "spark.storage.decommission.enabled": "true",
    "spark.storage.decommission.replicationReattemptInterval": "5s",
    "spark.storage.cachedPeersTtl": "10000",
    "spark.scheduler.maxRetainedRemovedDecommissionExecutors": "1000",
    "spark.scheduler.maxRetainedUnknownDecommissionExecutors": "1000",
    "spark.worker.cleanup.enabled": "true",
    "spark.worker.cleanup.appDataTtl": "86400",
    "spark.executor.logs.rolling.strategy": "size",
    "spark.executor.logs.rolling.maxSize": "67108864",
    "spark.executor.logs.rolling.maxRetainedFiles": "4",
    "spark.ui.reverseProxy": "true",
    "spark.ui.reverseProxyUrl": "/",
}
OF_MASTER = {
    "spark.driver.host": "master.demo-spark",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.dir": "file:/var/lib/spark-events",
    "spark.eventLog.rolling.enabled": "true",
    "spark.eventLog.rolling.maxFileSize": "16m",
    "spark.master.ui.decommission.allow.mode": "DENY",
    "spark.master.ui.historyServerUrl": "/history",
}
S3A = {
    "spark.hadoop.fs.s3a.endpoint.region": "eu-west-1",
    "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
    "spark.hadoop.fs.s3a.buffer.dir": "${env.SPARK_LOCAL_DIRS:-/var/lib/spark-local/local}",
    "spark.hadoop.fs.s3a.input.stream.type": "classic",
    "spark.sql.warehouse.dir": "s3a://demo-bucket/data/warehouse",
    "spark.storage.decommission.fallbackStorage.path": "s3a://demo-bucket/fallback/",
    "spark.storage.decommission.fallbackStorage.cleanUp": "true",
}
MAGIC = {
    "spark.hadoop.fs.s3a.committer.name": "magic",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": (
        "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory"
    ),
    "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
}


@pytest.fixture(autouse=True)
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Java that is on PATH through two links, as distributions have it."""
    home = tmp_path / "usr/lib/jvm/java-17"
    (home / "bin").mkdir(parents=True)
    (home / "bin/java").touch(mode=0o755)
    for folder in ("alternatives", "bin"):
        (tmp_path / folder).mkdir()
    (tmp_path / "alternatives/java").symlink_to(home / "bin/java")
    (tmp_path / "bin/java").symlink_to(tmp_path / "alternatives/java")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return home


@pytest.fixture
def configure(
    root: Path, settle: Callable[..., None], owners: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, str]]:
    """Writes the files of a role; returns what spark-defaults.conf says, as a properties file is read."""

    monkeypatch.setattr(spark_conf, "metadata", {"local-ipv4": "10.0.0.7"}.__getitem__)

    def write(role: str = "worker", **settings: object) -> dict[str, str]:
        (root / "etc/spark-cluster/spark-secret").write_text(SECRET)
        settle(role, **settings)
        spark_conf.main()
        lines = (root / "opt/spark/conf/spark-defaults.conf").read_text().splitlines()
        return {key: value.replace("\\\\", "\\") for key, _, value in (line.partition(" ") for line in lines)}

    return write


def sourced(root: Path, *names: str, file: str = "opt/spark/conf/spark-env.sh") -> dict[str, str]:
    """Variables of spark-env.sh as Spark's own scripts read it: exported, and with nothing set before."""
    script = 'set -aeu; . "$1"; shift; for name; do echo "$name=${!name-}"; done'
    command = ["bash", "-c", script, "bash", str(root / file), *names]
    said = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


@pytest.mark.parametrize("role", ["master", "worker"])
def test_what_is_wrong_in_spark_s_defaults_is_set_right_on_every_node(
    configure: Callable[..., dict[str, str]], role: str
) -> None:
    of_role = OF_MASTER if role == "master" else {}
    assert configure(role) == {**OURS, **of_role, "spark.authenticate.secret": SECRET}


@pytest.mark.parametrize(
    ("version", "is_authenticated"),
    [("3.5.9", False), ("4.2.1", False), ("4.3.0", True), ("4.3.0-ours", True), ("4.10.0", True), ("5.0.0", True)],
)
def test_messages_are_authenticated_where_the_release_can_read_them(
    configure: Callable[..., dict[str, str]],
    version: str,
    is_authenticated: bool,  # noqa: FBT001
) -> None:
    properties = configure("master", spark_version=version)
    stronger = {key: value for key, value in OURS.items() if key.endswith((".authEngineVersion", ".cipher"))}
    assert len(stronger) == 2
    assert (stronger.items() <= properties.items()) == is_authenticated
    assert is_authenticated or not stronger.keys() & properties.keys()


@pytest.mark.parametrize(
    ("version", "is_set"), [("3.5.9", True), ("4.0.5", False), ("4.1.4", False), ("4.2.1", False), ("4.3.0", False)]
)
def test_what_fails_because_an_executor_leaves_is_not_held_against_a_stage_where_spark_would(
    configure: Callable[..., dict[str, str]],
    version: str,
    is_set: bool,  # noqa: FBT001
) -> None:
    """`false` by default in 3.5, `true` since 4.0."""
    properties = configure(spark_version=version)
    assert properties.get("spark.stage.ignoreDecommissionFetchFailure") == ("true" if is_set else None)


@pytest.mark.parametrize("role", ["master", "worker"])
def test_there_is_a_fallback_if_and_only_if_there_is_s3a(configure: Callable[..., dict[str, str]], role: str) -> None:
    key = "spark.storage.decommission.fallbackStorage"
    assert not [one for one in configure(role, s3a_sdk="") if one.startswith(key)]
    assert configure(role, s3a_sdk="slim")[f"{key}.path"] == "s3a://demo-bucket/fallback/"
    own = {f"{key}.path": "s3a://another/", f"{key}.cleanUp": "false"}
    assert configure(role, s3a_sdk="slim", spark_defaults=own).items() >= own.items(), "the caller's wins"


@pytest.mark.parametrize("clean_up", [None, "false"])
def test_drivers_clear_the_caller_s_own_fallback_too_without_s3a(
    configure: Callable[..., dict[str, str]], clean_up: str | None
) -> None:
    key = "spark.storage.decommission.fallbackStorage"
    own = {f"{key}.path": "hdfs://nodes/fallback/", **({f"{key}.cleanUp": clean_up} if clean_up else {})}
    found = configure("master", s3a_sdk="", spark_defaults=own)
    assert found[f"{key}.path"] == "hdfs://nodes/fallback/"
    assert found[f"{key}.cleanUp"] == (clean_up or "true")


@pytest.mark.parametrize("version", ["3.5.9", "4.0.5", "4.1.4", "4.2.1", "4.3.0"])
def test_what_the_nodes_set_has_the_form_that_a_caller_is_held_to(
    configure: Callable[..., dict[str, str]], version: str
) -> None:
    """Some of Spark's own code reads a value of the wrong form late, and says so nowhere but in an executor's log."""
    for role in ("master", "worker"):
        for key, value in configure(role, spark_version=version, s3a_sdk="slim").items():
            of_key = form(key)
            assert of_key is None or of_key.fits(value), key


def test_the_caller_s_settings_win(configure: Callable[..., dict[str, str]]) -> None:
    caller = {"spark.network.timeout": "600s", "spark.cores.max": "8"}
    properties = configure(spark_defaults=caller)
    assert properties == {**OURS, **caller, "spark.authenticate.secret": SECRET}


OLD_ENDPOINT = {"spark.hadoop.fs.s3a.endpoint": "s3.eu-west-1.amazonaws.com"}


@pytest.mark.parametrize(
    ("version", "more"), [("4.3.0", {}), ("4.1.1", {}), ("4.0.5", MAGIC), ("3.5.9", {**MAGIC, **OLD_ENDPOINT})], ids=str
)
def test_s3a_is_set_up_where_its_jars_are(
    configure: Callable[..., dict[str, str]], root: Path, version: str, more: dict[str, str]
) -> None:
    (root / "opt/spark/jars").mkdir()
    (root / "opt/spark/jars/spark-hadoop-cloud_2.13-4.0.5.jar").touch()
    plain = configure(spark_version=version, s3a_sdk="")
    assert not [key for key, value in plain.items() if "s3a" in key + value]
    assert configure(s3a_sdk="slim") == {**plain, **S3A, **more}


@pytest.mark.parametrize(("sdk", "is_there"), [("", False), ("slim", True)])
def test_hadoop_finds_what_it_would_warn_about(
    configure: Callable[..., dict[str, str]], root: Path, sdk: str, *, is_there: bool
) -> None:
    configure(s3a_sdk=sdk)
    assert (root / "opt/spark/conf/hadoop-metrics2.properties").exists() == is_there


def test_without_spark_s_side_of_the_committer_none_is_chosen(configure: Callable[..., dict[str, str]]) -> None:
    """Of an archive with jars of its own: nothing could be written, wherever to."""
    assert not configure(spark_version="4.0.5", s3a_sdk="slim").keys() & MAGIC.keys()


PROXY = {
    "spark.hadoop.fs.s3a.proxy.host": "proxy.internal",
    "spark.hadoop.fs.s3a.proxy.port": "3128",
    "spark.hadoop.fs.s3a.proxy.ssl.enabled": "false",
}


@pytest.mark.parametrize(
    ("http_proxy", "no_proxy", "expected"),
    [
        ("http://proxy.internal:3128", [], PROXY),
        ("http://proxy.internal:3128/", ["ssm.eu-west-1.amazonaws.com", "10.0.0.1"], PROXY),
        ("http://proxy.internal", [], {**PROXY, "spark.hadoop.fs.s3a.proxy.port": "80"}),
        (
            "https://proxy.internal",
            [],
            {**PROXY, "spark.hadoop.fs.s3a.proxy.port": "443", "spark.hadoop.fs.s3a.proxy.ssl.enabled": "true"},
        ),
        ("http://proxy.internal:3128", ["s3.eu-west-1.amazonaws.com"], {}),
        ("http://proxy.internal:3128", [".amazonaws.com"], {}),
        ("http://proxy.internal:3128", ["demo-bucket.s3.eu-west-1.amazonaws.com"], {}),
        ("", [], {}),
    ],
)
def test_s3a_goes_through_the_proxy_unless_s3_is_reached_without(
    configure: Callable[..., dict[str, str]], http_proxy: str, no_proxy: list[str], expected: dict[str, str]
) -> None:
    properties = configure(s3a_sdk="slim", http_proxy=http_proxy, no_proxy=no_proxy)
    assert {key: value for key, value in properties.items() if ".proxy." in key} == expected


# The history server


def history(root: Path) -> dict[str, str]:
    lines = (root / "etc/spark-cluster/history/spark-defaults.conf").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


@pytest.mark.parametrize(
    ("version", "sdk", "folders"),
    [
        ("4.3.0", "slim", "file:/var/lib/spark-events,s3a://demo-bucket/spark-events"),
        ("4.2.0", "whole", "file:/var/lib/spark-events,s3a://demo-bucket/spark-events"),
        ("4.1.4", "slim", "s3a://demo-bucket/spark-events"),
        ("3.5.9", "slim", "s3a://demo-bucket/spark-events"),
        ("4.3.0", "", "file:/var/lib/spark-events"),
        ("3.5.9", "", "file:/var/lib/spark-events"),
    ],
)
def test_the_history_server_reads_what_it_can(
    configure: Callable[..., dict[str, str]], root: Path, version: str, sdk: str, folders: str
) -> None:
    """Several folders since 4.2, and the bucket if there is S3A; if one only, that which outlives the master."""
    configure("master", spark_version=version, s3a_sdk=sdk)
    assert history(root)["spark.history.fs.logDirectory"] == folders


def test_the_history_server_has_what_s3_needs_and_neither_the_secret_nor_the_cluster_s_settings(
    configure: Callable[..., dict[str, str]], root: Path
) -> None:
    caller = {"spark.hadoop.fs.s3a.endpoint": "https://vpce.internal", "spark.history.retainedApplications": "3"}
    configure("master", s3a_sdk="slim", spark_defaults={**caller, "spark.cores.max": "8"})
    found = history(root)
    assert found == {
        "spark.history.fs.logDirectory": "file:/var/lib/spark-events,s3a://demo-bucket/spark-events",
        "spark.history.fs.update.interval": "60s",
        "spark.history.fs.cleaner.enabled": "false",
        "spark.history.ui.port": "18080",
        **{key: value for key, value in S3A.items() if key.startswith("spark.hadoop.")},
        **caller,
    }
    for file in (root / "etc/spark-cluster/history").iterdir():
        assert SECRET not in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o644, "its user reads it, and owns nothing"


def test_the_history_server_is_reached_through_the_front_alone_and_bounded(
    configure: Callable[..., dict[str, str]], root: Path, java: Path
) -> None:
    configure("master")
    names = ("JAVA_HOME", "SPARK_LOCAL_IP", "SPARK_DAEMON_MEMORY", "SPARK_DAEMON_JAVA_OPTS")
    assert list(sourced(root, *names, file="etc/spark-cluster/history/spark-env.sh").values()) == [
        *(str(java), "127.0.0.1", "512m", "-Dspark.port.maxRetries=0 -XX:+ExitOnOutOfMemoryError")
    ]


def test_the_front_of_a_master_knows_the_bucket(configure: Callable[..., dict[str, str]], root: Path) -> None:
    file = root / "etc/spark-cluster/front-bucket.conf"
    configure("worker")
    assert not file.exists()
    configure("master")
    assert file.read_text() == "set $bucket demo-bucket;\n"
    assert file.stat().st_mode & 0o777 == 0o644, "nginx reads it without a user"


def test_without_a_history_server_no_page_leads_to_it(configure: Callable[..., dict[str, str]]) -> None:
    assert "spark.master.ui.historyServerUrl" not in configure("master", history_server="")


def test_a_worker_has_none(configure: Callable[..., dict[str, str]], root: Path) -> None:
    configure("worker")
    assert not (root / "etc/spark-cluster/history").exists()


def connect(root: Path) -> dict[str, str]:
    """The Spark Connect server's own properties."""
    file = root / "etc/spark-cluster/connect.conf"
    assert file.stat().st_mode & 0o777 == 0o644
    return dict(line.split(" ", 1) for line in file.read_text().splitlines())


CONNECT = {"connect_parameter": "/spark-cluster/demo/connect-token", "connect_cores": 8}
BOUNDED = {
    "spark.cores.max": "8",
    "spark.driver.memory": "1g",
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.connect.grpc.binding.port": "15002",
}


def test_a_connect_server_listens_on_this_host_alone_gives_back_what_is_idle_and_has_a_cap(
    configure: Callable[..., dict[str, str]], root: Path
) -> None:
    of_drivers = configure("master", **CONNECT)
    assert connect(root) == {
        **BOUNDED,
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.timeout": "30min",
        "spark.dynamicAllocation.cachedExecutorIdleTimeout": "30min",
        "spark.sql.execution.pythonUDF.arrow.enabled": "false",
        "spark.sql.execution.pythonUDTF.arrow.enabled": "false",
        "spark.port.maxRetries": "16",
    }
    assert not of_drivers.keys() & connect(root).keys(), "other drivers have none of it"


def test_the_caller_s_settings_win_over_the_connect_server_s_but_for_its_bounds(
    configure: Callable[..., dict[str, str]], root: Path
) -> None:
    caller = {
        "spark.dynamicAllocation.enabled": "false",
        "spark.port.maxRetries": "32",
        "spark.sql.execution.pythonUDF.arrow.enabled": "true",
        "spark.cores.max": "2",
        "spark.driver.memory": "6g",
        "spark.sql.shuffle.partitions": "64",
    }
    of_drivers = configure("master", **CONNECT, spark_defaults=caller)
    found = connect(root)
    assert {key: found[key] for key in caller if key not in BOUNDED and key in found} == {
        "spark.dynamicAllocation.enabled": "false",
        "spark.port.maxRetries": "32",
        "spark.sql.execution.pythonUDF.arrow.enabled": "true",
    }
    assert BOUNDED.items() <= found.items()
    assert of_drivers["spark.sql.shuffle.partitions"] == "64", "which the server reads, too"


def test_without_a_connect_server_there_is_nothing_of_it(configure: Callable[..., dict[str, str]], root: Path) -> None:
    configure("master")
    assert not (root / "etc/spark-cluster/connect.conf").exists()


def test_no_cap_on_cores_unless_one_is_given(configure: Callable[..., dict[str, str]]) -> None:
    assert not {"spark.cores.max", "spark.deploy.defaultCores", "spark.executor.memory"} & set(configure("master"))


@pytest.mark.parametrize("value", [r"(?i)secret|\d+", r"C:\temp", "two words", "é", "a=b:c#d", ""])
def test_a_value_reaches_spark_as_it_was_given(
    configure: Callable[..., dict[str, str]], root: Path, value: str
) -> None:
    properties = configure(spark_defaults={"spark.redaction.regex": value})
    assert properties["spark.redaction.regex"] == value
    # In a properties file a backslash is an escape, wherever it stands.
    assert (
        "spark.redaction.regex " + value.replace("\\", "\\\\")
        in (root / "opt/spark/conf/spark-defaults.conf").read_text()
    )


def test_the_secret_stands_only_in_a_file_of_the_spark_user_that_drivers_may_read(
    configure: Callable[..., dict[str, str]], root: Path, owners: list[tuple[str, str]]
) -> None:
    configure()
    file = root / "opt/spark/conf/spark-defaults.conf"
    assert file.stat().st_mode & 0o777 == 0o640
    assert owners == [(str(file), "spark:spark-driver")]
    holders = [path for path in root.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert sorted(holders) == sorted([file, root / "etc/spark-cluster/spark-secret"])


def test_a_changed_setting_replaces_the_old_files(configure: Callable[..., dict[str, str]]) -> None:
    configure(spark_defaults={"spark.cores.max": "8"})
    assert "spark.cores.max" not in configure(spark_defaults={})


def test_a_spark_without_a_conf_folder_gets_one(configure: Callable[..., dict[str, str]], root: Path) -> None:
    (root / "opt/spark/conf").rmdir()
    assert configure()["spark.authenticate"] == "true"


def test_units_find_their_variables(configure: Callable[..., dict[str, str]], root: Path) -> None:
    configure()
    file = root / "etc/spark-cluster/node.env"
    assert file.read_text() == "MASTER_HOST=master.demo-spark\nPRIVATE_IP=10.0.0.7\n"
    assert file.stat().st_mode & 0o777 == 0o644


def test_every_node_uses_the_java_and_the_python_that_were_installed(
    configure: Callable[..., dict[str, str]], root: Path, java: Path
) -> None:
    configure(python_version="3.12")
    assert sourced(root, "JAVA_HOME", "PYSPARK_PYTHON") == {"JAVA_HOME": str(java), "PYSPARK_PYTHON": "python3.12"}
    assert (root / "opt/spark/conf/spark-env.sh").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("role", ["master", "worker"])
def test_no_daemon_moves_to_another_port(configure: Callable[..., dict[str, str]], root: Path, role: str) -> None:
    configure(role)
    assert sourced(root, "SPARK_DAEMON_JAVA_OPTS")["SPARK_DAEMON_JAVA_OPTS"] == "-Dspark.port.maxRetries=0"


def test_a_worker_offers_all_cores_and_leaves_memory_to_the_system(
    configure: Callable[..., dict[str, str]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_conf.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(spark_conf, "worker_memory_mib", lambda _: 12345)
    configure("worker")
    names = ("SPARK_WORKER_CORES", "SPARK_WORKER_MEMORY", "SPARK_DAEMON_MEMORY")
    assert sourced(root, *names) == dict(zip(names, ("16", "12345m", "512m"), strict=True))


@pytest.mark.parametrize(
    ("kib", "mib"),
    [(1_963_008, 893), (3_925_000, 2809), (8_048_204, 6680), (16_048_204, 13321), (131_072_000, 108_800)],
)
def test_a_worker_leaves_15_percent_of_its_memory_to_the_system_and_a_gibibyte_at_the_least(kib: int, mib: int) -> None:
    meminfo = f"MemTotal:       {kib} kB\nMemFree:          123456 kB\nMemAvailable:    234567 kB\n"
    assert spark_conf.worker_memory_mib(spark_conf.total_memory_mib(meminfo)) == mib


def test_a_worker_without_room_for_an_executor_fails_its_boot_and_says_so(
    configure: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_conf, "total_memory_mib", lambda _: 920.4)
    with pytest.raises(SystemExit, match=r"^spark_conf: a worker with 920 MiB of memory has no room for an executor$"):
        configure("worker")


def test_a_job_on_the_master_gets_the_memory_that_the_tick_found_as_soon_as_it_has(
    configure: Callable[..., dict[str, str]], root: Path
) -> None:
    configure("master")
    names = ("SPARK_EXECUTOR_MEMORY", "SPARK_DAEMON_MEMORY", "SPARK_WORKER_MEMORY")
    assert sourced(root, *names) == dict(zip(names, ("", "1g", ""), strict=True))
    (root / "etc/spark-cluster/executor.env").write_text("# m6i.xlarge\nSPARK_EXECUTOR_MEMORY=12779m\n")
    assert sourced(root, *names)["SPARK_EXECUTOR_MEMORY"] == "12779m"


def test_fails_without_java(
    configure: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="spark_conf: there is no java"):
        configure()


def test_an_instance_without_an_ipv4_address_fails_and_says_so(
    settle: Callable[..., None], root: Path, monkeypatch: pytest.MonkeyPatch, owners: list[tuple[str, str]]
) -> None:
    settle("worker")
    (root / "etc/spark-cluster/spark-secret").write_text("s")
    monkeypatch.setattr(spark_conf, "metadata", lambda _: None)
    with pytest.raises(SystemExit, match="this instance has no private IPv4 address"):
        spark_conf.main()


def test_what_the_docs_give_a_submitter_elsewhere_is_what_the_cluster_has(tmp_path: Path) -> None:
    """docs/submitting.md, run as it stands there."""
    text = (Path(__file__).parents[2] / "docs/submitting.md").read_text()
    (block,) = [one for one in re.findall(r"(?ms)^```bash\n(.*?)^```$", text) if "spark-defaults.conf" in one]
    home = tmp_path / "spark"
    for name in ("conf", "bin"):
        (home / name).mkdir(parents=True)
    programs = {
        "aws": f'[[ "$*" == *"--name /spark-cluster/analytics/spark-secret "* ]] && echo "{SECRET}"',
        "hostname": "echo 10.0.0.9 10.0.1.9",
        "spark-submit": 'echo "runs $*"',
    }
    for name, program in programs.items():
        (home / "bin" / name).write_text(f"#!/bin/bash\n{program}\n")
        (home / "bin" / name).chmod(0o755)
    environment = {"PATH": f"{home}/bin:{os.environ['PATH']}", "SPARK_HOME": str(home)}
    done = subprocess.run(["bash", "-euc", block], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "runs job.py\n"
    file = home / "conf/spark-defaults.conf"
    assert file.stat().st_mode & 0o777 == 0o600
    said = dict(line.split(None, 1) for line in file.read_text().splitlines())

    more = {
        "spark_version": "4.3.0",
        "bucket": "BUCKET",
        "region": "eu-central-1",
        "s3_endpoint": "s3",
        "s3a_sdk": "slim",
    }
    given = node_settings("master", **more)
    ours = spark_conf.defaults("master.analytics-spark", "4.3.0") | spark_conf.s3a(given)
    ours = {key: value for key, value in ours.items() if not key.startswith(OF_DAEMONS) and key not in OF_NODES}
    own = {
        "spark.authenticate.secret": SECRET,
        "spark.driver.host": "10.0.0.9",
        "spark.driver.port": "40000",
        "spark.driver.blockManager.port": "40040",
        "spark.blockManager.port": "40100",
        "spark.pyspark.python": "python3.11",
        "spark.executor.memory": "12g",
        "spark.hadoop.fs.s3a.buffer.dir": "${env.SPARK_LOCAL_DIRS:-/tmp}",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": "s3a://BUCKET/spark-events",
        "spark.eventLog.rolling.enabled": "true",
        "spark.eventLog.rolling.maxFileSize": "10m",
    }
    assert said == ours | own


OF_DAEMONS = ("spark.master.", "spark.deploy.", "spark.worker.", "spark.ui.", "spark.executor.logs.")
# How soon a host is taken for lost, which each side has for itself.
OF_NODES = {
    "spark.network.timeout",
    "spark.network.timeoutInterval",
    "spark.rpc.io.connectionCreationTimeout",
}
