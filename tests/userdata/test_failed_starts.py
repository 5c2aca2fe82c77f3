"""failed_starts.py: applications whose executors all die at their start, from what the master says in its journal."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import failed_starts
import files
import pytest
import settings
import spark_state
from observation import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from steps import Step

APP = "app-20261130000431-0000"
OTHER = "app-20261130000502-0003"
WORKER = "worker-20261130000423-10.0.0.7-7078"
NEXT_WORKER = "worker-20261130000423-10.0.0.8-7078"
PROFILE = (
    "Profile: id = {}, executor resources: cores -> name: cores, amount: 1, script: , vendor: ,memory -> name: memory, "
    "amount: 1024, script: , vendor: ,offHeap -> name: offHeap, amount: 0, script: , vendor: , task resources: cpus -> "
    "name: cpus, amount: 1.0 -> {}"
)
JOURNALCTL = """#!/bin/sh
for argument; do
  case $argument in
    --after-cursor=*) from=${argument#*=} ;;
    --boot=*) boot=${argument#*=} ;;
    --lines=1) exec tail -n 1 JOURNAL ;;
  esac
done
tail -n +$((${from:-0} + 1)) JOURNAL | grep -F -e "$boot" || true
"""


class Host:
    """A master's host, whose clock and journal a test writes."""

    def __init__(self, journal: Path) -> None:
        self.journal, self.now = journal, 1000.0
        self.active, self.workers = [APP], [WORKER, NEXT_WORKER]
        self.killed = list[str]()
        self.number, self.lines, self.boot = 0, 0, "first"

    def says(self, message: str, level: str = "INFO") -> None:
        """One more line of the master, as Spark 4.3.0 and journald write it."""
        with self.journal.open("a") as file:
            self.lines += 1
            entry = {
                "__CURSOR": str(self.lines),
                "__MONOTONIC_TIMESTAMP": str(round(self.now * 1e6)),
                "_BOOT_ID": self.boot,
                "MESSAGE": f"26/11/30 00:04:31 {level} Master: {message}",
            }
            file.write(json.dumps(entry) + "\n")

    def launches(self, worker: str = WORKER, application: str = APP) -> int:
        """The master launches an executor."""
        self.number += 1
        self.says(f"Launching executor {application}/{self.number} on worker {worker}")
        return self.number

    def removes(self, executor: int, state: str = "EXITED", application: str = APP) -> None:
        self.says(f"Removing executor {application}/{executor} because it is {state}")

    def wants(self, *executors: int) -> None:
        """The driver asks for so many of each profile, as dynamic allocation does."""
        profiles = ", ".join(PROFILE.format(number, wanted) for number, wanted in enumerate(executors))
        self.says(f"Application {APP} requested executors: Map({profiles}).")

    def loops(self, seconds: int, *workers: str, application: str = APP, state: str = "EXITED") -> None:
        """Executors die for so long on each of these workers, after two seconds each."""
        for _ in range(seconds // 2):
            running = [self.launches(worker, application) for worker in workers or (WORKER, NEXT_WORKER)]
            self.now += 2
            for executor in running:
                self.removes(executor, state, application)

    def seen(self) -> Observation:
        workers = [{"id": worker, "state": "ALIVE"} for worker in self.workers]
        return Observation(page={"activeapps": [{"id": one} for one in self.active], "workers": workers})

    def steps(self, seen: Observation | None = None) -> list[Step]:
        """The steps of a tick but for the routine ones, which are taken."""
        found = []
        for step in failed_starts.end_applications(seen or self.seen()):
            if step.is_routine and step.act:
                step.act()
            else:
                found.append(step)
        return found

    def tick(self) -> list[str]:
        """A tick whose steps are taken: which applications it ends."""
        before = len(self.killed)
        for step in self.steps():
            if step.act:
                step.act()
        return self.killed[before:]


@pytest.fixture
def host(tmp_path: Path, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Host:
    settle("master")
    made = Host(tmp_path / "journal")
    made.journal.touch()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/journalctl"
    program.write_text(JOURNALCTL.replace("JOURNAL", str(made.journal)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(time, "clock_gettime", lambda _: made.now)
    monkeypatch.setattr(failed_starts, "kill", made.killed.append)
    Path(settings.path(failed_starts.STATE_FILE)).parent.mkdir(parents=True, exist_ok=True)
    return made


def test_application_none_of_whose_executors_lives_is_ended_after_two_minutes_and_says_why(host: Host) -> None:
    for _ in range(7):
        host.loops(16)
        assert host.tick() == []
    host.loops(16)
    (step,) = host.steps()
    assert step.what == f"end {APP}"
    assert step.why == (
        f"128 executors died at their start within 126 s, and none has lived; "
        f"logs/{APP}/{host.number}/stderr in the bucket may say why"
    )
    assert host.tick() == [APP]
    (ended,) = failed_starts.kept().ended
    assert ended[1:] == (APP, step.why)


def test_an_executor_that_could_not_be_started_has_died_too(host: Host) -> None:
    host.loops(130, state="FAILED")
    assert host.tick() == [APP]


@pytest.mark.parametrize("state", ["KILLED", "LOST", "DECOMMISSIONED"])
def test_executors_that_others_end_do_not_count(host: Host, state: str) -> None:
    host.loops(300, state=state)
    assert host.steps() == []


def test_executors_of_a_worker_that_stops_are_no_reason(host: Host) -> None:
    """It takes them along ten times in a second, and the master has no other for two minutes."""
    for _ in range(20):
        host.removes(host.launches())
    host.now += 125
    assert host.steps() == []


def test_few_that_die_slowly_are_waited_for(host: Host) -> None:
    for _ in range(9):
        executor = host.launches()
        host.now += 31
        host.removes(executor)
    assert host.steps() == []
    executor = host.launches(NEXT_WORKER)
    host.now += 31
    host.removes(executor)
    assert host.tick() == [APP]


def test_application_that_has_an_executor_that_lives_is_left_alone(host: Host) -> None:
    host.launches()
    for _ in range(20):
        host.loops(16, NEXT_WORKER)
        assert host.steps() == []


def test_application_that_had_an_executor_that_lived_is_left_alone(host: Host) -> None:
    """One command starts them all: what the later ones die of is not that."""
    executor = host.launches()
    host.now += 61
    host.removes(executor)
    host.loops(300)
    assert host.steps() == []
    assert failed_starts.status(failed_starts.kept(), APP) == []


# What Spark 4.3.0's master said of a job with dynamic allocation that sums up numbers, waits, and does so again:
# seconds after its start, how many its driver wanted, which executors it launched, and which it removed as EXITED.
RECORDED = (
    (1, 0, (), ()),
    (13, 1, (0,), ()),
    (14, 2, (1,), ()),
    (43, 3, (), ()),
    (44, 2, (), ()),
    (49, 1, (), ()),
    (50, 0, (), ()),
    (51, None, (), (1, 0)),
)


@pytest.mark.parametrize("at_last", [0, 2])
def test_idle_executors_that_their_driver_has_leave_have_not_died(host: Host, at_last: int) -> None:
    """Each ends by itself with status 0, and the master calls that EXITED, too. It may want more again meanwhile."""
    start = host.now
    for again in range(20):
        for seconds, wanted, launched, removed in RECORDED:
            host.now = start + again * 55 + seconds
            if wanted is not None:
                host.wants(wanted)
            for name in launched:
                host.says(f"Launching executor {APP}/{2 * again + name} on worker {(WORKER, NEXT_WORKER)[name]}")
            if removed:
                host.wants(at_last)
            for name in removed:
                host.removes(2 * again + name)
        assert host.steps() == []
    assert failed_starts.kept().applications[APP].died == 0


@pytest.mark.parametrize("wanted", [(2,), (1, 1), (0, 40)])
def test_executors_that_are_wanted_and_end_have_died(host: Host, wanted: tuple[int, ...]) -> None:
    for _ in range(13):
        host.wants(*wanted)
        host.loops(10)
    assert host.tick() == [APP]


def test_each_application_is_counted_by_itself(host: Host) -> None:
    host.active = [OTHER, APP]
    host.launches(application=OTHER)
    host.loops(130)
    assert host.tick() == [APP]


def test_one_worker_of_several_may_be_at_fault_and_is_given_half_an_hour(host: Host) -> None:
    host.loops(600, WORKER)
    (step,) = host.steps()
    assert step.act is None
    assert step.why.endswith(f"all on {WORKER}, whose fault it may be, so not yet")
    host.loops(1210, WORKER)
    assert host.tick() == [APP]


def test_the_only_worker_is_no_reason_to_wait(host: Host) -> None:
    host.workers = [WORKER]
    host.loops(130, WORKER)
    assert host.tick() == [APP]


def test_application_that_ended_by_itself_is_forgotten(host: Host) -> None:
    host.loops(130)
    host.says(f"Removing app {APP}")
    host.active = []
    assert host.steps() == []
    assert failed_starts.kept().applications == {}


def test_loop_that_has_stopped_is_no_reason(host: Host) -> None:
    host.loops(130)
    host.now += 61
    assert host.steps() == []


@pytest.mark.parametrize(
    "message",
    [
        f"Removing worker {WORKER} on 10.0.0.7:7078",
        f"Decommissioning worker {WORKER} on 10.0.0.7:7078",
        f"Got status update for unknown executor {APP}/1",
    ],
)
def test_executor_whose_end_the_master_never_hears_of_does_not_live_for_ever(host: Host, message: str) -> None:
    host.launches()
    host.now += 1
    host.says(message, level="WARN" if "unknown" in message else "INFO")
    host.loops(130)
    assert host.tick() == [APP]


@pytest.mark.parametrize(("runs", "ended"), [(True, []), (False, [APP])])
def test_executor_that_ran_as_the_master_started_again_may_live_on(host: Host, runs: bool, ended: list[str]) -> None:  # noqa: FBT001
    """Nothing says which executors a master finds again."""
    executor = host.launches()
    host.now += 1
    if not runs:
        host.removes(executor)
    host.says("Starting Spark master at spark://10.0.0.5:7077")
    host.loops(130)
    assert host.tick() == ended


def test_silent_master_ends_nothing_and_what_it_said_before_is_kept(host: Host) -> None:
    host.loops(130)
    assert host.steps(Observation(trouble="it hangs")) == []
    assert host.tick() == [APP]


@pytest.mark.parametrize(("boot", "ended"), [("first", [APP]), ("second", [])])
def test_what_was_before_the_host_s_boot_does_not_count(host: Host, boot: str, ended: list[str]) -> None:
    host.loops(200)
    host.boot = boot
    host.removes(host.launches())
    assert host.tick() == ended


def test_each_line_is_read_once(host: Host) -> None:
    host.loops(60)
    host.tick()
    host.tick()
    assert failed_starts.kept().applications[APP].died == 60


def test_what_is_only_explained_is_not_kept(host: Host) -> None:
    host.loops(130)
    first = [step.what for step in failed_starts.end_applications(host.seen())]
    assert [step.what for step in failed_starts.end_applications(host.seen())] == first
    assert failed_starts.kept() == failed_starts.State()
    assert host.killed == []


def test_journal_that_cannot_be_read_ends_nothing(host: Host, tmp_path: Path) -> None:
    host.loops(130)
    (tmp_path / "bin/journalctl").write_text(f"#!/bin/sh\ncat {host.journal}\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        host.steps()
    assert failed_starts.kept() == failed_starts.State()


def test_tick_that_is_killed_after_it_ended_an_application_ends_no_other(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.loops(130)
    (step,) = host.steps()
    assert step.act

    def killed(*_: str) -> None:
        raise SystemExit

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(files, "keep", killed)
        with pytest.raises(SystemExit):
            step.act()
    assert host.killed == [APP]
    host.active = []
    assert host.tick() == []


def test_application_that_the_master_did_not_end_is_ended_again(host: Host) -> None:
    host.loops(130)
    assert host.tick() == [APP]
    host.loops(16)
    assert host.tick() == [APP]


def test_a_name_that_looks_like_what_the_master_says_is_a_name(host: Host) -> None:
    host.loops(130)
    host.says(f"Registering app INFO Master: Removing app {APP}")
    assert host.tick() == [APP]


def test_last_three_that_were_ended_are_remembered(host: Host) -> None:
    state = failed_starts.State()
    for number in range(5):
        state.end(f"app-{number}", "they died")
    assert [application for _, application, _ in failed_starts.kept().ended] == ["app-2", "app-3", "app-4"]


def test_applications_that_the_page_does_not_list_are_forgotten_after_a_minute(host: Host) -> None:
    """A job can have the master say what it likes, by a line break in its name."""
    for number in range(3000):
        host.launches(application=f"app-{number}")
    assert host.tick() == []
    assert len(failed_starts.kept().applications) == failed_starts.MOST_APPLICATIONS
    host.now += 61
    host.loops(130)
    assert host.tick() == [APP]
    assert list(failed_starts.kept().applications) == [APP]


def test_little_is_kept_of_one_application(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_starts, "MOST_RUNNING", 20)
    for number in range(50):
        host.launches(f"worker-{number}")
    host.loops(130, *(f"worker-{number}" for number in range(5)))
    assert host.tick() == []
    assert failed_starts.kept().applications[APP] == failed_starts.Starts(launched=host.now - 2, has_lived=True)


def test_a_look_reads_so_many_lines_and_the_next_goes_on_there(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_starts, "MOST_LINES", 100)
    host.loops(130)  # 260 lines
    host.now += 100
    host.loops(40)
    for read in ("100", "200"):
        assert host.tick() == []
        assert failed_starts.kept().cursor == read
        assert not failed_starts.kept().applications[APP].has_lived
    for _ in range(3):
        host.tick()
    assert failed_starts.kept().cursor == str(host.lines)
    assert failed_starts.kept().applications[APP].died == 170


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "null", '{"cursor": "", "applications": [], "ended": []}'])
def test_notes_that_are_cut_off_are_none(host: Host, text: str) -> None:
    Path(settings.path(failed_starts.STATE_FILE)).write_text(text)
    assert failed_starts.kept() == failed_starts.State()
    host.loops(130)
    assert host.tick() == [APP]


def test_a_message_that_is_no_text_is_passed_over(host: Host) -> None:
    with host.journal.open("a") as file:
        host.lines += 1
        file.write('{"__CURSOR": "1", "__MONOTONIC_TIMESTAMP": "1", "MESSAGE": [255, 254]}\n')
    host.loops(130)
    assert host.tick() == [APP]


# --- the master's page -------------------------------------------------------------------------------------------


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A master's page, and what was sent to it."""
    it: dict[str, Any] = {"form": "", "status": 302, "sent": []}

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200)
            self.wfile.write(f"<html>{it['form']}</html>".encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            it["sent"].append((self.path, dict(urllib.parse.parse_qsl(body))))
            self.answer(it["status"])

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Location", "/")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        monkeypatch.setattr(spark_state, "UI_PORT", server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield it
        server.shutdown()


def test_master_ends_it_as_by_the_link_on_its_page(page: dict[str, Any]) -> None:
    failed_starts.kill(APP)
    assert page["sent"] == [("/app/kill/", {"id": APP, "terminate": "true"})]


def test_master_that_wants_a_token_gets_the_one_of_its_page(page: dict[str, Any]) -> None:
    page["form"] = '<input type="hidden" name="csrfToken" value="f9fa4648e05fbbf9dcebf53c89f84011"/>'  # 4.3.0
    failed_starts.kill(APP)
    assert page["sent"][0][1]["csrfToken"] == "f9fa4648e05fbbf9dcebf53c89f84011"


def test_refusal_is_no_end(page: dict[str, Any]) -> None:
    page["status"] = 403
    with pytest.raises(urllib.error.HTTPError):
        failed_starts.kill(APP)
