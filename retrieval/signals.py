"""What a document itself tells of how far to rely on it, and documents that say the same.

Does: turn age, review and people's thumbs into small shifts that decide between documents that fit about as well; fold
near-duplicates.
Does not: lift a document that does not fit: no shift outweighs one view's clear word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.model import Tier
from retrieval.chunk import Chunk

if TYPE_CHECKING:
    from retrieval.retriever import Found

#: Shifts, in the measure of `retrieval.fusion.Standing.score`, where a clear first stands 1 to 3 above the second. They have
#: no labelled cases to be fitted on; they are set so that all together decide between neighbours only.
_REVIEWED, _STALE, _OPINION = 0.15, -0.15, 0.6
#: A review counts for this long, and a page untouched for longer than `_OLD` is suspected to be stale.
_FRESH, _OLD = timedelta(days=365), timedelta(days=3 * 365)
#: Share of different words that two sections have in common, from which they say the same.
_SAME = 0.8


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A shift, and why in words for people."""

    text: str
    weight: float


def signals_of(chunk: Chunk, opinion: float, now: datetime | None) -> tuple[Signal, ...]:
    """What shifts a document.

    Args:
        opinion: what thumbs say of it, in [-1, 1].
        now: the time of the question; the present if None. Nothing later than it counts.
    """
    now = now or datetime.now(UTC)
    found = []
    reviewed = chunk.reviewed_at if chunk.reviewed_at and chunk.reviewed_at < now else None
    if reviewed and now - reviewed <= _FRESH:
        found.append(Signal(text=f"reviewed {reviewed:%Y-%m-%d}", weight=_REVIEWED))
    vouched = max((at for at in (reviewed, chunk.updated_at) if at is not None), default=None)
    if chunk.tier is not Tier.PAST_INCIDENT and vouched and now - vouched > _OLD:
        found.append(Signal(text=f"untouched since {vouched:%Y-%m}", weight=_STALE))
    if opinion:
        said = "people found it helpful" if opinion > 0 else "people found it unhelpful"
        found.append(Signal(text=said, weight=_OPINION * max(-1.0, min(opinion, 1.0))))
    return tuple(found)


def fold_alike(found: Sequence[Found], limit: int) -> list[Found]:
    """The best of each group of documents that say the same, at most `limit`; the others as its `alike`."""
    kept: list[tuple[Found, frozenset[str]]] = []
    for item in found:
        words = frozenset(re.findall(r"\w+", item.evidence.text.lower()))
        twin = next((place for place, (_, held) in enumerate(kept) if _alike(words, held)), None)
        if twin is not None:
            best, held = kept[twin]
            kept[twin] = (replace(best, alike=(*best.alike, item.evidence)), held)
        elif len(kept) < limit:
            kept.append((item, words))
    return [item for item, _ in kept]


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sections have most words in common (Jaccard); a few words may agree by chance."""
    return min(len(one), len(other)) >= 12 and len(one & other) >= _SAME * len(one | other)
