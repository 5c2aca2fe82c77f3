"""How long synthesis takes: whole processes, warm caches, medians of a few rounds.

The figures of docs/performance.md are what this printed. The floor is a program that imports the provider lazily, makes
an App, imports the modules of the provider that main.py uses, and synthesizes nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spark_cluster import lazy_provider

HERE = Path(__file__).parent
ROUNDS = 5
CLUSTERS = (1, 10, 50)
OPT_OUTS = (lazy_provider.NODE_OPT_OUT, lazy_provider.OPT_OUT)

WHAT_MAIN_IMPORTS = f"""
import json, runpy, sys
runpy.run_path("main.py", run_name="__main__")
prefix = "{lazy_provider.PACKAGE}."
print(json.dumps(sorted({{name.split(".")[1] for name in sys.modules if name.startswith(prefix)}})))
"""


def main() -> None:
    """Run whole processes in turn, and print medians and the ratios between them."""
    with tempfile.TemporaryDirectory() as outdir:
        modules: list[str] = json.loads(python(outdir, "-c", WHAT_MAIN_IMPORTS))
        commands = {
            "floor": [str(HERE / "floor.py"), *modules],
            "lazy": ["main.py"],
            **{f"{count} clusters": [str(HERE / "clusters.py"), str(count)] for count in CLUSTERS},
        }
        taken: dict[str, list[float]] = {name: [] for name in [*commands, *OPT_OUTS]}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                taken[name].append(seconds(outdir, *command))
            for opt_out in OPT_OUTS:
                taken[opt_out].append(seconds(outdir, "main.py", **{opt_out: "1"}))
    report(taken, len(modules))


def seconds(outdir: str, *command: str, **variables: str) -> float:
    """How long Python takes for a command."""
    start = time.perf_counter()
    python(outdir, *command, **variables)
    return time.perf_counter() - start


def python(outdir: str, *command: str, **variables: str) -> str:
    """Run Python in the checkout and give back the last line it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in OPT_OUTS}
    environment |= {"CDKTF_OUTDIR": outdir, **variables}
    done = subprocess.run(
        [sys.executable, *command], cwd=HERE.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.rpartition("\n")[0].rpartition("\n")[2]


def report(taken: dict[str, list[float]], modules: int) -> None:
    """Print the medians, and each against what it is to be compared with."""
    median = {name: statistics.median(times) for name, times in taken.items()}
    print(f"python main.py, whole process, warm caches, median of {ROUNDS}")
    row(f"floor: lazy import of the same {modules} modules", median["floor"])
    row("main.py", median["lazy"], f"{ratio(taken['lazy'], taken['floor']):.2f} x the floor")
    for what, opt_out in zip((", lazy in Python alone", " with ordinary imports"), OPT_OUTS, strict=True):
        remark = f"main.py takes {ratio(taken['lazy'], taken[opt_out]):.2f} x that"
        row(f"main.py{what}", median[opt_out], remark)
    print()
    print("clusters in one stack, the same way")
    first, *more = CLUSTERS
    row(f"{first}", median[f"{first} clusters"])
    fewer, cost = first, 0.0
    for count in more:
        before, cost = cost, (median[f"{count} clusters"] - median[f"{fewer} clusters"]) / (count - fewer)
        growth = f", {cost / before:.2f} x that" if before else ""
        row(f"{count}", median[f"{count} clusters"], f"{1000 * cost:.0f} ms for each beyond {fewer}{growth}")
        fewer = count


def ratio(these: list[float], those: list[float]) -> float:
    """The median of each round's ratio: what else the machine does changes from round to round."""
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def row(what: str, took: float, remark: str = "") -> None:
    """Print a line of the table: what ran, its median in seconds, and what that is to others."""
    print(f"  {what:<44}{took:6.2f} s   {remark}".rstrip())


if __name__ == "__main__":
    main()
