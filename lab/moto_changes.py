"""The one way in which the lab changes moto."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def replaces(owner: type, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put the decorated function in the place of `owner.name`, from now on and in this process.

    It gets what stood there before it, or `None` if nothing did, and then the arguments of the call. A property
    stays one. What works around a fault of moto's, rather than add what moto has not, says so.
    """

    def put(function: Callable[..., Any]) -> Callable[..., Any]:
        before = getattr(owner, name, None)

        @wraps(function)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return function(before, *args, **kwargs)

        setattr(owner, name, property(replacement) if isinstance(before, property) else replacement)
        return function

    return put
