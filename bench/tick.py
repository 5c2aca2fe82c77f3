"""What a tick of the master costs in a large cluster: calls to AWS, and its own CPU time, keeper by keeper.

The figures of docs/performance.md are what this printed. A group of so many members is in the emulated AWS, a process
of its own that boots no hosts; the master's page is as Spark has it with a worker on each of them. CPU time is that of
the thread that ticks: what AWS and the master take for their answers is theirs. Each size has a process of its own,
with ticks of four kinds in turn: the first of all; the first in which all workers compute; those without news, of which
the median is told; and the first in which half of the workers are idle.
"""

from __future__ import annotations

import http.server
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient
from botocore.config import Config

from spark_cluster import lazy_provider

lazy_provider.import_lazily()

# ruff: noqa: E402 - the provider comes first
from lab.deployment import CREDENTIALS, ROOT
from lab.serving import emulated_aws
from tests.userdata.node import USERDATA, node_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.serving import EmulatedAws

SIZES = (10, 1000)
WORKERS_AN_APPLICATION = 5
CORES = 4
ROUNDS = 9
MAKING_SECONDS = 900
"""How long the emulated AWS may take to make a group."""
REGION = "eu-west-1"
GROUP = "demo-spark-workers"
PROGRAMS = ("first_stage", "common", "master")


def page(addresses: list[str], busy: Callable[[int], bool]) -> dict[str, Any]:
    """What a master says that has a worker on each address, with the fields of Spark's JsonProtocol.

    https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/deploy/JsonProtocol.scala
    """
    workers: list[dict[str, Any]] = [
        {
            "id": f"worker-20260101000000-{address}-40001",
            "host": address,
            "port": 40001,
            "webuiaddress": f"http://{address}:8081",
            "cores": CORES,
            "coresused": CORES if busy(number) else 0,
            "coresfree": 0 if busy(number) else CORES,
            "memory": 13355,
            "memoryused": 13355 if busy(number) else 0,
            "memoryfree": 0 if busy(number) else 13355,
            "resources": {},
            "resourcesused": {},
            "resourcesfree": {},
            "state": "ALIVE",
            "lastheartbeat": 1767225600000,
        }
        for number, address in enumerate(addresses)
    ]
    applications: list[dict[str, Any]] = [
        {
            "id": f"app-20260101000000-{number:04}",
            "starttime": 1767225600000,
            "name": "job",
            "cores": CORES,
            "user": "spark-driver",
            "memoryperexecutor": 13355,
            "memoryperslave": 13355,
            "resourcesperexecutor": [],
            "resourcesperslave": [],
            "submitdate": "Thu Jan 01 00:00:00 UTC 2026",
            "state": "WAITING" if number % 10 == 0 else "RUNNING",
            "duration": 60000,
        }
        for number in range(len(addresses) // WORKERS_AN_APPLICATION)
    ]
    return {
        "url": "spark://master.demo-spark:7077",
        "workers": workers,
        "aliveworkers": len(workers),
        "cores": CORES * len(workers),
        "coresused": sum(worker["coresused"] for worker in workers),
        "memory": 13355 * len(workers),
        "memoryused": sum(worker["memoryused"] for worker in workers),
        "activeapps": applications,
        "completedapps": [],
        "activedrivers": [],
        "completeddrivers": [],
        "status": "ALIVE",
    }


@contextmanager
def served(said: dict[str, Any]) -> Iterator[int]:
    """The port at which a master says it, for as long as the context lasts; it may be changed meanwhile."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(said).encode()
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: what is asked is counted nowhere."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def make_group(aws: EmulatedAws, size: int) -> list[str]:
    """A group of so many members; returns their addresses."""
    patient = Config(read_timeout=MAKING_SECONDS, retries={"max_attempts": 0})
    ec2, scaling = aws.client("ec2", REGION), aws.client("autoscaling", REGION, patient)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    template = {"ImageId": image, "InstanceType": "m6i.xlarge"}
    made = ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=template)
    named = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=2 * size,
        DesiredCapacity=size,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": named, "Overrides": [{"InstanceType": "m6i.xlarge"}]}
        },
    )
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000})
    reservations = [reservation for page in pages for reservation in page["Reservations"]]
    return [instance["PrivateIpAddress"] for reservation in reservations for instance in reservation["Instances"]]


class Costs:
    """What each part of a tick has cost: seconds of CPU, and calls by their names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, Counter[str]] = {}
        self._part = ""
        call = BaseClient._make_api_call  # noqa: SLF001 - what every call goes through

        def count(client: BaseClient, name: str, arguments: dict[str, object]) -> object:
            self.calls[self._part][name] += 1
            return call(client, name, arguments)

        setattr(BaseClient, call.__name__, count)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Of what is done meanwhile."""
        self._part, self.calls[part] = part, Counter()
        began = time.thread_time()
        yield
        self.seconds[part] = time.thread_time() - began


def tick_once(costs: Costs) -> None:
    """One tick as the daemon has it, but for the drivers, whose number is not the workers'."""
    import observation  # noqa: PLC0415 - a program of the node, which is told where it is by then
    import tick  # noqa: PLC0415 - as above

    with costs.of("observe"):
        seen = observation.observe()
    if seen.page is None:
        raise OSError(seen.trouble)
    for keeper in tick.KEEPERS:
        with costs.of(keeper.__name__):
            for step in keeper(seen):
                if step.act:
                    step.act()


def measure(size: int) -> None:
    """Print what ticks cost with so many workers."""
    sys.path[:0] = [str(USERDATA / name / "opt/spark-cluster") for name in PROGRAMS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in ("etc/spark-cluster", "run/spark-cluster", "opt/spark/conf", "var/lib/spark-cluster"):
            (folder / "node" / each).mkdir(parents=True)
        given = node_settings("master", group=GROUP, region=REGION, metrics_namespace="SparkCluster/demo")
        (folder / "node/etc/spark-cluster/settings.json").write_text(json.dumps(given))
        with emulated_aws(folder) as aws:
            addresses = make_group(aws, size)
            os.environ |= {**CREDENTIALS, "SPARK_CLUSTER_ROOT": str(folder / "node"), "AWS_ENDPOINT_URL": aws.url}
            play(addresses)


def play(addresses: list[str]) -> None:
    """The ticks, one after the other."""
    import metrics  # noqa: PLC0415 - a program of the node, which is told where it is by then
    import spark_state  # noqa: PLC0415 - as above

    said = page(addresses, lambda _: False)
    costs = Costs()
    with served(said) as port:
        spark_state.UI_PORT = port
        tick_once(costs)
        show(f"{len(addresses)} workers, the daemon's first tick", costs.seconds, costs.calls)
        said.update(page(addresses, lambda _: True))
        tick_once(costs)
        show("all workers have become busy", costs.seconds, costs.calls)
        rounds: list[dict[str, float]] = []
        metrics.MINUTE_SECONDS = 1  # so that metrics are sent in each of these, which is the dearer case
        for _ in range(ROUNDS):
            time.sleep(1)
            tick_once(costs)
            rounds.append(dict(costs.seconds))
        medians = {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}
        show(f"no news, median of {ROUNDS}", medians, costs.calls)
        said.update(page(addresses, lambda number: number % 2 == 0))
        tick_once(costs)
        show("half of them have become idle", costs.seconds, costs.calls)


def show(what: str, seconds: dict[str, float], calls: dict[str, Counter[str]]) -> None:
    """Print what one kind of tick costs, part by part and in all."""
    made = sum(sum(each.values()) for each in calls.values())
    print(f"{what}: {made} calls, {1000 * sum(seconds.values()):.0f} ms")
    for part, took in seconds.items():
        named = ", ".join(f"{count} {name}" for name, count in sorted(calls[part].items()))
        print(f"  {part:<24}{1000 * took:7.1f} ms   {named}".rstrip())


def main(*sizes: str) -> None:
    """Measure the one size that is given, or each of SIZES in a process of its own."""
    if sizes:
        measure(int(sizes[0]))
        return
    for size in SIZES:
        subprocess.run([sys.executable, "-m", "bench.tick", str(size)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
