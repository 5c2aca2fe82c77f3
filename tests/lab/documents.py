"""What the documents tell people to type, taken from them and run as it stands there, in a clone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.demo import outside
from lab.deployment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lab.deployment import Deployment


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        language: the word behind the first.
        text: what is between them.
    """

    language: str
    text: str


def blocks(page: str, heading: str = "") -> list[Block]:
    """All blocks of a page of `docs/`, or those below one of its headings, up to the next of its rank."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    if heading:
        rank = heading.partition(" ")[0]
        (text,) = re.findall(rf"(?ms)^{re.escape(heading)}$(.*?)(?=^{rank} |\Z)", text)
    return [Block(*found) for found in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", text)]


@dataclass(frozen=True)
class Clone:
    """The checkout, as a folder of a person's own in which they also put their files.

    Attributes:
        folder: where it is.
        environment: what the person's shell has.
    """

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path, deployment: Deployment) -> Clone:
        """Make one, of what this deployment was deployed from."""
        for path in ROOT.iterdir():
            (folder / path.name).symlink_to(path)
        return cls(folder, {**os.environ, **outside(deployment)})

    def run(self, block: Block, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a block to its end, as far as nothing in it fails."""
        return subprocess.run(
            ["bash", "-ec", block.text],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def running(self, block: Block, until: str) -> Iterator[None]:
        """Run a block that goes on until somebody ends it, once it has said something."""
        with subprocess.Popen(
            ["bash", "-ec", block.text],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                assert process.stdout
                assert any(until in line for line in process.stdout)
                yield
            finally:
                os.killpg(process.pid, signal.SIGTERM)
