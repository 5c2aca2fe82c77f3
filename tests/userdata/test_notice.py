"""notice.py and notices.py: that this worker is to leave, noticed once, and a drain started until one has answered."""

from __future__ import annotations

import calendar
import http.client
import io
import json
import subprocess
import time
import urllib.error
from email.message import Message
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import notice
import notices
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.userdata.conftest import Clock

TIME = "2026-11-29T12:02:00Z"
AT = calendar.timegm(time.strptime(TIME, "%Y-%m-%dT%H:%M:%SZ"))
SPOT = json.dumps({"action": "terminate", "time": TIME})
START = ["systemctl", "start", "--no-block", "spark-drain.service"]


class Answer(io.BytesIO):
    """What the metadata service answers, with its time if it tells that."""

    def __init__(self, text: str, date: str | None) -> None:
        super().__init__(text.encode())
        self.headers = {"Date": date}


class Host:
    """What the metadata service has, by item; an exception is raised. The two clocks, and what systemd was told.

    Attributes:
        date: the time by the metadata service; without one the answers have no date.
        asked: the items, in their order.
        drain: the state of the drain's unit; `None` if systemd does not say.
    """

    def __init__(self) -> None:
        self.items: dict[str, str | Exception] = {notice.TOKEN: "a-token", notice.TARGET: "InService"}
        self.now, self.up = AT - 120.0, 500.0
        self.date: str | None = None
        self.asked: list[str] = []
        self.started: list[list[str]] = []
        self.drain: str | None = "active"

    def ask(self, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
        item = path.removeprefix("meta-data/")
        self.asked.append(item)
        assert method == ("PUT" if item == notice.TOKEN else "GET")
        assert item == notice.TOKEN or headers == {"X-aws-ec2-metadata-token": "a-token"}
        answer = self.items.get(item)
        if answer is None:
            raise urllib.error.HTTPError(path, 404, "Not Found", Message(), None)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, self.date)

    def run(self, command: list[str], *, check: bool, **_: object) -> subprocess.CompletedProcess[str]:
        assert not check
        if command[1] == "show":
            assert command[2:] == ["--property=ActiveState", "--value", "spark-drain.service"]
            return subprocess.CompletedProcess(command, 0 if self.drain else 1, stdout=f"{self.drain or ''}\n")
        self.started.append(command)
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def host(root: Path, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Host:
    settle("worker", drain_timeout_seconds=600)
    made = Host()
    monkeypatch.setattr(aws, "ask_metadata", made.ask)
    monkeypatch.setattr(subprocess, "run", made.run)
    clocks = SimpleNamespace(
        time=lambda: made.now,
        clock_gettime=lambda _: made.up,
        CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
        strptime=time.strptime,
    )
    monkeypatch.setattr(notice, "time", clocks)
    monkeypatch.setattr(notices, "time", clocks)
    return made


@pytest.fixture
def watch(host: Host) -> notice.Watch:
    return notice.Watch()


def answer(*kinds: str) -> None:
    """What a drain leaves at its end."""
    known = notices.read()
    notices.keep(notices.DRAIN_FILE, {"answered": {kind: known[kind]["noticed_at"] for kind in kinds}})


def test_a_member_in_service_is_not_drained(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch.look()
    assert notices.read() == {}
    assert host.started == []
    assert capsys.readouterr().err == ""


def test_a_spot_interruption_ends_ten_seconds_before_its_time(host: Host, watch: notice.Watch, root: Path) -> None:
    host.items[notice.SPOT] = SPOT
    watch.look()
    assert json.loads((root / "run/spark-cluster/notices/spot.json").read_text()) == {
        "kind": "spot",
        "noticed_at": AT - 120,
        "deadline": AT - 10,
        "boot_clock_deadline": 610,
        "why": f"spot interruption: terminate at {TIME}",
    }
    assert host.started == [START]


@pytest.mark.parametrize(
    ("state", "kind"), [("Terminated", "termination"), ("Detached", "detached"), ("Standby", "standby")]
)
def test_a_state_that_auto_scaling_wants_is_a_notice_with_the_drain_s_own_time(
    host: Host, watch: notice.Watch, state: str, kind: str
) -> None:
    host.items[notice.TARGET] = state
    watch.look()
    (found,) = notices.read().values()
    assert found["kind"] == kind
    assert found["deadline"] - found["noticed_at"] == 600
    assert found["boot_clock_deadline"] == host.up + 600
    assert host.started == [START]


def test_the_same_notice_is_written_and_said_once(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.items |= {notice.SPOT: SPOT, notice.TARGET: "Terminated"}
    watch.look()
    first = notices.read()
    host.now, host.up = host.now + 5, host.up + 5
    watch.look()
    assert notices.read() == first
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_deadline_is_only_ever_shortened(host: Host, watch: notice.Watch) -> None:
    host.items[notice.SPOT] = SPOT
    watch.look()
    host.items[notice.SPOT] = SPOT.replace("12:02:00", "12:01:00")
    watch.look()
    earlier = notices.read()["spot"]
    assert (earlier["deadline"], earlier["boot_clock_deadline"]) == (AT - 70, 550)
    host.items[notice.SPOT] = SPOT.replace("12:02:00", "12:09:00")
    watch.look()
    assert notices.read()["spot"] == earlier


@pytest.mark.parametrize("jump", [100_000, -100_000])
def test_a_clock_that_jumps_moves_no_deadline(host: Host, watch: notice.Watch, jump: int) -> None:
    host.items |= {notice.SPOT: SPOT, notice.TARGET: "Terminated"}
    watch.look()
    before = notices.read()
    host.now += jump
    watch.look()
    assert notices.read() == before


def test_a_clock_that_is_slow_makes_a_spot_notice_no_longer_than_it_is(host: Host, watch: notice.Watch) -> None:
    host.now -= 3600
    host.items[notice.SPOT] = SPOT
    watch.look()
    assert notices.read()["spot"]["boot_clock_deadline"] == host.up + 110


@pytest.mark.parametrize("hours", [-1, 1, 24 * 365])
def test_what_is_left_of_a_spot_notice_goes_by_aws_s_clock(host: Host, watch: notice.Watch, hours: int) -> None:
    host.date = formatdate(AT - 90, usegmt=True)
    host.now += hours * 3600
    host.items[notice.SPOT] = SPOT
    watch.look()
    assert notices.read()["spot"]["boot_clock_deadline"] == host.up + 80


def test_a_clock_that_is_fast_ends_no_spot_notice(host: Host, watch: notice.Watch) -> None:
    host.now += 3600
    host.items[notice.SPOT] = SPOT
    watch.look()
    assert notices.read()["spot"]["boot_clock_deadline"] == host.up + 110


def test_an_earlier_time_lengthens_nothing_whatever_the_clock_says(host: Host, watch: notice.Watch) -> None:
    host.items[notice.SPOT] = SPOT
    watch.look()
    host.items[notice.SPOT] = SPOT.replace("12:02:00", "12:01:30")
    host.now, host.up = host.now - 7200, host.up + 50
    watch.look()
    assert notices.read()["spot"]["boot_clock_deadline"] == 610


@pytest.mark.parametrize("item", [notice.SPOT, notice.TARGET])
def test_a_drain_is_started_before_what_asks_nobody_to_leave_is_looked_at(
    host: Host, watch: notice.Watch, monkeypatch: pytest.MonkeyPatch, item: str
) -> None:
    host.items[item] = SPOT if item == notice.SPOT else "Terminated"
    asked: list[list[str]] = []
    monkeypatch.setattr(notice, "start_drain", lambda: asked.append(list(host.asked)))
    watch.look()
    assert asked == [[notice.TOKEN, notice.SPOT, notice.TARGET]]
    assert host.asked == [notice.TOKEN, notice.SPOT, notice.TARGET, *notice.FOR_THE_JOURNAL], "one token for all"


@pytest.mark.parametrize("item", notice.FOR_THE_JOURNAL)
def test_what_asks_nobody_to_leave_makes_no_look_seldomer(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str], item: str
) -> None:
    host.items[item] = OSError("429")
    assert watch.look()
    assert watch.look()
    assert capsys.readouterr().err == f"notice: {item}: OSError: 429\n"


def test_a_metadata_service_that_is_away_keeps_no_drain_from_being_started(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.items[notice.TARGET] = "Terminated"
    watch.look()
    del host.asked[:]
    host.items[notice.TOKEN] = TimeoutError("timed out")
    assert not watch.look()
    assert not watch.look()
    assert host.started == [START] * 3
    assert host.asked == [notice.TOKEN] * 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_drain_is_started_at_each_look_until_one_has_answered_every_notice(host: Host, watch: notice.Watch) -> None:
    host.items[notice.SPOT] = SPOT
    watch.look()
    watch.look()
    assert host.started == [START, START]
    answer("spot")
    watch.look()
    assert len(host.started) == 2
    host.items[notice.TARGET] = "Terminated"
    watch.look()
    assert len(host.started) == 3, "the hook is to be completed"
    answer("spot", "termination")
    watch.look()
    assert len(host.started) == 3


def test_a_drain_that_cannot_be_started_is_no_end_of_the_watch(
    host: Host, watch: notice.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the system goes down systemd takes no orders."""
    host.items[notice.SPOT] = SPOT
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    assert watch.look()


def test_a_member_that_comes_back_from_standby_may_leave_again(host: Host, watch: notice.Watch) -> None:
    host.items[notice.TARGET] = "Standby"
    watch.look()
    answer("standby")
    host.items[notice.TARGET] = "InService"
    watch.look()
    assert notices.read() == {}
    host.now += 60
    host.items[notice.TARGET] = "Standby"
    watch.look()
    assert host.started == [START, START]


RESTART = [
    ["systemctl", "enable", "--quiet", "--no-reload", "spark-worker.service"],
    ["systemctl", "start", "--no-block", "spark-worker.service"],
]


@pytest.mark.parametrize("state", ["Standby", "Detached"])
def test_a_worker_that_was_stopped_for_what_aws_took_back_is_started_again(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    host.items[notice.TARGET] = state
    watch.look()
    notices.keep(notices.DRAIN_FILE, {"answered": {}, "is_stopped": True})
    host.items[notice.TARGET] = "InService"
    watch.look()
    watch.look()
    assert host.started == [START, *RESTART], "once"
    assert notices.load(notices.DRAIN_FILE) == {}
    assert capsys.readouterr().err.splitlines()[-1] == "notice: the worker starts again"


@pytest.mark.parametrize("state", ["Standby", "Detached"])
def test_a_sick_worker_that_comes_back_in_service_is_started_again(host: Host, watch: notice.Watch, state: str) -> None:
    """Whoever had a look at it has mended it, or it is found to be sick anew."""
    notices.write("sick", "a disk is full", host.now + 600, 600)
    host.items[notice.TARGET] = state
    watch.look()
    notices.keep(notices.DRAIN_FILE, {"answered": {}, "is_stopped": True})
    host.items[notice.TARGET] = "InService"
    watch.look()
    watch.look()
    assert notices.read() == {}
    assert host.started == [START, *RESTART]


def test_a_watch_that_is_killed_at_a_return_withdraws_the_rest_at_its_next_start(
    host: Host, watch: notice.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices.write("sick", "a disk is full", host.now + 600, 600)
    host.items[notice.TARGET] = "Standby"
    watch.look()
    host.items[notice.TARGET] = "InService"
    withdraw = notices.withdraw

    def killed(kind: str) -> bool:
        withdraw(kind)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notices, "withdraw", killed)
        with pytest.raises(KeyboardInterrupt):
            watch.look()
    notice.Watch().look()
    assert notices.read() == {}


def test_a_sick_member_that_was_in_service_all_along_stays_sick(host: Host, watch: notice.Watch) -> None:
    notices.write("sick", "a disk is full", host.now + 600, 600)
    watch.look()
    assert set(notices.read()) == {"sick"}


def test_a_worker_is_not_started_while_its_drain_goes_on_or_another_notice_stays(
    host: Host, watch: notice.Watch
) -> None:
    host.items |= {notice.TARGET: "Standby", notice.SPOT: SPOT}
    watch.look()
    notices.keep(notices.DRAIN_FILE, {"answered": {"spot": AT - 120.0}, "is_stopped": True})
    host.items[notice.TARGET] = "InService"
    watch.look()
    notices.withdraw("spot")
    notices.keep(notices.DRAIN_FILE, {"began": 500.0})
    del host.items[notice.SPOT]
    watch.look()
    assert host.started == [START]


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_worker_whose_drain_was_killed_and_whose_notice_was_withdrawn_is_restarted(
    host: Host, watch: notice.Watch, state: str
) -> None:
    """Nobody starts that drain again, and the worker has been told: it takes no executors."""
    notices.keep(notices.DRAIN_FILE, {"began": 500.0, "empty_since": 520.0})
    host.drain = state
    watch.look()
    watch.look()
    assert host.started == [RESTART[0], ["systemctl", "restart", "--no-block", "spark-worker.service"]], "once"
    assert notices.load(notices.DRAIN_FILE) == {}


@pytest.mark.parametrize("state", ["active", "activating", "deactivating", None])
def test_a_worker_is_not_restarted_under_a_drain_that_may_still_run(
    host: Host, watch: notice.Watch, state: str | None
) -> None:
    notices.keep(notices.DRAIN_FILE, {"began": 500.0, "empty_since": 520.0})
    host.drain = state
    watch.look()
    assert host.started == []
    assert notices.load(notices.DRAIN_FILE)


def test_a_worker_that_cannot_be_started_yet_is_at_the_next_look(
    host: Host, watch: notice.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices.keep(notices.DRAIN_FILE, {"is_stopped": True})
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
        watch.look()
    watch.look()
    assert host.started == RESTART


def test_what_is_not_told_any_more_is_not_forgotten(host: Host, watch: notice.Watch) -> None:
    """AWS takes back neither an interruption nor a termination."""
    host.items |= {notice.SPOT: SPOT, notice.TARGET: "Terminated"}
    watch.look()
    del host.items[notice.SPOT]
    host.items[notice.TARGET] = "InService"
    watch.look()
    assert set(notices.read()) == {"spot", "termination"}


@pytest.mark.parametrize("item", notice.FOR_THE_JOURNAL)
def test_what_asks_nobody_to_leave_is_one_line_when_it_changes(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str], item: str
) -> None:
    host.items[item] = "[]"
    watch.look()
    assert capsys.readouterr().err == ""
    host.items[item] = '{"noticeTime":\n"2026-11-29T12:00:00Z"}'
    watch.look()
    watch.look()
    assert capsys.readouterr().err == f'notice: {item}: {{"noticeTime": "2026-11-29T12:00:00Z"}}\n'
    del host.items[item]
    watch.look()
    assert capsys.readouterr().err == f"notice: {item}: no longer\n"
    assert host.started == []


JUNK: list[Any] = [
    OSError("connection refused"),
    TimeoutError(),
    http.client.BadStatusLine("junk"),
    "<html>",
    "[]",
    '"terminate"',
    '{"action": "terminate"}',
    '{"action": "terminate", "time": "soon"}',
    '{"action": "terminate", "time": null}',
]


@pytest.mark.parametrize("answer", JUNK, ids=str)
def test_what_cannot_be_read_is_said_once_and_changes_nothing(
    host: Host, watch: notice.Watch, capsys: pytest.CaptureFixture[str], answer: str | Exception
) -> None:
    host.items[notice.SPOT] = answer
    assert not watch.look()
    assert not watch.look()
    assert notices.read() == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"notice: {notice.SPOT}: ")


def test_one_item_that_cannot_be_had_hides_no_other(host: Host, watch: notice.Watch) -> None:
    host.items |= {notice.SPOT: OSError("429"), notice.TARGET: "Terminated"}
    assert not watch.look()
    assert set(notices.read()) == {"termination"}
    assert host.started == [START]


@pytest.mark.parametrize("state", ["Warmed:Stopped", "<html>", ""])
def test_another_state_is_no_notice(host: Host, watch: notice.Watch, state: str) -> None:
    host.items[notice.TARGET] = state
    watch.look()
    assert notices.read() == {}


def test_looks_come_every_five_seconds_and_seldomer_while_the_metadata_service_is_away(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [True, True, False, False, False, False, False, True, True]

    def look(_: notice.Watch) -> bool:
        if not looks:
            raise KeyboardInterrupt
        return looks.pop(0)

    monkeypatch.setattr(notice.Watch, "look", look)
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    with pytest.raises(KeyboardInterrupt):
        notice.main()
    assert clock.pauses == [5, 5, 5, 10, 20, 20, 20, 5, 5]
