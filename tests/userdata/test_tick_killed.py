"""tick.py as a process that is killed: in the middle of each keeper, after each call to AWS and each file it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.userdata import moto_group
from tests.userdata.moto_group import GROUP
from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 4
TICK = """
import json, os, signal, sys
from botocore.client import BaseClient
import failed_starts, files, observation, spark_state, tick

page, last = json.loads(sys.argv[1]), int(sys.argv[2])
spark_state.read, observation.master_seconds = lambda _: page, lambda: 3600.0
failed_starts.journal = lambda _: iter(())
done = 0

def ends_after(function):
    def call(*given, **named):
        global done
        answer = function(*given, **named)
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return call

BaseClient._make_api_call = ends_after(BaseClient._make_api_call)
files.keep = ends_after(files.keep)
status = tick.main("--once")
print(done)
raise SystemExit(status)
"""


class Cloud:
    """An AWS of moto's at an address, and the tick as a process of its own."""

    def __init__(self, url: str, root: Path) -> None:
        self.url, self.root = url, root

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            "eu-west-1",
            endpoint_url=self.url,
            aws_access_key_id="k",
            aws_secret_access_key="s",  # noqa: S106 - of no account
        )

    def forget(self) -> None:
        """Begin with an empty AWS, and a host that has ticked never."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        with urllib.request.urlopen(request):
            pass
        for path in ("opt/spark/conf/workers", "etc/spark-cluster/executor.env", "run/spark-cluster/health.json"):
            (self.root / path).unlink(missing_ok=True)
        (self.root / "var/lib/spark-cluster/instance-types.json").unlink(missing_ok=True)

    def members(self) -> list[dict[str, Any]]:
        described = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])
        return list(described["AutoScalingGroups"][0]["Instances"])

    def page(self) -> dict[str, Any]:
        """The first member has executors, the second, which is protected, has none, the third is to leave."""
        pages = self.client("ec2").describe_instances()["Reservations"]
        places = {one["InstanceId"]: one["PrivateIpAddress"] for page in pages for one in page["Instances"]}
        names = [member["InstanceId"] for member in self.members()]
        self.client("autoscaling").set_instance_protection(
            AutoScalingGroupName=GROUP, InstanceIds=[names[1]], ProtectedFromScaleIn=True
        )
        sizes = {"cores": 4, "memory": 13000}
        states = [("ALIVE", 4), ("ALIVE", 0), ("DECOMMISSIONED", 4), ("ALIVE", 0)]
        workers = [
            {"host": places[name], "state": state, "coresused": used, **sizes}
            for name, (state, used) in zip(names, states, strict=True)
        ]
        return {"workers": workers, "activeapps": []}

    def tick(self, page: dict[str, Any], last: int) -> subprocess.CompletedProcess[str]:
        """Run it once; it is killed after its last thing of so many, or goes on to its end."""
        libs = [str(USERDATA / part / LIB) for part in ("first_stage", "common", "master")]
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "PYTHONDONTWRITEBYTECODE": "1",  # beside what user data carries
            "SPARK_CLUSTER_ROOT": str(self.root),
            "PYTHONPATH": os.pathsep.join(libs),
        }
        return subprocess.run(
            [sys.executable, "-c", TICK, json.dumps(page), str(last)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def away(root: Path, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    settle("master")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        cloud = Cloud(f"http://{host}:{port}", root)
        monkeypatch.setattr(moto_group, "client", cloud.client)
        yield cloud
    finally:
        server.stop()


def outcome(cloud: Cloud) -> dict[str, Any]:
    """What ticks are to come to."""
    members = cloud.members()
    return {
        "protected": [member["ProtectedFromScaleIn"] for member in members],
        "health": [member["HealthStatus"] for member in members],
        "workers": len((cloud.root / "opt/spark/conf/workers").read_text().splitlines()),
        "executors": (cloud.root / "etc/spark-cluster/executor.env").read_text(),
        "told": len(json.loads((cloud.root / "run/spark-cluster/health.json").read_text())["told"]),
    }


def test_the_next_tick_goes_on_wherever_the_last_one_was_killed(away: Cloud) -> None:
    moto_group.make_group(SIZE, ("m6i.xlarge",))
    page = away.page()
    whole = away.tick(page, 0)
    assert whole.returncode == 0, whole.stderr + whole.stdout
    things = int(whole.stdout.splitlines()[-1])
    expected = outcome(away)
    assert expected == {
        "protected": [True, False, False, False],
        "health": ["Healthy", "Healthy", "Unhealthy", "Healthy"],
        "workers": SIZE,
        "executors": "SPARK_EXECUTOR_MEMORY=13000m\n",
        "told": 1,
    }
    # Asked: the group, its instances, their types; told: two protections, a health; written: six files.
    assert things == 12
    for last in range(1, things + 1):
        away.forget()
        moto_group.make_group(SIZE, ("m6i.xlarge",))
        page = away.page()
        assert away.tick(page, last).returncode == -signal.SIGKILL
        after = away.tick(page, 0)
        assert after.returncode == 0, after.stdout
        assert outcome(away) == expected, f"after {last}"
