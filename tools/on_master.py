"""`make shell`, `ui`, `connect`, `submit`, `status`, `wait`: commands of `cluster.commands`, for the deployed cluster.

Session Manager hands no status on, so what the command says is read: its last words tell how it went. And it ends a
session after 20 minutes without input, which a job may outlast
(https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-timeout.html).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULTS = {"name": "demo", "region": "us-east-1"}
"""As main.py has them, which takes seconds to import."""

RUNS = re.compile(r"^spark-job: (\S+) runs, and goes on")
ENDED = re.compile(r"^spark-job: (\S+) ended with status (\d+)")
GONE = re.compile(r"^spark-job: there is no driver ")
AGAIN_LINES = 8
"""Of a job's output that the next session shows again: among the last lines may be words of Session Manager's."""

SESSION_SECONDS = 60
"""A session that lasted longer was a good one."""

PAUSES_SECONDS = (1, 10, 60)
"""Before each further session after one that was none."""

ANSWERS = re.compile(r"^master +(\S+ answers|does not answer)")
WAITS = re.compile(r"^spark-wait: waits at most (\d+) s")
WAITED = re.compile(r"^spark-wait: (ready|gave up)")
INTERRUPTED_STATUS = 130


def main(what: str) -> int:
    """Run one of them, and end with the status that it had on the master."""
    context = json.loads(Path("cdktf.json").read_text(encoding="utf-8")).get("context") or {}
    values = outputs(Path(os.environ.get("STACK") or stack_folder(context)))
    connect_parameter = values.get("connect_parameter", "")
    if what == "connect" and not connect_parameter:
        sys.exit("the cluster has no Spark Connect server: spark_connect in cdktf.json's context gives it one")
    commands = Commands(
        values["region"], values["master_instance_id"], values["bucket_name"], connect_parameter=connect_parameter
    )
    profile = context.get("profile")
    if what == "submit":
        return submit(commands, profile)
    if what == "wait":
        return wait(commands, profile)
    if what == "status":
        found = [match for line in shown(commands.status(profile)) if (match := ANSWERS.search(line))]
        if not found:
            sys.exit("the session ended before the master's state was seen")
        return 0 if found[0][1].endswith(" answers") else 1
    with keys_for_the_session() if what == "shell" else contextlib.nullcontext():
        return subprocess.run(["sh", "-c", getattr(commands, what)(profile)], check=False).returncode


@contextlib.contextmanager
def keys_for_the_session() -> Iterator[None]:
    """Hand Ctrl-C and its like on as they are typed; else they would end this program, and the session with it."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    inside = termios.tcgetattr(sys.stdin)
    inside[3] &= ~termios.ISIG
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, inside)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def stack_folder(context: Mapping[str, str | None]) -> str:
    """Where `main.py` writes the stack of a context."""
    settings = DEFAULTS | {key: value for key, value in context.items() if value is not None}
    return f"cdktf.out/stacks/spark-cluster-{settings['name']}-{settings['region']}"


def outputs(stack: Path) -> dict[str, str]:
    """The outputs of the deployed stack by name, or an end that says what to deploy."""
    if not (stack / "cdk.tf.json").exists():
        sys.exit(f"there is no {stack}: `make deploy` makes the cluster, `make output` finds it again")
    show = ["terraform", f"-chdir={stack}", "output", "-json"]
    done = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit("terraform shows no outputs: was the cluster deployed from this folder?")
    values = {name: output["value"] for name, output in json.loads(done.stdout).items()}
    if missing := {"region", "master_instance_id", "bucket_name"} - values.keys():
        sys.exit(f"the deployed stack has no outputs {', '.join(sorted(missing))}: `make deploy` adds them")
    return values


def submit(commands: Commands, profile: str | None) -> int:
    """Upload the file, and that with its requirements; run it, show its output, end with its status."""
    job = Path(os.environ["JOB_AS_GIVEN"])
    if not job.is_file():
        sys.exit(
            f"there is no file {job}: JOB is a Python script or a jar, as in make submit JOB=job.py ARGS='2026-01-01'"
        )
    named = os.environ["REQUIREMENTS_AS_GIVEN"]
    if named and not Path(named).is_file():
        sys.exit(
            f"there is no file {named}: REQUIREMENTS is a requirements file of pip's, or packages, packed (.tar.gz)"
        )
    arguments, options = words("ARGS"), words("OPTIONS")
    url = upload(job, commands, profile)
    requirements = upload(Path(named), commands, profile) if named else None
    command = commands.submit(url, arguments, options=options, requirements=requirements, profile=profile)
    return follow(commands, command, profile)


def upload(file: Path, commands: Commands, profile: str | None) -> str:
    """Put a file into the bucket, and return where it is there, which is another place for another content."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()[:16]
    url = f"s3://{commands.bucket_name}/data/jobs/{digest}/{file.name}"
    copy = ["aws", "s3", "cp", "--only-show-errors", "--region", commands.region, str(file), url]
    if profile:
        copy += ["--profile", profile]
    if subprocess.run(copy, check=False).returncode:
        sys.exit(f"{file} could not be uploaded to {url}")
    return url


def words(variable: str) -> list[str]:
    """A variable of make's, split as a shell does it."""
    text = os.environ[f"{variable}_AS_GIVEN"]
    try:
        return shlex.split(text)
    except ValueError as error:
        sys.exit(f"{variable} must be quoted as for a shell, got {text}: {error}")


@dataclass
class Job:
    """What the lines of sessions tell of a job.

    Attributes:
        name: its driver's name, once that has begun.
        lines: how many lines it has said, with those of Session Manager's among them.
        status: what it ended with.
    """

    name: str | None = None
    lines: int = 0
    status: int | None = None

    def hear(self, line: str) -> None:
        """Take one line in."""
        if self.name is None:
            runs = RUNS.search(line)
            self.name = runs[1] if runs else None
        elif (ended := ENDED.search(line)) and ended[1] == self.name:
            self.status = int(ended[2])
        elif GONE.search(line):
            sys.exit(f"nothing is known of {self.name} any more: was the master replaced?")
        else:
            self.lines += 1

    def __str__(self) -> str:
        """Where it may be found."""
        what = "--list" if self.name is None else f"--follow {self.name}"
        return f"The job may go on: `make shell`, then `spark-job {what}`"


def follow(commands: Commands, command: str, profile: str | None) -> int:
    """Show a job's output, in as many sessions as it lasts, and return its status."""
    job, pauses = Job(), list(PAUSES_SECONDS)
    while True:
        began = time.monotonic()
        try:
            for line in shown(command):
                job.hear(line)
        except KeyboardInterrupt:
            sys.stderr.write(f"\n{job}\n")
            return INTERRUPTED_STATUS
        if job.status is not None:
            return job.status
        if job.name is None:
            sys.exit(f"the session ended, and no job was seen to begin. {job}")
        if time.monotonic() - began > SESSION_SECONDS:
            pauses = list(PAUSES_SECONDS)
        if not pauses:
            sys.exit(f"no session stays open. {job}")
        sys.stderr.write("the session ended before the job did: it is followed in another\n")
        time.sleep(pauses.pop(0))
        job.lines = max(0, job.lines - AGAIN_LINES)
        command = commands.follow(job.name, job.lines, profile=profile)


def wait(commands: Commands, profile: str | None) -> int:
    """Wait for the workers as long as `spark-wait` does, which may be longer than a session lasts."""
    end = None
    command = commands.wait(profile)
    while True:
        for line in shown(command):
            if done := WAITED.search(line):
                return 0 if done[1] == "ready" else 1
            if (waits := WAITS.search(line)) and end is None:
                end = time.monotonic() + int(waits[1])
        left = 0 if end is None else int(end - time.monotonic())
        if left <= 0:
            sys.exit("the session ended before the workers were ready")
        sys.stderr.write(f"the session ended: waiting goes on in another, for {left} s\n")
        time.sleep(PAUSES_SECONDS[1])
        command = commands.wait(profile, seconds=left)


def shown(command: str) -> Iterator[str]:
    """Run a command, and show what it says as it comes, line by line."""
    # Without a terminal for input, as in CI, a session ends at once: https://github.com/aws/amazon-ssm-agent/issues/354
    near, terminal = pty.openpty()
    stdin = None if os.isatty(0) else terminal
    with subprocess.Popen(["sh", "-c", command], stdin=stdin, stdout=subprocess.PIPE) as process:
        for raw in process.stdout or ():
            sys.stdout.buffer.write(raw)
            sys.stdout.flush()
            yield raw.decode(errors="replace").strip()
    os.close(near)
    os.close(terminal)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
