"""What people's thumbs say of documents.

Does: turn the votes on "what to do next" into a number for each document that was on show, and keep the votes read between
searches.
Does not: read the store by itself, or decide how much an opinion counts (`retrieval.signals` does).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Votes that a document is credited with on either side before anybody voted: one thumb is not an opinion.
_PRIOR = 2
#: Seconds after which votes are read again: another process may have stored some.
_KEPT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Thumb:
    """One person's thumb on the documents of one card."""

    up: bool
    #: When; None where the row tells no time.
    at: datetime | None
    documents: frozenset[str]


def votes_of(rows: Iterable[Mapping[str, Any]]) -> list[Thumb]:
    """The votes that judge documents, of feedback rows as the store gives them: those on the item "next"."""
    found = []
    for row in rows:
        finding = (row.get("judged") or {}).get("finding") or {}
        documents = frozenset(str(doc_id) for doc_id in finding.get("documents") or () if doc_id)
        if row.get("item") == "next" and row.get("vote") in ("up", "down") and documents:
            found.append(Thumb(up=row["vote"] == "up", at=_time(row.get("at")), documents=documents))
    return found


def opinions(votes: Iterable[Thumb], before: datetime | None = None) -> dict[str, float]:
    """Document id to an opinion in (-1, 1). Documents of one id in two sources share it.

    Args:
        before: only votes given before this time, and none that tells no time; all if None.
    """
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for vote in votes:
        if before is None or (vote.at is not None and vote.at < before):
            (up if vote.up else down).update(vote.documents)
    return {
        doc_id: (up[doc_id] - down[doc_id]) / (up[doc_id] + down[doc_id] + 2 * _PRIOR)
        for doc_id in up.keys() | down.keys()
    }


class Opinions:
    """Opinions of votes that are read once, and again when one was stored or a minute has passed.

    Args:
        read: every feedback row that is stored.
        stored: a number that is another one after a vote was stored in this process.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Mapping[str, Any]]],
        stored: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._stored, self._clock = read, stored, clock
        self._votes: Sequence[Thumb] = ()
        #: What `stored` said, and when, just before they were read.
        self._read_at: tuple[int, float] | None = None

    def __call__(self, before: datetime | None) -> dict[str, float]:
        """As `opinions`, of what is stored now."""
        stored, now = self._stored(), self._clock()
        if self._read_at is None or self._read_at[0] != stored or now - self._read_at[1] > _KEPT_S:
            self._votes, self._read_at = votes_of(self._read()), (stored, now)
        return opinions(self._votes, before)


def _time(text: object) -> datetime | None:
    """A time with its zone, None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
