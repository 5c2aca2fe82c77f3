"""The job of `jobs/shuffle.py` in a cluster of the lab: submitted on its master, watched, and counted at its end."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .cluster import Cluster, start, until, write
from .drains import Count, in_order, whole_lines
from .jobs import shuffle
from .lab import run

if TYPE_CHECKING:
    import subprocess

    from .hosts import Host

_PROGRAM = Path(shuffle.__file__)
_ON_HOST = "/opt/shuffle.py"
_SHUFFLE_FILES = "find /var/lib/spark-local -name 'shuffle_*.data' -printf '%s\n'"
_COMPILED = "-XX:TieredStopAtLevel=4"
"""The lab's hosts run Java's quick compiler alone, by which encryption takes ten times as long."""
_COPIED_SECONDS = 90
"""Until `event_logs.py` has copied the log of an application that ended."""


@dataclass
class Shuffle:
    """One run of the job.

    Attributes:
        cluster: where it runs.
        mebibytes: how much it shuffles.
        driver: its driver's process.
        said: the lines that it has printed so far, Spark's own among them.
        reader: what reads them.
    """

    cluster: Cluster
    mebibytes: int
    driver: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)

    @classmethod
    def submit(cls, cluster: Cluster, mebibytes: int, *options: str, workers: int | None = None) -> Self:
        """Start it on all cores of workers that the master has, once all of them are its own.

        Args:
            cluster: where it is to run.
            mebibytes: how much it is to shuffle.
            options: what else `jobs/shuffle.py` is told.
            workers: how many it takes, which are alike; all of them by default.
        """
        master = cluster.master()
        write(master, _ON_HOST, _PROGRAM.read_text(encoding="utf-8"))
        cores = [worker["cores"] for worker in cluster.state()["workers"] if worker["state"] == "ALIVE"][:workers]
        settings = (
            f"spark.cores.max={sum(cores)}",
            *([f"spark.executor.cores={cores[0]}"] if workers else []),  # or one gets some cores on each
            "spark.scheduler.minRegisteredResourcesRatio=1",
            "spark.scheduler.maxRegisteredResourcesWaitingTime=120s",
            "spark.executor.memory=1g",
            f"spark.executor.extraJavaOptions={_COMPILED}",
            f"spark.driver.extraJavaOptions={_COMPILED}",
            "spark.eventLog.compress=false",
        )
        words = [word for setting in settings for word in ("--conf", setting)]
        driver = start(master, "/usr/local/bin/spark-submit", *words, _ON_HOST, "--mebibytes", str(mebibytes), *options)
        job = cls(cluster, mebibytes, driver)
        job.reader.start()
        return job

    @property
    def application(self) -> str:
        """Its id; empty before it has one."""
        return next((line.split()[1] for line in list(self.said) if line.startswith("application: ")), "")

    @property
    def reduced(self) -> int:
        """How many reduce tasks have ended in the attempt of the stage that ran last; -1 before the first."""
        found = [re.match(r"reduced: (\d+)/", line) for line in list(self.said)]
        return int(next((match[1] for match in reversed(found) if match), "-1"))

    @property
    def has_ended(self) -> bool:
        """Whether its driver has."""
        return self.driver.poll() is not None

    def wait_until_reduced(self, tasks: int, seconds: float = 300) -> None:
        """Wait until the reduce stage runs and so many of its tasks have ended."""
        until(lambda: self.reduced >= tasks or self.has_ended, seconds, f"{tasks} reduce tasks: {self.last_words()}")
        assert not self.has_ended, self.last_words()

    def last_words(self) -> str:
        """What it has printed last."""
        return "\n".join(self.said[-40:])

    def wait(self, seconds: float = 300) -> None:
        """Wait for its end, which must be the right answer."""
        until(lambda: self.has_ended, seconds, "the job ends")
        until(lambda: bool(self.answers) or self.driver.returncode != 0, 10, "the last of what it printed is read")
        assert self.driver.returncode == 0, self.last_words()
        assert self.answers == [shuffle.expected(self.mebibytes)]

    @property
    def answers(self) -> list[str]:
        """What it printed as its answer, once it has."""
        return [line for line in list(self.said) if line.startswith("answer: ")]

    def count(self) -> Count:
        """What its event log in the bucket says, once it has ended."""
        client, bucket = self.cluster.lab.client("s3"), self.cluster.bucket()
        prefix = f"spark-events/eventlog_v2_{self.application}/"

        def keys() -> list[str]:
            return [one["Key"] for one in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

        ended = f"{prefix}appstatus_{self.application}"
        until(lambda: ended in keys(), _COPIED_SECONDS, f"the events of {self.application} are in the bucket")
        texts = [client.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in in_order(keys())]
        return Count.of(whole_lines("".join(texts)))

    def bytes_on(self, host: Host) -> int:
        """How large the shuffle data are that lie on a worker's disk."""
        return sum(int(size) for size in run(host, "sh", "-c", _SHUFFLE_FILES).stdout.split())

    def end(self) -> None:
        """End its driver, if it still runs."""
        if not self.has_ended:
            run(self.cluster.master(), "pkill", "-9", "-u", "spark-driver", "-f", _ON_HOST)
        self.driver.wait(timeout=60)
        self.reader.join(timeout=60)

    def _read(self) -> None:
        assert self.driver.stdout, "it is a pipe"
        with self.driver.stdout as lines:
            for line in lines:
                self.said.append(line.rstrip("\n"))
