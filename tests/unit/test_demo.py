"""`make demo` on a machine that has not all it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from lab import demo


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is called on a Debian machine without two of the packages."""
    calls: list[list[str]] = []
    missing = ["dnf", "systemd-container"]

    def run(command: list[str], **_: object) -> SimpleNamespace:
        calls.append(command)
        if "install" in command:
            missing.clear()
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(demo, "missing_packages", lambda: list(missing))
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return calls


def test_missing_packages_are_named_and_installed(ran: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["packages"]) == 0
    assert capsys.readouterr().out == "installing Debian packages dnf systemd-container ...\n"
    update, install = ran
    assert update[-1] == "update"
    assert install[-4:] == ["install", "--no-install-recommends", "dnf", "systemd-container"]


def test_what_the_tests_alone_need_is_asked_for_by_their_own_command(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser takes more room than all else."""
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "chromedriver" else f"/usr/bin/{program}")
    with pytest.raises(SystemExit, match="missing Debian packages: chromium-driver"):
        demo.main(["packages"])  # it was not really installed
    assert ran[-1][-1] == "chromium-driver"
    del ran[:]
    monkeypatch.setattr(demo, "problems", lambda: ["no Terraform"])
    with pytest.raises(SystemExit, match="no Terraform"):
        demo.main([])
    assert ran == []


def test_who_is_not_root_gets_their_names(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="missing Debian packages: dnf systemd-container"):
        demo.main(["packages"])
    assert ran == []


def test_a_machine_that_has_all_of_them_is_left_alone(ran: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "missing_packages", list)
    assert demo.main(["packages"]) == 0
    assert ran == []
