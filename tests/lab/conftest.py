"""One lab for the whole tier, and the clusters that its tests share.

All are deployed by the real `cdktf deploy`. `demo`, which is `main.py`, comes first; the others while its tests run,
last the one whose workers leave, whose tests may run in a process of their own: `--numprocesses=2`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from lab import chaos, faults
from lab.cluster import Cluster, submit, until
from lab.deployment import ROOT, Deployment, Done
from lab.hosts import Host
from lab.image import IMAGES
from lab.lab import Lab, none_before, problems, run
from lab.places import SPARK_VERSION
from lab.shuffles import Shuffle
from tests.lab import connect_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

APPS = Path(__file__).parent / "apps"
NEXT_SPARK_VERSION = "4.2.1"
OLDER_SPARK_VERSION = "3.5.9"
LAST_JOB = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("last").getOrCreate()
print(spark.range(10).count(), spark.sparkContext.applicationId)
"""
ORDER = [
    "test_cluster",
    "test_people",
    "test_first_job",
    "test_reboots",
    "test_lab",
    "test_choices",
    "test_connect",
    "test_s3a",
    "test_submitting",
    "test_scheduler",
    "test_history",
    "test_logs",
    "test_health",
    "test_leaving",
    "test_failures",
    "test_downloads",
    "test_changes",
]
"""The tests of one module leave its cluster to the next."""

LEAVING_MAY_BEGIN = "leaving-may-begin"
ONE_CLUSTER = {"test_health", "test_leaving"}
"""Those of `leaving`, which nobody else looks at."""

OTHERS_SECONDS = 30 * 60
"""For which the tests of `leaving` wait until the others are as far."""

OTHER_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) - 1
"""That run tests in the same lab."""

JOURNAL_CHARACTERS = 6000
"""Of each host's, with a failure."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules into their order."""
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


class ByCluster(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Two processes at most: one for the tests of `leaving`, one for all others."""

    def _split_scope(self, nodeid: str) -> str:
        return "leaving" if Path(nodeid.partition("::")[0]).stem in ONE_CLUSTER else "others"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByCluster:
    """What `--numprocesses` deals the tests out by."""
    return ByCluster(config, log)


def asked_for(request: pytest.FixtureRequest) -> set[str]:
    """The fixtures that some test of this run wants."""
    return {name for item in request.session.items for name in getattr(item, "fixturenames", ())}


def begin_meanwhile(request: pytest.FixtureRequest, fixture: str) -> None:
    """Begin what a later module of the same process waits for, if it is of this run."""
    if fixture in asked_for(request) and OTHER_PROCESSES == 0:
        request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """What all processes of a run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[Lab]:
    """The lab, or a skip that says what this machine has not; CI on a machine that has the provider must not skip.

    Of several processes that share it, the first creates it, and ends it when none uses it any more.
    """
    if found := problems():
        reason = "; ".join(found)
        if os.environ.get("CI") == "true" and os.geteuid() == 0 and "AWS_PROVIDER_VERSION" in os.environ:
            pytest.fail(f"this machine should run the lab: {reason}")
        pytest.skip(reason)
    creation = shared_folder / "lab-creation"
    with creation.open("a") as turn, creation.with_name("lab-users").open("w") as users, ExitStack() as end:
        fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            if creation.stat().st_size:
                lab = Lab.running()
                assert lab, "who created the lab has ended"
                lab.enclosure.join_network()
            else:
                end.enter_context(none_before())
                if "connect_client" in asked_for(request):
                    connect_packages.fetch()  # while there is a way to the package index
                # What takes minutes to make, for those who want it.
                of_debian = "debian" in asked_for(request)
                lab = Lab.create(
                    kept=False,
                    versions=(SPARK_VERSION, NEXT_SPARK_VERSION, *([OLDER_SPARK_VERSION] if of_debian else [])),
                    images=[name for name in IMAGES if of_debian or name != "debian12"],
                )
                end.callback(lab.end)
                end.callback(fcntl.flock, users, fcntl.LOCK_EX)
                turn.write("created")
                turn.flush()
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield lab
        finally:
            (shared_folder / LEAVING_MAY_BEGIN).touch()  # whoever waits for tests that have ended


@pytest.fixture(autouse=True)
def spared() -> Iterator[None]:
    """What a test interrupts or recommends to replace is of that test."""
    yield
    faults.forget_interruptions()


@pytest.fixture(scope="session")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A caller's own private key."""
    return _new_key(tmp_path_factory.mktemp("given") / "key")


@pytest.fixture(scope="session")
def parameter_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A private key that a caller has in a parameter."""
    return _new_key(tmp_path_factory.mktemp("parameter") / "key")


def _new_key(file: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file.read_text()


@pytest.fixture(scope="session")
def demo_deployment(lab: Lab) -> Deployment:
    """`main.py`, deployed."""
    context = {"min_size": 1, "desired_size": 2}
    deployment = lab.deployment(ROOT / "main.py", "spark-cluster-demo-us-east-1", context=context)
    done = deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    return deployment


@pytest.fixture(scope="session")
def demo(lab: Lab, demo_deployment: Deployment) -> Cluster:
    """The cluster of `main.py`."""
    return Cluster(lab, "demo")


@pytest.fixture(scope="session")
def background(
    request: pytest.FixtureRequest, lab: Lab, demo: Cluster, private_key: str, parameter_key: str
) -> Iterator[dict[str, tuple[Deployment, Future[Done]]]]:
    """The deploys that go on while the tests of `demo` run: those that some test of this run waits for."""
    subnets = lab.client("ec2").describe_subnets()["Subnets"]
    ami = lab.ami_ids()
    lab.client("ssm").put_parameter(Name="/team/spark-key", Value=parameter_key, Type="SecureString")
    variables = {
        "subnet": subnets[0]["SubnetId"],
        "other_subnet": subnets[1]["SubnetId"],
        "debian_ami": ami["debian12"],
        "baked_ami": ami["al2023-spark"],
        "private_key": private_key,
        "proxy": lab.proxy(),
        "bucket_key": lab.client("kms").create_key()["KeyMetadata"]["Arn"],
    }
    asked = asked_for(request)
    context = {name: name in asked for name in ("debian", "scheduler")}
    deployments = {
        "choices": lab.deployment(APPS / "choices.py", "choices", variables, context),
        "broken": lab.deployment(APPS / "broken.py", "broken", {"baked_ami": ami["al2023-spark"]}),
    }

    def deploy_into_a_slow_aws() -> Done:
        with faults.injected(
            skewed={"keyless": 20},
            late_permissions={"keyless": 60},
            throttled={"keyless": 0.5},
            late_records={"keyless": 60},
        ):
            return deployments["choices"].deploy()

    def deploy_and_launch_no_more() -> Done:
        done = deployments["broken"].deploy()
        # Its workers would boot and be abandoned, one after the other, beside all tests that follow.
        lab.client("autoscaling").suspend_processes(
            AutoScalingGroupName="broken-spark-workers", ScalingProcesses=["Launch"]
        )
        return done

    deploys = {"choices": deploy_into_a_slow_aws, "broken": deploy_and_launch_no_more}
    with ThreadPoolExecutor() as pool:
        yield {
            name: (deployments[name], pool.submit(deploy))
            for name, deploy in deploys.items()
            if f"{name}_deployment" in asked
        }


@pytest.fixture(scope="session")
def choices_deployment(background: dict[str, tuple[Deployment, Future[Done]]]) -> Deployment:
    """The stack of several clusters, deployed."""
    deployment, future = background["choices"]
    done = future.result()
    assert done.returncode == 0, done.stdout[-4000:]
    return deployment


@pytest.fixture(scope="session")
def broken_deployment(background: dict[str, tuple[Deployment, Future[Done]]]) -> Done:
    """How the deploy ended of a cluster whose workers' Spark never starts."""
    return background["broken"][1].result()


@pytest.fixture(scope="session")
def debian(lab: Lab, choices_deployment: Deployment) -> Cluster:
    """On Debian 12, with the caller's private key, an older Spark, a proxy and a KMS key for its bucket."""
    return Cluster(lab, "debian")


@pytest.fixture(scope="session")
def baked(lab: Lab, choices_deployment: Deployment) -> Cluster:
    """On a pre-baked image, with a key in the caller's parameter."""
    return Cluster(lab, "baked")


@pytest.fixture(scope="session")
def keyless(lab: Lab, choices_deployment: Deployment) -> Cluster:
    """Without a fleet key, on hosts whose clocks are wrong at first, in a slow AWS.

    Permissions and record came a minute late, and its APIs are throttled.
    """
    return Cluster(lab, "keyless")


@pytest.fixture(scope="session")
def others_are_as_far(request: pytest.FixtureRequest, lab: Lab, shared_folder: Path) -> None:
    """Where they are another process: what they deploy has booted, most of it."""
    if OTHER_PROCESSES and "leaving_may_begin" in asked_for(request):
        mark = shared_folder / LEAVING_MAY_BEGIN
        until(lambda: mark.exists() or not lab.enclosure.alive, OTHERS_SECONDS, "the others are as far")


@pytest.fixture(scope="session")
def leaving_begun(lab: Lab, others_are_as_far: None) -> Iterator[tuple[Deployment, Future[Done]]]:
    """The cluster whose workers leave, and are sick, being deployed.

    Only in the long form it has S3A, and so the fallback: opening that may take the whole of a short notice.
    """
    deployment = chaos.deployment(lab)
    deployment.context = {"s3a": bool(os.environ.get("LONG"))}
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield deployment, pool.submit(deployment.deploy)


@pytest.fixture(scope="session")
def leaving_deployment(leaving_begun: tuple[Deployment, Future[Done]]) -> Deployment:
    """It, deployed."""
    deployment, future = leaving_begun
    done = future.result()
    assert done.returncode == 0, done.stdout[-4000:]
    return deployment


@pytest.fixture(scope="session")
def leaving(lab: Lab, leaving_deployment: Deployment) -> Cluster:
    """That cluster."""
    return Cluster(lab, "leaving")


@dataclass(frozen=True)
class NextRelease:
    """A deploy of `demo` with another release of Spark, and what the cluster had before."""

    old_master: str
    old_workers: set[str]
    old_application: str
    done: Done


@pytest.fixture(scope="session")
def next_release(demo: Cluster, demo_deployment: Deployment) -> Iterator[Future[NextRelease]]:
    """`demo` gets the next release; it takes minutes, nearly all waiting."""

    def deploy() -> NextRelease:
        before = demo.in_aws.master()["InstanceId"], set(demo.members()), submit(demo.master(), LAST_JOB).split()[-1]
        demo_deployment.context = {**demo_deployment.context, "spark_version": NEXT_SPARK_VERSION}
        return NextRelease(*before, demo_deployment.deploy())

    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(deploy)


@pytest.fixture
def begin_shuffle() -> Iterator[Callable[..., Shuffle]]:
    """Run a job until some reduce tasks have ended; what still runs at the test's end is ended."""
    begun: list[Shuffle] = []

    def run_it(cluster: Cluster, mebibytes: int, *options: str, first: int, workers: int | None = None) -> Shuffle:
        job = Shuffle.submit(cluster, mebibytes, *options, workers=workers)
        begun.append(job)
        job.wait_until_reduced(first)
        return job

    yield run_it
    for job in begun:
        job.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the hosts of the test's clusters had to say; have as text what was measured.

    The report may go to another process.
    """
    report = yield
    report.user_properties = [(name, str(value)) for name, value in report.user_properties]
    if report.failed and isinstance(item, pytest.Function):
        for cluster in [one for one in item.funcargs.values() if isinstance(one, Cluster)]:
            report.sections.extend(_said_by_hosts(cluster))
    return report


def _said_by_hosts(cluster: Cluster) -> Iterator[tuple[str, str]]:
    for role in ("master", "worker"):
        for instance in cluster.in_aws.instances(role):
            host = Host(instance["InstanceId"])
            title = f"{cluster.name}: {role} {instance['InstanceId']} {instance.get('PrivateIpAddress')}"
            if host.first_process is None:
                yield title, host.console[-JOURNAL_CHARACTERS:]
                continue
            journal = ("journalctl", "--no-pager", "--output=short-precise", "--unit=spark-*", "--lines=150")
            yield title, run(host, *journal).stdout[-JOURNAL_CHARACTERS:]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what tests measured."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {name} {value}")
