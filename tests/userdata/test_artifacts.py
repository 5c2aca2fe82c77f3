"""artifacts.py: gunzip piece by piece, and files as they are. What becomes of sources is in test_boot.py and
test_downloads.py."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import time
from typing import TYPE_CHECKING

import artifacts
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


# A file that is no tarball, such as a jar

JAR = os.urandom(200_000)
AWS = """#!/bin/bash
object=$BUCKET/${2#s3://demo-bucket/}
case $1 in
  fetch) [[ -e $object ]] || exit 4; cp "$object" "${3/#-//dev/stdout}" ;;
esac
"""


@pytest.fixture
def jar(root: Path, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> artifacts.Artifact:
    """One more row of the list, and a bucket in which the master has put it."""
    settle("worker")
    monkeypatch.setattr(artifacts, "DOWNLOADS", root / "downloads")
    monkeypatch.setattr(artifacts, "UNPACKING", root / "unpacking")
    monkeypatch.setattr(artifacts, "PAUSE_SECONDS", 0.01)
    for folder in ("downloads", "unpacking", "bucket/artifacts/jars", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "bin/aws.py").write_text(AWS)
    (root / "bin/aws.py").chmod(0o755)
    monkeypatch.setattr(artifacts, "AWS", str(root / "bin/aws.py"))
    monkeypatch.setenv("BUCKET", str(root / "bucket"))
    (root / "bucket/artifacts/jars/some.jar").write_bytes(JAR)
    return artifacts.Artifact(
        name="some jar",
        file="some.jar",
        copy="s3://demo-bucket/artifacts/jars/some.jar",
        sources=[],
        digest=hashlib.sha256(JAR).hexdigest(),
        digest_urls=[],
        folder=root / "opt/jars",
    )


def fetch(artifact: artifacts.Artifact) -> None:
    fetching = artifacts.Fetch(artifact, time.monotonic() + 20)
    try:
        fetching.run()
    finally:
        fetching.end()
        for child in fetching.children:
            child.wait()


def test_a_jar_is_put_into_its_folder_once_its_checksum_is_right(jar: artifacts.Artifact) -> None:
    assert not jar.is_there()
    fetch(jar)
    assert (jar.folder / "some.jar").read_bytes() == JAR
    jar.unsure.unlink()  # as the end of a boot does
    assert jar.is_there()


def test_a_jar_with_other_bytes_is_not_put_anywhere(jar: artifacts.Artifact, root: Path) -> None:
    (root / "bucket/artifacts/jars/some.jar").write_bytes(JAR[:-1])
    with pytest.raises(artifacts.ArtifactError, match=r"checksum of some\.jar is wrong"):
        fetch(jar)
    assert not jar.folder.exists()


def test_a_jar_for_which_there_is_no_room_says_so(jar: artifacts.Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(artifacts, "chunks", fail)
    with pytest.raises(artifacts.ArtifactError, match=r"cannot unpack: .*No space left"):
        fetch(jar)
    assert not jar.folder.exists()
