"""worker_health.py: a worker whose disk has little room or cannot be written, or whose process hangs, is to leave."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shutil
import subprocess
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import disk_room
import files
import notices
import pytest
import spark_state
import worker_health
from worker_health import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.userdata.conftest import Clock

IP = "10.0.0.7"
LOCAL = "/var/lib/spark-local/local"
FINE = [Disk(LOCAL)]
LOW = [Disk(LOCAL, "has 9 MiB of 100 left", is_low=True)]
BROKEN = [Disk(LOCAL, "cannot be written: Input/output error")]
START = ["systemctl", "start", "--no-block", "spark-drain.service"]
ACTING_AS = files.acting_as
MIB = 1 << 20


class Host:
    """A worker's host, look by look.

    Attributes:
        disks: what a look at them finds; `None` if it hangs, an exception is raised.
        page: whether the worker's own answers.
        unit: what systemd says of the worker's unit; `None` if it says nothing.
        others: the states of other workers, by their master; `None` if that does not answer.
        own: the state of this worker there.
        commands: what systemd was told.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.disks: list[Disk] | Exception | None = FINE
        self.looks = 0
        self.page = True
        self.unit: dict[str, str] | None = {"MainPID": "4001", "NRestarts": "0", "Result": "success"}
        self.others: list[str] | None = ["ALIVE"]
        self.own = "ALIVE"
        self.commands: list[list[str]] = []

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if command[1] != "show":
            self.commands.append(command)
            return subprocess.CompletedProcess(command, 0)
        assert command[-1] == "spark-worker.service"
        shown = "".join(f"{key}={value}\n" for key, value in (self.unit or {}).items())
        return subprocess.CompletedProcess(command, 0 if self.unit else 1, stdout=shown)

    def ask_worker(self, host: str, port: int) -> dict[str, Any]:
        assert (host, port) == ("127.0.0.1", 8081)
        if not self.page:
            raise TimeoutError
        return {"executors": []}

    def ask_master(self, host: str) -> dict[str, Any]:
        assert host == "master.demo-spark"
        if self.others is None:
            raise ConnectionRefusedError
        others = [{"host": f"10.0.1.{number}", "state": state} for number, state in enumerate(self.others)]
        return {"workers": [*others, {"host": IP, "state": "DEAD"}, {"host": IP, "state": self.own}]}

    def answer(self) -> list[Disk] | None:
        if isinstance(self.disks, Exception):
            raise self.disks
        return self.disks

    def made(self, folders: list[str]) -> SimpleNamespace:
        assert folders == [LOCAL, "/var/lib/spark-local/work"]
        self.looks += 1
        return SimpleNamespace(answer=self.answer, began=self.clock.now)


@pytest.fixture
def host(root: Path, settle: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Host:
    settle("worker", drain_timeout_seconds=600)
    (root / "etc/spark-cluster/node.env").write_text(f"MASTER_HOST=master.demo-spark\nPRIVATE_IP={IP}\n")
    (root / "run/spark-cluster").mkdir(parents=True)
    (root / "run/spark-cluster/local-dirs.env").write_text(
        f"SPARK_LOCAL_DIRS={LOCAL}\nSPARK_WORKER_DIR=/var/lib/spark-local/work\n"
    )
    made = Host(clock)
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(notices, "boot_clock", clock.monotonic)
    monkeypatch.setattr(spark_state, "page", made.ask_worker)
    monkeypatch.setattr(spark_state, "read", made.ask_master)
    monkeypatch.setattr(worker_health, "Look", made.made)
    monkeypatch.setattr("random.randint", lambda low, _: low)
    return made


@pytest.fixture
def watch(host: Host) -> worker_health.Watch:
    """One that has found everything in order."""
    made = worker_health.Watch()
    made.look()
    return made


def look(watch: worker_health.Watch, host: Host, seconds: float) -> None:
    """Look every five seconds for so long."""
    for _ in range(round(seconds / 5)):
        host.clock.now += 5
        watch.look()


def noticed() -> dict[str, Any]:
    (found,) = notices.read().values()
    return found


# Disks


def test_a_worker_in_order_stays(watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    look(watch, host, 600)
    assert notices.read() == {}
    assert host.commands == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("disks", [LOW, BROKEN], ids=["little room", "cannot be written"])
def test_a_disk_in_trouble_twice_in_a_row_drains_the_worker(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str], disks: list[Disk]
) -> None:
    host.disks = disks
    look(watch, host, 5)
    assert notices.read() == {}
    look(watch, host, 5)
    found = noticed()
    assert found["kind"] == "sick"
    assert found["why"] == f"{LOCAL} {disks[0].trouble}"
    assert found["boot_clock_deadline"] == host.clock.now + 600
    assert found["deadline"] - found["noticed_at"] == pytest.approx(600, abs=1)
    assert host.commands == [START], "not only when the next look at the metadata comes"
    assert capsys.readouterr().err == f"health: the worker is to leave: {found['why']}\n"


def test_a_disk_that_has_room_again_is_no_trouble(watch: worker_health.Watch, host: Host) -> None:
    for _ in range(5):
        host.disks = LOW
        look(watch, host, 5)
        host.disks = FINE
        look(watch, host, 5)
    assert notices.read() == {}


def test_another_disk_in_trouble_is_not_the_same_twice(watch: worker_health.Watch, host: Host) -> None:
    for disks in (BROKEN, [Disk(LOCAL), Disk("/", "is read-only")], BROKEN):
        host.disks = disks
        look(watch, host, 5)
    assert notices.read() == {}


def test_the_same_trouble_is_one_notice_whose_deadline_stays(watch: worker_health.Watch, host: Host) -> None:
    host.disks = LOW
    look(watch, host, 10)
    first = noticed()
    again = worker_health.Watch()
    look(again, host, 60)
    assert noticed() == first
    assert host.commands == [START]


@pytest.mark.parametrize("kind", ["spot", "termination", "standby", "detached"])
def test_a_worker_that_leaves_already_is_not_looked_at(watch: worker_health.Watch, host: Host, kind: str) -> None:
    notices.write(kind, "leaves", time.time() + 900, 900)
    host.disks, looks = LOW, host.looks
    look(watch, host, 60)
    assert noticed()["kind"] == kind
    assert host.looks == looks


def test_a_worker_that_comes_back_from_standby_is_looked_at_again(watch: worker_health.Watch, host: Host) -> None:
    notices.write("standby", "leaves", time.time() + 900, 900)
    host.disks = LOW
    look(watch, host, 60)
    notices.withdraw("standby")
    look(watch, host, 10)
    assert noticed()["kind"] == "sick"


# Another instance would be no better


def test_a_disk_that_never_had_room_drains_nobody(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as an image that fills the system's: its successor would be drained, too, and so on for ever."""
    host.disks = LOW
    watch = worker_health.Watch()
    look(watch, host, 60)
    assert notices.read() == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"health: {LOCAL}: has had little room from the start")


def test_a_disk_that_never_had_room_and_cannot_be_written_does(host: Host) -> None:
    host.disks = BROKEN
    look(worker_health.Watch(), host, 10)
    assert noticed()["kind"] == "sick"


@pytest.mark.usefixtures("watch")
def test_that_a_disk_had_room_is_known_after_a_reboot(host: Host, root: Path) -> None:
    for file in (root / "run/spark-cluster").glob("*.json"):
        file.unlink()
    host.disks = LOW
    look(worker_health.Watch(), host, 10)
    assert noticed()["kind"] == "sick"


def test_a_file_that_a_power_cut_emptied_is_none(watch: worker_health.Watch, host: Host, root: Path) -> None:
    (root / "var/lib/spark-cluster/had-room.json").write_text("")
    again = worker_health.Watch()
    look(again, host, 5)
    assert worker_health.had_room() == watch.had_room == {LOCAL}


def test_a_file_that_cannot_be_written_keeps_no_watch_from_its_work(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(file: str, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", file)

    watch = worker_health.Watch()
    with monkeypatch.context() as patch:
        patch.setattr(files, "keep", full)
        look(watch, host, 20)
    assert capsys.readouterr().err.count("No space left on device") == 1
    host.disks = LOW
    look(watch, host, 10)
    assert noticed()["kind"] == "sick"


# A job that needs more room than the cluster has fills all disks alike


@pytest.mark.parametrize(
    ("others", "leaves"),
    [
        ([], True),
        (["ALIVE", "ALIVE"], True),
        (["ALIVE", "DECOMMISSIONED"], False),
        (["ALIVE", "ALIVE", "DEAD"], True),
        (["DECOMMISSIONED"], False),
        ([*["ALIVE"] * 19, "DECOMMISSIONED"], False),
        ([*["ALIVE"] * 20, "DECOMMISSIONED"], True),
        ([*["ALIVE"] * 20, *["DECOMMISSIONED"] * 2], False),
        (["DEAD", "DEAD"], True),
        (None, False),
    ],
    ids=str,
)
def test_as_few_full_workers_leave_at_once_as_are_replaced_at_once(
    watch: worker_health.Watch, host: Host, others: list[str] | None, *, leaves: bool
) -> None:
    host.disks, host.others = LOW, others
    look(watch, host, 120)
    assert bool(notices.read()) is leaves


@pytest.mark.parametrize("besides", range(3))
def test_disks_that_fill_up_in_the_same_seconds_are_waited_for_differently_long(
    host: Host, monkeypatch: pytest.MonkeyPatch, besides: int
) -> None:
    """Who waits longer sees that another one leaves already."""
    monkeypatch.setattr("random.randint", lambda *_: besides)
    watch = worker_health.Watch()
    watch.look()
    host.disks = LOW
    look(watch, host, 5 * (1 + besides))
    assert notices.read() == {}
    look(watch, host, 5)
    assert noticed()["kind"] == "sick"


def test_the_master_is_asked_after_the_waiting(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randint", lambda _, high: high)
    watch = worker_health.Watch()
    watch.look()
    host.disks = LOW
    look(watch, host, 15)
    host.others = ["ALIVE", "DECOMMISSIONED"]
    look(watch, host, 60)
    assert notices.read() == {}


@pytest.mark.parametrize("others", [["DECOMMISSIONED"], None], ids=["too few", "no master"])
def test_one_that_is_held_back_says_so_once_and_leaves_when_it_may(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str], others: list[str] | None
) -> None:
    host.disks, host.others = LOW, others
    look(watch, host, 60)
    (line,) = capsys.readouterr().err.splitlines()
    assert "the worker stays " in line
    host.others = ["ALIVE", "DEAD"]
    look(watch, host, 5)
    assert noticed()["kind"] == "sick"


def test_one_that_is_held_back_and_has_room_again_says_that(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.disks, host.others = LOW, None
    look(watch, host, 30)
    host.disks = FINE
    look(watch, host, 30)
    assert capsys.readouterr().err.splitlines()[-1] == "health: its disks: no longer"


# Nobody replaces it, and its disks are in order again


@pytest.fixture
def drained(watch: worker_health.Watch, host: Host) -> worker_health.Watch:
    """One whose worker is to leave for a disk, and is empty."""
    host.disks = LOW
    look(watch, host, 10)
    notices.keep(notices.DRAIN_FILE, {"empty_since": host.clock.now})
    return watch


def test_an_empty_worker_whose_disks_are_in_order_for_a_minute_stays(
    drained: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    look(drained, host, 300)
    assert set(notices.read()) == {"sick"}
    host.disks = FINE
    look(drained, host, 60)
    assert set(notices.read()) == {"sick"}
    look(drained, host, 5)
    assert notices.read() == {}
    assert capsys.readouterr().err.splitlines()[-1] == "health: its disks are in order for 60 s: the worker stays"
    host.disks = LOW
    look(drained, host, 5)
    assert notices.read() == {}
    look(drained, host, 5)
    assert set(notices.read()) == {"sick"}


@pytest.mark.parametrize("disks", [LOW, BROKEN, None, ValueError("junk")], ids=str)
def test_trouble_or_a_look_without_an_answer_begins_the_minute_anew(
    drained: worker_health.Watch, host: Host, disks: list[Disk] | Exception | None
) -> None:
    look(drained, host, 60)
    for _ in range(5):
        host.disks = FINE
        look(drained, host, 55)
        host.disks = disks
        look(drained, host, 5)
    assert set(notices.read()) == {"sick"}


def test_a_watch_that_is_killed_begins_the_minute_anew(drained: worker_health.Watch, host: Host) -> None:
    look(drained, host, 60)
    host.disks = FINE
    look(drained, host, 50)
    again = worker_health.Watch()
    look(again, host, 60)
    assert set(notices.read()) == {"sick"}
    look(again, host, 5)
    assert notices.read() == {}


def test_a_pause_of_the_host_is_no_minute_in_order(drained: worker_health.Watch, host: Host) -> None:
    look(drained, host, 60)
    host.disks = FINE
    look(drained, host, 10)
    host.clock.now += 3600
    drained.look()
    assert set(notices.read()) == {"sick"}


@pytest.mark.parametrize("state", [{}, {"empty_since": None}, {"began": 1.0}], ids=str)
def test_a_worker_with_executors_is_drained_though_its_disks_are_in_order(
    drained: worker_health.Watch, host: Host, state: dict[str, Any]
) -> None:
    notices.keep(notices.DRAIN_FILE, state)
    host.disks = FINE
    look(drained, host, 600)
    assert set(notices.read()) == {"sick"}


@pytest.mark.parametrize("kind", ["spot", "termination", "standby", "detached"])
def test_a_worker_that_leaves_for_something_else_besides_leaves(
    drained: worker_health.Watch, host: Host, kind: str
) -> None:
    host.disks = FINE
    look(drained, host, 100)
    notices.write(kind, "leaves", time.time() + 900, 900)
    look(drained, host, 600)
    assert set(notices.read()) == {"sick", kind}


def test_a_worker_whose_process_hung_is_not_trusted_again(watch: worker_health.Watch, host: Host) -> None:
    host.page, host.own = False, "DEAD"
    look(watch, host, 130)
    notices.keep(notices.DRAIN_FILE, {"empty_since": host.clock.now})
    host.page = True
    look(watch, host, 600)
    assert set(notices.read()) == {"sick"}


# What hangs


def test_a_disk_that_hangs_for_two_minutes_is_sick(watch: worker_health.Watch, host: Host) -> None:
    host.disks, looks = None, host.looks
    look(watch, host, 120)
    assert notices.read() == {}
    look(watch, host, 10)
    assert noticed()["why"] == "a disk has not answered for 120 s"
    assert host.looks == looks + 1, "no more processes hang with it"


def test_a_disk_that_answers_late_is_in_order(watch: worker_health.Watch, host: Host) -> None:
    for _ in range(3):
        host.disks = None
        look(watch, host, 100)
        host.disks = FINE
        look(watch, host, 5)
    assert notices.read() == {}


def test_a_look_that_goes_wrong_is_said_once_and_is_no_trouble_of_a_disk(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.disks = ValueError("KeyError: 'spark'")
    look(watch, host, 300)
    host.disks = FINE
    look(watch, host, 5)
    assert notices.read() == {}
    assert capsys.readouterr().err.splitlines() == [
        "health: the look at its disks: ValueError: KeyError: 'spark'",
        "health: the look at its disks: no longer",
    ]


@pytest.mark.parametrize("own", ["DEAD", "UNKNOWN"])
def test_a_process_that_hangs_and_is_not_listed_is_stopped_within_a_minute(
    watch: worker_health.Watch, host: Host, own: str
) -> None:
    host.page, host.own = False, own
    look(watch, host, 120)
    assert notices.read() == {}
    look(watch, host, 10)
    found = noticed()
    assert found["kind"] == "sick"
    assert found["why"] == "the worker has not answered for 120 s, and its master does not list it"
    assert found["boot_clock_deadline"] == pytest.approx(host.clock.now + 60, abs=6)
    assert host.commands == [START]


@pytest.mark.parametrize(
    ("others", "says"),
    [(["ALIVE"], "the master lists the worker as alive"), (None, "the master does not answer either")],
    ids=["listed", "no master"],
)
def test_a_page_that_hangs_for_another_reason_is_said_once(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str], others: list[str] | None, says: str
) -> None:
    host.page, host.others = False, others
    look(watch, host, 600)
    assert notices.read() == {}
    assert capsys.readouterr().err == f"health: its page: has not answered for 120 s; {says}\n"
    host.page = True
    look(watch, host, 5)
    assert capsys.readouterr().err == "health: its page: no longer\n"


def test_each_process_has_its_own_two_minutes(watch: worker_health.Watch, host: Host) -> None:
    host.page, host.own = False, "DEAD"
    for pid in range(4002, 4008):
        host.unit = {"MainPID": str(pid), "NRestarts": "0", "Result": "success"}
        look(watch, host, 100)
    assert notices.read() == {}


def test_a_pause_of_the_whole_host_is_nobody_s_silence(watch: worker_health.Watch, host: Host) -> None:
    """As of a virtual machine that stood still: the first looks after it may find nothing that answers yet."""
    host.page, host.own, host.disks = False, "DEAD", None
    look(watch, host, 10)
    host.clock.now += 3600
    look(watch, host, 60)
    assert notices.read() == {}


# The unit


@pytest.mark.parametrize("unit", [None, {"MainPID": "0", "NRestarts": "0", "Result": "success"}], ids=str)
def test_a_worker_that_does_not_run_is_not_looked_at(
    watch: worker_health.Watch, host: Host, unit: dict[str, str] | None
) -> None:
    host.unit, host.page, host.disks, host.own = unit, False, BROKEN, "DEAD"
    look(watch, host, 600)
    assert notices.read() == {}


def test_a_unit_that_fails_again_and_again_is_said_once_with_its_result(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    """As local-dirs does after a reboot without its disks; the master has the instance replaced."""
    for restarts in range(1, 20):
        for pid, result in (("0", "exit-code"), ("0", "success")):
            host.unit = {"MainPID": pid, "NRestarts": str(restarts), "Result": result}
            look(watch, host, 5)
    assert capsys.readouterr().err == "health: spark-worker.service: fails again and again: exit-code\n"
    assert notices.read() == {}
    host.unit = {"MainPID": "4002", "NRestarts": "20", "Result": "success"}
    look(watch, host, 5)
    assert capsys.readouterr().err == "health: spark-worker.service: no longer\n"


def test_a_crash_now_and_then_is_not_again_and_again(
    watch: worker_health.Watch, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    for restarts in range(10):
        host.unit = {"MainPID": "0", "NRestarts": str(restarts), "Result": "signal"}
        look(watch, host, 5)
        host.unit = {"MainPID": str(5000 + restarts), "NRestarts": str(restarts), "Result": "success"}
        look(watch, host, 60)
    assert capsys.readouterr().err == ""


# Real disks


def state(**more: int) -> os.statvfs_result:
    """A disk of 100 GiB with half of it free, but for what is said."""
    known = {"f_frsize": 4096, "f_blocks": 25 * MIB, "f_bavail": 12 * MIB, "f_files": 1000, "f_favail": 500}
    return SimpleNamespace(**{**known, **more})  # type: ignore[return-value]  # what is read of it


@pytest.mark.parametrize(
    ("more", "is_low"),
    [
        ({}, False),
        ({"f_bavail": 5 * MIB // 2}, False),
        ({"f_bavail": 5 * MIB // 2 - 1}, True),
        ({"f_blocks": 2500 * MIB, "f_bavail": 4 * MIB}, False),
        ({"f_blocks": 2500 * MIB, "f_bavail": 4 * MIB - 1}, True),
        ({"f_favail": 50}, False),
        ({"f_favail": 49}, True),
        ({"f_files": 0, "f_favail": 0}, False),
        ({"f_blocks": 0, "f_bavail": 0, "f_files": 0, "f_favail": 0}, False),
    ],
    ids=str,
)
def test_room_is_a_tenth_but_16_gib_are_enough_and_a_twentieth_of_the_inodes(
    more: dict[str, int], *, is_low: bool
) -> None:
    trouble, found = disk_room.room(state(**more))
    assert found is is_low
    assert bool(trouble) is is_low


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 1 MiB and 64 inodes, and no other one."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts")
    folder = tmp_path / "small"
    folder.mkdir()
    options = "size=1m,nr_inodes=64,mode=755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", folder], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setattr(worker_health, "ALSO", ())
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_empty_disk_is_in_order_and_nothing_stays_on_it(small: Path) -> None:
    assert worker_health.disks([str(small)]) == [Disk(str(small))]
    assert list(small.iterdir()) == []


def test_each_disk_is_one_however_many_folders_it_has(small: Path) -> None:
    folders = [small / name for name in ("local", "work")]
    for folder in folders:
        folder.mkdir()
    assert worker_health.disks([str(folder) for folder in folders]) == [Disk(str(folders[0]))]


def test_a_disk_that_is_nearly_full_is_low(small: Path) -> None:
    (small / "shuffle").write_bytes(bytes(MIB * 95 // 100))
    assert worker_health.disks([str(small)]) == [Disk(str(small), "has 0 MiB of 1 left", is_low=True)]


def test_a_disk_that_is_full_is_low_and_not_broken(small: Path) -> None:
    """As one without room is from the start, it may be no other on another instance."""
    with contextlib.suppress(OSError), (small / "shuffle").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    (found,) = worker_health.disks([str(small)])
    assert found == Disk(str(small), "cannot be written: No space left on device", is_low=True)


def test_a_disk_without_inodes_is_low(small: Path) -> None:
    for number in range(61):
        (small / str(number)).touch()
    (found,) = worker_health.disks([str(small)])
    assert found.is_low
    assert found.trouble == "has 2 of 64 inodes left"


def test_a_disk_that_has_become_read_only_is_broken(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    assert worker_health.disks([str(small)]) == [Disk(str(small), "is read-only")]


def test_a_disk_with_errors_is_broken_though_it_is_mounted_for_writing(small: Path, tmp_path: Path) -> None:
    """As ext4 leaves one whose device has failed; the mount's flags say nothing of it."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    disk = tmp_path / "disk"
    disk.mkdir()
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not mkfs or subprocess.run([mkfs, "-q", "-F", "-m", "0", image], check=False).returncode:
        pytest.skip("no ext4 here")
    if subprocess.run(["mount", "-o", "loop", image, disk], check=False).returncode:
        pytest.skip("no loop device here")
    try:
        assert worker_health.disks([str(disk), str(small)]) == [Disk(str(disk)), Disk(str(small))]
        subprocess.run(["mount", "-o", "remount,abort", disk], check=True)
        broken, *_ = worker_health.disks([str(disk), str(small)])
        assert broken == Disk(str(disk), "cannot be written: Read-only file system")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_system_s_disk_is_not_written_but_seen_to_be_read_only(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_health, "ALSO", (str(small),))
    monkeypatch.setattr(worker_health, "write", pytest.fail)
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    assert worker_health.disks([]) == [Disk(str(small), "is read-only")]


def test_a_folder_that_is_gone_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_health, "ALSO", ())
    gone = str(tmp_path / "gone")
    assert worker_health.disks([gone]) == [Disk(gone, "cannot be written: No such file or directory")]


def test_without_a_worker_s_folders_the_system_s_are_looked_at(root: Path) -> None:
    assert worker_health.used() == []
    assert [disk.folder for disk in worker_health.disks(worker_health.used())][-1] in worker_health.ALSO


# A process of its own


@pytest.fixture
def own(small: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The worker's user: one without any right."""
    user = SimpleNamespace(pw_uid=65534, pw_gid=65534, folder=small)
    monkeypatch.setattr(pwd, "getpwnam", {"spark": user}.get)
    return user


def test_disks_are_written_with_the_rights_of_the_worker_s_user(
    own: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = own.folder / "local"
    local.mkdir(mode=0o700)
    os.chown(local, own.pw_uid, own.pw_gid)
    monkeypatch.setattr(worker_health, "PATIENCE_SECONDS", 20)
    # Where pytest's own folders are, that user has no way.
    descriptor = os.open(local, os.O_PATH)
    try:
        folder = f"/proc/self/fd/{descriptor}"
        assert worker_health.Look([folder]).answer() == [Disk(folder)]
        local.chmod(0o500)
        (found,) = worker_health.Look([folder]).answer() or []
        assert found.trouble == "cannot be written: Permission denied"
        assert not found.is_low
    finally:
        os.close(descriptor)
    assert os.geteuid() == 0


def test_a_look_that_goes_wrong_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(f"getpwnam(): name not found: {name}")

    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(ValueError, match="name not found: spark"):
        worker_health.Look(["/"]).answer()


@pytest.mark.usefixtures("acted_as")
def test_a_look_that_hangs_holds_up_nobody_and_is_heard_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(worker_health, "write", lambda _: os.read(reader, 1))
    monkeypatch.setattr(worker_health, "PATIENCE_SECONDS", 0.2)
    looking = worker_health.Look([str(tmp_path)])
    assert looking.answer() is None
    os.write(writer, b"x")
    monkeypatch.setattr(worker_health, "PATIENCE_SECONDS", 20)
    found = looking.answer()
    assert found
    assert found[0].folder == str(tmp_path)
    with pytest.raises(ChildProcessError):
        os.waitpid(looking.process, 0)
    os.close(reader)
    os.close(writer)


@pytest.mark.usefixtures("acted_as")
def test_a_look_that_was_killed_has_gone_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_health, "write", lambda _: os.kill(os.getpid(), 9))
    with pytest.raises(ValueError, match="Expecting value"):
        worker_health.Look([str(tmp_path)]).answer()
