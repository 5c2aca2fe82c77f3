"""metrics.py: what the master tells CloudWatch, from an AWS of moto's."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import metrics
import observation
import pytest
import spark_state
import tick
import worker_group
from botocore.exceptions import ClientError
from moto.cloudwatch.models import MetricDatum, cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason

from spark_cluster.metrics import WIDGETS
from tests.userdata.conftest import client
from tests.userdata.moto_group import GROUP, addresses, make_group, resize

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path

NAMESPACE = "SparkCluster/demo"


class Minutes:
    """A clock of whole minutes."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def go_on(self, seconds: float = 60) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Minutes:
    clock = Minutes()
    monkeypatch.setattr(metrics, "time", clock)
    return clock


@pytest.fixture
def with_metrics(
    root: Path, settle: Callable[..., None], as_master: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A master whose cluster has metrics."""
    (root / "run/spark-cluster").mkdir(parents=True)
    settle("master", metrics_namespace=NAMESPACE)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")


def run() -> dict[str, str]:
    """One tick as the daemon has it; what failed of it, by where."""
    return tick.Tick(tick.Journal().take).run(lambda _: None)


def sent() -> dict[str, list[float]]:
    """All values that CloudWatch has, by the metric's name, in their order."""
    found = client("cloudwatch").list_metrics(Namespace=NAMESPACE)["Metrics"]
    assert all(not metric["Dimensions"] for metric in found)
    values: dict[str, list[float]] = {}
    for one in cloudwatch_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].metric_data:
        assert isinstance(one, MetricDatum)
        values.setdefault(one.name, []).append(one.value)
    return values


def last() -> dict[str, float]:
    return {name: values[-1] for name, values in sent().items()}


def members() -> list[str]:
    group = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][0]
    return [each["InstanceId"] for each in group["Instances"]]


def take_back(instance_id: str) -> None:
    """End an instance as EC2 does that needs the capacity. The group finds out later."""
    instance = ec2_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].get_instance(instance_id)
    instance.terminate()
    instance.state_reason = StateReason("Spot Instance termination", "Server.SpotInstanceTermination")


def find_out(instance_id: str) -> None:
    """Have the group take an instance out that is gone."""
    client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=True
    )


def answers(monkeypatch: pytest.MonkeyPatch, workers: list[dict[str, Any]], *states: str) -> None:
    """The master lists these workers, and an application in each state."""
    applications = [{"id": f"app-{number}", "state": state} for number, state in enumerate(states)]
    page = {"workers": workers, "activeapps": applications}
    monkeypatch.setattr(spark_state, "read", lambda _: page)


def worker(host: str, state: str, cores: int, used: int) -> dict[str, Any]:
    return {"host": host, "state": state, "cores": cores, "coresused": used, "memory": 13000}


def journal(told: tick.Journal, capfd: pytest.CaptureFixture[str], ticks: int, clock: Minutes) -> list[str]:
    """What the daemon says of metrics in so many ticks, one after the other."""
    for _ in range(ticks):
        told.tick()
        clock.go_on(tick.PAUSE_SECONDS)
    return [line for line in capfd.readouterr().err.splitlines() if "metrics" in line]


# What is sent


def test_a_cluster_without_metrics_asks_nothing_of_cloudwatch(as_master: None, calls: Counter[str], root: Path) -> None:
    (root / "run/spark-cluster").mkdir(parents=True)
    make_group(2)
    assert run() == {}
    assert "PutMetricData" not in calls
    assert not (root / "run/spark-cluster/metrics.json").exists()


def test_without_a_group_there_is_nothing_to_send(with_metrics: None, calls: Counter[str]) -> None:
    assert run() == {}
    assert "PutMetricData" not in calls


def test_figures_are_of_the_group_and_of_the_master_s_page(with_metrics: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_group(3)
    client("autoscaling").set_instance_protection(
        AutoScalingGroupName=GROUP, InstanceIds=members()[:2], ProtectedFromScaleIn=True
    )
    first, second, third = sorted(addresses())
    workers = [worker(first, "ALIVE", 8, 6), worker(second, "ALIVE", 4, 0), worker(third, "DECOMMISSIONED", 16, 16)]
    answers(monkeypatch, workers, "RUNNING", "WAITING", "WAITING")
    assert run() == {}
    assert last() == {
        "WorkersDesired": 3,
        "WorkersInService": 3,
        "WorkersProtected": 2,
        "Drains": 0,
        "Interruptions": 0,
        "WorkersSick": 1,
        "CoresUsed": 6,
        "CoresFree": 6,
        "ApplicationsWaiting": 2,
    }


def test_the_dashboard_shows_what_is_sent_and_nothing_else(with_metrics: None) -> None:
    make_group(1)
    assert run() == {}
    assert sent().keys() == {name for _, _, names in WIDGETS for name in names}


def test_of_a_master_that_does_not_answer_there_are_no_figures(
    with_metrics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: str) -> dict[str, Any]:
        raise OSError("it is silent")

    make_group(1)
    monkeypatch.setattr(spark_state, "read", silent)
    assert run().keys() == {"asking the master"}
    assert last()["WorkersInService"] == 1
    assert not sent().keys() & {"WorkersSick", "CoresUsed", "CoresFree", "ApplicationsWaiting"}


def test_a_minute_has_one_figure_however_many_ticks(with_metrics: None, calls: Counter[str], clock: Minutes) -> None:
    make_group(1)
    clock.now -= clock.now % 60
    for _ in range(12):
        run()
        clock.go_on(15)
    assert calls["PutMetricData"] == 3
    assert sent()["WorkersDesired"] == [1, 1, 1]


def test_they_are_sent_if_the_clock_is_set_back(with_metrics: None, calls: Counter[str], clock: Minutes) -> None:
    make_group(1)
    run()
    clock.go_on(-3600)
    run()
    assert calls["PutMetricData"] == 2


# Who left


def test_each_worker_that_left_service_is_counted_once(with_metrics: None, clock: Minutes) -> None:
    make_group(4)
    run()
    resize(1)
    for _ in range(3):
        clock.go_on()
        run()
    assert sent()["Drains"] == [0, 3, 0, 0]
    assert sum(sent()["Interruptions"]) == 0


def test_who_left_between_two_figures_is_in_the_next(with_metrics: None, clock: Minutes) -> None:
    make_group(2)
    run()
    clock.go_on(1)
    resize(1)
    run()
    assert sent()["Drains"] == [0], "it is the same minute"
    clock.go_on()
    run()
    assert sent()["Drains"] == [0, 1]


def test_a_member_of_which_ec2_says_nothing_yet_has_not_left(
    with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    run()
    monkeypatch.setattr(worker_group, "instances", lambda _: {})
    clock.go_on()
    run()
    assert (sent()["Drains"], last()["WorkersInService"]) == ([0, 0], 2)


@pytest.mark.parametrize("state", ["Terminating:Wait", "Standby", "Detaching"])
def test_whoever_is_out_of_service_has_left(
    state: str, with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    run()
    group = worker_group.group()
    assert group
    group["Instances"][0]["LifecycleState"] = state
    monkeypatch.setattr(worker_group, "group", lambda: group)
    for _ in range(2):
        clock.go_on()
        run()
    assert sent()["Drains"] == [0, 1, 0]


def test_an_interruption_is_counted_once_and_is_a_drain_too(with_metrics: None, clock: Minutes) -> None:
    make_group(3)
    run()
    gone = members()[0]
    take_back(gone)
    for _ in range(2):
        clock.go_on()
        run()
    find_out(gone)
    for _ in range(2):
        clock.go_on()
        run()
    assert sent()["Interruptions"] == [0, 1, 0, 0, 0]
    assert sent()["Drains"] == [0, 0, 0, 1, 0]


def test_an_instance_that_someone_else_ended_is_no_interruption(with_metrics: None, clock: Minutes) -> None:
    make_group(2)
    run()
    client("ec2").terminate_instances(InstanceIds=members()[:1])
    clock.go_on()
    run()
    assert sum(sent()["Interruptions"]) == 0


def test_what_was_before_the_first_look_is_not_counted(with_metrics: None) -> None:
    make_group(3)
    take_back(members()[0])
    run()
    assert (last()["Interruptions"], last()["Drains"]) == (0, 0)


# If CloudWatch does not take them


def refuse(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """CloudWatch refuses what is sent, for as long as the test does not undo it."""

    class Refusing:
        def put_metric_data(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutMetricData")

    monkeypatch.setattr(metrics, "cloudwatch", Refusing)


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "InternalServiceFault"])
def test_a_refusal_costs_the_other_keepers_nothing_and_is_told_once(
    code: str,
    with_metrics: None,
    clock: Minutes,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make_group(2)
    with monkeypatch.context() as refusing:
        refuse(refusing, code)
        told = tick.Journal()
        lines = journal(told, capfd, 12, clock)
    assert len((root / "opt/spark/conf/workers").read_text().splitlines()) == 2
    assert len(lines) == 1
    assert code in lines[0]
    assert lines[0].endswith("in keep_metrics")
    assert journal(told, capfd, 6, clock) == ["tick: no trouble any more in keep_metrics"]


def test_what_could_not_be_sent_is_in_the_next_figure(
    with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(4)
    run()
    with monkeypatch.context() as refusing:
        refuse(refusing, "AccessDenied")
        for size in (3, 1):
            resize(size)
            clock.go_on()
            run()
        take_back(members()[0])
    clock.go_on()
    run()
    assert sent()["Drains"] == [0, 3]
    assert sent()["Interruptions"] == [0, 1]


def test_a_refusal_before_the_first_figure_keeps_what_is_counted_from(
    with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    with monkeypatch.context() as refusing:
        refuse(refusing, "AccessDenied")
        run()
    resize(1)
    clock.go_on()
    run()
    assert sent()["Drains"] == [1]


def test_a_minute_has_one_try_even_if_it_was_killed_in_it(
    with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    class Killing:
        def put_metric_data(self, **_: object) -> None:
            raise KeyboardInterrupt

    make_group(2)
    with monkeypatch.context() as killed:
        killed.setattr(metrics, "cloudwatch", Killing)
        with pytest.raises(KeyboardInterrupt):
            run()
    resize(1)
    run()
    assert "PutMetricData" not in calls
    clock.go_on()
    assert run() == {}
    assert sent()["Drains"] == [1]


def test_an_endpoint_that_takes_no_connection_costs_seconds(
    with_metrics: None, clock: Minutes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener whose queue is full answers nothing, as a subnet without a way to CloudWatch."""
    monkeypatch.setattr(metrics, "CONNECT_SECONDS", 0.3)
    with socket.socket() as silent, socket.socket() as filler:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        filler.connect(silent.getsockname())
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*silent.getsockname()))
        metrics.cloudwatch()  # making it is not what takes long
        began = time.monotonic()
        steps = metrics.keep_metrics(observation.Observation(has_group=True, desired=1))
        only = next(steps)
        assert only.act
        only.act()
        with pytest.raises(OSError, match="metrics are not sent: ConnectTimeoutError"):
            next(steps)
        assert 0.3 <= time.monotonic() - began < 10
    assert 3 * (metrics.CONNECT_SECONDS + metrics.READ_SECONDS) < tick.PAUSE_SECONDS


# As a person sees it


def test_explain_says_what_it_would_send_and_sends_nothing(
    with_metrics: None, calls: Counter[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)
    assert tick.explain() == 0
    assert "would  send metrics to SparkCluster/demo: WorkersDesired 2, WorkersInService 2," in capsys.readouterr().out
    assert "PutMetricData" not in calls
    assert not (root / "run/spark-cluster/metrics.json").exists()


def test_what_is_kept_is_small(with_metrics: None, root: Path) -> None:
    make_group(100)
    run()
    file = root / "run/spark-cluster/metrics.json"
    assert len(json.loads(file.read_text())["in_service"]) == 100
    assert file.stat().st_size < 100 * 30


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_notes_that_are_cut_off_are_none(with_metrics: None, root: Path, text: str) -> None:
    file = root / metrics.STATE_FILE.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    assert metrics.load() == {}
