"""Credentials of nodes end when they say so, and are replaced before; a fault has the first ones end early."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sts.models import sts_backends

from lab import faults
from lab.credentials import LIFE_SECONDS, REPLACED_SECONDS, Credentials
from lab.permissions import Gate

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "arn:aws:iam::123456789012:role/demo-worker-20260101"


class Sts:
    """Makes credentials whose key is their number."""

    def __init__(self) -> None:
        self.made = 0

    def assume_role(self, **_: object) -> dict[str, Any]:
        self.made += 1
        return {"Credentials": dict.fromkeys(("AccessKeyId", "SecretAccessKey", "SessionToken"), str(self.made))}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The time, which goes on when a test says so; no fault is injected."""
    monkeypatch.setenv(faults.FILE_VARIABLE, str(tmp_path / "faults.json"))
    now = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def test_credentials_are_the_same_until_shortly_before_their_end(clock: list[float]) -> None:
    given = Credentials(Sts())
    first = given.of("i-1", ROLE)
    assert (first["AccessKeyId"], first["Expiration"]) == ("1", "1970-01-12T14:46:40Z")
    clock[0] += LIFE_SECONDS - REPLACED_SECONDS - 1
    assert given.of("i-1", ROLE) == first
    assert given.of("i-2", ROLE)["AccessKeyId"] == "2"
    clock[0] += 1
    assert given.of("i-1", ROLE)["AccessKeyId"] == "3"


def test_a_fault_gives_others_that_end_early_and_are_replaced_in_time(clock: list[float]) -> None:
    given = Credentials(Sts())
    assert given.of("i-1", ROLE)["AccessKeyId"] == "1"
    clock[0] += 10
    with faults.injected(credentials_end={"demo": (clock[0], clock[0] + 90)}):
        early = given.of("i-1", ROLE)
        assert (early["AccessKeyId"], early["Expiration"]) == ("2", "1970-01-12T13:53:10Z")
        assert given.of("i-2", ROLE.replace("demo", "other"))["Expiration"] == "1970-01-12T14:46:50Z"
        clock[0] += 69
        assert given.of("i-1", ROLE) == early
        clock[0] += 1
        after = given.of("i-1", ROLE)
        assert (after["AccessKeyId"], after["Expiration"]) == ("4", "1970-01-12T14:48:00Z")
        clock[0] += 600
        assert given.of("i-1", ROLE) == after


@pytest.mark.parametrize(
    ("service", "status", "code"),
    [
        ("s3", "400 Bad Request", "ExpiredToken"),
        ("ec2", "400 Bad Request", "RequestExpired"),
        ("autoscaling", "403 Forbidden", "ExpiredToken"),
    ],
)
def test_credentials_that_have_ended_are_refused(
    clock: list[float], tmp_path: Path, service: str, status: str, code: str
) -> None:
    given = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].assume_role("us-east-1", "i-1", ROLE, "", LIFE_SECONDS, "")
    given.expiration = datetime.fromtimestamp(clock[0] + LIFE_SECONDS, UTC)
    scope = f"Credential={given.access_key_id}/20260101/us-east-1/{service}/aws4_request"
    gate = Gate(lambda *_: [], "deployer", tmp_path / "refused.jsonl")

    def ask() -> tuple[str, str]:
        statuses: list[str] = []
        environ = {"HTTP_AUTHORIZATION": scope, "REQUEST_METHOD": "GET"}
        body = b"".join(gate(environ, lambda status, *_: statuses.append(status)))
        return statuses[0], body.decode()

    with faults.injected(credentials_end={"demo": (clock[0], clock[0] + 90)}, late_permissions={"demo": LIFE_SECONDS}):
        clock[0] += 89
        assert "not in force" in ask()[1]
        clock[0] += 1
        answered = ask()
    assert answered[0] == status
    assert f"<Code>{code}</Code>" in answered[1]
