"""The lab's proxy passes what it is asked to pass, and notes to where."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from lab.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    with server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def through(proxy: int, target: str) -> str:
    """What is at a target, asked through a proxy; or the proxy's own answer."""
    with socket.create_connection(("127.0.0.1", proxy), timeout=30) as client, client.makefile("rb") as answer:
        client.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        status = answer.readline().decode()
        while answer.readline().strip():
            """Its headers."""
        if " 200 " not in status:
            return status
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return answer.read().decode()


def test_a_connection_is_passed_and_noted(tmp_path: Path) -> None:
    log = tmp_path / "connects.jsonl"
    target = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    with serving(target) as port, serving(Proxy(("127.0.0.1", 0), log)) as proxy:
        assert "Directory listing" in through(proxy, f"127.0.0.1:{port}")
        assert " 502 " in through(proxy, "127.0.0.1:9")
    assert [json.loads(line)["port"] for line in log.read_text().splitlines()] == [port, 9]
