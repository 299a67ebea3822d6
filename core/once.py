"""Something loaded on first use and then kept.

Does: load once, in whichever thread asks first, while the others wait; load again after a failure.
Does not: unload.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Call it for the value.

    Args:
        load: makes the value. What it raises reaches the caller, and the next call tries again.
    """

    def __init__(self, load: Callable[[], T]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._loaded: list[T] = []

    def __call__(self) -> T:
        """The value."""
        if not self._loaded:
            with self._lock:
                if not self._loaded:
                    self._loaded.append(self._load())
        return self._loaded[0]
