"""A proxy as companies have it: it connects to where a client asks, and notes that; what passes is the client's own.

Run as a program inside the enclosure. It knows the names that hosts know.
"""

from __future__ import annotations

import json
import select
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from .places import CONNECT_LOG, PROXY_PORT, SERVICES

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 16
_CONNECT_SECONDS = 10


class _Handler(BaseHTTPRequestHandler):
    """Answers CONNECT, the one method for https."""

    server: Proxy

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        self.server.record({"client": self.client_address[0], "host": host, "port": int(port)})
        try:
            far = socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS)
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))
            return
        with far:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            _relay(self.connection, far)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Leave the log to `record`."""


class Proxy(ThreadingHTTPServer):
    """The proxy at an address, with a file that gets a line of JSON for each connection."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], log: Path) -> None:
        super().__init__(address, _Handler)
        self._log = log

    def record(self, connection: dict[str, object]) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{json.dumps(connection)}\n")


def _relay(near: socket.socket, far: socket.socket) -> None:
    """Pass bytes both ways until one side closes."""
    other = {near: far, far: near}
    while True:
        for ready in select.select(list(other), [], [])[0]:
            data = ready.recv(_CHUNK)
            if not data:
                return
            other[ready].sendall(data)


if __name__ == "__main__":
    Proxy((SERVICES, PROXY_PORT), CONNECT_LOG).serve_forever()
