"""The systemd units, and what they refer to."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import aws
import connect
import daemon_logs
import drivers
import executor_logs
import executor_memory
import notices
import orphans
import pytest
import spark_conf
import tick

from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from pathlib import Path

UNITS = sorted(USERDATA.glob("*/etc/systemd/system/*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
SPARK = [path for path in SERVICES if path.name in {"spark-master.service", "spark-worker.service"}]


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def by_name(path: Path) -> str:
    return path.name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("role", ["master", "worker"])
def test_systemd_finds_nothing_wrong(tmp_path: Path, role: str) -> None:
    paths = []
    for path in UNITS:
        if path.parts[-5] in {role, "common"}:
            # The programs themselves are not on this host.
            programs = r"/(?:opt|usr/local)/\S+|/usr/sbin/nginx"
            text = re.sub(rf"(?m)^(Exec\w+=[+-]?)(?:{programs})", r"\1/bin/true", path.read_text())
            (tmp_path / path.name).write_text(text)
            paths.append(tmp_path / path.name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=one", *paths],
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:", "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [line for line in done.stderr.splitlines() if "spark" in line] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SPARK, ids=by_name)
def test_spark_runs_in_the_foreground_as_its_own_user_and_is_started_again(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == service["Group"] == "spark"
    assert service["Type"] == "exec"
    assert service["ExecStart"].startswith("/opt/spark/bin/spark-class org.apache.spark.deploy.")
    assert service["Restart"] == "always"
    assert int(service["RestartSec"]) > 0
    assert service["SuccessExitStatus"] == "143"
    assert int(service["LimitNOFILE"]) >= 65536
    assert service["TasksMax"] == "infinity"
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0", "it is never given up"
    assert unit(path)["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("path", SPARK, ids=by_name)
def test_no_secret_and_no_setting_is_in_a_process_list(path: Path) -> None:
    command = unit(path)["Service"]["ExecStart"]
    assert "secret" not in command
    assert "-D" not in command
    assert "--properties-file" not in command


def test_one_executor_s_end_is_not_the_end_of_its_worker() -> None:
    (path,) = [path for path in SPARK if "worker" in path.name]
    assert unit(path)["Service"]["OOMPolicy"] == "continue"
    assert unit(path)["Service"]["KillMode"] == "mixed"


def test_the_master_s_recovery_state_is_where_systemd_keeps_state_for_it() -> None:
    (path,) = [path for path in SPARK if "master" in path.name]
    service = unit(path)["Service"]
    assert service["StateDirectory"] == "spark"
    conf = (USERDATA / "common/opt/spark-cluster/spark_conf.py").read_text()
    assert '"spark.deploy.recoveryDirectory": "/var/lib/spark/recovery"' in conf
    assert service["ProtectSystem"] == "full", "which leaves /var writable"


HARDENING: dict[str, set[str | None]] = {
    "NoNewPrivileges": {"yes"},
    "ProtectSystem": {"full", "strict"},
    "ProtectKernelTunables": {"yes"},
    "ProtectKernelModules": {"yes"},
    "ProtectKernelLogs": {"yes"},
    "ProtectControlGroups": {"yes"},
    "ProtectClock": {"yes"},
    "ProtectHostname": {"yes"},
    "LockPersonality": {"yes"},
    "RestrictRealtime": {"yes"},
    "RestrictSUIDSGID": {"yes"},
    "RestrictAddressFamilies": {"AF_UNIX AF_INET AF_INET6 AF_NETLINK"},
    "SystemCallArchitectures": {"native"},
    "CapabilityBoundingSet": {""},
}
EXCEPTIONS: dict[str, dict[str, set[str | None]]] = {
    # Executors may need GPUs, and ProtectClock= implies a list of devices.
    "spark-worker.service": {"ProtectClock": {None}},
    # It removes what users of drivers left.
    "spark-tick.service": {"CapabilityBoundingSet": {"CAP_DAC_OVERRIDE"}},
    # It becomes the worker's user, to signal and to read as that one.
    "spark-drain.service": {"CapabilityBoundingSet": {"CAP_SETGID CAP_SETUID"}},
    # It looks at the disks as the worker's user.
    "spark-health.service": {"CapabilityBoundingSet": {"CAP_SETGID CAP_SETUID"}},
    # It makes a node of a host.
    "spark-boot.service": {name: {None} for name in HARDENING},
}
KEPT_FROM_AWS = {
    *("spark-master.service", "spark-orphans.service", "spark-registration.service"),
    *("spark-front.service", "spark-health.service"),
}


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_a_unit_has_every_hardening_directive_or_a_reason(path: Path) -> None:
    service = unit(path)["Service"]
    for name, values in {**HARDENING, **EXCEPTIONS.get(path.name, {})}.items():
        assert service.get(name) in values, name


def test_a_driver_is_hardened_as_its_executors_are() -> None:
    (worker,) = [path for path in SPARK if "worker" in path.name]
    service = unit(worker)["Service"]
    assert {name: drivers.PROPERTIES.get(name) for name in HARDENING} == {name: service.get(name) for name in HARDENING}


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_what_asks_aws_for_nothing_has_no_way_to_the_instance_s_role(path: Path) -> None:
    denied = unit(path)["Service"].get("IPAddressDeny")
    assert denied == ("169.254.169.254 fd00:ec2::254" if path.name in KEPT_FROM_AWS else None)


def test_broken_recovery_files_are_set_aside_by_their_owner_before_each_start_of_the_master() -> None:
    (path,) = [path for path in SPARK if "master" in path.name]
    assert "ExecStartPre=-/opt/spark-cluster/recovery.py" in path.read_text().splitlines()


def test_the_master_binds_to_its_name_and_knows_it_without_dns() -> None:
    (path,) = [path for path in SPARK if "master" in path.name]
    service = unit(path)["Service"]
    assert "--host ${MASTER_HOST} " in service["ExecStart"]
    assert service["ExecStartPre"] == "+/opt/spark-cluster/own-name"


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_every_program_of_a_unit_is_one_of_the_node_s(path: Path) -> None:
    role = path.parts[-5]
    for name, command in unit(path)["Service"].items():
        if name.startswith("Exec") and command.lstrip("+-").startswith(("/usr/local/", "/opt/spark-cluster/")):
            program = command.lstrip("+-").split()[0]
            places = [USERDATA / part / program.lstrip("/") for part in (role, "common", "first_stage")]
            assert any(place.read_text().startswith("#!") for place in places if place.exists()), program


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_every_variable_of_a_unit_is_in_a_file_that_the_node_writes(path: Path) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", path.read_text()))
    files = re.findall(r"(?m)^EnvironmentFile=-?(\S+)$", path.read_text())
    written = {
        "/etc/spark-cluster/node.env": {"MASTER_HOST", "PRIVATE_IP"},
        "/run/spark-cluster/local-dirs.env": {"SPARK_LOCAL_DIRS", "SPARK_WORKER_DIR"},
        "/etc/spark-cluster/connect.env": {"SPARK_CONNECT_AUTHENTICATE_TOKEN"},
    }
    assert used <= set().union(*(written[file] for file in files))


TICK = USERDATA / "master/etc/systemd/system/spark-tick.service"


def test_the_tick_is_never_given_up_and_one_that_hangs_is_ended() -> None:
    service = unit(TICK)["Service"]
    assert service["Restart"] == "always"
    assert unit(TICK)["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit(TICK)["Install"]["WantedBy"] == "multi-user.target"
    # The longest silence is a host's first call to AWS: credentials, then three tries of the call itself.
    assert int(service["WatchdogSec"]) > aws.EVENTUALLY_SECONDS + 3 * (5 + 30)
    assert int(service["TimeoutStartSec"]) > aws.EVENTUALLY_SECONDS + 3 * (5 + 30)


def test_a_tick_is_taken_for_started_when_what_it_writes_is_there() -> None:
    assert unit(TICK)["Service"]["Type"] == "notify"
    boot = (USERDATA / "common/opt/spark-cluster/boot").read_text()
    lines = [line.strip() for line in boot.splitlines()]
    started = next(at for at, line in enumerate(lines) if "--now spark-tick.service" in line)
    reader = next(at for at, line in enumerate(lines) if "--now spark-connect.service" in line)
    assert started < reader


def test_what_the_tick_remembers_outlives_it() -> None:
    service = unit(TICK)["Service"]
    assert f"/run/{service['RuntimeDirectory']}" == str(PurePosixPath(tick.LOCK_FILE).parent)
    assert service["RuntimeDirectoryPreserve"] == "yes"


def test_every_start_of_a_worker_is_watched_until_it_is_registered() -> None:
    (worker,) = [path for path in SPARK if "worker" in path.name]
    (watch,) = [path for path in SERVICES if path.name == "spark-registration.service"]
    assert watch.name in unit(worker)["Unit"]["Wants"].split()
    assert unit(watch)["Unit"]["PartOf"] == unit(watch)["Unit"]["After"] == worker.name


LEAVING = {path.stem: path for path in SERVICES if path.name in {"spark-notice.service", "spark-drain.service"}}


def test_the_watch_for_notices_is_there_after_each_start_of_the_host_and_never_given_up() -> None:
    notice = unit(LEAVING["spark-notice"])
    assert notice["Install"]["WantedBy"] == "multi-user.target"
    assert notice["Service"]["Restart"] == "always"
    assert notice["Unit"]["StartLimitIntervalSec"] == "0"


def test_a_drain_is_started_by_the_watch_alone_as_often_as_it_takes() -> None:
    path = LEAVING["spark-drain"]
    assert "Install" not in unit(path)
    assert "Restart" not in unit(path)["Service"]
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
    program = (USERDATA / "worker/opt/spark-cluster/notice.py").read_text()
    assert f'"{path.name}"' in program


@pytest.mark.parametrize("path", LEAVING.values(), ids=by_name)
def test_what_lets_a_worker_leave_outlives_the_worker(path: Path) -> None:
    (worker,) = [path for path in SPARK if "worker" in path.name]
    ties = {"PartOf", "BindsTo", "Requires", "Requisite", "Conflicts", "Before", "After"}
    assert worker.name not in " ".join(unit(path)["Unit"].get(tie) or "" for tie in ties)
    assert path.name not in worker.read_text()


@pytest.mark.parametrize("path", LEAVING.values(), ids=by_name)
def test_what_was_noticed_outlives_who_noticed_it(path: Path) -> None:
    service = unit(path)["Service"]
    assert f"/run/{service['RuntimeDirectory']}" == str(PurePosixPath(notices.DRAIN_FILE).parent)
    assert service["RuntimeDirectoryPreserve"] == "yes"


def test_a_drain_may_become_the_worker_s_user_and_has_no_other_right() -> None:
    service = unit(LEAVING["spark-drain"])["Service"]
    assert service["CapabilityBoundingSet"] == "CAP_SETGID CAP_SETUID"
    assert "KillMode" not in service, "whatever it waits for ends with it when the system goes down"
    (worker,) = [unit(path)["Service"] for path in SPARK if "worker" in path.name]
    for program in ("drain.py", "drain_report.py"):
        text = (USERDATA / "worker/opt/spark-cluster" / program).read_text()
        assert set(re.findall(r'acting_as\("(\w+)"\)', text)) == {worker["User"]}


def test_the_watch_over_a_worker_comes_with_it_and_outlives_its_restarts() -> None:
    (worker,) = [path for path in SPARK if "worker" in path.name]
    (path,) = [path for path in SERVICES if path.name == "spark-health.service"]
    assert path.name in unit(worker)["Unit"]["Wants"].split()
    assert not {"PartOf", "BindsTo", "Requires", "After"} & set(unit(path)["Unit"]), "it sees one that cannot start"
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"
    service = unit(path)["Service"]
    assert service["Restart"] == "always"
    assert service["MemoryMax"] == "128M"
    assert service["ProtectSystem"] == "full", "under `strict` every disk is read-only to it"
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryPreserve"]) == ("spark-cluster", "yes")
    text = (USERDATA / "worker/opt/spark-cluster/worker_health.py").read_text()
    assert re.findall(r'acting_as\("(\w+)"\)', text) == [unit(worker)["Service"]["User"]]


def test_the_journal_of_every_unit_of_a_node_is_sent() -> None:
    assert {path.stem for path in SERVICES} - {"spark-boot"} == set(daemon_logs.UNITS)


SENDERS = [path for path in SERVICES if path.name in {"spark-executor-logs.service", "spark-daemon-logs.service"}]


@pytest.mark.parametrize("path", SENDERS, ids=by_name)
def test_what_sends_logs_comes_with_the_worker_and_stops_after_it(path: Path) -> None:
    """What is started earlier is stopped later; and it stops with it, whatever stops that."""
    (worker,) = [path for path in SPARK if "worker" in path.name]
    assert path.name in unit(worker)["Unit"]["Wants"].split()
    assert unit(path)["Unit"]["PartOf"] == worker.name
    assert worker.name in unit(path)["Unit"]["Before"].split()
    assert unit(path)["Unit"]["After"] == "network-online.target", "which outlives it"
    assert "Install" not in unit(path)


@pytest.mark.parametrize("path", SENDERS, ids=by_name)
def test_what_sends_logs_has_an_end_that_both_sides_know_and_little_memory(path: Path) -> None:
    seconds = {"spark-executor-logs": executor_logs.LAST_SECONDS, "spark-daemon-logs": daemon_logs.SECONDS}[path.stem]
    assert seconds + 15 <= int(unit(path)["Service"]["TimeoutStopSec"]) <= 60
    assert unit(path)["Service"]["MemoryMax"] == "256M"


def test_executors_logs_are_read_by_their_own_user_and_the_journal_by_nobody_in_particular() -> None:
    services = {path.stem: unit(path)["Service"] for path in SENDERS}
    (worker,) = [unit(path)["Service"] for path in SPARK if "worker" in path.name]
    assert services["spark-executor-logs"]["User"] == worker["User"]
    assert "SupplementaryGroups" not in services["spark-executor-logs"], "executors could take it from there"
    assert services["spark-daemon-logs"]["DynamicUser"] == "yes"
    assert services["spark-daemon-logs"]["SupplementaryGroups"] == "systemd-journal"


def test_a_master_s_journal_is_sent_when_the_host_goes_down_and_its_restart_does_not_wait() -> None:
    (master,) = [path for path in SPARK if "master" in path.name]
    (sender,) = [path for path in SENDERS if path.stem == "spark-daemon-logs"]
    assert sender.name in unit(master)["Unit"]["Wants"].split()
    assert master.name in unit(sender)["Unit"]["Before"].split()
    assert master.name not in unit(sender)["Unit"]["PartOf"].split()
    service = unit(sender)["Service"]
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    assert "ExecStart" not in service


def test_a_worker_s_disks_are_prepared_before_each_start_and_what_fails_is_tried_again() -> None:
    (worker,) = [path for path in SPARK if "worker" in path.name]
    lines = worker.read_text().splitlines()
    pre = [line for line in lines if line.startswith("ExecStartPre=")]
    assert pre == ["ExecStartPre=+/opt/spark-cluster/local-dirs", "ExecStartPre=-/opt/spark-cluster/clean-local-dirs"]
    assert "EnvironmentFile=-/run/spark-cluster/local-dirs.env" in lines, "it is not there yet at the first of them"
    assert "Requires" not in unit(worker)["Unit"], "a unit that is required and fails fails this one for good"


def test_the_journal_survives_a_reboot_and_has_an_end() -> None:
    journal = unit(USERDATA / "common/etc/systemd/journald.conf.d/50-spark-cluster.conf")["Journal"]
    assert journal["Storage"] == "persistent"
    assert re.fullmatch(r"\d+[MG]", journal["SystemMaxUse"])


def test_a_connection_to_a_vanished_host_ends_within_what_a_worker_may_take_to_find_the_next_master() -> None:
    text = (USERDATA / "common/etc/sysctl.d/50-spark-cluster.conf").read_text()
    (retries,) = re.findall(r"(?m)^net\.ipv4\.tcp_retries2 = (\d+)$", text)
    # The kernel's own least: retransmissions at 0.2 s, each pause twice the one before. A round trip of 100 ms makes
    # that half as much again; a heartbeat comes every 7.5 s, a try to register every 5 to 15 s.
    least = 0.2 * (2 ** (int(retries) + 1) - 1)
    assert 1.5 * least + 7.5 + 15 < 120


def test_when_the_host_goes_down_drivers_end_before_the_copies_of_their_event_logs() -> None:
    """What is started later is stopped earlier."""
    drivers_slice = unit(USERDATA / "master/etc/systemd/system/spark-drivers.slice")
    assert drivers_slice["Unit"]["After"] == "spark-event-logs.service"
    (path,) = [path for path in SERVICES if path.name == "spark-event-logs.service"]
    service = unit(path)["Service"]
    assert service["User"] == drivers.USER, "it reads what they wrote, and no more"
    assert service["Group"] == drivers.GROUP, "or the kernel does not show it what they have open"
    assert 30 <= int(service["TimeoutStopSec"]) <= 90
    assert re.fullmatch(r"\d+M", service["MemoryMax"])
    assert unit(path)["Install"]["WantedBy"] == "multi-user.target"


def test_the_history_server_may_write_nothing_and_has_a_user_and_a_configuration_of_its_own() -> None:
    """What it reads, jobs wrote: an event log has run code in it before (CVE-2025-54920)."""
    (path,) = [path for path in SERVICES if path.name == "spark-history.service"]
    service = unit(path)["Service"]
    assert service["User"] == service["Group"] == "spark-history"
    assert "SupplementaryGroups" not in service, "none of those that read Spark's own configuration"
    assert service["ProtectSystem"] == "strict"
    assert not [name for name in service if name in {"ReadWritePaths", "StateDirectory", "RuntimeDirectory"}]
    assert service["Environment"] == f"SPARK_CONF_DIR={spark_conf.HISTORY_CONF}"
    assert service["ExecStart"] == "/opt/spark/bin/spark-class org.apache.spark.deploy.history.HistoryServer"
    assert service["MemoryMax"] == "1G"
    master, *_ = [unit(path)["Service"] for path in SERVICES if path.name == "spark-master.service"]
    of_drivers = int(drivers.PROPERTIES["OOMScoreAdjust"])
    assert int(master["OOMScoreAdjust"]) < int(service["OOMScoreAdjust"]) < of_drivers


def mebibytes(limit: str) -> float:
    return int(limit[:-1]) * {"M": 1, "G": 1024}[limit[-1]]


def test_the_docs_sum_up_the_master_s_memory_and_its_default_type_has_that_much() -> None:
    """By what Linux shows of 8 GiB at the least."""
    checkout = USERDATA.parent
    text = (checkout / "docs/architecture.md").read_text().partition("### The master's memory\n")[2]
    rows = re.findall(r"(?m)^\| ([^|]+) \| (?:`([\w.-]+)` )?\|[^|]*\| ([\d,]+)", text.partition("\n\nOn a host")[0])
    shown = {name or part: int(most.replace(",", "")) for part, name, most in rows}

    master = [path for path in SERVICES if path.parts[-5] == "master"]
    limits = {path.name: unit(path)["Service"].get("MemoryMax") for path in master}
    expected = {name: mebibytes(limit) for name, limit in limits.items() if limit}
    conf = (USERDATA / "common/opt/spark-cluster/spark_conf.py").read_text()
    (heap,) = re.findall(r'"SPARK_DAEMON_MEMORY=(\d+)g"', conf)
    expected["spark-master.service"] = int(heap) * 1280
    visible = 8192 - min(
        8192 * executor_memory.HIDDEN_SHARE, executor_memory.HIDDEN_MIB + 8192 * executor_memory.HIDDEN_SHARE_BEYOND
    )
    share = unit(USERDATA / "master/etc/systemd/system/spark-drivers.slice")["Slice"]["MemoryMax"]
    expected["spark-drivers.slice"] = round(visible * int(share.rstrip("%")) / 100)
    total = sum(expected.values()) - expected[CONNECT.name]  # which is in the slice
    left = round(visible) - total
    assert shown == {**expected, "all of it": total, f"left of {round(visible):,}": left}
    assert left > 400, "for the system and the agent"
    assert expected[CONNECT.name] < expected["spark-drivers.slice"], "other drivers have room beside it"
    assert 'instance_type: str = "m6i.large"' in (checkout / "spark_cluster/master.py").read_text()


CONNECT = USERDATA / "master/etc/systemd/system/spark-connect.service"


def test_the_connect_server_is_a_driver_like_others_that_is_bounded_and_started_again() -> None:
    service = unit(CONNECT)["Service"]
    assert (service["User"], service["Group"]) == (drivers.USER, drivers.GROUP)
    assert service["SupplementaryGroups"] == drivers.PROPERTIES["SupplementaryGroups"]
    assert service["Slice"] == drivers.SLICE
    history, *_ = [unit(path)["Service"] for path in SERVICES if path.name == "spark-history.service"]
    of_drivers = int(drivers.PROPERTIES["OOMScoreAdjust"])
    assert int(history["OOMScoreAdjust"]) < int(service["OOMScoreAdjust"]) < of_drivers
    assert service["MemoryMax"] == "2G"
    assert service["Restart"] == "always"
    assert int(service["RestartSec"]) > 0
    assert unit(CONNECT)["Unit"]["StartLimitIntervalSec"] == "0", "it is never given up"
    assert "IPAddressDeny" not in service, "a query reads the bucket with the instance's role"


def test_the_connect_server_s_scratch_is_its_own_on_disk_and_empty_at_each_start() -> None:
    """What is in the two folders of PrivateTmp= goes with each stop, and /tmp may be memory."""
    service = unit(CONNECT)["Service"]
    assert service["PrivateTmp"] == "yes"
    assert service["WorkingDirectory"] == "/var/tmp"  # noqa: S108 - its own, by PrivateTmp=
    scratch = drivers.command("x", ["true"])
    for variable in ("TMPDIR", "SPARK_LOCAL_DIRS"):
        assert f"{variable}=/var/tmp" in CONNECT.read_text()
        assert any(option.startswith(f"--setenv={variable}=") for option in scratch), "as other drivers"
    assert "-Djava.io.tmpdir=/var/tmp -Dderby.system.home=/var/tmp" in CONNECT.read_text()


def test_the_connect_server_s_token_is_in_no_command_line() -> None:
    service = unit(CONNECT)["Service"]
    assert service["EnvironmentFile"] == "/etc/spark-cluster/connect.env"
    assert service["ExecStart"] == "/opt/spark-cluster/connect.py"
    assert not [word for word in (*connect.COMMAND, CONNECT.read_text()) if "token=" in word.lower()]


def test_what_a_driver_writes_has_the_group_of_the_history_server_and_it_reads_the_configuration_by_its_own() -> None:
    """Set-group-id on the folder would do that, too, but a unit with RestrictSUIDSGID= may not make such folders."""
    assert drivers.PROPERTIES["RestrictSUIDSGID"] == "yes"
    assert drivers.GROUP == "spark-history"
    assert f"--gid={drivers.GROUP}" in drivers.command("x", ["true"])
    assert drivers.PROPERTIES["SupplementaryGroups"] == drivers.USER


def test_the_front_runs_as_nobody_and_as_no_unit_of_the_distribution_s() -> None:
    (path,) = [path for path in SERVICES if path.name == "spark-front.service"]
    service = unit(path)["Service"]
    assert service["DynamicUser"] == "yes"
    assert service["ExecStart"] == '/usr/sbin/nginx -e stderr -c /etc/spark-cluster/front.conf -g "daemon off;"'
    assert service["Restart"] == "always"


def test_every_start_of_a_master_looks_whether_drivers_wait_for_it_in_vain() -> None:
    (master,) = [path for path in SPARK if "master" in path.name]
    (path,) = [path for path in SERVICES if path.name == "spark-orphans.service"]
    assert path.name in unit(master)["Unit"]["Wants"].split()
    assert unit(path)["Unit"]["PartOf"] == unit(path)["Unit"]["After"] == master.name
    service = unit(path)["Service"]
    assert service["User"] == unit(master)["Service"]["User"], "the recovery files are that user's alone"
    assert service["ProtectSystem"] == "strict", "it only reads"


def test_a_new_master_looks_for_lost_drivers_as_long_as_a_worker_may_outlive_the_old_one() -> None:
    (path,) = [path for path in SERVICES if path.name == "spark-orphans.service"]
    service = unit(path)["Service"]
    seconds = orphans.SECONDS
    tries = int(spark_conf.defaults("master", "4.3.0")["spark.worker.maxRegistrationRetries"])
    # Before Spark 4 it is 6 of 5 to 15 s, then up to 16 of 30 to 90 s.
    assert seconds > 120 + max(tries * 15, 6 * 15 + 10 * 90)
    assert int(service["RuntimeMaxSec"]) > seconds + 120
