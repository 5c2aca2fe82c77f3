"""What is broken on purpose: one file, written by tests and read by the lab's services at each request."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .places import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE_VARIABLE = "LAB_FAULTS_FILE"
"""Environment variable that names another file than the lab's, for an AWS that is not the lab's."""

PERMISSION_DELAY_SECONDS = 3.0
"""How long after it was written a role's policy is in force: IAM is eventually consistent."""
RECORD_DELAY_SECONDS = 3.0
"""How long a change of a zone is pending before the name server knows it."""


_noticed: set[str] = set()
"""The instances that this process has interrupted, or recommended to replace."""


@dataclass
class Faults:
    """All faults at a time; by default there are none but those of a healthy AWS.

    Attributes:
        late_permissions: by cluster, for how many seconds from its first call on a node is refused everything.
        skewed: by cluster, for how many seconds from its first call on a node's clock is taken to be wrong.
        throttled: by cluster, the share of its nodes' calls to SSM and Auto Scaling that are throttled.
        unavailable: clusters whose nodes' calls to EC2 and Auto Scaling fail.
        refused: by cluster, actions such as `cloudwatch:PutMetricData` that its nodes may not do, whatever their roles
            allow.
        late_records: by cluster, for how many further seconds a change of its zone is pending.
        downloads: by the start of an address, what happens to its requests: a status such as `503`, `refuse` (the
            connection is closed before an answer), `corrupt` (other bytes) or `truncate` (half of what was asked for,
            then the connection ends).
        failed_launches: by cluster, why no worker of it can be launched: a key of `activities.REASONS`.
        credentials_end: by cluster, two moments in seconds since the epoch: its nodes are given other credentials from
            the first on, which are refused as expired from the second on. They tell an end shortly after, and others
            are given 20 s before.
        notices: by instance, paths below the metadata service's `meta-data/` and what they answer.
        interruptions: by instance, when EC2 takes it back, in seconds since the epoch: it has notice of it from now on,
            and loses its power then.
        recommendations: by instance, when EC2 said that it is likely to be taken back, in seconds since the epoch.
    """

    late_permissions: dict[str, float] = field(default_factory=dict)
    skewed: dict[str, float] = field(default_factory=dict)
    throttled: dict[str, float] = field(default_factory=dict)
    unavailable: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    late_records: dict[str, float] = field(default_factory=dict)
    downloads: dict[str, str] = field(default_factory=dict)
    failed_launches: dict[str, str] = field(default_factory=dict)
    credentials_end: dict[str, tuple[float, float]] = field(default_factory=dict)
    notices: dict[str, dict[str, str]] = field(default_factory=dict)
    interruptions: dict[str, float] = field(default_factory=dict)
    recommendations: dict[str, float] = field(default_factory=dict)

    def record_delay_seconds(self, zone: str) -> float:
        """How long a change of a cluster's zone, `<name>-spark.`, is pending."""
        return RECORD_DELAY_SECONDS + self.late_records.get(zone.rstrip(".").removesuffix("-spark"), 0.0)


def read() -> Faults:
    """The faults that are injected now; none if no test has any."""
    with suppress(FileNotFoundError):
        return Faults(**json.loads(_file().read_text(encoding="utf-8")))
    return Faults()


@contextmanager
def injected(**faults: Any) -> Iterator[None]:
    """Add faults while the context lasts: of each attribute those that are named, beside what others have injected."""
    known = {one.name for one in fields(Faults)}
    if not faults.keys() <= known:
        message = f"no such faults: {faults.keys() - known}"
        raise ValueError(message)

    def add(now: Faults) -> None:
        for name, added in faults.items():
            there = getattr(now, name)
            if isinstance(there, dict):
                if both := there.keys() & added.keys():
                    message = f"{name} has been injected for {both}"
                    raise ValueError(message)
                there.update(added)
            else:
                there.extend(added)

    def remove(now: Faults) -> None:
        for name, added in faults.items():
            there = getattr(now, name)
            for one in added:
                if isinstance(there, dict):
                    del there[one]
                else:
                    there.remove(one)

    _change(add)
    try:
        yield
    finally:
        _change(remove)


def interrupt(instance_id: str, seconds: float) -> None:
    """Give an instance notice that EC2 takes it back, so many seconds from now."""
    at = time.time() + seconds
    _noticed.add(instance_id)
    _change(lambda now: now.interruptions.update({instance_id: at}))


def recommend_rebalance(instance_id: str) -> None:
    """Say of an instance that it is likely to be taken back."""
    at = time.time()
    _noticed.add(instance_id)
    _change(lambda now: now.recommendations.update({instance_id: at}))


def forget_interruptions() -> None:
    """Take back every notice and recommendation of this process; what has lost its power stays without."""
    if not _noticed:
        return

    def forget(now: Faults) -> None:
        for instance_id in _noticed:
            now.interruptions.pop(instance_id, None)
            now.recommendations.pop(instance_id, None)

    _change(forget)
    _noticed.clear()


def _change(change: Callable[[Faults], object]) -> None:
    """Write the faults anew, one writer at a time: tests and the deploys that run beside them change them."""
    file = _file()
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        faults = read()
        change(faults)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(faults)), encoding="utf-8")
        fresh.replace(file)


def _file() -> Path:
    return Path(os.environ.get(FILE_VARIABLE) or RUN / "faults.json")
