"""drain.py: a worker that is to leave is told until nothing is left on it, and stopped at its deadline."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import drain
import executor_logs
import notices
import polling
import pytest
import spark_state
from botocore.exceptions import BotoCoreError, EndpointConnectionError
from decommission_log import Said

from tests.userdata.conftest import BUCKET, client, in_bucket
from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.userdata.conftest import Clock

IP = "10.0.0.7"
APP = "app-20261129120000-0001"
WORKER, EXECUTOR = 4001, 4002
SPARK_UID = 990
RUNNING = executor_logs.running
LOG = """\
26/11/29 12:00:01 INFO CoarseGrainedExecutorBackend: Decommission executor 0.
26/11/29 12:00:01 INFO BlockManagerDecommissioner: 2 of 2 local shuffles are added. In total, 2 shuffles are remained.
INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_3 (size: 2.0 MiB) to BlockManagerId(1, a, 1, None) in 9 ms
"""
DONE = "26/11/29 12:00:09 INFO CoarseGrainedExecutorBackend: No running tasks, all blocks migrated, stopping.\n"


class World:
    """A worker, its executors and its master, by the seconds since the drain began.

    Attributes:
        executors: since when each is there, and until when; one that was told leaves `leaves_after` that.
        master: what the master lists of this worker at a time; an exception is raised.
        signalled: who got SIGPWR, and when.
        commands: what systemd was told.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock, self.began = clock, clock.now
        self.pid = WORKER
        self.systemd_answers: Callable[[], bool] = lambda: True
        self.executors: dict[str, tuple[float, float]] = {}
        self.leaves_after = 7.0
        self.page_answers = True
        self.pages_hang = False
        self.hook_waits = True
        self.catches = {WORKER, EXECUTOR}
        self.signalled: list[tuple[float, int]] = []
        self.commands: list[str] = []
        self.completed: list[tuple[str, str]] = []
        self.master: Callable[[float], str | Exception] = self.obedient

    @property
    def seconds(self) -> float:
        return self.clock.now - self.began

    def obedient(self, _: float) -> str:
        return "DECOMMISSIONED" if any(pid == WORKER for _, pid in self.signalled) else "ALIVE"

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[0] == "systemctl"
        said = ""
        if command[1] == "show":
            if not self.systemd_answers():
                return subprocess.CompletedProcess(command, 1, stdout="")
            said = f"{self.pid}\n"
        else:
            self.commands.append(" ".join(command[1:]))
            if command[1] == "stop" and "spark-worker.service" in command:
                self.pid = 0
        return subprocess.CompletedProcess(command, 0, stdout=said)

    def kill(self, pid: int, number: int) -> None:
        assert number == signal.SIGPWR
        self.signalled.append((round(self.seconds), pid))
        is_heard = pid == EXECUTOR or not isinstance(self.master(self.seconds), Exception)
        for name, (since, until) in self.executors.items():
            if is_heard and since <= self.seconds:
                self.executors[name] = since, min(until, self.seconds + self.leaves_after)

    def running(self, seconds: float) -> set[str]:
        if not self.page_answers:
            self.clock.now += seconds if self.pages_hang else 0
            raise ConnectionRefusedError
        return {name for name, (since, until) in self.executors.items() if since <= self.seconds < until}

    def read(self, host: str, seconds: float) -> dict[str, Any]:
        assert host == "master.demo-spark"
        state = self.master(self.seconds)
        if isinstance(state, Exception):
            self.clock.now += seconds if self.pages_hang else 0
            raise state
        others = [{"host": "10.0.0.8", "state": "ALIVE"}, {"host": IP, "state": "DEAD"}]
        return {"workers": [*others, *([{"host": IP, "state": state}] if state else [])]}

    def status(self, pid: int) -> dict[str, str]:
        return {"SigCgt": format(1 << 29 if pid in self.catches else 0, "016x"), "Uid": f"{SPARK_UID}\t" * 4}


@pytest.fixture
def world(
    root: Path, settle: Callable[..., None], clock: Clock, acted_as: list[str], monkeypatch: pytest.MonkeyPatch
) -> World:
    settle("worker")
    (root / "etc/spark-cluster/node.env").write_text(f"MASTER_HOST=master.demo-spark\nPRIVATE_IP={IP}\n")
    work = root / "var/lib/spark-local/work"
    work.mkdir(parents=True)
    (root / "run/spark-cluster").mkdir(parents=True)
    (root / "run/spark-cluster/local-dirs.env").write_text(f"SPARK_WORKER_DIR={work}\n")
    made = World(clock)
    monkeypatch.setattr(subprocess, "run", made.run)
    monkeypatch.setattr(drain, "pidfd", contextlib.nullcontext)
    monkeypatch.setattr(signal, "pidfd_send_signal", made.kill)
    monkeypatch.setattr(pwd, "getpwnam", lambda _: SimpleNamespace(pw_uid=SPARK_UID))
    monkeypatch.setattr(notices, "boot_clock", clock.monotonic)
    monkeypatch.setattr(drain, "status", made.status)
    monkeypatch.setattr(drain, "children", lambda _: [EXECUTOR] if made.executors else [])
    monkeypatch.setattr(executor_logs, "running", made.running)
    monkeypatch.setattr(spark_state, "read", made.read)
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    return made


@pytest.fixture
def bucket(world: World, cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers: an empty bucket, and hooks that can be completed."""
    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr(aws, "metadata", {"instance-id": "i-0abc"}.get)
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def complete(hook: aws.LifecycleHook, result: str) -> bool:
        world.completed.append((hook.name, result))
        return world.hook_waits

    monkeypatch.setattr(aws.LifecycleHook, "complete", complete)


@pytest.fixture
def faults(bucket: None, monkeypatch: pytest.MonkeyPatch) -> list[BotoCoreError]:
    """What each call to AWS ends with, until the list is emptied."""
    found: list[BotoCoreError] = [EndpointConnectionError(endpoint_url="https://s3")]
    known = client("s3").put_object

    def put_object(**what: object) -> object:
        for fault in found:
            raise fault
        return known(**what)

    monkeypatch.setattr(aws, "client", lambda _: SimpleNamespace(put_object=put_object))
    return found


def notice(kind: str = "termination", seconds: float = 900) -> None:
    notices.write(kind, f"because of {kind}", time.time() + seconds, seconds)


def say(root: Path, text: str, executor: str = f"{APP}/0") -> None:
    folder = root / "var/lib/spark-local/work" / executor
    folder.mkdir(parents=True)
    (folder / "stderr").write_text(text)


def report() -> dict[str, Any]:
    (text,) = in_bucket().values()
    found: dict[str, Any] = json.loads(text)
    return found


ENDS = [
    "disable --quiet --no-reload spark-worker.service",
    "stop --no-block spark-worker.service",
    "stop spark-boot.service spark-worker.service spark-executor-logs.service spark-daemon-logs.service",
]


# What is to happen


def test_a_worker_is_told_until_its_executors_have_left_and_then_stopped(
    world: World, bucket: None, root: Path, capsys: pytest.CaptureFixture[str], acted_as: list[str]
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG + DONE)
    notice()
    drain.main()
    assert world.signalled == [(0, WORKER), (5, WORKER)]
    assert world.commands == [
        "disable --quiet --no-reload spark-boot.service",
        "stop --no-block spark-boot.service",
        *["stop spark-registration.service"] * 2,
        *ENDS,
    ]
    assert set(acted_as) == {"spark"}
    assert world.completed == [("demo-spark-left", "CONTINUE")]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "drain: because of termination: drained in part after 7.0 s, 1 of 1 executors have left, 1 map outputs"
    )
    assert notices.unanswered(notices.read()) == []


def test_the_report_is_an_object_of_its_own(world: World, bucket: None, root: Path) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG + DONE)
    notice()
    drain.main()
    (key,) = in_bucket()
    began = time.strftime("%Y-%m-%dT%H-%M", time.gmtime(report()["started_at"]))
    assert key.startswith(f"logs/drains/i-0abc-{began}-")
    assert key.endswith("Z.json")
    found = report()
    assert (
        found.items()
        >= {
            "instance": "i-0abc",
            "kinds": ["termination"],
            "why": "because of termination",
            "seconds": 7.0,
            "in_time": True,
            "shuffle_blocks": 1,
            "shuffle_bytes": 2 << 20,
            "shuffle_blocks_left": 1,
            "tasks": 0,
        }.items()
    )
    assert found["deadline"] - found["noticed_at"] == pytest.approx(900, abs=0.2)
    (executor,) = found["executors"]
    assert executor.items() >= {"application": APP, "executor": "0", "left": True, "finished": True}.items()


def test_an_idle_worker_leaves_within_a_look(world: World, bucket: None) -> None:
    notice()
    drain.main()
    assert world.signalled == [(0, WORKER)]
    assert world.seconds <= 1
    assert world.commands[-3:] == ENDS
    assert report()["executors"] == []


@pytest.mark.parametrize("left", ["no worker's process", "no configuration"])
def test_a_host_whose_worker_never_started_is_done_at_once_without_a_report(
    world: World, bucket: None, root: Path, capsys: pytest.CaptureFixture[str], left: str
) -> None:
    world.pid = 0
    if left == "no configuration":
        (root / "etc/spark-cluster/node.env").unlink()
        (root / "run/spark-cluster/local-dirs.env").unlink()
    notice()
    drain.main()
    assert world.seconds == 0
    assert world.signalled == []
    assert world.completed == [("demo-spark-left", "CONTINUE")]
    assert in_bucket() == {}, "a report of nothing"
    assert capsys.readouterr().err == "drain: because of termination: no worker was found\n"
    assert notices.unanswered(notices.read()) == []


@pytest.mark.parametrize("kind", ["spot", "detached", "standby"])
def test_only_what_terminates_the_instance_completes_the_hook(world: World, bucket: None, kind: str) -> None:
    notice(kind)
    drain.main()
    assert world.completed == []
    assert world.commands[-3:] == ENDS
    assert notices.unanswered(notices.read()) == []


def test_without_a_notice_nothing_is_done(world: World) -> None:
    drain.main()
    assert world.commands == []


def test_what_was_answered_is_not_answered_again(world: World, bucket: None) -> None:
    notice()
    drain.main()
    del world.commands[:]
    drain.main()
    assert world.commands == []


# Deadlines


def test_at_the_deadline_what_still_runs_is_lost_and_the_report_says_which(
    world: World, bucket: None, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 999
    running = "INFO Executor: Running task 2.0 in stage 4.0 (TID 41)\n"
    say(root, running + LOG + "INFO CoarseGrainedExecutorBackend: Blocked from shutdown by 1 running tasks\n")
    notice("spot", 110)
    drain.main()
    assert world.seconds == pytest.approx(110, abs=1)
    assert report()["in_time"] is False
    (executor,) = report()["executors"]
    assert (executor["left"], executor["tasks"]) == (False, ["task 2.0 in stage 4.0"])
    assert report()["tasks"] == 1
    assert "not drained after 110" in capsys.readouterr().err
    assert world.commands[-3:] == ENDS


def test_a_later_notice_shortens_the_time_and_none_lengthens_it(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 999
    notice("termination", 900)

    def master(seconds: float) -> str:
        if seconds > 30 and "spot" not in notices.read():
            notice("spot", 50)
        if seconds > 40 and "standby" not in notices.read():
            notice("standby", 7000)
        return "DECOMMISSIONED"

    world.master = master
    drain.main()
    assert world.seconds == pytest.approx(85, abs=6)
    assert report()["kinds"] == ["termination", "spot", "standby"]
    assert notices.unanswered(notices.read()) == [], "all of them were read"


@pytest.mark.parametrize("jump", [100_000, -100_000])
def test_a_clock_that_jumps_neither_shortens_nor_lengthens_a_drain(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 20
    notice("spot", 110)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    drain.main()
    assert report()["in_time"] is True
    assert report()["seconds"] == 20


# A master or a worker that is away, or comes back


def test_a_master_that_was_restarted_and_lists_the_worker_again_is_told_again(world: World, bucket: None) -> None:
    """It gives it new executors, too."""
    world.executors = {f"{APP}/0": (0, 4.5), f"{APP}/1": (3.5, 999)}
    world.leaves_after = 4.5
    world.master = lambda seconds: "ALIVE" if 3 < seconds < 5.5 or seconds < 1 else "DECOMMISSIONED"
    notice()
    drain.main()
    assert world.signalled == [(0, WORKER), (5, WORKER), (10, WORKER)]
    assert {each["executor"]: each["left"] for each in report()["executors"]} == {"0": True, "1": True}


def test_a_worker_without_executors_that_is_still_listed_as_alive_is_not_done(world: World, bucket: None) -> None:
    world.master = lambda seconds: "ALIVE" if seconds < 12 else "DECOMMISSIONED"
    notice()
    drain.main()
    assert 12 <= world.seconds < 14
    assert world.signalled == [(0, WORKER), (5, WORKER), (10, WORKER)]


@pytest.mark.parametrize("fault", [OSError("refused"), ValueError("the master is RECOVERING")])
def test_executors_are_told_directly_while_the_master_is_silent(world: World, bucket: None, fault: Exception) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.master = lambda _: fault
    notice()
    drain.main()
    assert [(at, pid) for at, pid in world.signalled if pid == EXECUTOR] == [(10, EXECUTOR), (15, EXECUTOR)]
    assert world.seconds == pytest.approx(17, abs=1)
    assert report()["in_time"] is True


def test_executors_are_told_after_ten_seconds_though_each_look_at_the_master_hangs(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.pages_hang = True
    world.master = lambda _: TimeoutError("timed out")
    notice()
    drain.main()
    assert world.signalled[0] == (0, WORKER), "before anybody is asked"
    assert min(at for at, pid in world.signalled if pid == EXECUTOR) <= 12


@pytest.mark.parametrize("seconds", [10, 29, 30, 31, 32, 33])
def test_pages_that_hang_make_nobody_late(world: World, bucket: None, seconds: int) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 999
    world.pages_hang, world.page_answers = True, False
    world.master = lambda _: TimeoutError("timed out")
    notice("spot", seconds)
    drain.main()
    assert seconds <= world.seconds < seconds + 1.5


def test_a_master_that_is_silent_for_a_moment_is_waited_for(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.master = lambda seconds: OSError("refused") if seconds < 8 else "DECOMMISSIONED"
    notice()
    drain.main()
    assert EXECUTOR not in {pid for _, pid in world.signalled}


def test_an_idle_worker_without_a_master_leaves_after_the_silence(world: World, bucket: None) -> None:
    world.master = lambda _: OSError("refused")
    notice()
    drain.main()
    assert world.seconds == pytest.approx(10, abs=1)


def test_a_process_that_does_not_catch_the_signal_is_never_sent_it(world: World, bucket: None) -> None:
    """A JVM that has just begun, or one without decommissioning, would die of it."""
    world.executors[f"{APP}/0"] = 0, 999
    world.catches = set()
    notice("spot", 30)
    drain.main()
    assert world.signalled == []
    assert report()["in_time"] is False


def test_an_idle_worker_that_cannot_be_told_is_not_waited_for(world: World, bucket: None) -> None:
    world.catches = set()
    notice()
    drain.main()
    assert world.seconds == 0


def test_a_worker_whose_page_is_silent_is_done_if_it_has_no_executor(world: World, bucket: None) -> None:
    world.page_answers = False
    world.master = lambda _: ""
    notice()
    drain.main()
    assert world.seconds == 0


def test_a_worker_whose_page_is_silent_has_until_the_deadline(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.page_answers = False
    notice("spot", 30)
    drain.main()
    assert world.seconds == pytest.approx(30, abs=1)


def test_a_worker_that_crashes_meanwhile_has_lost_its_executors(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999

    def master(seconds: float) -> str:
        world.pid = WORKER if seconds < 5 else 0
        return "DECOMMISSIONED"

    world.master = master
    notice()
    drain.main()
    assert world.seconds < 7
    assert report()["in_time"] is False


def test_a_systemd_that_does_not_answer_is_no_worker_that_is_gone(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.systemd_answers = lambda: not 2 < world.seconds < 5
    notice()
    drain.main()
    assert report()["in_time"] is True
    assert report()["seconds"] == 7


def test_a_systemd_that_never_answers_is_waited_for_until_the_deadline(world: World, bucket: None) -> None:
    world.systemd_answers = lambda: False
    notice("spot", 30)
    drain.main()
    assert world.seconds == pytest.approx(30, abs=1)
    assert world.commands[-3:] == ENDS


@pytest.mark.parametrize(
    "page", [{}, [], {"executors": None}, {"executors": ["x"]}, {"executors": [{"id": 1}]}], ids=str
)
def test_a_page_that_is_not_spark_s_says_nothing(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    monkeypatch.setattr(executor_logs, "running", RUNNING)
    monkeypatch.setattr(spark_state, "page", lambda *_, **__: page)
    notice("spot", 30)
    drain.main()
    assert world.seconds == pytest.approx(30, abs=1)


# A worker that is sick stays listed as decommissioned until it is terminated


def at(world: World, seconds: float, kind: str, deadline: float = 900) -> None:
    """Have a notice come."""
    known = world.master

    def master(now: float) -> str | Exception:
        if now > seconds and kind not in notices.read():
            notice(kind, deadline)
        return known(now)

    world.master = master


def test_a_sick_worker_is_told_until_auto_scaling_terminates_it(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    notice("sick")
    at(world, 40, "termination")
    drain.main()
    assert world.signalled == [(5 * each, WORKER) for each in range(len(world.signalled))]
    assert 40 < world.seconds < 50
    assert world.commands[-3:] == ENDS
    assert world.completed == [("demo-spark-left", "CONTINUE")]
    assert report().items() >= {"kinds": ["sick", "termination"], "seconds": 7.0, "in_time": True}.items()


def test_an_empty_sick_worker_outstays_its_deadline(world: World, bucket: None) -> None:
    """Once its unit has stopped, nothing but the time would tell the master that it is sick."""
    world.executors[f"{APP}/0"] = 0, 999
    notice("sick", 20)
    at(world, 300, "termination")
    drain.main()
    assert 300 < world.seconds < 310
    assert report()["in_time"] is True
    assert report()["seconds"] == 7


def test_an_empty_sick_worker_asks_the_master_and_systemd_no_oftener_than_it_tells(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may stay so for hours, and others with it."""
    asked, shown = [], []
    monkeypatch.setattr(spark_state, "read", lambda *given: asked.append(world.seconds) or world.read(*given))  # type: ignore[func-returns-value]  # notes when
    monkeypatch.setattr(drain, "worker_pid", lambda: shown.append(world.seconds) or world.pid)  # type: ignore[func-returns-value]  # notes when
    notice("sick")
    at(world, 320, "termination")
    drain.main()
    for times in (asked, shown):
        assert len([each for each in times if 20 < each < 320]) == pytest.approx(60, abs=2)


def test_an_empty_sick_worker_that_was_killed_after_its_deadline_stays_on(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    notice("sick", 20)
    pause = world.clock.sleep

    def killed(seconds: float) -> None:
        pause(seconds)
        if round(world.seconds) == 60:
            raise KeyboardInterrupt

    monkeypatch.setattr(world.clock, "sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        drain.main()
    assert not set(ENDS) & set(world.commands)
    told = len(world.signalled)
    at(world, 90, "termination")
    drain.main()
    assert world.seconds > 90
    assert len(world.signalled) > told + 4
    assert report()["in_time"] is True
    assert report()["seconds"] == 7


def test_a_sick_worker_with_executors_ends_at_its_deadline(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 999
    notice("sick", 30)
    drain.main()
    assert world.seconds == pytest.approx(30, abs=1)
    assert world.commands[-3:] == ENDS
    assert report()["in_time"] is False
    assert world.completed == []
    notice("termination")
    drain.main()
    assert world.completed == [("demo-spark-left", "CONTINUE")]
    assert report().items() >= {"kinds": ["sick", "termination"], "in_time": False, "seconds": 30.0}.items()


def test_an_interruption_shortens_the_drain_of_a_sick_worker(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    world.leaves_after = 999
    notice("sick")
    at(world, 30, "spot", 50)
    drain.main()
    assert world.seconds == pytest.approx(82, abs=4)
    assert report()["kinds"] == ["sick", "spot"]


@pytest.mark.parametrize("kind", ["spot", "standby", "detached"])
def test_an_empty_sick_worker_leaves_for_whatever_else_asks_it_to(world: World, bucket: None, kind: str) -> None:
    notice("sick", 20)
    at(world, 60, kind)
    drain.main()
    assert 60 < world.seconds < 70
    assert world.commands[-3:] == ENDS
    assert world.completed == []
    assert notices.unanswered(notices.read()) == []


def test_a_restarted_master_that_gives_a_sick_worker_new_executors_is_told_again(world: World, bucket: None) -> None:
    """They have until the deadline, as the first had."""
    world.executors = {f"{APP}/0": (0, 999), f"{APP}/1": (31, 999)}
    world.master = lambda seconds: "ALIVE" if seconds < 1 or 31 < seconds < 35.5 else "DECOMMISSIONED"
    notice("sick")
    at(world, 60, "termination")
    drain.main()
    assert {each["executor"]: each["left"] for each in report()["executors"]} == {"0": True, "1": True}
    assert report()["seconds"] == pytest.approx(43, abs=2)


def test_a_sick_worker_without_a_master_stays_until_that_lists_it(world: World, bucket: None) -> None:
    world.master = lambda seconds: OSError("refused") if seconds < 100 else "DECOMMISSIONED"
    notice("sick", 30)
    at(world, 120, "termination")
    drain.main()
    assert 120 < world.seconds < 130
    assert {pid for _, pid in world.signalled} == {WORKER}
    assert report()["in_time"] is True


def withdrawn(world: World, seconds: float) -> None:
    known = world.master

    def master(now: float) -> str | Exception:
        if now > seconds:
            notices.withdraw("sick")
        return known(now)

    world.master = master


def test_an_empty_worker_that_is_sick_no_more_ends_its_drain_to_be_started_again(world: World, bucket: None) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    notice("sick", 20)
    withdrawn(world, 90)
    drain.main()
    assert 90 < world.seconds < 100
    assert notices.read() == {}
    assert notices.load(notices.DRAIN_FILE)["is_stopped"] is True, "by which notice.py starts it again"
    assert report().items() >= {"kinds": ["sick"], "in_time": True, "seconds": 7.0}.items()


@pytest.mark.parametrize("kind", ["termination", "spot"])
@pytest.mark.parametrize("seconds", [80, 88, 89.5])
def test_a_notice_that_comes_as_the_other_is_withdrawn_is_answered(
    world: World, bucket: None, kind: str, seconds: float
) -> None:
    notice("sick", 20)
    at(world, seconds, kind)
    withdrawn(world, 90)
    drain.main()
    if kind not in notices.read():  # it was done before that came
        notice(kind)
    drain.main()
    assert notices.unanswered(notices.read()) == []
    assert world.pid == 0
    assert len(world.completed) == (kind == "termination")


def test_a_sick_worker_whose_process_ends_is_stopped_for_good(world: World, bucket: None) -> None:
    def master(seconds: float) -> str:
        world.pid = WORKER if seconds < 30 else 0
        return "DECOMMISSIONED"

    world.master = master
    notice("sick")
    drain.main()
    assert 30 < world.seconds < 40
    assert world.commands[-3:] == ENDS
    assert notices.unanswered(notices.read()) == []


# Killed in the middle, and started again


def test_a_drain_that_was_killed_goes_on_where_it_was(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.executors = {f"{APP}/0": (0, 3), f"{APP}/1": (0, 999)}
    notice()
    pause = world.clock.sleep

    def killed(seconds: float) -> None:
        pause(seconds)
        if round(world.seconds) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(world.clock, "sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        drain.main()
    assert notices.unanswered(notices.read()) == ["termination"]
    drain.main()
    assert report()["seconds"] == 7
    assert [each["executor"] for each in report()["executors"]] == ["0", "1"]


def test_a_termination_after_a_spot_drain_completes_the_hook_and_is_added_to_the_same_report(
    world: World, bucket: None, root: Path
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG)
    notice("spot", 110)
    drain.main()
    first = report()
    notice("termination")
    drain.main()
    second = report()
    assert second["kinds"] == ["spot", "termination"]
    assert {**second, **{key: first[key] for key in ("kinds", "why")}} == first
    assert world.completed == [("demo-spark-left", "CONTINUE")]


def test_a_worker_that_was_brought_back_is_drained_anew(world: World, bucket: None) -> None:
    notice("standby")
    drain.main()
    notices.withdraw("standby")
    world.pid, world.signalled = WORKER, []
    world.clock.now += 3600
    notice("standby")
    drain.main()
    assert [pid for _, pid in world.signalled] == [WORKER]
    assert json.loads(max(in_bucket().values()))["seconds"] < 5


def test_without_aws_the_worker_drains_all_the_same_and_the_next_start_tells(
    world: World, faults: list[BotoCoreError], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG)
    notice("spot", 110)
    with pytest.raises(SystemExit, match="again"):
        drain.main()
    assert world.commands[-3:] == ENDS
    assert notices.unanswered(notices.read()) == ["spot"]
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("aws: ")]
    assert [line.partition(": ")[0] for line in said] == ["drain"] * 2
    faults.clear()
    drain.main()
    assert report()["shuffle_blocks"] == 1
    assert report()["seconds"] == 7
    assert notices.unanswered(notices.read()) == []
    assert capsys.readouterr().err == ""


def test_a_metadata_service_that_is_away_is_no_end_of_the_hook(
    world: World, bucket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: str) -> str:
        raise SystemExit("aws: no instance-id")

    monkeypatch.setattr(aws, "metadata", away)
    notice()
    with pytest.raises(SystemExit, match="again"):
        drain.main()
    assert world.completed == [("demo-spark-left", "CONTINUE")]


def test_a_hook_at_which_auto_scaling_does_not_wait_yet_is_completed_by_a_later_start(
    world: World, bucket: None, capsys: pytest.CaptureFixture[str]
) -> None:
    world.hook_waits = False
    notice()
    for _ in range(2):
        with pytest.raises(SystemExit, match="again"):
            drain.main()
    assert notices.unanswered(notices.read()) == ["termination"]
    assert capsys.readouterr().err.count("does not wait yet") == 2
    world.hook_waits = True
    drain.main()
    assert world.completed == [("demo-spark-left", "CONTINUE")] * 3
    assert len(in_bucket()) == 1
    assert notices.unanswered(notices.read()) == []


# Logs that a job may have written


@pytest.mark.parametrize("fault", [ValueError("too many digits"), OverflowError(), RecursionError(), MemoryError()])
def test_a_log_that_cannot_be_read_costs_the_figures_alone(
    world: World, bucket: None, root: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def read(*_: object) -> None:
        raise fault

    monkeypatch.setattr("decommission_log.Said.read", read)
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG)
    notice()
    drain.main()
    assert report()["shuffle_blocks"] == 0
    assert world.commands[-3:] == ENDS
    assert world.completed == [("demo-spark-left", "CONTINUE")]


def test_a_host_without_the_worker_s_user_leaves_too(world: World, bucket: None, acted_as: list[str]) -> None:
    """A boot may end before it has made any."""
    world.pid = 0
    notice()
    drain.main()
    assert acted_as == []


def test_a_log_that_is_a_link_is_not_followed(world: World, bucket: None, root: Path) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, "")
    file = root / f"var/lib/spark-local/work/{APP}/0/stderr"
    (root / "elsewhere").write_text(LOG)
    file.unlink()
    file.symlink_to(root / "elsewhere")
    notice()
    drain.main()
    assert report()["shuffle_blocks"] == 0


def test_an_executor_that_crashed_has_not_left_in_time(world: World, bucket: None, root: Path) -> None:
    world.executors[f"{APP}/0"] = 0, 999
    say(root, LOG)
    notice()
    drain.main()
    assert report()["in_time"] is False
    assert [each["left"] for each in report()["executors"]] == [False]


def test_a_worker_is_stopped_before_logs_are_read(
    world: World, bucket: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[str] = []

    def read(*_: object) -> tuple[Said, bool]:
        before.extend(world.commands)
        return Said(), True

    monkeypatch.setattr("drain_report.read", read)
    world.executors[f"{APP}/0"] = 0, 999
    notice("spot", 3)
    drain.main()
    assert before[-2:] == ENDS[:2]


# Real processes

SLEEPER = "import signal, sys, time; {} print('up', flush=True); time.sleep(60)"
CATCHER = SLEEPER.format("signal.signal(signal.SIGPWR, lambda *_: sys.exit(7));")


@pytest.fixture
def spark(acted_as: list[str], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The worker's user, who runs these tests."""
    assert acted_as == []
    user = SimpleNamespace(pw_uid=os.getuid())
    monkeypatch.setattr(pwd, "getpwnam", {"spark": user}.get)
    return user


@pytest.mark.parametrize(
    ("program", "is_spark_s", "status"),
    [(CATCHER, True, 7), (SLEEPER.format(""), True, None), (CATCHER, False, None)],
    ids=["who asked for it", "another one", "another user's"],
)
def test_sigpwr_goes_to_who_asked_for_it(
    spark: SimpleNamespace, acted_as: list[str], program: str, *, is_spark_s: bool, status: int | None
) -> None:
    spark.pw_uid += 0 if is_spark_s else 1
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            drain.tell(process.pid)
            assert acted_as == (["spark"] if status else [])
            if status:
                assert process.wait(10) == status
            else:
                time.sleep(0.2)
                assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.usefixtures("spark")
def test_a_process_that_has_gone_is_no_trouble() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    drain.tell(process.pid)
    assert drain.status(process.pid) == {}


@pytest.mark.usefixtures("spark")
def test_who_gets_the_number_of_a_process_that_has_gone_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    catching = {"SigCgt": format(1 << 29, "016x"), "Uid": f"{os.getuid()}\t" * 4}
    with subprocess.Popen([sys.executable, "-c", SLEEPER.format("")]) as process:

        def ends_and_another_comes(_: int) -> dict[str, str]:
            process.kill()
            process.wait()
            monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("by its number"))
            return catching

        monkeypatch.setattr(drain, "status", ends_and_another_comes)
        drain.tell(process.pid)


def test_the_children_of_a_process_are_found() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER.format("")]) as process:
        assert process.pid in drain.children(os.getpid())
        process.kill()


def test_what_systemd_says_is_read_as_it_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemctl"
    program.write_text('#!/bin/sh\n[ "$*" = "show --property=MainPID --value spark-worker.service" ] && echo 4001\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert drain.worker_pid() == 4001
    assert drain.systemctl("stop", "x") is None, "a failure is systemd's to say"
    program.write_text("#!/bin/sh\n")
    assert drain.worker_pid() is None
    program.write_text("#!/bin/sh\necho 0; exit 1\n")
    assert drain.worker_pid() is None


def test_a_system_that_goes_down_is_not_held_up(root: Path, tmp_path: Path) -> None:
    """Whatever it waits for, such as systemd that stops a worker."""
    notice()
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\necho asked >{tmp_path}/asked\nexec sleep 60\n")
    program.chmod(0o755)
    folders = [str(USERDATA / part / LIB) for part in ("worker", "common", "first_stage")]
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(folders),
        "SPARK_CLUSTER_ROOT": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, drain.__file__]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            for _ in polling.rounds(20, 0.1):
                if (tmp_path / "asked").exists():
                    break
            os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(5) == -signal.SIGTERM
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
