"""What is left of an application, and the one port through which all pages are seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from lab import browser
from lab.cluster import LIB, Cluster, ask_aws, start, until, write
from lab.demo import outside
from lab.deployment import ROOT, Deployment
from lab.lab import run
from lab.places import RUN
from tests.lab.conftest import begin_meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from lab.hosts import Host
    from lab.lab import Lab

COPIED_SECONDS = 75
"""`event_logs.py`: a minute, a look, and the copying."""
SHOWN_SECONDS = 90
"""The history server looks each minute, and reads."""

JOB = """
import sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName(sys.argv[1]).getOrCreate()
pairs = spark.sparkContext.parallelize(range(100), 2).map(lambda number: (number % 2, number))
print("sums", sorted(pairs.reduceByKey(lambda one, other: one + other).collect()))
print("application", spark.sparkContext.applicationId, flush=True)
time.sleep(float(sys.argv[2]))
spark.stop()
"""
SUBMIT = (
    "/usr/local/bin/spark-submit",
    "--executor-memory",
    "512m",
    "--conf",
    "spark.cores.max=1",
    "/opt/two_stages.py",
)

PICTURES = RUN / "pictures"

HEADINGS = {
    r"/": r"Spark Master at spark://master\.demo-spark:7077",
    r"/environment/": "Environment",
    r"/app/": "Application: .+",
    r"/logPage/": "out log page for master",
    r"/proxy/worker-[^/]+": r"Spark Worker at [\d.]+:7078",
    r"/proxy/worker-[^/]+/logPage/": r"(stdout|stderr) log page for app-.+|out log page for worker",
    r"(APP)/jobs/": ".+ - Spark Jobs",
    r"(APP)/jobs/job/": r".+ - Details for Job \d+",
    r"(APP)/stages/": ".+ - Stages for All Jobs",
    r"(APP)/stages/stage/": r".+ - Details for Stage \d+ \(Attempt 0\)",
    r"(APP)/storage/": ".+ - Storage",
    r"(APP)/environment/": ".+ - Environment",
    r"(APP)/executors/": ".+ - Executors",
    r"(APP)/executors/(threadDump|heapHistogram)/": ".+ - .+",
    r"(APP)/SQL/": ".+ - SQL / DataFrame",
    r"/history/": "History Server",
    r"/history/logPage/": "out log page for history server",
}
"""What is in the title of a page, by its path: a path that Spark does not know answers 200 and another page."""
APP = r"/proxy/app-[^/]+|/history/history/app-[^/]+"


def submitted(master: Host, name: str, seconds: float) -> tuple[Popen[str], str]:
    """A driver that has run two stages, and its application's id."""
    write(master, "/opt/two_stages.py", JOB)
    driver = start(master, *SUBMIT, name, str(seconds))
    assert driver.stdout
    said = []
    for line in driver.stdout:
        said.append(line)
        if line.startswith("application "):
            return driver, line.split()[1]
    raise AssertionError("".join(said)[-3000:])


def ended(cluster: Cluster, name: str) -> str:
    """An application that ended as it should."""
    driver, application = submitted(cluster.master(), name, 0)
    driver.communicate(timeout=60)
    assert driver.returncode == 0
    return application


def end(driver: Popen[str], master: Host) -> None:
    if driver.poll() is None:
        run(master, "pkill", "-u", "spark-driver", "-f", "org.apache.spark.deploy.SparkSubmit")
    driver.communicate(timeout=60)


def in_bucket(cluster: Cluster, application: str) -> set[str]:
    """The names of an application's files in the bucket."""
    prefix = f"spark-events/eventlog_v2_{application}/"
    listed = cluster.lab.client("s3").list_objects_v2(Bucket=cluster.bucket(), Prefix=prefix).get("Contents", [])
    return {each["Key"][len(prefix) :] for each in listed}


def shown_stages(cluster: Cluster, application: str) -> list[int]:
    """The stages that the history says were completed; none if it does not know the application."""
    url = f"http://{cluster.master_address()}:8080/history/api/v1/applications/{application}/stages?status=complete"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return sorted(stage["stageId"] for stage in json.load(answer))
    except (OSError, ValueError):
        return []


@pytest.fixture(scope="module", autouse=True)
def meanwhile(request: pytest.FixtureRequest) -> None:
    """While these wait, the cluster of `test_leaving`."""
    begin_meanwhile(request, "leaving_begun")


@pytest.fixture(scope="module")
def killed(demo: Cluster) -> str:
    """An application whose driver was killed after its second stage."""
    driver, application = submitted(demo.master(), "killed", 600)
    assert run(demo.master(), "pkill", "-9", "-u", "spark-driver", "-f", "SparkSubmit").returncode == 0
    driver.communicate(timeout=60)
    assert driver.returncode != 0
    return application


@pytest.fixture(scope="module")
def finished(demo: Cluster) -> str:
    """One that ended as it should."""
    return ended(demo, "finished")


@pytest.fixture(scope="module")
def older(debian: Cluster) -> str:
    """One of a Spark whose history server reads the bucket alone."""
    return ended(debian, "older")


@pytest.fixture
def window() -> Iterator[browser.Browser]:
    """A real browser; CI must have one."""
    if packages := browser.missing_packages():
        reason = f"a program is missing, which Debian has in {packages[0]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with browser.opened() as opened:
        yield opened


@pytest.fixture
def ui(demo_deployment: Deployment) -> Iterator[str]:
    """What `make ui` opens."""
    command = [sys.executable, "tools/on_master.py", "ui"]
    environment = {**os.environ, **outside(demo_deployment)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout
        assert any("Waiting for connections" in line for line in forward.stdout)
        yield "http://localhost:8080/"
        forward.terminate()


def test_a_killed_driver_s_stages_are_in_the_history(
    demo: Cluster, killed: str, record_property: Callable[[str, object], None]
) -> None:
    before = len(demo.refused())
    copied = until(lambda: len(in_bucket(demo, killed)) >= 2, COPIED_SECONDS, "the log is in the bucket")
    record_property("seconds until a killed driver's log is in the bucket:", round(copied))
    assert {name.partition("_")[0] for name in in_bucket(demo, killed)} == {"appstatus", "events"}
    assert f"appstatus_{killed}.inprogress" in in_bucket(demo, killed)
    until(lambda: shown_stages(demo, killed) == [0, 1], SHOWN_SECONDS, "the history shows both stages")
    assert demo.refused()[before:] == []


def test_an_application_that_ended_is_in_the_bucket_at_once_and_in_the_history(demo: Cluster, finished: str) -> None:
    until(lambda: f"appstatus_{finished}" in in_bucket(demo, finished), 20, "its end is in the bucket")
    until(
        lambda: f"appstatus_{finished}.inprogress" not in in_bucket(demo, finished), 10, "and it is in progress no more"
    )
    until(lambda: shown_stages(demo, finished) == [0, 1], SHOWN_SECONDS, "the history shows both stages")


def test_workers_are_not_taken_away_through_the_port(demo: Cluster) -> None:
    alive = demo.alive()
    body = "&".join(f"host={host}" for host in alive).encode()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://{demo.master_address()}:8080/workers/kill/", body, timeout=10)
    error.value.close()
    assert error.value.code == 403
    assert demo.alive() == alive != set()


def test_the_master_alone_writes_event_logs(demo: Cluster) -> None:
    put = f"aws.client('s3').put_object(Bucket={demo.bucket()!r}, Key='spark-events/x', Body=b'')"
    assert "ETag" in ask_aws(demo.master(), put)
    (worker, *_) = demo.workers().values()
    for call in (put, put.replace("put_object", "delete_object").replace(", Body=b''", "")):
        assert "AccessDenied" in ask_aws(worker, call)
    assert "AccessDenied" not in ask_aws(demo.master(), call)


def test_the_front_and_the_history_server_may_do_little(demo: Cluster, baked: Cluster) -> None:
    for cluster in (demo, baked):
        assert_they_may_do_little(cluster.master())


@pytest.mark.long
def test_they_may_do_little_on_debian_either(debian: Cluster) -> None:
    assert_they_may_do_little(debian.master())


def assert_they_may_do_little(master: Host) -> None:
    for unit in ("spark-front", "spark-history"):
        assert run(master, "systemctl", "is-active", unit).stdout == "active\n"
        pid = run(master, "systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
        status = run(master, "cat", f"/proc/{pid}/status").stdout
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t0" not in status
        inside = ("nsenter", f"--target={pid}", "--mount", "--", "touch", "/var/lib/spark-events/x")
        assert "Read-only file system" in run(master, *inside).stderr
    as_history = ("runuser", "-u", "spark-history", "--")
    assert run(master, *as_history, "cat", "/opt/spark/conf/spark-defaults.conf").returncode != 0
    assert "spark.authenticate" not in run(master, "cat", "/etc/spark-cluster/history/spark-defaults.conf").stdout
    listening = re.findall(r"(\S+):(?:80|18080)\s", run(master, "ss", "-ltn").stdout)
    assert listening == ["[::ffff:127.0.0.1]"], "the history server for the front alone, and no site of nginx's own"


def test_what_a_driver_has_open_is_seen_by_the_program_that_cleans(demo: Cluster) -> None:
    """Which must not take the log of a shell that nobody types into for that of one that was killed."""
    master = demo.master()
    running, application = submitted(master, "open", 600)
    look = f"import sys; sys.path.insert(0, {LIB!r}); import event_logs; print(*event_logs.open_files())"
    try:
        pid = run(master, "systemctl", "show", "--property=MainPID", "--value", "spark-event-logs").stdout.strip()
        group = run(master, "awk", "/^Gid/ {print $2}", f"/proc/{pid}/status").stdout.strip()
        become = ("setpriv", "--reuid=spark-driver", f"--regid={group}", "--clear-groups")
        seen = run(master, *become, "/usr/bin/python3", "-c", look).stdout
    finally:
        end(running, master)
    assert f"eventlog_v2_{application}/events_1_{application}" in seen


@pytest.mark.long
def test_every_link_of_every_page_leads_where_it_says_through_the_one_port(
    demo: Cluster,
    killed: str,
    finished: str,
    ui: str,
    window: browser.Browser,
    record_property: Callable[[str, object], None],
) -> None:
    running, application = submitted(demo.master(), "running", 600)

    def ours(address: str) -> bool:
        """There may be many applications of other tests."""
        return set(re.findall(r"app-\d{14}-\d{4}", address)) <= {application, killed, finished}

    try:
        until(
            lambda: shown_stages(demo, finished) and shown_stages(demo, killed), SHOWN_SECONDS, "the history has both"
        )
        pages = [page for start in (ui, f"{ui}history/?showIncomplete=true") for page in window.walk(start, ours)]
        take_pictures(window, {"master": ui, "history": f"{ui}history/"})
    finally:
        end(running, demo.master())
    record_property("pages walked:", len(pages))
    wrong = [(page.address, page.title) for page in pages if not is_as_it_says(page)]
    assert wrong == []
    addresses = {page.address for page in pages}
    for expected in (
        f"{ui}history/history/{finished}/stages/stage/?id=1&attempt=0",
        f"{ui}history/history/{killed}/jobs/",
        f"{ui}proxy/{application}/executors/",
    ):
        assert expected in addresses
    own = {urlsplit(link).netloc for page in pages for link in page.links} - {""}
    assert own == {urlsplit(ui).netloc}, "no page leads past the port"
    output = [page for page in pages if "logType=stderr" in page.address and finished in page.address]
    assert output
    assert all("Executor" in page.text for page in output), "what an executor said is shown"


@pytest.mark.long
def test_an_older_spark_s_history_server_reads_the_bucket(debian: Cluster, older: str) -> None:
    until(lambda: shown_stages(debian, older) == [0, 1], COPIED_SECONDS + SHOWN_SECONDS, "both stages")


def take_pictures(window: browser.Browser, addresses: dict[str, str]) -> None:
    """Those of docs/pages.md; who changes that page copies them from there."""
    PICTURES.mkdir(exist_ok=True)
    for name, address in addresses.items():
        window.open(address)
        window.take_picture(PICTURES / f"{name}.png")


def is_as_it_says(page: browser.Page) -> bool:
    path = urlsplit(page.address).path
    headings = [title for pattern, title in HEADINGS.items() if re.fullmatch(pattern.replace("APP", APP), path)]
    return len(headings) == 1 and re.fullmatch(headings[0], page.title) is not None


@pytest.mark.long
def test_the_history_outlives_its_master(
    lab: Lab, demo: Cluster, demo_deployment: Deployment, killed: str, finished: str
) -> None:
    """In the short form it outlives one that gets another release: `test_changes`."""
    driver, last = submitted(demo.master(), "last", 600)
    old = demo.in_aws.master()["InstanceId"]
    lab.client("ec2").terminate_instances(InstanceIds=[old])
    driver.communicate(timeout=120)
    until(lambda: f"appstatus_{last}" in in_bucket(demo, last), 60, "what ended with its master is whole in the bucket")
    until(lambda: "Master: Registered app" in demo.daemons_log(old), 30, "and what its daemons said")
    done = demo_deployment.deploy()
    assert done.returncode == 0, done.stdout[-4000:]
    assert demo.in_aws.master()["InstanceId"] != old
    demo.wait_ready()
    for application in (killed, finished, last):
        until(
            lambda application=application: shown_stages(demo, application) == [0, 1],  # type: ignore[misc]
            SHOWN_SECONDS,
            f"the next master's history shows both stages of {application}",
        )
    state: dict[str, Any] = demo.state()
    assert not state["completedapps"], "the master itself remembers none"
