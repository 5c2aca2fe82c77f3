"""The lab's copy of Maven Central: filled once, with what its published digests are of."""

from __future__ import annotations

import hashlib
import shutil
import threading
import urllib.error
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from lab import maven
from lab.maven import Jar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = Jar("org.example", "plain", "1.0")
PLAYED = Jar("org.example.more", "played_2.13", "4.3.0", played_by="4.1.2")


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with both jars, of which releases of Spark need one and two; nothing in the cache yet."""
    folder = tmp_path / "central"
    for jar in (PLAIN, PLAYED):
        file = folder / jar.source
        file.parent.mkdir(parents=True)
        file.write_bytes(jar.artifact.encode())
        (file.parent / f"{file.name}.sha1").write_text(hashlib.sha1(file.read_bytes()).hexdigest())  # noqa: S324 - Maven's
    (folder / f"{PLAIN.path}.sha512").write_text("of the repository's own")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setattr(maven, "_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(maven, "REPOSITORY", tmp_path / "maven")
        monkeypatch.setattr(maven, "JARS", {"1": (PLAIN,), "2": (PLAIN, PLAYED)})
        yield folder
        server.shutdown()


def served() -> dict[str, bytes]:
    return {path: file.read_bytes() for path, file in maven.files().items()}


def test_a_release_has_its_jars_with_the_digests_that_are_published(central: Path) -> None:
    assert maven.ensure(["1"]) == ""
    assert served() == {
        f"/maven2/{PLAIN.path}": b"plain",
        f"/maven2/{PLAIN.path}.sha1": hashlib.sha1(b"plain").hexdigest().encode(),  # noqa: S324 - Maven's
        f"/maven2/{PLAIN.path}.sha512": b"of the repository's own",
    }


def test_a_jar_that_is_not_to_be_had_is_played_by_another_version(central: Path) -> None:
    assert maven.ensure(["2"]) == ""
    assert served()[f"/maven2/{PLAYED.path}"] == b"played_2.13"
    assert "4.3.0" in PLAYED.path


def test_what_is_there_is_not_fetched_again(central: Path) -> None:
    maven.ensure(["2"])
    shutil.rmtree(central)
    assert maven.ensure(["1", "2"]) == ""


def test_a_jar_of_another_digest_is_not_served(central: Path) -> None:
    (central / PLAIN.path).write_bytes(b"other")
    with pytest.raises(ValueError, match=f"the sha1 of {PLAIN.path} must be"):
        maven.ensure(["1"])
    assert served() == {}


def test_a_jar_that_the_repository_has_not_is_a_fault(central: Path) -> None:
    (central / PLAIN.path).unlink()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        maven.ensure(["1"])


def test_a_repository_that_is_not_reached_is_a_reason(central: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven, "_URL", "http://127.0.0.1:9")
    assert "is not reached" in maven.ensure(["1"])
    assert maven.ensure([]) == ""
    assert maven.ensure(["a release without jars"]) == ""
