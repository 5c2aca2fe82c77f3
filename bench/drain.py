"""How fast a worker that leaves gets rid of its shuffle data, on Spark's own processes on loopback.

The figures of docs/leaving.md are what this printed. One worker writes all map outputs and has ended all its tasks;
then its peers join, its files leave the page cache, and it is asked to leave by SIGPWR, as a node's drain does it. With
and without encryption, to one peer, to three and to none, where all goes to the fallback storage, here a folder. Spark
moves map outputs in one thread for each peer, which says for each how long it took: the slowest thread's time is the
drain's. The rest, in which Spark looks twice whether there is more, is fixed and told apart.

It is loopback and not the lab, since `spark_defaults` refuses to turn a cluster's encryption off; the lab's tests print
what a drain through AWS takes. The floors are of the same run: the same files read from the same disk, cold, and as
many bytes through one TCP connection between the same addresses.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lab.cluster import until
from lab.deployment import ROOT
from lab.drains import Move
from lab.jobs import shuffle
from lab.loopback import cluster

MEBIBYTES = 1024
MAP_TASKS = 16
ROUNDS = 3
WAIT_SECONDS = 180.0
REGISTERED_SECONDS = 5.0
"""How long an executor that its worker shows may take until the driver knows it as a peer."""
BLOCK_BYTES = 1 << 20
GP3 = 125 * (1 << 20) / 1e6
"""What a volume of gp3 reads unless told otherwise: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html."""

JOB = (
    *(str(ROOT / "lab/jobs/shuffle.py"), "--mebibytes", str(MEBIBYTES), "--map-tasks", str(MAP_TASKS)),
    *("--reduce-tasks", str(MAP_TASKS), "--hold-seconds", "3600"),
)


@dataclass(frozen=True)
class Drain:
    """One drain: what it moved, and how long that took.

    Attributes:
        megabytes: of the map outputs.
        thread_seconds: for which each of Spark's threads moved them; there is one for each peer.
        seconds: from the signal until the executor had gone.
        disk: how fast the same files were read just before, in megabytes a second.
    """

    megabytes: float
    thread_seconds: tuple[float, ...]
    seconds: float
    disk: float

    @property
    def rate(self) -> float:
        """Megabytes a second, from the first thread's begin to the last one's end."""
        return self.megabytes / max(self.thread_seconds)

    @property
    def thread_rate(self) -> float:
        """Megabytes a second of one thread."""
        return self.megabytes / sum(self.thread_seconds)


def main() -> None:
    """Drain one worker for each kind, and print the medians."""
    print(f"a worker's drain of {MEBIBYTES} MiB in {MAP_TASKS} map outputs, medians of {ROUNDS}, in MB/s")
    kinds = [(encrypted, peers) for encrypted in (False, True) for peers in (1, 3)] + [(True, 0)]
    found: dict[tuple[bool, int], list[Drain]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            found[kind].append(drained(*kind))
            print(f"{kind}: {found[kind][-1]}", file=sys.stderr, flush=True)
    disk = statistics.median(one.disk for drains in found.values() for one in drains)
    wire = statistics.median(through_the_wire() for _ in range(ROUNDS))
    print(f"  floors: the disk reads {disk:.0f}, the wire takes {wire:.0f}, a gp3 volume would read {GP3:.0f}")
    print(f"  {'':<46}{'rate':>6}{'/ floor':>9}{'/ gp3':>10}{'a thread':>10}{'besides s':>10}")
    for (encrypted, peers), drains in found.items():
        rate, thread, fixed = (
            statistics.median(values)
            for values in zip(
                *((one.rate, one.thread_rate, one.seconds - max(one.thread_seconds)) for one in drains), strict=True
            )
        )
        to = {0: "the fallback storage, a folder"}.get(peers, f"{peers} peer{'s' * (peers > 1)}")
        row = f"{'' if encrypted else 'not '}encrypted, to {to}"
        print(f"  {row:<46}{rate:6.0f}{rate / min(disk, wire):9.2f}{rate / GP3:10.2f}{thread:10.0f}{fixed:10.1f}")
        if not peers:
            a_map_output = statistics.median(one.thread_seconds[0] for one in drains) / MAP_TASKS
            print(f"  {'':<46}{a_map_output:.2f} s a map output")


def drained(encrypted: bool, peers: int) -> Drain:  # noqa: FBT001 - one of the two things that kinds differ in
    """Let one worker write all map outputs, add its peers, and ask it to leave."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # where /tmp may be memory
        properties = {
            "spark.network.crypto.enabled": str(encrypted).lower(),
            "spark.executor.memory": "2g",
        }
        if not peers:
            fallback = Path(place, "fallback")
            fallback.mkdir()
            properties["spark.storage.decommission.fallbackStorage.path"] = f"{fallback.as_uri()}/"
        with cluster(Path(place, "cluster"), workers=1, properties=properties) as on:
            driver, leaving = on.submit(*JOB), on.workers[0]
            if (answer := on.said(driver, "answer")) != shuffle.expected(MEBIBYTES):
                sys.exit(f"the job said {answer}")
            for _ in range(peers):
                peer = on.add_worker()
                until(lambda peer=peer: peer.number_of_executors() == 1, WAIT_SECONDS, f"an executor at {peer.address}")  # type: ignore[misc]
            time.sleep(REGISTERED_SECONDS)
            files = sorted(leaving.folder.glob("local/**/shuffle_*.data"))
            megabytes = sum(one.stat().st_size for one in files) / 1e6
            disk = megabytes / seconds_to_read(files)
            forget(files)
            start = time.monotonic()
            leaving.decommission()
            until(lambda: leaving.number_of_executors() == 0, WAIT_SECONDS, "the end of the executor")
            seconds = time.monotonic() - start
            moves = Move.all_in(leaving.executors_said())
        if len({move.output for move in moves}) != len(files):
            sys.exit(f"of {len(files)} map outputs {len(moves)} were moved")
        took = tuple(sum(move.seconds for move in moves if move.to == to) for to in {move.to for move in moves})
        return Drain(megabytes, took, seconds, disk)


def seconds_to_read(files: list[Path]) -> float:
    """How long it takes to read files of which the page cache has nothing."""
    forget(files)
    start = time.monotonic()
    for one in files:
        with one.open("rb", buffering=0) as file:
            while file.read(BLOCK_BYTES):
                pass
    return time.monotonic() - start


def forget(files: list[Path]) -> None:
    """Take files out of the page cache."""
    for one in files:
        with one.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def through_the_wire() -> float:
    """How many megabytes a second one TCP connection takes from one of the addresses to another."""
    with socket.create_server(("127.0.0.3", 0)) as server:
        taken = threading.Thread(target=take_all, args=(server,))
        taken.start()
        block, number = bytes(BLOCK_BYTES), MEBIBYTES * (1 << 20) // BLOCK_BYTES
        start = time.monotonic()
        with socket.create_connection(server.getsockname(), source_address=("127.0.0.2", 0)) as connection:
            for _ in range(number):
                connection.sendall(block)
        taken.join()
        return number * BLOCK_BYTES / 1e6 / (time.monotonic() - start)


def take_all(server: socket.socket) -> None:
    """Read what one connection brings to its end."""
    connection, _ = server.accept()
    with connection:
        while connection.recv(BLOCK_BYTES):
            pass


if __name__ == "__main__":
    main()
