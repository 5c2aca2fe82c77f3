"""What a running host is told that changes while it runs, posted by the AWS API for the metadata service.

Every worker asks for it every few seconds. If each question went to the AWS API, a host would wait whenever that is
busy, and with many hosts it would be; here it is one small file, and the faults.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .places import RUN

if TYPE_CHECKING:
    from .faults import Faults

_FILE = RUN / "noticeboard.json"

POSTED = {"autoscaling", "spot", "events"}
"""The folders below `meta-data/` that are answered from here, whether there is anything in them or not."""


@dataclass(frozen=True)
class Posted:
    """What Auto Scaling says of an instance.

    Attributes:
        instance_id: the instance.
        target: where its group is taking it, such as `Terminated`; None if it is in no group.
    """

    instance_id: str
    target: str | None


def post(by_address: dict[str, Posted]) -> None:
    """Replace what is there, by the hosts' addresses."""
    fresh = _FILE.with_suffix(".new")
    fresh.write_text(json.dumps({address: asdict(posted) for address, posted in by_address.items()}), encoding="utf-8")
    fresh.replace(_FILE)


def read(address: str) -> Posted | None:
    """What is posted for the host at an address; None if nothing is."""
    with suppress(FileNotFoundError):
        found = json.loads(_FILE.read_text(encoding="utf-8")).get(address)
        return Posted(**found) if found else None
    return None


def notices(posted: Posted, faults: Faults) -> dict[str, str]:
    """What an instance reads, by paths below `meta-data/`; what is not there is answered with 404.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html,
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html,
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html
    """
    found = {}
    if posted.target:
        found["autoscaling/target-lifecycle-state"] = posted.target
    if at := faults.interruptions.get(posted.instance_id):
        found["spot/instance-action"] = json.dumps({"action": "terminate", "time": _time(at)})
        found["spot/termination-time"] = _time(at)
    if at := faults.recommendations.get(posted.instance_id):
        found["events/recommendations/rebalance"] = json.dumps({"noticeTime": _time(at)})
    return {**found, **faults.notices.get(posted.instance_id, {})}


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
