"""What a master has besides its services: own-name, spark-job, spark-wait."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import spark_state
import worker_group

from tests.userdata.node import LIB, USERDATA, Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.userdata.conftest import Clock

BIN = USERDATA / "master/usr/local/bin"

# own-name


def own_name(node: Node, address: str = "10.0.0.7") -> list[str]:
    program = USERDATA / "master" / LIB / "own-name"
    done = node.run("bash", program, MASTER_HOST="master.demo-spark", PRIVATE_IP=address)
    assert done.returncode == 0, done.stderr
    return node.read("etc/hosts").splitlines()


def test_the_master_s_name_is_added_to_etc_hosts(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost6\n")
    assert own_name(master) == ["127.0.0.1 localhost", "::1 localhost6", "10.0.0.7 master.demo-spark"]


def test_the_name_is_there_once_however_often_the_master_starts(master: Node) -> None:
    file = master.write("etc/hosts", "127.0.0.1 localhost\n")
    once = own_name(master)
    before = file.stat().st_mtime_ns
    assert own_name(master) == once
    assert file.stat().st_mtime_ns == before


def test_another_address_replaces_the_old_one(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.9 master.demo-spark\n")
    assert own_name(master) == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark"]


def test_an_old_address_goes_even_beside_the_right_one(master: Node) -> None:
    master.write("etc/hosts", "10.0.0.9 old master.demo-spark\n127.0.0.1 localhost\n10.0.0.7 master.demo-spark\n")
    assert own_name(master) == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark"]


def test_a_name_that_only_looks_alike_stays(master: Node) -> None:
    alike = ["10.0.0.9 master.demo-spark2", "10.0.0.8 xmaster.demo-spark", "10.0.0.6 masterXdemo-spark"]
    master.write("etc/hosts", "\n".join(alike) + "\n")
    assert own_name(master) == [*alike, "10.0.0.7 master.demo-spark"]


def test_the_name_comes_back_when_etc_hosts_was_written_anew(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n")
    own_name(master)
    master.write("etc/hosts", "127.0.0.1 localhost ip-10-0-0-7\n")
    assert own_name(master) == ["127.0.0.1 localhost ip-10-0-0-7", "10.0.0.7 master.demo-spark"]


# spark-job


@pytest.fixture
def jobs(master: Node) -> Node:
    """A master that can run jobs: the stand-in of runuser shows the application, and how it is called."""
    master.mock("id", '[[ $1 != -u ]] || echo "${AS:-0}"')
    master.mock("sudo", 'AS=0 exec "${@:2}"')
    master.mock(
        "runuser",
        'printf "argument <%s>\\n" "$@"; for each; do [[ $each != */job.py ]] || cat "$each"; done; exit ${ENDS:-0}',
    )
    master.write("opt/spark/bin/spark-submit", "", mode=0o755)
    return master


def spark_job(node: Node, *arguments: str | Path, **environment: str) -> CompletedProcess[str]:
    return node.run("bash", BIN / "spark-job", *arguments, TMPDIR=str(node.root / "tmp"), **environment)


@pytest.fixture
def script(jobs: Node) -> Path:
    (jobs.root / "tmp").mkdir()
    return jobs.write("home/someone/job.py", "print('the job')\n", mode=0o600)


def arguments_of(done: CompletedProcess[str]) -> list[str]:
    return [line[len("argument <") : -1] for line in done.stdout.splitlines() if line.startswith("argument <")]


def test_a_script_runs_as_the_spark_user_with_its_arguments(jobs: Node, script: Path) -> None:
    done = spark_job(jobs, script, "two words", "", "*")
    assert done.returncode == 0, done.stderr
    user, flag, dashes, submit, application, *arguments = arguments_of(done)
    assert [user, flag, dashes] == ["-u", "spark", "--"]
    assert submit == f"{jobs.root}/opt/spark/bin/spark-submit"
    assert application.endswith("/job.py")
    assert arguments == ["two words", "", "*"]
    assert "print('the job')" in done.stdout


def test_the_spark_user_can_read_a_script_that_only_its_owner_could(jobs: Node, script: Path) -> None:
    jobs.mock("runuser", 'for each; do [[ $each != */job.py ]] || ls -ld "$each" "${each%/*}"; done')
    modes = [line.split()[0][:10] for line in spark_job(jobs, script).stdout.splitlines()]
    assert sorted(modes) == ["-rw-r--r--", "drwxr-xr-x"]


def test_options_of_spark_submit_stand_before_the_application(jobs: Node, script: Path) -> None:
    done = spark_job(jobs, script, "1", SPARK_SUBMIT_OPTIONS="--conf spark.cores.max=2  --name mine")
    arguments = arguments_of(done)[4:]
    assert arguments[:4] == ["--conf", "spark.cores.max=2", "--name", "mine"]
    assert arguments[4].endswith("/job.py")


@pytest.mark.parametrize("status", ["0", "1", "3", "143"])
def test_the_job_s_status_is_its_own_and_nothing_is_left(jobs: Node, script: Path, status: str) -> None:
    assert spark_job(jobs, script, ENDS=status).returncode == int(status)
    assert list((jobs.root / "tmp").iterdir()) == []


def test_a_script_may_come_from_the_bucket(jobs: Node, script: Path) -> None:
    jobs.put_object("data/jobs/job.py", b"print('from the bucket')\n")
    done = spark_job(jobs, "s3://demo-bucket/data/jobs/job.py", "1")
    assert done.returncode == 0, done.stderr
    assert "from the bucket" in done.stdout


def test_a_job_gets_no_proxy_from_the_cluster(jobs: Node, script: Path) -> None:
    """Its script comes through that: aws.py knows of it."""
    jobs.write("etc/spark-cluster/proxy.env", "https_proxy=http://proxy.example:3128\nno_proxy=169.254.169.254\n")
    jobs.put_object("data/jobs/job.py", b"")
    jobs.mock("runuser", 'echo "proxy ${https_proxy:-none}"')
    done = spark_job(jobs, "s3://demo-bucket/data/jobs/job.py")
    assert "proxy none" in done.stdout


def test_a_user_of_the_host_becomes_root_by_sudo_and_keeps_the_options(jobs: Node, script: Path) -> None:
    program = jobs.write("usr/local/bin/spark-job", (BIN / "spark-job").read_bytes(), mode=0o755)
    done = jobs.run(program, script, "1", AS="1000", TMPDIR=str(jobs.root / "tmp"))
    assert done.returncode == 0, done.stderr
    (call,) = jobs.calls_of("sudo")
    assert call == "sudo --preserve-env=SPARK_SUBMIT_OPTIONS /usr/local/bin/spark-job /home/someone/job.py 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "usage: spark-job SOURCE"),
        (("/no/such/file.py",), "there is no file /no/such/file.py"),
        (("/",), "there is no file /"),
        (("s3://demo-bucket/data/no-such-job.py",), "cannot have s3://demo-bucket/data/no-such-job.py"),
    ],
)
def test_fails_where_there_is_no_script(jobs: Node, script: Path, arguments: tuple[str, ...], message: str) -> None:
    done = spark_job(jobs, *arguments)
    assert done.returncode == 2
    assert f"spark-job: {message}" in done.stderr
    assert jobs.calls_of("runuser") == []
    assert list((jobs.root / "tmp").iterdir()) == []


# spark-wait


@pytest.fixture
def spark_wait(monkeypatch: pytest.MonkeyPatch, clock: Clock, told: Callable[..., None]) -> Any:
    """The program as a module, on a clock that nobody waits for."""
    told("master")
    monkeypatch.setattr(sys, "path", list(sys.path))
    loader = importlib.machinery.SourceFileLoader("spark_wait", str(BIN / "spark-wait"))
    spec = importlib.util.spec_from_loader("spark_wait", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Auto Scaling, EC2 and the master say: two workers wanted, in service and registered."""
    said = SimpleNamespace(wanted=2, in_service=["10.0.0.1", "10.0.0.2"], alive=["10.0.0.1", "10.0.0.2"], group=True)

    def group() -> dict[str, Any] | None:
        members = [{"InstanceId": f"i-{address}", "LifecycleState": "InService"} for address in said.in_service]
        described = {"AutoScalingGroupName": "g", "DesiredCapacity": said.wanted, "Instances": members}
        return described if said.group else None

    def instances(_: str) -> dict[str, Any]:
        return {f"i-{address}": {"PrivateIpAddress": address, "LaunchTime": None} for address in said.in_service}

    def read(host: str) -> dict[str, Any]:
        assert host == "127.0.0.1"
        if said.alive is None:
            raise ConnectionRefusedError(111, "Connection refused")
        return {"workers": [{"host": address, "state": "ALIVE"} for address in said.alive]}

    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "instances", instances)
    monkeypatch.setattr(spark_state, "read", read)
    return said


def test_a_cluster_with_all_its_workers_is_ready(
    spark_wait: Any, cluster: SimpleNamespace, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spark_wait.main() == 0
    assert capsys.readouterr().out == "spark-wait: ready\n"
    assert clock.pauses == []


def test_a_cluster_that_wants_no_workers_is_ready_when_its_master_answers(
    spark_wait: Any, cluster: SimpleNamespace
) -> None:
    cluster.wanted, cluster.in_service, cluster.alive = 0, [], []
    assert spark_wait.main("60") == 0
    cluster.alive = None
    assert spark_wait.main("60") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alive": ["10.0.0.1"]}, "1 of 2 workers are ready"),
        ({"wanted": 3}, "2 of 3 workers are ready"),
        ({"in_service": ["10.0.0.1"]}, "1 of 2 workers are ready"),
        ({"alive": ["10.0.0.1", "10.0.0.9"]}, "1 of 2 workers are ready"),
        ({"in_service": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}, "2 of 2 workers are ready"),
        ({"group": False}, "there is no group of workers yet"),
        ({"alive": None}, "ConnectionRefusedError: [Errno 111] Connection refused"),
    ],
)
def test_gives_up_with_what_is_missing(
    spark_wait: Any,
    cluster: SimpleNamespace,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    vars(cluster).update(change)
    assert spark_wait.main("60") == 1
    assert capsys.readouterr().err.splitlines() == [f"spark-wait: {message}", "spark-wait: gave up after 60 s"]
    assert 55 < sum(clock.pauses) < 70


def test_what_is_missing_is_said_when_it_changes(
    spark_wait: Any,
    cluster: SimpleNamespace,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = iter([None, None, [], ["10.0.0.1"], ["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]])
    cluster.alive = None

    def sleep(_: float) -> None:
        cluster.alive = next(stages)

    monkeypatch.setattr(clock, "sleep", sleep)
    assert spark_wait.main() == 0
    said = capsys.readouterr()
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [
        "ConnectionRefusedError",
        "0 of 2 workers are ready",
        "1 of 2 workers are ready",
    ]
    assert said.out == "spark-wait: ready\n"
