#!/usr/bin/python3
"""What this node was told by its user data. As a program: prints the settings as bash assignments.

The contract is spark_cluster/settings.py; a test compares the two.
"""

import json
import os
import shlex
import sys

ROOT = os.environ.get("SPARK_CLUSTER_ROOT", "")
FILE = "/etc/spark-cluster/settings.json"
NUMBERS = {"boot_timeout_seconds", "executor_cores"}
LISTS = {"checksum_urls", "no_proxy", "spark_urls"}
MAPPINGS = {"spark_defaults"}
TEXTS = {
    *("role", "programs_key", "programs_sha256", "region", "bucket", "group", "master_host", "python_version"),
    *("spark_version", "spark_file", "spark_checksum", "secret_parameter", "fleet_public_key_parameter"),
    *("parameter_placeholder", "setup_script", "http_proxy"),
}
ONLY = {"master": {"fleet_private_key_parameter", "parameter_kms_key"}, "worker": {"launch_hook"}}


def path(absolute):
    """A path of the node, below the root that the environment may name."""
    return ROOT + absolute


def fail(message):
    raise SystemExit(f"settings: {path(FILE)}: {message}")


def kinds(role):
    """What each key that a role is told must hold."""
    if role not in ONLY:
        fail(f"role must be one of {', '.join(ONLY)}, got {role!r}")
    keys = ((NUMBERS, (int, float)), (LISTS, list), (MAPPINGS, dict), (TEXTS | ONLY[role], str))
    return {key: kind for names, kind in keys for key in names}


def check(told):
    known = kinds(told.get("role"))
    for key in sorted(known.keys() - told.keys()):
        fail(f"{key} is missing")
    for key in sorted(told.keys() - known.keys()):
        fail(f"{key} is unknown to this node's programs")
    for key, kind in known.items():
        if not isinstance(told[key], kind):
            fail(f"{key} must be of another kind, got {told[key]!r}")


def load():
    """All settings; the file is written by user data alone."""
    with open(path(FILE), encoding="utf-8") as file:
        told = json.load(file)
    check(told)
    return told


def assignments(settings):
    """Each text, number and list of texts as an upper-case bash variable."""
    for key, value in settings.items():
        if isinstance(value, list):
            yield "{}=({})".format(key.upper(), " ".join(shlex.quote(str(item)) for item in value))
        elif not isinstance(value, dict):
            yield f"{key.upper()}={shlex.quote(str(value))}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(assignments(load())) + "\n")
