"""The real `cdktf`, run as a user runs it: one app, from a folder of its own, into an AWS that runs on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CDKTF = ROOT / "node_modules/.bin/cdktf"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
COMMAND_SECONDS = 900
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PROVIDER_COPY = "AWS_PROVIDER_VERSION" in os.environ
"""Whether this machine has a copy of the AWS provider, of the version that this variable names."""


def missing() -> str:
    """What a deploy needs and this machine has not; empty if nothing."""
    if shutil.which("terraform") is None:
        return "there is no terraform on the path"
    if not CDKTF.exists():
        return "there is no node_modules/.bin/cdktf, which `make setup` installs"
    if not PROVIDER_COPY and not _registry_answers():
        return "Terraform's registry does not answer, and AWS_PROVIDER_VERSION names no copy of the provider"
    return ""


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen("https://registry.terraform.io/.well-known/terraform.json", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str


@dataclass
class Deployment:
    """One app, deployed from a folder of its own.

    Attributes:
        file: the app.
        stack: its stack's name.
        folder: where `cdktf` runs, and keeps its state.
        endpoint: the AWS it goes to.
        variables: Terraform variables.
        context: what `cdktf.json` says besides the defaults.
        enter: what goes before a command, to run it in the network where that AWS is.
        environment: what the commands need besides this process's own environment.
    """

    file: Path
    stack: str
    folder: Path
    endpoint: str
    variables: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    enter: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def cdktf(self, command: str, *arguments: str) -> Done:
        """Run the real command line, as a user would, and keep what it prints beside the state."""
        settings = {
            "language": "python",
            "app": f"{sys.executable} -m lab.app {self.file}",
            "projectId": "b7e1c0de-0000-4000-8000-000000000000",
            "sendCrashReports": "false",
            "context": self.context,
        }
        self.folder.mkdir(exist_ok=True, parents=True)
        (self.folder / "cdktf.json").write_text(json.dumps(settings))
        log = self.log(command)
        # A file, not a pipe: the command line ends without waiting for what a pipe has not taken yet.
        with log.open("w") as output:
            done = subprocess.run(
                [*self.enter, CDKTF, command, self.stack, *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        return Done(done.returncode, COLOURS.sub("", log.read_text()))

    @property
    def stack_folder(self) -> Path:
        """Where Terraform runs."""
        return self.folder / "cdktf.out/stacks" / self.stack

    def log(self, command: str) -> Path:
        """The file that has what a command printed."""
        return self.folder / f"{command}.log"

    def reason(self) -> str:
        """Why Terraform refuses the plan, in one line.

        cdktf 0.21 may end before it has printed the last of what Terraform says, so Terraform is asked again.
        """
        return " ".join(re.sub("[│╷╵]", "", self._plan("-no-color").stderr).split())

    def changes(self) -> dict[str, str]:
        """What Terraform would do to each address, if anything, after a `diff` or `deploy` has made its folder."""
        done = self._plan("-json")
        assert done.returncode == 0, done.stdout[-4000:]
        news = [json.loads(line) for line in done.stdout.splitlines()]
        changes = [one["change"] for one in news if one["type"] == "planned_change"]
        return {change["resource"]["addr"]: change["action"] for change in changes}

    def _plan(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.enter, "terraform", "plan", "-input=false", *arguments],
            cwd=self.stack_folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def plan(self, *arguments: str) -> dict[str, Any]:
        """What Terraform would do next with what was synthesized last, as `terraform show -json` has it."""
        for command in (["plan", "-input=false", "-out=plan", *arguments], ["show", "-json", "plan"]):
            done = subprocess.run(
                [*self.enter, "terraform", *command, *(["-no-color"] if command[0] == "plan" else [])],
                cwd=self.stack_folder,
                env=self._environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(done.stderr)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT")},
            **CREDENTIALS,
            **{f"TF_VAR_{name}": value for name, value in self.variables.items()},
            "AWS_ENDPOINT_URL": self.endpoint,
            "PYTHONPATH": str(ROOT),
            "CHECKPOINT_DISABLE": "1",
            "NO_COLOR": "1",
            "CI": "1",
            # Terraform and its providers collect garbage less often: a command takes a sixth less of CPU time.
            "GOGC": "400",
            # Terraform's cache of providers is not made for several at once; a copy at hand needs none.
            **({"CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1"} if self._has_providers else {}),
            **self.environment,
        }

    @property
    def _has_providers(self) -> bool:
        return PROVIDER_COPY or "TF_CLI_CONFIG_FILE" in self.environment

    def deploy(self) -> Done:
        """`cdktf deploy`, approved, its outputs in a file beside the state."""
        return self.cdktf("deploy", "--auto-approve", "--outputs-file", "outputs.json", *self._offline)

    def destroy(self) -> Done:
        """`cdktf destroy`, approved."""
        return self.cdktf("destroy", "--auto-approve", *self._offline)

    def output(self) -> Done:
        """`cdktf output`, which makes the folder in which Terraform finds the state."""
        return self.cdktf("output", *self._offline)

    def diff(self) -> Done:
        """`cdktf diff`: what a deploy would change."""
        return self.cdktf("diff", *self._offline)

    @property
    def _offline(self) -> list[str]:
        return ["--skip-provider-lock"] if self._has_providers else []

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as the deploy wrote them."""
        written: dict[str, dict[str, Any]] = json.loads((self.folder / "outputs.json").read_text())
        return written[self.stack]

    def state(self) -> str:
        """The text of Terraform's state, in which no secret may stand."""
        return (self.folder / f"terraform.{self.stack}.tfstate").read_text()

    def synthesized(self) -> dict[str, Any]:
        """The Terraform JSON that was deployed."""
        document: dict[str, Any] = json.loads((self.stack_folder / "cdk.tf.json").read_text())
        return document
