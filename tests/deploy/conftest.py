"""The real `cdktf deploy`, with the real Terraform and AWS provider, into an AWS that runs on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from lab import faults
from lab.deployment import PROVIDER_COPY, ROOT, Deployment, Done, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 60


@dataclass
class EmulatedAws:
    """The AWS of these tests.

    Attributes:
        url: its endpoint.
        log: file with a line of JSON for each action of a group.
        calls: file with a line of JSON for each operation and set of arguments that Terraform used.
    """

    url: str
    log: Path
    calls: Path

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
    url, log, calls = f"http://127.0.0.1:{port}", folder / "actions.jsonl", folder / "calls.jsonl"
    os.environ[faults.FILE_VARIABLE] = str(folder / "faults.json")
    environment = {**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "true"}
    command = [
        sys.executable,
        "-m",
        "lab.emulated_aws",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log",
        str(log),
        "--calls",
        str(calls),
    ]
    with (folder / "moto.log").open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(url, server)
        yield EmulatedAws(url, log, calls)
    finally:
        server.terminate()
        server.wait(timeout=20)
        del os.environ[faults.FILE_VARIABLE]


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
        "main": Deployment(ROOT / "main.py", "spark-cluster", folder / "main", aws.url),
        "existing_stack": Deployment(
            ROOT / "examples/existing_stack.py", "existing-stack", folder / "existing_stack", aws.url
        ),
        "two_clusters": Deployment(ROOT / "examples/two_clusters.py", "two-clusters", folder / "two_clusters", aws.url),
        "ported_module": Deployment(
            ROOT / "examples/ported_module.py", "ported-module", folder / "ported_module", aws.url, ported
        ),
        "kept_bucket": Deployment(apps / "kept_bucket.py", "kept-bucket", folder / "kept_bucket", aws.url),
        "wrong_subnet": Deployment(
            apps / "wrong_subnet.py", "wrong-subnet", folder / "wrong_subnet", aws.url, {"subnet_id": other_subnet}
        ),
        "missing_ami": Deployment(apps / "missing_ami.py", "missing-ami", folder / "missing_ami", aws.url),
        "no_workers": Deployment(apps / "no_workers.py", "no-workers", folder / "no_workers", aws.url),
    }
    no_workers = faults.injected(failed_launches={"no-workers": "quota"})
    with no_workers, ThreadPoolExecutor(max_workers=len(made) if PROVIDER_COPY else 1) as pool:
        yield {name: (deployment, pool.submit(deployment.deploy)) for name, deployment in made.items()}
