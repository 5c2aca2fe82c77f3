"""Commands for a person's own machine, run by a real shell; `aws` is a stand-in that runs what the master would."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from spark_cluster.commands import Commands
from spark_cluster.userdata import escape
from tools import on_master

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKOUT = Path(__file__).parents[2]

# As the command line does it, it takes the options; as the agent does it, a shell of its own gets the command.
AWS = f"""#!{sys.executable}
import json, os, subprocess, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
arguments = sys.argv[1:]
if arguments[:2] == ["ssm", "start-session"] and "--parameters" in arguments:
    parameters = json.loads(arguments[arguments.index("--parameters") + 1])
    if "command" in parameters:
        (command,) = parameters["command"]
        print("Starting session with SessionId: someone-0abc\\r")
        sys.stdout.flush()
        print("has a terminal:", os.isatty(0))
        sys.stdout.flush()
        subprocess.run(["sh", "-c", command])
        print("Exiting session with sessionId: someone-0abc.\\r")
"""

SUDO = f"""#!{sys.executable}
import json, os, sys
print("on the master:", json.dumps(sys.argv[1:], ensure_ascii=False))
print(os.environ.get("ANSWERS", ""), end="\\r\\n")
"""

TERRAFORM = """#!/bin/sh
cat "$OUTPUTS"
"""

HARD = [
    "2026-01-01",
    "two words",
    "",
    "it's",
    '"',
    "$HOME",
    "${PATH}",
    "`id`",
    "\\",
    "a\\nb",
    "*",
    "ümläut",
    "--conf",
    "%{if}",
]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own machine, with what the commands start as stand-ins."""
    for name, text in {"aws": AWS, "sudo": SUDO, "terraform": TERRAFORM}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return tmp_path


def run(command: str) -> str:
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout


def on_the_master(printed: str) -> list[str]:
    (line,) = [line for line in printed.splitlines() if line.startswith("on the master: ")]
    arguments: list[str] = json.loads(line.partition(": ")[2])
    return arguments


def calls(machine: Path) -> list[list[str]]:
    return [json.loads(line) for line in (machine / "calls").read_text().splitlines()]


COMMANDS = Commands("eu-central-1", "i-0abc", "demo-bucket")
SESSION = ["ssm", "start-session", "--region", "eu-central-1", "--target", "i-0abc"]


def test_shell_and_page_are_sessions(machine: Path) -> None:
    run(COMMANDS.shell())
    run(COMMANDS.ui(local_port=9090))
    shell, page = calls(machine)
    assert shell == SESSION
    assert page[:-1] == [*SESSION, "--document-name", "AWS-StartPortForwardingSession", "--parameters"]
    assert json.loads(page[-1]) == {"portNumber": ["8080"], "localPortNumber": ["9090"]}


def test_a_job_gets_what_it_was_given(machine: Path) -> None:
    options = ["--conf", "spark.driver.extraJavaOptions=-Da='b c' -Dd=$e"]
    printed = run(COMMANDS.submit("s3://demo-bucket/data/a job.py", HARD, options=options))
    assert on_the_master(printed) == ["/usr/local/bin/spark-job", *options, "s3://demo-bucket/data/a job.py", *HARD]


def test_a_job_may_have_requirements(machine: Path) -> None:
    printed = run(COMMANDS.submit("s3://demo-bucket/data/job.py", options=["-v"], requirements="s3://b/my needs.txt"))
    expected = ["/usr/local/bin/spark-job", "--requirements", "s3://b/my needs.txt", "-v"]
    assert on_the_master(printed) == [*expected, "s3://demo-bucket/data/job.py"]


def test_without_a_source_it_is_the_job_in_the_bucket(machine: Path) -> None:
    assert on_the_master(run(COMMANDS.submit())) == ["/usr/local/bin/spark-job", "s3://demo-bucket/data/job.py"]


def test_status_and_wait_run_on_the_master(machine: Path) -> None:
    assert on_the_master(run(COMMANDS.status())) == ["/usr/local/bin/spark-status"]
    assert on_the_master(run(COMMANDS.wait())) == ["/usr/local/bin/spark-wait"]
    assert on_the_master(run(COMMANDS.wait(seconds=60))) == ["/usr/local/bin/spark-wait", "60"]


WITH_CONNECT = Commands("eu-central-1", "i-0abc", "demo-bucket", connect_parameter="/spark-cluster/demo/connect-token")


def test_spark_connect_is_one_more_forward_and_its_token_a_parameter(machine: Path) -> None:
    run(WITH_CONNECT.connect())
    run(WITH_CONNECT.connect(local_port=15003))
    run(WITH_CONNECT.connect_token())
    usual, other, token = calls(machine)
    assert usual[:-1] == [*SESSION, "--document-name", "AWS-StartPortForwardingSession", "--parameters"]
    assert json.loads(usual[-1]) == {"portNumber": ["15002"], "localPortNumber": ["15002"]}
    assert json.loads(other[-1]) == {"portNumber": ["15002"], "localPortNumber": ["15003"]}
    asked = ["--name", "/spark-cluster/demo/connect-token", "--with-decryption"]
    shown = ["--query", "Parameter.Value", "--output", "text"]
    assert token == ["ssm", "get-parameter", "--region", "eu-central-1", *asked, *shown]


@pytest.mark.parametrize("command", ["connect", "connect_token"])
def test_a_cluster_without_spark_connect_has_no_command_for_it(command: str) -> None:
    rule = "spark_connect must be an object such as SparkConnect() to have this command, got None"
    with pytest.raises(ValueError, match=f"^{re.escape(rule)}$"):
        getattr(COMMANDS, command)()


@pytest.mark.parametrize("command", ["shell", "ui", "status", "wait", "submit", "connect", "connect_token"])
def test_each_takes_a_profile(machine: Path, command: str) -> None:
    run(getattr(WITH_CONNECT, command)(profile="my work's"))
    (call,) = calls(machine)
    assert call[call.index("--profile") + 1] == "my work's"


def test_terraform_takes_nothing_in_it_for_a_template(machine: Path) -> None:
    escaped = Commands("eu-central-1", "i-0abc", "demo-bucket", escape).submit(arguments=HARD)
    assert escaped.replace("$${", "${").replace("%%{", "%{") == COMMANDS.submit(arguments=HARD)
    assert "$${PATH}" in escaped


# make


@pytest.fixture
def make(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`make` in a folder from which a cluster was deployed, without the environments, which others make."""
    folder = machine / "deployed"
    (folder / "cdktf.out/stacks/spark-cluster-demo-us-east-1").mkdir(parents=True)
    (folder / "cdktf.out/stacks/spark-cluster-demo-us-east-1/cdk.tf.json").write_text("{}")
    (folder / "cdktf.json").write_text('{"context": {"profile": "work"}}')
    (folder / "tools").symlink_to(CHECKOUT / "tools")
    (folder / "Makefile").symlink_to(CHECKOUT / "Makefile")
    (folder / "job.py").write_text("print()\n")
    values = {"region": "eu-central-1", "master_instance_id": "i-0abc", "bucket_name": "demo-bucket", "group_name": "x"}
    (machine / "outputs").write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    monkeypatch.setenv("OUTPUTS", str(machine / "outputs"))

    def call(target: str, *variables: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return subprocess.run(
            ["make", "--no-print-directory", "--assume-old=setup", target, *variables],
            cwd=folder,
            env={**environment, "ANSWERS": answers},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def ended(status: int) -> str:
    """What spark-job says first and last."""
    return f"spark-job: job-1 runs, and goes on when this\r\nspark-job: job-1 ended with status {status}"


def test_make_submit_uploads_the_file_runs_it_and_ends_with_its_status(machine: Path, make: Callable[..., Any]) -> None:
    given = "ARGS=2026-01-01 'two  words' \"it's\" '$HOME' '${PATH}' '#' ümläut '$(shell id)' 'x$('"
    done = make("submit", "JOB=job.py", given, "OPTIONS=--conf 'spark.a=b c'", answers=ended(3))
    assert done.returncode == 2, done.stderr  # make's own, for a recipe that failed
    assert "Error 3" in done.stderr
    upload, session = calls(machine)
    source = upload[-3]
    assert source.startswith("s3://demo-bucket/data/jobs/")
    assert source.endswith("/job.py")
    assert upload[:5] == ["s3", "cp", "--only-show-errors", "--region", "eu-central-1"]
    assert upload[-2:] == ["--profile", "work"]
    assert session[session.index("--profile") + 1] == "work"
    expected = ["/usr/local/bin/spark-job", "--conf", "spark.a=b c", source]
    arguments = ["2026-01-01", "two  words", "it's", "$HOME", "${PATH}", "#", "ümläut", "$(shell id)", "x$("]
    assert on_the_master(done.stdout) == [*expected, *arguments]


def test_make_submit_uploads_the_requirements_too(machine: Path, make: Callable[..., Any]) -> None:
    (machine / "deployed/my $needs.txt").write_text("msgpack==1.1.0\n")
    done = make("submit", "JOB=job.py", "REQUIREMENTS=my $needs.txt", answers=ended(0))
    assert done.returncode == 0, done.stderr
    job, needs, _ = calls(machine)
    assert (job[-4:-2], needs[-4]) == (["job.py", job[-3]], "my $needs.txt")
    digest = hashlib.sha256(b"msgpack==1.1.0\n").hexdigest()[:16]
    assert needs[-3] == f"s3://demo-bucket/data/jobs/{digest}/my $needs.txt"
    assert on_the_master(done.stdout) == ["/usr/local/bin/spark-job", "--requirements", needs[-3], job[-3]]


def test_make_submit_is_content_with_a_job_that_is(make: Callable[..., Any]) -> None:
    done = make("submit", "JOB=job.py", answers=ended(0))
    assert done.returncode == 0, done.stderr


def test_a_session_has_a_terminal_even_in_ci(make: Callable[..., Any]) -> None:
    assert "has a terminal: True" in make("submit", "JOB=job.py", answers=ended(0)).stdout


@pytest.mark.parametrize(
    ("variables", "answers", "message"),
    [
        (["JOB=job.py"], "", "no job was seen to begin. The job may go on: `make shell`, then `spark-job --list`"),
        (["JOB=job.py"], "spark-job: job-1 ended with status 0", "no job was seen to begin"),
        (["JOB=job.py", "ARGS=it's"], "", "ARGS must be quoted as for a shell, got it's: No closing quotation"),
        (["JOB=no.py"], "", "there is no file no.py"),
        ([], "", "JOB is a Python script or a jar"),
        (["JOB=job.py", "REQUIREMENTS=no.txt"], "", "there is no file no.txt: REQUIREMENTS is a requirements file"),
    ],
)
def test_make_submit_says_what_went_wrong(
    make: Callable[..., Any], variables: list[str], answers: str, message: str
) -> None:
    done = make("submit", *variables, answers=answers)
    assert done.returncode != 0
    assert message in done.stderr


class Sessions:
    """What sessions with the master show, one after the other, and which commands they were for."""

    def __init__(self, *shown: str) -> None:
        self.shown, self.commands = list(shown), list[str]()

    def __call__(self, command: str) -> list[str]:
        self.commands.append(command)
        return self.shown.pop(0).splitlines()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long `on_master` has slept; time does not pass meanwhile."""
    slept: list[float] = []
    monkeypatch.setattr(on_master, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 0.0))
    return slept


HERE = Commands("eu-central-1", "i-0abc", "demo-bucket")
BEGINS = "\nStarting session with SessionId: me-0abc\n"
ENDS = [
    "\n\nExiting session with sessionId: me-0abc.\n",
    "\nSessionId: me-0abc : Your session has been terminated.\n\n\nExiting session with sessionId: me-0abc.\n\n",
    "\nSession: me-0abc timed out.\n",
    "\nCannot perform start session: EOF\n",
    "",
]


@pytest.mark.parametrize("ends", ENDS)
def test_a_job_that_outlasts_its_session_is_followed_in_others_and_no_line_is_lost(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    said = [f"line {number}" for number in range(60)]
    runs, done = "spark-job: job-1 runs, and goes on\n", "spark-job: job-1 ended with status 3"
    seen: list[str] = []
    commands: list[str] = []

    def session(command: str) -> Iterator[str]:
        number = len(commands)
        commands.append(command)
        skipped = int(re.findall(r"--follow job-1 (\d+)", command)[0]) if number else 0
        part = said[skipped : 20 * (number + 1)]
        seen.extend(part)
        text = BEGINS + (runs if number == 0 else "") + "\n".join(part) + "\n" + (done if number == 2 else "") + ends
        yield from text.splitlines()

    monkeypatch.setattr(on_master, "shown", session)
    assert on_master.follow(HERE, "the first", "work") == 3
    assert slept == [1, 10]
    assert commands[0] == "the first"
    assert all("--profile work" in command for command in commands[1:])
    assert sorted(set(seen), key=said.index) == said
    assert len(seen) < 80, "of some lines it is not sure, of most it is"


def test_a_job_that_no_session_reaches_is_given_up(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_master, "shown", Sessions("spark-job: job-1 runs, and goes on", "", "", ""))
    with pytest.raises(SystemExit, match="`make shell`, then `spark-job --follow job-1`"):
        on_master.follow(HERE, "the first", None)
    assert slept == [1, 10, 60]


def test_a_job_that_the_master_does_not_know_any_more_is_gone(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "spark-job: there is no driver job-1: see spark-job --list"
    monkeypatch.setattr(on_master, "shown", Sessions("spark-job: job-1 runs, and goes on", gone))
    with pytest.raises(SystemExit, match="was the master replaced"):
        on_master.follow(HERE, "the first", None)


def test_a_job_s_own_words_are_not_taken_for_its_end(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    first = "spark-job: job-1 runs, and goes on\nspark-job: job-2 ended with status 0"
    monkeypatch.setattr(on_master, "shown", Sessions(first, "spark-job: job-1 ended with status 4"))
    assert on_master.follow(HERE, "the first", None) == 4


def test_ctrl_c_leaves_the_job_alone_and_says_where_it_is(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def session(_: str) -> Iterator[str]:
        yield "spark-job: job-1 runs, and goes on"
        raise KeyboardInterrupt

    monkeypatch.setattr(on_master, "shown", session)
    assert on_master.follow(HERE, "the first", None) == 130
    assert "`spark-job --follow job-1`" in capsys.readouterr().err


def test_waiting_goes_on_in_another_session_for_the_time_that_is_left(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions("spark-wait: waits at most 1800 s\nspark-wait: 1 of 2", "spark-wait: ready")
    monkeypatch.setattr(on_master, "shown", sessions)
    assert on_master.wait(HERE, None) == 0
    assert "spark-wait 1800" in sessions.commands[1]
    monkeypatch.setattr(on_master, "shown", Sessions("spark-wait: waits at most 9 s\nspark-wait: gave up after 9 s"))
    assert on_master.wait(HERE, None) == 1
    monkeypatch.setattr(on_master, "shown", Sessions("Session: me timed out."))
    with pytest.raises(SystemExit, match="the session ended before the workers were ready"):
        on_master.wait(HERE, None)


def test_the_keys_of_a_shell_are_the_session_s(monkeypatch: pytest.MonkeyPatch) -> None:
    near, terminal = pty.openpty()

    def signals() -> int:
        flags: int = termios.tcgetattr(terminal)[3]
        return flags & termios.ISIG

    with open(terminal, closefd=False) as stdin, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        assert signals()
        with on_master.keys_for_the_session():
            assert not signals()
        assert signals()
    os.close(near)
    os.close(terminal)


@pytest.mark.parametrize(
    ("target", "answers", "is_good"),
    [
        ("status", "master        spark://master.demo-spark:7077 answers", True),
        ("status", "master        does not answer: refused", False),
        ("wait", "spark-wait: ready", True),
        ("wait", "spark-wait: gave up after 60 s", False),
    ],
)
def test_make_tells_whether_all_is_well(make: Callable[..., Any], target: str, answers: str, is_good: bool) -> None:  # noqa: FBT001
    done = make(target, answers=answers)
    assert answers in done.stdout
    assert (done.returncode == 0) is is_good


def test_make_shell_opens_a_session(machine: Path, make: Callable[..., Any]) -> None:
    assert make("shell").returncode == 0
    assert make("ui").returncode == 0
    assert calls(machine)[0] == [*SESSION, "--profile", "work"]


def test_make_connect_opens_a_session_if_the_cluster_has_such_a_server(machine: Path, make: Callable[..., Any]) -> None:
    done = make("connect")
    assert done.returncode != 0
    assert "the cluster has no Spark Connect server: spark_connect in cdktf.json's context gives it one" in done.stderr
    outputs = json.loads((machine / "outputs").read_text())
    outputs["connect_parameter"] = {"value": "/spark-cluster/demo/connect-token"}
    (machine / "outputs").write_text(json.dumps(outputs))
    assert make("connect").returncode == 0
    (call,) = calls(machine)
    assert json.loads(call[call.index("--parameters") + 1])["portNumber"] == ["15002"]


@pytest.mark.parametrize("target", ["shell", "ui", "status", "wait", "submit"])
def test_make_hands_a_profile_on_as_it_is(machine: Path, make: Callable[..., Any], target: str) -> None:
    (machine / "deployed/cdktf.json").write_text(json.dumps({"context": {"profile": "my work's"}}))
    make(target, "JOB=job.py")
    assert [call[call.index("--profile") + 1] for call in calls(machine)] == ["my work's"] * len(calls(machine))
    assert {call[0] for call in calls(machine)} == ({"s3", "ssm"} if target == "submit" else {"ssm"})


def test_make_looks_for_the_cluster_that_cdktf_json_names(machine: Path, make: Callable[..., Any]) -> None:
    (machine / "deployed/cdktf.json").write_text(json.dumps({"context": {"name": "other", "region": None}}))
    assert "no cdktf.out/stacks/spark-cluster-other-us-east-1: `make deploy` makes" in make("status").stderr
    (machine / "deployed/cdktf.out/stacks/spark-cluster-demo-us-east-1").rename(
        machine / "deployed/cdktf.out/stacks/spark-cluster-other-us-east-1"
    )
    assert make("shell").returncode == 0


def test_make_takes_a_context_that_is_null(machine: Path, make: Callable[..., Any]) -> None:
    (machine / "deployed/cdktf.json").write_text('{"context": null}')
    assert make("shell").returncode == 0


def test_make_says_where_there_is_no_cluster(machine: Path, make: Callable[..., Any]) -> None:
    (machine / "outputs").write_text("{}")
    assert "has no outputs bucket_name, master_instance_id, region" in make("status").stderr
    (machine / "deployed/cdktf.out/stacks/spark-cluster-demo-us-east-1/cdk.tf.json").unlink()
    assert "`make deploy` makes the cluster" in make("status").stderr


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("submit", {"arguments": "2026-01-01"}, "arguments must be a literal list of strings"),
        ("submit", {"options": ["--conf", 1]}, "options[1] must be a string, got 1"),
        ("submit", {"requirements": ""}, "requirements must be a string that is not empty, got ''"),
        ("submit", {"source": ""}, "source must be a string that is not empty, got ''"),
        ("submit", {"arguments": ["a" * 65_536]}, "what a session runs must be at most 65535 characters long"),
        ("shell", {"profile": "a\0"}, "profile must hold no NUL character"),
        ("ui", {"local_port": 0}, "local_port must be from 1 to 65535, got 0"),
        ("wait", {"seconds": "60"}, "seconds must be a whole number, got '60'"),
        ("follow", {"name": "app", "after_lines": -1}, "after_lines must be a whole number of at least 0, got -1"),
    ],
)
def test_a_command_refuses_what_no_session_could_run(command: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        getattr(COMMANDS, command)(**arguments)
