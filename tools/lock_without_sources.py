"""Take out of Pipfile.lock which registry each package came from: that is the affair of the machine that locked."""

from __future__ import annotations

import json
from pathlib import Path

LOCK = Path(__file__).parents[1] / "Pipfile.lock"


def main() -> None:
    """Write the lock file without it."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    lock["_meta"]["sources"] = []
    for category in lock.keys() - {"_meta"}:
        for package in lock[category].values():
            package.pop("index", None)
    LOCK.write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
