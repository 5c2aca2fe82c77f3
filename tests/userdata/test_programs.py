"""What holds for all programs of a node: the Python they run on, what they may import."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from pathlib import Path

# By its suffix or its first line; what spark-submit runs has another Python and Spark's own modules.
PROGRAMS = sorted(
    path
    for path in USERDATA.rglob("*")
    if path.is_file()
    and "__pycache__" not in path.parts
    and path.name != "tell_drivers.py"
    and (path.suffix == ".py" or b"python3" in path.read_bytes().partition(b"\n")[0])
)
MODULES = {path.stem for path in PROGRAMS}
# Newer than Amazon Linux 2023's system Python, 3.9, though its grammar takes them: each was once an easy slip.
NEWER_NAMES = {"zip": {"strict"}, "open_code": set(), "dataclass": {"slots", "kw_only"}}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


def test_the_programs_are_found() -> None:
    assert {"aws", "settings", "tick", "spark_conf", "spark_state", "spark-wait"} <= MODULES


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_each_program_is_python_3_9(path: Path) -> None:
    tree = parsed(path)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            newer = {keyword.arg for keyword in node.keywords} & NEWER_NAMES.get(node.func.id, set())
            assert not newer, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_each_program_runs_on_the_system_s_python_and_on_boto3_alone(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(("#!/usr/bin/python3\n", '"""')), "a program, or a module of one"
    imported = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add((node.module or "").partition(".")[0])
    assert imported <= set(sys.stdlib_module_names) | MODULES | {"boto3", "botocore"}


@pytest.mark.parametrize("name", ["settings", "spark_state", "aws"])
def test_what_runs_before_packages_are_installed_needs_no_boto3(name: str) -> None:
    (path,) = [path for path in PROGRAMS if path.stem == name]
    at_import = [node for node in parsed(path).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert "boto" not in " ".join(ast.unparse(node) for node in at_import)


def test_only_aws_py_calls_aws() -> None:
    callers = {path.stem for path in PROGRAMS if "boto3" in path.read_text(encoding="utf-8")}
    assert callers == {"aws"}
