"""Workers that compute stay, sick ones leave, and a trouble of the master's own or of AWS's costs nobody.

The cluster is the one that `test_leaving` has afterwards. Its master calls a worker sick that it has not listed for a
minute, once after the real ten; AWS refuses its metrics all the time. All of it takes more than half an hour, and runs
in `make test-long` alone.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lab import chaos, faults
from lab.cluster import TICK_SECONDS, Cluster, start, stop, until, write
from lab.lab import run
from tests.lab.apps.leaving import DRAIN_SECONDS, UNLISTED_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.deployment import Deployment
    from lab.hosts import Host
    from lab.lab import Lab
    from lab.shuffles import Shuffle

    Begin = Callable[..., Shuffle]
    Record = Callable[[str, object], None]
    Fault = Callable[[Cluster, Host], None]

pytestmark = pytest.mark.long

WORKERS = 4
TROUBLE_SECONDS = 300
"""For which a master or AWS is away."""
REAL_UNLISTED_SECONDS, MOST_SECONDS = 600, 15 * 60
"""The argument's default, and by when a successor is to be in service then."""
DROPPED_SECONDS = 30 + 15 + 5
"""`spark.worker.timeout`, by which the master looks for who is silent, and what a busy machine adds."""
BOOT_SECONDS = 120
JOB_MEBIBYTES = 240
JOB = ("--map-tasks", "24", "--reduce-tasks", "64", "--seconds", "9")
"""It lasts until a sick worker has gone."""
SLEEPING_TASKS = ("--map-tasks", "4", "--reduce-tasks", "4", "--sleeping", "4", "--sleep-seconds", "45")
FIRST = 6
"""After so many reduce tasks a worker falls sick."""
LOCAL = "/var/lib/spark-local"
DISK_MEBIBYTES = 700
FILL_SECONDS = 45
"""Until nothing is free, from the moment that what is free is as little as 12 %."""
TWO_COLLECTORS = "-XX:+UseSerialGC -XX:+UseParallelGC"
"""Of which a JVM takes one; an option that it does not know ends none of Spark's."""
MOST_DYING_SECONDS = 120 + 60 + 3 * TICK_SECONDS
"""Two minutes of deaths, what a driver takes to begin and to end, and what a busy machine adds."""
DYING_JOB = """
from pyspark.sql import SparkSession
print(SparkSession.builder.appName("starts").getOrCreate().range(10).count())
"""
ALL_PROTECTED = "all remaining instances are protected from scale-in"

FILL = """
import os, sys, time
folder, seconds = sys.argv[1], float(sys.argv[2])
seen = os.statvfs(folder)
size = seen.f_blocks * seen.f_frsize
with open(os.path.join(folder, "filler"), "wb", buffering=0) as file:
    while True:
        seen = os.statvfs(folder)
        slow = seen.f_bavail < 0.12 * seen.f_blocks
        try:
            file.write(bytes(max(1 << 16, size // 800) if slow else 1 << 22))
        except OSError:
            pass
        time.sleep(seconds / 96 if slow else 0)
"""


@pytest.fixture(autouse=True)
def no_metrics(leaving: Cluster) -> Iterator[None]:
    """CloudWatch takes nothing of this cluster, whose master is to put metrics there."""
    with faults.injected(refused={leaving.name: ["cloudwatch:PutMetricData"]}):
        yield


@pytest.fixture
def four(leaving: Cluster) -> Cluster:
    """With four workers, all of them in service."""
    chaos.settled(leaving, WORKERS)
    return leaving


@pytest.fixture
def begin(begin_shuffle: Begin) -> Begin:
    """Run a job until some of its reduce tasks have ended; what still runs at the test's end is ended."""

    def run_it(cluster: Cluster) -> Shuffle:
        return begin_shuffle(cluster, JOB_MEBIBYTES, *JOB, first=FIRST)

    return run_it


def in_service(cluster: Cluster) -> set[str]:
    return {name for name, state in cluster.members().items() if state == "InService"}


def alive(cluster: Cluster) -> set[str]:
    """The members in service that the master has."""
    listed = cluster.alive()
    return {host.instance_id for address, host in cluster.workers().items() if address in listed}


# --- a trouble of the master's own, or of AWS's ------------------------------------------------------------------


def test_a_master_that_stands_still_and_starts_again_costs_no_worker_and_no_job(
    four: Cluster, begin: Begin, record_property: Record
) -> None:
    """And refused metrics do not either."""
    master, members = four.master(), four.members()
    job = begin(four)
    stop = ("systemctl", "kill", "--kill-who=main", "--signal=SIGSTOP", "spark-master")
    assert run(master, *stop).returncode == 0
    assert_nobody_leaves(four, members, TROUBLE_SECONDS)
    assert four.state() == {}
    assert run(master, "systemctl", "restart", "spark-master").returncode == 0
    seconds = until(lambda: four.alive() == set(four.workers()), 120, "all workers are back")
    record_property("seconds until all workers were back:", round(seconds))
    job.wait()
    assert_nobody_leaves(four, members, UNLISTED_SECONDS + 2 * TICK_SECONDS)
    assert four.members() == members
    assert any("cloudwatch:PutMetricData" in one["message"] for one in four.refused())


def assert_nobody_leaves(cluster: Cluster, members: dict[str, str], seconds: float) -> None:
    """That the group is as it was, for so long, and nobody is called sick."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        group = cluster.in_aws.group()
        assert cluster.members() == members
        assert {one["HealthStatus"] for one in group["Instances"]} == {"Healthy"}
        time.sleep(2)


def test_a_master_that_is_replaced_costs_no_worker(
    lab: Lab, four: Cluster, leaving_deployment: Deployment, record_property: Record
) -> None:
    members, old = four.members(), four.master()
    lab.client("ec2").terminate_instances(InstanceIds=[old.instance_id])
    until(lambda: old.first_process is None, 120, "the master has gone")
    done = leaving_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    seconds = until(lambda: four.alive() == set(four.workers()), 300, "all workers are with the next master")
    record_property("seconds from the deploy's end until all workers were with the next master:", round(seconds))
    assert_nobody_leaves(four, members, UNLISTED_SECONDS + 2 * TICK_SECONDS)


def test_while_aws_is_away_nobody_is_replaced_and_a_sick_worker_is_afterwards(
    four: Cluster, begin: Begin, record_property: Record
) -> None:
    job, members = begin(four), four.members()
    address, host = next(iter(four.workers().items()))
    with faults.injected(unavailable=[four.name]):
        hung(four, host)
        assert_nobody_leaves(four, members, TROUBLE_SECONDS)
    course = Course(four, {address: host.instance_id})
    course.watch(UNLISTED_SECONDS + 3 * TICK_SECONDS + BOOT_SECONDS)
    record_property("seconds since AWS was back:", course)
    job.wait()


# --- who is sick goes --------------------------------------------------------------------------------------------


def full_disk(_: Cluster, host: Host) -> None:
    """The disk of the shuffle data runs full, at last by a percent in a few seconds, until nothing is left."""
    fill = ("/usr/bin/python3", "-c", FILL, LOCAL, str(FILL_SECONDS))
    assert run(host, "systemd-run", "--unit=lab-fill", *fill).returncode == 0


def hung(_: Cluster, host: Host) -> None:
    """The worker's JVM stands still; its executors do not."""
    stop = ("systemctl", "kill", "--kill-who=main", "--signal=SIGSTOP", "spark-worker")
    assert run(host, *stop).returncode == 0


def cut_off(cluster: Cluster, host: Host) -> None:
    """Master and driver hear nothing more of it; AWS does, and its metadata answer."""
    host.lose(cluster.master_address())


def no_local_dirs(cluster: Cluster, host: Host) -> None:
    """It comes back from a reboot with something else where its folder was."""
    spoil = f"systemctl stop spark-worker && rm -rf {LOCAL} && touch {LOCAL}"
    assert run(host, "sh", "-c", spoil).returncode == 0
    cluster.lab.client("ec2").reboot_instances(InstanceIds=[host.instance_id])


@dataclass
class Course:
    """What becomes of workers that fall sick at this moment, in seconds since then.

    Attributes:
        cluster: where they are.
        sick: the instance of each, by its address.
        unlisted: when the master listed it no longer as alive, by instance.
        left: when it was no longer in service.
        successors: when each further one was, and with the master.
    """

    cluster: Cluster
    sick: dict[str, str]
    began: float = field(default_factory=time.monotonic)
    before: set[str] = field(init=False)
    unlisted: dict[str, float] = field(default_factory=dict)
    left: dict[str, float] = field(default_factory=dict)
    successors: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = in_service(self.cluster)

    def look(self) -> bool:
        """Note what is new; whether all have left and have successors."""
        members, state = in_service(self.cluster), self.cluster.state()
        alive = {worker["host"] for worker in state.get("workers", []) if worker["state"] == "ALIVE"}
        now = time.monotonic() - self.began
        for address, instance_id in self.sick.items():
            if state and address not in alive:
                self.unlisted.setdefault(instance_id, now)
            if instance_id not in members:
                self.left.setdefault(instance_id, now)
        for address, host in self.cluster.workers().items():
            if host.instance_id not in self.before and address in alive:
                self.successors.setdefault(host.instance_id, now)
        return len(self.left) == len(self.successors) == len(self.sick)

    def watch(self, seconds: float) -> None:
        """Wait until all have left and have successors; nobody else leaves meanwhile."""
        until(self.look, seconds, f"successors of {self}")
        others = self.before - set(self.sick.values())
        assert others <= in_service(self.cluster), "nobody else has left"

    def __str__(self) -> str:
        def shown(times: dict[str, float]) -> str:
            return ", ".join(str(round(one)) for one in times.values())

        return f"unlisted {shown(self.unlisted)}; told {shown(self.left)}; in service {shown(self.successors)}"


FAULTS = {
    "a full disk": (full_disk,),
    "hung": (hung,),
    "cut off": (cut_off,),
    "no local-dirs": (no_local_dirs,),
    "a full disk and hung": (full_disk, hung),
    "hung, cut off, no local-dirs": (hung, cut_off, no_local_dirs),
}
SLOW = (hung, cut_off)


@pytest.mark.parametrize("name", FAULTS)
def test_sick_workers_are_replaced_under_a_job_that_succeeds_however_often_the_tick_is_killed(
    four: Cluster, begin: Begin, record_property: Record, name: str
) -> None:
    causes = FAULTS[name]
    chosen = dict(list(four.workers().items())[: len(causes)])
    for (address, host), cause in zip(chosen.items(), causes, strict=True):
        if cause is full_disk:
            put_disk(four, address, host)
    master = four.master()
    job = begin(four)
    with killed_again_and_again(master, "spark-tick") as kills:
        course = Course(four, {address: host.instance_id for address, host in chosen.items()})
        for host, cause in zip(chosen.values(), causes, strict=True):
            cause(four, host)
        for host, cause in zip(chosen.values(), causes, strict=True):
            if cause in SLOW:  # long enough unlisted, and on its way out, to be seen
                watched_until_status_says(course, "unlisted", host, DROPPED_SECONDS + 2 * TICK_SECONDS)
                watched_until_status_says(course, "replaced", host, UNLISTED_SECONDS + BOOT_SECONDS + 2 * TICK_SECONDS)
                break
        one_by_one = len(causes) * (BOOT_SECONDS + 2 * TICK_SECONDS)
        course.watch(DROPPED_SECONDS + UNLISTED_SECONDS + one_by_one)
    record_property(f"{name}, seconds since then:", course)
    record_property("kills of the tick meanwhile:", len(kills))
    assert kills
    job.wait(600)
    if causes == (full_disk,):
        assert job.count().map_tasks_again == 0


def put_disk(cluster: Cluster, address: str, host: Host) -> None:
    """Give a worker a small disk for its local data, and wait until it is back."""
    before = ids(cluster, address)
    host.put_disk(LOCAL, DISK_MEBIBYTES)
    assert run(host, "systemctl", "restart", "spark-worker").returncode == 0
    until(lambda: ids(cluster, address) - before, 60, "the worker is back")


def ids(cluster: Cluster, address: str) -> set[str]:
    """What the master calls the worker at an address, if it is alive."""
    listed = cluster.state().get("workers", [])
    return {worker["id"] for worker in listed if worker["host"] == address and worker["state"] == "ALIVE"}


def watched_until_status_says(course: Course, what: str, host: Host, seconds: float) -> None:
    """Wait until `spark-status` has an instance among the unlisted, or those that are replaced."""

    def says() -> bool:
        course.look()
        status = run(course.cluster.master(), "/usr/local/bin/spark-status").stdout
        rows = re.split(r"^(?=\S)", status, flags=re.MULTILINE)
        return any(row.startswith(what) and host.instance_id in row for row in rows)

    until(says, seconds, f"spark-status says that {host.instance_id} is {what}")


@contextmanager
def killed_again_and_again(host: Host, unit: str) -> Iterator[list[float]]:
    """Kill a unit's process every few seconds while the context lasts; when, is what it gives."""
    over, kills = threading.Event(), []
    moments = random.Random(unit)  # noqa: S311 - the same ones each time

    def kill() -> None:
        while not over.wait(moments.uniform(5, 25)):
            run(host, "systemctl", "kill", "--kill-who=main", "--signal=SIGKILL", unit)
            kills.append(time.monotonic())

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield kills
    finally:
        over.set()
        killer.join()


def test_with_the_real_figures_a_successor_is_in_service_within_a_quarter_of_an_hour(
    four: Cluster, begin: Begin, record_property: Record
) -> None:
    with unlisted_timeout(four.master(), REAL_UNLISTED_SECONDS):
        job = begin(four)
        address, host = next(iter(four.workers().items()))
        course = Course(four, {address: host.instance_id})
        hung(four, host)
        course.watch(MOST_SECONDS)
    record_property("with ten minutes, seconds since then:", course)
    assert course.left[host.instance_id] > REAL_UNLISTED_SECONDS
    job.wait()


@contextmanager
def unlisted_timeout(master: Host, seconds: int) -> Iterator[None]:
    """Have a master wait for so long before it calls a worker sick."""
    file = "/etc/spark-cluster/settings.json"

    def set_to(value: int) -> None:
        settings = {**json.loads(run(master, "cat", file).stdout), "unlisted_timeout_seconds": value}
        write(master, file, json.dumps(settings))
        assert run(master, "systemctl", "restart", "spark-tick").returncode == 0

    set_to(seconds)
    try:
        yield
    finally:
        set_to(UNLISTED_SECONDS)


# --- who computes stays ------------------------------------------------------------------------------------------


def test_scale_in_takes_idle_workers_and_waits_for_those_that_compute(
    leaving: Cluster, begin_shuffle: Begin, record_property: Record
) -> None:
    """While the sick ones of the test before may still be on their way out, and are to have gone in the end."""
    four = leaving
    four.set_size(WORKERS)
    until(lambda: in_service(four) == alive(four) and len(alive(four)) == WORKERS, 300, "four are in service")
    job = begin_shuffle(four, 20, *SLEEPING_TASKS, first=0, workers=2)
    hosts = four.workers()
    listed = [worker for worker in four.state()["workers"] if worker["state"] == "ALIVE"]  # the dead keep their figures
    busy = {hosts[worker["host"]].instance_id for worker in listed if worker["coresused"]}
    assert len(busy) == 2
    seconds = until(lambda: four.protected() == busy, 2 * TICK_SECONDS, "who computes is protected, nobody else")
    record_property("seconds until those that compute were protected:", round(seconds))
    idle = in_service(four) - busy
    four.execute("scale-in")
    until(lambda: not idle & in_service(four), 10, "the idle ones go")
    assert in_service(four) == busy
    four.execute("scale-in")
    until(lambda: any(ALL_PROTECTED in one["Description"] for one in four.activities()), 10, "nobody else may go")
    assert four.in_aws.group()["DesiredCapacity"] == 1
    for instance_id in idle:
        four.wait_for(instance_id, "", DRAIN_SECONDS + 30)
    assert in_service(four) == busy
    job.wait()
    assert not [line for line in job.said if "Lost executor" in line]
    seconds = until(lambda: len(in_service(four)) == 1, 2 * TICK_SECONDS, "one goes that has nothing to do any longer")
    record_property("seconds until one of them went that had nothing to do any more:", round(seconds))
    until(lambda: set(four.members()) == in_service(four), DRAIN_SECONDS + 150, "who was to leave has gone")


# --- what cannot live ends ---------------------------------------------------------------------------------------


def test_an_application_whose_executors_die_at_their_start_is_ended_and_status_says_why(
    four: Cluster, record_property: Record
) -> None:
    master = four.master()
    write(master, "/opt/starts.py", DYING_JOB)
    begun = time.monotonic()
    driver = start(
        master,
        "/usr/local/bin/spark-submit",
        "--conf",
        f"spark.executor.extraJavaOptions={TWO_COLLECTORS}",
        "/opt/starts.py",
    )
    try:
        said, _ = driver.communicate(timeout=MOST_DYING_SECONDS)
    finally:
        if driver.poll() is None:
            stop(master, driver, "/opt/starts.py")
    record_property("seconds until it was ended:", round(time.monotonic() - begun))
    assert driver.returncode not in {0, None}
    assert "Master removed our application: KILLED" in said, said[-3000:]
    until(lambda: not four.state()["activeapps"], 30, "the master has it no longer")
    assert "executors died at their start" in run(master, "/usr/local/bin/spark-status").stdout
    assert four.alive() == set(four.workers())
