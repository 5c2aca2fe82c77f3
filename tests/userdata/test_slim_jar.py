"""slim_jar.py: what of a jar is kept, and that the same jar always gives the same bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import slim_jar

from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from pathlib import Path

KEPT = [
    "META-INF/MANIFEST.MF",
    "software/amazon/awssdk/services/s3/S3Client.class",
    "software/amazon/awssdk/services/sts/StsClient.class",
    "software/amazon/awssdk/services/package-info.class",
    "software/amazon/awssdk/core/SdkClient.class",
    "com/amazonaws/services/dynamodbv2/AmazonDynamoDB.class",
    "org/other/services/ec2/X.class",
]
LEFT_OUT = [
    "software/amazon/awssdk/services/",
    "software/amazon/awssdk/services/ec2/Ec2Client.class",
    "software/amazon/awssdk/services/s3outposts/model/X.class",
    "com/amazonaws/services/s3outposts/X.class",
    "models/ec2-intermediate.json",
]


class Pipe(io.RawIOBase):
    """A file that nobody can go back in: what is written to it has its sizes behind each entry."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]  # a buffer
        self.written += piece
        return len(piece)


def content(name: str) -> bytes:
    return name.encode() * 100


def jar(folder: Path, names: list[str], *, stream: bool = False) -> Path:
    file = folder / "bundle.jar"
    out: Pipe | Path = Pipe() if stream else file
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name in names:
            written.writestr(name, content(name))
    if isinstance(out, Pipe):
        file.write_bytes(out.written)
    return file


def slimmed(file: Path) -> Path:
    target = file.with_name("slim.jar")
    slim_jar.slim(str(file), str(target))
    return target


@pytest.mark.parametrize("stream", [False, True], ids=["sizes before", "sizes behind"])
def test_other_services_are_left_out_and_all_else_is_as_it_was(tmp_path: Path, *, stream: bool) -> None:
    names = [name for pair in zip(KEPT, [*LEFT_OUT, *LEFT_OUT[:2]], strict=True) for name in pair]
    with zipfile.ZipFile(slimmed(jar(tmp_path, list(dict.fromkeys(names)), stream=stream))) as found:
        assert found.namelist() == [*KEPT[:1], LEFT_OUT[0], *KEPT[1:]]
        assert {name: found.read(name) for name in KEPT} == {name: content(name) for name in KEPT}
        assert found.testzip() is None


def test_the_same_jar_gives_the_same_bytes(tmp_path: Path) -> None:
    file = jar(tmp_path, [*KEPT, *LEFT_OUT])
    first = slimmed(file).read_bytes()
    assert slimmed(file).read_bytes() == first
    assert len(first) < file.stat().st_size


def test_a_jar_of_more_entries_than_the_short_end_counts(tmp_path: Path) -> None:
    """The SDK's has some 400,000."""
    file = tmp_path / "bundle.jar"
    with zipfile.ZipFile(file, "w") as written:
        for number in range(70_000):
            written.writestr(zipfile.ZipInfo(f"software/amazon/awssdk/services/ec2/{number}"), b"")
        written.writestr(KEPT[1], content(KEPT[1]))
    with zipfile.ZipFile(slimmed(file)) as found:
        assert {name: found.read(name) for name in found.namelist()} == {KEPT[1]: content(KEPT[1])}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"no jar" + data[6:-22] + b"no jar" * 4, "it does not end as a jar does"),
        (lambda data: data[:-1], "it does not end as a jar does"),
        (lambda data: data.replace(b"PK\1\2", b"PK\1\3"), "its list of entries is cut off"),
    ],
    ids=["other", "cut", "changed"],
)
def test_what_is_no_such_jar_is_refused(tmp_path: Path, spoil: object, message: str) -> None:
    file = jar(tmp_path, KEPT)
    file.write_bytes(spoil(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(slim_jar.FormError, match=message):
        slimmed(file)


def test_entries_in_another_order_than_their_list_are_refused(tmp_path: Path) -> None:
    file = jar(tmp_path, KEPT)
    with zipfile.ZipFile(file, "a") as changed:
        changed.filelist.reverse()
        changed.writestr("one-more", b"")
    with pytest.raises(slim_jar.FormError, match="its entries are not in the order of its list"):
        slimmed(file)


def test_a_full_disk_is_named_in_one_line(tmp_path: Path) -> None:
    file = jar(tmp_path, KEPT)
    program = [sys.executable, str(USERDATA / "common/opt/spark-cluster/slim_jar.py"), str(file), "/dev/full"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("slim_jar: ")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_a_program_that_node_programs_find() -> None:
    text = (USERDATA / "common/opt/spark-cluster/slim_jar.py").read_text()
    assert text.startswith("#!/usr/bin/python3\n")
