"""front.conf: the one port of every page, by the real nginx."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FRONT = (USERDATA / "master/etc/spark-cluster/front.conf").read_text()
IS_INSTALLED_BY_CI = os.environ.get("CI") == "true" and os.geteuid() == 0
needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None and not IS_INSTALLED_BY_CI, reason="needs nginx")
START_SECONDS = 10
LOG_PAGE = "/proxy/worker-20261129120000-10.0.0.7-7078/logPage/"


def configuration(folder: Path, text: str = FRONT) -> list[str]:
    """The front's, in a folder of the test's own; nginx's arguments for it."""
    (folder / "front.conf").write_text(text.replace("/run/spark-front", str(folder)))
    (folder / "front-bucket.conf").write_text("set $bucket demo-bucket;\n")
    return ["nginx", "-e", "stderr", "-c", str(folder / "front.conf")]


@needs_nginx
def test_nginx_takes_the_front_s_configuration(tmp_path: Path) -> None:
    done = subprocess.run([*configuration(tmp_path), "-t"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_each_place_of_the_front_hands_on_the_name_that_the_browser_has() -> None:
    """One with headers of its own gets none from above, and Spark then redirects to what only the master reaches."""
    places = re.findall(r"location (?:~ \^)?(/\S*) \{(.*?)\n    \}", FRONT, re.DOTALL)
    assert [path for path, _ in places] == ["/", "/proxy/worker-[^/]+/logPage/", "/history/"]
    for _, directives in places:
        assert "proxy_set_header Host $http_host;" in directives
    assert FRONT.count("proxy_set_header") == 4


class Master:
    """A master's own page, which answers everything alike."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[str] = []


@pytest.fixture
def master() -> Master:
    return Master()


@pytest.fixture
def ask(tmp_path: Path, master: Master) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Asks the front, before that master, for a page; status and text."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            master.asked.append(self.path)
            self.send_response(master.status)
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"master\n")

        def log_message(self, *_: object) -> None:
            """Into no log."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server, socket.socket() as probe:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        text = FRONT.replace("127.0.0.1:8082", f"127.0.0.1:{server.server_port}")
        command = [
            *configuration(tmp_path, text.replace("listen 8080", f"listen 127.0.0.1:{port}")),
            *("-g", "daemon off; master_process off;"),
        ]
        with subprocess.Popen(command) as nginx:

            def ask(path: str) -> tuple[int, str]:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                        return answer.status, answer.read().decode()
                except urllib.error.HTTPError as error:
                    return error.code, error.read().decode()

            end = time.monotonic() + START_SECONDS
            while True:
                try:
                    ask("/")
                    break
                except OSError:
                    assert nginx.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.05)
            master.asked.clear()
            yield ask
            nginx.terminate()
        server.shutdown()


@needs_nginx
def test_an_executor_s_log_is_shown_by_its_worker(ask: Callable[[str], tuple[int, str]], master: Master) -> None:
    path = f"{LOG_PAGE}?appId=app-1&executorId=0&logType=stderr"
    assert ask(path) == (200, "master\n")
    assert master.asked == [path]


@needs_nginx
@pytest.mark.parametrize("status", [403, 502, 504])
def test_a_link_to_a_worker_that_is_gone_leads_to_the_place_in_the_bucket(
    ask: Callable[[str], tuple[int, str]], master: Master, status: int
) -> None:
    """403 is of a master that has not got the worker, the others of one that does not reach it."""
    master.status = status
    found, text = ask(f"{LOG_PAGE}?appId=app-20261129120000-0001&executorId=12&logType=stderr")
    assert found == 200
    assert "aws s3 cp --recursive s3://demo-bucket/logs/app-20261129120000-0001/12/ ." in text
    assert "<title>Logs in the bucket</title>" in text


@needs_nginx
@pytest.mark.parametrize(
    "query",
    [
        "self&logType=out",
        "appId=<script>&executorId=0",
        "appId=app-1&executorId=../x",
        "appId=app-1/2&executorId=0",
        "executorId=0",
        "",
    ],
)
def test_nothing_of_a_link_is_shown_that_names_no_executor(
    ask: Callable[[str], tuple[int, str]], master: Master, query: str
) -> None:
    master.status = 403
    _, text = ask(f"{LOG_PAGE}?{query}")
    assert re.findall(r"s3://\S+", text) == ["s3://demo-bucket/logs/daemons/"] * 2
    assert "script" not in text


@needs_nginx
def test_what_a_master_refuses_elsewhere_stays_refused(ask: Callable[[str], tuple[int, str]], master: Master) -> None:
    master.status = 403
    for path in ("/", "/workers/kill/", "/proxy/app-1/", "/proxy/worker-1/"):
        assert ask(path) == (403, "master\n")
