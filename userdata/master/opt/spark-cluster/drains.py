"""What workers that have left said of it: an object each in `logs/drains/` of the bucket.

A job could have written one, since workers may: what it says is shown, and is spark-drain's status; nothing is done by
it, and however many there are, so many are looked at.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import aws
import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "logs/drains/"
INSTANCE = re.compile(rf"{PREFIX}(i-[0-9a-f]+)-")
MOST_BYTES = 1 << 18
MOST_LISTED = 5000
MOST_CHARACTERS = 200  # of a reason
LARGEST = 1e18
MEGABYTE = 1_000_000


def stored(instance_id: str = "") -> list[dict[str, Any]]:
    """The objects, the newest last: Key, ETag, LastModified of all drains, or of those of an instance."""
    return objects(f"{PREFIX}{instance_id}-" if instance_id else PREFIX)


def objects(prefix: str) -> list[dict[str, Any]]:
    """What is listed below a prefix where workers write, the newest last; MOST_LISTED of it, by name."""
    asked = {"Bucket": settings.load()["bucket"], "Prefix": prefix, "PaginationConfig": {"MaxItems": MOST_LISTED}}
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(**asked)
    found = [one for page in pages for one in page.get("Contents", [])]
    return sorted(found, key=lambda one: one["LastModified"])


def number_of(found: list[dict[str, Any]]) -> str:
    """How many were listed."""
    return str(len(found)) if len(found) < MOST_LISTED else f"{MOST_LISTED} or more"


def instance_of(key: str) -> str:
    """Which instance an object is about."""
    named = INSTANCE.match(key)
    return named[1] if named else key[len(PREFIX) :]


def read(key: str) -> dict[str, Any]:
    """What an object says; nothing, if it is no report."""
    bucket = settings.load()["bucket"]
    answer = aws.client("s3").get_object(Bucket=bucket, Key=key)
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(answer["Body"].read(MOST_BYTES))
        if isinstance(said, dict):
            return said
    return {}


def in_time(report: Mapping[str, Any]) -> bool:
    """Whether the executors had left before the deadline."""
    return report.get("in_time") is True


def handed_over(report: Mapping[str, Any]) -> bool:
    """Whether they had left with nothing lost, as far as their logs say."""
    return in_time(report) and not number(report, "shuffle_blocks_left") and is_whole(report)


def executors(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What it says of each."""
    found = report.get("executors")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def is_whole(report: Mapping[str, Any]) -> bool:
    """Whether all was read that the executors said."""
    return all(one.get("log_is_whole") is not False for one in executors(report))


def summary(report: Mapping[str, Any]) -> str:
    """A report in a line."""
    if not report:
        return "its report cannot be read"
    each = executors(report)
    seconds, moved = number(report, "seconds"), number(report, "shuffle_blocks")
    lost, tasks = number(report, "shuffle_blocks_left"), number(report, "tasks")
    how = ("drained in part" if lost else "drained") if in_time(report) else "not drained"
    parts = [
        f"{how} within {seconds:.1f} s",
        f"{sum(one.get('left') is True for one in each)} of {len(each)} executors have left",
        f"{moved:.0f} map outputs moved ({number(report, 'shuffle_bytes') / MEGABYTE:.1f} MB)",
        *([f"{lost:.0f} not"] if lost else []),
        *([f"{tasks:.0f} running tasks lost"] if tasks else []),
        *([] if is_whole(report) else ["more may be: not all was read"]),
    ]
    why = str(report.get("why", "no reason"))[:MOST_CHARACTERS]
    return f"{why}: {', '.join(parts if each else parts[:1])}"


def printable(line: str) -> str:
    """Names, logs and reports are others' words: none of them speaks to a person's terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def number(report: Mapping[str, Any], key: str) -> float:
    """A figure of a report; 0 if it has none, or one that nobody could have counted."""
    value = report.get(key)
    return float(value) if isinstance(value, (int, float)) and 0 <= value < LARGEST else 0.0
