"""Record `event_logs/`: `python -m tests.unit.record_event_logs`, about two minutes, with Java 17 and Spark's archive.

Two workers on loopback, 6 map and 6 reduce tasks, one worker that leaves. Of what Spark logged those events are kept
that are counted, and of them what says who, where and how.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from lab.cluster import until
from lab.deployment import ROOT
from lab.drains import EVENTS, lines_in
from lab.jobs import shuffle
from lab.loopback import Loopback, cluster

FOLDER = Path(__file__).with_name("event_logs")

SETTINGS = {
    "spark.cores.max": "2",
    "spark.scheduler.minRegisteredResourcesRatio": "1",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
    "spark.storage.decommission.replicationReattemptInterval": "3s",
}

MEBIBYTES = 3
SHUFFLE = (
    *(str(ROOT / "lab/jobs/shuffle.py"), "--mebibytes", str(MEBIBYTES)),
    *("--map-tasks", "6", "--reduce-tasks", "12", "--seconds", "3"),
)

TWO_JOBS = """
import os, sys, time
from pyspark import SparkContext
context = SparkContext(appName="recorded")
pairs = context.parallelize(range(60), 6).map(lambda number: (number % 6, number)).partitionBy(6)
print("first:", pairs.count(), flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.1)
print("second:", pairs.count(), flush=True)
context.stop()
"""

LEFT_OUT = {"Accumulables", "Details", "Properties", "Stage Infos", "Task Executor Metrics", "Task Metrics"}


def main() -> None:
    """Run the jobs, and write what was logged of each."""
    for name, run in (("drained", drained), ("lost", lost), ("lost_between", lost_between)):
        with tempfile.TemporaryDirectory() as folder:
            with cluster(Path(folder) / name, workers=2, properties=SETTINGS) as on:
                run(on)
            (log,) = on.event_logs.iterdir()
            events = [json.loads(line) for line in lines_in(log)]
        kept = [json.dumps(slim(one)) for one in events if one["Event"].removeprefix("SparkListener") in EVENTS]
        (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def drained(on: Loopback) -> None:
    """A worker is asked to leave in the middle of the reduce stage, and has its power cut once it has."""
    driver, leaving = on.submit(*SHUFFLE), on.workers[0]
    on.said(driver, "reduced: [1-9]")
    leaving.decommission()
    until(lambda: leaving.number_of_executors() == 0, 120, "the end of the executor")
    leaving.cut_power()
    assert on.said(driver, "answer") == shuffle.expected(MEBIBYTES)
    driver.wait()


def lost(on: Loopback) -> None:
    """The same, without a word before the power cut."""
    driver = on.submit(*SHUFFLE)
    on.said(driver, "reduced: [1-9]")
    on.workers[0].cut_power()
    assert on.said(driver, "answer") == shuffle.expected(MEBIBYTES)
    driver.wait()


def lost_between(on: Loopback) -> None:
    """A worker is lost before a second job reads the same map outputs."""
    job, go_on = on.folder / "job.py", on.folder / "go-on"
    job.write_text(TWO_JOBS, encoding="utf-8")
    driver = on.submit(str(job), str(go_on))
    on.said(driver, "first: 60")
    on.workers[0].cut_power()
    go_on.touch()
    on.said(driver, "second: 60")
    driver.wait()


def slim(event: Any) -> Any:
    """Without the large parts that nobody counts, at every depth."""
    if isinstance(event, list):
        return [slim(one) for one in event]
    if isinstance(event, dict):
        return {key: slim(value) for key, value in event.items() if key not in LEFT_OUT}
    return event


if __name__ == "__main__":
    main()
