"""The changelog says which programs the nodes run: another release's replace the master and refresh the workers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from spark_cluster import userdata

if TYPE_CHECKING:
    from tests.synth.synthesized import Synthesized

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


def digest(role: str) -> str:
    content = userdata.script(role, "").encode() + userdata.archive(role)
    return hashlib.sha256(content).hexdigest()[:12]


def test_the_newest_entry_names_the_nodes_programs() -> None:
    """If this fails, a deploy of this release replaces masters: the changelog is to say what changed, with this."""
    newest = re.split(r"(?m)^## ", CHANGELOG.read_text(encoding="utf-8"))[1]
    assert f"The nodes' programs: `master-{digest('master')}`, `worker-{digest('worker')}`." in " ".join(newest.split())


def test_the_addresses_that_it_names_are_those_of_the_state(default: Synthesized) -> None:
    newest = re.split(r"(?m)^## ", CHANGELOG.read_text(encoding="utf-8"))[1]
    named = set(re.findall(r"`(?:aws_\w+\.)?(spark_\w+_[0-9A-F]{8})`", newest))
    assert named
    assert named <= {address.rpartition(".")[2] for address in default.addresses()}
