"""Large objects: moto copies a whole object for each range of it, and a node would wait for minutes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, s3_backends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .turns import App, Environ, Respond

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHUNK = 1 << 20


class Objects:
    """Answers `GetObject` from the object's file, and leaves the rest to moto."""

    def __init__(self, app: App) -> None:
        """Put this before moto's `app`."""
        self._app = app

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Answer a plain or ranged GET of an object from its file, and leave all else to moto."""
        asked = _RANGE.fullmatch(environ.get("HTTP_RANGE", "bytes=0-"))
        plain = environ["REQUEST_METHOD"] == "GET" and not environ.get("QUERY_STRING")
        key = _object(environ["PATH_INFO"]) if asked and plain else None
        if asked is None or key is None or int(asked[1]) >= key.size:
            return self._app(environ, respond)
        start, end = int(asked[1]), min(int(asked[2] or key.size), key.size - 1)
        headers = {
            "Content-Length": str(end - start + 1),
            "ETag": key.etag,
            "Last-Modified": key.last_modified_RFC1123,
        }
        if "HTTP_RANGE" in environ:
            headers["Content-Range"] = f"bytes {start}-{end}/{key.size}"
            respond("206 Partial Content", list(headers.items()))
        else:
            respond("200 OK", list(headers.items()))
        return _read(key, start, end + 1)


def _object(path: str) -> FakeKey | None:
    name, _, key = unquote(path).lstrip("/").partition("/")
    bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets.get(name)
    found = bucket.keys.get(key) if bucket else None
    return found if isinstance(found, FakeKey) else None


def _read(key: FakeKey, start: int, end: int) -> Iterable[bytes]:
    file = key._value_buffer.fileno()  # noqa: SLF001
    while start < end:
        chunk = os.pread(file, min(_CHUNK, end - start), start)
        start += len(chunk)
        yield chunk
