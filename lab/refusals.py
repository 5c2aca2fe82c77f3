"""Errors as AWS answers them, each service in its own form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .turns import Environ, Respond


class RefusedError(Exception):
    """Why a call is answered with an error: an HTTP status, AWS's code and a message."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def refuse(environ: Environ, respond: Respond, service: str, refused: RefusedError) -> Iterable[bytes]:
    """Answer as the service would; the request's body is read first, or the client sees a broken connection."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (chunk := environ["wsgi.input"].read(min(left, 1 << 20))):
        left -= len(chunk)
    message = escape(str(refused))
    error = f"<Error><Code>{refused.code}</Code><Message>{message}</Message></Error>"
    wrapped = {"s3": error, "ec2": f"<Response><Errors>{error}</Errors></Response>"}
    kind, body = "text/xml", wrapped.get(service, f"<ErrorResponse>{error}</ErrorResponse>")
    if "HTTP_X_AMZ_TARGET" in environ:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": refused.code, "message": str(refused)})
    content = b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()
    respond(refused.status, [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]
