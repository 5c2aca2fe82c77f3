"""Large objects, which moto copies again and again: a node would wait for minutes.

A GET has all of moto's answer but the bytes, which are read from the object's file. The body of an upload in signed or
checksummed chunks is put together before it comes to moto.
"""

from __future__ import annotations

import io
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, s3_backends
from werkzeug.wsgi import LimitedStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .turns import App, Environ, Respond

_PART = re.compile(r"bytes (\d+)-(\d+)/\d+")
_CHUNK = 1 << 20
_ONE_AT_A_TIME = threading.Lock()
"""What moto has in memory becomes a file when its number is first asked for: two who ask at once lose its bytes."""
_PLAIN_QUERIES = {"", "x-id=GetObject"}
"""Those of a GET of an object's newest version; the second is how some SDKs name the operation."""


class Objects:
    """A WSGI application before moto's."""

    def __init__(self, app: App) -> None:
        """Put this before moto's `app`."""
        self._app = app

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Answer a GET of an object, whole or a range of it, if it succeeds; leave all else to moto."""
        if environ.get("HTTP_X_AMZ_CONTENT_SHA256", "").startswith("STREAMING-"):
            _put_together(environ)
        plain = environ["REQUEST_METHOD"] == "GET" and environ.get("QUERY_STRING", "") in _PLAIN_QUERIES
        key = _object(environ) if plain else None
        if key is None:
            return self._app(environ, respond)
        # Open whatever becomes of the object meanwhile.
        with _ONE_AT_A_TIME:
            file = os.dup(key._value_buffer.fileno())  # noqa: SLF001
        status, headers = self._head(environ)
        if status[:3] not in {"200", "206"}:
            os.close(file)
            return self._app(environ, respond)
        respond(status, headers)
        part = _PART.fullmatch(dict(headers).get("content-range", ""))
        return _read(file, int(part[1]), int(part[2]) + 1) if part else _read(file, 0, key.size)

    def _head(self, environ: Environ) -> tuple[str, list[tuple[str, str]]]:
        """What moto says of an object, conditions and range included: status, and headers in lower case."""
        answers: list[tuple[str, list[tuple[str, str]]]] = []

        def note(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            answers.append((status, [(name.lower(), value) for name, value in headers]))

        for _ in self._app({**environ, "REQUEST_METHOD": "HEAD"}, note):
            pass
        return answers[0]


def _object(environ: Environ) -> FakeKey | None:
    # WSGI has a path's bytes, decoded once, as if they were Latin-1.
    name, _, key = environ["PATH_INFO"].encode("latin-1").decode().lstrip("/").partition("/")
    bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(name)
    found = bucket.keys.get(key) if bucket else None
    return found if isinstance(found, FakeKey) else None


def _read(file: int, start: int, end: int) -> Iterable[bytes]:
    try:
        while start < end and (chunk := os.pread(file, min(_CHUNK, end - start), start)):
            start += len(chunk)
            yield chunk
    finally:
        os.close(file)


def _put_together(environ: Environ) -> None:
    """Make a body in chunks a plain one, and the checksum that trails it one of the request's headers.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
    """
    limited: Any = LimitedStream(environ["wsgi.input"], int(environ["CONTENT_LENGTH"]))
    coded, body = io.BufferedReader(limited, _CHUNK), bytearray()
    while size := int(coded.readline().partition(b";")[0], 16):
        body += coded.read(size)
        coded.readline()
    while line := coded.readline().strip():
        name, _, value = line.decode().partition(":")
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
    environ.pop("HTTP_X_AMZ_TRAILER", None)
