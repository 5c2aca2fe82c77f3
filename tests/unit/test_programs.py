"""Programs that synthesize nothing start at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.deployment import ROOT

COUNT = "import sys; print(sum(name.startswith('cdktf_cdktf_provider_aws.') for name in sys.modules))"


@pytest.mark.parametrize("program", ["lab.demo", "lab.chaos", "bench.tick", "tools.pin_jars"])
def test_it_loads_few_modules_of_the_provider(program: str) -> None:
    """Of its two thousand, which take ten seconds."""
    command = [sys.executable, "-c", f"import {program}; {COUNT}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50
