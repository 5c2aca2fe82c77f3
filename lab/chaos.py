"""Workers that are interrupted one after the other under jobs that never pause: `make chaos`.

Each job is a shuffle whose answer is known. A round interrupts one worker in service, with notice as EC2 gives it,
and its power cut at its end; the next follows as soon as as many workers as before are in service again. At the end
there is a table of the jobs: what was lost, and what ran again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import faults
from .cluster import Cluster, until
from .jobs import shuffle
from .lab import Lab, none_before, problems
from .shuffles import Shuffle

if TYPE_CHECKING:
    from .deployment import Deployment
    from .drains import Count

APP = Path(__file__).parents[1] / "tests/lab/apps/leaving.py"
WORKERS = 3
INTERRUPTIONS = 20
NOTICE_SECONDS = 25.0
"""Between notice and power cut: EC2 gives 120 s, of which a worker with so little data needs few."""
MOST_SECONDS = 20 * 60.0
MEBIBYTES = 240
JOB = ("--map-tasks", "24", "--reduce-tasks", "40", "--seconds", "10")
"""A reduce stage that is longer than the pause between two interruptions."""
JOB_SECONDS = 600.0
"""After which a job is lost, whatever it does."""
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How one job ended.

    Attributes:
        seconds: how long it took.
        answer: what it answered; empty if it was lost.
        count: what its event log says; none if it was lost.
    """

    seconds: float
    answer: str
    count: Count | None

    @property
    def is_lost(self) -> bool:
        """Whether it ended without an answer."""
        return not self.answer

    @property
    def is_wrong(self) -> bool:
        """Whether its answer is another than it must be."""
        return not self.is_lost and self.answer != shuffle.expected(MEBIBYTES)

    @property
    def drains(self) -> int:
        """How many of its executors left by a drain."""
        return sum("decommission" in why for why in self.count.removed.values()) if self.count else 0

    @property
    def map_tasks_again(self) -> int:
        """How many map tasks ran again, of a job that was not lost."""
        return self.count.map_tasks_again if self.count else 0


@dataclass
class Chaos:
    """Jobs in a row, in a cluster with `WORKERS` in service, of which one after the other is interrupted.

    Attributes:
        cluster: where.
        interrupted: which instances were, in their order.
    """

    cluster: Cluster
    interrupted: list[str] = field(default_factory=list)
    _ended: list[tuple[Shuffle, float]] = field(default_factory=list)

    def run(self, interruptions: int, seconds: float) -> list[Outcome]:
        """Interrupt until there were enough or the time is over, then let the last job end; return how all ended."""
        end = time.monotonic() + seconds
        job, began = self._submit()
        try:
            while True:
                is_over = len(self.interrupted) >= interruptions or time.monotonic() > end
                if job.has_ended or time.monotonic() > began + JOB_SECONDS:
                    job.end()
                    self._ended.append((job, time.monotonic() - began))
                    if is_over:
                        break
                    job, began = self._submit()
                elif not is_over and job.reduced > 0:
                    self._interrupt()
                time.sleep(LOOK_SECONDS)
        finally:
            job.end()
            faults.forget_interruptions()
        return [
            Outcome(took, next(iter(one.answers), ""), one.count() if one.answers else None)
            for one, took in self._ended
        ]

    def _submit(self) -> tuple[Shuffle, float]:
        return Shuffle.submit(self.cluster, MEBIBYTES, *JOB), time.monotonic()

    def _interrupt(self) -> None:
        """Interrupt one worker, if as many as there should be are in service and stay."""
        workers = {host.instance_id: address for address, host in self.cluster.workers().items()}
        alive = self.cluster.alive()
        staying = sorted(one for one in workers.keys() - set(self.interrupted) if workers[one] in alive)
        if len(staying) >= WORKERS:
            # Not the newest: one with map outputs of its own or others'.
            chosen = random.Random(len(self.interrupted)).choice(staying)  # noqa: S311 - the same ones each time
            self.interrupted.append(chosen)
            self.cluster.interrupt(chosen, NOTICE_SECONDS)


def table(outcomes: list[Outcome]) -> str:
    """A line for each job, and one for all."""
    lines = ["job  seconds  drains  map tasks again  reduce tasks again  attempts  answer"]
    for number, one in enumerate(outcomes, 1):
        again = one.count.retried_reduce_tasks if one.count else 0
        attempts = max(one.count.attempts.values()) if one.count else 0
        answer = "lost" if one.is_lost else "wrong" if one.is_wrong else "right"
        row = f"{number:3}  {one.seconds:7.0f}  {one.drains:6}  {one.map_tasks_again:15}  {again:18}"
        lines.append(f"{row}  {attempts:8}  {answer}")
    sums = {
        "wrong": sum(one.is_wrong for one in outcomes),
        "lost": sum(one.is_lost for one in outcomes),
        "map tasks again": sum(one.map_tasks_again for one in outcomes),
        "drains": sum(one.drains for one in outcomes),
        "drains at the most in one job": max(one.drains for one in outcomes),
    }
    return "\n".join(
        (*lines, f"{len(outcomes)} jobs: " + ", ".join(f"{number} {what}" for what, number in sums.items()))
    )


def deployment(lab: Lab) -> Deployment:
    """The cluster, to be deployed."""
    return lab.deployment(APP, "leaving", {"baked_ami": lab.ami_ids()["al2023-spark"]})


def settled(cluster: Cluster, size: int, seconds: float = 300) -> None:
    """Give a cluster so many workers, all of them in service and with the master, and none that leaves."""
    cluster.set_size(size)

    def is_settled() -> bool:
        members = cluster.members()
        return (
            len(members) == size
            and set(members.values()) == {"InService"}
            and cluster.alive() == set(cluster.workers())
        )

    until(is_settled, seconds, f"{size} workers: {cluster.members()}")


def main() -> None:
    """Do it in a lab of its own, print the table, and say by the exit status whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interruptions", type=int, default=INTERRUPTIONS)
    parser.add_argument("--seconds", type=float, default=MOST_SECONDS, help="after which no worker is interrupted")
    options = parser.parse_args()
    if found := problems():
        sys.exit("; ".join(found))
    with none_before():
        lab = Lab.create(kept=False, images=("al2023-spark",), tell=print)
        try:
            done = deployment(lab).deploy()
            if done.returncode:
                sys.exit(f"cdktf deploy failed:\n{done.stdout[-3000:]}")
            cluster = Cluster(lab, "leaving")
            settled(cluster, WORKERS)
            chaos = Chaos(cluster)
            outcomes = chaos.run(options.interruptions, options.seconds)
        finally:
            lab.end()
    print(f"{len(chaos.interrupted)} interruptions\n{table(outcomes)}")
    sys.exit(any(one.is_lost or one.is_wrong for one in outcomes))


if __name__ == "__main__":
    main()
