"""Hosts: what boots for the instances that the AWS API holds."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .enclosure import Enclosure, first_process_below, host_cgroups
from .places import AWS_ENDPOINT, RUN, SERVICES

if TYPE_CHECKING:
    from .deployed import Instance
    from .image import Image

_START = Path(__file__).with_name("start_host.sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Host:
    """A booted instance; `supervisor` is the process that ends when it powers off."""

    name: str
    supervisor: int

    @classmethod
    def boot(cls, enclosure: Enclosure, name: str, instance: Instance, image: Image) -> Self:
        """Boot an instance; what it changes of the image, and its console, go to a folder of its own."""
        folder = _folder(name)
        folder.mkdir(parents=True)
        _write_network(folder / "upper", instance)
        cgroups = map(str, host_cgroups(name))
        start = ("bash", str(_START), name, str(folder), image.lower, *cgroups)
        return cls(name, enclosure.start(start, folder / "console.log").pid)

    @property
    def console(self) -> Path:
        """What the host has written to its console."""
        return _folder(self.name) / "console.log"

    def command(self, *command: str) -> tuple[str, ...]:
        """Return `command` as one that root runs inside the host, with nothing of our own environment."""
        pid = first_process_below(self.supervisor)
        if pid is None:
            message = f"{self.name} is not running; its console is in {self.console}"
            raise RuntimeError(message)
        environment = (f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", "TERM=xterm", f"AWS_ENDPOINT_URL={AWS_ENDPOINT}")
        return ("nsenter", f"--target={pid}", "--all", "--", "env", "--ignore-environment", *environment, *command)

    def cloud_init_errors(self) -> list[str] | None:
        """Return what cloud-init, and so the user data, failed at; None while it has not ended."""
        pid = first_process_below(self.supervisor)
        with contextlib.suppress(OSError, json.JSONDecodeError):
            result = Path(f"/proc/{pid}/root/run/cloud-init/result.json").read_text(encoding="utf-8")
            errors: list[str] = json.loads(result)["v1"]["errors"]
            return errors
        return None


def remove_files() -> None:
    """Remove what earlier hosts changed of their images, which is large; their consoles stay."""
    for part in ("upper", "work", "root"):
        for folder in (RUN / "hosts").glob(f"*/{part}"):
            shutil.rmtree(folder)


def _folder(name: str) -> Path:
    return RUN / "hosts" / name


def _write_network(upper: Path, instance: Instance) -> None:
    """Write what a VPC's DHCP server would say.

    The prefix is the VPC's: in the lab all its subnets are on one wire.
    """
    vpc = ip_network(instance.vpc_cidr)
    network = upper / "etc/systemd/network/10-host0.network"
    network.parent.mkdir(parents=True)
    network.write_text(
        "[Match]\nName=host0\n"
        f"[Network]\nAddress={instance.address}/{vpc.prefixlen}\nGateway={vpc[1]}\nLinkLocalAddressing=no\n",
        encoding="utf-8",
    )
    domain = instance.dns_name.partition(".")[2]
    (upper / "etc/resolv.conf").write_text(f"nameserver {SERVICES}\nsearch {domain}\n", encoding="utf-8")
