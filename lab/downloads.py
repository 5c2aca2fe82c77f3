"""The download hosts as nodes see them, by HTTPS: Spark of the Apache Software Foundation, Maven Central, PyPI.

Run as a program inside the enclosure. Each request leaves a line in a log; some are answered wrongly on purpose.
"""

from __future__ import annotations

import argparse
import json
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import authority, faults, maven, pypi
from .places import ARCHIVE_HOST, MAVEN_HOST, PYPI_FILES_HOST, PYPI_HOST, REQUEST_LOG, SERVICES

_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, whole or from an offset on, as a resumed download asks."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        """Leave the log to `_record`."""

    def _answer(self, *, with_body: bool) -> None:
        url = f"https://{self.headers['Host']}{self.path}"
        found = (fault for start, fault in faults.read().downloads.items() if url.startswith(start))
        fault = next(found, "")
        if fault == "refuse":
            self._record(HTTPStatus.SERVICE_UNAVAILABLE, 0)
            self.close_connection = True
            return
        file = self.server.find(self.headers["Host"] or "", self.path)
        if file is None or fault.isdecimal():
            status = HTTPStatus(int(fault)) if fault.isdecimal() else HTTPStatus.NOT_FOUND
            self.send_error(status)
            self._record(status, 0)
            return
        size = file.stat().st_size
        asked = _RANGE.match(self.headers["Range"] or "")
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        if start >= size:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            self._record(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0)
            return
        status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        if file.suffix == ".html":  # pip takes nothing else for an index
            self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(end - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        if fault == "truncate" and end - start > _CHUNK:
            sent = self._send(file, start, start + (end - start) // 2) if with_body else 0
            self.close_connection = True
        else:
            sent = self._send(file, start, end, corrupt=fault == "corrupt") if with_body else 0
        self._record(status, sent)

    def _send(self, file: Path, start: int, end: int, *, corrupt: bool = False) -> int:
        sent = 0
        with file.open("rb") as source:
            source.seek(start)
            while sent < end - start:
                chunk = source.read(min(_CHUNK, end - start - sent))
                if corrupt and sent == 0:
                    chunk = bytes(len(chunk))
                try:
                    self.wfile.write(chunk)
                except OSError:  # The client went away; how far it came is on record.
                    self.close_connection = True
                    break
                sent += len(chunk)
        return sent

    def _record(self, status: HTTPStatus, sent: int) -> None:
        self.server.record(
            {
                "client": self.client_address[0],
                "method": self.command,
                "url": f"https://{self.headers['Host']}{self.path}",
                "range": self.headers["Range"],
                "status": status.value,
                "bytes": sent,
            }
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: list[Path]) -> None:
        super().__init__((SERVICES, 443), _Handler)
        self._files = files
        self._jars = maven.files()
        self._wheels = pypi.files()

    def find(self, host: str, path: str) -> Path | None:
        """Return what a host has at a path: Apache's main site at the top, its archive below `/dist`."""
        if host == MAVEN_HOST:
            return self._jars.get(path)
        if host in {PYPI_HOST, PYPI_FILES_HOST}:
            return self._wheels.get(f"{host}{path}")
        prefix = "/dist" if host == ARCHIVE_HOST else ""
        return next((file for file in self._files if path == f"{prefix}/spark/{_release(file)}/{file.name}"), None)

    def record(self, request: dict[str, object]) -> None:
        with REQUEST_LOG.open("a", encoding="utf-8") as log:
            log.write(f"{json.dumps(request)}\n")


def _release(file: Path) -> str:
    """Return the folder that a file is in, such as `spark-4.3.0` for `spark-4.3.0-bin-hadoop3.tgz`."""
    return "-".join(file.name.split("-")[:2])


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    server = _Server(options.files)
    authority.secure(server)
    server.serve_forever()


if __name__ == "__main__":
    main()
