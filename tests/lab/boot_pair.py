#!/usr/bin/env python3
"""Deploy a synthesized stack into an AWS on this machine, and boot what it deployed.

    boot_pair.py STACK_DIR [--image al2023|debian12] [--workers N] [--timeout SECONDS] [--keep]
    boot_pair.py exec HOST [COMMAND ...]
    boot_pair.py down

STACK_DIR is a folder that `cdktf synth` wrote, such as cdktf.out/stacks/NAME. The first form exits with 0 when on every
host cloud-init ended without an error, the master is alive with every worker registered, and every worker completed
its launch hooks. With --keep the hosts run on until `down`; `exec` runs a command, or a shell, on one of them.

Needs Debian 12, root, Terraform, the packages systemd-container debootstrap dnsmasq-base dnf rpm createrepo-c dpkg-dev
openssl, and in this Python boto3 and moto[server,all]. What is kept is in ~/.cache/spark-cluster-lab, the present or
last run's logs in its folder run/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ec2lab.deployed import Deployed
from ec2lab.image import IMAGES
from ec2lab.lab import Lab, only_one
from ec2lab.places import LIFECYCLE_LOG, REQUEST_LOG, RUN
from ec2lab.spark_archive import SparkArchive
from ec2lab.terraform import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ec2lab.deployed import Instance

_MASTER = "master"
_MASTER_UI_PORT = 8080


@dataclass
class Report:
    """What a run saw, section by section, and what was wrong in it."""

    sections: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, title: str, content: object) -> None:
        """Add a section and print it."""
        self.sections[title] = content
        print(f"{title}: {json.dumps(content, indent=2)}", flush=True)

    def expect(self, holds: object, otherwise: str) -> None:
        """Note a fault unless something holds."""
        if not holds:
            self.faults.append(otherwise)

    def finish(self) -> int:
        """Write it down for tests, tell the faults and return the exit status."""
        (RUN / "report.json").write_text(json.dumps({**self.sections, "faults": self.faults}), encoding="utf-8")
        for fault in self.faults:
            print(f"FAULT: {fault}")
        return 1 if self.faults else 0


def main(args: Sequence[str]) -> int:
    """Run one of the three forms."""
    if os.geteuid() != 0:
        message = "boot_pair.py makes namespaces and mounts: run it as root"
        raise SystemExit(message)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that everything is taken down.
    forms = {"exec": _exec, "down": _down}
    return forms[args[0]](args[1:]) if args and args[0] in forms else _boot(args)


def _exec(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="boot_pair.py exec")
    parser.add_argument("host")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(args)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    lab = Lab.find()
    if lab is None or options.host not in lab.hosts:
        message = f"no host {options.host} is running; there are: {', '.join(lab.hosts) if lab else 'none'}"
        raise SystemExit(message)
    inside = lab.hosts[options.host].command(*(command or ["bash", "--login"]))
    return subprocess.run(inside, check=False).returncode


def _down(args: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="boot_pair.py down").parse_args(args)
    with only_one():
        if lab := Lab.find():
            lab.end()
    return 0


def _boot(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, metavar="STACK_DIR")
    parser.add_argument("--image", choices=sorted(IMAGES), default="al2023", help="what stands for every AMI")
    parser.add_argument("--workers", type=int, help="size of the groups (default: what the stack asks for)")
    parser.add_argument("--spark-version", default="4.3.0", help="the release that the download hosts have")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that the hosts have to boot")
    parser.add_argument("--keep", action="store_true", help="let the hosts run on until `down`")
    options = parser.parse_args(args)
    with only_one():
        if earlier := Lab.find():
            earlier.end()
        shutil.rmtree(RUN, ignore_errors=True)
        RUN.mkdir(parents=True)
        keep = False
        try:
            status = _boot_stack(options)
            keep = options.keep
        finally:
            lab = Lab.find()
            if lab and not keep:
                lab.end()
    return status


def _boot_stack(options: argparse.Namespace) -> int:
    report = Report()
    archive = SparkArchive(options.spark_version)
    with _timed("Spark's archive"):
        archive.ensure()
    with _timed(f"image {options.image}"):
        image = IMAGES[options.image]()
    stack = Stack.copy(options.stack, RUN / "stack", RUN / "terraform.log")
    with _timed("terraform init"):
        stack.init()
    with _timed("lab and services"):
        lab = Lab.create(archive, stack.region, kept=options.keep)
    with _timed("terraform apply"):
        stack.apply()
    deployed = Deployed(stack.region)
    if options.workers is not None:
        deployed.resize_groups(options.workers)
    instances = _name(deployed.instances())
    with _timed("boot"):
        for name, instance in instances.items():
            lab.boot(name, instance, image)
        _wait(lab, instances, options.timeout, report)
    report.add("outputs", stack.outputs())
    _judge_cluster(instances, deployed, report)
    report.add("objects", deployed.objects())
    report.add("requests", Counter(f"{one['method']} {one['url']} {one['status']}" for one in _lines(REQUEST_LOG)))
    return report.finish()


def _name(instances: Sequence[Instance]) -> dict[str, Instance]:
    """Name the hosts: what is in no group is the master, what is in one a worker."""
    masters = [instance for instance in instances if instance.group is None]
    workers = [instance for instance in instances if instance.group is not None]
    if len(masters) != 1:
        message = f"the stack should have one instance outside its groups, the master; it has {len(masters)}"
        raise RuntimeError(message)
    return {_MASTER: masters[0], **{f"worker-{number}": worker for number, worker in enumerate(workers, 1)}}


def _wait(lab: Lab, instances: dict[str, Instance], timeout: float, report: Report) -> None:
    """Wait until cloud-init has ended on all hosts, and report how."""
    start = time.monotonic()
    ended: dict[str, dict[str, Any]] = {}
    while len(ended) < len(lab.hosts) and time.monotonic() < start + timeout:
        time.sleep(0.2)
        for name, host in lab.hosts.items():
            errors = host.cloud_init_errors()
            if name not in ended and errors is not None:
                ended[name] = {"seconds": round(time.monotonic() - start, 1), "errors": errors}
    for name, host in lab.hosts.items():
        how = ended.get(name, {"errors": [f"cloud-init did not end within {timeout:.0f} seconds"]})
        instance = instances[name]
        report.add(name, {"id": instance.id, "address": instance.address, "console": str(host.console), **how})
        report.expect(not how["errors"], f"{name}: {how['errors']}; see {host.console}")


def _judge_cluster(instances: dict[str, Instance], deployed: Deployed, report: Report) -> None:
    """Ask the master for its workers, and the AWS API for what the workers said of themselves."""
    workers = [instance for instance in instances.values() if instance.group]
    url = f"http://{instances[_MASTER].address}:{_MASTER_UI_PORT}/json/"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            state = json.load(answer)
    except (OSError, json.JSONDecodeError) as error:
        report.expect(holds=False, otherwise=f"the master did not answer at {url}: {error}")
    else:
        report.add("cluster", {key: state[key] for key in ("url", "status", "aliveworkers", "cores", "memory")})
        report.expect(
            state["status"] == "ALIVE" and state["aliveworkers"] == len(workers),
            f"the master should be ALIVE with {len(workers)} workers",
        )
    actions = list(_lines(LIFECYCLE_LOG))
    report.add("lifecycle actions", actions)
    continued = {
        (one["group"], one["hook"], one["instance"])
        for one in actions
        if one.get("LifecycleActionResult") == "CONTINUE"
    }
    for group, hook in deployed.launch_hooks():
        for worker in workers:
            report.expect(
                worker.group != group or (group, hook, worker.id) in continued,
                f"{worker.id} did not complete the launch hook {hook}",
            )


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


@contextmanager
def _timed(step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{step}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as fault:
        sys.exit(f"boot_pair.py: {fault}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
