"""protection.py: who is protected from scale-in, in groups that refuse what AWS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws
import protection
import pytest
import tick
from botocore.exceptions import ClientError
from observation import Member, Observation

from tests.unit.test_groups import GROUP, Fleet, fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["fleet"]  # a fixture


def seen(size: int, *, busy: int = 0, protected: int = 0, **more: Any) -> Observation:
    """A group whose first members have executors, and whose first are protected."""
    members = tuple(
        Member(f"i-{at}", "InService", is_protected=at < protected, address=f"10.0.{at // 256}.{at % 256}")
        for at in range(size)
    )
    workers = [
        {"host": member.address, "state": "ALIVE", "coresused": 4 if at < busy else 0}
        for at, member in enumerate(members)
    ]
    given: dict[str, Any] = {"max_size": 2000, "desired": size, "page": {"workers": workers}, **more}
    return Observation(has_group=True, members=members, **given)


def steps(what: Observation) -> list[tuple[str, str]]:
    return [(step.what, step.why) for step in protection.keep_protection(what) if step.act]


def test_who_has_executors_is_protected_and_who_has_none_is_not() -> None:
    assert steps(seen(3, busy=2)) == [("protect i-0, i-1", "they have executors")]
    assert steps(seen(3, busy=1, protected=3)) == [("unprotect i-1, i-2", "they have no executors")]


def test_what_is_right_already_costs_no_call() -> None:
    assert steps(seen(3, busy=2, protected=2)) == []
    assert steps(seen(3)) == []


@pytest.mark.parametrize("state", ["DECOMMISSIONED", "DEAD", "UNKNOWN"])
def test_a_worker_that_leaves_or_is_gone_is_not_protected(state: str) -> None:
    worker = {"host": "10.0.0.0", "state": state, "coresused": 4}
    why = "they are decommissioned, and take no more work" if state == "DECOMMISSIONED" else "they have no executors"
    assert steps(seen(1, protected=1, page={"workers": [worker]})) == [("unprotect i-0", why)]


def test_a_member_that_the_master_does_not_list_has_no_executors() -> None:
    assert steps(seen(1, protected=1, page={"workers": []})) == [("unprotect i-0", "they have no executors")]


@pytest.mark.parametrize("state", ["Pending:Wait", "Terminating:Wait", "Standby"])
def test_only_members_in_service_are_protected(state: str) -> None:
    worker = {"host": "10.0.0.1", "state": "ALIVE", "coresused": 4}
    member = Member("i-0", state, address="10.0.0.1")
    assert steps(Observation(has_group=True, max_size=9, members=(member,), page={"workers": [worker]})) == []


def test_a_stranger_s_worker_protects_nobody() -> None:
    worker = {"host": "10.9.9.9", "state": "ALIVE", "coresused": 4}
    assert steps(seen(1, page={"workers": [worker]})) == []


def test_a_master_that_does_not_answer_changes_nothing_and_that_is_said() -> None:
    (step,) = protection.keep_protection(seen(3, protected=1, page=None, trouble="refused"))
    assert (step.act, step.why) == (None, "the master does not answer: refused")


@pytest.mark.parametrize("page", [None, {"workers": [{"host": "10.0.0.0", "state": "ALIVE", "coresused": 4}]}])
def test_nobody_is_protected_while_the_maximum_is_0(page: Any) -> None:
    """A destroy sets it, and then waits until all have gone, whatever the master does meanwhile."""
    assert steps(seen(3, protected=2, max_size=0, page=page)) == [("unprotect i-0, i-1", "the group's maximum is 0")]
    assert steps(seen(3, max_size=0, page=page)) == []


def test_without_a_group_there_is_nothing_to_do() -> None:
    assert list(protection.keep_protection(Observation(page={"workers": []}))) == []


def test_a_call_names_fifty_at_most() -> None:
    assert [len(what.split(", ")) for what, _ in steps(seen(120, busy=120))] == [50, 50, 20]


# In a group


@pytest.fixture
def full(fleet: Fleet, settle: Callable[..., None]) -> Iterator[Fleet]:
    """A group of 120, whose master's settings name it."""
    settle("master", group=GROUP, region="us-east-1")
    aws.client.cache_clear()
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, MaxSize=200)
    fleet.grow(120)
    yield fleet
    aws.client.cache_clear()


def protected(fleet: Fleet) -> set[str]:
    return {one["InstanceId"] for one in fleet.described["Instances"] if one["ProtectedFromScaleIn"]}


def observed(fleet: Fleet, names: list[str]) -> Observation:
    """All members in service, and of these such with executors."""
    addresses = {name: f"10.0.0.{at}" for at, name in enumerate(fleet.states())}
    members = tuple(Member(name, "InService", address=address) for name, address in addresses.items())
    workers = [{"host": addresses[name], "state": "ALIVE", "coresused": 4} for name in names]
    return Observation(has_group=True, max_size=200, members=members, page={"workers": workers})


def take_all(what: Observation) -> tuple[list[str], dict[str, str]]:
    """Take the steps as the tick does; what was done, and what failed."""
    done: list[str] = []

    def take(step: Any) -> None:
        if step.act:
            step.act()
            done.append(step.what)

    one = tick.Tick(take)
    one._keep("protection", protection.keep_protection(what))  # noqa: SLF001 - without the rest of a tick
    return done, one.troubles


def test_one_of_120_that_has_just_left_keeps_no_other_from_its_protection(full: Fleet) -> None:
    names = list(full.states())
    what = observed(full, names)
    full.client.terminate_instance_in_auto_scaling_group(InstanceId=names[60], ShouldDecrementDesiredCapacity=True)
    full.go_on()
    done, troubles = take_all(what)
    assert protected(full) == set(names) - {names[60]}
    assert len(done) == 2, "the call of the one that left"
    assert "ValidationError" in troubles["protection"]


def test_scale_in_takes_the_idle_and_when_all_are_busy_nobody(full: Fleet) -> None:
    names = list(full.states())
    take_all(observed(full, names[::2]))
    full.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=60)
    full.go_on()
    assert full.in_service() == set(names[::2])
    full.client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=10)
    full.go_on()
    assert full.in_service() == set(names[::2])
    assert full.described["DesiredCapacity"] == 10, "it is AWS's or a person's, and not fought over"


def test_what_is_refused_for_another_reason_is_not_tried_one_by_one(
    full: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def denied(**named: Any) -> None:
        made.append(named["InstanceIds"])
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SetInstanceProtection")

    monkeypatch.setattr(aws.client("autoscaling"), "set_instance_protection", denied)
    done, troubles = take_all(observed(full, list(full.states())))
    assert (len(made), done) == (3, [])
    assert "AccessDenied" in troubles["protection"]
