"""Members whose worker has executors are protected from scale-in, the others are not.

Auto Scaling then takes idle ones first. If all are protected it takes nobody before one is idle.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import aws
import settings
from steps import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from observation import Observation

MOST_AT_ONCE = 50
"""https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html (InstanceIds)"""


def busy(seen: Observation) -> set[str]:
    """Addresses of the workers that have executors, and are not about to hand on what these have."""
    return {worker["host"] for worker in seen.workers if worker["state"] == "ALIVE" and worker["coresused"]}


def keep_protection(seen: Observation) -> Iterator[Step]:
    """Change it where it is not as it should be; what the master does not say changes nothing."""
    if not seen.has_group:
        return
    if not seen.max_size:  # a destroy would wait for those that are protected
        protected = [one.instance_id for one in seen.serving if one.is_protected]
        yield from change(protected, "the group's maximum is 0", protect=False)
        return
    if seen.page is None:
        yield Step("change no protection", f"the master does not answer: {seen.trouble}")
        return
    members, wanted = seen.in_service.values(), busy(seen)
    idle = [one.instance_id for one in members if one.is_protected and one.address not in wanted]
    fresh = [one.instance_id for one in members if not one.is_protected and one.address in wanted]
    yield from change(fresh, "they have executors", protect=True)
    leaving = seen.hosts("DECOMMISSIONED") - wanted
    leave = [one.instance_id for one in members if one.instance_id in idle and one.address in leaving]
    yield from change([name for name in idle if name not in leave], "they have no executors", protect=False)
    yield from change(leave, "they are decommissioned, and take no more work", protect=False)


def change(ids: Sequence[str], why: str, *, protect: bool) -> Iterator[Step]:
    """As few calls as AWS takes."""
    for start in range(0, len(ids), MOST_AT_ONCE):
        some = ids[start : start + MOST_AT_ONCE]
        yield Step(f"{'protect' if protect else 'unprotect'} {', '.join(some)}", why, partial(tell, some, protect))


def tell(ids: Sequence[str], protect: bool) -> None:  # noqa: FBT001 - as the API has it
    """Tell Auto Scaling; one by one if it refuses all, as it does if one of them has just left.

    Raises:
        ClientError: one was refused; all others were told.
    """
    from botocore.exceptions import ClientError

    named = {"AutoScalingGroupName": settings.load()["group"], "ProtectedFromScaleIn": protect}
    call = aws.client("autoscaling").set_instance_protection
    try:
        call(InstanceIds=list(ids), **named)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError" or len(ids) == 1:
            raise
    else:
        return
    refused = None
    for name in ids:
        try:
            call(InstanceIds=[name], **named)
        except ClientError as error:
            refused = error
    if refused:
        raise refused
