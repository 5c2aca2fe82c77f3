#!/usr/bin/python3
"""What this node's user data gave it. As a program: prints the settings as bash assignments.

The contract is spark_cluster/settings.py; the second stage's contract.py checks it.
"""

import json
import os
import shlex
import sys

ROOT = os.environ.get("SPARK_CLUSTER_ROOT", "")
FILE = "/etc/spark-cluster/settings.json"


def path(absolute):
    """A path of the node, below the root that the environment may name."""
    return ROOT + absolute


def load():
    """All settings; the file is written by user data alone."""
    with open(path(FILE), encoding="utf-8") as file:
        return json.load(file)


def assignments(settings):
    """Each text, number and list of texts as an upper-case bash variable."""
    for key, value in settings.items():
        if isinstance(value, list):
            yield "{}=({})".format(key.upper(), " ".join(shlex.quote(str(item)) for item in value))
        elif not isinstance(value, dict):
            yield f"{key.upper()}={shlex.quote(str(value))}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(assignments(load())) + "\n")
