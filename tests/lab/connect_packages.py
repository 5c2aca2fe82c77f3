"""What the client of Spark Connect needs besides Python, from the package index, kept in the lab's cache."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

from lab.places import CACHE

REQUIREMENTS = Path(__file__).with_suffix(".txt")
"""As the metadata of pyspark-client name them, pinned for the Python of the lab's clusters, which must be the client's
for functions in Python."""

FOLDER = CACHE / f"connect-packages-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
_MADE = FOLDER / "made"
_PINNED_FOR = ((3, 11), "x86_64")


def problem() -> str:
    """Why they are not there; empty if they are."""
    if (sys.version_info[:2], platform.machine()) != _PINNED_FOR:
        return "what the client of Spark Connect needs is pinned for Python 3.11 on x86_64"
    return (
        "" if _MADE.exists() else "what the client of Spark Connect needs could not be fetched from the package index"
    )


def fetch() -> None:
    """Fetch them, if they can be had; nothing of the lab needs them but the tests of Spark Connect."""
    if (sys.version_info[:2], platform.machine()) != _PINNED_FOR or _MADE.exists():
        return
    pip = (
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--upgrade",
    )
    options = ("--no-deps", "--require-hashes", "--target", str(FOLDER), "--requirement", str(REQUIREMENTS))
    if subprocess.run((*pip, *options), check=False).returncode == 0:
        _MADE.touch()
