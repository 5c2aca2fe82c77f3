"""The lab's copy of PyPI: filled by pip, served as an index that pip reads."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from lab import pypi

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip finds wheels, and nowhere else; nothing in the cache yet."""
    monkeypatch.setattr(pypi, "REPOSITORY", tmp_path / "pypi")
    monkeypatch.setattr(pypi, "WHEELS", ("greeting-card==1.0",))
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put(index: Path, version: str) -> Path:
    wheel = index / f"greeting_card-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        about = f"greeting_card-{version}.dist-info"
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: greeting-card\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def test_a_wheel_is_fetched_once_and_served_with_a_page_that_leads_to_it(index: Path) -> None:
    wheel = put(index, "1.0")
    assert pypi.ensure() == ""
    content = wheel.read_bytes()
    wheel.unlink()
    assert pypi.ensure() == ""
    served = {url: file.read_bytes() for url, file in pypi.files().items()}
    at = "files.pythonhosted.org/packages/greeting_card-1.0-py3-none-any.whl"
    assert list(served) == [at, "pypi.org/simple/greeting-card/"]
    assert served[at] == content
    assert f'href="https://{at}#sha256='.encode() in served["pypi.org/simple/greeting-card/"]


def test_an_index_that_is_not_reached_is_a_reason(index: Path) -> None:
    assert pypi.ensure().startswith("the package index is not reached: ")
    assert pypi.files() == {}


def test_a_wheel_that_the_index_has_not_is_a_fault(index: Path) -> None:
    put(index, "2.0")
    with pytest.raises(RuntimeError, match=r"^pip cannot download greeting-card==1\.0:\n"):
        pypi.ensure()
