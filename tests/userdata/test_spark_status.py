from __future__ import annotations

import datetime as dt
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import drivers
import pytest
import spark_state
import worker_group

from tests.userdata.test_master_commands import load

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime(2026, 11, 27, 22, 0, tzinfo=dt.UTC)


def worker(*, free: int = 4, memory_free: int = 8192, state: str = "ALIVE") -> dict[str, Any]:
    sizes = {"cores": 4, "coresfree": free, "memory": 8192, "memoryfree": memory_free}
    return {"host": "10.0.0.7", "state": state, **sizes}


def application(*, state: str = "RUNNING", memory: int = 2048, minutes: int = 3) -> dict[str, Any]:
    return {
        "id": "app-20261127215700-0000",
        "name": "etl",
        "state": state,
        "cores": 4,
        "memoryperexecutor": memory,
        "starttime": (NOW.timestamp() - 60 * minutes) * 1000,
    }


class Buckets:
    """S3, as far as the boot logs are concerned."""

    def __init__(self, logs: dict[str, str]) -> None:
        self.logs = logs

    def get_paginator(self, _: str) -> Any:
        found = [
            {"Key": f"boot-logs/{name}", "LastModified": NOW - dt.timedelta(hours=at), "Size": len(text)}
            for at, (name, text) in enumerate(self.logs.items())
        ]
        return SimpleNamespace(paginate=lambda **_: [{"Contents": found}] if found else [{}])

    def get_object(self, *, Bucket: str, Key: str, Range: str) -> Any:  # noqa: N803
        assert (Bucket, Range) == ("demo-bucket", "bytes=-2000")
        assert self.logs[Key.removeprefix("boot-logs/")], "InvalidRange"
        return {"Body": BytesIO(self.logs[Key.removeprefix("boot-logs/")].encode())}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, settle: Callable[..., None]) -> SimpleNamespace:
    """What the master and AWS say; a test changes what it is about."""
    settle("master")
    says = SimpleNamespace(
        workers=[worker(), worker(free=0, memory_free=1024)],
        applications=[],
        states=["InService", "InService", "Pending:Wait", "Terminating:Wait"],
        logs={},
        drivers=[],
        failed_launch="2026-11-27 21:58:00 UTC  Max spot instance count exceeded.",
    )

    def read(_: str) -> dict[str, Any]:
        if says.workers is None:
            raise OSError("[Errno 111] Connection refused")
        return {"url": "spark://master.demo-spark:7077", "workers": says.workers, "activeapps": says.applications}

    def group() -> dict[str, Any] | None:
        if says.states is None:
            raise ValueError("slow down")
        members = [{"LifecycleState": state} for state in says.states]
        return {"AutoScalingGroupName": "demo-spark-workers", "DesiredCapacity": 3, "Instances": members}

    def failed_launch(name: str) -> str:
        assert name == "demo-spark-workers"
        return str(says.failed_launch)

    monkeypatch.setattr(spark_state, "read", read)
    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "failed_launch", failed_launch)
    monkeypatch.setattr(aws, "client", lambda _: Buckets(says.logs))
    monkeypatch.setattr(drivers, "known", lambda: says.drivers)
    return says


@pytest.fixture
def status(
    monkeypatch: pytest.MonkeyPatch, cluster: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> Callable[[], tuple[int, str]]:
    module = load("spark-status", monkeypatch)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=NOW.timestamp))

    def call() -> tuple[int, str]:
        ended = module.main()
        return ended, capsys.readouterr().out

    return call


def test_a_cluster_with_nothing_to_do(status: Callable[[], tuple[int, str]]) -> None:
    assert status() == (
        0,
        """\
master        spark://master.demo-spark:7077 answers
workers       1 ready, 1 booting, 1 ending, 3 wanted
free          4 of 8 cores, 9.0 GiB of 16.0 GiB
applications  none
drivers here  none
failed boots  none
""",
    )


def test_what_runs_and_what_failed(cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]) -> None:
    cluster.applications = [application(minutes=125)]
    cluster.drivers = [SimpleNamespace(name="etl-4f2a91", is_running=True), SimpleNamespace(name="b", is_running=False)]
    line = "2026-11-27T21:00:00.000Z spark-cluster: boot failed: install_spark: no source has it"
    cluster.logs = {"i-1": f"first\n{line}\n", "i-2": "", "i-3": "another\n", "i-4": line}
    _, screen = status()
    assert (
        "applications  1\n  app-20261127215700-0000  etl: RUNNING for 2 h 5 min\n    4 cores, 2.0 GiB for each"
        in screen
    )
    assert "drivers here  etl-4f2a91\n" in screen
    assert screen.splitlines()[-4:] == [
        "failed boots  4, the last of them:",
        "  2026-11-27 22:00:00 UTC  i-1  boot failed: install_spark: no source has it",
        "  2026-11-27 21:00:00 UTC  i-2  the log is empty",
        "  2026-11-27 20:00:00 UTC  i-3  another",
    ]


@pytest.mark.parametrize(
    ("workers", "memory", "reason"),
    [
        ([], 1024, "no worker is ready"),
        ([worker(state="DEAD")], 1024, "no worker is ready"),
        ([worker()], 9216, "its executors want 9.0 GiB, and no worker has more than 8.0 GiB: it will wait for ever"),
        ([worker(free=0)], 1024, "all cores are taken"),
        (
            [worker(memory_free=1024), worker(free=0)],
            2048,
            "its executors want 2.0 GiB, and no worker with a free core has more than 1.0 GiB left",
        ),
        ([worker()], 1024, "its executors want more cores than any worker has free, or are about to start"),
    ],
)
def test_why_an_application_waits(
    cluster: SimpleNamespace,
    status: Callable[[], tuple[int, str]],
    workers: list[dict[str, Any]],
    memory: int,
    reason: str,
) -> None:
    cluster.workers, cluster.applications = workers, [application(state="WAITING", memory=memory)]
    ended, screen = status()
    assert ended == 0
    assert f"etl: WAITING for 3 min\n    waits: {reason}\n" in screen


@pytest.mark.parametrize("state", ["WAITING", "RUNNING"])
def test_a_connect_server_that_nobody_uses_is_not_said_to_wait_for_cores(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]], state: str
) -> None:
    cluster.applications = [{**application(state=state), "name": "Spark Connect", "cores": 0}]
    _, screen = status()
    assert f"Spark Connect: {state} for 3 min\n    has no cores: it asks for some when a query needs them\n" in screen
    assert "waits: " not in screen


def test_many_applications_leave_the_rest_on_the_screen(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.applications = [application() for _ in range(30)]
    assert "applications  30\n" in status()[1]
    assert "  and 10 more\n" in status()[1]


def test_workers_that_are_not_even_launched_have_a_reason(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.states = ["InService", "Pending:Wait", "Terminating:Wait"]
    screen = status()[1]
    assert "workers       1 ready, 1 booting, 1 ending, 3 wanted\n" in screen
    assert "failed launch 2026-11-27 21:58:00 UTC  Max spot instance count exceeded.\n" in screen
    cluster.failed_launch = ""
    assert "failed launch" not in status()[1]


def test_a_master_that_does_not_answer_is_a_status(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.workers = None
    ended, screen = status()
    assert ended == 1
    assert screen.startswith(
        "master        does not answer: [Errno 111] Connection refused; journalctl -u spark-master"
    )
    assert "workers       ? ready, 1 booting, 1 ending, 3 wanted\n" in screen


def test_what_aws_does_not_answer_leaves_the_rest_on_the_screen(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.states = None
    ended, screen = status()
    assert ended == 0
    assert "workers       unknown: ValueError: slow down\n" in screen
    assert "free          4 of 8 cores" in screen
