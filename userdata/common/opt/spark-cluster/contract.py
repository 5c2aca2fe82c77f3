#!/usr/bin/python3
"""Checks what this node was given: every setting of its role, each of its kind, and no other.

The contract is spark_cluster/settings.py; a test compares the two.
"""

from __future__ import annotations

from typing import Any

import settings

NUMBERS = {"boot_timeout_seconds", "executor_cores"}
LISTS = {"checksum_urls", "no_proxy", "spark_urls"}
MAPPINGS = {"spark_defaults"}
TEXTS = {
    *("role", "programs_key", "programs_sha256", "region", "bucket", "group", "master_host", "python_version"),
    *("spark_version", "spark_file", "spark_checksum", "secret_parameter", "fleet_public_key_parameter"),
    *("parameter_placeholder", "setup_script_key", "setup_script_sha256", "http_proxy"),
    *("hadoop_version", "s3a_sdk", "maven_url", "s3_endpoint"),
}
NUMBER = (int, float)
WORDS = {NUMBER: "a number", list: "a list", dict: "an object", str: "a text"}
TEXTS_OF_MASTER = (
    *("fleet_private_key_parameter", "parameter_kms_key", "history_server", "connect_parameter", "metrics_namespace"),
)
ONLY: dict[str, dict[str, Any]] = {
    "master": {**dict.fromkeys(TEXTS_OF_MASTER, str), "connect_cores": NUMBER, "unlisted_timeout_seconds": NUMBER},
    "worker": {"launch_hook": str, "termination_hook": str, "drain_timeout_seconds": NUMBER},
}


class SettingsError(Exception):
    """What this node was given is not as agreed; the message names the setting."""


def kinds(role: object) -> dict[str, Any]:
    """The Python types of each setting that a role is given."""
    if role not in ONLY:
        raise SettingsError(f"role must be one of {', '.join(ONLY)}, got {role!r}")
    keys = ((NUMBERS, NUMBER), (LISTS, list), (MAPPINGS, dict), (TEXTS, str))
    return {**{key: kind for names, kind in keys for key in names}, **ONLY[str(role)]}


def check(given: dict[str, Any]) -> None:
    """Raises `SettingsError` for the first that is not as agreed."""
    known = kinds(given.get("role"))
    for key in sorted(known.keys() - given.keys()):
        raise SettingsError(f"{key} is missing")
    for key in sorted(given.keys() - known.keys()):
        raise SettingsError(f"{key} is unknown to this node's programs")
    for key, kind in known.items():
        if not isinstance(given[key], kind):
            raise SettingsError(f"{key} must be {WORDS[kind]}, got {given[key]!r}")


if __name__ == "__main__":
    try:
        check(settings.load())
    except SettingsError as error:
        print(error)  # for the boot's last line
        raise SystemExit(1) from None
