"""What the lab changes of moto's objects."""

from __future__ import annotations

import gc
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import FakeKey, S3Backend

from lab import emulated_aws, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"content" * 1000


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Backend]:
    monkeypatch.setattr(FakeKey, "__deepcopy__", None, raising=False)  # put back at the end of the test
    emulated_aws._list_versions_without_their_content()  # noqa: SLF001
    backend = S3Backend("aws", "123456789012")
    backend.create_bucket("bucket", "us-east-1")
    yield backend
    backend.reset()


def test_versions_are_listed_without_a_copy_of_their_content(s3: S3Backend) -> None:
    kept = s3.put_object("bucket", "key", CONTENT)
    (version,), *_ = s3.list_object_versions("bucket")
    assert (version.name, version.size, version.etag) == (kept.name, len(CONTENT), kept.etag)
    kept._value_buffer.seek(0)  # noqa: SLF001
    kept._value_buffer.write(b"CHANGED")  # noqa: SLF001
    assert version.value[:7] == b"CHANGED", "its content is the object's own"


def test_an_object_is_there_when_a_list_of_its_versions_is_gone(s3: S3Backend) -> None:
    kept = s3.put_object("bucket", "key", CONTENT)
    for _ in range(2):
        s3.list_object_versions("bucket")
        gc.collect()
    assert kept.value == CONTENT
    assert not kept.disposed


def test_two_who_ask_for_a_small_object_at_once_get_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in memory until then, and becomes a file."""
    made = tempfile.TemporaryFile

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.1)
        return made(*args, **kwargs)

    monkeypatch.setattr(tempfile, "TemporaryFile", slowly)
    monkeypatch.setattr(objects.Objects, "_head", lambda *_: ("200 OK", []))
    app = objects.Objects(lambda *_: [])

    def ask(_: int) -> bytes:
        return b"".join(app({"REQUEST_METHOD": "GET"}, lambda *_: None))

    with tempfile.SpooledTemporaryFile(max_size=1 << 20) as buffer, ThreadPoolExecutor() as pool:
        buffer.write(b"x" * 1000)
        monkeypatch.setattr(objects, "_object", lambda _: SimpleNamespace(_value_buffer=buffer, size=1000))
        assert list(pool.map(ask, range(2))) == [b"x" * 1000] * 2
