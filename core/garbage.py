"""Python's collector of garbage, held off while somebody waits for an answer.

Does: keep it from running in a block, in every thread, and let it run again after the last such block.
Does not: collect. What only the collector frees stays until then; all else is freed at once, as ever.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Held:
    """How many blocks hold the collector off, and whether it was on before the first."""

    def __init__(self) -> None:
        self._lock, self._blocks, self._was_on = threading.Lock(), 0, False

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                self._was_on = gc.isenabled()
                gc.disable()
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks and self._was_on:
                gc.enable()


#: The collector is the process's, and so is this.
_HELD = _Held()


@contextmanager
def collected_later() -> Iterator[None]:
    """No collection in this block: a full one looks at everything a process holds, half a second for a ranker's million words.

    May be nested, and held by several threads. Who has switched the collector off for good finds it off.
    """
    _HELD.begin()
    try:
        yield
    finally:
        _HELD.end()
