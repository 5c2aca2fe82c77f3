"""Hosts: what boots for the instances that the AWS API holds.

`Hosts` lives beside moto, in the enclosure: an instance is pending until its host runs, and a host ends with its
instance. `Host` is also how a test outside finds a running one.
"""

from __future__ import annotations

import copy
import math
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instances import StateReason

from .enclosure import first_process, host_cgroups, join_network_of
from .image import IMAGES
from .moto_changes import replaces
from .places import IMAGE_NAME_PREFIX, RUN, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from moto.ec2.models import EC2Backend
    from moto.ec2.models.instances import Instance

_START = Path(__file__).with_name("start_host.sh")
_FOLDER = RUN / "hosts"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PORT = "host0"
"""What a host calls its port at the bridge."""
_NOBODY = "02:00:00:00:00:ff"
"""A hardware address that no port has."""
_POWER_OFF = signal.SIGRTMIN + 4
_REBOOT = signal.SIGRTMIN + 5
_POWER_OFF_SECONDS = 20.0
"""How long a host may take to shut down before its power is cut."""

_PENDING, _RUNNING = ("pending", 0), ("running", 16)
_SHUTTING_DOWN, _TERMINATED = ("shutting-down", 32), ("terminated", 48)
_STOPPING, _STOPPED = ("stopping", 64), ("stopped", 80)

_TAKEN_BACK = "Server.SpotInstanceTermination"
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html"""


@dataclass(frozen=True)
class Host:
    """The machine behind an EC2 instance: a systemd-nspawn container in the lab."""

    instance_id: str

    @property
    def name(self) -> str:
        """Its name on this machine, short enough for that of a network interface."""
        return f"h-{self.instance_id[-9:]}"

    @property
    def folder(self) -> Path:
        """Its console's log, and its disk as a layer over the image."""
        return _FOLDER / self.instance_id

    @property
    def console(self) -> str:
        """What it has written to its console; nothing before it starts."""
        with suppress(FileNotFoundError):
            return (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
        return ""

    @property
    def first_process(self) -> int | None:
        """Its systemd, as this process numbers it; None while there is none."""
        return first_process(self.name)

    @property
    def boot_log(self) -> str:
        """What the node's boot has logged, read from outside; nothing before it begins."""
        with suppress(FileNotFoundError):
            log = self.folder / "upper/var/log/spark-cluster-boot.log"
            return log.read_text(encoding="utf-8", errors="replace")
        return ""

    def cut_power(self) -> None:
        """End all its processes at once, and give it back its power."""
        pid = self._running_process()
        (self.folder / "power-cut").touch()
        os.kill(pid, signal.SIGKILL)

    def unplug(self) -> None:
        """Take its port at the bridge down: it runs on, and nobody hears of it, not even of its end."""
        subprocess.run(("ip", "link", "set", f"vb-{self.name}", "down"), check=True)

    def lose(self, address: str) -> None:
        """Have all that it sends to an address of its network get lost, which nobody tells it, until it reboots.

        What comes from there arrives, and the answer is lost: of connections that were there neither end hears more.
        """
        entry = ("replace", address, "lladdr", _NOBODY, "dev", _PORT, "nud", "permanent")
        self._in_network("ip", "neighbour", *entry)

    def find(self, address: str) -> None:
        """Undo `lose`."""
        self._in_network("ip", "neighbour", "del", address, "dev", _PORT)

    def unmount(self) -> None:
        """Give up its disk, once it has ended: what is removed of it takes its room for as long as it is mounted."""
        subprocess.run(("umount", "--lazy", self.folder / "root"), check=False, stderr=subprocess.DEVNULL)

    def _in_network(self, *command: str) -> None:
        subprocess.run(("nsenter", f"--target={self._running_process()}", "--net", "--", *command), check=True)

    def put_disk(self, folder: str, mebibytes: int) -> None:
        """Put an empty disk of its own over a folder; it is gone, and what is on it, when the host ends or reboots.

        What has the folder open goes on without it.
        """
        image, node = self.folder / "disk", f"/dev/lab-disk-{folder.replace('/', '-')}"
        with image.open("wb") as file:
            file.truncate(mebibytes << 20)
        subprocess.run(("mkfs.ext4", "-q", "-m", "0", image), check=True)
        # The kernel keeps what it has attached: the file's name goes at once, its bytes with the mount.
        losetup = ("losetup", "--find", "--show", image)
        device = subprocess.run(losetup, check=True, capture_output=True, text=True).stdout.strip()
        try:
            image.unlink()
            number = Path(device).stat().st_rdev
            make = f"mknod {node} b {os.major(number)} {os.minor(number)}"
            mount = f"{make} && mount -t ext4 {node} {folder} && rm {node}"
            inside = ("nsenter", f"--target={self._running_process()}", "--mount", "--", "sh", "-c", mount)
            subprocess.run(inside, check=True)
        finally:
            subprocess.run(("losetup", "--detach", device), check=True)  # once nothing has it mounted any longer

    def command(self, *command: str) -> tuple[str, ...]:
        """Return `command` as one that root runs inside the host, with nothing of our own environment."""
        pid = self._running_process()
        environment = (f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "TERM=xterm")
        return ("nsenter", f"--target={pid}", "--all", "--", "env", "--ignore-environment", *environment, *command)

    def join_network(self) -> None:
        """Move this thread into the host, as far as the network goes: its loopback is then this thread's."""
        join_network_of(self._running_process())

    def _running_process(self) -> int:
        pid = self.first_process
        if pid is None:
            message = f"the host of {self.instance_id} is not running"
            raise RuntimeError(message)
        return pid


@dataclass
class _Running:
    """A host as its keeper sees it."""

    host: Host
    process: subprocess.Popen[bytes]
    end_asked_for_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        """Shut it down; if that takes too long, cut its power. To be called again until it has ended."""
        if self.end_asked_for_at is None:
            self.end_asked_for_at = time.monotonic()
            self.signal(_POWER_OFF)
        elif time.monotonic() > self.end_asked_for_at + _POWER_OFF_SECONDS:
            # What is left of it, or has not come so far as to have a first process.
            for cgroup in host_cgroups(self.host.name):
                for procs in cgroup.rglob("cgroup.procs"):
                    for pid in procs.read_text(encoding="ascii").split():
                        with suppress(ProcessLookupError):
                            os.kill(int(pid), signal.SIGKILL)

    def cut_power(self) -> None:
        """End all its processes at once. To be followed by `end`, until it has ended."""
        self.end_asked_for_at = time.monotonic() - _POWER_OFF_SECONDS
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        pid = self.host.first_process
        if pid is not None:
            os.kill(pid, number)


@dataclass
class Hosts:
    """Starts, stops and ends hosts as the emulated EC2's instances change their states."""

    _running: dict[str, _Running] = field(default_factory=dict)

    def install(self) -> None:
        """Make moto's instances wait for their hosts."""
        from moto.ec2.models.instances import InstanceBackend  # noqa: PLC0415 - heavy, and only this process has it

        @replaces(InstanceBackend, "run_instances")
        def run_pending(run_instances: Any, backend: Any, *args: Any, **kwargs: Any) -> Any:
            reservation = run_instances(backend, *args, **kwargs)
            for instance in reservation.instances:
                _set(instance, _PENDING)
            return reservation

        def change(state: tuple[str, int], *from_states: str) -> Any:
            def changed(_: Any, backend: Any, instance_ids: list[str]) -> list[tuple[Instance, Any]]:
                done = []
                for instance in backend.get_multi_instances_by_id(instance_ids):
                    done.append((instance, copy.copy(instance._state)))  # noqa: SLF001
                    if instance.state in from_states:
                        _set(instance, state)
                return done

            return changed

        @replaces(InstanceBackend, "reboot_instances")
        def reboot(_: Any, backend: Any, instance_ids: list[str]) -> Any:
            instances = backend.get_multi_instances_by_id(instance_ids)
            for instance in instances:
                self._running[instance.id].signal(_REBOOT)
            return instances

        changes = {
            "terminate_instances": change(_SHUTTING_DOWN, "pending", "running", "stopping", "stopped"),
            "stop_instances": change(_STOPPING, "pending", "running"),
            "start_instances": change(_PENDING, "stopped"),
        }
        for name, function in changes.items():
            replaces(InstanceBackend, name)(function)

    def reconcile(self, backends: Iterable[EC2Backend], interruptions: dict[str, float]) -> None:
        """Start and end hosts, and tell the instances. To be called often.

        Args:
            backends: EC2, region by region.
            interruptions: when which instance is taken back, in seconds since the epoch.
        """
        for backend in backends:
            for instance in instances_of(backend):
                if time.time() >= interruptions.get(instance.id, math.inf):
                    self._take_back(instance)
                self._reconcile(backend, instance)

    def _take_back(self, instance: Instance) -> None:
        """End a spot instance as EC2 does when it needs the capacity: nothing is shut down.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-interruptions.html
        """
        if instance.state in {"shutting-down", "terminated"}:
            return
        _set(instance, _SHUTTING_DOWN)
        instance.state_reason = StateReason("Spot Instance termination", _TAKEN_BACK)
        if running := self._running.get(instance.id):
            running.cut_power()

    def _reconcile(self, backend: EC2Backend, instance: Instance) -> None:
        running = self._running.get(instance.id)
        if running and running.ended:
            del self._running[instance.id]
            running.host.unmount()
            running = None
            if instance.state == "running":  # It powered itself off.
                _set(instance, _STOPPED)
        match instance.state:
            case "pending" if running is None:
                self._running[instance.id] = _boot(backend, instance)
            case "pending" if running and running.host.first_process is not None:
                _set(instance, _RUNNING)
            case "shutting-down" if running is None:
                instance.terminate()
                _set(instance, _TERMINATED)
                # Whoever waits for an answer of the AWS API does not wait for this.
                Thread(target=remove_files, args=(Host(instance.id),), daemon=True).start()
            case "stopping" if running is None:
                instance.stop()
                _set(instance, _STOPPED)
            case "shutting-down" | "stopping" if running:
                running.end()


def remove_files(host: Host) -> None:
    """Remove what a host changed of its image, which is large; its console stays."""
    for part in ("upper", "work", "root"):
        shutil.rmtree(host.folder / part, ignore_errors=True)


def all_hosts() -> list[Host]:
    """Every host that this lab has booted, those that have ended included."""
    return [Host(folder.name) for folder in sorted(_FOLDER.glob("i-*"))]


def _boot(backend: EC2Backend, instance: Instance) -> _Running:
    host = Host(instance.id)
    vpc = ip_network(backend.vpcs[str(instance.vpc_id)].cidr_block)
    bridge = ("ip", "address", "replace", f"{vpc[1]}/{vpc.prefixlen}", "dev", "br0")
    subprocess.run(bridge, check=True)
    if not host.folder.exists():
        host.folder.mkdir(parents=True)
        _write_network(host.folder / "upper", instance, f"{vpc[1]}", vpc.prefixlen)
    image = backend.amis.get(instance.image_id)
    name = image.name if image and image.name else ""
    known = name.removeprefix(IMAGE_NAME_PREFIX) if name.startswith(IMAGE_NAME_PREFIX) else "al2023"
    cgroups = map(str, host_cgroups(host.name))
    command = ("bash", str(_START), host.name, str(host.folder), IMAGES[known]().lower, *cgroups)
    with (host.folder / "console.log").open("ab") as console:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
    return _Running(host, process)


def instances_of(backend: EC2Backend) -> Iterator[Instance]:
    """Every instance that EC2 has in a region, those that have ended included."""
    for reservation in list(backend.reservations.values()):
        yield from list(reservation.instances)


def _set(instance: Instance, state: tuple[str, int]) -> None:
    instance._state.name, instance._state.code = state  # noqa: SLF001


def _write_network(upper: Path, instance: Instance, gateway: str, prefix: int) -> None:
    """Write what a VPC's DHCP server would say.

    The prefix is the VPC's: in the lab all its subnets are on one wire.
    """
    network = upper / "etc/systemd/network/10-host0.network"
    network.parent.mkdir(parents=True)
    network.write_text(
        f"[Match]\nName={_PORT}\n"
        f"[Network]\nAddress={instance.private_ip}/{prefix}\nGateway={gateway}\nLinkLocalAddressing=no\n",
        encoding="utf-8",
    )
    domain = instance.private_dns_name.partition(".")[2]
    (upper / "etc/resolv.conf").write_text(f"nameserver {SERVICES}\nsearch {domain}\n", encoding="utf-8")
