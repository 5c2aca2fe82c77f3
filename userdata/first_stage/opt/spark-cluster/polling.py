"""The one way in which a node's programs look again and again."""

import random
import time

JITTER = 0.2  # so that many nodes that began at once do not ask at once


def rounds(seconds, pause_seconds, longest_pause_seconds=0):
    """A round at once, and one after each pause, a fifth more or less; the last when `seconds` are over.

    Each pause is twice as long as the one before, up to the longest; without that all are the same.
    """
    end = time.monotonic() + seconds
    while True:
        yield
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, pause_seconds * random.uniform(1 - JITTER, 1 + JITTER)))
        pause_seconds = min(pause_seconds * 2, max(longest_pause_seconds, pause_seconds))
