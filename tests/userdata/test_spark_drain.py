"""spark-drain, the command by which a person has a worker leave."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import aws
import pytest
import spark_state
import worker_group
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.userdata.conftest import BUCKET, client
from tests.userdata.test_master_commands import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.userdata.conftest import Clock

    Drain = Callable[..., tuple[int, list[str]]]

WORKERS = {"i-0a": "10.0.0.6", "i-0b": "10.0.0.7", "i-0c": "10.0.0.8"}
GROUP = "demo-spark-workers"
REPORT = {"why": "Auto Scaling ends it", "seconds": 6.1, "in_time": True, "executors": [{"left": True}]}


class Cluster:
    """Its group, its workers' pages and Auto Scaling. What happens in each look at it is a list of functions."""

    def __init__(self) -> None:
        self.states: dict[str, str] | None = dict.fromkeys(WORKERS, "InService")
        self.executors: int | None = 2
        self.requests: list[dict[str, Any]] = []
        self.unprotected: list[dict[str, Any]] = []
        self.refusal: Exception | None = None
        self.looks: list[Callable[[], None]] = []

    def group(self) -> dict[str, Any] | None:
        if self.requests and self.looks:
            self.looks.pop(0)()
        if self.states is None:
            return None
        members = [{"InstanceId": name, "LifecycleState": state} for name, state in self.states.items()]
        return {"AutoScalingGroupName": GROUP, "Instances": members}

    def instances(self, name: str) -> dict[str, Any]:
        assert name == GROUP
        return {
            one: {
                "InstanceId": one,
                "PrivateIpAddress": ip,
                "PrivateDnsName": f"ip-{ip.replace('.', '-')}.ec2.internal",
            }
            for one, ip in WORKERS.items()
        }

    def page(self, host: str, port: int) -> dict[str, Any]:
        assert (host, port) == ("10.0.0.7", 8081)
        if self.executors is None:
            raise OSError("[Errno 111] Connection refused")
        return {"executors": [{}] * self.executors}

    def take(self, **arguments: Any) -> None:
        if self.refusal:
            raise self.refusal
        self.requests.append(arguments)

    terminate_instance_in_auto_scaling_group = enter_standby = take

    def set_instance_protection(self, **arguments: Any) -> None:
        assert self.requests == [], "before it is told to leave"
        self.unprotected.append(arguments)

    def report(self, said: dict[str, Any], name: str = "i-0b-2026-11-29T12-00-00Z") -> None:
        client("s3").put_object(Bucket=BUCKET, Key=f"logs/drains/{name}.json", Body=json.dumps(said))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, settle: Callable[..., None], cloud: None, clock: Clock) -> Cluster:
    assert (cloud, clock.pauses) == (None, [])
    settle("master")
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    made = Cluster()
    monkeypatch.setattr(worker_group, "group", made.group)
    monkeypatch.setattr(worker_group, "instances", made.instances)
    monkeypatch.setattr(spark_state, "page", made.page)
    monkeypatch.setattr(aws, "client", lambda service: made if service == "autoscaling" else client(service))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return made


@pytest.fixture
def drain(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Drain:
    """Calls it; its status, and the lines that it says."""
    module = load("spark-drain", monkeypatch)
    assert cluster.requests == []

    def call(*arguments: str) -> tuple[int, list[str]]:
        try:
            status = module.main(list(arguments))
        except SystemExit as ended:
            status = int(str(ended.code))
        said = capsys.readouterr()
        assert said.out == ""
        return status, [line.removeprefix("spark-drain: ") for line in said.err.splitlines()]

    return call


@pytest.mark.parametrize(
    "host", ["i-0b", "10.0.0.7", "ip-10-0-0-7.ec2.internal", "ip-10-0-0-7", "IP-10-0-0-7.EC2.INTERNAL"]
)
def test_a_worker_is_known_by_its_id_its_address_and_its_name(cluster: Cluster, drain: Drain, host: str) -> None:
    assert drain("--no-wait", host) == (
        0,
        ["i-0b (10.0.0.7) leaves; its instance ends then, and Auto Scaling launches another"],
    )
    assert cluster.requests == [{"InstanceId": "i-0b", "ShouldDecrementDesiredCapacity": False}]


@pytest.mark.parametrize("options", [(), ("--keep",)])
def test_a_worker_that_is_to_leave_is_not_protected_any_more(
    cluster: Cluster, drain: Drain, options: tuple[str, ...]
) -> None:
    """A destroy takes the protection from all that have it, and AWS refuses that of one that leaves."""
    drain("--no-wait", *options, "i-0b")
    assert cluster.unprotected == [
        {"AutoScalingGroupName": GROUP, "InstanceIds": ["i-0b"], "ProtectedFromScaleIn": False}
    ]


def test_what_is_kept_goes_on_standby_and_another_comes_in_its_place(cluster: Cluster, drain: Drain) -> None:
    assert drain("10.0.0.7", "--keep", "--no-wait") == (
        0,
        ["i-0b (10.0.0.7) leaves; its instance stays, on standby, and Auto Scaling launches another"],
    )
    assert cluster.requests == [
        {"InstanceIds": ["i-0b"], "AutoScalingGroupName": GROUP, "ShouldDecrementDesiredCapacity": False}
    ]


def test_it_shows_how_far_it_is_until_the_worker_has_said_how_it_ended(
    cluster: Cluster, drain: Drain, clock: Clock
) -> None:
    def left(executors: int | None) -> Callable[[], None]:
        return lambda: setattr(cluster, "executors", executors)

    cluster.looks = [left(2), left(2), left(1), left(0), left(None), lambda: cluster.report(REPORT)]
    status, said = drain("i-0b")
    assert (status, said[1:]) == (
        0,
        [
            "executors on it: 2",
            "executors on it: 1",
            "executors on it: 0",
            "its worker has stopped, or does not answer",
            "Auto Scaling ends it: drained within 6.1 s, 1 of 1 executors have left, 0 map outputs moved (0.0 MB)",
        ],
    )
    assert len(clock.pauses) == 5


def test_a_drain_that_was_not_done_in_time_is_a_status(cluster: Cluster, drain: Drain) -> None:
    late = {**REPORT, "in_time": False, "executors": [{"left": False}], "tasks": 1}
    cluster.looks = [lambda: cluster.report(late)]
    status, said = drain("i-0b")
    assert status == 1
    assert said[-1].startswith("Auto Scaling ends it: not drained within 6.1 s, 0 of 1 executors have left, ")
    assert said[-1].endswith(", 1 running tasks lost")


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({"shuffle_blocks_left": 2}, ", 2 not"),
        ({"executors": [{"left": True, "log_is_whole": False}]}, ", more may be: not all was read"),
    ],
)
def test_a_drain_that_did_not_hand_all_over_is_a_status(
    cluster: Cluster, drain: Drain, more: dict[str, Any], end: str
) -> None:
    """As one without another worker or a fallback."""
    cluster.looks = [lambda: cluster.report({**REPORT, **more})]
    status, said = drain("i-0b")
    assert status == 1
    assert said[-1].startswith("Auto Scaling ends it: drained")
    assert ("in part" in said[-1]) == ("shuffle_blocks_left" in more)
    assert said[-1].endswith(end)


@pytest.mark.parametrize("page", [{}, [], {"executors": 3}], ids=str)
def test_a_page_that_is_not_a_worker_s_is_no_progress(
    cluster: Cluster, drain: Drain, monkeypatch: pytest.MonkeyPatch, page: Any
) -> None:
    monkeypatch.setattr(spark_state, "page", lambda *_: page)
    cluster.looks = [lambda: None, lambda: cluster.report(REPORT)]
    status, said = drain("i-0b")
    assert (status, said[1]) == (0, "its worker has stopped, or does not answer")


def test_the_report_of_another_drain_is_none_of_this_one(cluster: Cluster, drain: Drain) -> None:
    """Of this worker before, whose report may be written anew with one reason more; and of one whose id begins so."""
    cluster.report({**REPORT, "why": "before"})
    cluster.looks = [
        lambda: None,
        lambda: cluster.report(REPORT, "i-0b1-2026-11-29T12-00-00Z"),
        lambda: cluster.report({**REPORT, "why": "before; and now"}),
    ]
    status, said = drain("i-0b")
    assert status == 0
    assert [line.partition(":")[0] for line in said[1:]] == ["executors on it", "before; and now"]


def test_an_instance_that_went_without_a_word_is_a_status(cluster: Cluster, drain: Drain) -> None:
    cluster.looks = [lambda: setattr(cluster, "states", {"i-0a": "InService"})]
    assert drain("i-0b") == (
        1,
        [
            "i-0b (10.0.0.7) leaves; its instance ends then, and Auto Scaling launches another",
            "i-0b is gone, and left no report of its drain",
        ],
    )


def test_a_report_of_an_instance_that_is_gone_counts(cluster: Cluster, drain: Drain) -> None:
    def end() -> None:
        cluster.report(REPORT)
        cluster.states = {}

    cluster.looks = [end]
    assert drain("i-0b")[0] == 0


def test_an_api_that_is_away_is_waited_for(cluster: Cluster, drain: Drain) -> None:
    def busy() -> None:
        raise EndpointConnectionError(endpoint_url="https://autoscaling")

    cluster.looks = [busy, busy, lambda: cluster.report(REPORT)]
    status, said = drain("i-0b")
    assert status == 0
    assert said[1] == 'EndpointConnectionError: Could not connect to the endpoint URL: "https://autoscaling"'
    assert said[2].startswith("Auto Scaling ends it: drained")


def test_it_does_not_watch_for_ever(drain: Drain, clock: Clock) -> None:
    began = clock.now
    status, said = drain("i-0b")
    assert (status, said[-1]) == (1, "saw no end of it in 7500 s")
    assert 7200 < clock.now - began < 7600


def test_who_stops_watching_does_not_stop_the_drain(cluster: Cluster, drain: Drain) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    cluster.looks = [interrupt]
    status, said = drain("i-0b")
    assert (status, said[-1]) == (130, "the drain goes on; spark-status shows how it ended")


def test_what_a_worker_wrote_does_not_speak_to_the_terminal(cluster: Cluster, drain: Drain) -> None:
    cluster.looks = [lambda: cluster.report({**REPORT, "why": "\x1b]0;x\x07"})]
    assert drain("i-0b")[1][-1].startswith("?]0;x?: drained")


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast", "i-0b"], "does not know --fast; usage: spark-drain [--keep] [--no-wait] HOST"),
        (["--keep"], "takes one HOST, got 0; usage: spark-drain [--keep] [--no-wait] HOST"),
        (["i-0a", "i-0b"], "takes one HOST, got 2; usage: spark-drain [--keep] [--no-wait] HOST"),
    ],
)
def test_refuses_what_it_does_not_know(cluster: Cluster, drain: Drain, arguments: list[str], message: str) -> None:
    assert drain(*arguments) == (2, [message])
    assert cluster.requests == []


@pytest.mark.parametrize("host", ["i-0d", "10.0.0.9", "", "master.demo-spark", "10.0.0"])
def test_refuses_who_is_no_worker_and_says_who_is(cluster: Cluster, drain: Drain, host: str) -> None:
    assert cluster.states is not None
    cluster.states["i-0a"] = "Pending:Wait"
    there = "those in service are i-0b (10.0.0.7), i-0c (10.0.0.8)"
    assert drain(host) == (1, [f"{host} is no worker of this cluster: {there}"])
    assert cluster.requests == []


def test_refuses_a_former_worker(cluster: Cluster, drain: Drain) -> None:
    """EC2 knows it for an hour, with the group's tag."""
    cluster.states = {}
    assert drain("i-0b") == (1, ["i-0b is no worker of this cluster: none is in service"])


def test_many_workers_are_not_all_named(cluster: Cluster, drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"i-{number:03}": f"10.0.1.{number}" for number in range(30)}
    monkeypatch.setattr(f"{__name__}.WORKERS", many)
    cluster.states = dict.fromkeys(many, "InService")
    _, (line,) = drain("i-9")
    assert line.endswith(", i-019 (10.0.1.19) and 10 more")


@pytest.mark.parametrize(
    "state", ["Pending", "Pending:Wait", "Terminating:Wait", "Standby", "EnteringStandby", "Detaching"]
)
@pytest.mark.parametrize("keep", [[], ["--keep"]])
def test_refuses_a_worker_that_is_not_in_service(cluster: Cluster, drain: Drain, state: str, keep: list[str]) -> None:
    assert cluster.states is not None
    cluster.states["i-0b"] = state
    assert drain("10.0.0.7", *keep) == (1, [f"i-0b (10.0.0.7) must be in service, and is in the state {state}"])
    assert cluster.requests == []


def test_refuses_before_there_is_a_group(cluster: Cluster, drain: Drain) -> None:
    cluster.states = None
    assert drain("i-0b") == (1, ["there is no group of workers yet"])


def test_what_auto_scaling_refuses_is_said_in_its_words(cluster: Cluster, drain: Drain) -> None:
    error = {"Error": {"Code": "ValidationError", "Message": "The instance i-0b is not part of the group."}}
    cluster.refusal = ClientError(error, "EnterStandby")
    assert drain("i-0b", "--keep") == (1, ["Auto Scaling refuses: The instance i-0b is not part of the group."])
    cluster.refusal = EndpointConnectionError(endpoint_url="https://autoscaling")
    status, (line,) = drain("i-0b")
    assert (status, line.partition(":")[0]) == (1, "Auto Scaling does not answer")


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["--help"], 0), (["-h"], 0), (["i-0b", "--help"], 0)])
def test_it_says_what_it_is_for_and_asks_nobody_for_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert load("spark-drain", monkeypatch).main(arguments) == status
    said = capsys.readouterr()
    assert (said.err if status else said.out).startswith("spark-drain [--keep] [--no-wait] HOST: have a worker leave")


def test_it_begins_again_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(_: str, command: list[str]) -> None:
        raise SystemExit(command)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execvp", replace)
    with pytest.raises(SystemExit) as ended:
        load("spark-drain", monkeypatch).main(["i-0b", "--keep"])
    assert isinstance(ended.value.code, list)
    sudo, dashes, program, *arguments = ended.value.code
    assert (sudo, dashes, arguments) == ("sudo", "--", ["i-0b", "--keep"])
    assert program.endswith("/spark-drain")
