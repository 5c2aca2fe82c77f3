"""The enclosure: one PID, mount and network namespace that everything of a lab runs in.

Its first process is the switch: when that ends, the kernel ends every process inside, and with the last of them go
the mounts, the bridge and the interfaces. So a lab leaves nothing behind, however it ends; only files and empty control
groups are left to remove. There is no route out of it: whatever a host asks for, no real metadata service or AWS
can answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CLONE_NEWNET = 0x40000000
_NAMESPACES = ("--mount", "--net", "--pid")
_CGROUP = "spark-cluster-lab"

_ours: list[subprocess.Popen[bytes]] = []
"""What this process started; an enclosure that is to outlive it is nobody's child afterwards."""


@dataclass(frozen=True)
class Enclosure:
    """The namespaces of the process `pid`, whose `started` time tells it from a later one with its number."""

    pid: int
    started: str

    @classmethod
    def create(cls, *, outlives_us: bool) -> Self:
        """Make an empty enclosure; unless it `outlives_us`, it ends with this process, even if that is killed."""
        switch = () if outlives_us else ("setpriv", "--pdeathsig", "KILL")
        unshare = ("unshare", *_NAMESPACES, "--fork", "--mount-proc", "--kill-child", "sleep", "infinity")
        # Its error output is dropped: killing what it waits for makes it say that it got no signal mask back.
        parent = subprocess.Popen(
            (*switch, *unshare), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        _ours.append(parent)
        while True:
            for pid in children(parent.pid):
                if _command(pid) == "sleep":
                    return cls(pid, _started(pid))
            if parent.poll() is not None:
                message = f"no namespaces could be made: {shlex.join(unshare)} failed"
                raise RuntimeError(message)
            time.sleep(0.01)

    @property
    def alive(self) -> bool:
        """Whether the switch is still on."""
        return _started(self.pid) == self.started

    def command(self, *command: str) -> tuple[str, ...]:
        """Return `command` as one that runs inside."""
        return ("nsenter", f"--target={self.pid}", *_NAMESPACES, "--", *command)

    @property
    def enter_network(self) -> tuple[str, ...]:
        """What goes before a command that is to run in its network, and sees the files of this machine."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")

    def run(self, *command: str) -> None:
        """Run `command` inside, to its end."""
        subprocess.run(self.command(*command), check=True, stdin=subprocess.DEVNULL)

    def start(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start `command` inside, what it prints going to `log`."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        _ours.append(process)
        return process

    def join_network(self) -> None:
        """Move this thread into the enclosure's network, so that it may talk to the services there."""
        join_network_of(self.pid)

    def end(self) -> None:
        """End everything inside."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        while self.alive:
            time.sleep(0.05)
        while _ours:
            _ours.pop().wait()


def join_network_of(pid: int) -> None:
    """Move this thread into a process's network."""
    with Path(f"/proc/{pid}/ns/net").open("rb") as network:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot join the network of process {pid}")


def host_cgroups(name: str) -> list[Path]:
    """Return the control groups that belong to the host `name`.

    Every host needs one of its own in each hierarchy that systemd keeps its services in: two systemd in one group take
    each other's services for theirs.
    """
    return [hierarchy / _CGROUP / name for hierarchy in _systemd_hierarchies()]


def remove_cgroups() -> None:
    """Remove the control groups that ended hosts left."""
    for hierarchy in _systemd_hierarchies():
        for folder in sorted((hierarchy / _CGROUP).rglob("*/"), reverse=True):
            folder.rmdir()
        with contextlib.suppress(FileNotFoundError):
            (hierarchy / _CGROUP).rmdir()


def children(pid: int) -> Iterator[int]:
    """Yield the direct children of a process."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, task.read_text(encoding="ascii").split())


def first_process(name: str) -> int | None:
    """Return the systemd that is the first process of the host `name`, as we number it, if it has come so far."""
    for cgroup in host_cgroups(name):
        with contextlib.suppress(FileNotFoundError):  # a group that ends while they are listed: the host goes down
            for procs in cgroup.rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    for pid in map(int, procs.read_text(encoding="ascii").split()):
                        if _command(pid) == "systemd" and _is_first_process(pid):
                            return pid
    return None


def _is_first_process(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
    return numbers[-1] == "1"


def _systemd_hierarchies() -> list[Path]:
    mounts = (line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines())
    return [
        Path(target)
        for _, target, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    ]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's clock ticks; nothing when there is no such process alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
