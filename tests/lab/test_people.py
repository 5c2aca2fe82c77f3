"""A person on the master: an unprivileged user who may use sudo, in a terminal, as Session Manager gives one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, start, until, write
from lab.demo import outside
from lab.deployment import ROOT, Deployment
from lab.lab import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.hosts import Host

PERSON = "ssm-user"
# What amazon-ssm-agent gives a session's shell, which is a plain `sh`, no login: the environment of its own unit.
ENVIRONMENT = (
    *("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm-256color", "LANG=C.UTF-8"),
    *("HOME=/home/ssm-user", "USER=ssm-user", "LOGNAME=ssm-user", "SHELL=/bin/sh"),
)
# As sudo's own default, without /usr/local/bin.
SUDOERS = f"{PERSON} ALL=(ALL) NOPASSWD:ALL\nDefaults:{PERSON} secure_path=/usr/sbin\\:/usr/bin\\:/sbin\\:/bin\n"

# Types each line into a terminal once what stands before it has been shown; prints all that was shown.
TERMINAL = """
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with
    os.chdir("/home/ssm-user")
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
shown, end = b"", time.monotonic() + 240
while time.monotonic() < end:
    if steps and steps[0][0].encode() in shown:
        sys.stdout.buffer.write(shown)
        shown = b""
        line = steps.pop(0)[1]
        if line is None:
            break
        os.write(terminal, line.encode() + b"\\n")
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
sys.stdout.buffer.write(shown)
os.close(terminal)
sys.exit(f"never shown: {steps}" if steps else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

SAY = """
import json, os, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("arguments", json.dumps(sys.argv[1:]))
print("note", json.dumps(spark.conf.get("spark.note")))
print("counted", spark.range(10).count())
print()
print("<5>not a level")
print("long", "x" * 100_000)
for number in range(200_000):
    print("line", number)
print("scratch", os.environ["TMPDIR"])
sys.exit(3)
"""

STAY = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("stay").getOrCreate()
print("counted", spark.range(10).count())
time.sleep(600)
"""


@pytest.fixture(scope="module")
def master(demo: Cluster) -> Iterator[Host]:
    """The master, with that person."""
    host = demo.master()
    demo.wait_ready()
    added = run(host, "useradd", "--create-home", "--shell", "/bin/sh", PERSON)
    assert added.returncode == 0, added.stderr
    run(host, "chmod", "700", f"/home/{PERSON}")
    write(host, "/etc/sudoers.d/person", SUDOERS)
    write(host, "/opt/terminal.py", TERMINAL)
    yield host
    run(host, "rm", "/etc/sudoers.d/person")


def session(*steps: tuple[str, str | None]) -> tuple[str, ...]:
    """The command of a session that goes through these steps, each a text to wait for and a line to type then."""
    as_person = ("runuser", "-u", PERSON, "--", "env", "--ignore-environment", *ENVIRONMENT, "sh")
    return ("python3", "/opt/terminal.py", json.dumps(steps), *as_person)


def as_person(host: Host, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one command as that person, without a terminal."""
    become = ("runuser", "-u", PERSON, "--", "env", "--ignore-environment", *ENVIRONMENT)
    return run(host, *become, *command, timeout=timeout)


def put(host: Host, name: str, script: str) -> str:
    """A script of that person's that nobody else may read."""
    path = f"/home/{PERSON}/{name}"
    write(host, path, script)
    run(host, "chown", PERSON, path)
    run(host, "chmod", "600", path)
    return path


@pytest.mark.parametrize(
    ("command", "prompt", "line", "answer", "end"),
    [
        (
            "pyspark",
            ">>> ",
            "print('counted', spark.range(10).count(), spark.sparkContext.master)",
            "counted 10 spark://",
            "exit()",
        ),
        pytest.param(
            *("spark-shell", "scala> ", 'println("counted " + spark.range(10).count())', "counted 10", ":quit"),
            marks=pytest.mark.long,
        ),
        pytest.param(
            *("spark-sql", "spark-sql (default)> ", "select concat('counted ', count(*)) from range(10);"),
            *("counted 10", "exit;"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_spark_s_own_shells_work_at_once(
    master: Host, command: str, prompt: str, line: str, answer: str, end: str
) -> None:
    steps = [("$ ", command), (prompt, line), (answer, end), ("$ ", "echo ended with $?"), ("ended with 0", "exit")]
    done = run(master, *session(*steps), timeout=270)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    # At its end Spark may delete a folder of its scratch by two of its threads at once, and say so.
    assert "Exception" not in done.stdout.rpartition(answer)[0]


@pytest.mark.long
def test_spark_submit_works_without_a_terminal_too(master: Host) -> None:
    write(master, "/opt/count.py", SAY)
    done = as_person(master, "spark-submit", "--conf", "spark.note=a b", "/opt/count.py", "x y")
    assert done.returncode == 3, done.stderr[-3000:]
    assert 'arguments ["x y"]' in done.stdout
    assert "counted 10" in done.stdout


@pytest.mark.long
def test_a_script_and_its_modules_may_lie_where_only_the_person_reads(master: Host) -> None:
    put(master, "helper.py", "WORD = 'helped'\n")
    put(
        master,
        "job.py",
        "import helper\nfrom pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\nprint(helper.WORD, spark.range(10).count())\n",
    )
    for command in ("spark-submit", "spark-job"):
        steps = [("$ ", f"{command} --py-files helper.py job.py"), ("helped 10", None)]
        done = run(master, *session(*steps), timeout=270)
        assert "helped 10" in done.stdout, done.stdout[-3000:]


@pytest.mark.long
def test_two_people_use_sql_at_once(master: Host) -> None:
    statements = "show databases; select concat('x is ', max(id)) from range(2)"
    sql = ("spark-sql", "--conf", "spark.cores.max=1", "-e", statements)
    first, second = (start(master, *sql) for _ in range(2))
    for one in (first, second):
        said, _ = one.communicate(timeout=270)
        assert "x is 1" in said


def test_a_job_gets_its_arguments_as_they_are_and_no_line_of_its_output_is_lost(master: Host) -> None:
    script = put(master, "say.py", SAY)
    options = ["--conf", "spark.note=a  'b' \"c\" $HOME %h ü", "--name=two words", "--conf", "spark.driver.memory=700m"]
    arguments = ["two words", "", "*", "$HOME", "${PATH}", "100%", "'", '"', "\\", "ümläut", "--conf"]
    done = as_person(master, "spark-job", *options, script, *arguments, timeout=180)
    assert done.returncode == 3, done.stderr[-3000:]
    assert f"arguments {json.dumps(arguments)}" in done.stdout
    assert f"note {json.dumps(options[1].partition('=')[2])}" in done.stdout
    assert "counted 10" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(200_000)]
    assert f"counted 10\n\n<5>not a level\nlong {'x' * 100_000}\nline 0\n" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("spark-job: say-")
    assert done.stderr.splitlines()[-1].endswith(" ended with status 3")
    (scratch,) = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("scratch ")]
    assert scratch.startswith("/var/lib/spark-driver/say-")
    assert run(master, "test", "-e", scratch).returncode != 0


def test_a_driver_outlives_its_session_and_the_machine_outlives_the_driver(master: Host, demo: Cluster) -> None:
    script = put(master, "stay.py", STAY)
    done = run(master, *session(("$ ", f"spark-job {script}"), ("counted 10", None)), timeout=270)
    assert "counted 10" in done.stdout, done.stdout[-3000:]
    (row,) = [line for line in as_person(master, "spark-job", "--list").stdout.splitlines() if line.startswith("stay-")]
    name = row.split()[0]
    assert row.endswith("runs")
    assert "stay: RUNNING" in as_person(master, "spark-status").stdout

    unit = f"spark-driver-{name}.service"
    wanted = "User,Slice,OOMScoreAdjust,ControlGroup,MainPID"
    shown = run(master, "systemctl", "show", f"--property={wanted}", unit).stdout.splitlines()
    said = dict(line.split("=", 1) for line in shown)
    assert (said["User"], said["Slice"]) == ("spark-driver", "spark-drivers.slice")
    assert said["ControlGroup"].endswith(f"/spark-drivers.slice/{unit}")
    limit = run(master, "systemctl", "show", "--property=MemoryMax", "--value", "spark-drivers.slice").stdout.strip()
    memory = run(master, "awk", "/^MemTotal/ {print $2 * 1024}", "/proc/meminfo").stdout.strip()
    assert 0.49 < int(limit) / float(memory) < 0.51
    java = run(master, "pgrep", "--oldest", "--full", "SparkSubmit.*stay.py").stdout.strip()
    assert run(master, "cat", f"/proc/{java}/oom_score_adj").stdout.strip() == "500"
    # Not of its process: the machine under the lab may let nobody set it below zero.
    of_master = run(master, "systemctl", "show", "--property=OOMScoreAdjust", "--value", "spark-master").stdout.strip()
    assert of_master == "-500"
    assert "-Xmx1g" in run(master, "cat", f"/proc/{java}/cmdline").stdout

    follower = start(master, "spark-job", "--follow", name)
    assert as_person(master, "spark-job", "--stop", name).returncode == 0
    said_by_follower, _ = follower.communicate(timeout=60)
    assert "counted 10" in said_by_follower
    assert follower.returncode == 143
    until(lambda: not demo.state()["activeapps"], 60, "the application ended")


def test_drivers_own_neither_configuration_nor_keys_nor_what_root_runs(master: Host) -> None:
    def may(test: str, path: str) -> bool:
        return run(master, "runuser", "-u", "spark-driver", "--", "test", test, path).returncode == 0

    assert may("-r", "/opt/spark/conf/spark-defaults.conf")
    for path in (
        *("/opt/spark/conf", "/opt/spark/conf/spark-defaults.conf", "/opt/spark/conf/spark-env.sh", "/opt/spark/bin"),
        *("/opt/spark/jars", "/opt/spark-cluster", "/opt/spark-cluster/tick.py", "/usr/local/bin/spark-job"),
        *("/var/lib/spark-driver", "/etc/spark-cluster", "/etc/systemd/system/spark-master.service"),
    ):
        assert not may("-w", path), path
    for path in ("/home/spark/.ssh/fleet_key", "/var/lib/spark/recovery", "/etc/spark-cluster/spark-secret"):
        assert run(master, "test", "-e", path).returncode == 0
        assert not may("-r", path), path
        assert not may("-w", path), path
    assert run(master, "runuser", "-u", PERSON, "--", "cat", "/opt/spark/conf/spark-defaults.conf").returncode != 0


def from_outside(deployment: Deployment, *make: str) -> subprocess.CompletedProcess[str]:
    """`make` on the machine of who has deployed, with the lab's `aws`."""
    environment = {**os.environ, **outside(deployment)}
    return subprocess.run(["make", *make], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_a_job_from_outside_gets_its_arguments_as_they_are_and_its_status_is_that_of_make(
    demo_deployment: Deployment, master: Host, tmp_path: Path
) -> None:
    job = tmp_path / "two wörds.py"
    job.write_text(SAY)
    arguments = ["two words", "", "*", "$HOME", "${PATH}", "$$", "100%", "'", '"', "\\", "ümläut", "--conf", "a;b"]
    note = "a  'b' \"c\" $HOME ü"
    given = (f"JOB={job}", f"ARGS={shlex.join(arguments)}", f"OPTIONS={shlex.join(['--conf', f'spark.note={note}'])}")
    done = from_outside(demo_deployment, "submit", *given)
    assert f"arguments {json.dumps(arguments)}" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"note {json.dumps(note)}" in done.stdout
    assert "Error 3" in done.stderr, "the job's own status, as make tells it"


@pytest.mark.long
def test_a_job_from_outside_may_outlast_its_session(
    demo_deployment: Deployment, master: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tmp_path / "slow.py"
    job.write_text("import time\nfor number in range(25):\n    print('line', number)\n    time.sleep(1)\n")
    monkeypatch.setenv("LAB_SESSION_SECONDS", "15")
    done = from_outside(demo_deployment, "submit", f"JOB={job}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "it is followed in another" in done.stderr
    shown = [line.strip() for line in done.stdout.splitlines() if line.startswith("line ")]
    assert list(dict.fromkeys(shown)) == [f"line {number}" for number in range(25)]
    assert len(shown) < 50


def test_the_cluster_is_seen_from_outside(demo_deployment: Deployment, master: Host) -> None:
    status = from_outside(demo_deployment, "status")
    assert status.returncode == 0, status.stderr
    assert "ready, 0 booting" in status.stdout
    assert "spark-wait: ready" in from_outside(demo_deployment, "wait").stdout


def test_status_says_why_an_application_waits(master: Host, demo: Cluster) -> None:
    script = put(master, "stay.py", STAY)
    waiting = start(master, "spark-job", "--conf", "spark.executor.memory=900g", script)
    until(lambda: "WAITING" in {app["state"] for app in demo.state()["activeapps"]}, 90, "an application that waits")
    done = as_person(master, "spark-status")
    assert done.returncode == 0, done.stderr
    assert f"workers       {len(demo.workers())} ready, 0 booting" in done.stdout
    assert "its executors want 900.0 GiB" in done.stdout
    assert "failed boots  none" in done.stdout
    (name,) = [
        row.split()[0] for row in as_person(master, "spark-job", "--list").stdout.splitlines() if row.endswith("runs")
    ]
    assert as_person(master, "spark-job", "--stop", name).returncode == 0
    waiting.communicate(timeout=60)


def test_status_is_not_zero_if_the_master_does_not_answer(master: Host, demo: Cluster) -> None:
    run(master, "systemctl", "stop", "spark-master")
    done = as_person(master, "spark-status")
    run(master, "systemctl", "start", "spark-master")
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    demo.wait_ready(180)
