"""The lab: an enclosure with its network, its services and its hosts, written down so that a later command finds it."""

from __future__ import annotations

import fcntl
import json
import socket
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import authority, hosts
from .enclosure import Enclosure, remove_cgroups
from .hosts import Host
from .places import AWS_ENDPOINT, AWS_PORT, CACHE, LIFECYCLE_LOG, METADATA, RUN, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .deployed import Instance
    from .image import Image
    from .spark_archive import SparkArchive

_STATE = RUN / "state.json"
_HERE = Path(__file__).resolve()
_MODULES = f"{_HERE.parents[1]}:{_HERE.parents[3]}"
"""Where this package is, and the one named `tests`."""
_SERVICE_START_SECONDS = 60.0


@dataclass
class Lab:
    """A running lab."""

    enclosure: Enclosure
    hosts: dict[str, Host] = field(default_factory=dict)

    @classmethod
    def create(cls, archive: SparkArchive, region: str, *, kept: bool) -> Self:
        """Start a lab without hosts, and move this thread into its network; a `kept` one outlives this program."""
        lab = cls(Enclosure.create(outlives_us=kept))
        lab._save()
        lab._prepare()
        lab.enclosure.join_network()
        lab._start_services(archive, region)
        return lab

    @classmethod
    def find(cls) -> Self | None:
        """Return the lab that an earlier command left running, or what is left of one that crashed."""
        try:
            state = json.loads(_STATE.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(Enclosure(**state["enclosure"]), {name: Host(**host) for name, host in state["hosts"].items()})

    def boot(self, name: str, instance: Instance, image: Image) -> Host:
        """Boot an instance."""
        vpc = ip_network(instance.vpc_cidr)
        self.enclosure.run("ip", "address", "replace", f"{vpc[1]}/{vpc.prefixlen}", "dev", "br0")
        self.hosts[name] = Host.boot(self.enclosure, name, instance, image)
        self._save()
        return self.hosts[name]

    def end(self) -> None:
        """End everything that runs, and remove what takes room; logs stay until the next lab."""
        self.enclosure.end()
        remove_cgroups()
        hosts.remove_files()
        _STATE.unlink()

    def _save(self) -> None:
        state = {
            "enclosure": asdict(self.enclosure),
            "hosts": {name: asdict(host) for name, host in self.hosts.items()},
        }
        _STATE.write_text(json.dumps(state), encoding="utf-8")

    def _prepare(self) -> None:
        run = self.enclosure.run
        run("mkdir", "-p", "/run/systemd/nspawn")
        # systemd-nspawn mounts things there with a propagation that only a file system of their own allows.
        run("mount", "-t", "tmpfs", "tmpfs", "/run/systemd/nspawn")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "address", "add", f"{SERVICES}/24", "dev", "br0")
        run("ip", "address", "add", f"{METADATA}/32", "dev", "br0")
        run("ip", "link", "set", "br0", "up")

    def _start_services(self, archive: SparkArchive, region: str) -> None:
        """Start what hosts find in their network; the AWS API first, since metadata and names come from it."""
        moto = {
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",  # So that a role may have one attached.
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "true",
        }
        listen = ("--host", SERVICES, "--port", str(AWS_PORT), "--log", LIFECYCLE_LOG)
        self._start_service("tests.emulated_aws", listen, (SERVICES, AWS_PORT), moto)
        aws = {
            "AWS_ENDPOINT_URL": AWS_ENDPOINT,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "lab",
        }
        self._start_service(f"{__package__}.metadata", (), (METADATA, 80), aws)
        self._start_service(f"{__package__}.names", (), (SERVICES, 53), aws)
        certificate, key = authority.issue(RUN)
        options = ("--certificate", certificate, "--key", key)
        release = ("--release", f"spark-{archive.version}", archive.path, archive.checksum_path)
        self._start_service(f"{__package__}.downloads", (*options, *release), (SERVICES, 443), {})

    def _start_service(
        self, module: str, args: tuple[str | Path, ...], address: tuple[str, int], env: Mapping[str, str]
    ) -> None:
        """Start a program of this project, and wait until it answers at its address."""
        log = RUN / f"{module.rpartition('.')[2]}.log"
        command = (sys.executable, "-m", module, *map(str, args))
        process = self.enclosure.start(command, log, {**env, "PYTHONPATH": _MODULES})
        deadline = time.monotonic() + _SERVICE_START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(address, timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        message = f"the service {module} did not start:\n{log.read_text(encoding='utf-8')}"
        raise RuntimeError(message)


@contextmanager
def only_one() -> Iterator[None]:
    """Refuse to go on while another program works on this machine's one lab."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another program is at work in the lab"
            raise RuntimeError(message) from None
        yield
