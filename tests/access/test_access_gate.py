"""The last look before something is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.gate import Gate
from core.access import Audience
from core.errors import IndexUnavailable

SRE = Audience.of(("group:sre",))


class Index:
    """What the gate asks of the index: which pieces may be read, or nothing while it is down."""

    def __init__(self) -> None:
        self.open: set[str] | None = set()

    def readable(self, pieces: Sequence[str], audience: Audience) -> frozenset[str]:
        if self.open is None:
            raise IndexUnavailable("down")
        return frozenset(self.open & set(pieces))


def test_what_was_closed_stays_closed_while_the_index_is_silent():
    """An earlier yes does not come back when the index that said no stops answering; nor does a yes last for ever."""
    now, index = [0.0], Index()
    nobody: Any = None
    gate = Gate(nobody, index, clock=lambda: now[0])  # type: ignore[arg-type]
    said = []
    for seconds, held in ((0, {"a", "b"}), (5, {"b"}), (10, None), (60, None)):
        now[0], index.open = float(seconds), held
        said.append(gate.readable(["a", "b"], SRE))

    assert said == [{"a", "b"}, {"b"}, {"b"}, frozenset()]
