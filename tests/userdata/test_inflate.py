"""inflate.py: gunzip as a filter that leaves a digest."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = USERDATA / "common" / LIB / "inflate.py"
CONTENT = os.urandom(3_000_000) + bytes(1_000_000)
WHOLE = gzip.compress(CONTENT)
TWO_MEMBERS = gzip.compress(CONTENT[:1_500_000]) + gzip.compress(CONTENT[1_500_000:])


def inflate(data: bytes, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, PROGRAM, *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("data", [WHOLE, TWO_MEMBERS, WHOLE + bytes(200_000)], ids=["one", "two", "padded"])
@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_content_comes_out_and_the_digest_of_what_came_in_is_left(tmp_path: Path, data: bytes, algorithm: str) -> None:
    done = inflate(data, algorithm, tmp_path / "digest")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == CONTENT
    assert (tmp_path / "digest").read_text() == hashlib.new(algorithm, data).hexdigest()


def test_digest_is_left_out_where_nobody_asks_for_it() -> None:
    assert inflate(WHOLE).stdout == CONTENT


@pytest.mark.parametrize(
    "data",
    [b"", WHOLE[:-1], WHOLE[:2_000_000], b"no gzip file", WHOLE + b"more", WHOLE[:100] + b"x" * 100 + WHOLE[200:]],
    ids=["empty", "cut at its end", "cut", "other", "followed", "changed"],
)
def test_what_is_no_whole_file_is_an_error_and_its_digest_is_left_all_the_same(tmp_path: Path, data: bytes) -> None:
    done = inflate(data, "sha512", tmp_path / "digest")
    assert done.returncode == 1
    assert (tmp_path / "digest").read_text() == hashlib.sha512(data).hexdigest()


def test_reader_that_goes_away_is_told_apart() -> None:
    command = f"{sys.executable} {PROGRAM} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], input=TWO_MEMBERS, check=False, timeout=60)
    assert done.returncode == 3
