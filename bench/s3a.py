"""What S3A costs, in the lab: a worker's boot with and without it, a gigabyte through it, and the way to a first task.

`python -m bench.s3a [boots] [gigabyte] [submit]`: those alone, else all three.

The figures of docs/performance.md are what this printed. Boots of both kinds take turns, each kind first in every other
one, so that whatever else the machine does meets both; the first of each kind is not counted. The gigabyte is random
numbers, which no format makes smaller, written and read by one Spark on a worker, to the bucket and to the worker's own
disk in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.boot import booted, deploy, deployment, in_a_lab, steps
from lab.cluster import until, write
from lab.demo import outside
from lab.deployment import ROOT
from lab.lab import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.cluster import Cluster
    from lab.hosts import Host
    from lab.lab import Lab

PARTS = {"boots", "gigabyte", "submit"}
BOOTS = 6
ROUNDS = 3
ROWS = 1 << 27
"""Of eight bytes each."""

RECEIVED = "/sys/class/net/host0/statistics/rx_bytes"

THROUGH = f"""
import sys, time
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.master("local[*]").getOrCreate()
spark.range(1 << 20).select(f.rand().alias("n")).write.mode("overwrite").parquet(sys.argv[1] + "/warm")
spark.read.parquet(sys.argv[1] + "/warm").agg(f.sum("n")).collect()
where, start = sys.argv[1] + "/gigabyte", time.time()
spark.range(0, {ROWS}, 1, 8).select(f.rand(7).alias("n")).write.mode("overwrite").parquet(where)
written = time.time()
spark.read.parquet(where).agg(f.sum("n")).collect()
print("took", written - start, time.time() - written)
"""

OPTIONS = ("--conf", "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=4")
"""The lab's hosts run Java's quick compiler alone; a gigabyte is long enough for the other."""

FIRST = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("first task at", spark.sparkContext.parallelize([0], 1).map(lambda _: time.time()).first())
"""


def main() -> None:
    """Measure what is wanted in one lab."""
    wanted = set(sys.argv[1:]) or PARTS
    if unknown := wanted - PARTS:
        sys.exit(f"{', '.join(sorted(unknown))}: no part of {', '.join(sorted(PARTS))}")
    in_a_lab("S3A", lambda lab: measure(lab, wanted))


def measure(lab: Lab, wanted: set[str]) -> None:
    """Deploy a cluster with S3A and one without, and compare."""
    if lab.without_maven:
        print(f"S3A is not measured on this machine: {lab.without_maven}")
        return
    ami_id = lab.ami_ids()["al2023-packages"]
    with_it, without = deploy(
        lab, {"name": "with", "ami_id": ami_id}, {"name": "without", "ami_id": ami_id, "without_s3a": True}
    )
    if "boots" in wanted:
        boots(with_it, without)
    if wanted <= {"boots"}:
        return
    with booted(with_it) as worker:
        if "gigabyte" in wanted:
            gigabyte(with_it, worker)
        if "submit" in wanted:
            submit(lab, with_it)


def boots(with_it: Cluster, without: Cluster) -> None:
    """Print the medians of a worker's boot of either kind, and what the worker received meanwhile."""
    found: dict[str, list[dict[str, float]]] = {"with": [], "without": []}
    for number in range(1 + BOOTS):
        for cluster in (with_it, without) if number % 2 else (without, with_it):
            with booted(cluster) as host:
                received = int(run(host, "cat", RECEIVED).stdout)
                found[cluster.name].append({**steps(host), "received": received / 1e6})
            print(f"{cluster.name}: {found[cluster.name][-1]}", file=sys.stderr, flush=True)
    medians = {
        kind: {key: statistics.median(one[key] for one in rows[1:]) for key in rows[0]} for kind, rows in found.items()
    }
    print(f"a worker's boot, in seconds, medians of {BOOTS}, the two kinds in turn")
    for key, what in (("total", "user data start to registered"), ("received", "received by then, in MB")):
        ours, theirs = medians["with"][key], medians["without"][key]
        print(f"  {what:<34}with S3A {ours:7.1f}   without {theirs:7.1f}   ratio {ours / theirs:.3f}")


def gigabyte(cluster: Cluster, worker: Host) -> None:
    """Print how long a gigabyte takes through S3A, and on the worker's own disk."""
    write(worker, "/opt/through.py", THROUGH)
    run(worker, "install", "--directory", "--owner=spark", "/var/lib/spark-local/bench")
    places = {"S3A": f"s3a://{cluster.bucket()}/data/bench", "disk": "file:///var/lib/spark-local/bench"}
    took: dict[str, list[list[float]]] = {name: [] for name in places}
    for _ in range(ROUNDS):
        for name, place in places.items():
            submitted = ("/opt/spark/bin/spark-submit", *OPTIONS, "/opt/through.py", place)
            done = run(worker, "runuser", "-u", "spark", "--", *submitted, timeout=600)
            if done.returncode:
                sys.exit(done.stderr[-3000:])
            took[name].append([float(word) for word in done.stdout.split()[-2:]])
            print(f"{name}: {took[name][-1]}", file=sys.stderr, flush=True)
    print(
        f"\n{ROWS * 8 / 1e9:.2f} GB as parquet, in seconds, medians of {ROUNDS}, S3A and the worker's own disk in turn"
    )
    for number, what in enumerate(("written", "read")):
        ours, theirs = (statistics.median(one[number] for one in took[name]) for name in ("S3A", "disk"))
        print(f"  {what:<34}S3A {ours:12.1f}   disk {theirs:10.1f}   ratio {ours / theirs:.2f}")


def submit(lab: Lab, cluster: Cluster) -> None:
    """Print how long `make submit` takes to its job's first task, and how much of that is the job's own."""
    until(cluster.alive, 60, "the worker is listed")
    environment = {**os.environ, **outside(deployment(lab))}
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "first.py"
        job.write_text(FIRST, encoding="utf-8")
        write(cluster.master(), "/opt/first.py", FIRST)

        def through_make() -> str:
            command = ("make", "submit", f"JOB={job}")
            return subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
            ).stdout

        def on_the_master() -> str:
            return run(cluster.master(), "/usr/local/bin/spark-submit", "/opt/first.py", timeout=300).stdout

        took = [(seconds_to(through_make), seconds_to(on_the_master)) for _ in range(1 + ROUNDS)][1:]
    print(f"\nto a job's first task, in seconds, medians of {ROUNDS}")
    ours, theirs = map(statistics.median, zip(*took, strict=True))
    print(f"  {'make submit':<34}{ours:7.1f}   spark-submit on the master {theirs:7.1f}   ratio {ours / theirs:.2f}")


def seconds_to(submitted: Callable[[], str]) -> float:
    """How long a job took to its first task."""
    start = time.time()
    return float(submitted().partition("first task at ")[2].split()[0]) - start


if __name__ == "__main__":
    main()
