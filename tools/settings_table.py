"""Write the table of a node's settings into docs/architecture.md; with `--check` only say whether it is stale."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from spark_cluster import settings

PAGE = Path(__file__).parents[1] / "docs/architecture.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def main(*arguments: str) -> int:
    """Write or check; the status is 1 where the page was stale and is to be checked only."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = TABLE.sub(lambda _: f"{settings.table()}\n", page)
    if fresh == page:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"the settings' table in {PAGE.name} is stale: run `make docs`\n")
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
