#!/usr/bin/python3
"""Notice that this worker is to leave, and see that it drains: by its metadata, every few seconds.

A spot interruption comes two minutes before the power goes; Auto Scaling tells the state that it wants this member to
have. Each is a notice (notices.py); until drain.py has answered all of them it is started again, whatever ended it.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html asks for a look every 5 s,
https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html the states.
A rebalance recommendation and scheduled events are told in the journal and nothing else: the group itself replaces a
member that AWS recommends to, and then terminates it; many that are recommended are never interrupted.
"""

from __future__ import annotations

import calendar
import http.client
import json
import math
import subprocess
import sys
import time

import aws
import notices
import polling
import settings

LOOK_SECONDS = 5
LONGEST_PAUSE_SECONDS = 20  # while the metadata service is away or wants fewer questions
SPOT_SECONDS = 120  # AWS's notice; a clock that is wrong makes it no longer
BEFORE_POWER_CUT_SECONDS = 10  # to stop what runs, and to tell
SPOT = "spot/instance-action"
TARGET = "autoscaling/target-lifecycle-state"
TOLD = ("events/recommendations/rebalance", "events/maintenance/scheduled")
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


def spot(text: str) -> None:
    """Take a spot interruption notice; `ValueError` or the like if it is none."""
    action = json.loads(text)
    deadline = calendar.timegm(time.strptime(action["time"], "%Y-%m-%dT%H:%M:%SZ")) - BEFORE_POWER_CUT_SECONDS
    why = "spot interruption: {} at {}".format(action["action"], action["time"])
    if notices.write("spot", why, deadline, SPOT_SECONDS - BEFORE_POWER_CUT_SECONDS):
        log(why)


def target(state: str) -> None:
    """Take the state that Auto Scaling wants."""
    kind = KINDS.get(state)
    if kind and kind not in notices.read():  # which counts from when it was noticed first
        seconds = settings.load()["drain_timeout_seconds"]
        notices.write(kind, REASONS[kind], time.time() + seconds, seconds)
        log(REASONS[kind])
    elif state == IN_SERVICE:
        for returning in RETURNING:
            if notices.withdraw(returning):
                log(f"back in service: {REASONS[returning]} no more")


class Watch:
    """The metadata, look by look.

    Attributes:
        said: what was said last of each item, so that it is said once.
    """

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def say(self, item: str, text: str) -> None:
        """Say once what is new of an item; an empty text is that there is no more of it."""
        if self.said.get(item, "") != text:
            self.said[item] = text
            log(f"{item}: {text}" if text else f"{item}: no longer")

    def take(self, item: str) -> None:
        """Act on one item; `OSError` or the like if it cannot be had, `ValueError` or the like if it is junk."""
        text = aws.ask_metadata(item)
        if item in TOLD:
            self.say(item, "" if text is None or text.strip() == "[]" else " ".join(text.split())[:500])
            return
        if text is not None:
            {SPOT: spot, TARGET: target}[item](text.strip())
        self.said.pop(item, None)

    def look(self) -> bool:
        """Take all items, and start a drain for what is not answered; whether each could be had."""
        all_there = True
        for item in (SPOT, TARGET, *TOLD):
            try:
                self.take(item)
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                self.say(item, f"{type(error).__name__}: {error}"[:500])
                all_there = False
        if notices.unanswered(notices.read()):
            # It goes on by itself; a second start while it runs is none.
            command = ["systemctl", "start", "--no-block", "spark-drain.service"]
            if subprocess.run(command, check=False).returncode:
                log("the drain cannot be started yet")
        return all_there


def main() -> None:
    watch = Watch()
    for _ in polling.rounds(math.inf, LOOK_SECONDS):
        for _ in polling.rounds(math.inf, LOOK_SECONDS, LONGEST_PAUSE_SECONDS):
            if watch.look():
                break


if __name__ == "__main__":
    main()
