"""The emulated AWS as a process of its own, for tests that need no host."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from . import faults
from .deployment import CREDENTIALS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60


@dataclass(frozen=True)
class EmulatedAws:
    """One AWS that remembers what it is told.

    Attributes:
        url: its endpoint.
        folder: where it writes.
    """

    url: str
    folder: Path

    @property
    def calls(self) -> Path:
        """File with a line of JSON for each operation and set of arguments that Terraform used."""
        return self.folder / "calls.jsonl"

    @property
    def refused(self) -> Path:
        """File with a line of JSON for each call that a role's policies do not allow."""
        return self.folder / "refused.jsonl"

    def client(self, service: str, region: str = "us-east-1", config: Any = None) -> Any:
        """A boto3 client of whoever deploys."""
        key, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        session = boto3.session.Session(key, secret, region_name=region)
        return session.client(service, endpoint_url=self.url, config=config)

    def actions(self, group: str) -> list[dict[str, Any]]:
        """What was asked of a group."""
        log = _actions(self.folder)
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call for call in calls if call["group"] == group]


@contextmanager
def emulated_aws(folder: Path, *, permissions: bool = False) -> Iterator[EmulatedAws]:
    """Serve one while the context lasts; `faults.injected` are its faults, too.

    With `permissions` roles may do what their policies allow, as in the lab, and requests have to be signed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    aws = EmulatedAws(f"http://127.0.0.1:{port}", folder)
    # Not the file of a lab that runs beside.
    os.environ[faults.FILE_VARIABLE] = str(folder / "faults.json")
    environment = {**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "true"}
    where = ["--host", "127.0.0.1", "--port", str(port), "--log", str(_actions(folder)), "--calls", str(aws.calls)]
    where += ["--refused", str(aws.refused)] if permissions else []
    command = [sys.executable, "-m", "lab.emulated_aws", *where]
    with (folder / "moto.log").open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(aws.url, server)
        yield aws
    finally:
        server.terminate()
        server.wait(timeout=20)
        del os.environ[faults.FILE_VARIABLE]


def _actions(folder: Path) -> Path:
    return folder / "actions.jsonl"


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
        except urllib.error.HTTPError:  # It refuses what is not signed.
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
