#!/usr/bin/python3
"""Fetch a copy from the bucket to standard output, and others into files meanwhile.

`copies.py TELLS URL ETAG_FILE [OTHER FILE]...`, as `aws.py fetch URL - ETAG_FILE`. Once the others are there, as far as
there are such, a byte is written to the descriptor TELLS. One program and one client fetch them all: to start one for
each takes longer than they do.
"""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import aws


def fetch_others(tells: int, *others: str) -> None:
    """What goes wrong is only noted: whoever wants one that is not there asks for it again."""
    for url, file in zip(others[::2], others[1::2]):
        try:
            with contextlib.suppress(SystemExit):  # there is none
                aws.fetch(url, file)
        except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
            aws.log(f"{url}: {type(error).__name__}: {error}")
    with contextlib.suppress(BrokenPipeError):
        os.write(tells, b"\n")


def main(tells: str, url: str, etag_file: str, *others: str) -> None:
    aws.client("s3")  # one for both
    with ThreadPoolExecutor(1) as beside:
        beside.submit(fetch_others, int(tells), *others)
        aws.fetch(url, "-", etag_file)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - as above
        raise SystemExit(f"copies: {type(error).__name__}: {error}") from None
