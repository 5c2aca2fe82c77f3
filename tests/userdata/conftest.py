"""Nodes to boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import ARCHIVE, CDN, Node

if TYPE_CHECKING:
    from pathlib import Path


def online(node: Node) -> Node:
    for url in (CDN, ARCHIVE):
        node.serve(url)
    return node


@pytest.fixture
def master(tmp_path: Path) -> Node:
    """A master that boots for the first time, with the internet at hand."""
    return online(Node(tmp_path, "master"))


@pytest.fixture
def worker(tmp_path: Path) -> Node:
    """A worker likewise."""
    return online(Node(tmp_path, "worker"))
