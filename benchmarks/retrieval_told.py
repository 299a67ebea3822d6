"""Questions told in full: what was asked, what came, and where each view had the right page.

Does: turn one search into lines. Does not: judge it.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.retrieval_measures import Query, names
from retrieval.answering import ANSWERS
from retrieval.embedding import Embedder
from retrieval.index import VectorIndex
from retrieval.retriever import Found, Retriever

#: How far down the right page is looked for, and how many of the first are told.
_LOOKED, _TOLD = 100, 5


def tell(index: VectorIndex, embedder: Embedder, query: Query) -> list[str]:
    """Lines about one question.

    Args:
        query: with its right answers, of which each is told wherever it stands.
    """
    found = Retriever(index, embedder).look(query.text, limit=_LOOKED)
    right = [not query.relevant.isdisjoint(names(item.evidence.doc_id or "")) for item in found]
    lines = [f"{query.id} ({query.kind}, {query.difficulty}, {query.source})", f"  asked: {query.text}"]
    lines.append(f"  right: {', '.join(sorted(query.relevant))}; {_verdict(found, right)}")
    for place, item in enumerate(found):
        if place < _TOLD or right[place]:
            heading = " › ".join((item.evidence.title, *item.evidence.section))
            lines.append(f"  {place + 1:3}. {'*' if right[place] else ' '} {item.evidence.score:4.0%}  {heading}")
            ways = [f"{voice.label} {voice.place}" for voice in item.standing.voices]
            lines.append(f"         places: {', '.join(ways)}; nearness {item.closeness:.2f}")
    return lines


def _verdict(found: Sequence[Found], right: Sequence[bool]) -> str:
    sure = f"{found[0].evidence.score:.0%}" if found else "nothing"
    said = "answers" if found and found[0].evidence.score >= ANSWERS else "says that nothing clearly answers"
    if True not in right:
        return f"missed, {said} ({sure})"
    return f"place {right.index(True) + 1}, {said} ({sure})"
