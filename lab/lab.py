"""The lab: an enclosure with its network and its services, written down so that a later command finds it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3

from lab.deployment import ROOT, Deployment, missing

from . import authority, maven, providers, pypi
from .enclosure import Enclosure, remove_cgroups
from .hosts import Host, all_hosts, remove_files
from .image import IMAGES
from .places import (
    AWS,
    AWS_ENDPOINT,
    AWS_PORT,
    CACHE,
    CONNECT_LOG,
    DEPLOYER,
    IMAGE_NAME_PREFIX,
    METADATA,
    PROXY_PORT,
    REFUSED_LOG,
    REGION,
    REQUEST_LOG,
    RUN,
    SERVICES,
    SPARK_VERSION,
)
from .spark_archive import SparkArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_STATE = RUN / "state.json"
_SERVICE_START_SECONDS = 60.0
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": DEPLOYER, "AWS_SECRET_ACCESS_KEY": DEPLOYER, "AWS_DEFAULT_REGION": REGION}
_PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "dnsmasq": "dnsmasq-base",
    "dnf": "dnf",
    "rpmbuild": "rpm",
    "createrepo_c": "createrepo-c",
    "dpkg-scanpackages": "dpkg-dev",
    "openssl": "openssl",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ssh-keygen": "openssh-client",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
}
"""The Debian package of each program that the lab calls."""


def missing_packages() -> list[str]:
    """Debian's packages whose programs this machine has not."""
    return sorted({package for program, package in _PACKAGES.items() if shutil.which(program) is None})


def problems() -> list[str]:
    """What keeps this machine from running a lab, each with what to do."""
    if sys.platform != "linux":
        return [f"the lab boots Linux hosts with systemd-nspawn: it needs Linux, this is {sys.platform}"]
    found = [] if os.geteuid() == 0 else ["the lab makes namespaces and mounts: run it as root, with sudo"]
    if packages := missing_packages():
        found.append(f"programs are missing, which Debian has in {' '.join(packages)}")
    if reason := missing():
        found.append(f"a deploy needs Terraform and its AWS provider: {reason}")
    return found


@dataclass
class Lab:
    """A running lab.

    Attributes:
        enclosure: what it runs in.
        without_maven: why it has not all jars that its releases of Spark need for `s3a://`; empty if it has.
        without_pypi: why it has not the wheels that jobs may name; empty if it has.
    """

    enclosure: Enclosure
    without_maven: str = ""
    without_pypi: str = ""

    @classmethod
    def create(
        cls,
        *,
        kept: bool,
        versions: Sequence[str] = (SPARK_VERSION,),
        images: Sequence[str] = tuple(IMAGES),
        tell: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Start a lab without hosts, and move this thread into its network; a `kept` one outlives this program.

        Images and archives are made if they are not in the cache, which takes minutes: `tell` hears of each.
        """
        archives = [SparkArchive(version) for version in versions]
        for archive in archives:
            tell(f"Spark {archive.version}, from the PyPI package pyspark")
            archive.ensure()
        tell("jars for s3a://, from Maven Central")
        without_maven = maven.ensure(versions)
        tell("wheels, from the package index of this machine")
        without_pypi = pypi.ensure()
        for name in images:
            tell(f"image {name}")
            IMAGES[name]()
        tell("Terraform's AWS provider, the lab's services")
        providers.ensure()
        shutil.rmtree(RUN, ignore_errors=True)
        RUN.mkdir(parents=True)
        lab = cls(Enclosure.create(outlives_us=kept), without_maven, without_pypi)
        _STATE.write_text(json.dumps(asdict(lab)), encoding="utf-8")
        try:
            lab._prepare()
            lab.enclosure.join_network()
            lab._start_services(archives)
        except BaseException:
            lab.end()
            raise
        return lab

    @classmethod
    def find(cls) -> Self | None:
        """Return the lab that an earlier command left running, or what is left of one that crashed."""
        try:
            state = json.loads(_STATE.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(Enclosure(**state["enclosure"]), state["without_maven"], state["without_pypi"])

    @classmethod
    def running(cls) -> Self | None:
        """Return the lab that an earlier command left running, if it still does."""
        lab = cls.find()
        return lab if lab and lab.enclosure.alive else None

    def client(self, service: str, region: str = REGION) -> Any:
        """A boto3 client of the deployer; only for a thread in the lab's network."""
        return _client(service, region)

    def ami_ids(self) -> dict[str, str]:
        """The AMI of each of the lab's images."""
        ours = [{"Name": "name", "Values": [f"{IMAGE_NAME_PREFIX}*"]}]
        images = self.client("ec2").describe_images(Filters=ours)["Images"]
        return {image["Name"].removeprefix(IMAGE_NAME_PREFIX): image["ImageId"] for image in images}

    def deployment(
        self, file: Path, stack: str, variables: dict[str, str] | None = None, context: dict[str, Any] | None = None
    ) -> Deployment:
        """One app, to be deployed into this lab; its context says `s3a: false` if there is no way to Maven Central."""
        return Deployment(
            file,
            stack,
            RUN / "apps" / file.stem,
            AWS_ENDPOINT,
            variables=variables or {},
            context={**({"s3a": False} if self.without_maven else {}), **(context or {})},
            enter=self.enclosure.enter_network,
            environment={**_CREDENTIALS, **providers.environment()},
        )

    def proxy(self) -> str:
        """The address of a proxy for hosts, as `http_proxy` takes it; it is started if it does not run yet."""
        if not CONNECT_LOG.exists():
            CONNECT_LOG.touch()
            self._start_service(f"{__package__}.proxy", (), (SERVICES, PROXY_PORT), {})
        return f"http://{SERVICES}:{PROXY_PORT}"

    def running_hosts(self) -> set[str]:
        """The instances whose hosts run."""
        return {host.instance_id for host in all_hosts() if host.first_process}

    def mounted_hosts(self) -> set[str]:
        """The instances whose hosts have something mounted."""
        mounts = Path(f"/proc/{self.enclosure.pid}/mountinfo").read_text(encoding="utf-8")
        return set(re.findall(r"/hosts/(i-\w+)", mounts))

    def end(self) -> None:
        """End everything that runs, and remove what takes room; logs stay until the next lab."""
        self.enclosure.end()
        remove_cgroups()
        for host in all_hosts():
            remove_files(host)
        _STATE.unlink(missing_ok=True)

    def _prepare(self) -> None:
        run = self.enclosure.run
        run("mkdir", "-p", "/run/systemd/nspawn")
        # systemd-nspawn mounts things there with a propagation that only a file system of their own allows.
        run("mount", "-t", "tmpfs", "tmpfs", "/run/systemd/nspawn")
        run("ip", "link", "set", "lo", "up")
        names = RUN / "resolv.conf"
        names.write_text(f"nameserver {SERVICES}\n", encoding="ascii")
        run("mount", "--bind", str(names), "/etc/resolv.conf")
        # An address of its own: it would take that of one of its ports, and be lost to all when that host ends.
        run("ip", "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge")
        run("ip", "address", "add", f"{SERVICES}/24", "dev", "br0")
        run("ip", "address", "add", f"{AWS}/24", "dev", "br0")
        run("ip", "address", "add", f"{METADATA}/32", "dev", "br0")
        run("ip", "link", "set", "br0", "up")

    def _start_services(self, archives: Sequence[SparkArchive]) -> None:
        """Start what hosts find in their network; the AWS API first, since metadata and names come from it."""
        authority.issue()
        moto = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "true"}
        self._start_service(f"{__package__}.aws", (), (SERVICES, AWS_PORT), moto)
        aws = {"AWS_ENDPOINT_URL": AWS_ENDPOINT, **_CREDENTIALS}
        self._start_service(f"{__package__}.metadata", (), (METADATA, 80), aws)
        self._start_service(f"{__package__}.names", (), (SERVICES, 53), aws)
        files = [path for archive in archives for path in (archive.path, archive.checksum_path)]
        self._start_service(f"{__package__}.downloads", tuple(files), (SERVICES, 443), {})

    def _start_service(
        self, module: str, args: tuple[str | Path, ...], address: tuple[str, int], env: Mapping[str, str]
    ) -> None:
        """Start a program of this project, and wait until it answers at its address."""
        log = RUN / f"{module.rpartition('.')[2]}.log"
        command = (sys.executable, "-m", module, *map(str, args))
        process = self.enclosure.start(command, log, {**env, "PYTHONPATH": str(ROOT)})
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


@cache
def _client(service: str, region: str) -> Any:
    """Made once: that takes longer than most calls, on a machine whose hosts want to boot meanwhile."""
    return boto3.client(
        service,
        endpoint_url=AWS_ENDPOINT,
        region_name=region,
        aws_access_key_id=DEPLOYER,
        aws_secret_access_key=DEPLOYER,
    )


def run(host: Host, *command: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run a command as root inside a host, and return how it ended and what it said."""
    inside = host.command(*command)
    return subprocess.run(
        inside, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout
    )


def requests() -> list[dict[str, Any]]:
    """What was asked of the download hosts so far."""
    return _lines(REQUEST_LOG)


def connects() -> list[dict[str, Any]]:
    """To where connections went through the proxy so far."""
    return _lines(CONNECT_LOG)


def refused() -> list[dict[str, Any]]:
    """Which calls of nodes were refused so far."""
    return _lines(REFUSED_LOG)


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


@contextmanager
def none_before() -> Iterator[None]:
    """Refuse to go on beside a lab that runs, and remove what is left of one that crashed."""
    with only_one():
        if earlier := Lab.find():
            if earlier.enclosure.alive:
                message = "a lab is running: end it with `make demo ARGS=down`"
                raise RuntimeError(message)
            earlier.end()
        yield


@contextmanager
def only_one() -> Iterator[None]:
    """Refuse to go on while another program works on this machine's one lab."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another program is at work in the lab; there is one lab on a machine at a time"
            raise RuntimeError(message) from None
        yield
