"""tick.py: what the master knows of its group, from an AWS of moto's."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import io
import ipaddress
import os
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import drivers
import failed_starts
import files
import health
import metrics
import observation
import polling
import pytest
import spark_state
import tick
import worker_group
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from steps import Step

from tests.userdata.conftest import client
from tests.userdata.moto_group import GROUP, IMAGE, addresses, make_group, resize, with_state
from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from tests.userdata.conftest import Clock


@pytest.fixture
def workers(root: Path, as_master: None) -> Path:
    return root / "opt/spark/conf/workers"


@pytest.fixture
def executor(root: Path, as_master: None) -> Path:
    return root / "etc/spark-cluster/executor.env"


# The list of workers


@pytest.mark.parametrize("size", [0, 1, 250, 1000])
def test_each_worker_in_service_is_listed_by_a_few_calls_however_many_there_are(
    size: int, workers: Path, calls: Counter[str]
) -> None:
    make_group(size)
    calls.clear()
    tick.Journal().tick()
    assert calls == {"DescribeAutoScalingGroups": 1, "DescribeInstances": 1, "DescribeInstanceTypes": 1}
    listed = workers.read_text().splitlines()
    assert len(listed) == len(set(listed)) == size
    network = ipaddress.ip_network("172.31.0.0/16")  # of moto's default VPC
    assert all(ipaddress.ip_address(address) in network for address in listed)


def test_a_tick_without_news_makes_two_calls(workers: Path, calls: Counter[str]) -> None:
    make_group(3)
    expected = addresses()
    tick.Journal().tick()
    calls.clear()
    tick.Journal().tick()
    assert calls == {"DescribeAutoScalingGroups": 1, "DescribeInstances": 1}
    assert set(workers.read_text().splitlines()) == set(expected)


def test_addresses_are_listed_in_their_order(workers: Path) -> None:
    make_group(30)
    tick.Journal().tick()
    listed = [tuple(int(part) for part in line.split(".")) for line in workers.read_text().splitlines()]
    assert listed == sorted(listed)


def test_an_empty_group_gives_an_empty_file(workers: Path) -> None:
    make_group(0)
    tick.Journal().tick()
    assert workers.read_text() == ""


def test_a_group_that_terraform_has_not_made_yet_gives_an_empty_file(workers: Path, executor: Path) -> None:
    tick.Journal().tick()
    assert workers.read_text() == ""
    assert not executor.exists()


def test_a_group_that_shrank_to_nothing_empties_the_file(workers: Path) -> None:
    make_group(2)
    tick.Journal().tick()
    resize(0)
    tick.Journal().tick()
    assert workers.read_text() == ""


@pytest.mark.parametrize("state", ["Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Standby", "Detached"])
def test_only_members_in_service_are_listed(workers: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    make_group(3)
    address = with_state(monkeypatch, state)
    tick.Journal().tick()
    assert len(workers.read_text().splitlines()) == 2
    assert address not in workers.read_text()


def test_a_member_that_ec2_does_not_know_yet_is_left_for_the_next_time(
    workers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    known = worker_group.instances(GROUP)
    known.popitem()
    monkeypatch.setattr(worker_group, "instances", lambda _: known)
    tick.Journal().tick()
    assert len(workers.read_text().splitlines()) == 1


def test_instances_of_another_group_are_not_listed(workers: Path) -> None:
    make_group(1)
    ec2 = client("ec2")

    ec2.run_instances(ImageId=IMAGE, MinCount=3, MaxCount=3)
    tick.Journal().tick()
    assert len(workers.read_text().splitlines()) == 1


def test_the_file_is_written_only_when_it_changes_and_says_so(
    workers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)
    tick.Journal().tick()
    before = workers.stat()
    assert "tick: write conf/workers: 2 workers in service" in capsys.readouterr().err
    tick.Journal().tick()
    assert workers.stat().st_ino == before.st_ino
    assert workers.stat().st_mtime_ns == before.st_mtime_ns
    assert capsys.readouterr().err == ""
    resize(3)
    tick.Journal().tick()
    assert "tick: write conf/workers: 3 workers in service" in capsys.readouterr().err


def test_the_file_is_changed_in_one_step_and_everyone_may_read_it(
    workers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    workers.write_text("10.9.9.9\n")
    seen = []
    replace = os.replace

    def look(source: str, target: str) -> None:
        if target == str(workers):
            seen.append((workers.read_text(), len(Path(source).read_text().splitlines())))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", look)
    tick.Journal().tick()
    assert seen == [("10.9.9.9\n", 2)]
    assert workers.stat().st_mode & 0o777 == 0o644


def test_the_old_name_of_the_file_is_a_link_to_it(workers: Path) -> None:
    make_group(1)
    for _ in range(2):
        tick.Journal().tick()
        assert (workers.parent / "slaves").readlink() == Path("workers")
        assert (workers.parent / "slaves").read_text() == workers.read_text()


def refusing(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """AWS has no time for such calls."""
    real = BaseClient._make_api_call  # noqa: SLF001 - what every call goes through

    def refuse(self: Any, name: str, arguments: Any) -> Any:
        if name == call:
            raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}}, name)
        return real(self, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)


@pytest.mark.parametrize("call", ["DescribeAutoScalingGroups", "DescribeInstances"])
def test_an_api_error_leaves_the_old_files_and_is_told_when_it_begins_and_when_it_is_over(
    root: Path, workers: Path, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    make_group(2)
    journal = tick.Journal()
    journal.tick()
    resize(5)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patched:
        refusing(patched, call)
        for _ in range(3):
            journal.tick()
    (told,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"tick: ClientError: .*RequestLimitExceeded.*, so nothing of the group is changed, in observing", told
    )
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    journal.tick()
    assert "tick: no trouble any more in observing\n" in capsys.readouterr().err
    assert len(workers.read_text().splitlines()) == 5


def test_applications_whose_executors_die_are_ended_though_aws_does_not_answer(
    root: Path, workers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That asks the master alone."""
    make_group(2)
    tick.Journal().tick()
    host = known_host(root, "10.0.0.200", 60)
    kept, killed, now = workers.read_bytes(), list[str](), time.clock_gettime(time.CLOCK_MONOTONIC)
    said = [
        {
            "__CURSOR": "1",
            "__MONOTONIC_TIMESTAMP": str(round((now - 130 + number) * 1e6)),
            "MESSAGE": f"26/11/30 00:04:31 INFO Master: {what}",
        }
        for number in range(130)
        for what in (
            f"Launching executor app-1/{number} on worker w",
            f"Removing executor app-1/{number} because it is EXITED",
        )
    ]
    page = {"workers": [{"host": "10.9.9.9", "state": "ALIVE", "coresused": 4}], "activeapps": [{"id": "app-1"}]}
    monkeypatch.setattr(spark_state, "read", lambda _: page)
    monkeypatch.setattr(failed_starts, "journal", lambda _: iter(said))
    monkeypatch.setattr(failed_starts, "kill", killed.append)
    refusing(monkeypatch, "DescribeAutoScalingGroups")
    tick.Journal().tick()
    assert killed == ["app-1"]
    assert workers.read_bytes() == kept
    assert host.exists()


def test_a_master_that_does_not_answer_is_told_once(
    as_master: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    make_group(1)
    monkeypatch.setattr(spark_state, "read", refused)
    journal = tick.Journal()
    journal.tick()
    assert "tick: ConnectionRefusedError: [Errno 111] Connection refused, in asking the master\n" in (
        capsys.readouterr().err
    )
    journal.tick()
    assert capsys.readouterr().err == ""


def test_a_keeper_that_fails_keeps_no_other_from_its_own(
    workers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)

    def fails(_: object) -> Iterator[Step]:
        raise OSError("no space left")
        yield  # as each keeper does

    monkeypatch.setattr(tick, "KEEPERS", (fails, tick.keep_workers_file))
    tick.Journal().tick()
    assert "tick: OSError: no space left, in fails\n" in capsys.readouterr().err
    assert len(workers.read_text().splitlines()) == 2


def test_a_step_that_fails_keeps_its_keeper_from_no_other_step(
    as_master: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def keeper(_: object) -> Iterator[Step]:
        yield Step("divide", "it cannot be done", lambda: 1 / 0)
        yield Step("go on", "it can", lambda: done.append(1))

    monkeypatch.setattr(tick, "KEEPERS", (keeper,))
    tick.Journal().tick()
    assert done == [1]
    assert capsys.readouterr().err == "tick: go on: it can\ntick: ZeroDivisionError: division by zero, in keeper\n"


# The daemon, and people


class Systemd:
    """The socket on which a service speaks to systemd."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)  # noqa: FBT003 - as it is named there

    def heard(self) -> list[str]:
        """What was said since the last time."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(100).decode())
        return found


@pytest.fixture
def systemd(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    path = tmp_path_factory.mktemp("systemd") / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    listens = Systemd(path)
    with listens.socket:
        yield listens


def test_the_daemon_has_started_when_its_first_tick_is_over_and_goes_on_every_15_s_or_so(
    workers: Path, systemd: Systemd, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    heard = []

    def look(seconds: float) -> None:
        heard.append(systemd.heard())
        clock.pauses.append(seconds)
        if len(heard) == 3:
            raise KeyboardInterrupt
        resize(2 + len(heard))

    monkeypatch.setattr(clock, "sleep", look)
    with pytest.raises(KeyboardInterrupt):
        tick.main()
    first, *others = heard
    assert (first[-1], set(first[:-1])) == ("READY=1", {"WATCHDOG=1"})
    assert all(set(each) == {"WATCHDOG=1"} for each in others)
    assert all(12 <= pause <= 18 for pause in clock.pauses)
    assert len(set(clock.pauses)) > 1, "many masters do not ask at once"
    assert len(workers.read_text().splitlines()) == 4


def test_a_daemon_has_started_though_its_first_tick_failed(
    as_master: None, systemd: Systemd, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    monkeypatch.setattr(clock, "sleep", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tick.main()
    assert systemd.heard()[-1] == "READY=1"


def test_once_shows_what_a_tick_sees_and_does(workers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_group(2, ("m6i.xlarge",))
    assert tick.main("--once") == 0
    shown = capsys.readouterr().out
    assert "sees   group: 0 to 2000, 2 desired; members 2 InService; 0 protected, 0 unhealthy\n" in shown
    assert "sees   master: workers none; active for 3600 s\n" in shown
    assert "sees   a worker may be unlisted for 600 s\n" in shown
    assert "does   write conf/workers: 2 workers in service\n" in shown
    assert len(workers.read_text().splitlines()) == 2


@pytest.fixture
def lock(root: Path) -> Path:
    """The lock's file as an older tick made it: anyone may read it, and hold it."""
    file = root / "run/spark-cluster/tick.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o644)
    return file


@pytest.mark.parametrize("is_old", [True, False])
def test_nobody_but_root_may_hold_the_lock(workers: Path, lock: Path, is_old: bool) -> None:  # noqa: FBT001
    if not is_old:
        lock.unlink()
    tick.Journal().tick()
    assert lock.stat().st_mode & 0o777 == 0o600


def test_another_tick_that_does_not_end_is_a_trouble_and_nothing_is_changed(
    workers: Path, lock: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)
    journal = tick.Journal()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(2):
            journal.tick()
        assert sum(clock.pauses) == pytest.approx(60)
        assert tick.main("--once") == 1
        said = capsys.readouterr()
        trouble = "TimeoutError: another tick holds the lock, so nothing is changed, in waiting for another tick\n"
        assert said.err == f"tick: {trouble}"
        assert said.out == f"fails  {trouble}"
        assert not workers.exists()
    journal.tick()
    assert "tick: no trouble any more in waiting for another tick\n" in capsys.readouterr().err
    assert workers.exists()


def test_once_gives_the_lock_back_before_it_says_anything(
    workers: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads it may be a pager, that takes no more than a page."""
    make_group(1)
    free = []

    class Pager(io.StringIO):
        def write(self, text: str) -> int:
            with lock.open() as other:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(text)
            return len(text)

    monkeypatch.setattr("sys.stdout", Pager())
    assert tick.main("--once") == 0
    assert "does   write conf/workers" in "".join(free)


def test_once_fails_if_anything_of_it_did(
    as_master: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    assert tick.main("--once") == 1
    assert (
        "fails  ZeroDivisionError: division by zero, so nothing of the group is changed, in observing\n"
        in capsys.readouterr().out
    )


def test_explain_shows_what_a_tick_would_do_and_changes_nothing(
    root: Path, as_master: None, calls: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)
    known_host(root, "10.0.0.200", 60)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    calls.clear()
    assert tick.main("--explain") == 0
    shown = capsys.readouterr().out
    assert "would  write conf/workers: 2 workers in service\n" in shown
    assert "would  forget the host key of 10.0.0.200: it is no worker in service\n" in shown
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert not (root / "opt/spark/conf/slaves").is_symlink()
    assert all(name.startswith("Describe") for name in calls)


@pytest.mark.parametrize("arguments", [("--help",), ("--once", "--explain"), ("now",)])
def test_other_arguments_are_answered_with_the_usage(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tick.main(*arguments) == 2
    assert "tick.py --explain" in capsys.readouterr().err


# Known hosts


def known_host(root: Path, address: str, age_seconds: float) -> Path:
    file = root / "var/lib/spark-known-hosts" / address
    file.write_text(f"{address} ssh-ed25519 AAAA\n")
    when = dt.datetime.now(dt.UTC).timestamp() - age_seconds
    os.utime(file, (when, when))
    return file


def test_drivers_are_cleaned_up_after_even_if_aws_does_not_answer(
    executor: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = []

    def fail() -> None:
        cleaned.append(1)
        raise OSError("no space left")

    monkeypatch.setattr(drivers, "clean", fail)
    make_group(1)
    tick.Journal().tick()
    assert "tick: OSError: no space left, in clean_up\n" in capsys.readouterr().err
    assert executor.exists()
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    tick.Journal().tick()
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert len(cleaned) == 2


def test_the_host_key_of_a_member_is_kept(as_master: None, root: Path) -> None:
    make_group(1)
    file = known_host(root, addresses()[0], -60)
    tick.Journal().tick()
    assert file.exists()


def test_the_host_key_of_a_member_that_left_is_forgotten(
    as_master: None, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(1)
    file = known_host(root, "10.0.0.200", -60)
    tick.Journal().tick()
    assert not file.exists()
    assert "tick: forget the host key of 10.0.0.200: it is no worker in service" in capsys.readouterr().err


def test_the_host_key_of_an_address_that_a_newer_instance_has_is_forgotten(as_master: None, root: Path) -> None:
    make_group(1)
    file = known_host(root, addresses()[0], 3600)
    tick.Journal().tick()
    assert not file.exists()


def test_no_host_key_is_forgotten_because_of_an_api_error(
    as_master: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = known_host(root, "10.0.0.200", -60)
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    tick.Journal().tick()
    assert file.exists()


def test_ssh_and_the_tick_mean_the_same_folder_and_the_spark_user_cannot_replace_it() -> None:
    config = (USERDATA / "master/etc/ssh/ssh_config.d/50-spark-cluster.conf").read_text()
    assert f"UserKnownHostsFile {tick.KNOWN_HOSTS}/%h" in config
    assert not tick.KNOWN_HOSTS.startswith(("/home/spark", "/var/lib/spark/"))
    boot = (USERDATA / "common" / LIB / "boot").read_text()
    assert f'"$ROOT{tick.KNOWN_HOSTS}"' in boot


def test_something_odd_among_the_host_keys_does_not_stop_the_rest(
    root: Path, executor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is the spark user's, and so is any job."""
    make_group(1)
    (root / "var/lib/spark-known-hosts/folder").mkdir()
    (root / "var/lib/spark-known-hosts/10.0.0.9").symlink_to("nowhere")
    tick.Journal().tick()
    assert executor.exists()
    assert not (root / "var/lib/spark-known-hosts/10.0.0.9").is_symlink()
    capsys.readouterr()
    tick.Journal().tick()
    assert capsys.readouterr().err == "", "what stays there is told nobody every 15 s"


def test_what_a_tick_may_wait_for_is_no_pause_of_the_looking_at_health(as_master: None) -> None:
    """Between two looks is a whole tick and a pause: after a longest one all clocks of health would begin anew.

    Left out is who does not answer at all: then nothing is known, and the clocks are to begin anew.
    """
    config = metrics.cloudwatch().meta.config
    tries = config.retries["total_max_attempts"]
    backing_off = sum(2**number for number in range(tries - 1))  # of botocore's standard mode, at most
    sending = tries * (config.connect_timeout + config.read_timeout) + backing_off
    asking = observation.SYSTEMCTL_SECONDS + spark_state.PATIENCE_SECONDS
    pause = tick.PAUSE_SECONDS * (1 + polling.JITTER)
    assert pause + asking + drivers.REMOVING_SECONDS + sending < health.LONGEST_PAUSE_SECONDS
    assert drivers.REMOVING_SECONDS < tick.PAUSE_SECONDS, "a worker with its first executors is protected soon"


def test_a_tick_is_quiet_where_nothing_changed(as_master: None, capsys: pytest.CaptureFixture[str]) -> None:
    make_group(1)
    tick.Journal().tick()
    capsys.readouterr()
    tick.Journal().tick()
    assert capsys.readouterr() == ("", "")
