"""Terraform's AWS provider for a network without a registry: installed beforehand, and found in a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.deployment import ROOT

from .places import CACHE

_FOLDER = CACHE / "providers"
_SETTINGS = _FOLDER / "terraform.rc"


def ensure() -> None:
    """Install the provider that the app's stack asks for, from wherever Terraform has it on this machine."""
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        _run((sys.executable, "-m", "lab.app", str(ROOT / "main.py")), Path(folder), environment)
        (stack,) = Path(folder).glob("cdktf.out/stacks/*/cdk.tf.json")
        required = json.loads(stack.read_text(encoding="utf-8"))["terraform"]["required_providers"]
    mark = json.dumps([required, os.environ.get("TF_CLI_CONFIG_FILE")])
    if (_FOLDER / "made-for").exists() and (_FOLDER / "made-for").read_text(encoding="utf-8") == mark:
        return
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    (_FOLDER / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}), encoding="utf-8")
    _run(("terraform", "init", "-backend=false", "-input=false"), _FOLDER, dict(os.environ))
    # What `init` leaves has the layout of a mirror.
    mirror = json.dumps(str(_FOLDER / ".terraform/providers"))
    _SETTINGS.write_text(f"provider_installation {{\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n")
    (_FOLDER / "made-for").write_text(mark, encoding="utf-8")


def environment() -> dict[str, str]:
    """What makes Terraform take it from there."""
    return {"TF_CLI_CONFIG_FILE": str(_SETTINGS)}


def _run(command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        message = f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
        raise RuntimeError(message)
