"""Many lists of pieces into one order of documents.

Does: bring each view's scores to one measure, add them up for each document, and name its best piece.
Does not: search, read documents, or learn weights: equal ones were as good as fitted ones and hold on documents nobody tuned
on (learning/LOG.md).

Within one view a score says how far a document stands out from that view's own list (its z-score), as in Qdrant's
distribution-based score fusion; a rank would say only who is before whom, and lost .02 of nDCG on descriptions.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from retrieval.chunk import DEPTH, Seen, View

#: A list that ends before it is full is measured as if strangers, who score 0, came after it: in a list of three nobody
#: stands out.
POPULATION = 60
#: What a view says of a document that it did not list, or put below the rest.
LOWEST = -1.0


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What one view said of one document."""

    label: str
    by: str
    #: As the engine gave it: a cosine, or a sum of BM25 weights.
    score: float
    #: Place in the view's list of documents, from 1; equals share one.
    place: int
    #: Standard deviations above the mean of the list, at least `LOWEST`.
    stands_out: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One document as all views together see it."""

    source: str
    doc_id: str
    #: The piece that the views like best.
    piece: str
    #: Weighted mean of what each view said; `LOWEST` where all are silent.
    score: float
    voices: tuple[Voice, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What names the document."""
        return self.source, self.doc_id


def fuse(
    views: Sequence[View],
    lists: Sequence[Sequence[Seen]],
    most: int | None = None,
    *,
    guests: Collection[tuple[str, str]] = (),
    most_guests: int = 0,
) -> list[Standing]:
    """The documents that the views listed, best first; equals in order of their names.

    Args:
        views: what was looked for.
        lists: for each view the pieces it found, best first.
        most: so many documents at most; all if None.
        guests: documents that take no place of those, and of which at most `most_guests` are told.
    """
    heard = [_Heard(view, seen) for view, seen in zip(views, lists, strict=True) if seen]
    total = sum(view.weight for view in views)
    sums: dict[tuple[str, str], float] = {}
    for one in heard:
        for document, score in one.best.items():
            sums[document] = sums.get(document, 0.0) + one.worth(score)
    scores = {document: LOWEST + found / total for document, found in sums.items()}
    order = sorted(scores, key=lambda document: (-scores[document], document))
    first = order[:most]
    if guests:
        own = [document for document in order if document not in guests][:most]
        chosen = {*own, *itertools.islice((document for document in order if document in guests), most_guests)}
        first = [document for document in order if document in chosen]
    pieces = _best_pieces(heard, first)
    return [
        Standing(
            source=document[0],
            doc_id=document[1],
            piece=pieces[document],
            score=scores[document],
            voices=tuple(one.voice(document) for one in heard if document in one.best),
        )
        for document in first
    ]


def also_heard(
    standings: Sequence[Standing], views: Sequence[View], view: View, seen: Sequence[Seen]
) -> list[Standing]:
    """The order of chosen documents if one more view had been there from the start.

    Args:
        standings: what `fuse` gave.
        views: what it was given.
        view: the one that was asked about the chosen documents' pieces alone.
        seen: those of the pieces that it has something to say of, one of a document.
    """
    heard = _Heard(view, seen) if seen else None
    before = sum(other.weight for other in views)
    found = []
    for item in standings:
        spoken = heard is not None and item.key in heard.best
        worth = heard.worth(heard.best[item.key]) if heard and spoken else 0.0
        score = LOWEST + ((item.score - LOWEST) * before + worth) / (before + view.weight)
        voices = (*item.voices, heard.voice(item.key)) if heard and spoken else item.voices
        found.append(replace(item, score=score, voices=voices))
    return sorted(found, key=lambda item: (-item.score, item.key))


def _best_pieces(heard: Sequence[_Heard], documents: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The piece of each document that all views together like best."""
    worths: dict[tuple[str, str], dict[str, float]] = {document: {} for document in documents}
    for one in heard:
        # A name is that of the whole document: it says nothing about which piece.
        names = one.view.by == "name"
        for piece, document, score, _ in one.seen:
            if (pieces := worths.get(document)) is not None:
                pieces[piece] = pieces.get(piece, 0.0) + (0.0 if names else one.worth(score))
    return {
        document: max(pieces.items(), key=lambda item: (item[1], item[0]))[0] for document, pieces in worths.items()
    }


class _Heard:
    """What one view said, measured by its own list."""

    def __init__(self, view: View, seen: Sequence[Seen]) -> None:
        self.view, self.seen = view, seen
        #: Each document by its best piece, which comes first.
        self.best: dict[tuple[str, str], float] = {}
        for _, document, score, _ in seen:
            self.best.setdefault(document, score)
        self._scores = sorted(self.best.values())
        # After the documents of a list that ended come strangers.
        strangers = [0.0] * (POPULATION - len(self._scores)) if len(seen) < DEPTH else []
        among = self._scores + strangers
        self._mean = math.fsum(among) / len(among)
        squares = math.fsum((score - self._mean) ** 2 for score in among)
        self._deviation = max(math.sqrt(squares / len(among)), 1e-6)

    def worth(self, score: float) -> float:
        """What such a score adds to its document, above what silence does."""
        return self.view.weight * (self._stands_out(score) - LOWEST)

    def voice(self, document: tuple[str, str]) -> Voice:
        """What was said of a document."""
        score = self.best[document]
        return Voice(
            label=self.view.label,
            by=self.view.by,
            score=score,
            place=1 + len(self._scores) - bisect_right(self._scores, score),
            stands_out=self._stands_out(score),
        )

    def _stands_out(self, score: float) -> float:
        return max((score - self._mean) / self._deviation, LOWEST)
