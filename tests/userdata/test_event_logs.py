"""event_logs.py: the event logs of drivers on the master, and their copies in the bucket."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import aws
import event_logs
import pytest

from tests.userdata.conftest import BUCKET, client, in_bucket, requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

APP = "eventlog_v2_app-1"
DAY_SECONDS = 24 * 3600


@pytest.fixture
def folder(root: Path, settle: Callable[..., None], cloud: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where drivers log, of a master whose bucket has nothing yet."""
    settle("master")
    monkeypatch.setattr(aws, "client", client)
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made = root / "var/lib/spark-events"
    made.mkdir(parents=True)
    yield made
    assert not [name for name in in_bucket() if not name.startswith("spark-events/")]


@pytest.fixture
def copier(folder: Path) -> event_logs.Copier:
    return event_logs.Copier()


def write(folder: Path, path: str, text: str = "", age_seconds: float = 0) -> Path:
    file = folder / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


def logs_in_bucket() -> dict[str, str]:
    """Without the mark of the folder, by the path on the master."""
    prefix = event_logs.PREFIX
    return {key[len(prefix) :]: text for key, text in in_bucket().items() if key != prefix}


# What is copied


def test_what_running_applications_have_added_is_copied_with_everything_alone(
    folder: Path, copier: event_logs.Copier
) -> None:
    write(folder, f"{APP}/appstatus_app-1.inprogress")
    events = write(folder, f"{APP}/events_1_app-1.zstd", "one")
    assert copier.copy(everything=False) == []
    assert logs_in_bucket() == {}
    assert copier.copy(everything=True) == []
    expected = {f"{APP}/appstatus_app-1.inprogress": "", f"{APP}/events_1_app-1.zstd": "one"}
    assert logs_in_bucket() == expected
    events.write_text("one two")
    write(folder, f"{APP}/events_2_app-1.zstd", "three")
    assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {
        **expected,
        f"{APP}/events_1_app-1.zstd": "one two",
        f"{APP}/events_2_app-1.zstd": "three",
    }


def test_an_application_that_ended_is_copied_at_once_and_is_then_one_that_ended_there_too(
    folder: Path, copier: event_logs.Copier
) -> None:
    status = write(folder, f"{APP}/appstatus_app-1.inprogress")
    events = write(folder, f"{APP}/events_1_app-1.zstd", "one")
    copier.copy(everything=True)
    events.write_text("one and the end")
    status.rename(folder / APP / "appstatus_app-1")
    assert copier.copy(everything=False) == []
    assert logs_in_bucket() == {f"{APP}/appstatus_app-1": "", f"{APP}/events_1_app-1.zstd": "one and the end"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/etc/hostname")])
def test_what_is_no_file_holds_nothing_up(
    folder: Path, copier: event_logs.Copier, make: Callable[[Path], None]
) -> None:
    """A job may write there: to open a pipe would wait for ever."""
    write(folder, f"{APP}/appstatus_app-1")
    make(folder / APP / "events_1_app-1.zstd")
    make(folder / "app-0")
    assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {f"{APP}/appstatus_app-1": ""}


def test_the_status_that_says_the_end_comes_after_the_last_event_and_before_the_former_goes(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history server takes a log without a status for none."""
    write(folder, f"{APP}/appstatus_app-1.inprogress")
    copier.copy(everything=True)
    write(folder, f"{APP}/appstatus_app-1.inprogress").rename(folder / APP / "appstatus_app-1")
    write(folder, f"{APP}/events_1_app-1.zstd", "one")
    asked: list[tuple[str, str]] = []
    s3 = client("s3")

    class Noted:
        @staticmethod
        def upload_fileobj(_file: object, _bucket: str, key: str) -> None:
            asked.append(("put", key.rpartition("/")[2]))

        @staticmethod
        def delete_object(**params: str) -> None:
            asked.append(("delete", params["Key"].rpartition("/")[2]))

        put_object, get_paginator = s3.put_object, s3.get_paginator

    monkeypatch.setattr(aws, "client", lambda _service: Noted)
    assert copier.copy(everything=False) == []
    assert asked == [
        ("put", "events_1_app-1.zstd"),
        ("put", "appstatus_app-1"),
        ("delete", "appstatus_app-1.inprogress"),
    ]


def test_a_log_of_one_file_is_copied_too(folder: Path, copier: event_logs.Copier) -> None:
    """`spark.eventLog.rolling.enabled=false`."""
    file = write(folder, "app-1.zstd.inprogress", "one")
    copier.copy(everything=True)
    assert logs_in_bucket() == {"app-1.zstd.inprogress": "one"}
    file.rename(folder / "app-1.zstd")
    copier.copy(everything=False)
    assert logs_in_bucket() == {"app-1.zstd": "one"}


def test_checksums_and_links_are_no_logs(folder: Path, copier: event_logs.Copier, root: Path) -> None:
    """Where a job may write it may put a link, to what this program reads and the history server must not."""
    (root / "etc/spark-cluster/spark-secret").write_text("secret")
    write(folder, f"{APP}/events_1_app-1.zstd", "one")
    write(folder, f"{APP}/.appstatus_app-1.crc", "x")
    (folder / APP / "events_2_app-1.zstd").symlink_to(root / "etc/spark-cluster/spark-secret")
    (folder / "eventlog_v2_app-2").symlink_to(root / "etc/spark-cluster")
    assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {f"{APP}/events_1_app-1.zstd": "one"}


def test_what_another_user_logged_is_left_out(folder: Path, copier: event_logs.Copier) -> None:
    """Whoever runs Spark as root, and not by the commands for people."""
    write(folder, f"{APP}/events_1_app-1.zstd", "one")
    write(folder, "eventlog_v2_app-2/events_1_app-2.zstd", "two")
    may = os.access
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: "app-2" not in str(path) and may(path, mode))
        assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {f"{APP}/events_1_app-1.zstd": "one"}


def test_what_is_in_the_bucket_is_not_sent_again_nor_after_a_restart(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, f"{APP}/appstatus_app-1")
    write(folder, f"{APP}/events_1_app-1.zstd", "one")
    copier.copy(everything=True)
    asked = requests(monkeypatch)
    copier.copy(everything=True)
    assert asked == []
    event_logs.Copier().copy(everything=True)
    assert asked == ["put_object", "get_paginator"], "the mark of the folder, and what is there"


def test_what_the_last_run_left_in_progress_goes_after_a_restart_and_others_logs_stay(
    folder: Path, copier: event_logs.Copier
) -> None:
    status = write(folder, f"{APP}/appstatus_app-1.inprogress")
    copier.copy(everything=True)
    other = f"{event_logs.PREFIX}eventlog_v2_app-0/appstatus_app-0.inprogress"
    client("s3").put_object(Bucket=BUCKET, Key=other, Body=b"of a former master")
    status.rename(folder / APP / "appstatus_app-1")
    event_logs.Copier().copy(everything=False)
    assert set(in_bucket()) == {event_logs.PREFIX, other, f"{event_logs.PREFIX}{APP}/appstatus_app-1"}


def test_the_folder_is_there_before_any_log_and_marked_anew_each_day(
    copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.copy(everything=False)
    assert in_bucket() == {event_logs.PREFIX: ""}
    asked = requests(monkeypatch)
    copier.copy(everything=False)
    assert asked == []
    copier.mark_due -= DAY_SECONDS
    copier.copy(everything=False)
    assert asked == ["put_object"]


def test_one_log_that_cannot_be_copied_keeps_no_other_back(folder: Path, copier: event_logs.Copier) -> None:
    names = ["app-1", "app-2", "app-3"]
    for name in names:
        write(folder, name, "one")
    copy = copier.copy_log

    def fails_for_the_second(one: event_logs.Log) -> None:
        if one.name == "app-2":
            raise OSError("cannot read it")
        copy(one)

    copier.copy_log = fails_for_the_second  # type: ignore[method-assign]
    assert copier.copy(everything=True) == ["OSError: cannot read it"]
    assert logs_in_bucket() == {"app-1": "one", "app-3": "one"}


def test_a_folder_that_a_job_has_closed_keeps_no_other_back(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "eventlog_v2_closed/events_1_closed", "one")
    write(folder, "app-1", "one")
    known = os.lstat

    def lstat(path: str) -> os.stat_result:
        if "closed/" in path:  # root, who runs tests, may pass
            raise PermissionError(path)
        return known(path)

    monkeypatch.setattr(os, "lstat", lstat)
    assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {"app-1": "one"}


@pytest.mark.parametrize("name", [b"\xff", b"eventlog_v2_\xff/events_1_x", b"eventlog_v2_x/events_1_\xff"])
def test_names_that_are_no_text_hold_nothing_up(folder: Path, copier: event_logs.Copier, name: bytes) -> None:
    path = folder / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (0, 0))
    write(folder, "app-1", "one", age_seconds=2 * DAY_SECONDS)
    assert copier.copy(everything=True) == []
    assert logs_in_bucket() == {"app-1": "one"}
    assert not (folder / "app-1").exists()


# What stays on the master


def test_one_log_that_cannot_be_removed_keeps_no_other(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "app-1", "one", age_seconds=3 * DAY_SECONDS)
    write(folder, "app-2", "one", age_seconds=2 * DAY_SECONDS)
    known = os.remove

    def remove(path: str) -> None:
        if path.endswith("app-1"):
            raise PermissionError("it is another's")
        known(path)

    monkeypatch.setattr(os, "remove", remove)
    assert copier.copy(everything=True) == ["PermissionError: it is another's"]
    assert [path.name for path in folder.iterdir()] == ["app-1"]


def test_with_s3_away_for_long_the_oldest_go_all_the_same(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(event_logs, "KEPT_BYTES", 10)
    monkeypatch.setattr(event_logs, "MOST_BYTES", 20)

    def away(_service: str) -> object:
        raise OSError("the network is unreachable")

    monkeypatch.setattr(aws, "client", away)
    for number in range(4):
        write(folder, f"app-{number}", "x" * 9, age_seconds=100 - number)
    with (folder / "app-0").open("a"):
        copier.copy(everything=True)
    assert sorted(path.name for path in folder.iterdir()) == ["app-0", "app-3"], "nothing that is written to"
    assert "removed app-1, of which the bucket may have nothing" in capsys.readouterr().err


def test_a_day_after_its_end_a_log_is_in_the_bucket_alone(folder: Path, copier: event_logs.Copier) -> None:
    for name, hours in (("app-1", 25), ("app-2", 23)):
        for file in (f"appstatus_{name}", f"events_1_{name}.zstd"):
            write(folder, f"eventlog_v2_{name}/{file}", name, age_seconds=hours * 3600)
    write(folder, "app-0.zstd", "one", age_seconds=25 * 3600)
    copier.copy(everything=True)
    assert [path.name for path in folder.iterdir()] == ["eventlog_v2_app-2"]
    assert len(logs_in_bucket()) == 5


def test_the_log_of_a_killed_driver_goes_too_and_one_that_is_written_to_stays(
    folder: Path, copier: event_logs.Copier
) -> None:
    """A shell that nobody types into adds nothing for days."""
    for name in ("killed", "idle"):
        write(folder, f"eventlog_v2_{name}/appstatus_{name}.inprogress", age_seconds=3 * DAY_SECONDS)
        write(folder, f"eventlog_v2_{name}/events_1_{name}.zstd", "one", age_seconds=3 * DAY_SECONDS)
    with (folder / "eventlog_v2_idle/events_1_idle.zstd").open("a"):
        copier.copy(everything=True)
    assert [path.name for path in folder.iterdir()] == ["eventlog_v2_idle"]
    assert f"{event_logs.PREFIX}eventlog_v2_killed/appstatus_killed.inprogress" in in_bucket(), "it never ended"


def test_what_is_not_in_the_bucket_stays(folder: Path, copier: event_logs.Copier) -> None:
    write(folder, f"{APP}/events_1_app-1.zstd", "one", age_seconds=9 * DAY_SECONDS)

    def fails(one: event_logs.Log) -> None:
        raise OSError("the network is unreachable")

    copier.copy_log = fails  # type: ignore[method-assign]
    assert copier.copy(everything=True) == ["OSError: the network is unreachable"]
    assert (folder / APP / "events_1_app-1.zstd").exists()


def test_beyond_the_bytes_that_are_kept_the_oldest_go_first(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_logs, "KEPT_BYTES", 20)
    for number in range(4):
        write(folder, f"app-{number}", "x" * 9, age_seconds=100 - number)
    copier.copy(everything=True)
    assert sorted(path.name for path in folder.iterdir()) == ["app-2", "app-3"]
    assert len(logs_in_bucket()) == 4


def test_of_a_running_application_with_too_much_only_what_is_written_to_stays(
    folder: Path, copier: event_logs.Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that streams for months would fill the disk."""
    monkeypatch.setattr(event_logs, "KEPT_BYTES", 20)
    write(folder, f"{APP}/appstatus_app-1.inprogress")
    for number in (1, 2, 3):
        write(folder, f"{APP}/events_{number}_app-1.zstd", "x" * 9)
    with (folder / APP / "events_3_app-1.zstd").open("a"):
        copier.copy(everything=True)
    assert {path.name for path in (folder / APP).iterdir()} == {"appstatus_app-1.inprogress", "events_3_app-1.zstd"}
    (folder / APP / "appstatus_app-1.inprogress").rename(folder / APP / "appstatus_app-1")
    copier.copy(everything=False)
    assert sorted(logs_in_bucket()) == [f"{APP}/appstatus_app-1"] + [
        f"{APP}/events_{number}_app-1.zstd" for number in (1, 2, 3)
    ], "in the bucket it is whole"


# When


def test_everything_is_copied_each_minute_and_once_more_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    clock = [0.0]
    looks = iter([None] * 27 + [signal.SIGTERM])

    def wait(_signals: object, seconds: float) -> object:
        clock[0] += seconds
        return next(looks)

    class Noting:
        def copy(self, *, everything: bool) -> list[str]:
            asked.append(everything)
            return ["S3 is not there"] if len(asked) == 13 else []

    monkeypatch.setattr(event_logs, "Copier", Noting)
    monkeypatch.setattr(signal, "sigtimedwait", wait)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    event_logs.main()
    # What fails is not tried each 5 s.
    assert asked == [True, *[False] * 11, True, True, False, False, True]
