"""Workers that leave, in every way, in the middle of a job: what the job then runs again.

All leave one cluster, which is destroyed at the end; `test_health` has it before, if it runs. What takes its time and
has a sibling here runs in `make test-long` alone, as does the real notice of 120 s with more than a gigabyte on the
worker that leaves.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lab import chaos, faults
from lab.cluster import TICK_SECONDS, Cluster, until
from lab.deployment import ROOT
from lab.drains import Move
from lab.hosts import Host
from lab.inventory import ClusterInAws
from lab.lab import run
from tests.aws_commands import AwsCommand, commands_in
from tests.lab.apps.leaving import DRAIN_SECONDS
from tests.lab.conftest import begin_meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.deployment import Deployment
    from lab.drains import Count
    from lab.lab import Lab
    from lab.shuffles import Shuffle

LONG = bool(os.environ.get("LONG"))
NOTICE_SECONDS = 120 if LONG else 60
"""Of which a drain has all but the last 10. EC2 gives 120: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html."""
MEBIBYTES = 3600 if LONG else 240
LEAST_BYTES = 1_000_000_000 if LONG else 60_000_000
"""On the disk of the worker that leaves."""
INTERRUPTED_JOB = (
    *("--map-tasks", "24", "--reduce-tasks", str(24 * (os.cpu_count() or 2))),
    *("--seconds", "20" if LONG else "9"),
)
"""A reduce stage that outlasts the notice, with a worker less, and no longer; a host has the cores of this machine."""
JOB = ("--map-tasks", "24", "--reduce-tasks", "48" if LONG else "24", "--seconds", "9")
"""In the long form it outlasts a rebalance, which first has another worker in service, and a master that restarts."""
JOB_MEBIBYTES = 240
FIRST = 6
"""After so many reduce tasks a worker is to leave."""
GONE_SECONDS = DRAIN_SECONDS + 60
DESTROY_SECONDS = 300
DECOMMISSIONED = "decommission"
GROUP_NAME = "leaving-spark-workers"


@pytest.fixture(scope="module", autouse=True)
def meanwhile(request: pytest.FixtureRequest) -> None:
    """While these wait, what `test_changes` looks at."""
    begin_meanwhile(request, "next_release")


@pytest.fixture
def three(leaving: Cluster) -> Cluster:
    """With three workers, all of them in service."""
    chaos.settled(leaving, 3)
    return leaving


@pytest.fixture
def begin(begin_shuffle: Callable[..., Shuffle]) -> Callable[..., Shuffle]:
    """Run this module's job until some reduce tasks have ended; what still runs at the test's end is ended."""

    def run_it(cluster: Cluster, mebibytes: int = JOB_MEBIBYTES, *options: str, first: int = FIRST) -> Shuffle:
        return begin_shuffle(cluster, mebibytes, *(options or JOB), first=first)

    return run_it


def drains(cluster: Cluster, host: Host) -> list[dict[str, Any]]:
    """What a host has told in the bucket of its drains."""
    client, bucket = cluster.lab.client("s3"), cluster.bucket()
    listed = client.list_objects_v2(Bucket=bucket, Prefix=f"logs/drains/{host.instance_id}-").get("Contents", [])
    return [json.load(client.get_object(Bucket=bucket, Key=one["Key"])["Body"]) for one in listed]


def drain_of(cluster: Cluster, host: Host, *kinds: str) -> dict[str, Any]:
    """What a host has told of its one drain, which was for these kinds of notice, or some of them."""
    until(lambda: bool(drains(cluster, host)), 30, f"{host.instance_id} tells of its drain")
    (report,) = drains(cluster, host)
    assert set(report["kinds"]) <= set(kinds)
    assert report["instance"] == host.instance_id
    return report


def fullest(cluster: Cluster, job: Shuffle) -> Host:
    """The worker that has most of a job's map outputs."""
    return max(cluster.workers().values(), key=job.bytes_on)


def assert_moved(job: Shuffle, report: dict[str, Any]) -> None:
    """That all map outputs of a worker were moved, and that no setting of Spark's kept one from it.

    A setting of the wrong type ends every migration, and nothing but the executor's log says so.
    """
    assert report["shuffle_blocks"] > 0, f"{report}"
    assert report["shuffle_blocks_left"] == 0, f"{report}"
    left = {f"{one['executor']}/stderr" for one in report["executors"] if one["application"] == job.application}
    assert left
    until(lambda: left <= job.cluster.executors_logs(job.application).keys(), 30, f"logs of {left}")
    for name, text in job.cluster.executors_logs(job.application).items():
        assert "INVALID_CONF_VALUE" not in text, name


def assert_nothing_lost(job: Shuffle, *reports: dict[str, Any]) -> Count:
    """That a job has ended well, no map task ran again, and its reduce stage had an attempt more for each drain."""
    job.wait()
    count, drained = job.count(), len(reports)
    assert count.succeeded == {0: True}
    assert count.map_outputs == int(JOB[1])
    assert count.map_tasks_again == count.retried_map_tasks == 0, f"{count} {reports}"
    assert max(count.attempts.values()) <= 1 + drained, f"{count}"
    assert sum(DECOMMISSIONED in why for why in count.removed.values()) >= drained, f"{count}"
    return count


def record(record_property: Callable[[str, object], None], count: Count, report: dict[str, Any]) -> None:
    record_property("seconds of the drain:", report["seconds"])
    record_property("map outputs moved, bytes:", (report["shuffle_blocks"], report["shuffle_bytes"]))
    record_property("reduce tasks in further attempts:", count.retried_reduce_tasks)
    record_property("reduce tasks that failed:", dict(count.failures))


def to_be_interrupted(cluster: Cluster, begin: Callable[..., Shuffle]) -> tuple[Shuffle, Host]:
    """A job that reduces, and the worker with most of its map outputs."""
    job = begin(cluster, MEBIBYTES, *INTERRUPTED_JOB)
    host = fullest(cluster, job)
    assert job.bytes_on(host) >= LEAST_BYTES
    return job, host


def lose_power(cluster: Cluster, job: Shuffle, host: Host) -> None:
    """Interrupt a worker, and wait until its power is cut, while the job still reduces."""
    cluster.interrupt(host.instance_id, NOTICE_SECONDS)
    until(lambda: host.first_process is None, NOTICE_SECONDS + 30, "the power cut")
    assert not job.answers, "the job still reads map outputs"


@contextmanager
def no_tick(cluster: Cluster) -> Iterator[None]:
    """While its master changes no protection, and tells Auto Scaling of nobody."""
    run(cluster.master(), "systemctl", "stop", "spark-tick")
    try:
        yield
    finally:
        run(cluster.master(), "systemctl", "start", "spark-tick")


@pytest.fixture
def untold(three: Cluster) -> Iterator[None]:
    """One worker leaves, and no other because Auto Scaling was told of it."""
    with no_tick(three):
        yield


@pytest.mark.usefixtures("untold")
def test_an_interrupted_worker_loses_no_map_output(
    three: Cluster, begin: Callable[..., Shuffle], record_property: Callable[[str, object], None]
) -> None:
    job, host = to_be_interrupted(three, begin)
    lose_power(three, job, host)
    report = drain_of(three, host, "spot", "termination")
    count = assert_nothing_lost(job, report)
    assert "spot" in report["kinds"]
    assert_moved(job, report)
    record(record_property, count, report)


@pytest.mark.long
def test_without_the_drain_the_same_interruption_costs_map_tasks(
    three: Cluster, begin: Callable[..., Shuffle], record_property: Callable[[str, object], None]
) -> None:
    job, host = to_be_interrupted(three, begin)
    assert run(host, "systemctl", "stop", "spark-notice").returncode == 0
    lose_power(three, job, host)
    job.wait(600)
    count = job.count()
    assert count.map_tasks_again > 0
    assert not [why for why in count.removed.values() if DECOMMISSIONED in why]
    assert drains(three, host) == []
    record_property("map tasks again:", count.map_tasks_again)


def scale_in(cluster: Cluster) -> list[Host]:
    """One worker less; which, Auto Scaling says: it was idle when the master looked last, and has tasks now."""
    with no_tick(cluster):
        cluster.lab.client("autoscaling").set_instance_protection(
            AutoScalingGroupName=GROUP_NAME, InstanceIds=list(cluster.members()), ProtectedFromScaleIn=False
        )
        cluster.set_size(2)
        until(lambda: "Terminating:Wait" in cluster.members().values(), 30, "a worker that is to go")
    return [Host(name) for name, state in cluster.members().items() if state == "Terminating:Wait"]


def rebalance(cluster: Cluster) -> list[Host]:
    """A worker that EC2 is likely to take back: it goes once another is in service."""
    host = next(iter(cluster.workers().values()))
    cluster.recommend_rebalance(host.instance_id)
    time.sleep(15)
    assert cluster.members()[host.instance_id] == "InService", "a recommendation alone drains nobody"
    assert run(host, "systemctl", "is-active", "spark-drain").stdout.strip() == "inactive"
    return [host]


def operator(cluster: Cluster) -> list[Host]:
    """`spark-drain`, which waits until the worker has gone."""
    address, host = next(iter(cluster.workers().items()))
    done = run(cluster.master(), "/usr/local/bin/spark-drain", address, timeout=GONE_SECONDS)
    assert done.returncode == 0, done.stderr
    return [host]


@pytest.mark.long
@pytest.mark.parametrize(
    "leave",
    [scale_in, rebalance, operator],
)
def test_a_worker_that_is_terminated_is_drained_first(
    three: Cluster,
    begin: Callable[..., Shuffle],
    record_property: Callable[[str, object], None],
    leave: Callable[[Cluster], list[Host]],
) -> None:
    job = begin(three)
    for host in leave(three):
        three.wait_for(host.instance_id, "", GONE_SECONDS)
        report = drain_of(three, host, "termination")
        count = assert_nothing_lost(job, report)
        assert report["in_time"], f"{report}"
        assert_moved(job, report)
        record(record_property, count, report)


@pytest.mark.long
def test_a_worker_that_is_kept_is_drained_and_its_host_stays(three: Cluster, begin: Callable[..., Shuffle]) -> None:
    job = begin(three)
    address, host = next(iter(three.workers().items()))
    done = run(three.master(), "/usr/local/bin/spark-drain", "--keep", address, timeout=GONE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert three.members()[host.instance_id] == "Standby"
    report = drain_of(three, host, "standby")
    assert_nothing_lost(job, report)
    assert_moved(job, report)
    assert run(host, "systemctl", "is-active", "spark-worker").stdout.strip() == "inactive"
    assert run(host, "systemctl", "is-enabled", "spark-worker").stdout.strip() == "disabled"
    until(lambda: len(three.workers()) == 3, 120, "another one is in its place")
    documented("terminate-instance-in-auto-scaling-group").run(
        three.lab.client("autoscaling"), InstanceId=host.instance_id
    )
    three.wait_for(host.instance_id, "", GONE_SECONDS)
    assert len(three.members()) == 3, "the one in its place stays"


def documented(operation: str) -> AwsCommand:
    """What the page says to type."""
    page = (ROOT / "docs/leaving.md").read_text(encoding="utf-8")
    (command,) = [found for found in commands_in(page) if f" {operation} " in found]
    return AwsCommand.parse(command)


@pytest.mark.long
def test_a_worker_that_was_kept_comes_back_into_service_and_may_leave_again(three: Cluster) -> None:
    address, host = next(iter(three.workers().items()))
    done = run(three.master(), "/usr/local/bin/spark-drain", "--keep", address, timeout=GONE_SECONDS)
    assert done.returncode == 0, done.stderr
    until(lambda: len(three.workers()) == 3, 120, "another one is in its place")
    documented("exit-standby").run(
        three.lab.client("autoscaling"), AutoScalingGroupName=GROUP_NAME, InstanceIds=[host.instance_id]
    )
    until(lambda: address in three.alive() & three.workers().keys(), 60, "it is back")
    assert run(host, "systemctl", "is-enabled", "spark-worker").stdout.strip() == "enabled"
    done = run(three.master(), "/usr/local/bin/spark-drain", address, timeout=GONE_SECONDS)
    assert done.returncode == 0, done.stderr
    three.wait_for(host.instance_id, "", GONE_SECONDS)


@pytest.mark.long
def test_a_drain_may_be_cut_off_by_hand(three: Cluster, begin: Callable[..., Shuffle]) -> None:
    job = begin(three, JOB_MEBIBYTES, *JOB[:-1], "1", "--sleeping", "6", "--sleep-seconds", "120", first=0)
    host = fullest(three, job)
    terminate(three, host)
    until(lambda: is_draining(host), 30, "the drain")
    documented("complete-lifecycle-action").run(
        three.lab.client("autoscaling"), AutoScalingGroupName=GROUP_NAME, InstanceId=host.instance_id
    )
    assert three.wait_for(host.instance_id, "", GONE_SECONDS) < DRAIN_SECONDS / 2


def terminate(cluster: Cluster, host: Host) -> None:
    """As an operator does by hand, so that another one takes its place."""
    client = cluster.lab.client("autoscaling")
    client.terminate_instance_in_auto_scaling_group(InstanceId=host.instance_id, ShouldDecrementDesiredCapacity=False)


@pytest.mark.long
def test_a_refresh_drains_one_worker_after_the_other(
    three: Cluster, leaving_deployment: Deployment, begin: Callable[..., Shuffle]
) -> None:
    """Members that are protected from scale-in, too."""
    old = list(three.workers().values())
    client = three.lab.client("autoscaling")
    client.set_instance_protection(
        AutoScalingGroupName=GROUP_NAME, InstanceIds=[old[0].instance_id], ProtectedFromScaleIn=True
    )
    job = begin(three, JOB_MEBIBYTES, "--map-tasks", "24", "--reduce-tasks", "48", "--seconds", "20")
    leaving_deployment.context = {**leaving_deployment.context, "volume_gib": 101}
    done = leaving_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    for host in old:
        three.wait_for(host.instance_id, "", 600)
    reports = [drain_of(three, host, "termination") for host in old]
    assert all(one["in_time"] for one in reports), f"{reports}"
    assert_nothing_lost(job, *reports)


@pytest.mark.long
def test_one_after_the_other_is_interrupted_under_jobs_that_never_pause(
    three: Cluster, record_property: Callable[[str, object], None]
) -> None:
    """The short form of `make chaos`, whose table counts the map tasks that ran again."""
    jobs = chaos.Chaos(three)
    outcomes = jobs.run(3, 600)
    record_property("chaos:", f"{len(jobs.interrupted)} interruptions\n{chaos.table(outcomes)}")
    assert len(jobs.interrupted) == 3
    assert [one for one in outcomes if one.is_lost or one.is_wrong] == []
    assert max(one.drains for one in outcomes) >= 2, "one job has several drains inside one reduce stage"


@pytest.mark.long
@pytest.mark.parametrize("how", ["restarted", "down"])
def test_a_drain_outlives_its_master(three: Cluster, begin: Callable[..., Shuffle], how: str) -> None:
    """A restarted master lists the worker as alive; one that is away cannot be told at all, and executors are."""
    job = begin(three)
    host, master = fullest(three, job), three.master()
    if how == "down":
        run(master, "systemctl", "stop", "spark-master")
    terminate(three, host)
    if how == "restarted":
        until(lambda: is_draining(host), 30, "the drain")
        run(master, "systemctl", "restart", "spark-master")
    else:
        until(lambda: not has_executors(host), DRAIN_SECONDS, "the executors have left")
        run(master, "systemctl", "start", "spark-master")
    three.wait_for(host.instance_id, "", GONE_SECONDS)
    report = drain_of(three, host, "termination")
    assert_nothing_lost(job, report)
    assert_moved(job, report)


def is_draining(host: Host) -> bool:
    return host.first_process is not None and run(host, "systemctl", "is-active", "spark-drain").stdout.strip() in {
        "active",
        "activating",
    }


def has_executors(host: Host) -> bool:
    return host.first_process is not None and not run(host, "pgrep", "-f", "CoarseGrainedExecutorBackend").returncode


@pytest.mark.long
def test_a_worker_leaves_though_its_master_was_replaced(
    lab: Lab, three: Cluster, leaving_deployment: Deployment
) -> None:
    """A job ends with its master, which has its driver; the worker finds the next one, and leaves that."""
    host = next(iter(three.workers().values()))
    old = three.in_aws.master()["InstanceId"]
    lab.client("ec2").terminate_instances(InstanceIds=[old])
    until(lambda: Host(old).first_process is None, 120, "the master has gone")
    terminate(three, host)
    three.wait_for(host.instance_id, "", GONE_SECONDS)
    assert drain_of(three, host, "termination")["in_time"]
    done = leaving_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    three.wait_ready()


@pytest.mark.long
def test_a_drain_without_aws_is_finished_once_aws_is_back(three: Cluster, begin: Callable[..., Shuffle]) -> None:
    job = begin(three)
    host = fullest(three, job)
    with faults.injected(unavailable=["leaving"]):
        terminate(three, host)
        until(lambda: is_draining(host), 30, "the drain")
        until(lambda: not has_executors(host), DRAIN_SECONDS, "the executors have left")
        time.sleep(10)
        assert three.members()[host.instance_id] == "Terminating:Wait"
    three.wait_for(host.instance_id, "", 120)
    report = drain_of(three, host, "termination")
    assert_nothing_lost(job, report)
    assert_moved(job, report)


@pytest.mark.long
def test_a_second_notice_shortens_the_drain_and_no_notice_lengthens_it(
    three: Cluster, begin: Callable[..., Shuffle]
) -> None:
    """The first is answered within a minute; the second is EC2's own, with a task that sleeps through both."""
    job = begin(three, JOB_MEBIBYTES, *JOB[:-1], "1", "--sleeping", "6", "--sleep-seconds", "90", first=0)
    host = fullest(three, job)
    terminate(three, host)
    until(lambda: is_draining(host), 30, "the drain")
    three.interrupt(host.instance_id, 40)
    three.wait_for(host.instance_id, "", 90)
    job.wait(400)
    report = drain_of(three, host, "termination", "spot")
    assert set(report["kinds"]) == {"termination", "spot"}
    assert report["deadline"] < report["noticed_at"] + DRAIN_SECONDS - 10
    assert report["seconds"] < DRAIN_SECONDS - 10
    assert job.count().map_tasks_again == 0


@pytest.mark.long
def test_a_drain_that_cannot_end_ends_at_its_time_and_says_so(three: Cluster, begin: Callable[..., Shuffle]) -> None:
    """A task sleeps for longer: it is lost and runs again, while what was moved is not."""
    job = begin(three, JOB_MEBIBYTES, *JOB[:-1], "1", "--sleeping", "6", "--sleep-seconds", "120", first=0)
    host = fullest(three, job)
    terminate(three, host)
    seconds = three.wait_for(host.instance_id, "", GONE_SECONDS)
    assert seconds >= DRAIN_SECONDS - 1
    report = drain_of(three, host, "termination")
    assert not report["in_time"]
    assert report["tasks"] > 0
    assert report["shuffle_blocks_left"] == 0
    job.wait(600)
    count = job.count()
    assert count.map_tasks_again == 0
    assert count.succeeded == {0: True}


@pytest.mark.long
@pytest.mark.parametrize(
    "step",
    [
        *("fetch_programs", "check_settings", "make_users", "ask_for_secrets", "install_spark", "fetch_secrets"),
        *("configure", "run_setup_script", "start_spark", "wait_until_ready"),
    ],
)
def test_a_notice_during_a_boot_ends_the_boot_and_the_launch(leaving: Cluster, step: str) -> None:
    """The boot stands still at the step until the notice has come; before it has its programs it has no watch."""
    leaving.set_size(1)
    until(lambda: len(leaving.members()) == 1, 180, "one member")
    before = set(leaving.members())
    leaving.set_size(2)
    until(lambda: set(leaving.members()) - before, 30, "one more member")
    (host,) = map(Host, set(leaving.members()) - before)
    end = time.monotonic() + 120
    while f" {step}\n" not in host.boot_log:
        assert time.monotonic() < end, step
        time.sleep(0.05)
    if step != "fetch_programs":
        run(host, "systemctl", "kill", "--signal=SIGSTOP", "spark-boot.service")
    assert "boot succeeded" not in host.console
    leaving.interrupt(host.instance_id, 120)
    leaving.wait_for(host.instance_id, "", 90)
    assert "this instance leaves: spot interruption" in host.console
    assert "boot succeeded" not in host.console


def by_an_interruption(cluster: Cluster, host: Host) -> None:
    cluster.interrupt(host.instance_id, 120)
    until(lambda: host.first_process is None, 150, "the power cut")


def by_an_operator(cluster: Cluster, host: Host) -> None:
    done = run(cluster.master(), "/usr/local/bin/spark-drain", host.instance_id, timeout=GONE_SECONDS)
    assert done.returncode == 0, done.stderr
    cluster.wait_for(host.instance_id, "", GONE_SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("leave", [by_an_interruption, by_an_operator])
def test_the_only_worker_leaves_its_map_outputs_in_the_bucket(
    lab: Lab,
    leaving: Cluster,
    begin: Callable[..., Shuffle],
    record_property: Callable[[str, object], None],
    leave: Callable[[Cluster, Host], None],
) -> None:
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    chaos.settled(leaving, 1)
    job = begin(leaving, 100, "--map-tasks", JOB[1], "--reduce-tasks", "24", "--seconds", "3", first=4)
    (host,) = leaving.workers().values()
    with faults.injected(failed_launches={"leaving": "capacity"}):  # a replacement that comes in time would be a peer
        leave(leaving, host)
    report = drain_of(leaving, host, "spot", "termination")
    count = assert_nothing_lost(job, report)
    assert report["in_time"], f"{report}"
    assert report["fallback_blocks"] == report["shuffle_blocks"] == count.map_outputs
    assert report["shuffle_blocks_left"] == 0
    record(record_property, count, report)
    moves = [move for log in leaving.executors_logs(job.application).values() for move in Move.all_in(log)]
    record_property("seconds of each upload:", [round(move.seconds, 2) for move in moves])
    client, bucket = lab.client("s3"), leaving.bucket()
    left = client.list_objects_v2(Bucket=bucket, Prefix=f"fallback/{job.application}/").get("Contents", [])
    assert [one["Key"] for one in left] == [], "its driver has cleaned up"


def test_a_destroy_with_busy_workers_ends_within_minutes(
    lab: Lab,
    leaving: Cluster,
    leaving_deployment: Deployment,
    begin: Callable[..., Shuffle],
    record_property: Callable[[str, object], None],
) -> None:
    """All of them are protected from scale-in; in the long form there is no master any more that would lift that."""
    chaos.settled(leaving, 3)
    hosts = [*leaving.workers().values(), leaving.master()]
    begin(leaving, JOB_MEBIBYTES, *JOB[:-1], "1", "--sleeping", "24", "--sleep-seconds", "900", first=0)
    until(lambda: leaving.protected() == set(leaving.members()), 2 * TICK_SECONDS, "all are protected")
    if LONG:
        lab.client("ec2").stop_instances(InstanceIds=[hosts[-1].instance_id])
        until(lambda: hosts[-1].first_process is None, 60, "the master has stopped")
    begun = time.monotonic()
    done = leaving_deployment.destroy()
    assert done.returncode == 0, done.stdout[-4000:]
    seconds = time.monotonic() - begun
    record_property("seconds:", round(seconds))
    assert seconds < DESTROY_SECONDS
    assert {kind: found for kind, found in ClusterInAws(lab, "leaving").left().items() if found} == {}
    launched = leaving.in_aws.launched()
    assert {host.instance_id for host in hosts} <= launched
    until(lambda: not lab.running_hosts() & launched, 60, "no host is left")
    until(lambda: not lab.mounted_hosts() & launched, 30, "no host's disk is left")
