"""Synthesize an app for this machine's copy of the AWS provider: `python -m lab.app FILE`.

cdktf asks for the exact version that its bindings were made from. If only another is at hand, named by
AWS_PROVIDER_VERSION, that one string changes, and nothing else of what the app makes.
"""

from __future__ import annotations

import os
import runpy
import sys

from spark_cluster.lazy_provider import import_lazily

import_lazily()

from cdktf import App  # noqa: E402


def main(file: str) -> None:
    """Build and write the stack of an app's file."""
    app = App()
    stack = runpy.run_path(file)["build"](app)
    version = os.environ.get("AWS_PROVIDER_VERSION")
    if version:
        stack.add_override("terraform.required_providers.aws.version", version)
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1])
