#!/usr/bin/python3
"""See that this worker registers: `registration.py PRIVATE_IP`, at each start of it.

A worker that starts while its master recovers can get the word that the master sends to the worker it remembers at
that address. It then believes that it is registered, and never registers: the master drops the worker it remembers, and
this one runs unlisted for ever. So it is started again if a master that answers does not list it for a while.
"""

from __future__ import annotations

import subprocess
import sys
import time

import polling
import settings
import spark_state

UNLISTED_SECONDS = 40  # a worker tries every 5 to 15 s
PAUSE_SECONDS = 10
SECONDS = 1800  # longer than a worker tries before it ends by itself, and is started again


def main(private_ip: str) -> None:
    host, unlisted_since = settings.load()["master_host"], None
    for _ in polling.rounds(SECONDS, PAUSE_SECONDS):
        try:
            if private_ip in spark_state.alive_hosts(spark_state.read(host)):
                return
            unlisted_since = unlisted_since or time.monotonic()
        except (OSError, ValueError):
            unlisted_since = None
        if unlisted_since and time.monotonic() > unlisted_since + UNLISTED_SECONDS:
            print(f"registration: {host} does not list {private_ip}: the worker starts again", file=sys.stderr)
            subprocess.run(["/usr/bin/systemctl", "--no-block", "restart", "spark-worker.service"], check=True)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
