"""A keeper of `tick.py`: figures of the cluster for CloudWatch, once in each minute, if it has a namespace for them.

Nothing waits for them. This keeper is a tick's last, and makes one call, which has seconds. What could not
be sent is in the next figure: how many workers left is counted from those of the last figure that was.

Who left is counted by what Auto Scaling and EC2 say in the picture that the tick has anyway: it costs no call, no drain
is too short for it, and no job can write it, as it could a drain's report in the bucket.
"""

from __future__ import annotations

import functools
import json
import time
from typing import TYPE_CHECKING, Any

import aws
import files
import health
import settings
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from observation import Observation

STATE_FILE = "/run/spark-cluster/metrics.json"
MINUTE_SECONDS = 60
CONNECT_SECONDS, READ_SECONDS = 1, 3
"""A call takes some 20 ms. Where there is no way to CloudWatch, as in a private subnet without its endpoint, nobody
answers at all."""


def cloudwatch() -> Any:  # noqa: ANN401 - a class that is made at run time
    """A client that has seconds, however often it tries."""
    return aws.client("cloudwatch", CONNECT_SECONDS, READ_SECONDS)


def load() -> dict[str, Any]:
    """What is kept between two figures; empty after the host's start.

    `minute`: that of the last try. `trouble`: why it failed. `in_service`, `taken_back`: those of the last figure that
    was sent, or of the first look.
    """
    return files.known(STATE_FILE)


def figures(seen: Observation, known: Mapping[str, Any]) -> dict[str, int]:
    """What is sent, by its name: what nobody knows is left out."""
    counted = {
        "WorkersDesired": seen.desired,
        "WorkersInService": len(seen.serving),
        "WorkersProtected": sum(member.is_protected for member in seen.serving),
        "Drains": len(set(known["in_service"]) - {member.instance_id for member in seen.serving}),
        "Interruptions": len(seen.taken_back - set(known["taken_back"])),
    }
    if seen.page is None:
        return counted
    alive = [worker for worker in seen.workers if worker["state"] == "ALIVE"]
    used = sum(worker["coresused"] for worker in alive)
    return {
        **counted,
        "WorkersSick": sum(one["sick"] for one in health.known()["members"].values()),
        "CoresUsed": used,
        "CoresFree": sum(worker["cores"] for worker in alive) - used,
        "ApplicationsWaiting": sum(each["state"] == "WAITING" for each in seen.page["activeapps"]),
    }


def in_short(counted: Mapping[str, int]) -> str:
    """All of them in a line."""
    return ", ".join(f"{name} {value}" for name, value in counted.items())


def here_and_gone(seen: Observation) -> dict[str, list[str]]:
    """What the next figure counts from."""
    in_service = sorted(member.instance_id for member in seen.serving)
    return {"in_service": in_service, "taken_back": sorted(seen.taken_back)}


def send(namespace: str, counted: Mapping[str, int], known: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Try once; that it was tried is known before, so that a tick that is killed meanwhile does not try again."""
    from botocore.exceptions import BotoCoreError, ClientError

    data = [{"MetricName": name, "Value": value, "Unit": "Count"} for name, value in counted.items()]
    tried = {"minute": then["minute"], "trouble": known.get("trouble", "")}
    files.keep(STATE_FILE, json.dumps({**known, **tried}))
    try:
        cloudwatch().put_metric_data(Namespace=namespace, MetricData=data)
    except (BotoCoreError, ClientError) as error:  # told by the keeper, in each tick until one is sent
        files.keep(STATE_FILE, json.dumps({**known, **tried, "trouble": f"{type(error).__name__}: {error}"}))
    else:
        files.keep(STATE_FILE, json.dumps({**then, "trouble": ""}))


def keep_metrics(seen: Observation) -> Iterator[Step]:
    """Figures in each minute of the clock, while there is a group.

    Raises:
        OSError: the last that were tried were not sent.
    """
    namespace = settings.load()["metrics_namespace"]
    if not namespace or not seen.has_group:
        return
    minute, now = int(time.time() // MINUTE_SECONDS), here_and_gone(seen)
    known = {**now, **load()}
    if known.get("minute") != minute:
        counted = figures(seen, known)
        act = functools.partial(send, namespace, counted, known, {**now, "minute": minute})
        yield Step(f"send metrics to {namespace}", in_short(counted), act, is_routine=True)
    if trouble := load().get("trouble"):
        raise OSError(f"metrics are not sent: {trouble}")
