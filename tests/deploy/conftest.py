"""The real `cdktf deploy`, with the real Terraform and AWS provider, into an AWS that runs on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CDKTF = ROOT / "node_modules/.bin/cdktf"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
START_SECONDS = 60
COMMAND_SECONDS = 600
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PROVIDER_COPY = "AWS_PROVIDER_VERSION" in os.environ


def missing() -> str:
    """What this machine lacks for a deploy; empty where nothing."""
    if shutil.which("terraform") is None:
        return "there is no terraform on the path"
    if not CDKTF.exists():
        return "there is no node_modules/.bin/cdktf, which `make` installs"
    if not PROVIDER_COPY and not _registry_answers():
        return "Terraform's registry does not answer, and AWS_PROVIDER_VERSION names no copy of the provider"
    return ""


def _registry_answers() -> bool:
    try:
        with urllib.request.urlopen("https://registry.terraform.io/.well-known/terraform.json", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class EmulatedAws:
    """The AWS of these tests.

    Attributes:
        url: its endpoint.
        log: file with a line of JSON for each action of a group.
    """

    url: str
    log: Path

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A boto3 client."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
        )

    def actions(self, group: str) -> list[dict[str, Any]]:
        """What was asked of a group."""
        calls = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [call for call in calls if call["group"] == group]


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
        aws: the AWS it goes to.
        variables: Terraform variables.
        context: what `cdktf.json` says besides the defaults.
    """

    file: Path
    stack: str
    folder: Path
    aws: EmulatedAws
    variables: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)

    def cdktf(self, command: str, *arguments: str) -> Done:
        """Run the real command line, as a user would, and keep what it prints beside the state."""
        settings = {
            "language": "python",
            "app": f"{sys.executable} -m tests.deploy.app {self.file}",
            "projectId": "b7e1c0de-0000-4000-8000-000000000000",
            "sendCrashReports": "false",
            "context": self.context,
        }
        self.folder.mkdir(exist_ok=True)
        (self.folder / "cdktf.json").write_text(json.dumps(settings))
        offline = ["--skip-provider-lock"] if PROVIDER_COPY else []
        log = self.folder / f"{command}.log"
        # A file, not a pipe: the command line ends without waiting for what a pipe has not taken yet.
        with log.open("w") as output:
            done = subprocess.run(
                [CDKTF, command, self.stack, *offline, *arguments],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        return Done(done.returncode, COLOURS.sub("", log.read_text()))

    def reason(self) -> str:
        """Why Terraform refuses the plan, in one line.

        cdktf 0.21 may end before it has printed the last of what Terraform says, so Terraform is asked again.
        """
        command = ["terraform", "plan", "-no-color", "-input=false"]
        folder = self.folder / "cdktf.out/stacks" / self.stack
        done = subprocess.run(command, cwd=folder, env=self._environment(), capture_output=True, text=True, check=False)
        return " ".join(re.sub("[│╷╵]", "", done.stderr).split())

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT")},
            **CREDENTIALS,
            **{f"TF_VAR_{name}": value for name, value in self.variables.items()},
            "AWS_ENDPOINT_URL": self.aws.url,
            "PYTHONPATH": str(ROOT),
            "CHECKPOINT_DISABLE": "1",
            "NO_COLOR": "1",
            "CI": "1",
            # Terraform's cache of providers is not made for several at once; a copy at hand needs none.
            **({"CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1"} if PROVIDER_COPY else {}),
        }

    def deploy(self) -> Done:
        """`cdktf deploy`."""
        return self.cdktf("deploy", "--auto-approve", "--outputs-file", "outputs.json")

    def destroy(self) -> Done:
        """`cdktf destroy`."""
        return self.cdktf("destroy", "--auto-approve")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as the deploy wrote them."""
        written: dict[str, dict[str, Any]] = json.loads((self.folder / "outputs.json").read_text())
        return written[self.stack]

    def state(self) -> str:
        """Terraform's state, as text."""
        return (self.folder / f"terraform.{self.stack}.tfstate").read_text()

    def synthesized(self) -> dict[str, Any]:
        """The Terraform JSON that was deployed."""
        text = (self.folder / "cdktf.out/stacks" / self.stack / "cdk.tf.json").read_text()
        document: dict[str, Any] = json.loads(text)
        return document


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAws]:
    """One AWS for the whole tier."""
    reason = missing()
    if reason and os.environ.get("CI") == "true" and PROVIDER_COPY:
        pytest.fail(f"a machine that has the provider must not skip the deploys: {reason}")
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("aws")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / "actions.jsonl"
    environment = {**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "true"}
    command = [
        sys.executable,
        "-m",
        "tests.emulated_aws",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log",
        str(log),
    ]
    with (folder / "moto.log").open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(url, server)
        yield EmulatedAws(url, log)
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A caller's own private key."""
    file = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file.read_text()


@pytest.fixture(scope="session")
def deployments(
    aws: EmulatedAws, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Deployment, Future[Done]]]]:
    """All apps, being deployed side by side: nearly all of a deploy is waiting."""
    folder = tmp_path_factory.mktemp("deploy")
    sydney = aws.client("ec2", "ap-southeast-2").describe_subnets()["Subnets"][0]
    oregon = aws.client("ec2", "us-west-2")
    other_vpc = oregon.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    other_subnet = oregon.create_subnet(VpcId=other_vpc, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    ported = {
        "vpc_platform_id": sydney["VpcId"],
        "subnet_id": sydney["SubnetId"],
        "key_name": "operators",
        "account_id": "123456789012",
        "fleet_private_key": private_key,
    }
    aws.client("ec2", "ap-southeast-2").create_key_pair(KeyName="operators")
    apps = Path(__file__).parent / "apps"
    made = {
        "main": Deployment(ROOT / "main.py", "spark-cluster", folder / "main", aws),
        "existing_stack": Deployment(
            ROOT / "examples/existing_stack.py", "existing-stack", folder / "existing_stack", aws
        ),
        "two_clusters": Deployment(ROOT / "examples/two_clusters.py", "two-clusters", folder / "two_clusters", aws),
        "ported_module": Deployment(
            ROOT / "examples/ported_module.py", "ported-module", folder / "ported_module", aws, ported
        ),
        "kept_bucket": Deployment(apps / "kept_bucket.py", "kept-bucket", folder / "kept_bucket", aws),
        "wrong_subnet": Deployment(
            apps / "wrong_subnet.py", "wrong-subnet", folder / "wrong_subnet", aws, {"subnet_id": other_subnet}
        ),
        "missing_ami": Deployment(apps / "missing_ami.py", "missing-ami", folder / "missing_ami", aws),
    }
    with ThreadPoolExecutor(max_workers=len(made) if PROVIDER_COPY else 1) as pool:
        yield {name: (deployment, pool.submit(deployment.deploy)) for name, deployment in made.items()}
