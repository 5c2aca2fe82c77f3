"""The one way in which a node's programs look again and again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

JITTER = 0.2  # so that many nodes that began at once do not ask at once


def rounds(seconds: float, pause_seconds: float, longest_pause_seconds: float = 0) -> Iterator[None]:
    """A round at once, and one after each pause, a fifth more or less; the last when `seconds` are over.

    Each pause is twice as long as the one before it, up to the longest; all are the same where that is not given.
    """
    end = time.monotonic() + seconds
    while True:
        yield
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, pause_seconds * random.uniform(1 - JITTER, 1 + JITTER)))
        pause_seconds = min(pause_seconds * 2, max(longest_pause_seconds, pause_seconds))
