"""Other bindings of the AWS provider that `pyproject.toml` allows make the same JSON as the locked ones.

`make test-bindings` installs each that has a file here, besides everything else as it is locked.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGE = "cdktf-cdktf-provider-aws"
VERSIONS = sorted(file.stem for file in Path(__file__).parent.glob("*.txt"))
APPS = ["main.py", *sorted(f"examples/{file.name}" for file in (ROOT / "examples").glob("*.py"))]

PROGRAM = """
import importlib.metadata, runpy, sys
from spark_cluster.lazy_provider import import_lazily
assert import_lazily()
from cdktf import App
outdir, *files = sys.argv[1:]
for file in files:
    app = App(outdir=f"{outdir}/{file.replace('/', '-')}")
    runpy.run_path(file)["build"](app)
    app.synth()
print(importlib.metadata.version("cdktf-cdktf-provider-aws"))
"""


def synthesized(outdir: Path, *before: Path) -> dict[str, Any]:
    """The documents of all apps, and the version of the bindings that made them."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, outdir, *APPS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*before, ROOT]))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    documents = {str(file.relative_to(outdir)): json.loads(file.read_text()) for file in outdir.rglob("cdk.tf.json")}
    return {"version": done.stdout.strip(), "documents": documents}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("locked"))


def provider(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["terraform"]["required_providers"]["aws"]
    return found


def allowed() -> Requirement:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (found,) = [one for one in map(Requirement, project["dependencies"]) if one.name == PACKAGE]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_json_is_the_same_but_for_the_provider_s_version(
    tmp_path: Path, locked: dict[str, Any], version: str
) -> None:
    folder = ROOT / f".tools/bindings-{version}"
    if not folder.exists():
        pytest.skip(f"bindings {version} are not installed: `make test-bindings` installs them")
    made = synthesized(tmp_path, folder)
    assert made["version"] == version
    assert len(made["documents"]) == len(APPS)
    for documents in (made["documents"], locked["documents"]):
        for document in documents.values():
            provider(document).pop("version", None)
    assert made["documents"] == locked["documents"]


def test_the_range_begins_with_bindings_that_are_tested_and_has_all_of_them() -> None:
    allows = allowed().specifier
    (lowest,) = [one.version for one in allows if one.operator == ">="]
    assert any(version == lowest or version.startswith(f"{lowest}.") for version in VERSIONS)
    assert all(allows.contains(version) for version in [*VERSIONS, importlib.metadata.version(PACKAGE)])
