"""Spark's download, by the real curl from a real host that misbehaves."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import artifacts
import pytest

from tests.userdata.node import ARCHIVE, CDN, SPARK, SPARK_FILE, Node, node_settings, sha512
from tests.userdata.test_boot import OTHER, assert_failed, assert_succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

# https to any host is http to the test's own one.
CURL = """
arguments=()
for argument; do
  case $argument in --proto | =https) ;; https://*) arguments+=("http://{address}/${{argument#https://}}") ;;
    *) arguments+=("$argument") ;; esac
done
exec {curl} "${{arguments[@]}}"
"""


class Host:
    """Serves files, after what `first` says of an address; notes each request's range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.first: dict[str, list[str]] = {}
        self.ranges: list[tuple[str, str | None]] = []
        self.resumes = True
        self.has_etags = False
        self.replaced: dict[str, bytes] = {}  # what it has from the second request of an address on
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        asked = request.headers["Range"]
        self.ranges.append((path, asked))
        planned = self.first.get(path)
        action = planned.pop(0) if planned else ""
        if action.isdigit() or path not in self.files:
            return self.send(request, int(action or 404), b"<html>an error's page</html>")
        if action.startswith("to "):
            return self.send(request, 302, b"", Location=f"http://{self.address}/{action[3:]}")
        content, start = self.files[path], 0
        self.files[path] = self.replaced.get(path, content)
        etag = f'"{sha512(content)}"' if self.has_etags else ""
        if etag and request.headers["If-None-Match"] == etag:
            return self.send(request, 304, b"", ETag=etag)
        if asked and self.resumes:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            if start >= len(content):
                return self.send(request, 416, b"", Content_Range=f"bytes */{len(content)}")
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.send(request, 206, content[start:], cut=action == "cut", Content_Range=span)
        return self.send(request, 200, content, cut=action == "cut", ETag=etag)

    @staticmethod
    def send(request: BaseHTTPRequestHandler, code: int, body: bytes, *, cut: bool = False, **headers: str) -> None:
        request.send_response(code)
        for name, value in {**headers, "Content_Length": str(len(body)), "Connection": "close"}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if cut else body)
        request.close_connection = True


@pytest.fixture
def host() -> Iterator[Host]:
    running = Host()
    yield running
    running.close()


@pytest.fixture
def online(tmp_path: Path, host: Host) -> Node:
    """A worker whose downloads come from the host."""
    node = Node(tmp_path, "worker")
    node.mock("curl", CURL.format(address=host.address, curl=shutil.which("curl")))
    host.files = {CDN: SPARK, ARCHIVE: SPARK}
    return node


def test_spark_is_downloaded_whole(online: Node, host: Host) -> None:
    assert_succeeded(online, online.boot())
    assert host.ranges == [(CDN, None)]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(online: Node, host: Host) -> None:
    host.first[CDN] = ["cut", "cut"]
    assert_succeeded(online, online.boot())
    half = len(SPARK) // 2
    quarter = half + (len(SPARK) - half) // 2
    assert host.ranges == [(CDN, None), (CDN, f"bytes={half}-"), (CDN, f"bytes={quarter}-")]


def test_another_source_goes_on_where_the_first_stopped_for_good(online: Node, host: Host) -> None:
    host.first[CDN] = ["cut", "404"]
    assert_succeeded(online, online.boot())
    assert host.ranges[-1] == (ARCHIVE, f"bytes={len(SPARK) // 2}-")


def test_a_server_that_ignores_ranges_gives_all_of_it_again(online: Node, host: Host) -> None:
    host.resumes = False
    host.first[CDN] = ["cut"]
    assert_succeeded(online, online.boot())
    assert host.ranges[-1] == (CDN, None)


def test_what_is_whole_already_is_not_fetched_again(online: Node, host: Host) -> None:
    online.write(f"/var/cache/spark-cluster/{SPARK_FILE}", SPARK)
    assert_succeeded(online, online.boot())
    assert host.ranges == [(CDN, f"bytes={len(SPARK)}-")]


def test_an_error_s_page_never_becomes_part_of_the_file(online: Node, host: Host) -> None:
    host.first[CDN] = ["503", "cut", "500", "429"]
    assert_succeeded(online, online.boot())
    assert host.ranges[-1][0] == ARCHIVE


def test_a_missing_file_comes_from_the_archive(online: Node, host: Host) -> None:
    del host.files[CDN]
    assert_succeeded(online, online.boot())
    assert host.ranges == [(CDN, None), (ARCHIVE, None)]


def test_a_master_is_told_after_a_few_tries_that_nobody_has_its_spark(online: Node, host: Host) -> None:
    online.settings = node_settings("master")
    online.put_programs("master")
    host.files = {}
    cause = f"no source had {SPARK_FILE}, last: https://{ARCHIVE} gave HTTP 404 (curl 22)"
    assert_failed(online, online.boot(), "install_spark", cause)
    assert host.ranges == [(CDN, None), (ARCHIVE, None)] * artifacts.ABSENT_ROUNDS


def test_a_worker_waits_for_the_copy_of_a_spark_that_nobody_else_has(online: Node, host: Host) -> None:
    """The master may have it from elsewhere."""
    host.files = {}
    assert_failed(online, online.boot(), "install_spark", f"no source had {SPARK_FILE}")
    assert len(host.ranges) > 2 * artifacts.ABSENT_ROUNDS


def test_a_redirect_to_a_mirror_is_followed(online: Node, host: Host) -> None:
    host.files["mirror/spark.tgz"] = SPARK
    host.first[CDN] = ["to mirror/spark.tgz"]
    assert_succeeded(online, online.boot())


def test_other_bytes_of_an_earlier_boot_are_dropped_and_fetched_anew(online: Node, host: Host) -> None:
    online.write(f"/var/cache/spark-cluster/{SPARK_FILE}", OTHER + bytes(len(SPARK)))
    assert_succeeded(online, online.boot())
    assert host.ranges[-1] == (ARCHIVE, None)


def test_a_host_that_refuses_connections_is_left_for_the_next(online: Node) -> None:
    refused = 'if [[ $* == *dlcdn* ]]; then arguments[-1]="http://127.0.0.1:1/"; fi\nexec'
    curl = online.bin / "curl"
    curl.write_text(curl.read_text().replace("exec", refused))
    assert_succeeded(online, online.boot())
    assert "curl ended with 7" not in online.log
    assert len(online.pauses) == 1, "only the service is waited for"


def test_a_source_with_other_bytes_is_asked_again_once_it_has_others(online: Node, host: Host) -> None:
    host.has_etags = True
    host.files[CDN] = OTHER
    del host.files[ARCHIVE]
    host.replaced = {CDN: SPARK}
    assert_succeeded(online, online.boot())


def test_a_source_with_other_bytes_is_not_fetched_again(online: Node, host: Host) -> None:
    host.has_etags = True
    host.files = {CDN: OTHER}
    done = online.boot()
    assert_failed(online, done, "install_spark", f"https://{CDN} gave {sha512(OTHER)}, expected {sha512(SPARK)}")
    assert f"https://{CDN} still gives the same" in online.log


def test_what_was_resumed_is_no_source_s_fault(online: Node, host: Host) -> None:
    """Half a tarball of a power cut may hold anything."""
    del host.files[ARCHIVE]
    online.write(f"/var/cache/spark-cluster/{SPARK_FILE}", bytes(len(SPARK) // 2))
    assert_succeeded(online, online.boot())
    assert host.ranges[-1] == (CDN, None)
