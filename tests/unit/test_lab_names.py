"""The lab's name server: what it answers while a record changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from lab import faults, names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE, NAME = "demo-spark.", "master.demo-spark."


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The time, which goes on when a test says so; no fault is injected."""
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        made = boto3.client("route53").create_hosted_zone(Name=ZONE, CallerReference="once")
        yield made["HostedZone"]["Id"]


def change(zone: str, action: str, address: str) -> None:
    record: dict[str, Any] = {"Name": NAME, "Type": "A", "TTL": 10, "ResourceRecords": [{"Value": address}]}
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    boto3.client("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def test_a_name_has_its_former_address_while_a_change_is_pending(zone: str, clock: list[float]) -> None:
    account = names._Account()  # noqa: SLF001
    change(zone, "CREATE", "10.0.0.1")
    assert "master" not in account.hosts()
    clock[0] += 60
    assert "10.0.0.1 master.demo-spark\n" in account.hosts()
    change(zone, "UPSERT", "10.0.0.2")
    assert "10.0.0.1 master.demo-spark\n" in account.hosts()
    clock[0] += 60
    assert "10.0.0.2 master.demo-spark\n" in account.hosts()
    assert "10.0.0.1" not in account.hosts()


def test_a_name_that_is_gone_is_unknown_until_it_is_there_again(zone: str, clock: list[float]) -> None:
    account = names._Account()  # noqa: SLF001
    change(zone, "CREATE", "10.0.0.1")
    account.hosts()
    clock[0] += 60
    account.hosts()
    change(zone, "DELETE", "10.0.0.1")
    assert "master" not in account.hosts()
    change(zone, "CREATE", "10.0.0.2")
    assert "master" not in account.hosts()
