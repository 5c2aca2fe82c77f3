"""Deploying a synthesized stack with the real Terraform and the real AWS provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .places import AWS_ENDPOINT

if TYPE_CHECKING:
    from pathlib import Path

_DEFAULT_REGION = "us-east-1"
_ENVIRONMENT = {
    "AWS_ENDPOINT_URL": AWS_ENDPOINT,
    "AWS_ACCESS_KEY_ID": "lab",
    "AWS_SECRET_ACCESS_KEY": "lab",
    "AWS_DEFAULT_REGION": _DEFAULT_REGION,
    "CHECKPOINT_DISABLE": "1",
    "TF_IN_AUTOMATION": "1",
}


@dataclass(frozen=True)
class Stack:
    """A copy of a stack's folder, as cdktf writes it, with its state beside it."""

    folder: Path
    log: Path

    @classmethod
    def copy(cls, source: Path, folder: Path, log: Path) -> Stack:
        """Copy a stack and adapt what depends on where it is deployed from."""
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        stack = cls(folder, log)
        stack._adapt()
        return stack

    @property
    def region(self) -> str:
        """The region of the stack's AWS provider, where it is written down."""
        providers = self._json().get("provider", {}).get("aws", [])
        region: str = next((one["region"] for one in providers if "region" in one), _DEFAULT_REGION)
        return _DEFAULT_REGION if region.startswith("${") else region

    def init(self) -> None:
        """Install the providers, from wherever this machine has them: to be called with this machine's network."""
        self._terraform("init", "-input=false")

    def apply(self) -> None:
        """Deploy into the lab: to be called with its network."""
        self._terraform("apply", "-input=false", "-auto-approve")

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs but for those that are secret."""
        outputs = json.loads(self._terraform("output", "-json"))
        return {name: output["value"] for name, output in outputs.items() if not output["sensitive"]}

    def _adapt(self) -> None:
        """Keep the state in the folder, and take the provider's version that this machine has where it names one."""
        stack = self._json()
        terraform = stack.setdefault("terraform", {})
        terraform.pop("backend", None)
        if version := os.environ.get("AWS_PROVIDER_VERSION"):
            terraform["required_providers"]["aws"]["version"] = version
        (self.folder / "cdk.tf.json").write_text(json.dumps(stack, indent=2), encoding="utf-8")

    def _json(self) -> dict[str, Any]:
        stack: dict[str, Any] = json.loads((self.folder / "cdk.tf.json").read_text(encoding="utf-8"))
        return stack

    def _terraform(self, *args: str) -> str:
        done = subprocess.run(
            ("terraform", *args, *(() if args[0] == "output" else ("-no-color",))),
            cwd=self.folder,
            check=False,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout)
        if done.returncode:
            message = f"terraform {args[0]} failed:\n{done.stdout}"
            raise RuntimeError(message)
        return done.stdout
