"""The one way in which a node's programs look again and again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

JITTER = 0.2  # so that many nodes that began at once do not ask at once


def rounds(seconds: float, pause_seconds: float) -> Iterator[None]:
    """A round at once, and one after each pause, a fifth more or less, until `seconds` are over."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(pause_seconds * random.uniform(1 - JITTER, 1 + JITTER))
