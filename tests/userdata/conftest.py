"""Nodes to boot, and what their Python programs run in: settings, a clock nobody waits for, an AWS of moto's."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import boto3
import files
import observation
import polling
import pytest
import settings
import spark_state
from botocore.client import BaseClient
from moto import mock_aws

from tests.userdata.node import ARCHIVE, CDN, Node, node_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "demo-bucket"


def online(node: Node) -> Node:
    for url in (CDN, ARCHIVE):
        node.serve(url)
    return node


@pytest.fixture
def master(tmp_path: Path) -> Node:
    """A master that boots for the first time, with the internet at hand."""
    return online(Node(tmp_path, "master"))


@pytest.fixture
def worker(tmp_path: Path) -> Node:
    """A worker likewise."""
    return online(Node(tmp_path, "worker"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the Python programs find the node's files."""
    for folder in (
        *("etc/spark-cluster", "home/spark/.ssh", "opt/spark/conf", "var/lib/spark-cluster"),
        "var/lib/spark-known-hosts",
    ):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(settings, "ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def settle(root: Path) -> Callable[..., None]:
    """Sets what the node is given; called again, it adds to that."""
    known: dict[str, Any] = {}

    def tell(role: str, **more: object) -> None:
        known.update(more)
        (root / "etc/spark-cluster/settings.json").write_text(json.dumps(node_settings(role, **known)))

    return tell


class Clock:
    """Time that passes only in `sleep`, and the pauses it was asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    time = staticmethod(time.time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    return clock


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS that has nothing yet."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    # Hundreds of images at each test's start, where the tests use none of their properties.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield


@functools.lru_cache(None)
def client(service: str) -> Any:
    """A client of the tests' own, made once: that takes longer than what most tests do with it."""
    return boto3.client(service, "eu-west-1", aws_access_key_id="k", aws_secret_access_key="s")  # noqa: S106


@pytest.fixture
def as_master(settle: Callable[..., None], cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is a master, whose Spark answers, has no workers, and is up for an hour."""
    settle("master")
    monkeypatch.setattr(spark_state, "read", lambda _: {"workers": [], "activeapps": []})
    monkeypatch.setattr(observation, "master_seconds", lambda: 3600.0)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Every call to AWS from here on, by its name."""
    made: Counter[str] = Counter()
    call = BaseClient._make_api_call  # noqa: SLF001 - what every call goes through

    def count(self: Any, name: str, arguments: Any) -> Any:
        made[name] += 1
        return call(self, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    return made


def in_bucket() -> dict[str, str]:
    """The text of each object."""
    s3 = client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read().decode() for each in found}


def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of S3 from now on."""
    asked: list[str] = []
    known = client("s3")

    class Noted:
        def __getattr__(self, name: str) -> object:
            asked.append(name)
            return getattr(known, name)

    monkeypatch.setattr(aws, "client", lambda _service: Noted())
    return asked


@pytest.fixture
def acted_as(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """With whose rights something was done, in place of taking them."""
    users: list[str] = []

    @contextlib.contextmanager
    def acting_as(user: str) -> Iterator[None]:
        users.append(user)
        yield

    monkeypatch.setattr(files, "acting_as", acting_as)
    return users


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Who was made the owner of which file, in place of doing it."""
    given: list[tuple[str, str]] = []

    def chown(descriptor: int, user: str, group: str) -> None:
        owner = user if user == group else f"{user}:{group}"
        given.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()).removesuffix(".new"), owner))

    monkeypatch.setattr(files, "shutil", SimpleNamespace(chown=chown))
    return given
