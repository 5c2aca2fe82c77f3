#!/usr/bin/python3
"""Set aside what keeps a master from recovering: recovery files that a power cut or a full disk left incomplete.

Spark writes a file for each worker, application and driver, once. Before 4.3 one that it cannot read keeps the master
in STANDBY for ever, its process alive; since 4.3 it renames such a file itself. What is whole stays where it is, and so
does what this program cannot judge: files of another serializer than Java's, or compressed ones.
"""

from __future__ import annotations

import os
import re
import sys
import time

import settings
from java_stream import BrokenError, JavaStream
from spark_conf import release_line

DEFAULTS_FILE = "/opt/spark/conf/spark-defaults.conf"
HEALS_ITSELF = [4, 3]
KEPT = 20  # files that were set aside
# An application's file, as this program names it when it sets it aside, and as Spark does.
SET_ASIDE = re.compile(r"(?:\d+-|corrupted_)app_(.+)")


def properties(text: str) -> dict[str, str]:
    """What spark-defaults.conf says, in the one form in which spark_conf.py writes it."""
    return dict(line.partition(" ")[::2] for line in text.splitlines())


def configured() -> dict[str, str]:
    with open(settings.path(DEFAULTS_FILE), encoding="utf-8") as file:
        return properties(file.read())


def folder() -> str:
    """Where Spark keeps its state."""
    place: str = settings.path(configured()["spark.deploy.recoveryDirectory"])
    return place


def lost_applications() -> dict[str, float]:
    """Applications whose file was set aside, by this program or by Spark, and when: epoch seconds."""
    found = {}
    for place in (folder(), f"{folder()}-broken"):
        for name in os.listdir(place) if os.path.isdir(place) else ():
            said = SET_ASIDE.fullmatch(name)
            if said:  # the time of the change that a new name is: Spark puts none into it
                found[said.group(1)] = os.stat(os.path.join(place, name)).st_ctime
    return found


def broken(file: str, *, is_plain: bool) -> str:
    """Why a master cannot read this file; empty if it can, or if this program cannot tell."""
    with open(file, "rb") as opened:
        content = opened.read()
    if not content:
        return "it is empty"
    try:
        if is_plain:
            JavaStream(content).check()
    except BrokenError as error:
        return str(error)
    return ""


def set_aside(place: str, *, is_plain: bool) -> None:
    """Move broken files to a folder beside, of which the newest are kept."""
    aside = f"{place}-broken"
    for name in sorted(os.listdir(place)):
        reason = broken(os.path.join(place, name), is_plain=is_plain)
        if reason:
            os.makedirs(aside, mode=0o700, exist_ok=True)
            os.replace(os.path.join(place, name), os.path.join(aside, f"{time.time():.0f}-{name}"))
            print(f"recovery: set aside {name}: {reason}", file=sys.stderr)
    for name in sorted(os.listdir(aside))[:-KEPT] if os.path.isdir(aside) else ():
        os.remove(os.path.join(aside, name))


def main() -> None:
    if release_line(settings.load()["spark_version"]) >= HEALS_ITSELF:
        return
    known, place = configured(), folder()
    is_plain = (
        known.get("spark.deploy.recoverySerializer", "JAVA").upper() == "JAVA"
        and "spark.deploy.recoveryCompressionCodec" not in known
    )
    if known["spark.deploy.recoveryMode"] == "FILESYSTEM" and os.path.isdir(place):
        set_aside(place, is_plain=is_plain)


if __name__ == "__main__":
    main()
