"""The wheels of PyPI that jobs in the lab may name, kept in the cache: fetched once by pip, served with an index.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from .places import CACHE, PYPI_FILES_HOST, PYPI_HOST

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = CACHE / "wheels"
_PAGES = REPOSITORY / "simple"
"""Not beside the wheels: pip would follow their links, too, where it is told to look into the folder."""
WHEELS = ("msgpack==1.1.0", "tabulate==0.9.0")
"""One has a compiled module, the other has none."""

PYTHON = ("--python-version=3.11", "--platform=manylinux2014_x86_64", "--only-binary=:all:", "--no-deps")
"""For the Python and the architecture of hosts, whichever runs the lab."""

_PIP = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=30")
_NOBODY = "(from versions: none)"
"""What pip says if it was told of no version at all."""


def ensure() -> str:
    """Fetch what the cache has not of them; return why some are missing, nothing if all are there.

    Raises:
        RuntimeError: the index is reached, and has not what `WHEELS` says.
    """
    for wheel in WHEELS:
        if _file(wheel) is not None:
            continue
        command = (sys.executable, *_PIP, *PYTHON, f"--dest={REPOSITORY}", wheel)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            continue
        if _NOBODY in done.stderr:
            return f"the package index is not reached: {done.stderr.strip().splitlines()[0]}"
        message = f"pip cannot download {wheel}:\n{done.stderr}"
        raise RuntimeError(message)
    return ""


def files() -> dict[str, Path]:
    """What both hosts serve: file by URL, without its scheme. The index's pages are written for it."""
    served: dict[str, Path] = {}
    _PAGES.mkdir(parents=True, exist_ok=True)
    for file in sorted(REPOSITORY.glob("*.whl")):
        project = re.sub(r"[-_.]+", "-", file.name.partition("-")[0]).lower()
        url = f"{PYPI_FILES_HOST}/packages/{file.name}"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        page = _PAGES / f"{project}.html"
        page.write_text(f'<!DOCTYPE html>\n<a href="https://{url}#sha256={digest}">{file.name}</a>\n', encoding="ascii")
        served |= {url: file, f"{PYPI_HOST}/simple/{project}/": page}
    return served


def _file(wheel: str) -> Path | None:
    project, _, version = wheel.partition("==")
    return next(REPOSITORY.glob(f"{project.replace('-', '_')}-{version}-*.whl"), None)
