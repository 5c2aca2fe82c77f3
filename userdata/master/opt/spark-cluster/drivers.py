#!/usr/bin/python3
"""Drivers on the master: each is a transient unit of its own, run by a user of their own, its scratch on disk.

As a program: `drivers.py pyspark|spark-shell|spark-sql|spark-submit [ARGUMENT...]` runs one of Spark's own commands in
the terminal that it was called from, or between the pipes. Whoever may use sudo may call it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

import settings

USER = "spark-driver"
HOME = f"/home/{USER}"
SCRATCH = f"/var/lib/{USER}"
SLICE = "spark-drivers.slice"
PREFIX = f"{USER}-"
SPARK = "/opt/spark/bin"
COMMANDS = ("pyspark", "spark-shell", "spark-sql", "spark-submit")
KEPT = 50  # drivers that have ended, in systemd's list
BEGINNING_SECONDS = 600  # until a driver whose folder is there must be in systemd's list
SIGNAL_BASE = 128  # what a shell adds to the number of the signal that ended a program
STOPPED_STATUS = 143  # of a driver that systemd ended, or that is not known any more
# https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html: ExecMainCode
EXITED = "1"
PROPERTIES = {
    # One that eats all goes first, and takes neither the master nor the agent of the session along.
    "OOMScoreAdjust": "500",
    "LogRateLimitIntervalSec": "0",
    "LimitNOFILE": "65536",
    "TasksMax": "infinity",
    "NoNewPrivileges": "yes",
}


@dataclass(frozen=True)
class Driver:
    """What systemd knows of a driver.

    Attributes:
        name: what people call it by.
        is_known: whether systemd has it: not after a reboot, nor once it was stopped.
        is_running: whether it has not ended yet.
        status: what it ended with, as a shell has it.
        started: when, in words.
        result: systemd's word for how it ended, such as `oom-kill`.
    """

    name: str
    is_known: bool
    is_running: bool
    status: int
    started: str
    result: str


def unit(name: str) -> str:
    return f"{PREFIX}{name}.service"


def new_name(what: str) -> str:
    """A name for a driver of something, such as `etl-4f2a91` for `s3://bucket/etl.py`."""
    stem = os.path.basename(what.rstrip("/")).partition(".")[0]
    return "{}-{}".format(re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:40] or "driver", secrets.token_hex(3))


def folder(name: str) -> str:
    """Where a driver's scratch and copies are: on disk, which `/tmp` may not be, and gone with it."""
    return str(settings.path(f"{SCRATCH}/{name}"))


def remove_folder(name: str) -> None:
    shutil.rmtree(folder(name), ignore_errors=True)


def make_folder(name: str) -> str:
    made = folder(name)
    os.makedirs(os.path.dirname(made), exist_ok=True)
    os.chmod(os.path.dirname(made), 0o701)  # whatever the umask of the session
    os.mkdir(made, mode=0o700)
    shutil.chown(made, USER, USER)
    return made


def may(test: str, path: str) -> bool:
    """Whether the drivers' user passes a test of `test(1)` on a path."""
    return subprocess.run(["runuser", "-u", USER, "--", "test", test, path], check=False).returncode == 0


def command(name: str, program: list[str], *options: str) -> list[str]:
    """What starts a program as a driver: in the caller's folder, if the drivers' user may write there."""
    here = os.getcwd()
    scratch = folder(name)
    variables = {
        "LANG": "C.UTF-8",  # without it Java garbles what is not ASCII in arguments
        "PYTHONUNBUFFERED": "1",  # what a job says is seen when it says it
        "TMPDIR": scratch,
        "SPARK_LOCAL_DIRS": scratch,
        "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={scratch}",
    }
    return [
        *("systemd-run", "--quiet", f"--unit={unit(name)}", f"--uid={USER}", f"--gid={USER}", f"--slice={SLICE}"),
        *("--service-type=exec", f"--working-directory={here if may('-w', here) and may('-x', here) else HOME}"),
        *(f"--property={key}={value}" for key, value in PROPERTIES.items()),
        *(f"--setenv={key}={value}" for key, value in variables.items()),
        *options,
        "--",
        *(argument.replace("$", "$$") for argument in program),  # systemd would put variables in
    ]


def known() -> list[Driver]:
    """All that systemd knows of, those that ended included, in the order of their start."""
    names = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service", f"{PREFIX}*"]
    lines = subprocess.run(names, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    found = [state(line.split()[0][len(PREFIX) : -len(".service")]) for line in lines]
    return sorted((driver for driver in found if driver.is_known), key=lambda driver: driver.started)


def state(name: str) -> Driver:
    wanted = "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp"
    show = ["systemctl", "show", "--timestamp=utc", f"--property={wanted}", unit(name)]
    lines = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    said = dict(line.split("=", 1) for line in lines)
    is_known = said["LoadState"] == "loaded"
    has_ended = said["ActiveState"] in {"inactive", "failed"} or said["SubState"] == "exited"
    status = int(said["ExecMainStatus"])
    if not is_known:
        status = STOPPED_STATUS
    elif said["ExecMainCode"] not in {"0", EXITED}:
        status += SIGNAL_BASE
    started = said["ExecMainStartTimestamp"].partition(" ")[2]
    return Driver(name, is_known, is_known and not has_ended, status, started, said["Result"])


def forget(name: str) -> None:
    """Take an ended driver out of systemd's list."""
    for verb in ("stop", "reset-failed"):
        subprocess.run(["systemctl", verb, unit(name)], stderr=subprocess.DEVNULL, check=False)


def clean() -> None:
    """Scratch of drivers that have ended goes, and so do all but the last of them from systemd's list."""
    drivers = known()
    running = {driver.name for driver in drivers if driver.is_running}
    ended = [driver.name for driver in drivers if not driver.is_running]
    for name in ended[: max(0, len(ended) - KEPT)]:
        forget(name)
    for name in set(os.listdir(settings.path(SCRATCH))) - running:
        if time.time() - os.stat(folder(name)).st_mtime > BEGINNING_SECONDS:
            remove_folder(name)


def as_root(program: str, arguments: list[str]) -> None:
    """Begin again with sudo, if need be. Its path may be without /usr/local/bin."""
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "--", program, *arguments])


def main(program: str = "", *arguments: str) -> int:
    if program not in COMMANDS:
        raise SystemExit(f"usage: drivers.py {'|'.join(COMMANDS)} [ARGUMENT...]")
    as_root(os.path.abspath(__file__), [program, *arguments])
    name = new_name(program)
    make_folder(name)
    run = command(name, [f"{SPARK}/{program}", *arguments], "--pty", "--pipe", "--wait", "--collect")
    try:
        return subprocess.run(run, check=False).returncode
    finally:
        remove_folder(name)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
