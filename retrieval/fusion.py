"""Many lists of pieces into one order of documents.

Does: bring each view's scores to one measure, add them up for each document, and name its best piece.
Does not: search, read documents, or learn weights: equal ones were as good as fitted ones and hold on documents nobody tuned
on (learning/LOG.md).

Within one view a score says how far a document stands out from that view's own list (its z-score), as in Qdrant's
distribution-based score fusion; a rank would say only who is before whom, and lost .02 of nDCG on descriptions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

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


def fuse(views: Sequence[View], lists: Sequence[Sequence[Seen]]) -> list[Standing]:
    """Every document that any view listed, best first; equals in order of their names.

    Args:
        views: what was looked for.
        lists: for each view the pieces it found, best first.
    """
    voices: dict[tuple[str, str], list[tuple[float, Voice]]] = defaultdict(list)
    pieces: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for view, seen in zip(views, lists, strict=True):
        listed = _by_document(seen)
        mean, deviation = _measure(listed, full=len(seen) >= DEPTH) if listed else (0.0, 1.0)
        for place, item in listed:
            out = max((item.score - mean) / deviation, LOWEST)
            voice = Voice(label=view.label, by=view.by, score=item.score, place=place, stands_out=out)
            voices[item.key].append((view.weight, voice))
        for item in seen:
            # A name is that of the whole document: it says nothing about which piece.
            worth = 0.0 if view.by == "name" else view.weight * max((item.score - mean) / deviation - LOWEST, 0.0)
            pieces[item.key][item.piece] += worth
    total = sum(view.weight for view in views)
    found = []
    for key, said in voices.items():
        score = LOWEST + sum(weight * (voice.stands_out - LOWEST) for weight, voice in said) / total
        best = max(pieces[key].items(), key=lambda item: (item[1], item[0]))[0]
        found.append(
            Standing(source=key[0], doc_id=key[1], piece=best, score=score, voices=tuple(voice for _, voice in said))
        )
    return sorted(found, key=lambda item: (-item.score, item.key))


def _by_document(seen: Sequence[Seen]) -> list[tuple[int, Seen]]:
    """The best piece of each document with the document's place, from 1; equals share one."""
    best: dict[tuple[str, str], Seen] = {}
    for item in seen:
        if item.key not in best or item.score > best[item.key].score:
            best[item.key] = item
    ordered = sorted(best.values(), key=lambda item: -item.score)
    placed: list[tuple[int, Seen]] = []
    for index, item in enumerate(ordered, start=1):
        same = bool(placed) and placed[-1][1].score == item.score
        placed.append((placed[-1][0] if same else index, item))
    return placed


def _measure(listed: Sequence[tuple[int, Seen]], *, full: bool) -> tuple[float, float]:
    """Mean and standard deviation of a view's documents; after those of a list that ended come strangers."""
    scores = [item.score for _, item in listed]
    if not full:
        scores += [0.0] * (POPULATION - len(scores))
    mean = math.fsum(scores) / len(scores)
    return mean, max(math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores)), 1e-6)
