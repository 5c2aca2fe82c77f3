#!/usr/bin/python3
"""Put what the daemons of this host said into the bucket, the end of it: `logs/daemons/<instance>/journal.log`.

When the worker or the host stops. Each time it is the journal as it is then, over what was stored before.
"""

from __future__ import annotations

import subprocess

import aws
import settings

PREFIX = "logs/daemons/"
# Not spark-boot, whose log has a place of its own if it fails, and shows what a setup_script prints.
UNITS = (
    *("spark-master", "spark-history", "spark-connect", "spark-front", "spark-event-logs", "spark-tick"),
    *("spark-orphans", "spark-worker", "spark-registration", "spark-executor-logs", "spark-daemon-logs"),
    *("spark-notice", "spark-drain", "spark-health"),
)
MOST_LINES = 100_000
MOST_BYTES = 16 << 20  # a line has up to 48 KiB
SECONDS = 30  # its unit's TimeoutStopSec is longer


def journal() -> bytes:
    """What is stored: the last lines, in the order of time."""
    how = ("--quiet", "--no-pager", "--utc", "--output=short-iso", f"--lines={MOST_LINES}")
    with subprocess.Popen(["journalctl", *how, *(f"--unit={unit}" for unit in UNITS)], stdout=subprocess.PIPE) as said:
        end = subprocess.run(["tail", "-c", str(MOST_BYTES)], stdin=said.stdout, stdout=subprocess.PIPE, check=True)
    if said.returncode:
        raise subprocess.CalledProcessError(said.returncode, "journalctl")
    return end.stdout


def main() -> None:
    place = {
        "Bucket": settings.load()["bucket"],
        "Key": "{}{}/journal.log".format(PREFIX, aws.metadata("instance-id")),
    }
    text = {"Body": journal(), "ContentType": "text/plain; charset=utf-8"}
    aws.eventually(aws.client("s3").put_object, SECONDS, **place, **text)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
        raise SystemExit(f"daemon_logs: {type(error).__name__}: {error}") from None
