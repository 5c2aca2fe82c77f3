#!/usr/bin/python3
"""Upload a file unless there is an object of that name: `store_once.py FILE URL`; status 5 if there is.

What nodes run is never written over: the bucket's policy wants conditional writes.
"""

from __future__ import annotations

import sys
from typing import Any

import aws

IS_THERE_STATUS = 5


def only_if_absent(params: dict[str, Any], **_: object) -> None:
    params["headers"]["If-None-Match"] = "*"


def store_once(file: str, url: str) -> None:
    from botocore.exceptions import ClientError

    s3 = aws.client("s3")
    for operation in ("PutObject", "CompleteMultipartUpload"):  # older clients have no argument for it
        s3.meta.events.register(f"before-call.s3.{operation}", only_if_absent)
    try:
        aws.store(file, url)
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        aws.log(f"{url} is there already")
        raise SystemExit(IS_THERE_STATUS) from None


if __name__ == "__main__":
    try:
        store_once(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
        raise SystemExit(f"store_once: {type(error).__name__}: {error}") from None
