#!/usr/bin/python3
"""Run the Spark Connect server, and end with it.

A server whose application was ended, as on the master's page, or that its master forgot, goes on to listen and fails
every query. So this ends, and the server with it, if a master that answers does not list the application for a while;
systemd starts both again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import polling
import settings
import spark_conf
import spark_state

NAME = "Spark Connect"
COMMAND = (
    *("/opt/spark/bin/spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
    *("--name", NAME, "--load-spark-defaults", "--properties-file", spark_conf.CONNECT_CONF),
)
GROUP_SECONDS = 3600  # then systemd starts this again
UNLISTED_SECONDS = 120  # from the start on, which takes 10 to 60 s
PAUSE_SECONDS = 10


def log(message: str) -> None:
    print(f"connect: {message}", file=sys.stderr, flush=True)


def wait_for_executors_memory() -> None:
    """A new master knows it once Terraform has made the group; Spark reads it at the server's start alone."""
    for seen, _ in enumerate(polling.rounds(GROUP_SECONDS, PAUSE_SECONDS)):
        if os.path.exists(settings.path(spark_conf.EXECUTOR_FILE)):
            return
        if seen == 0:
            log(f"waits for {spark_conf.EXECUTOR_FILE}: there is no group of workers yet")
    raise SystemExit(f"connect: there is no {spark_conf.EXECUTOR_FILE}")


def is_unlisted() -> bool:
    """Whether the master answers, and has no such application."""
    try:
        state = spark_state.read("127.0.0.1")
    except (OSError, ValueError):
        return False
    return NAME not in {application["name"] for application in state["activeapps"]}


def main() -> int:
    wait_for_executors_memory()
    server = subprocess.Popen(COMMAND)
    listed_at = time.monotonic()
    while server.poll() is None:
        time.sleep(PAUSE_SECONDS)
        if not is_unlisted():
            listed_at = time.monotonic()
        elif time.monotonic() > listed_at + UNLISTED_SECONDS:
            log(f"the master has no application {NAME}: the server starts again")
            return 1
    return server.returncode


if __name__ == "__main__":
    raise SystemExit(main())
