"""How long a worker's boot takes, from the start of its user data to its registration, in the lab.

The figures of docs/performance.md are what this printed. For one image after the other, a cluster of a master alone
gets one worker at a time, which is measured and ended before the next; the first is not counted, with it the master and
this machine warm up. The floor is measured on the same host afterwards: the same bytes through `curl | tar` (for images
without Spark), and the worker's own JVM, started directly, until it is registered.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cluster import Cluster, boot_log_on, until
from lab.hosts import all_hosts
from lab.lab import Lab, none_before, problems, run
from lab.places import SPARK_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.deployment import Deployment
    from lab.hosts import Host

ROUNDS = 5
IMAGES = {"bare": "al2023", "packages": "al2023-packages", "baked": "al2023-spark"}
MEANING = {
    "bare": "plain image",
    "packages": "plain image with Java, Python and boto3 there",
    "baked": "pre-baked image, with Spark there, too",
}
STEPS = {
    "packages": ("read_settings", "fetch_programs"),
    "the node's programs": ("fetch_programs", "install_spark"),
    "Spark: download, checksum, unpack": ("install_spark", "fetch_secrets"),
    "waiting for secrets": ("fetch_secrets", "configure"),
    "configuration, systemd": ("configure", "wait_until_ready"),
    "launcher and JVM": ("wait_until_ready", "daemon"),
    "registration": ("daemon", "registered"),
}
URL = f"https://dlcdn.apache.org/spark/spark-{SPARK_VERSION}/spark-{SPARK_VERSION}-bin-hadoop3.tgz"

FLOOR = """
import json, os, subprocess, sys, time
pid = subprocess.check_output(["systemctl", "show", "-P", "MainPID", "spark-worker"], text=True).strip()
command = open(f"/proc/{pid}/cmdline").read().split("\\0")[:-1]
environment = dict(item.split("=", 1) for item in open(f"/proc/{pid}/environ").read().split("\\0") if "=" in item)
subprocess.run(["systemctl", "stop", "spark-worker"], check=True)
start = time.time()
java = subprocess.Popen(["setpriv", "--reuid=spark", "--regid=spark", "--clear-groups", *command], env=environment,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
for line in java.stdout:
    if "Successfully registered with master" in line:
        break
took = {"jvm": time.time() - start}
java.kill()
java.wait()
if sys.argv[1:]:
    os.makedirs("/opt/floor", exist_ok=True)
    start = time.time()
    subprocess.run(f"curl -sS {sys.argv[1]} | tar -xz -C /opt/floor", shell=True, check=True)
    took["bytes"] = time.time() - start
print(json.dumps(took))
"""


def main() -> None:
    """Boot workers over each image in turn, and print the medians of their steps beside the floors."""
    in_a_lab("the boot of a worker", measure)


def in_a_lab(what: str, measured: Callable[[Lab], None]) -> None:
    """Measure something in a lab of its own, or say why this machine has none."""
    if found := problems():
        print(f"{what} is not measured on this machine: " + "; ".join(found))
        return
    with none_before():
        lab = Lab.create(kept=False)
        try:
            measured(lab)
        finally:
            lab.end()


def measure(lab: Lab) -> None:
    """Boot workers over one image after the other, and print their tables."""
    ids = lab.ami_ids()
    print(f"user data start to registered worker, in seconds, medians of {ROUNDS}")
    for name, image in IMAGES.items():
        (cluster,) = deploy(lab, {"name": name, "ami_id": ids[image]})
        found = []
        for _ in range(1 + ROUNDS):
            found.append(boot(cluster))
            print(f"{name}: {found[-1]}", file=sys.stderr, flush=True)
        show(name, {key: statistics.median(one[key] for one in found[1:]) for key in found[0]})


def deploy(lab: Lab, *clusters: dict[str, object]) -> list[Cluster]:
    """Deploy clusters in place of those before, and wait for their masters."""
    done = deployment(lab, *clusters).deploy()
    if done.returncode:
        sys.exit(f"cdktf deploy failed:\n{done.stdout[-3000:]}")
    found = [Cluster(lab, str(one["name"])) for one in clusters]
    until(lambda: all("boot succeeded" in one.master().console for one in found), 300, "the masters' boots")
    return found


def deployment(lab: Lab, *clusters: dict[str, object]) -> Deployment:
    """The one stack of all benchmarks."""
    return lab.deployment(Path(__file__).with_name("boot_app.py"), "boot", context={"clusters": list(clusters)})


def boot(cluster: Cluster) -> dict[str, float]:
    """Boot one worker, measure it and its floor, and end it."""
    with booted(cluster) as host:
        took = steps(host)
        arguments = () if cluster.name == "baked" else (URL,)
        floor = json.loads(run(host, "python3", "-c", FLOOR, *arguments, timeout=180).stdout)
    took |= {f"floor: {part}": seconds for part, seconds in floor.items()}
    took["floor"] = sum(floor.values())
    return took


@contextmanager
def booted(cluster: Cluster) -> Iterator[Host]:
    """Boot one worker, and end it afterwards."""
    before = set(all_hosts())
    cluster.set_size(1)
    # Only a file is looked at meanwhile: calls to the AWS API would take the machine from the boot.
    until(lambda: any("boot succeeded" in host.console for host in set(all_hosts()) - before), 300, "a worker's boot")
    (host,) = set(all_hosts()) - before
    yield host
    cluster.set_size(0)
    until(lambda: not cluster.members(), 120, "no worker")


def steps(host: Host) -> dict[str, float]:
    """How many seconds each step of a worker's boot took, and all of them."""
    times = moments(host)
    took = {step: times[end] - times[begin] for step, (begin, end) in STEPS.items()}
    took["total"] = times["registered"] - times["read_settings"]
    return took


def moments(host: Host) -> dict[str, float]:
    """When each step of the boot began, and when the worker's JVM was there and registered."""
    log = boot_log_on(host)
    found = {
        step: datetime.fromisoformat(at).timestamp()
        for at, step in re.findall(r"(?m)^(\S+Z) spark-cluster: (\w+)$", log)
    }
    journal = run(host, "journalctl", "_SYSTEMD_UNIT=spark-worker.service", "-o", "short-unix", "--no-pager").stdout
    for moment, words in {
        "daemon": "Started daemon with process name",
        "registered": "Successfully registered",
    }.items():
        found[moment] = next(float(line.split()[0]) for line in journal.splitlines() if words in line)
    return found


def show(name: str, took: dict[str, float]) -> None:
    """Print one image's table."""
    print(f"\n{MEANING[name]}")
    for step in STEPS:
        print(f"  {step:<40}{took[step]:6.1f}")
    print(f"  {'total':<40}{took['total']:6.1f}")
    for part, words in {
        "bytes": "floor: the same bytes, curl | tar",
        "jvm": "floor: the JVM, to its registration",
    }.items():
        if f"floor: {part}" in took:
            print(f"  {words:<40}{took[f'floor: {part}']:6.1f}")
    print(f"  {'total / floor':<40}{took['total'] / took['floor']:6.2f}")


if __name__ == "__main__":
    main()
