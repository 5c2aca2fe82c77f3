"""decommission_log.py: what executors of Spark 4.3.0 wrote when they were decommissioned, taken from real runs."""

from __future__ import annotations

import pytest
from decommission_log import Said

MOVED_TO_PEERS = """\
26/11/29 20:06:48 INFO Executor: Running task 2.0 in stage 4.0 (TID 41)
26/11/29 20:06:51 INFO CoarseGrainedExecutorBackend: Decommission executor 0.
26/11/29 20:06:51 INFO BlockManager: Starting block manager decommissioning process...
26/11/29 20:06:51 INFO CoarseGrainedExecutorBackend: Will exit when finished decommissioning
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Starting block migration
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Attempting to migrate all RDD blocks
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Attempting to migrate all shuffle blocks
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Start refreshing migratable shuffle blocks
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Attempting to migrate all cached RDD blocks
26/11/29 20:06:51 INFO BlockManagerDecommissioner: 3 of 3 local shuffles are added. In total, 3 shuffles are remained.
26/11/29 20:06:51 INFO BlockManagerDecommissioner: Need to replicate 1 RDD blocks for block manager decommissioning
26/11/29 20:06:51 INFO BlockManager: Using BlockManagerId(0, 10.0.0.7, 39815, None) to pro-actively replicate rdd_6_1
26/11/29 20:06:52 INFO CoarseGrainedExecutorBackend: Blocked from shutdown by 1 running tasks
26/11/29 20:06:52 INFO BlockManagerDecommissioner: Block rdd_6_1 migrated successfully, Removing block now
26/11/29 20:06:52 INFO BlockManagerDecommissioner: Block rdd_6_1 removed
26/11/29 20:06:52 INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_3 (size: 3.7 MiB) to \
BlockManagerId(1, 10.0.0.8, 45669, None) in 962 ms
26/11/29 20:06:53 INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_8 (size: 1024.0 B) to \
BlockManagerId(2, 10.0.0.9, 46383, None) in 1442 ms
"""
FINISHED = """\
26/11/29 20:06:53 INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_12 (size: 1.5 GiB) to \
BlockManagerId(1, 10.0.0.8, 45669, None) in 895 ms
26/11/29 20:06:56 INFO BlockManagerDecommissioner: 0 of 3 local shuffles are added. In total, 0 shuffles are remained.
26/11/29 20:06:57 INFO Executor: Finished task 2.0 in stage 4.0 (TID 41). 2351 bytes result sent to driver
26/11/29 20:06:57 INFO CoarseGrainedExecutorBackend: No running tasks, checking migrations
26/11/29 20:06:57 WARN BlockManagerDecommissioner: Asked to decommission RDD cache blocks, but no blocks to migrate
26/11/29 20:07:02 INFO CoarseGrainedExecutorBackend: No running tasks, all blocks migrated, stopping.
"""
TO_THE_FALLBACK = """\
26/11/29 20:14:22 INFO BlockManagerDecommissioner: 1 of 1 local shuffles are added. In total, 1 shuffles are remained.
26/11/29 20:14:22 INFO BlockManagerDecommissioner: Migrated migrate_shuffle_0_8 (size: 3.7 MiB) to \
BlockManagerId(fallback, remote, 7337, None) in 49 ms
26/11/29 20:14:31 INFO BlockManagerDecommissioner: 0 of 1 local shuffles are added. In total, 0 shuffles are remained.
26/11/29 20:14:31 ERROR CoarseGrainedExecutorBackend: RECEIVED SIGNAL TERM
"""
WRONG_SETTING = """\
26/11/29 20:16:03 INFO BlockManagerDecommissioner: 9 of 9 local shuffles are added. In total, 9 shuffles are remained.
26/11/29 20:16:03 ERROR BlockManagerDecommissioner: Error occurred during shuffle blocks migration.
org.apache.spark.SparkIllegalArgumentException: [INVALID_CONF_VALUE.TYPE_MISMATCH] The value '10s' in the config \
"spark.storage.cachedPeersTtl" is invalid. It should be a/an 'int' value. SQLSTATE: 22022
\tat org.apache.spark.internal.config.ConfigHelpers$.configTypeMismatchError(ConfigBuilder.scala:119)
"""


def read(text: str) -> Said:
    return Said().read(line.encode() for line in text.splitlines())


def test_what_was_moved_to_other_workers_is_counted() -> None:
    said = read(MOVED_TO_PEERS + FINISHED)
    assert said.to_dict() == {
        "decommissioned": True,
        "finished": True,
        "dismissed": False,
        "shuffle_blocks": 3,
        "shuffle_bytes": round(3.7 * 1024**2) + 1024 + round(1.5 * 1024**3),
        "fallback_blocks": 0,
        "shuffle_blocks_left": 0,
        "rdd_blocks": 1,
        "rdd_blocks_left": 0,
        "problems": [],
        "tasks": [],
    }


def test_at_a_deadline_it_is_known_what_was_not_moved_and_what_ran() -> None:
    said = read(MOVED_TO_PEERS)
    assert (said.finished, said.shuffle_blocks_left) == (False, 1)
    assert said.tasks() == ["task 2.0 in stage 4.0"]


def test_what_went_to_the_fallback_storage_is_told_apart() -> None:
    said = read(TO_THE_FALLBACK)
    assert (said.shuffle_blocks, said.fallback_blocks, said.shuffle_blocks_left, said.finished) == (1, 1, 0, False)


@pytest.mark.parametrize(
    "line",
    [
        "INFO CoarseGrainedExecutorBackend: Driver commanded a shutdown",
        "ERROR CoarseGrainedExecutorBackend: RECEIVED SIGNAL TERM",
        "ERROR Executor self-exiting due to : Driver 10.0.0.1:7070 disassociated! Shutting down.",
    ],
)
def test_what_ends_after_an_executor_was_sent_away_was_running(line: str) -> None:
    killed = "ERROR Executor: Exception in task 2.0 in stage 4.0 (TID 41)\n"
    said = read(f"{MOVED_TO_PEERS}{line}\n{killed}")
    assert said.dismissed
    assert said.tasks() == ["task 2.0 in stage 4.0"]
    assert not read(MOVED_TO_PEERS + FINISHED).dismissed


def test_a_setting_that_stops_every_drain_is_named() -> None:
    said = read(WRONG_SETTING)
    assert said.shuffle_blocks_left == 9
    assert said.problems == [line for line in WRONG_SETTING.splitlines() if "Error occurred" in line or "CONF" in line]


def test_what_is_wrong_a_thousand_times_is_told_a_few_times_in_short() -> None:
    said = read("WARN BlockManagerDecommissioner: Error occurred during migrating " + "x" * 9999 + "\n" * 1000)
    assert [len(problem) for problem in said.problems] == [300]
    assert len(read("No available peers to receive Shuffle blocks, stop migration.\n" * 1000).problems) == 5


def test_a_log_without_any_decommissioning_says_nothing() -> None:
    said = read("26/11/29 20:06:48 INFO Executor: Running task 2.0 in stage 4.0 (TID 41)\n\xff\n")
    assert said.shuffle_blocks_left is None
    assert said.tasks() == ["task 2.0 in stage 4.0"]


def test_a_task_that_failed_is_over_and_one_that_failed_to_fetch_is_by_spark_s_count() -> None:
    """Spark logs nothing of that one."""
    text = "".join(f"INFO Executor: Running task {n}.0 in stage 1.0 (TID {n})\n" for n in range(6))
    text += "ERROR Executor: Exception in task 0.0 in stage 1.0 (TID 0)\n"
    text += "INFO Executor: Executor killed task 1.0 in stage 1.0 (TID 1), reason: another attempt succeeded\n"
    text += "INFO Executor: Executor is trying to kill task 5.0 in stage 1.0 (TID 5), reason: Stage cancelled\n"
    assert read(text).tasks() == [f"task {n}.0 in stage 1.0" for n in (2, 3, 4, 5)]
    counted = text + "INFO CoarseGrainedExecutorBackend: Blocked from shutdown by 2 running tasks\n"
    assert read(counted).tasks() == [f"task {n}.0 in stage 1.0" for n in (4, 5)]


def test_cached_blocks_that_could_not_be_moved_are_those_of_the_last_round() -> None:
    failed = (
        "WARN BlockManagerDecommissioner: Blocks failed replication in cache decommissioning process: rdd_1_0,rdd_1_1\n"
    )
    again = "INFO BlockManagerDecommissioner: Attempting to migrate all cached RDD blocks\n"
    assert read(failed).rdd_blocks_left == 2
    assert read(failed + again).rdd_blocks_left == 0


def test_words_of_other_formats_count_too() -> None:
    """A cluster may log as JSON."""
    said = read(
        '{"level":"INFO","msg":"Migrated migrate_shuffle_0_8 (size: 3.0 B) to BlockManagerId(fallback, remote, 7, None)'
        ' in 9 ms","logger":"BlockManagerDecommissioner"}'
    )
    assert (said.shuffle_bytes, said.fallback_blocks) == (3, 1)


@pytest.mark.parametrize(
    "line",
    [
        "Migrated migrate_shuffle_0_3 (size: {} MiB) to BlockManagerId(1, a, 1, None) in 9 ms",
        "2 of 2 local shuffles are added. In total, {} shuffles are remained.",
        "Blocked from shutdown by {} running tasks",
        "Running task 0.0 in stage 0.0 (TID {})",
        "Running task {}.0 in stage 0.0 (TID 1)",
    ],
)
@pytest.mark.parametrize("number", ["1" * 400, "1" * 5000, "1.2.3", ".", "-1"])
def test_a_number_that_spark_cannot_have_written_is_none(line: str, number: str) -> None:
    assert read(line.format(number)).to_dict() == Said().to_dict()


def test_tasks_that_never_end_take_no_more_room_than_an_executor_has_cores() -> None:
    said = read("".join(f"Running task {n}.0 in stage 1.0 (TID {n})\n" for n in range(5000)))
    assert said.tasks()[-1] == "task 4999.0 in stage 1.0"
    assert len(said.tasks()) == 1000
