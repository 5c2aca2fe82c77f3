"""health.py: who is sick, and who of them is replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws
import health
import pytest
from botocore.exceptions import ClientError
from observation import Member, Observation

from tests.unit.test_groups import GROUP, Fleet, fleet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from steps import Step

__all__ = ["fleet"]  # a fixture

UNLISTED = "the master does not list its worker as alive"
LEAVES = "its worker is decommissioned"


class Group:
    """A group whose clock and master are in a test's hands: each look is a tick, and what it tells is done.

    Attributes:
        states: of each member's worker, as the master lists it; empty if it does not.
        told: the members that Auto Scaling was told of.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 10_000.0
        self.states: dict[str, str] = {}
        self.unhealthy: set[str] = set()
        self.life: dict[str, str] = {}
        self.told: list[str] = []
        self.desired: int | None = None
        self.max_size = 2000
        self.master_since: float | None = 0.0
        self.answers = True
        monkeypatch.setattr(health, "boot_clock", lambda: self.now)
        monkeypatch.setattr(health, "tell", self.tell)

    def tell(self, instance_id: str, is_protected: bool) -> None:  # noqa: FBT001 - as it is called
        assert not is_protected
        self.told.append(instance_id)
        self.unhealthy.add(instance_id)

    def seen(self) -> Observation:
        places = {name: f"10.0.{at // 256}.{at % 256}" for at, name in enumerate(self.states)}
        members = tuple(
            Member(name, self.life.get(name, "InService"), is_healthy=name not in self.unhealthy, address=place)
            for name, place in places.items()
        )
        workers = [{"host": places[name], "state": state} for name, state in self.states.items() if state]
        return Observation(
            has_group=True,
            max_size=self.max_size,
            desired=len(self.states) if self.desired is None else self.desired,
            members=members,
            page={"workers": workers} if self.answers else None,
            trouble="" if self.answers else "refused",
            master_seconds=None if self.master_since is None else self.now - self.master_since,
        )

    def look(self, seconds: float = 15) -> list[Step]:
        """One tick, so long after the last; what it would do besides keeping its notes."""
        self.now += seconds
        steps = []
        for step in health.keep_health(self.seen()):
            if step.act:
                step.act()
            if not step.is_routine:
                steps.append(step)
        return steps

    def look_for(self, seconds: float) -> None:
        for _ in range(int(seconds // 15)):
            self.look()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, root: Path, settle: Callable[..., None]) -> Group:
    """A group of three that is well, whose master is up for hours and was looked at before."""
    settle("master")
    (root / "run/spark-cluster").mkdir(parents=True)
    made = Group(monkeypatch)
    made.states = dict.fromkeys(("i-0", "i-1", "i-2"), "ALIVE")
    made.look()
    return made


def test_who_is_listed_as_alive_is_well(group: Group) -> None:
    group.look_for(3600)
    assert group.told == []
    assert health.known()["members"] == {}


def test_a_member_whose_worker_is_decommissioned_is_replaced_at_once(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    steps = group.look()
    assert group.told == ["i-1"]
    assert [(step.what, step.why) for step in steps] == [
        ("note that i-1 is sick", LEAVES),
        ("replace i-1", LEAVES),
    ]


@pytest.mark.parametrize("state", ["", "DEAD", "UNKNOWN"])
def test_a_member_that_is_not_listed_as_alive_is_replaced_after_the_setting_s_time(group: Group, state: str) -> None:
    group.states["i-1"] = state
    group.look_for(600)
    assert group.told == []
    group.look()
    assert group.told == ["i-1"]


def test_the_time_is_a_setting(group: Group, settle: Callable[..., None]) -> None:
    settle("master", unlisted_timeout_seconds=60)
    group.states["i-1"] = ""
    group.look_for(60)
    assert group.told == []
    group.look()
    assert group.told == ["i-1"]


def test_a_member_that_is_listed_again_begins_anew(group: Group) -> None:
    for _ in range(3):
        group.states["i-1"] = ""
        group.look_for(590)
        group.states["i-1"] = "ALIVE"
        group.look()
    assert group.told == []
    assert health.known()["members"] == {}


def test_a_worker_that_was_started_anew_beside_its_former_self_is_alive(group: Group) -> None:
    seen = group.seen()
    assert seen.page
    both = [*seen.page["workers"], {"host": "10.0.0.1", "state": "DECOMMISSIONED"}]
    twice = Observation(has_group=True, max_size=9, desired=3, members=seen.members, page={"workers": both})
    assert health.look(twice, health.known(), group.now)["members"] == {}


def test_who_was_told_once_is_not_told_again(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    group.look_for(300)
    assert group.told == ["i-1"]


def test_why_a_member_is_replaced_is_known_until_the_group_has_it_no_more(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    group.look()
    group.life["i-1"] = "Terminating:Wait"
    group.states["i-1"] = ""
    group.look_for(60)
    assert health.known()["told"]["i-1"]["why"] == LEAVES
    del group.states["i-1"]
    group.look()
    assert health.known()["told"] == {}


@pytest.mark.parametrize("life", ["Pending:Wait", "Terminating:Wait", "Standby", "EnteringStandby"])
def test_only_members_in_service_are_sick(group: Group, life: str) -> None:
    group.states["i-1"], group.life["i-1"], group.desired = "DECOMMISSIONED", life, 2
    group.look_for(1200)
    assert group.told == []


def test_a_member_that_ec2_does_not_know_yet_is_not_judged(group: Group) -> None:
    member = Member("i-9", "InService")
    seen = Observation(has_group=True, max_size=9, desired=1, members=(member,), page={"workers": []})
    assert health.look(seen, health.known(), group.now)["members"] == {}


# How many


def of(size: int, sick: int, group: Group) -> None:
    group.states = {f"i-{at}": "DECOMMISSIONED" if at < sick else "ALIVE" for at in range(size)}


@pytest.mark.parametrize(("size", "most"), [(1, 1), (2, 1), (19, 1), (20, 2), (30, 3), (100, 10), (109, 10)])
def test_one_a_tick_and_a_tenth_at_most(group: Group, size: int, most: int) -> None:
    of(size, size // 2, group)
    if size == 1:
        of(1, 1, group)
    for expected in range(1, most + 1):
        group.look()
        assert len(group.told) == expected
    steps = group.look()
    assert len(group.told) == most
    reasons = {step.why for step in steps if not step.act}
    assert reasons == ({f"{LEAVES}; but {most} of {size} are missing already"} if size // 2 > most else set())


def test_another_goes_when_the_first_s_successor_is_in_service(group: Group) -> None:
    of(3, 2, group)
    group.look_for(120)
    assert group.told == ["i-0"]
    group.states.pop("i-0")
    group.states["i-3"], group.life["i-3"], group.desired = "", "Pending:Wait", 3
    group.look_for(120)
    assert group.told == ["i-0"]
    group.states["i-3"], group.life["i-3"] = "ALIVE", "InService"
    group.look()
    assert group.told == ["i-0", "i-1"]


def test_launches_that_fail_count_as_missing(group: Group) -> None:
    group.desired = 4
    group.states["i-1"] = "DECOMMISSIONED"
    (note, step) = group.look()
    assert note.what == "note that i-1 is sick"
    assert (step.act, step.why) == (None, f"{LEAVES}; but 1 of 4 are missing already")
    assert group.told == []


def test_the_longest_unlisted_goes_first(group: Group) -> None:
    of(40, 0, group)
    for name in ("i-7", "i-3", "i-5"):
        group.states[name] = ""
        group.look()
    group.look_for(900)
    assert group.told[:2] == ["i-7", "i-3"]


def test_one_of_which_auto_scaling_refuses_to_hear_does_not_keep_others_from_it(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    of(3, 2, group)
    group.states["i-2"] = "ALIVE"

    def tell(name: str, is_protected: bool) -> None:  # noqa: FBT001 - as it is called
        if name == "i-0":
            raise ValueError("no managed instance found")
        group.tell(name, is_protected)

    monkeypatch.setattr(health, "tell", tell)
    with pytest.raises(ValueError, match="no managed instance"):
        group.look()
    group.look()
    assert group.told == ["i-1"]


# A trouble of the master's own


def test_a_master_with_which_no_worker_can_register_costs_one_member(group: Group) -> None:
    group.states = {f"i-{at}": "" for at in range(100)}
    group.look_for(7200)
    assert len(group.told) == 1


def test_where_most_are_listed_a_tenth_may_go(group: Group) -> None:
    group.states = {f"i-{at}": "" if at < 49 else "ALIVE" for at in range(100)}
    group.look_for(7200)
    assert len(group.told) == 10


def test_decommissioned_members_are_listed_and_a_tenth_of_them_may_go(group: Group) -> None:
    """A job that filled all disks: the master knows each of them, and says so."""
    group.states = {f"i-{at}": "DECOMMISSIONED" for at in range(100)}
    for _ in range(20):
        group.look()
    assert len(group.told) == 10


def test_nobody_is_replaced_while_the_master_is_young(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    group.master_since = group.now
    for _ in range(39):
        steps = group.look()
    assert group.told == []
    assert steps[-1].why == f"{LEAVES}; but the master is up for 585 s, and less than 600 s"
    group.look()
    assert group.told == ["i-1"]


def test_nobody_is_replaced_by_a_master_whose_age_is_not_known(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    group.master_since = None
    steps = group.look()
    assert group.told == []
    assert steps[-1].why == f"{LEAVES}; but it is not known since when the master is up"


def test_a_restarted_master_begins_all_anew(group: Group) -> None:
    group.states["i-1"] = ""
    group.look_for(500)
    group.master_since = group.now + 5
    group.look_for(600)
    assert group.told == []
    group.look()
    group.look()
    assert group.told == ["i-1"]


def test_a_master_that_does_not_answer_begins_all_anew(group: Group) -> None:
    group.states["i-1"] = ""
    group.look_for(500)
    group.answers = False
    group.look_for(300)
    assert health.known()["members"] == {}
    group.answers = True
    group.look_for(600)
    assert group.told == []
    group.look()
    assert group.told == ["i-1"]


@pytest.mark.parametrize("pause", [61, 300, -5])
def test_a_pause_of_the_looking_begins_all_anew(group: Group, pause: int) -> None:
    group.states["i-1"] = ""
    group.look_for(600)
    group.look(pause)
    assert group.told == []
    group.look_for(595)
    assert group.told == []


def test_a_daemon_that_was_killed_goes_on_where_it_was(group: Group) -> None:
    """Nothing is kept but in the file."""
    group.states["i-1"] = ""
    group.look_for(600)
    group.look(50)
    assert group.told == ["i-1"]


@pytest.mark.parametrize("text", ["", "{", '{"looked": 1'])
def test_notes_that_are_cut_off_are_none(group: Group, root: Path, text: str) -> None:
    (root / health.FILE.lstrip("/")).write_text(text)
    assert health.known() == {"looked": 0.0, "members": {}, "told": {}}
    group.look()
    assert json.loads((root / health.FILE.lstrip("/")).read_text())["looked"] == group.now


def test_nobody_is_replaced_while_the_maximum_is_0(group: Group) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    group.max_size = group.desired = 0
    (_, step) = group.look()
    assert step.why == f"{LEAVES}; but the group's maximum is 0"
    assert group.told == []


def test_what_is_only_explained_is_not_noted(group: Group, root: Path) -> None:
    group.states["i-1"] = "DECOMMISSIONED"
    before = (root / health.FILE.lstrip("/")).read_text()
    whats: list[Any] = [step.what for step in health.keep_health(group.seen())]
    assert "replace i-1" in whats
    assert (root / health.FILE.lstrip("/")).read_text() == before
    assert group.told == []


# In a group that does what Auto Scaling does


def test_a_member_that_is_told_is_replaced_though_it_is_protected_and_new(
    fleet: Fleet, root: Path, settle: Callable[..., None]
) -> None:
    settle("master", group=GROUP, region="us-east-1")
    aws.client.cache_clear()
    fleet.client.update_auto_scaling_group(AutoScalingGroupName=GROUP, HealthCheckGracePeriod=3600)
    fleet.hook("drained", "TERMINATING")
    first, second = fleet.grow(2)
    fleet.client.set_instance_protection(AutoScalingGroupName=GROUP, InstanceIds=[first], ProtectedFromScaleIn=True)
    health.tell(first, is_protected=True)
    fleet.go_on()
    assert not any(one["ProtectedFromScaleIn"] for one in fleet.described["Instances"]), "or a destroy would fail"
    assert fleet.states()[first] == "Terminating:Wait"
    assert fleet.in_service() == {second}
    assert len(fleet.states()) == 3, "another comes at once"
    fleet.complete("drained", first)
    with pytest.raises(ClientError, match="No managed instance found"):
        health.tell(first, is_protected=False)
    aws.client.cache_clear()


def test_without_a_group_there_is_nothing_to_do() -> None:
    assert list(health.keep_health(Observation(page={"workers": []}))) == []
