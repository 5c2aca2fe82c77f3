"""lab/chaos.py: what its table says of jobs."""

from __future__ import annotations

import pytest

from lab.chaos import MEBIBYTES, Outcome, table
from lab.drains import Count
from lab.jobs import shuffle

RIGHT = shuffle.expected(MEBIBYTES)


def outcome(answer: str, map_tasks_again: int = 0, drains: int = 1) -> Outcome:
    removed = {str(number): "Executor decommission: worker decommissioned" for number in range(drains)}
    return Outcome(
        90.0,
        answer,
        Count(
            map_outputs=24,
            map_tasks_again=map_tasks_again,
            attempts={0: 1, 1: 2},
            retried_map_tasks=0,
            retried_reduce_tasks=5,
            failures={"FetchFailed": 2},
            removed={**removed, "9": "worker lost: 127.0.0.2:1 got disassociated"},
            succeeded={0: True},
        )
        if answer
        else None,
    )


@pytest.mark.parametrize(
    ("answer", "is_lost", "is_wrong", "word"),
    [(RIGHT, False, False, "right"), ("answer: 1 2", False, True, "wrong"), ("", True, False, "lost")],
)
def test_an_answer_is_right_wrong_or_lost(answer: str, is_lost: bool, is_wrong: bool, word: str) -> None:  # noqa: FBT001 - parameters of the test
    one = outcome(answer)
    assert (one.is_lost, one.is_wrong) == (is_lost, is_wrong)
    assert table([one]).splitlines()[1].endswith(word)


def test_its_last_line_sums_up() -> None:
    outcomes = [outcome(RIGHT, 2, drains=3), outcome("answer: 1 2", 1), outcome("")]
    assert table(outcomes).splitlines()[-1] == (
        "3 jobs: 1 wrong, 1 lost, 3 map tasks again, 4 drains, 3 drains at the most in one job"
    )
