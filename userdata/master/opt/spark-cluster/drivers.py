#!/usr/bin/python3
"""Drivers on the master: each is a transient unit of its own, run by a user of their own, its scratch on disk.

As a program: `drivers.py pyspark|spark-shell|spark-sql|spark-submit [ARGUMENT...]` runs one of Spark's own commands in
the terminal that it was called from, or between the pipes. Whoever may use sudo may call it.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import settings

USER = "spark-driver"
GROUP = "spark-history"  # of what they write, by which the history server reads their event logs
HOME = f"/home/{USER}"
SCRATCH = f"/var/lib/{USER}"
LOGS = "/var/log/spark-drivers"
SLICE = "spark-drivers.slice"
PREFIX = f"{USER}-"
SPARK = "/opt/spark/bin"
COMMANDS = ("pyspark", "spark-shell", "spark-sql", "spark-submit")
NAME = re.compile(r"[A-Za-z0-9_-]+")
KEPT = 50  # drivers that have ended, with what they said
KEPT_BYTES = 2 << 30  # of what all of them said
LOG_BYTES = 1 << 30  # of what one said; of more, the last half
BLOCK_BYTES = 4096
BEGINNING_SECONDS = 600  # until a driver whose folder is there must be in systemd's list
REMOVING_SECONDS = 5  # a folder of millions of files takes minutes: some of them in each tick, which has more to do
SIGNAL_BASE = 128  # what a shell adds to the number of the signal that ended a program
STOPPED_STATUS = 143  # of a driver that systemd ended, or that is not known any more
# https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html: ExecMainCode
EXITED = "1"
PROPERTIES = {
    # The group that reads Spark's configuration.
    "SupplementaryGroups": USER,
    # One that eats all goes first, and takes neither the master nor the agent of the session along.
    "OOMScoreAdjust": "500",
    "LimitNOFILE": "65536",
    "TasksMax": "infinity",
    # As in spark-worker.service, and for its reasons without ProtectClock.
    "NoNewPrivileges": "yes",
    "ProtectSystem": "full",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "LockPersonality": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures": "native",
    "CapabilityBoundingSet": "",
}
# https://spark.apache.org/docs/latest/submitting-applications.html: every other option has a value behind it.
FLAGS = {"--verbose", "-v", "--supervise"}
FILE_OPTIONS = {"--archives", "--files", "--jars", "--py-files", "--properties-file", "-f", "-i", "-I"}


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


def log(name: str) -> str:
    """What a driver of `spark-job` says: a file of root's, since the journal drops what is empty, long or too much."""
    return str(settings.path(f"{LOGS}/{name}.log"))


def make_folder(name: str) -> str:
    """Root's until it is handed over: nobody may put links where root writes."""
    made = folder(name)
    for parent, mode in ((os.path.dirname(made), 0o701), (settings.path(LOGS), 0o700)):
        os.makedirs(parent, exist_ok=True)
        os.chmod(parent, mode)  # whatever the umask of the session
    os.mkdir(made, mode=0o700)
    return made


def hand_over(name: str) -> None:
    shutil.chown(folder(name), USER, USER)


def remove_folder(name: str, seconds: float | None = None) -> None:
    """What is left of it after so many seconds is left to the next time: `subprocess.TimeoutExpired`."""
    # Not by Python, which a job's folders could be too deep for.
    subprocess.run(["rm", "-rf", "--one-file-system", folder(name)], check=False, timeout=seconds)


def may(test: str, path: str) -> bool:
    """Whether the drivers' user passes a test of `test(1)` on a path."""
    return subprocess.run(["runuser", "-u", USER, "--", "test", test, path], check=False).returncode == 0


def split(arguments: list[str]) -> int:
    """How many of the arguments are options; behind them is what to run, if anything."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 1 if arguments[at] in FLAGS or "=" in arguments[at] else 2
    return at


def is_address(path: str) -> bool:
    """Whether Spark itself knows how to get it."""
    return "://" in path or path.startswith("local:")


def readable(path: str, scratch: str) -> str:
    """A file of this host by a name under which the drivers' user can read it: its own, or a copy's."""
    local = re.sub(r"^file:(//)?(?=/)", "", path)
    if is_address(local):
        return path
    local, mark, alias = local.partition("#")
    local = os.path.abspath(local)
    if not os.path.isfile(local):
        return path
    if not may("-r", local):
        copy = os.path.join(scratch, os.path.basename(local))
        shutil.copyfile(local, copy)
        os.chmod(copy, 0o644)
        local = copy
    return local + mark + alias


def with_readable_files(options: list[str], scratch: str) -> list[str]:
    """Options of Spark's commands, the files in them under names that the drivers' user can read."""

    def files(value: str) -> str:
        return ",".join(readable(file, scratch) for file in value.split(","))

    found = []
    for before, option in zip(["", *options], options):
        name, sign, value = option.partition("=")
        if before in FILE_OPTIONS:
            found.append(files(option))
        elif name in FILE_OPTIONS and sign:
            found.append(f"{name}={files(value)}")
        else:
            found.append(option)
    return found


def command(name: str, program: list[str], *options: str, writes: bool = False) -> list[str]:
    """What starts a program as a driver: in the caller's folder, if the drivers' user may be (or write) there."""
    here = os.getcwd()
    stays = may("-x", here) and (not writes or may("-w", here))
    scratch = folder(name)
    variables = {
        "LANG": "C.UTF-8",  # without it Java garbles what is not ASCII in arguments
        "PYTHONUNBUFFERED": "1",  # what a job says is seen when it says it
        "TMPDIR": scratch,
        "SPARK_LOCAL_DIRS": scratch,
        # Two sessions may not share Derby's folder; what is in it has no use for another one.
        "SPARK_SUBMIT_OPTS": f"-Djava.io.tmpdir={scratch} -Dderby.system.home={scratch}",
    }
    return [
        *("systemd-run", "--quiet", f"--unit={unit(name)}", f"--uid={USER}", f"--gid={GROUP}", f"--slice={SLICE}"),
        *("--service-type=exec", f"--working-directory={here if stays else HOME}"),
        *(f"--property={key}={value}" for key, value in PROPERTIES.items()),
        *(f"--setenv={key}={value}" for key, value in variables.items()),
        *options,
        "--",
        *(argument.replace("$", "$$") for argument in program),  # systemd would put variables in
    ]


def shown(units: str) -> list[Driver]:
    wanted = "Id,LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp"
    show = ["systemctl", "show", "--timestamp=utc", f"--property={wanted}", units]
    text = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [driver(dict(line.split("=", 1) for line in block.splitlines())) for block in text.split("\n\n") if block]


def driver(said: dict[str, str]) -> Driver:
    name = said["Id"][len(PREFIX) : -len(".service")]
    is_known = said["LoadState"] == "loaded"
    has_ended = said["ActiveState"] in {"inactive", "failed"} or said["SubState"] == "exited"
    status = int(said["ExecMainStatus"])
    if not is_known:
        status = STOPPED_STATUS
    elif said["ExecMainCode"] not in {"0", EXITED}:
        status += SIGNAL_BASE
    started = said["ExecMainStartTimestamp"].partition(" ")[2]
    return Driver(name, is_known, is_known and not has_ended, status, started, said["Result"])


def known() -> list[Driver]:
    """All that systemd knows of, those that ended included, in the order of their start."""
    return sorted((one for one in shown(f"{PREFIX}*.service") if one.is_known), key=lambda one: one.started)


def state(name: str) -> Driver:
    (found,) = shown(unit(name))
    return found


def forget(name: str) -> None:
    """End a driver, if it runs, and take it out of systemd's list."""
    for verb in ("stop", "reset-failed"):
        subprocess.run(["systemctl", verb, unit(name)], stderr=subprocess.DEVNULL, check=False)


def logged() -> list[str]:
    """Drivers whose words are kept, the last to speak first."""
    with contextlib.suppress(FileNotFoundError):
        names = [file[: -len(".log")] for file in os.listdir(settings.path(LOGS))]
        return sorted(names, key=lambda name: os.stat(log(name)).st_mtime, reverse=True)
    return []


def clean() -> None:
    """Scratch of drivers that have ended goes; so do all but the last of them, with what they said.

    Raises:
        TimeoutError: there is more scratch than REMOVING_SECONDS are enough for.
    """
    scratch = settings.path(SCRATCH)
    names, folders = logged(), os.listdir(scratch) if os.path.isdir(scratch) else []
    running = {one.name for one in known() if one.is_running} if names or folders else set()
    total_bytes = 0
    for number, name in enumerate(names):
        trim(log(name))
        total_bytes += os.stat(log(name)).st_blocks * 512
        if name not in running and (number >= KEPT or total_bytes > KEPT_BYTES):
            forget(name)
            os.remove(log(name))
    end = time.monotonic() + REMOVING_SECONDS
    for name in folders:
        try:
            if name not in running and time.time() - os.stat(folder(name)).st_mtime > BEGINNING_SECONDS:
                remove_folder(name, end - time.monotonic())
        except FileNotFoundError:  # its own program has removed it meanwhile
            continue
        except subprocess.TimeoutExpired:  # in words that are the same each time
            raise TimeoutError(f"{folder(name)} is not removed after {REMOVING_SECONDS} s: the rest is next") from None


def trim(file: str) -> None:
    """Give back the room of what was said long ago. All else stays where it is in the file: who reads it goes on."""
    found = os.stat(file)
    if found.st_blocks * 512 > LOG_BYTES:
        end = (found.st_size - LOG_BYTES // 2) // BLOCK_BYTES * BLOCK_BYTES
        subprocess.run(["fallocate", "--punch-hole", "--offset=0", f"--length={end}", file], check=True)


def as_root(program: str, arguments: list[str]) -> None:
    """Begin again with sudo, if need be. Its path may be without /usr/local/bin."""
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "--", program, *arguments])


def main(program: str = "", *arguments: str) -> int:
    if program not in COMMANDS:
        raise SystemExit(f"usage: drivers.py {'|'.join(COMMANDS)} [ARGUMENT...]")
    as_root(os.path.abspath(__file__), [program, *arguments])
    name = new_name(program)
    scratch = make_folder(name)
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is for nohup
            signal.signal(number, lambda number, _: sys.exit(SIGNAL_BASE + number))
    try:
        at = split(list(arguments)) if program == "spark-submit" else len(arguments)
        given = with_readable_files(list(arguments[:at]), scratch)
        given += [readable(arguments[at], scratch), *arguments[at + 1 :]] if at < len(arguments) else []
        hand_over(name)
        runs = [f"{SPARK}/{program}", *given]
        run = command(name, runs, "--pty", "--pipe", "--wait", "--collect", writes=program != "spark-submit")
        # Without a terminal of its own a driver would get the caller's, with what is typed there.
        is_bare = program == "spark-submit" and os.isatty(0) and not (os.isatty(1) and os.isatty(2))
        return subprocess.run(run, check=False, stdin=subprocess.DEVNULL if is_bare else None).returncode
    finally:
        forget(name)  # between pipes it would go on
        remove_folder(name)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
