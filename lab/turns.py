"""Calls one after the other, each done once, whichever AWS of this machine they are made to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import RLock

    Environ = dict[str, Any]
    Respond = Callable[..., Any]
    App = Callable[[Environ, Respond], Iterable[bytes]]

SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
"""In the `Authorization` header of a signed request: whose it is, and of which service."""

_REMEMBERED_CALLS = 1000


class Turns:
    """A WSGI application around moto's, which is not made for several calls at once.

    The calls of S3, whose bodies are long, go by.
    """

    def __init__(self, app: App, lock: RLock) -> None:
        """Let one call at a time, and nobody else who holds `lock`, come to `app`."""
        self._app = app
        self._lock = lock
        self._done: dict[str, tuple[str, Any, list[bytes]]] = {}

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Wait for the turn of this call."""
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope and scope["service"] == "s3":
            return self._app(environ, respond)
        with self._lock:
            return self._do_once(environ, respond)

    def _do_once(self, environ: Environ, respond: Respond) -> list[bytes]:
        """Give a call that its sender's SDK sends again, as when an answer was lost, the answer that it had.

        moto would do it twice, and refuse the second time what the first has made or removed.
        """
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if invocation and invocation in self._done:
            status, headers, body = self._done[invocation]
            respond(status, headers)
            return body
        answer: list[Any] = []

        def note(status: str, headers: Any, *rest: Any) -> Any:
            answer[:] = [status, headers]
            return respond(status, headers, *rest)

        body = list(self._app(environ, note))
        if invocation and answer[0].startswith("2"):
            self._done[invocation] = (answer[0], answer[1], body)
            if len(self._done) > _REMEMBERED_CALLS:
                del self._done[next(iter(self._done))]
        return body
