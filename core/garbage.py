"""Python's collector of garbage, held off while somebody waits for an answer.

Does: keep it from running in a block, in every thread, and let it run again after the last such block.
Does not: delay what needs no collector, which is freed at once, as ever; switch it on for who had switched it off.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which blocks that overlap without end let a collection through.
_LONGEST_S = 30.0


class _Held:
    """How many blocks hold the collector off, since when, and whether it was on before the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks, self._was_on, self._since = 0, False, 0.0

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                self._was_on, self._since = gc.isenabled(), time.monotonic()
                gc.disable()
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._was_on:
                return
            if not self._blocks:
                gc.enable()
                return
            overdue = time.monotonic() - self._since > _LONGEST_S
            if overdue:
                self._since = time.monotonic()
        if overdue:
            gc.collect()


#: The collector is the process's, and so is this.
_HELD = _Held()


@contextmanager
def collected_later() -> Iterator[None]:
    """No collection in this block: a full one looks at everything a process holds, half a second for a ranker's million words.

    May be nested, and held by several threads; where such blocks overlap without end, one that ends collects every half minute. For
    `with` blocks and plain functions: a generator or a coroutine that is decorated has not begun when its block ends.
    """
    _HELD.begin()
    try:
        yield
    finally:
        _HELD.end()
