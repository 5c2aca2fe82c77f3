#!/usr/bin/python3
"""Gunzip as a filter: `inflate.py [ALGORITHM FILE]` leaves the digest of what it read in FILE.

`gzip -d` takes longer for the one than this for both, and Spark's unpacking is most of a boot. Status 1 says that it
was no whole gzip file, status 3 that nobody reads any more. The digest is that of all input even where it was no such.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sys
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20  # the most that a user may have; with the usual 64 KiB reader and writer wait for each other
F_SETPIPE_SZ = 1031  # fcntl has the name since Python 3.10
GZIP = 16 + zlib.MAX_WBITS
UNREAD_STATUS = 3


class Inflater:
    """A gzip file's content, piece by piece; it may have several members, and zeros after the last."""

    def __init__(self) -> None:
        self.member, self.broken, self.whole = zlib.decompressobj(GZIP), False, False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next piece of the file adds."""
        while not self.broken and (data := data.lstrip(b"\0") if self.whole else data):
            self.whole = False
            try:
                yield self.member.decompress(data)
            except zlib.error:
                self.broken = True
            data = self.member.unused_data
            if self.member.eof:
                self.member, self.whole = zlib.decompressobj(GZIP), True


def main(algorithm: str = "", file: str = "") -> int:
    digest, inflater = hashlib.new(algorithm or "sha512"), Inflater()
    with open(0, "rb", buffering=0) as source, open(1, "wb") as out:
        for end in (source, out):
            with contextlib.suppress(OSError):  # no pipe
                fcntl.fcntl(end, F_SETPIPE_SZ, PIPE_BYTES)
        while data := source.read(CHUNK_BYTES):
            if algorithm:
                digest.update(data)
            out.writelines(inflater.feed(data))
    if algorithm:
        with open(file, "w", encoding="ascii") as kept:
            kept.write(digest.hexdigest())
    return 0 if inflater.whole else 1


if __name__ == "__main__":
    try:
        status = main(*sys.argv[1:])
    except BrokenPipeError:
        status = UNREAD_STATUS
    raise SystemExit(status)
