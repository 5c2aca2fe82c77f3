"""Members in service that are of no use are replaced: few at a time, and never for a trouble of the master's own.

Sick is a member in service whose worker an ALIVE master lists as DECOMMISSIONED, or has not listed as ALIVE for
`unlisted_timeout_seconds`. Auto Scaling is told that it is unhealthy, and has it leave and another one come.

What is known of each is in a file below /run, so that a daemon that was ended goes on where it was. A look at which the
master does not answer, a restart of it, and a pause of the looking begin all anew.
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import aws
import files
import protection
import settings
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from observation import Observation

FILE = "/run/spark-cluster/health.json"
LONGEST_PAUSE_SECONDS = 60
SHARE = 10
"""A member is replaced while less than the group's size by this is missing; or, where the master lists fewer than half
of those in service, as alive or decommissioned, while none is. Kubernetes, too, gives up nodes one after the other, and
nearly none where most of a zone are unhealthy: `--node-eviction-rate`, `--unhealthy-zone-threshold` and
`--secondary-node-eviction-rate` of
https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/."""


def boot_clock() -> float:
    """Seconds that this host is up, whatever is done to its clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def known() -> dict[str, Any]:
    """What the last look left.

    Returns:
        `looked`: when that was, by the boot's clock. `members`: of each that was not listed as alive `since` when (the
        boot's clock), `at` what time (epoch), `why`, and whether it is `sick`. `told`: of each that Auto Scaling was
        told of, `at` what time and `why`; for as long as the group has it.
    """
    return {"looked": 0.0, "members": {}, "told": {}, **files.known(FILE)}


def keep_health(seen: Observation) -> Iterator[Step]:
    """Note who is not listed as alive, and since when; have one of the sick replaced, if that may be."""
    if not seen.has_group:
        return
    before = known()
    state = look(seen, before, boot_clock())
    fresh = [name for name, one in state["members"].items() if one["sick"] and not was_sick(before, name)]
    what = f"note that {', '.join(fresh)} is sick" if fresh else "note who is not listed"
    why = "; ".join(sorted({state["members"][name]["why"] for name in fresh})) or "the next look goes on from there"
    yield Step(what, why, partial(keep, state), is_routine=not fresh)
    sick = [(one["since"], name) for name, one in state["members"].items() if one["sick"]]
    protected = {one.instance_id: one.is_protected for one in seen.members}
    healthy = {one.instance_id for one in seen.members if one.is_healthy}
    # Who was told before, and is healthy all the same, comes last: AWS may have refused.
    waiting = sorted((name in state["told"], since, name) for since, name in sick if name in healthy)
    reason = forbidden(seen)
    for number, (_, _, name) in enumerate(waiting):
        why = state["members"][name]["why"]
        if reason or number:
            yield Step(f"do not replace {name}", f"{why}; but {reason or 'only one is replaced in a tick'}")
            continue
        state["told"][name] = {"at": time.time(), "why": why}
        yield Step(f"note why {name} is replaced", why, partial(keep, state), is_routine=True)
        yield Step(f"replace {name}", why, partial(tell, name, protected[name]))


def was_sick(before: dict[str, Any], name: str) -> bool:
    return bool(before["members"].get(name, {}).get("sick"))


def look(seen: Observation, before: dict[str, Any], now: float) -> dict[str, Any]:
    """What is known after this look."""
    there = {one.instance_id for one in seen.members}
    told = {name: said for name, said in before["told"].items() if name in there}
    state: dict[str, Any] = {"looked": now, "members": {}, "told": told}
    if seen.page is None:
        return state
    pause = now - before["looked"]
    is_restarted = seen.master_seconds is None or seen.master_seconds < pause
    past = {} if is_restarted or not 0 <= pause <= LONGEST_PAUSE_SECONDS else before["members"]
    timeout = settings.load()["unlisted_timeout_seconds"]
    alive, leaving = seen.hosts("ALIVE"), seen.hosts("DECOMMISSIONED")
    for address, member in seen.in_service.items():
        name = member.instance_id
        if address in alive:
            if member.is_healthy:
                told.pop(name, None)  # it came back before anything was done
            continue
        first = past.get(name, {"since": now, "at": time.time()})
        is_leaving, is_late = address in leaving, now - first["since"] >= timeout
        why = "its worker is decommissioned" if is_leaving else "the master does not list its worker as alive"
        state["members"][name] = {
            "since": first["since"],
            "at": first["at"],
            "why": why,
            "sick": is_leaving or is_late,
        }
    return state


def forbidden(seen: Observation) -> str:
    """Why nobody may be replaced now; empty if one may."""
    timeout = settings.load()["unlisted_timeout_seconds"]
    if not seen.max_size:
        return "the group's maximum is 0"
    if seen.master_seconds is None:
        return "it is not known since when the master is up"
    if seen.master_seconds < timeout:
        return f"the master is up for {seen.master_seconds:.0f} s, and less than {timeout} s"
    missing = seen.desired - sum(one.is_healthy for one in seen.serving)
    # One that leaves was told to, by itself or by somebody: that is known, and no trouble of the master's.
    listed = len(seen.in_service.keys() & (seen.hosts("ALIVE") | seen.hosts("DECOMMISSIONED")))
    most = max(1, seen.desired // SHARE)
    if 2 * listed < len(seen.serving):
        most = 1
    if missing >= most:
        return f"{missing} of {seen.desired} are missing already"
    return ""


def keep(state: dict[str, Any]) -> None:
    files.keep(FILE, json.dumps(state) + "\n", mode=0o644)


def tell(instance_id: str, is_protected: bool) -> None:  # noqa: FBT001 - what was seen of it
    """Tell Auto Scaling; a grace period is for hosts that boot, which are no members in service here.

    Its protection goes first: Terraform's destroy takes it from all that have it, and AWS refuses that of a member that
    leaves, with which the destroy fails.
    """
    if is_protected:
        protection.tell([instance_id], protect=False)
    unhealthy = {"HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": False}
    aws.client("autoscaling").set_instance_health(InstanceId=instance_id, **unhealthy)
