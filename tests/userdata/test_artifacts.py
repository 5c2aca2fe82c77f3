"""artifacts.py: gunzip piece by piece. What becomes of sources is in test_boot.py and test_downloads.py, what is no
tarball in test_s3a.py."""

from __future__ import annotations

import gzip
import os

import artifacts
import pytest

CONTENT = os.urandom(300_000) + bytes(100_000)
WHOLE = gzip.compress(CONTENT)
TWO_MEMBERS = gzip.compress(CONTENT[:150_000]) + gzip.compress(CONTENT[150_000:])


def inflate(data: bytes) -> tuple[bytes, bool]:
    """What comes of a file that is read in pieces, and whether it was whole."""
    inflater = artifacts.Inflater()
    pieces = [data[at : at + artifacts.CHUNK_BYTES] for at in range(0, len(data), artifacts.CHUNK_BYTES)]
    return b"".join(part for piece in pieces for part in inflater.feed(piece)), inflater.whole


@pytest.mark.parametrize("data", [WHOLE, TWO_MEMBERS, WHOLE + bytes(200_000)], ids=["one", "two", "padded"])
def test_content_comes_out(data: bytes) -> None:
    assert inflate(data) == (CONTENT, True)


@pytest.mark.parametrize(
    "data",
    [b"", WHOLE[:-1], WHOLE[:200_000], b"no gzip file", WHOLE + b"more", WHOLE[:100] + b"x" * 100 + WHOLE[200:]],
    ids=["empty", "cut at its end", "cut", "other", "followed", "changed"],
)
def test_what_is_no_whole_file_is_found_out(data: bytes) -> None:
    assert not inflate(data)[1]
