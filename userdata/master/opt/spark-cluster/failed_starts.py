"""End applications whose executors all die at their start: Spark would launch others for ever.

Spark's own bound, `spark.deploy.maxExecutorRetries`, counts executors in a row that came to nothing, and begins anew
with each whose process was started, even if that ends at once (Master, ExecutorStateChanged:
https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/deploy/master/Master.scala). So an
executor whose JVM does not take its options is followed by another at once, on every worker, each with a folder there
and three requests to the bucket.

Which executors it launches and removes the master says in its journal; its page has none, and a page for each
application would be too many. All executors of an application are started by one command, which never changes: if one
of them has lived, what others die of is not that, and the application is left alone.

A job can have the master say anything, by a line break in its name. So nothing is kept of an application that the
master's page does not list, little of each, and a look reads so many lines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import files
import spark_state
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from observation import Observation

STATE_FILE = "/run/spark-cluster/failed-starts.json"
UNIT = "spark-master"
LIVED_SECONDS = 60  # an executor that cannot reach its driver tries for half of that
MOST_DEATHS = 10  # as many as Spark's own default of spark.deploy.maxExecutorRetries
LEAST_SECONDS = 120  # a worker that stops takes executors along ten times in a second
ONE_WORKER_SECONDS = 1800  # what is wrong may be the one worker on which they died, while others have no core free
ENDED = 3  # how many that were ended are remembered
DIED = ("EXITED", "FAILED")  # by itself, or it could not be started; LOST, KILLED and DECOMMISSIONED are others' doing
MOST_LINES = 50_000  # of a look, which takes seconds for them; a loop on a hundred workers has half of that
MOST_APPLICATIONS = 1000
UNLISTED_SECONDS = 60
MOST_RUNNING = 5000  # executors of an application that are known: of one that has more, some live
# Its date and time, the level, which class says it: 26/11/29 12:00:00 INFO Master: ...
LINE = re.compile(r"\S+ \S+ (?:INFO|WARN) Master: (.*)")
LAUNCHED = re.compile(r"Launching executor (\S+)/(\d+) on worker (\S+)")
REMOVED = re.compile(r"Removing executor (\S+)/(\d+) because it is (\w+)")
# One that its driver had killed, or whose worker was told to leave, is unknown when it ends.
UNKNOWN = re.compile(r"Got status update for unknown executor (\S+)/(\d+)")
# How many the driver wants by now, of each profile: "... Map(Profile: id = 0, ... cpus, amount: 1.0 -> 2)".
# It wants fewer before it has an idle executor leave, which ends by itself then, as one that dies does.
REQUESTED = re.compile(r"Application (\S+) requested executors: (.*)\.")
NUMBER = re.compile(r"-> (\d+)(?=[,)])")
WORKER_GONE = re.compile(r"(?:Removing|Decommissioning) worker (\S+) on .*")
APPLICATION_GONE = re.compile(r"Removing app (\S+)")
MASTER_STARTED = re.compile(r"Starting Spark master at .*")
TOKEN = re.compile(r'name="csrfToken" value="(\w+)"')


@dataclass
class Starts:
    """What became of an application's executors. Times are seconds since the host's boot.

    Attributes:
        running: when each executor was launched that is not known to have ended, and on which worker.
        died: how many have died at their start.
        workers: on which ones: two of them, if there are more.
        first: when the first of them died.
        last: when the last of them did.
        launched: when the last of them was launched.
        last_executor: which that was.
        surplus: how many of those that run are more than the driver wanted when there were most too many: so many may
            end by themselves because it told them to, also after it has come to want more again.
        has_lived: whether any has ever lived, as far as is known; then nothing else counts.
    """

    running: dict[str, tuple[float, str]] = field(default_factory=dict)
    died: int = 0
    workers: list[str] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0
    launched: float = 0.0
    last_executor: str = ""
    surplus: int = 0
    has_lived: bool = False

    def launch(self, executor: str, worker: str, seconds: float) -> None:
        """One of them was launched."""
        self.launched = seconds
        if len(self.running) >= MOST_RUNNING:
            self.has_lived, self.running = True, {}
        if not self.has_lived:
            self.running[executor] = (seconds, worker)

    def requested(self, number: int) -> None:
        """The driver wants so many from now on."""
        self.surplus = max(self.surplus, len(self.running) - number)

    def removed(self, executor: str, state: str, seconds: float) -> None:
        """One of them has ended."""
        if executor not in self.running:
            return
        launched, worker = self.running.pop(executor)
        is_surplus, self.surplus = self.surplus > 0, max(0, self.surplus - 1)
        if seconds - launched >= LIVED_SECONDS:
            self.has_lived = True
        elif state in DIED and not is_surplus:
            self.first = self.first if self.died else seconds
            self.died, self.last, self.last_executor = self.died + 1, seconds, executor
            self.workers = sorted({*self.workers, worker})[:2]  # whether there are two

    def look(self, now: float) -> None:
        """Whether one lives by now."""
        if any(now - launched >= LIVED_SECONDS for launched, _ in self.running.values()):
            self.has_lived = True
        if self.has_lived:
            self.running = {}


@dataclass
class State:
    """What was read of the master's journal, and what came of it.

    Attributes:
        cursor: of the last line that was read; empty before the first.
        applications: those of which executors were launched, until they end.
        ended: those that were ended here, the last ones: when (epoch seconds), which, and why.
    """

    cursor: str = ""
    applications: dict[str, Starts] = field(default_factory=dict)
    ended: list[tuple[float, str, str]] = field(default_factory=list)

    def read(self, entries: Iterable[Mapping[str, Any]], active: Collection[str]) -> float:
        """Take in what the journal has, or its next MOST_LINES; of applications that are not active little is kept.

        Returns:
            The time of which all is known then: now, or that of the last line that was read.
        """
        number, seconds, now = 0, 0.0, time.clock_gettime(time.CLOCK_MONOTONIC)
        for number, entry in enumerate(entries, 1):  # noqa: B007 - how many there were
            self.cursor, seconds = entry["__CURSOR"], int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
            message = entry.get("MESSAGE")  # numbers, if it is no text
            said = LINE.fullmatch(message) if isinstance(message, str) else None
            if said:
                self.hear(seconds, said.group(1), active)
        if number == MOST_LINES:
            now = seconds
        # One that was registered since the page was asked is in the next.
        recent = now - UNLISTED_SECONDS
        self.applications = {
            name: starts for name, starts in self.applications.items() if name in active or starts.launched > recent
        }
        for starts in self.applications.values():
            starts.look(now)
        return now

    def hear(self, seconds: float, message: str, active: Collection[str]) -> None:
        """Take in what the master said."""
        launched, removed = LAUNCHED.fullmatch(message), REMOVED.fullmatch(message) or UNKNOWN.fullmatch(message)
        requested = REQUESTED.fullmatch(message)
        gone, worker = APPLICATION_GONE.fullmatch(message), WORKER_GONE.fullmatch(message)
        if launched:
            name = launched.group(1)
            if name not in active and name not in self.applications and len(self.applications) >= MOST_APPLICATIONS:
                return
            starts = self.applications.setdefault(name, Starts())
            starts.launch(launched.group(2), launched.group(3), seconds)
        elif removed and removed.group(1) in self.applications:
            state = removed.group(3) if removed.re is REMOVED else ""
            self.applications[removed.group(1)].removed(removed.group(2), state, seconds)
        elif requested and requested.group(1) in self.applications:
            self.applications[requested.group(1)].requested(sum(map(int, NUMBER.findall(requested.group(2)))))
        elif gone:
            self.applications.pop(gone.group(1), None)
        elif worker:  # of each executor there it does not say that it has ended
            for starts in self.applications.values():
                starts.look(seconds)
                starts.running = {name: one for name, one in starts.running.items() if one[1] != worker.group(1)}
        elif MASTER_STARTED.fullmatch(message):  # nor which it finds again
            for starts in self.applications.values():
                starts.has_lived = starts.has_lived or bool(starts.running)
                starts.look(seconds)

    def keep(self) -> None:
        """Write it down: the next look goes on from here, in this process or another."""
        files.keep(STATE_FILE, json.dumps(dataclasses.asdict(self)))

    def end(self, application: str, why: str) -> None:
        """End an application, and remember why."""
        kill(application)
        self.ended = [*self.ended, (time.time(), application, why)][-ENDED:]
        self.keep()


def kept() -> State:
    """What the last look has kept; of a host that has just booted, nothing."""
    known = files.known(STATE_FILE)
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):  # it is of another shape
        applications = {name: Starts(**starts) for name, starts in known["applications"].items()}
        ended = [(when, which, why) for when, which, why in known["ended"]]
        return State(known["cursor"], applications, ended)
    return State()


def journal(cursor: str) -> Iterator[dict[str, Any]]:
    """What the master has said since, or the first MOST_LINES of it; without a cursor since the host's boot.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html has the fields of an entry.
    """
    after = f"--after-cursor={cursor}" if cursor else f"--boot={newest_boot()}"
    how = ("--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE", "--all", f"--unit={UNIT}")
    with subprocess.Popen(["journalctl", *how, after], stdout=subprocess.PIPE) as said:
        for number, line in enumerate(said.stdout or (), 1):
            yield json.loads(line)
            if number == MOST_LINES:
                said.kill()
                return
    if said.returncode:
        raise subprocess.CalledProcessError(said.returncode, "journalctl")


def newest_boot() -> str:
    """The id that the journal has of this boot: in a container a service is shown another, of which it has nothing."""
    how = ("--quiet", "--no-pager", "--lines=1", "--output=json", "--output-fields=MESSAGE")
    said = subprocess.run(["journalctl", *how], check=True, stdout=subprocess.PIPE)
    return str(json.loads(said.stdout)["_BOOT_ID"])


def kill(application: str) -> None:
    """Have the master end it, as the link on its page does; its driver hears `Master removed our application: KILLED`.

    Since 4.3 Spark takes that only with a token, which the page has.
    """
    page, opener = (
        f"http://127.0.0.1:{spark_state.UI_PORT}",
        urllib.request.build_opener(urllib.request.ProxyHandler({})),
    )
    with opener.open(f"{page}/", timeout=spark_state.PATIENCE_SECONDS) as answer:
        token = TOKEN.search(answer.read().decode())
    form = {"id": application, "terminate": "true", **({"csrfToken": token.group(1)} if token else {})}
    body = urllib.parse.urlencode(form).encode()
    opener.open(f"{page}/app/kill/", body, timeout=spark_state.PATIENCE_SECONDS).close()


def in_words(application: str, starts: Starts) -> str:
    """What its executors died of, as far as can be told from here."""
    where = f"logs/{application}/{starts.last_executor}/stderr in the bucket may say why"
    seconds = starts.last - starts.first
    return f"{starts.died} executors died at their start within {seconds:.0f} s, and none has lived; {where}"


def end_applications(seen: Observation) -> Iterator[Step]:
    """End those of which no executor has lived, and enough have died for long enough."""
    if seen.page is None:  # the journal has it for later
        return
    state, active = kept(), [one["id"] for one in seen.page["activeapps"]]
    now = state.read(journal(state.cursor), set(active))
    yield Step("note which executors died", "the journal of the master says so", state.keep, is_routine=True)
    alive = sum(worker["state"] == "ALIVE" for worker in seen.page["workers"])
    for application in active:
        starts = state.applications.get(application, Starts())
        dies = starts.died >= MOST_DEATHS and now - starts.last < LIVED_SECONDS and not starts.has_lived
        if not dies or now - starts.first < LEAST_SECONDS:
            continue
        what, why = f"end {application}", in_words(application, starts)
        if len(starts.workers) < min(2, alive) and now - starts.first < ONE_WORKER_SECONDS:
            yield Step(what, f"{why}; all on {starts.workers[0]}, whose fault it may be, so not yet")
        else:
            yield Step(what, why, partial(state.end, application, why))


def status(state: State, application: str) -> list[str]:
    """What spark-status says of an application that runs, if its executors die."""
    starts = state.applications.get(application, Starts())
    return [in_words(application, starts)] if starts.died and not starts.has_lived else []


def ended(state: State) -> list[str]:
    """What spark-status says of those that were ended here."""
    return [f"{time.strftime('%F %T', time.gmtime(when))} UTC  {which}  {why}" for when, which, why in state.ended]
