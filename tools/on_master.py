"""`make shell`, `ui`, `submit`, `status` and `wait`: the commands of `cluster.commands`, for the deployed cluster.

Session Manager hands no status on, so what the command says is read: its last words tell how it went. And it ends a
session after 20 minutes without input, which a job may outlast
(https://docs.aws.amazon.com/systems-manager/latest/userguide/session-preferences-timeout.html).
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster.commands import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator

STACK = Path(os.environ.get("STACK") or "cdktf.out/stacks/spark-cluster")
ENDED = re.compile(r"^spark-job: (\S+) ended with status (\d+)")
RUNS = re.compile(r"^spark-job: (\S+) runs, and goes on")
NOT_OF_THE_JOB = re.compile(r"^((Starting|Exiting) session with session|spark-job: |$)", re.IGNORECASE)
"""A job's own empty lines are among them: in the next session some of its lines are shown again, and none is lost."""

SESSION_SECONDS = 60
"""A session that lasted longer was a good one."""

PAUSES_SECONDS = (1, 10, 60)
"""Before each further session after one that was none."""

GOOD = {
    "status": re.compile(r"^master +\S+ answers"),
    "wait": re.compile(r"^spark-wait: ready"),
}
"""What the commands say whose status is 0 on the master."""


def main(what: str) -> int:
    """Run one of them, and end with the status that it had on the master."""
    deployed = outputs()
    commands = Commands(deployed["region"], deployed["master_instance_id"], deployed["bucket_name"])
    profile = json.loads(Path("cdktf.json").read_text(encoding="utf-8")).get("context", {}).get("profile")
    if what == "submit":
        return submit(commands, profile)
    command: str = getattr(commands, what)(profile)
    if what not in GOOD:
        return subprocess.run(["sh", "-c", command], check=False).returncode
    found = [GOOD[what].search(line) for line in shown(command)]
    return 0 if any(found) else 1


def outputs() -> dict[str, str]:
    """The outputs of the deployed stack."""
    if not (STACK / "cdk.tf.json").exists():
        sys.exit(f"there is no {STACK}: `make deploy` makes the cluster")
    done = subprocess.run(
        ["terraform", f"-chdir={STACK}", "output", "-json"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit("terraform shows no outputs: was the cluster deployed from this folder?")
    values = {name: output["value"] for name, output in json.loads(done.stdout).items()}
    if missing := {"region", "master_instance_id", "bucket_name"} - values.keys():
        sys.exit(f"the deployed stack has no outputs {', '.join(sorted(missing))}: `make deploy` adds them")
    return values


def submit(commands: Commands, profile: str | None) -> int:
    """Upload the file, run it, show its output, end with its status."""
    job = Path(os.environ["JOB_AS_GIVEN"])
    if not job.is_file():
        sys.exit(
            f"there is no file {job}: JOB is a Python script or a jar, as in make submit JOB=job.py ARGS='2026-01-01'"
        )
    digest = hashlib.sha256(job.read_bytes()).hexdigest()[:16]
    url = f"s3://{commands.bucket_name}/data/jobs/{digest}/{job.name}"
    upload = ["aws", "s3", "cp", "--only-show-errors", "--region", commands.region, str(job), url]
    if profile:
        upload += ["--profile", profile]
    if subprocess.run(upload, check=False).returncode:
        sys.exit(f"{job} could not be uploaded to {url}")
    arguments, options = (shlex.split(os.environ[name]) for name in ("ARGS_AS_GIVEN", "OPTIONS_AS_GIVEN"))
    return follow(commands, commands.submit(url, arguments, options=options, profile=profile), profile)


def follow(commands: Commands, command: str, profile: str | None) -> int:
    """Show a job's output, in as many sessions as it lasts, and return its status."""
    name, status, lines, pauses = None, None, 0, list(PAUSES_SECONDS)
    while True:
        began = time.monotonic()
        for line in shown(command):
            if ended := ENDED.search(line):
                status = int(ended[2])
            elif runs := RUNS.search(line):
                name = runs[1]
            elif name and not NOT_OF_THE_JOB.search(line):
                lines += 1
        if status is not None:
            return status
        if name is None:
            sys.exit("the session ended before the job began")
        if time.monotonic() - began > SESSION_SECONDS:
            pauses = list(PAUSES_SECONDS)
        if not pauses:
            sys.exit(f"the job goes on, and no session stays open: `make shell`, then `spark-job --follow {name}`")
        sys.stderr.write("the session ended, the job goes on: it is followed in another\n")
        time.sleep(pauses.pop(0))
        command = commands.follow(name, lines, profile=profile)


def shown(command: str) -> Iterator[str]:
    """Run a command, and show what it says as it comes, line by line."""
    # Without a terminal for input, as in CI, a session ends at once: https://github.com/aws/amazon-ssm-agent/issues/354
    near, terminal = pty.openpty()
    stdin = None if sys.stdin.isatty() else terminal
    with subprocess.Popen(["sh", "-c", command], stdin=stdin, stdout=subprocess.PIPE) as process:
        for raw in process.stdout or ():
            sys.stdout.buffer.write(raw)
            sys.stdout.flush()
            yield raw.decode(errors="replace").strip()
    os.close(near)
    os.close(terminal)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
