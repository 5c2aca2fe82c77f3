"""spark_state.py: what the master says of itself, asked over HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import spark_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER = "10.0.0.7"


class Page:
    """The master's page."""

    code = 200
    path = ""
    cut_off = 0

    def __init__(self) -> None:
        self.say(status="ALIVE", workers=[worker("ALIVE")])

    def say(self, **state: Any) -> None:
        self.body = json.dumps({"url": "spark://master.demo-spark:7077", **state}).encode()


def worker(state: str, host: str = WORKER) -> dict[str, Any]:
    return {"id": f"worker-{host}", "host": host, "port": 7078, "state": state}


@pytest.fixture(autouse=True)
def page(settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    page = Page()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.path = self.path
            self.send_response(page.code)
            self.send_header("Content-Length", str(len(page.body) + page.cut_off))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(spark_state, "UI_PORT", server.server_port)
    settle("worker", master_host="localhost")
    yield page
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_master_that_answers_is_ready(page: Page) -> None:
    page.say(status="ALIVE", workers=[])
    assert spark_state.main("master", "10.0.0.1") == 0
    assert page.path == "/json/"


def test_a_worker_that_the_master_lists_as_alive_is_ready() -> None:
    assert spark_state.main("worker", WORKER) == 0


def test_another_worker_is_not_this_one() -> None:
    assert spark_state.main("worker", "10.0.0.70") == 1
    assert spark_state.main("worker", "10.0.0.") == 1


@pytest.mark.parametrize("state", ["DEAD", "DECOMMISSIONED", "UNKNOWN"])
def test_a_worker_in_another_state_is_not_ready(page: Page, state: str) -> None:
    page.say(status="ALIVE", workers=[worker(state)])
    assert spark_state.main("worker", WORKER) == 1


def test_a_worker_that_came_back_is_ready_beside_its_dead_entry(page: Page) -> None:
    page.say(status="ALIVE", workers=[worker("DEAD"), worker("ALIVE")])
    assert spark_state.main("worker", WORKER) == 0


@pytest.mark.parametrize("status", ["STANDBY", "RECOVERING", "COMPLETING_RECOVERY"])
@pytest.mark.parametrize("role", ["master", "worker"])
def test_nobody_is_ready_while_the_master_is_not(page: Page, role: str, status: str) -> None:
    page.say(status=status, workers=[worker("ALIVE")])
    assert spark_state.main(role, WORKER) == 1


@pytest.mark.parametrize(
    "body", [b"<!DOCTYPE html><html><body>Spark Master</body></html>", b"", b"{}", b'{"status": "ALI'], ids=repr
)
@pytest.mark.parametrize("role", ["master", "worker"])
def test_a_page_that_is_no_state_is_no_answer(page: Page, role: str, body: bytes) -> None:
    """If Spark does not know a path it answers 200 and its home page."""
    page.body = body
    assert spark_state.main(role, WORKER) == 1


def test_an_answer_that_breaks_off_is_no_answer(page: Page) -> None:
    page.cut_off = 100
    with pytest.raises(ValueError, match="IncompleteRead"):
        spark_state.read("localhost")


def test_an_error_s_page_is_no_answer(page: Page) -> None:
    page.code = 503
    assert spark_state.main("master", WORKER) == 1


@pytest.mark.parametrize("role", ["master", "worker"])
def test_a_master_that_cannot_be_reached_is_no_answer(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    monkeypatch.setattr(spark_state, "UI_PORT", 1)
    assert spark_state.main(role, WORKER) == 1


def test_the_master_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert spark_state.main("worker", WORKER) == 0


def test_a_worker_asks_the_master_by_its_name_and_the_master_itself(
    settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle("worker", master_host="master.demo-spark")
    asked = []

    def read(host: str) -> dict[str, Any]:
        asked.append(host)
        return {"workers": []}

    monkeypatch.setattr(spark_state, "read", read)
    spark_state.main("worker", WORKER)
    spark_state.main("master", "10.0.0.1")
    assert asked == ["master.demo-spark", "127.0.0.1"]


def test_an_answer_of_any_size_is_not_taken(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's name is in it."""
    monkeypatch.setattr(spark_state, "MOST_BYTES", len(page.body))
    assert spark_state.read("localhost")["workers"]
    page.say(status="ALIVE", workers=[], activeapps=[{"name": "x" * len(page.body)}])
    with pytest.raises(ValueError, match="its answer has more than"):
        spark_state.read("localhost")
