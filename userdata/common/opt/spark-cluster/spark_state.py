#!/usr/bin/python3
"""What the master says of itself and its workers.

As a program: `spark_state.py master|worker PRIVATE_IP` ends with status 0 if the master answers, or lists the worker
of that address as alive.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.request
from typing import Any

import settings

PATIENCE_SECONDS = 5
MOST_BYTES = 64 << 20
"""Of an answer: far more than 1,000 workers and 200 applications. A name in it may be of any size."""
UI_PORT = 8082  # of the master itself: what the front shows at 8080 goes with the front
WORKER_UI_PORT = 8081


def page(host: str, port: int, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """What a master or worker says of itself, never through a proxy; `OSError` or `ValueError` if it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}/json/", timeout=seconds) as answer:
            text = answer.read(MOST_BYTES + 1)
            if answer.length and len(text) <= MOST_BYTES:  # with a size to read that is told nowhere else
                raise http.client.IncompleteRead(text, answer.length)
    except http.client.HTTPException as error:  # it broke off
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if len(text) > MOST_BYTES:
        raise ValueError(f"its answer has more than {MOST_BYTES} bytes")
    state: dict[str, Any] = json.loads(text)  # a path that Spark does not know answers 200 and a page of HTML
    return state


def read(host: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """The master's state; `OSError` or `ValueError` if it does not give any."""
    state = page(host, UI_PORT, seconds)
    if state.get("status") != "ALIVE":
        raise ValueError("the master is {}".format(state.get("status")))
    return state


def alive_hosts(state: dict[str, Any]) -> set[str]:
    """Addresses of the workers that the master has."""
    return {worker["host"] for worker in state["workers"] if worker["state"] == "ALIVE"}


def main(role: str, private_ip: str) -> int:
    try:
        state = read("127.0.0.1" if role == "master" else settings.load()["master_host"])
    except (OSError, ValueError):
        return 1
    return 0 if role == "master" or private_ip in alive_hosts(state) else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
