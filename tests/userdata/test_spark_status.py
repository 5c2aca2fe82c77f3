from __future__ import annotations

import datetime as dt
import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import drivers
import failed_starts
import health
import master_disk
import observation
import pytest
import settings
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
    """S3, as far as the boot logs and reports of drains are concerned: an hour between each two, the first the last."""

    def __init__(self, says: SimpleNamespace) -> None:
        self.objects = {
            **{f"boot-logs/{name}": text for name, text in says.logs.items()},
            **{f"logs/drains/{name}": text for name, text in says.drains.items()},
        }

    def get_paginator(self, _: str) -> Any:
        def paginate(*, Bucket: str, Prefix: str, PaginationConfig: dict[str, int]) -> list[dict[str, Any]]:  # noqa: N803
            assert Bucket == "demo-bucket"
            found = [(key, text) for key, text in self.objects.items() if key.startswith(Prefix)]
            found = found[: PaginationConfig["MaxItems"]]
            listed = [
                {"Key": key, "LastModified": NOW - dt.timedelta(hours=at), "Size": len(text)}
                for at, (key, text) in enumerate(found)
            ]
            return [{"Contents": listed}] if listed else [{}]

        return SimpleNamespace(paginate=paginate)

    def get_object(self, *, Bucket: str, Key: str, Range: str = "") -> Any:  # noqa: N803
        assert Bucket == "demo-bucket"
        assert Range == ("bytes=-2000" if Key.startswith("boot-logs/") else "")
        assert self.objects[Key], "InvalidRange"
        return {"Body": BytesIO(self.objects[Key].encode())}


def looked(ago: float = 10, **more: Any) -> None:
    """What the tick has left, so many seconds ago."""
    health.keep({"looked": health.boot_clock() - ago, "members": {}, "told": {}, **more})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, root: Path, settle: Callable[..., None]) -> SimpleNamespace:
    """What the master and AWS say; a test changes what it is about."""
    settle("master")
    says = SimpleNamespace(
        workers=[worker(), worker(free=0, memory_free=1024)],
        applications=[],
        states=["InService", "InService", "Pending:Wait", "Terminating:Wait"],
        logs={},
        drains={},
        addresses={},
        drivers=[],
        unhealthy=set(),
        protected=set(),
        failed_launch="2026-11-27 21:58:00 UTC  Max spot instance count exceeded.",
    )

    def read(_: str) -> dict[str, Any]:
        if says.workers is None:
            raise ConnectionRefusedError(111, "Connection refused")
        return {"url": "spark://master.demo-spark:7077", "workers": says.workers, "activeapps": says.applications}

    def group() -> dict[str, Any] | None:
        if says.states is None:
            raise ValueError("slow down")
        members = [
            {
                "InstanceId": f"i-{at}",
                "LifecycleState": state,
                "HealthStatus": "Unhealthy" if f"i-{at}" in says.unhealthy else "Healthy",
                "ProtectedFromScaleIn": f"i-{at}" in says.protected,
            }
            for at, state in enumerate(says.states)
        ]
        sizes = {"MinSize": 0, "MaxSize": 9, "DesiredCapacity": 3}
        return {"AutoScalingGroupName": "demo-spark-workers", **sizes, "Instances": members}

    def failed_launch(name: str) -> str:
        assert name == "demo-spark-workers"
        return str(says.failed_launch)

    monkeypatch.setattr(spark_state, "read", read)
    monkeypatch.setattr(observation, "master_seconds", lambda: 3600.0)
    (root / "run/spark-cluster").mkdir(parents=True)
    looked()
    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "failed_launch", failed_launch)
    monkeypatch.setattr(
        worker_group,
        "instances",
        lambda _: {name: {"PrivateIpAddress": address} for name, address in says.addresses.items()},
    )
    monkeypatch.setattr(aws, "client", lambda _: Buckets(says))
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
workers       1 ready, 1 booting, 1 leaving, 3 wanted
free          4 of 8 cores, 9.0 GiB of 16.0 GiB
applications  none
drivers here  none
drains        none
failed boots  none
""",
    )


@pytest.mark.parametrize("answers", [True, False])
def test_a_master_s_disk_with_little_room_is_told_with_what_holds_it_and_what_to_do(
    cluster: SimpleNamespace,
    status: Callable[[], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    answers: bool,
) -> None:
    """Also of a master that does not answer, of which it may be the cause."""
    cluster.workers = [] if answers else None
    found = [("/var/lib/spark-driver/etl-4f2a91", 25_600), ("/var/tmp", 512)]  # noqa: S108 - a name
    monkeypatch.setattr(master_disk, "trouble", lambda: "/var/lib/spark/recovery has 80 MiB of 32,768 left")
    monkeypatch.setattr(master_disk, "largest", lambda: found)
    assert status()[1].splitlines()[1:5] == [
        "disk          /var/lib/spark/recovery has 80 MiB of 32,768 left: once it is full, nobody can register",
        "  /var/lib/spark-driver/etl-4f2a91: 25.0 GiB",
        "  /var/tmp: 0.5 GiB",
        "  spark-job --stop NAME ends a driver, and its scratch goes; Master(root_volume_gib=...) is the disk's size",
    ]


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


def test_application_whose_executors_die_and_one_that_was_ended_for_it(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.applications = [application()]
    died = failed_starts.Starts(died=12, workers=["worker-1"], first=100.0, last=130.0, last_executor="11")
    state = failed_starts.State(applications={"app-20261127215700-0000": died}, ended=[(1795816800.0, "app-9", "why")])
    Path(settings.path(failed_starts.STATE_FILE)).parent.mkdir(parents=True, exist_ok=True)
    state.keep()
    screen = status()[1]
    said = "12 executors died at their start within 30 s, and none has lived"
    assert f"    {said}; logs/app-20261127215700-0000/11/stderr in the bucket may say why\n" in screen
    assert "ended by tick the last of them:\n  2026-11-27 22:00:00 UTC  app-9  why\n" in screen


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
    assert "workers       1 ready, 1 booting, 1 leaving, 3 wanted\n" in screen
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
        "master        does not answer: ConnectionRefusedError: [Errno 111] Connection refused; journalctl -u spark"
    )
    assert "workers       ? ready, 1 booting, 1 leaving, 3 wanted\n" in screen


def test_what_aws_does_not_answer_leaves_the_rest_on_the_screen(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.states = None
    ended, screen = status()
    assert ended == 0
    assert "workers       unknown: ValueError: slow down\n" in screen
    assert "free          4 of 8 cores" in screen


@pytest.mark.parametrize(
    ("states", "addresses", "line"),
    [
        (["InService", "InService"], {}, "2 ready, 0 booting, 3 wanted"),
        (["InService", "InService"], {"i-1": "10.0.0.8"}, "2 ready, 0 booting, 1 leaving, 3 wanted"),
        (["InService", "Terminating:Wait"], {"i-1": "10.0.0.8"}, "2 ready, 0 booting, 1 leaving, 3 wanted"),
        (["Terminating", "InService"], {"i-1": "10.0.0.8"}, "2 ready, 0 booting, 2 leaving, 3 wanted"),
        (["EnteringStandby", "Detaching", "Standby"], {}, "2 ready, 0 booting, 2 leaving, 1 on standby, 3 wanted"),
        (["InService", "Standby"], {"i-1": "10.0.0.8"}, "2 ready, 0 booting, 1 on standby, 3 wanted"),
        (["InService", "InService"], {"i-9": "10.0.0.8"}, "2 ready, 0 booting, 3 wanted"),
    ],
    ids=["nobody", "interrupted", "both say so", "one each", "out of the group", "kept", "gone since"],
)
def test_who_leaves_is_what_either_the_master_or_auto_scaling_says(
    cluster: SimpleNamespace,
    status: Callable[[], tuple[int, str]],
    states: list[str],
    addresses: dict[str, str],
    line: str,
) -> None:
    """Of a spot interruption Auto Scaling tells nobody, and of a worker that has stopped the master knows nothing."""
    cluster.workers = [worker(), worker(), {**worker(state="DECOMMISSIONED"), "host": "10.0.0.8"}]
    cluster.workers[1]["host"] = "10.0.0.6"
    cluster.states, cluster.addresses = states, {"i-0": "10.0.0.6", **addresses}
    assert f"workers       {line}\n" in status()[1]


def minutes_ago(minutes: int, why: str, **more: Any) -> dict[str, Any]:
    return {"since": 0.0, "at": NOW.timestamp() - 60 * minutes, "why": why, **more}


def test_who_is_protected_unlisted_sick_and_replaced(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.states = ["InService"] * 4 + ["Terminating:Wait"] * 2
    cluster.addresses = {f"i-{at}": f"10.0.1.{at}" for at in range(6)}
    cluster.protected, cluster.unhealthy = {"i-0", "i-1"}, {"i-4", "i-5"}
    unlisted = "the master does not list its worker as alive"
    looked(
        members={
            "i-2": minutes_ago(3, unlisted, sick=False),
            "i-3": minutes_ago(12, unlisted, sick=True),
            "i-9": minutes_ago(12, "it has left the group since", sick=True),
        },
        told={"i-4": minutes_ago(2, "its worker is decommissioned")},
    )
    assert status()[1].splitlines()[1:8] == [
        "workers       1 ready, 0 booting, 2 leaving, 3 wanted, 2 protected from scale-in",
        "unlisted      1:",
        f"  i-2 (10.0.1.2)  for 3 min: {unlisted}",
        "sick          1:",
        f"  i-3 (10.0.1.3)  for 12 min: {unlisted}",
        "replaced      2:",
        "  i-4 (10.0.1.4)  for 2 min: its worker is decommissioned",
    ]
    assert "  i-5 (10.0.1.5)  by a health check, or because somebody said so\n" in status()[1]


def test_many_sick_members_leave_the_rest_on_the_screen(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    cluster.states = ["InService"] * 30
    looked(members={f"i-{at}": minutes_ago(12, "x", sick=True) for at in range(30)})
    assert "sick          30:\n" in status()[1]
    assert "  and 20 more\n" in status()[1]


@pytest.mark.parametrize("ago", [61, 3600])
def test_a_tick_that_looks_no_more_is_told(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]], ago: int
) -> None:
    looked(ago)
    said = f"spark-tick has not looked for {ago // 60} min: journalctl -u spark-tick may say why"
    assert f"health        {said}\n" in status()[1]


REPORT = {
    "why": "spot interruption",
    "seconds": 12.91,
    "in_time": True,
    "executors": [{"left": True}, {"left": True}],
    "shuffle_blocks": 6,
    "shuffle_bytes": 156_000_000,
    "shuffle_blocks_left": 0,
    "tasks": 0,
}


def test_the_last_drains_with_why_and_how_they_ended(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]]
) -> None:
    late = {**REPORT, "in_time": False, "executors": [{"left": False}], "shuffle_blocks_left": 2, "tasks": 1}
    cluster.drains = {
        "i-0a-2026-11-27T21-59-00Z.json": json.dumps(REPORT),
        "i-0b-2026-11-27T20-59-00Z.json": json.dumps({**late, "why": "its group ends it"}),
        "i-0c-2026-11-27T19-59-00Z.json": json.dumps({**REPORT, "executors": []}),
        "i-0d-2026-11-27T18-59-00Z.json": json.dumps(REPORT),
    }
    screen = status()[1]
    took, moved = "within 12.9 s", "6 map outputs moved (156.0 MB)"
    lost = f"{moved}, 2 not, 1 running tasks lost"
    assert screen.splitlines()[-5:-1] == [
        "drains        4, the last of them:",
        f"  2026-11-27 22:00:00 UTC  i-0a  spot interruption: drained {took}, 2 of 2 executors have left, {moved}",
        f"  2026-11-27 21:00:00 UTC  i-0b  its group ends it: not drained {took}, 0 of 1 executors have left, {lost}",
        "  2026-11-27 20:00:00 UTC  i-0c  spot interruption: drained within 12.9 s",
    ]


@pytest.mark.parametrize("what", ["drains", "logs"])
def test_however_many_a_worker_wrote_so_many_are_listed(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("drains.MOST_LISTED", 4)
    setattr(cluster, what, {f"i-{number}": "{}" for number in range(9)})
    row = {"drains": "drains        ", "logs": "failed boots  "}[what]
    assert f"{row}4 or more, the last of them:\n" in status()[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its report cannot be read"),
        ("[]", "its report cannot be read"),
        ("[" * 100_000, "its report cannot be read"),
        ('{"a": ' + '"' + "x" * 300_000 + '"}', "its report cannot be read"),
        ("{}", "its report cannot be read"),
        ('{"why": ["\\u001b[2J"], "seconds": "x", "executors": 3}', "['\\x1b[2J']: not drained within 0.0 s"),
        ('{"why": "\\u001b]0;x\\u0007", "seconds": NaN, "executors": [1, {}]}', "?]0;x?: not drained within 0.0 s, "),
        ('{"why": "x", "seconds": 1' + "0" * 400 + "}", "x: not drained within 0.0 s"),
        (json.dumps({"why": "y" * 10_000, "seconds": -1}), f"{'y' * 200}: not drained within 0.0 s\n"),
        ('{"why": "x", "executors": [{}], "shuffle_blocks": Infinity}', "x: not drained within 0.0 s, 0 of 1 exec"),
    ],
)
def test_what_a_job_wrote_in_place_of_a_report_is_shown_or_not_and_does_nothing(
    cluster: SimpleNamespace, status: Callable[[], tuple[int, str]], text: str, said: str
) -> None:
    cluster.drains = {"i-0a-2026-11-27T21-59-00Z.json": text or " ", "sub/folder": "x"}
    ended, screen = status()
    assert ended == 0
    assert "drains        2, the last of them:\n" in screen
    assert f"i-0a  {said}" in screen
    assert screen.splitlines()[-1] == "failed boots  none"
    assert "\x1b" not in screen
