"""daemon_logs.py: the journal of a host's daemons, in the bucket."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import aws
import daemon_logs
import pytest

from tests.userdata.conftest import client
from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUCKET = "demo-bucket"
JOURNAL = "logs/daemons/i-0abc/journal.log"


@pytest.fixture
def journalctl(
    tmp_path: Path, settle: Callable[..., None], cloud: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Makes what `journalctl` does, on a worker whose bucket has nothing yet."""
    settle("worker")
    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr(aws, "metadata", {"instance-id": "i-0abc"}.get)
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def make(body: str) -> None:
        program = tmp_path / "bin/journalctl"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    return make


def stored() -> bytes:
    body: bytes = client("s3").get_object(Bucket=BUCKET, Key=JOURNAL)["Body"].read()
    return body


def test_the_journal_of_the_daemons_is_stored_and_of_nothing_else(journalctl: Callable[[str], None]) -> None:
    journalctl('for argument; do echo "$argument"; done')
    daemon_logs.main()
    said = stored().decode().split()
    services = USERDATA.glob("*/etc/systemd/system/*.service")
    assert {each for each in said if each.startswith("--unit=")} == {
        f"--unit={path.stem}" for path in services if path.stem != "spark-boot"
    }
    assert re.search(r"--lines=\d+", " ".join(said))


def test_a_later_stop_stores_it_anew(journalctl: Callable[[str], None]) -> None:
    for text in ("first", "first and second"):
        journalctl(f"echo {text}")
        daemon_logs.main()
        assert stored().decode() == f"{text}\n"


def test_of_a_very_long_one_the_end_is_stored(
    journalctl: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_logs, "MOST_BYTES", 8)
    journalctl("echo much; echo the end")
    daemon_logs.main()
    assert stored() == b"the end\n"


def test_a_journal_that_cannot_be_read_stores_nothing(journalctl: Callable[[str], None]) -> None:
    """Over what is there from an earlier stop."""
    journalctl("exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        daemon_logs.main()
    assert "Contents" not in client("s3").list_objects_v2(Bucket=BUCKET)
