"""For all tiers: the provider is lazy, whichever module imports it first, and long tests run if they are asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spark_cluster import lazy_provider

if TYPE_CHECKING:
    import pytest

lazy_provider.import_lazily()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `make test-long` alone runs."""
    long = [] if os.environ.get("LONG") else [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
