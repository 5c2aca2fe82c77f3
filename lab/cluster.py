"""A cluster in the lab, as its tests see it: what AWS says of it, what its master says, what its hosts say."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import faults
from lab.credentials import cluster_of
from lab.hosts import Host
from lab.inventory import ClusterInAws
from lab.lab import refused, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.lab import Lab

LIB = "/opt/spark-cluster"

TICK_SECONDS = 25
"""`spark-tick.service`: a quarter of a minute, its jitter, and the tick itself."""


@dataclass
class Cluster:
    """A cluster in the lab, by its name: its hosts, and what its master says."""

    lab: Lab
    name: str

    @property
    def in_aws(self) -> ClusterInAws:
        """The same cluster as the emulated AWS has it."""
        return ClusterInAws(self.lab, self.name)

    def master(self) -> Host:
        """The host of the one instance that is tagged as the master and has not ended."""
        return Host(self.in_aws.master()["InstanceId"])

    def master_address(self) -> str:
        """The master's private IPv4 address."""
        address: str = self.in_aws.master()["PrivateIpAddress"]
        return address

    def members(self) -> dict[str, str]:
        """The lifecycle state of each member of the group, by instance."""
        return {member["InstanceId"]: member["LifecycleState"] for member in self.in_aws.group()["Instances"]}

    def member(self, instance_id: str) -> str:
        """The lifecycle state of one member, such as `Terminating:Wait`; empty once the group has it no longer."""
        return self.members().get(instance_id, "")

    def protected(self) -> set[str]:
        """The members that are protected from scale-in."""
        return {one["InstanceId"] for one in self.in_aws.group()["Instances"] if one["ProtectedFromScaleIn"]}

    def wait_for(self, instance_id: str, state: str, seconds: float) -> float:
        """Wait until a member is in a lifecycle state, empty for gone; return how many seconds that took."""
        return until(lambda: self.member(instance_id) == state, seconds, f"{instance_id} {state or 'gone'}")

    def interrupt(self, instance_id: str, seconds: float = 120) -> None:
        """Have EC2 take a spot instance back: it has notice of it now, and loses its power so many seconds later.

        The end of a test takes notices back; what has lost its power stays without.
        """
        faults.interrupt(instance_id, seconds)

    def recommend_rebalance(self, instance_id: str) -> None:
        """Have EC2 say that an instance is likely to be taken back; the end of a test takes it back."""
        faults.recommend_rebalance(instance_id)

    def workers(self) -> dict[str, Host]:
        """The hosts of the members in service, by address."""
        in_service = [name for name, state in self.members().items() if state == "InService"]
        instances = self.in_aws.instances("worker")
        return {
            one["PrivateIpAddress"]: Host(one["InstanceId"]) for one in instances if one["InstanceId"] in in_service
        }

    def state(self) -> dict[str, Any]:
        """What the master says of itself; empty if it does not answer."""
        state: dict[str, Any] = self._read("json/") or {}
        return state

    def history_has(self, application: str) -> bool:
        """Whether the history shows an application."""
        return self._read(f"history/api/v1/applications/{application}") is not None

    def _read(self, page: str) -> Any:
        """The JSON of a page of the master's port; none if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.master_address()}:8080/{page}", timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def alive(self) -> set[str]:
        """Addresses of the workers that the master has."""
        return {worker["host"] for worker in self.state().get("workers", []) if worker["state"] == "ALIVE"}

    def listed(self) -> set[str]:
        """The hosts in the master's list of workers."""
        return set(run(self.master(), "cat", "/opt/spark/conf/workers").stdout.split())

    def wait_until_listed(self, addresses: set[str]) -> None:
        """Wait until that list holds these hosts alone: its master writes it once in a tick."""
        until(lambda: self.listed() == addresses, 2 * TICK_SECONDS, f"{addresses} as the list of workers")

    def ssh(self, address: str, command: str) -> subprocess.CompletedProcess[str]:
        """From the master, as the spark user, without a prompt."""
        login = ("ssh", "-o", "BatchMode=yes", address, command)
        return run(self.master(), "runuser", "-u", "spark", "--", *login)

    def set_size(self, size: int) -> None:
        """Change the group's size, as a scaling policy or an operator does."""
        client = self.lab.client("autoscaling")
        client.set_desired_capacity(AutoScalingGroupName=f"{self.name}-spark-workers", DesiredCapacity=size)

    def execute(self, policy: str) -> None:
        """Execute one of the group's scaling policies, `scale-out` or `scale-in`, as its alarm would, but at once."""
        group = f"{self.name}-spark-workers"
        client = self.lab.client("autoscaling")
        client.execute_policy(AutoScalingGroupName=group, PolicyName=f"{group}-{policy}")

    def activities(self) -> list[dict[str, Any]]:
        """What the group did, the newest first."""
        client, group = self.lab.client("autoscaling"), f"{self.name}-spark-workers"
        found: list[dict[str, Any]] = client.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
        return found

    def refused(self) -> list[dict[str, Any]]:
        """Which calls of its nodes were refused so far."""
        return [one for one in refused() if cluster_of(one["role"]) == self.name]

    def boot_log(self, instance_id: str) -> str:
        """A boot's log as it came into the bucket; empty if it did not."""
        return self._text(f"boot-logs/{instance_id}")

    def daemons_log(self, instance_id: str) -> str:
        """What the daemons of a host said, as it came into the bucket; empty if it did not."""
        return self._text(f"logs/daemons/{instance_id}/journal.log")

    def executors_logs(self, application: str) -> dict[str, str]:
        """What is in the bucket of an application's executors: `<executor>/<file>`, and its text."""
        prefix = f"logs/{application}/"
        return {key.removeprefix(prefix): self._text(key) for key in self._keys(prefix)}

    def _keys(self, prefix: str) -> list[str]:
        listed = self.lab.client("s3").list_objects_v2(Bucket=self.bucket(), Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in listed]

    def _text(self, key: str) -> str:
        if key not in self._keys(key):
            return ""
        text: str = self.lab.client("s3").get_object(Bucket=self.bucket(), Key=key)["Body"].read().decode()
        return text

    def bucket(self) -> str:
        """The bucket's name, from the settings in the workers' user data."""
        name: str = self.in_aws.settings("worker")["bucket"]
        return name

    def wait_ready(self, seconds: int = 300) -> None:
        """Run `spark-wait` on the master, the program of the wait output, to its end."""
        done = run(self.master(), "sudo", "/usr/local/bin/spark-wait", str(seconds), timeout=seconds + 30)
        assert done.returncode == 0, done.stderr


def until(condition: Callable[[], Any], seconds: float, what: str) -> float:
    """Wait until a condition holds; return how many seconds that took."""
    start = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - start
        assert time.monotonic() < start + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)


def boot_log_on(host: Host) -> str:
    """A boot's log where it was written."""
    return run(host, "cat", "/var/log/spark-cluster-boot.log").stdout


def submit(host: Host, script: str) -> str:
    """Run a small script with the cluster's own configuration, its driver on that host; return what it printed."""
    write(host, "/opt/script.py", script)
    done = run(
        host, "runuser", "-u", "spark-driver", "--", "/opt/spark/bin/spark-submit", "/opt/script.py", timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def start(host: Host, *command: str) -> subprocess.Popen[str]:
    """Start a command as root inside a host."""
    inside = host.command(*command)
    return subprocess.Popen(
        inside, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def stop(host: Host, process: subprocess.Popen[str], pattern: str) -> str:
    """End what `start` started, by what its command line matches inside the host; return what it had printed."""
    run(host, "pkill", "-f", pattern)
    return process.communicate(timeout=60)[0]


def write(host: Host, path: str, text: str) -> None:
    """Write a file that everybody on a host may read."""
    subprocess.run(host.command("tee", path), input=text, stdout=subprocess.DEVNULL, check=True, text=True)


def ask_aws(host: Host, code: str) -> str:
    """Run Python on a node with its own module for AWS; return what it printed, or the fault's name."""
    program = (
        f"import sys; sys.path.insert(0, {LIB!r}); import aws\ntry:\n  print({code})\nexcept Exception as e: print(e)"
    )
    done = run(host, "/usr/bin/python3", "-c", program)
    return done.stdout + done.stderr
