"""connect.py: the Spark Connect server, and when it is started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import connect
import pytest
import spark_conf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.userdata.conftest import Clock

LISTED = {"activeapps": [{"name": "etl"}, {"name": "Spark Connect"}]}
UNLISTED = {"activeapps": [{"name": "etl"}]}


class Server:
    """A process that ends by itself with status 3, if ever."""

    def __init__(self, command: tuple[str, ...], clock: Clock, ends_after: float) -> None:
        self.command, self.clock, self.ends_at = command, clock, clock.now + ends_after
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.clock.now >= self.ends_at:
            self.returncode = 3
        return self.returncode


@pytest.fixture
def run(
    root: Path, settle: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, float]]:
    """Runs the program against a master of which a function tells the state; its status, and after how many seconds."""
    settle("master")
    (root / "etc/spark-cluster/executor.env").touch()
    monkeypatch.setattr(connect, "time", clock)
    monkeypatch.setattr(connect.polling, "time", clock)

    def main(state: Callable[[float], dict[str, Any]], ends_after: float = 3600) -> tuple[int, float]:
        began = clock.now

        def read(host: str) -> dict[str, Any]:
            assert host == "127.0.0.1"
            return state(clock.now - began)

        monkeypatch.setattr(connect.spark_state, "read", read)
        monkeypatch.setattr(connect.subprocess, "Popen", lambda command: Server(command, clock, ends_after))
        status = connect.main()
        return status, clock.now - began

    return main


def away(_: float) -> dict[str, Any]:
    raise OSError("connection refused")


def recovering(_: float) -> dict[str, Any]:
    raise ValueError("the master is RECOVERING")


def test_the_program_ends_as_its_server_does(run: Callable[..., tuple[int, float]]) -> None:
    assert run(lambda _: LISTED) == (3, 3600)


def test_a_server_whose_application_was_ended_is_started_again(run: Callable[..., tuple[int, float]]) -> None:
    status, seconds = run(lambda seconds: LISTED if seconds < 1000 else UNLISTED)
    assert status == 1
    assert 1100 < seconds < 1140


def test_a_server_that_never_registers_is_started_again(run: Callable[..., tuple[int, float]]) -> None:
    assert run(lambda _: UNLISTED) == (1, 130)


def test_a_server_that_starts_slowly_is_left_alone(run: Callable[..., tuple[int, float]]) -> None:
    assert run(lambda seconds: LISTED if seconds > 100 else UNLISTED) == (3, 3600)


@pytest.mark.parametrize("gone", [away, recovering])
def test_a_master_that_is_away_is_no_reason(
    run: Callable[..., tuple[int, float]], gone: Callable[[float], dict[str, Any]]
) -> None:
    assert run(gone) == (3, 3600)
    assert run(lambda seconds: gone(seconds) if seconds % 100 < 50 else UNLISTED) == (3, 3600)


def test_the_server_starts_once_it_is_known_how_much_memory_an_executor_has(
    run: Callable[..., tuple[int, float]], root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark reads it at the server's start alone: with none, all its executors would have 1 GiB for ever."""
    executor = root / "etc/spark-cluster/executor.env"
    executor.unlink()
    passing = clock.sleep

    def sleep(seconds: float) -> None:
        passing(seconds)
        if len(clock.pauses) == 7:
            executor.touch()

    monkeypatch.setattr(clock, "sleep", sleep)
    status, _ = run(lambda _: LISTED, ends_after=10)
    assert status == 3
    assert len(clock.pauses) == 7 + 1
    assert all(8 <= pause <= 12 for pause in clock.pauses)
    executor.unlink()
    monkeypatch.setattr(clock, "sleep", passing)
    with pytest.raises(SystemExit, match=r"there is no /etc/spark-cluster/executor\.env"):
        run(lambda _: LISTED)


def test_the_server_has_its_own_properties_over_those_of_all_drivers() -> None:
    options = dict(zip(connect.COMMAND, connect.COMMAND[1:], strict=False))
    assert options["--properties-file"] == spark_conf.CONNECT_CONF
    assert "--load-spark-defaults" in connect.COMMAND
    assert options["--name"] == connect.NAME
    assert options["--class"] == "org.apache.spark.sql.connect.service.SparkConnectServer"
