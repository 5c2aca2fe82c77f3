"""Spark Connect, as a person on a laptop uses it: through a forwarded port, with a token."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cluster import until
from lab.deployment import ROOT
from lab.lab import run
from lab.places import REGION
from spark_cluster.commands import CONNECT_PORT, Commands
from tests.lab import connect_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.cluster import Cluster
    from lab.lab import Lab

START_SECONDS = 120
"""A server's start, on a machine that is busy."""
IDLE_SECONDS = 150
"""What the app gives idle executors, and their going."""

QUERY = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.remote("sc://localhost:15002").getOrCreate()
print("sum", spark.range(1_000_000).selectExpr("sum(id)").first()[0])
"""
MORE = """
from pyspark.sql.functions import udf
twice = udf(lambda number: 2 * number, "long")
print("twice", spark.range(10).select(twice("id").alias("n")).groupBy().sum("n").first()[0])
try:
    print("secret", spark.conf.get("spark.authenticate.secret"))
except Exception as error:
    print("no secret", type(error).__name__)
"""

ROWS = """
spark.range(100).write.mode("overwrite").parquet(sys.argv[1])
print("rows", spark.read.parquet(sys.argv[1]).count())
"""


@pytest.fixture(scope="module")
def connect_client(
    baked: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script with the Connect client of the cluster's own Spark, in an environment that has the token or not."""
    if reason := connect_packages.problem():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    places = [connect_packages.FOLDER]
    for name in run(baked.master(), "ls", "/opt/spark/python/lib").stdout.split():
        place = tmp_path_factory.mktemp("spark") / name
        with place.open("wb") as file:
            subprocess.run(baked.master().command("cat", f"/opt/spark/python/lib/{name}"), check=True, stdout=file)
        places.append(place)

    def query(script: str, *arguments: str, token: str | None) -> subprocess.CompletedProcess[str]:
        # Nor a proxy, which gRPC would ask for localhost, too.
        others = (name for name in os.environ if not re.match(r"SPARK_|PYTHON|.*_proxy$", name, re.IGNORECASE))
        environment = {name: os.environ[name] for name in others}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, places))
        if token is not None:
            environment["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = token
        job = tmp_path_factory.mktemp("laptop") / "query.py"
        job.write_text(script)
        command = [sys.executable, str(job), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    return query


@pytest.fixture(scope="module")
def commands(baked: Cluster) -> Commands:
    parameter = str(baked.in_aws.settings("master")["connect_parameter"])
    return Commands(REGION, baked.in_aws.master()["InstanceId"], baked.bucket(), connect_parameter=parameter)


@pytest.fixture(scope="module")
def laptop() -> dict[str, str]:
    """The environment in which commands find the lab's `aws`."""
    programs = (str(Path(sys.executable).parent), str(ROOT / "lab/bin"), os.environ["PATH"])
    return {**os.environ, "PATH": os.pathsep.join(programs)}


@pytest.fixture(scope="module")
def token(commands: Commands, laptop: dict[str, str]) -> str:
    """As the cluster's command prints it."""
    done = subprocess.run(
        ["sh", "-c", commands.connect_token()], env=laptop, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def forward(baked: Cluster, commands: Commands, laptop: dict[str, str]) -> Iterator[None]:
    """The port of a server that listens, on this machine."""
    until(lambda: listening(baked), START_SECONDS, "the server listens")
    with subprocess.Popen(
        ["sh", "-c", f"exec {commands.connect()}"], env=laptop, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout
        assert any("Waiting for connections" in line for line in it.stdout)
        yield
        it.terminate()


def listening(cluster: Cluster) -> list[str]:
    """Addresses at which the master's host listens for Spark Connect."""
    return re.findall(rf"(\S+):{CONNECT_PORT}\s", run(cluster.master(), "ss", "-ltn").stdout)


def main_pid(cluster: Cluster) -> str:
    return run(cluster.master(), "systemctl", "show", "--property=MainPID", "--value", "spark-connect").stdout.strip()


def cores(cluster: Cluster) -> int:
    """What the server's application has."""
    (found,) = [one["cores"] for one in cluster.state()["activeapps"] if one["name"] == "Spark Connect"]
    return int(found)


@pytest.mark.usefixtures("forward")
def test_a_laptop_with_the_token_gets_right_answers(
    baked: Cluster, connect_client: Callable[..., subprocess.CompletedProcess[str]], token: str
) -> None:
    before = len(baked.refused())
    assert cores(baked) == 0, "until somebody asks for something"
    done = connect_client(QUERY + MORE, token=token)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["sum 499999500000", "twice 90", "no secret SparkNoSuchElementException"]
    assert 0 < cores(baked) <= 2
    assert baked.refused()[before:] == []


@pytest.mark.long
@pytest.mark.usefixtures("forward")
def test_idle_cores_are_given_back(
    baked: Cluster,
    connect_client: Callable[..., subprocess.CompletedProcess[str]],
    token: str,
    record_property: Callable[[str, object], None],
) -> None:
    assert connect_client(QUERY, token=token).returncode == 0
    assert cores(baked) > 0
    record_property("seconds until idle cores are free:", round(until(lambda: cores(baked) == 0, IDLE_SECONDS, "free")))


@pytest.mark.usefixtures("forward")
def test_a_laptop_writes_into_the_bucket_with_the_nodes_roles(
    lab: Lab,
    baked: Cluster,
    connect_client: Callable[..., subprocess.CompletedProcess[str]],
    token: str,
) -> None:
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    before = len(baked.refused())
    done = connect_client(QUERY + ROWS, f"s3a://{baked.bucket()}/data/connect", token=token)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "rows 100"
    assert baked.refused()[before:] == []


@pytest.mark.usefixtures("forward")
@pytest.mark.parametrize(
    ("wrong", "message"), [("wrong", "Invalid authentication token"), (None, "No authentication token provided")]
)
def test_without_the_token_nobody_gets_in(
    connect_client: Callable[..., subprocess.CompletedProcess[str]], wrong: str | None, message: str
) -> None:
    done = connect_client(QUERY, token=wrong)
    assert done.returncode != 0
    assert "sum" not in done.stdout
    assert message in done.stderr


@pytest.mark.usefixtures("forward")
def test_the_port_is_reached_through_the_forward_alone(baked: Cluster) -> None:
    assert listening(baked) == ["[::ffff:127.0.0.1]"]
    (worker,) = list(baked.workers().values())[:1]
    ask = f"import socket; socket.create_connection(({baked.master_address()!r}, {CONNECT_PORT}), 5)"
    for host in (worker, baked.master()):
        assert "refused" in run(host, "/usr/bin/python3", "-c", ask).stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((baked.master_address(), CONNECT_PORT), 5)


@pytest.mark.usefixtures("forward")
def test_the_token_is_in_no_place_that_somebody_else_reads(baked: Cluster, token: str) -> None:
    master = baked.master()
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token not in run(master, "ps", "-eo", "args").stdout
    assert token not in run(master, "journalctl", "--no-pager", timeout=300).stdout
    assert token not in run(master, "systemctl", "show", "spark-connect").stdout
    holders = run(
        master, "grep", "-rslF", token, "/etc", "/var/lib", "/var/log", "/opt/spark/conf", "/run"
    ).stdout.split()
    assert holders == ["/etc/spark-cluster/connect.env"]
    assert run(master, "stat", "-c", "%a %U", holders[0]).stdout == "600 root\n"
    application = next(one["id"] for one in baked.state()["activeapps"] if one["name"] == "Spark Connect")
    shown = f"http://{baked.master_address()}:8080/proxy/{application}/api/v1/applications/{application}/environment"
    with urllib.request.urlopen(shown, timeout=60) as answer:
        environment = answer.read().decode()
    assert "spark.connect.grpc.binding.address" in environment
    assert token not in environment


def test_the_server_may_do_what_drivers_may_and_no_more(baked: Cluster) -> None:
    master = baked.master()
    pid = main_pid(baked)
    status = run(master, "cat", f"/proc/{pid}/status").stdout
    assert "CapEff:\t0000000000000000" in status
    wanted = "User,Slice,MemoryMax"
    shown = run(master, "systemctl", "show", f"--property={wanted}", "spark-connect").stdout.splitlines()
    assert sorted(shown) == ["MemoryMax=2147483648", "Slice=spark-drivers.slice", "User=spark-driver"]
    inside = ("nsenter", f"--target={pid}", "--mount", "--", "touch", "/usr/x")
    assert "Read-only file system" in run(master, *inside).stderr


def test_a_server_that_crashes_is_started_again(baked: Cluster) -> None:
    before = main_pid(baked)
    assert (
        run(baked.master(), "pkill", "-KILL", "-u", "spark-driver", "-f", "SparkSubmit.*SparkConnectServer").returncode
        == 0
    )
    until(lambda: main_pid(baked) not in {before, "0"} and listening(baked), START_SECONDS, "it listens again")


@pytest.mark.long
def test_a_server_whose_application_was_ended_on_the_master_s_page_is_started_again(baked: Cluster) -> None:
    """It listens on, and fails every query: `connect.py` looks for two minutes before it ends it."""
    until(lambda: listening(baked) and cores(baked) == 0, START_SECONDS, "it is there")
    before = main_pid(baked)
    page = f"http://{baked.master_address()}:8080"
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    (form,) = set(re.findall(r'name="csrfToken" value="(\w+)"', browser.open(f"{page}/", timeout=10).read().decode()))
    application = next(one["id"] for one in baked.state()["activeapps"] if one["name"] == "Spark Connect")
    body = urllib.parse.urlencode({"id": application, "terminate": "true", "csrfToken": form}).encode()
    browser.open(f"{page}/app/kill/", body, timeout=10)
    until(lambda: main_pid(baked) not in {before, "0"}, 180, "the server is another")
    until(lambda: listening(baked) and cores(baked) == 0, START_SECONDS, "it listens again, and the master lists it")
