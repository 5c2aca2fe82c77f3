"""recovery.py: what a power cut or a full disk left of a master's recovery files.

The files below `recovery/` are those of masters of each release line, with one worker, one application with dynamic
allocation and Java options, and one waiting driver of cluster mode.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import recovery
from java_stream import BrokenError, JavaStream

from spark_cluster.spark_release import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = Path(__file__).with_name("recovery")
FILES = sorted(RECORDED.glob("*/*"))
FOLDER = "var/lib/spark/recovery"
DEFAULTS = {"spark.deploy.recoveryMode": "FILESYSTEM", "spark.deploy.recoveryDirectory": f"/{FOLDER}"}
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "its first half": lambda whole: whole[: len(whole) // 2],
    "zeros behind its first half": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) // 2),
    "all but its last byte": lambda whole: whole[:-1],
    "another file behind it": lambda whole: whole + whole,
    "other bytes": lambda whole: b"\x28\xb5\x2f\xfd" + whole[4:],
}


def name(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


@pytest.fixture
def run(root: Path, settle: Callable[..., None]) -> Callable[..., None]:
    """Runs the program of a release, with properties in spark-defaults.conf."""
    (root / FOLDER).mkdir(parents=True)

    def with_properties(version: str = "4.2.1", **more: str) -> None:
        settle("master", spark_version=version)
        properties = {**DEFAULTS, **{key.replace("__", "."): value for key, value in more.items()}}
        text = "".join(f"{key} {value}\n" for key, value in properties.items())
        (root / "opt/spark/conf/spark-defaults.conf").write_text(text)
        recovery.main()

    return with_properties


def put(root: Path, content: bytes, of: str = "app_app-1") -> Path:
    file = root / FOLDER / of
    file.write_bytes(content)
    return file


def aside(root: Path) -> list[Path]:
    return sorted((root / f"{FOLDER}-broken").glob("*"))


def test_every_release_line_that_nodes_may_run_is_recorded() -> None:
    lines = {version.rpartition(".")[0] for version in RELEASES}
    assert {path.parent.name.rpartition(".")[0] for path in FILES} == lines
    assert len(FILES) == 3 * len(lines)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_whole_file_stays(root: Path, run: Callable[..., None], path: Path) -> None:
    file = put(root, path.read_bytes())
    run()
    assert file.read_bytes() == path.read_bytes()
    assert aside(root) == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_beginning_of_a_file_is_taken_for_the_whole(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(0, len(whole), 1 if path.parent.name == "4.2.1" else 17):
        with pytest.raises(BrokenError):
            JavaStream(whole[:size]).check()


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name < "4.3"], ids=name)
def test_a_broken_file_alone_is_set_aside(
    root: Path, run: Callable[..., None], capsys: pytest.CaptureFixture[str], path: Path, how: str
) -> None:
    good, content = put(root, path.read_bytes(), "worker_1"), BROKEN[how](path.read_bytes())
    put(root, content)
    run(path.parent.name)
    assert [file.name for file in (root / FOLDER).iterdir()] == [good.name]
    (moved,) = aside(root)
    assert moved.name.endswith("-app_app-1")
    assert moved.read_bytes() == content
    assert "recovery: set aside app_app-1: it " in capsys.readouterr().err or how.startswith("zeros behind")


@pytest.mark.parametrize("version", ["4.3.0", "4.10.2", "5.0.0"])
def test_a_release_that_sets_them_aside_itself_is_left_alone(
    root: Path, run: Callable[..., None], version: str
) -> None:
    file = put(root, b"")
    run(version)
    assert file.exists()


@pytest.mark.parametrize(
    "other", [{"spark__deploy__recoverySerializer": "kryo"}, {"spark__deploy__recoveryCompressionCodec": "zstd"}]
)
def test_of_files_in_another_form_only_empty_ones_are_set_aside(
    root: Path, run: Callable[..., None], other: dict[str, str]
) -> None:
    unknown, empty = put(root, b"\x28\xb5\x2f\xfd whatever", "app_1"), put(root, b"", "app_2")
    run(**other)
    assert unknown.exists()
    assert not empty.exists()


def test_java_s_serializer_by_name_is_the_default(root: Path, run: Callable[..., None]) -> None:
    file = put(root, b"\x28\xb5\x2f\xfd")
    run(spark__deploy__recoverySerializer="java")
    assert not file.exists()


def test_another_mode_of_recovery_is_none_of_ours(root: Path, run: Callable[..., None]) -> None:
    file = put(root, b"")
    run(spark__deploy__recoveryMode="ZOOKEEPER")
    assert file.exists()


def test_a_first_start_has_no_folder(root: Path, run: Callable[..., None]) -> None:
    (root / FOLDER).rmdir()
    run()
    assert not (root / FOLDER).exists()


def test_what_became_of_an_application_is_known_by_its_file_s_new_name(root: Path, run: Callable[..., None]) -> None:
    put(root, b"", "app_app-20261130120000-0001")
    put(root, b"", "worker_worker-20261130120000-10.0.0.7-7078")
    before = time.time()
    run()
    put(root, b"", "corrupted_app_app-20261130120000-0002")  # as Spark 4.3 calls it
    lost = recovery.lost_applications()
    assert set(lost) == {"app-20261130120000-0001", "app-20261130120000-0002"}
    assert all(before - 60 < seconds <= time.time() for seconds in lost.values())


def test_the_newest_of_what_was_set_aside_are_kept(root: Path, run: Callable[..., None]) -> None:
    for number in range(recovery.KEPT + 5):
        put(root, b"", f"app_{number:03}")
    run()
    assert [file.name.rpartition("_")[2] for file in aside(root)] == [
        f"{number:03}" for number in range(5, recovery.KEPT + 5)
    ]
