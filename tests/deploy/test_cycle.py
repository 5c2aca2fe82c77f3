"""The real Terraform on each app with no AWS at all: valid, applied, then nothing left to change, destroyed.

The emulated AWS of the other tests here does not answer with all that it was given: only here a second plan can be
empty. It takes a program that answers Terraform in the provider's place; the environment variable `APPLY_OFFLINE` is
its command line, to which the folder of a stack is added.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
APPS = [CHECKOUT / "main.py", *sorted((CHECKOUT / "examples").glob("*.py"))]
APPLY_OFFLINE = os.environ.get("APPLY_OFFLINE", "")


@pytest.mark.skipif(not APPLY_OFFLINE, reason="APPLY_OFFLINE names no program that applies a stack without AWS")
@pytest.mark.parametrize(
    "app", [pytest.param(app, id=app.stem, marks=() if app == APPS[0] else pytest.mark.long) for app in APPS]
)
def test_a_second_plan_changes_nothing(app: Path, tmp_path: Path) -> None:
    synthesis = {**os.environ, "CDKTF_OUTDIR": str(tmp_path)}
    subprocess.run([sys.executable, app], cwd=CHECKOUT, env=synthesis, check=True)
    stacks = list((tmp_path / "stacks").iterdir())
    assert stacks

    for stack in stacks:
        document = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))
        in_an_account_that_suits(document)
        (stack / "cdk.tf.json").write_text(json.dumps(document), encoding="utf-8")
        variables = document.get("variable", {})
        wanted = {f"TF_VAR_{name}": "placeholder" for name, variable in variables.items() if "default" not in variable}
        subprocess.run([*shlex.split(APPLY_OFFLINE), stack], cwd=CHECKOUT, env={**os.environ, **wanted}, check=True)


def in_an_account_that_suits(document: dict[str, Any]) -> None:
    """What a data source answers is made up from its query: no condition on it holds, no two queries find one zone."""
    data = document.get("data", {})
    for sources in data.values():
        for source in sources.values():
            for condition in ("precondition", "postcondition"):
                source.get("lifecycle", {}).pop(condition, None)
    offerings = list(data.get("aws_ec2_instance_type_offerings", {}).values())
    for source in offerings:
        source["filter"] = offerings[0]["filter"]
