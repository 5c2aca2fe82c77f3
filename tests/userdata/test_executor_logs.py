"""executor_logs.py: what executors said, in the bucket once they have ended."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import aws
import executor_logs
import pytest
import spark_conf
import spark_state
from botocore.exceptions import EndpointConnectionError

from tests.userdata.conftest import BUCKET, client, in_bucket, requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

APP = "app-20261129120000-0001"


def never() -> bool:
    return False


@pytest.fixture
def work(root: Path, settle: Callable[..., None], cloud: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of executors, of a worker whose bucket has nothing yet."""
    settle("worker")
    monkeypatch.setattr(aws, "client", client)
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made = root / "var/lib/spark-local/work"
    made.mkdir(parents=True)
    (root / "run/spark-cluster").mkdir(parents=True)
    (root / "run/spark-cluster/local-dirs.env").write_text(f"SPARK_LOCAL_DIRS=/x\nSPARK_WORKER_DIR={made}\n")
    return made


class Worker:
    """What a worker's page says of its executors."""

    def __init__(self) -> None:
        self.running: list[dict[str, Any]] = []
        self.asked = 0
        self.answers = True

    def page(self, host: str, port: int, _: float) -> dict[str, Any]:
        assert (host, port) == ("127.0.0.1", 8081)
        self.asked += 1
        if not self.answers:
            raise ConnectionRefusedError
        return {"executors": self.running, "finishedexecutors": []}


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    made = Worker()
    monkeypatch.setattr(spark_state, "page", made.page)
    return made


@pytest.fixture
def store(work: Path, worker: Worker) -> executor_logs.Store:
    return executor_logs.Store()


def say(work: Path, executor: str, text: str = "said", name: str = "stderr", age_seconds: float = 0) -> Path:
    file = work / executor / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (time.time() - age_seconds,) * 2)
    return file


# Which executors


def test_what_an_executor_said_is_stored_once_the_worker_calls_it_running_no_more(
    work: Path, worker: Worker, store: executor_logs.Store
) -> None:
    say(work, f"{APP}/0", "errors")
    say(work, f"{APP}/0", "", "stdout")
    say(work, f"{APP}/1", "of another")
    worker.running = [{"appid": APP, "id": 0}, {"appid": APP, "id": 1}]
    store.look(never)
    assert in_bucket() == {}
    worker.running = [{"appid": APP, "id": 1}, {"appid": "app-2", "id": 0}]
    store.look(never)
    assert in_bucket() == {f"logs/{APP}/0/stderr": "errors", f"logs/{APP}/0/stdout": ""}
    assert client("s3").head_object(Bucket=BUCKET, Key=f"logs/{APP}/0/stderr")["ContentType"].startswith("text/plain;")


def test_folders_are_listed_before_the_worker_is_asked(
    work: Path, worker: Worker, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that begins between the two is there for the worker, or for neither."""
    say(work, f"{APP}/0")
    worker.running = [{"appid": APP, "id": 0}]
    page = worker.page

    def page_with_one_more(host: str, port: int, seconds: float) -> dict[str, Any]:
        state = page(host, port, seconds)
        say(work, f"{APP}/1", "it has just begun")
        return state

    monkeypatch.setattr(spark_state, "page", page_with_one_more)
    store.look(never)
    assert in_bucket() == {}


def test_a_worker_that_says_nothing_is_asked_again(
    work: Path, worker: Worker, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(work, f"{APP}/0")
    worker.answers = False
    store.look(never)
    assert in_bucket() == {}
    worker.answers = True
    store.look(never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr"}
    monkeypatch.setattr(spark_state, "page", lambda *_: {"error": "a page of something else"})
    say(work, f"{APP}/1")
    assert not executor_logs.attempt(store, never)


def test_a_worker_that_has_not_started_yet_has_none(root: Path, work: Path, store: executor_logs.Store) -> None:
    say(work, f"{APP}/0")
    (root / "run/spark-cluster/local-dirs.env").unlink()
    store.look(never)
    assert in_bucket() == {}


def test_who_has_nothing_to_store_asks_nobody(
    work: Path, worker: Worker, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / APP).mkdir()
    asked = requests(monkeypatch)
    store.look(never)
    assert (worker.asked, asked) == (0, [])
    say(work, f"{APP}/0")
    store.look(never)
    assert (worker.asked, asked) == (1, ["list_objects_v2", "put_object"])
    store.look(never)
    assert (worker.asked, len(asked)) == (1, 2)


def test_last_words_that_come_late_are_stored_too(work: Path, store: executor_logs.Store) -> None:
    say(work, f"{APP}/0", "first")
    store.look(never)
    say(work, f"{APP}/0", "first and last")
    store.look(never)
    assert in_bucket() == {f"logs/{APP}/0/stderr": "first and last"}


def test_a_program_that_was_started_again_stores_what_is_not_there_and_nothing_twice(
    work: Path, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(work, f"{APP}/0", "stored")
    store.look(never)
    say(work, f"{APP}/0", "not stored", "stdout")
    say(work, f"{APP}/1", "nor this")
    asked = requests(monkeypatch)
    executor_logs.Store().look(never)
    assert asked.count("put_object") == 2
    assert in_bucket() == {
        f"logs/{APP}/0/stderr": "stored",
        f"logs/{APP}/0/stdout": "not stored",
        f"logs/{APP}/1/stderr": "nor this",
    }


def test_of_executors_that_follow_each_other_without_an_end_the_last_are_stored_and_one_that_ran_long(
    work: Path, worker: Worker, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_logs, "MOST_EXECUTORS", 3)
    say(work, f"{APP}/0", "from the first minute on")
    worker.running = [{"appid": APP, "id": 0}]
    store.look(never)
    for number in range(1, 13):
        say(work, f"{APP}/{number}")
    store.look(never)
    assert sorted(in_bucket()) == [f"logs/{APP}/{number}/stderr" for number in (10, 11, 12)]
    worker.running = []
    store.look(never)
    assert in_bucket()[f"logs/{APP}/0/stderr"] == "from the first minute on"
    assert len(in_bucket()) == 4


def test_of_an_executor_whose_folder_is_gone_nothing_is_kept_in_mind(work: Path, store: executor_logs.Store) -> None:
    file = say(work, f"{APP}/0")
    store.look(never)
    assert set(store.there) == {f"{APP}/0"}
    file.unlink()
    file.parent.rmdir()
    store.look(never)
    assert store.there == {}


# Which files


def test_former_parts_of_a_stream_are_stored_too_and_nothing_else_that_a_job_wrote(
    work: Path, store: executor_logs.Store
) -> None:
    for name in ("stderr", "stderr--2026-11-29--12-00-00--0", "data.parquet", "job.jar", "stderr.parquet", "stdout-1"):
        say(work, f"{APP}/0", name, name)
    (work / APP / "0/stdout-folder").mkdir()
    (work / APP / "loose").write_text("no executor's")
    store.look(never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr", f"logs/{APP}/0/stderr--2026-11-29--12-00-00--0"}


@pytest.mark.parametrize("rolled", ["--2026-11-29", "--2026-11-29--12-00", "--2026-11-29--12-00-00--0123--1", "--1.gz"])
def test_each_name_that_spark_gives_to_a_former_part_is_known(
    work: Path, store: executor_logs.Store, rolled: str
) -> None:
    """RollingPolicy.scala and RollingFileAppender.scala: by size or by time, twice in one moment, compressed."""
    say(work, f"{APP}/0", name=f"stdout{rolled}")
    store.look(never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stdout{rolled}"}


@pytest.mark.parametrize("path", [b"app-0/0/stderr\xff", b"app\xff/0/stderr", b"app-0/x\xff/stderr", b"app 0/0/stderr"])
def test_names_that_a_job_made_hold_nothing_up(work: Path, store: executor_logs.Store, path: bytes) -> None:
    """Those that S3 would not take, above all; they come before the others."""
    executor, _, name = os.fsdecode(path).rpartition("/")
    say(work, executor, name=name)
    say(work, f"{APP}/0")
    assert executor_logs.attempt(store, never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr"}


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
def test_what_is_no_file_is_not_read(work: Path, store: executor_logs.Store, make: Callable[[Path], None]) -> None:
    say(work, f"{APP}/0")
    make(work / APP / "0/stdout")
    store.look(never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr"}


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
def test_a_file_that_became_something_else_holds_nothing_up(
    work: Path,
    store: executor_logs.Store,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
) -> None:
    """A job may do that at any moment."""
    say(work, f"{APP}/0")
    make(work / APP / "0/stdout")
    monkeypatch.setattr(executor_logs, "output", lambda _: {"stdout": 4, "stderr": 4})
    assert executor_logs.attempt(store, never)
    assert in_bucket().get(f"logs/{APP}/0/stdout", "") == ""
    assert in_bucket()[f"logs/{APP}/0/stderr"] == "said"


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_stored(
    work: Path, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for executor in ("0", "1"):
        say(work, f"{APP}/{executor}")
    known = os.scandir

    def scandir(path: str) -> Any:
        if path == str(work / APP / "0"):
            raise PermissionError(13, "Permission denied", path)
        return known(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert executor_logs.attempt(store, never)
    assert set(in_bucket()) == {f"logs/{APP}/1/stderr"}
    assert f"{APP}/0" in capsys.readouterr().err


def test_of_a_large_file_the_end_is_stored_once(
    work: Path, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_logs, "MOST_BYTES", 10)
    say(work, f"{APP}/0", "0123456789the end")
    store.look(never)
    assert in_bucket() == {f"logs/{APP}/0/stderr": "789the end"}
    asked = requests(monkeypatch)
    store.look(never)
    assert asked == []


def test_whole_files_of_spark_s_own_size_are_stored_and_all_that_it_keeps() -> None:
    properties = spark_conf.defaults("master", "4.3.0")
    assert int(properties["spark.executor.logs.rolling.maxSize"]) == executor_logs.MOST_BYTES
    kept = int(properties["spark.executor.logs.rolling.maxRetainedFiles"])
    assert len(("stdout", "stderr")) * (kept + 1) <= executor_logs.MOST_FILES


def test_of_very_many_files_the_last_ones_are_stored_and_first_of_all_the_last(
    work: Path, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_logs, "MOST_FILES", 2)
    for age_seconds in (30, 10, 20):
        say(work, f"{APP}/0", name=f"stderr--{age_seconds}", age_seconds=age_seconds)
    assert list(executor_logs.output(f"{APP}/0")) == ["stderr--10", "stderr--20"]
    store.look(never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr--{age_seconds}" for age_seconds in (10, 20)}


# The end


def test_the_last_look_takes_all_if_the_worker_is_gone(work: Path, worker: Worker, store: executor_logs.Store) -> None:
    say(work, f"{APP}/0", "killed with its worker")
    worker.answers = False
    store.look(never, is_last=True)
    assert in_bucket() == {f"logs/{APP}/0/stderr": "killed with its worker"}


def test_the_last_look_leaves_running_executors_alone_if_the_worker_is_there(
    work: Path, worker: Worker, store: executor_logs.Store
) -> None:
    say(work, f"{APP}/0")
    worker.running = [{"appid": APP, "id": 0}]
    store.look(never, is_last=True)
    assert in_bucket() == {}


def test_a_look_ends_between_two_files_when_time_is(work: Path, store: executor_logs.Store) -> None:
    for executor in ("0", "1", "2"):
        say(work, f"{APP}/{executor}")
    times = iter([False, True])
    store.look(lambda: next(times))
    assert len(in_bucket()) == 1


def test_a_fault_is_said_in_one_line_and_the_next_look_tries_again(
    work: Path, store: executor_logs.Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(work, f"{APP}/0")

    def fails(_service: str) -> object:
        raise EndpointConnectionError(endpoint_url="https://s3")

    with monkeypatch.context() as patch:
        patch.setattr(aws, "client", fails)
        assert not executor_logs.attempt(store, never)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("executor_logs: EndpointConnectionError: ")
    assert executor_logs.attempt(store, never)
    assert set(in_bucket()) == {f"logs/{APP}/0/stderr"}


class Signals:
    """SIGTERM comes after so many looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.pauses: list[float] = []

    def sigtimedwait(self, _signals: set[int], seconds: float) -> object:
        self.pauses.append(seconds)
        self.looks -= 1
        return None if self.looks >= 0 else object()


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Signals:
    made = Signals(looks=3)
    monkeypatch.setattr(signal, "sigtimedwait", made.sigtimedwait)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *_: None)
    return made


def looks_of(monkeypatch: pytest.MonkeyPatch, succeeds: Callable[[], bool]) -> list[bool]:
    """For each look, whether it was a last one."""
    looks: list[bool] = []

    def attempt(_store: object, is_over: Callable[[], bool], *, is_last: bool = False) -> bool:
        assert not is_over()
        looks.append(is_last)
        return succeeds()

    monkeypatch.setattr(executor_logs, "attempt", attempt)
    return looks


def test_it_looks_each_ten_seconds_or_so_and_a_last_time_when_its_unit_stops(
    signals: Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_of(monkeypatch, lambda: True)
    executor_logs.main()
    assert looks == [False, False, False, True]
    assert all(8 < pause < 16 for pause in signals.pauses)
    assert len(set(signals.pauses)) == len(signals.pauses), "many workers do not ask at once"


@pytest.mark.usefixtures("signals")
def test_what_fails_at_the_end_is_tried_again_until_time_is_over(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_of(monkeypatch, lambda: False)
    executor_logs.main()
    assert 10 < looks.count(True) < 40
    assert sum(clock.pauses) == pytest.approx(executor_logs.LAST_SECONDS)


def test_a_look_is_over_when_the_unit_stops(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is for the last look, which begins at once."""
    found: list[bool] = []

    def attempt(_store: object, is_over: Callable[[], bool], *, is_last: bool = False) -> bool:
        monkeypatch.setattr(signal, "sigpending", lambda: {signal.SIGTERM})
        found.append(is_over())
        return True

    monkeypatch.setattr(executor_logs, "attempt", attempt)
    executor_logs.main()
    assert found == [True, True, True, False]
    assert signals.looks < 0
