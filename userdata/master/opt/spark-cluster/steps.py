"""What a keeper of the tick makes of an observation: steps, which are taken, or only shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Step:
    """One thing that a keeper would do.

    Attributes:
        what: it, in a few words.
        why: what of the observation asks for it, or forbids it.
        act: does it. None: nothing is done, because of `why`.
        is_routine: whether it is done in each tick, and no news.
    """

    what: str
    why: str
    act: Callable[[], object] | None = None
    is_routine: bool = False
