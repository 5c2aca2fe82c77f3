"""Buckets as hosts: S3's own names, in which a bucket stands before the domain, become the paths that moto takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .places import AWS_PORT, S3_DOMAINS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .turns import App, Environ, Respond

_BUCKET = re.compile(rf"([a-z0-9.-]+)\.(?:{'|'.join(map(re.escape, S3_DOMAINS))})(?::\d+)?")
_PATHS = ("PATH_INFO", "RAW_URI", "REQUEST_URI")


class BucketHosts:
    """A WSGI application around the AWS API; what is in the path already stays as it is.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """

    def __init__(self, app: App) -> None:
        """Put this before `app`."""
        self._app = app

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Hand on a request as the plain endpoint would have it."""
        if bucket := _BUCKET.fullmatch(environ.get("HTTP_HOST", "")):
            environ.update({name: f"/{bucket[1]}{environ[name]}" for name in _PATHS})
        environ["HTTP_HOST"] = f"{SERVICES}:{AWS_PORT}"
        return self._app(environ, respond)
