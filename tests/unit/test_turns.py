"""The emulated AWS takes its calls one after the other, and does each once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lab.turns import Turns

if TYPE_CHECKING:
    from lab.turns import Environ, Respond


class Counter:
    """An application that answers how often it was called, and knows how many calls it had at once."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status = status
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0

    def __call__(self, _: Environ, respond: Respond) -> list[bytes]:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.02)
        self.at_once -= 1
        respond(self.status, [("X-Call", str(self.calls))])
        return [str(self.calls).encode()]


def call(app: Turns, invocation: str, service: str = "ec2") -> tuple[str, bytes]:
    """Call it, and return status and body."""
    statuses: list[str] = []

    def respond(status: str, _headers: Any, *_rest: Any) -> None:
        statuses.append(status)

    authorization = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, Signature=0"
    environ = {"HTTP_AUTHORIZATION": authorization, "HTTP_AMZ_SDK_INVOCATION_ID": invocation}
    body = b"".join(app(environ, respond))
    return statuses[0], body


def test_a_call_that_is_sent_again_has_the_answer_of_the_first() -> None:
    counter = Counter()
    app = Turns(counter, threading.RLock())
    assert [call(app, "one"), call(app, "one"), call(app, "two")] == [
        ("200 OK", b"1"),
        ("200 OK", b"1"),
        ("200 OK", b"2"),
    ]


def test_what_failed_is_done_again() -> None:
    counter = Counter("500 Internal Server Error")
    app = Turns(counter, threading.RLock())
    call(app, "one")
    counter.status = "200 OK"
    assert call(app, "one") == ("200 OK", b"2")


def test_calls_without_an_invocation_are_all_done() -> None:
    app = Turns(Counter(), threading.RLock())
    assert [call(app, "")[1], call(app, "")[1]] == [b"1", b"2"]


def test_one_call_at_a_time() -> None:
    counter = Counter()
    app = Turns(counter, threading.RLock())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: call(app, str(number)), range(8)))
    assert (counter.calls, counter.most_at_once) == (8, 1)


def test_the_calls_of_s3_go_by() -> None:
    counter = Counter()
    lock = threading.RLock()
    app = Turns(counter, lock)
    with lock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(call, app, "one", "s3").result(timeout=10) == ("200 OK", b"1")
