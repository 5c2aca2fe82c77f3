"""The room of the disk that Spark's recovery state shares with what drivers on the master write."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import drivers
import master_disk
import pytest
import tick
from observation import Observation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk of 32 GiB that has 16 GiB left, until a test changes that, below a master's recovery folder."""
    known = SimpleNamespace(f_frsize=4096, f_blocks=8 * MIB, f_bavail=4 * MIB, f_files=1000, f_favail=500, asked=[])

    def statvfs(path: str) -> SimpleNamespace:
        known.asked.append(path)
        return known

    (root / "opt/spark/conf/spark-defaults.conf").write_text("spark.deploy.recoveryDirectory /var/lib/spark/recovery\n")
    monkeypatch.setattr(os, "statvfs", statvfs)
    return known


@pytest.fixture
def scratch(root: Path) -> Callable[..., None]:
    """Puts files of so many MiB into the scratch of drivers."""

    def put(**mebibytes: int) -> None:
        for name, size in mebibytes.items():
            folder = root / drivers.SCRATCH.lstrip("/") / name / "blockmgr"
            folder.mkdir(parents=True)
            (folder / "spilled").write_bytes(bytes(size * MIB))

    return put


def test_a_disk_with_room_is_no_trouble(root: Path, disk: SimpleNamespace) -> None:
    assert master_disk.trouble() == ""
    assert disk.asked == [f"{root}/var/lib/spark/recovery"]


def test_one_with_little_room_is_judged_and_told_as_a_worker_s_is(root: Path, disk: SimpleNamespace) -> None:
    disk.f_bavail = 100 * MIB // 4096
    assert master_disk.trouble() == f"{root}/var/lib/spark/recovery has 100 MiB of 32,768 left"
    disk.f_bavail, disk.f_favail = 4 * MIB, 49
    assert master_disk.trouble() == f"{root}/var/lib/spark/recovery has 49 of 1,000 inodes left"


def test_before_the_first_start_there_is_nothing_to_look_at(root: Path) -> None:
    assert master_disk.trouble() == "", "no configuration"
    (root / "opt/spark/conf/spark-defaults.conf").write_text("spark.deploy.recoveryDirectory /var/lib/spark/recovery\n")
    assert master_disk.trouble() == "", "no folder"


def test_those_of_the_drivers_folders_that_hold_most_are_named(root: Path, scratch: Callable[..., None]) -> None:
    scratch(one=1, four=4, two=2, nothing=0)
    found = master_disk.largest()
    assert [path for path, _ in found] == [f"{root}{drivers.SCRATCH}/{name}" for name in ("four", "two", "one")]
    assert [mebibytes // 2 for _, mebibytes in found] == [2, 1, 1], "the folders themselves count, too"
    folder = root / "home/spark-driver/python-packages"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(bytes(8 * MIB))
    assert master_disk.largest()[0][0] == f"{root}/home/spark-driver"


def test_nobody_waits_for_sizes_for_long_and_what_was_found_till_then_is_told(
    root: Path, tmp_path: Path, scratch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch(one=1)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/du").write_text(f"#!/bin/sh\nprintf '7\\t%s\\n' {root}{drivers.SCRATCH}/one\nexec sleep 60\n")
    (tmp_path / "slow/du").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'slow'}:{os.environ['PATH']}")
    monkeypatch.setattr(master_disk, "DU_SECONDS", 1)
    began = time.monotonic()
    assert master_disk.largest() == [(f"{root}{drivers.SCRATCH}/one", 7)]
    assert time.monotonic() - began < 20


def test_the_tick_tells_it_once_when_it_begins_and_when_it_is_over(
    disk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_master: None
) -> None:
    """Also while AWS does not answer, in words that are the same in each tick."""
    monkeypatch.setattr(tick.observation, "ask_aws", lambda _: 1 / 0)
    journal = tick.Journal()
    journal.tick()
    capsys.readouterr()
    for left in (100, 50):
        disk.f_bavail = left * MIB // 4096
        journal.tick()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("spark-status names what holds it, in watch_disk")
    disk.f_bavail = 4 * MIB
    journal.tick()
    assert capsys.readouterr().err == "tick: no trouble any more in watch_disk\n"


def test_a_tick_only_looks_at_the_room(disk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds it takes seconds to find, which a tick does not have."""
    disk.f_bavail = 0
    monkeypatch.setattr(master_disk, "largest", lambda: sys.exit("asked"))
    with pytest.raises(OSError, match="has little room left"):
        list(tick.watch_disk(Observation()))
