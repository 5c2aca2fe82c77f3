#!/usr/bin/python3
"""Notice that this worker is to leave, and see that it drains: by its metadata, every few seconds.

A spot interruption comes two minutes before the power goes; Auto Scaling tells the state that it wants this member to
have. Each is a notice (notices.py); until drain.py has answered all of them it is started again, whatever ended it.
If AWS takes back all of them (an instance on standby that goes into service) the worker starts again; also one that was
sick: whether it still is worker_health.py sees. So it does if that withdraws the one notice there is.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html asks for a look every 5 s,
https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html the states.
A rebalance recommendation and scheduled events are told in the journal and nothing else: the group itself replaces a
member that AWS recommends to, and then terminates it; many that are recommended are never interrupted.
"""

from __future__ import annotations

import calendar
import email.utils
import http.client
import json
import math
import subprocess
import sys
import time
import urllib.error
from typing import TYPE_CHECKING

import aws
import notices
import polling
import settings

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS = 5
LONGEST_PAUSE_SECONDS = 20  # while the metadata service is away or wants fewer questions
SPOT_SECONDS = 120  # AWS's notice
BEFORE_POWER_CUT_SECONDS = 10  # to stop what runs, and to tell
MOST_BYTES = 1 << 16  # of an item
TOKEN = "api/token"  # noqa: S105 - what it is called
SPOT = "spot/instance-action"
TARGET = "autoscaling/target-lifecycle-state"
FOR_THE_JOURNAL = ("events/recommendations/rebalance", "events/maintenance/scheduled")
IN_SERVICE = "InService"
KINDS = {"Terminated": "termination", "Detached": "detached", "Standby": "standby"}
REASONS = {
    "termination": "Auto Scaling terminates this instance",
    "detached": "this instance is detached from its group",
    "standby": "this instance goes to standby",
}
RETURNING = ("detached", "standby")  # what AWS can take back


def log(message: str) -> None:
    print(f"notice: {message}", file=sys.stderr, flush=True)


def ask(item: str, token: dict[str, str]) -> tuple[str, str | None]:
    """One item, empty if there is none, and the answer's date."""
    try:
        with aws.ask_metadata(f"meta-data/{item}", token) as answer:
            return answer.read(MOST_BYTES).decode().strip(), answer.headers["Date"]
    except urllib.error.HTTPError as error:
        if error.code != aws.ABSENT_ITEM:
            raise
        return "", None


def spot(text: str, date: str | None) -> None:
    """Take a spot interruption notice; `ValueError` or the like if it is none.

    What is left is counted by AWS's clock, which the answer's date has, and by the host's own if it has none. That may
    be wrong: where it leaves nothing, or more than AWS gives, it is what AWS gives.
    """
    action = json.loads(text)
    deadline = calendar.timegm(time.strptime(action["time"], "%Y-%m-%dT%H:%M:%SZ")) - BEFORE_POWER_CUT_SECONDS
    seconds = deadline - (email.utils.parsedate_to_datetime(date).timestamp() if date else time.time())
    most = SPOT_SECONDS - BEFORE_POWER_CUT_SECONDS
    why = "spot interruption: {} at {}".format(action["action"], action["time"])
    if notices.write("spot", why, deadline, seconds if 0 < seconds < most else most):
        log(why)


def target(state: str) -> None:
    """Take the state that Auto Scaling wants."""
    kind = KINDS.get(state)
    if kind and kind not in notices.read():  # which counts from when it was noticed first
        seconds = settings.load()["drain_timeout_seconds"]
        notices.write(kind, REASONS[kind], time.time() + seconds, seconds)
        log(REASONS[kind])
    elif state == IN_SERVICE:
        for returning in set(RETURNING) & set(notices.read()):
            notices.withdraw(notices.SICK)  # first: nobody would do so once the other one is gone
            notices.withdraw(returning)
            log(f"back in service: {REASONS[returning]} no more")


class Watch:
    """The metadata, look by look.

    Attributes:
        said: what was said last of each item, so that it is said once.
        token: what the metadata service wants to see, another one for each look.
    """

    def __init__(self) -> None:
        self.token: dict[str, str] = {}
        self.said: dict[str, str] = {}

    def say(self, item: str, text: str) -> None:
        """Say once what is new of an item; an empty text is that there is no more of it."""
        if self.said.get(item, "") != text:
            self.said[item] = text
            log(f"{item}: {text}" if text else f"{item}: no longer")

    def attempt(self, item: str, take: Callable[[], None]) -> bool:
        """Take something; whether it could be had and was no junk."""
        try:
            take()
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            self.say(item, f"{type(error).__name__}: {error}"[:500])
            return False
        return True

    def take(self, item: str, act: Callable[[str, str | None], None]) -> None:
        """Act on one item, if there is one."""
        text, date = ask(item, self.token)
        if text:
            act(text, date)
        self.said.pop(item, None)

    def tell(self, item: str) -> None:
        """Say one item, if it is new."""
        text, _ = ask(item, self.token)
        self.say(item, "" if text == "[]" else " ".join(text.split())[:500])

    def renew_token(self) -> None:
        """Ask for another token: the one before may have been for a metadata service that was restarted since."""
        self.token = aws.metadata_token()
        self.said.pop(TOKEN, None)

    def look(self) -> bool:
        """Take what asks to leave, and start a drain for what is not answered; whether that could be had."""
        if not self.attempt(TOKEN, self.renew_token):
            start_drain()
            return False
        could_be_had = [
            self.attempt(SPOT, lambda: self.take(SPOT, spot)),
            self.attempt(TARGET, lambda: self.take(TARGET, lambda state, _: target(state))),
        ]
        start_drain()
        bring_back()
        for item in FOR_THE_JOURNAL:
            self.attempt(item, lambda item=item: self.tell(item))  # type: ignore[misc]  # bound at once
        return all(could_be_had)


def start_drain() -> None:
    """For what no drain has answered: it goes on by itself, and a second start while it runs is none."""
    if notices.unanswered(notices.read()):
        command = ["systemctl", "start", "--no-block", "spark-drain.service"]
        if subprocess.run(command, check=False).returncode:
            log("the drain cannot be started yet")


def drain_goes_on() -> bool:
    """Whether a drain runs, or is about to; also if systemd does not say."""
    command = ["systemctl", "show", "--property=ActiveState", "--value", "spark-drain.service"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return shown.returncode != 0 or shown.stdout.strip() not in ("inactive", "failed")


def bring_back() -> None:
    """Start the worker again that a drain has stopped, or has told to leave and was killed, if no notice is left."""
    drained = notices.load(notices.DRAIN_FILE)
    if notices.read():
        return
    if drained.get("is_stopped"):
        start = "start"
    elif "began" in drained and not drain_goes_on():
        start = "restart"  # it was told, and takes no executors
    else:
        return
    for command in (["enable", "--quiet", "--no-reload"], [start, "--no-block"]):
        if subprocess.run(["systemctl", *command, "spark-worker.service"], check=False).returncode:
            log("the worker cannot be started again yet")
            return
    notices.remove(notices.DRAIN_FILE)
    log("the worker starts again")


def main() -> None:
    watch = Watch()
    for _ in polling.rounds(math.inf, LOOK_SECONDS):
        for _ in polling.rounds(math.inf, LOOK_SECONDS, LONGEST_PAUSE_SECONDS):
            if watch.look():
                break


if __name__ == "__main__":
    main()
