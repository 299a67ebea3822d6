"""The search over documents: a text in, evidence out.

Does: look in three ways at once (what the text means, its words, and the names of documents), within bounds that are part
of the query; show each document once, by its best section; tell what is related from what merely came first.
Does not: write, rank commits, or know who is asking: the caller names the readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.access import PUBLIC, Audience
from core.model import Evidence, Tier
from retrieval.chunk import RRF_K, Chunk, Hit, Scope, View, is_piece_id, refuse_other_space, space_of
from retrieval.embedding import Embedder
from retrieval.index import VectorIndex
from retrieval.sparse import encode_query, gist, identifiers

#: Pieces asked of the index for each document wanted: a long document may hold many of the best.
_PIECES = 10
_MIN_PIECES, _MAX_PIECES = 50, 200


@dataclass(frozen=True, kw_only=True)
class Found:
    """A document that was found, and how sure it is that it has to do with the text."""

    evidence: Evidence
    source: str
    #: Cosine between the text and the document's nearest section found: compare with `Embedder.floor`.
    closeness: float
    #: Names of several parts that both hold: metrics, alerts, hosts, error codes.
    shared: frozenset[str]
    #: Whether it is close enough or shares a name. Without either, it only came first among strangers.
    related: bool


class Retriever:
    """Search over one index.

    Args:
        index: where documents are.
        embedder: the one they were stored with.
    """

    def __init__(self, index: VectorIndex, embedder: Embedder) -> None:
        self._index, self._embedder = index, embedder

    def search(
        self,
        text: str,
        *,
        limit: int = 10,
        service: str | None = None,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
        floor: bool = False,
    ) -> list[Evidence]:
        """Documents that may help, best first, each by its best section.

        Args:
            text: a question, an alert, an incident's title and description, a query expression.
            limit: how many documents at most.
            service: documents of this service, and those that name it, come forward. It fences nothing off.
            before: only what existed before this time: nothing from an incident's future.
            audience: who will see the result: only documents that all of them may read. Nobody known, nothing found.
            tiers: only these; None for all.
            floor: leave out what is not related (see `look`), so that an empty list means "I found nothing on this".

        Returns:
            Evidence whose id is the piece's (see `sections`) and whose score is in [0, 1]: 1 is first in every way of
            looking. It orders one search; it does not compare searches.

        Raises:
            IndexUnavailable: the index does not answer, or was made with another embedding model.
            ModelUnavailable: the embedding model fails.
        """
        found = self.look(text, limit=limit, service=service, before=before, audience=audience, tiers=tiers)
        return [item.evidence for item in found if item.related or not floor]

    def look(
        self,
        text: str,
        *,
        limit: int = 10,
        service: str | None = None,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
    ) -> list[Found]:
        """As `search`, with what tells related documents from strangers."""
        if not text.strip():
            return []
        refuse_other_space(self._index.space(), space_of(self._embedder))
        views = self._views(text, service)
        scope = Scope(audience=audience, tiers=None if tiers is None else tuple(tiers), before=before)
        pieces = min(max(limit * _PIECES, _MIN_PIECES), _MAX_PIECES)
        hits = self._index.search(views, scope, limit=pieces)
        by_document: dict[tuple[str, str], list[Hit]] = {}
        for hit in hits:
            by_document.setdefault((hit.chunk.source, hit.chunk.doc_id), []).append(hit)
        asked = tuple(views[0].vector) if isinstance(views[0].vector, tuple) else ()
        names = identifiers(text)
        return [self._found(hits, asked, names, len(views)) for hits in list(by_document.values())[:limit]]

    def sections(
        self, evidence_id: str, *, before: datetime | None = None, audience: Audience = PUBLIC
    ) -> list[Evidence]:
        """All sections of the document that a search found, in reading order.

        Args:
            evidence_id: the id `search` gave; renumbered evidence cannot be looked up.
            before, audience: the bounds, as in `search`.

        Returns:
            Nothing if the document is gone or outside the bounds, or the id is no piece's.
        """
        piece = self._index.piece(evidence_id) if is_piece_id(evidence_id) else None
        if piece is None:
            return []
        scope = Scope(audience=audience, before=before, document=(piece.source, piece.doc_id))
        return [_evidence(chunk, 0.0) for chunk in self._index.document(scope)]

    def warm(self) -> None:
        """Load the model and open the index, so that the first incident does not wait for them."""
        self._embedder.embed_query("ready")
        self._index.count()

    def _views(self, text: str, service: str | None) -> list[View]:
        """The ways of looking. The first is by meaning."""
        meaning = tuple(self._embedder.embed_query(gist(text)))
        words = encode_query(f"{text}\n{service or ''}")
        views = [View(by="meaning", vector=meaning)]
        if words.indices:
            views += [View(by="words", vector=words), View(by="name", vector=words)]
        if service:
            views.append(View(by="meaning", vector=meaning, service=service))
        return views

    def _found(self, hits: Sequence[Hit], asked: Sequence[float], names: frozenset[str], ways: int) -> Found:
        best = hits[0]
        closeness = max(sum(a * b for a, b in zip(asked, hit.meaning, strict=True)) for hit in hits)
        chunk = best.chunk
        shared = names & identifiers("\n".join((chunk.doc_id, chunk.title, *chunk.section, chunk.text)))
        return Found(
            evidence=_evidence(chunk, min(best.score * RRF_K / ways, 1.0)),
            source=chunk.source,
            closeness=closeness,
            shared=shared,
            related=closeness >= self._embedder.floor or bool(shared),
        )


def _evidence(chunk: Chunk, score: float) -> Evidence:
    return Evidence(
        id=chunk.id,
        tier=chunk.tier,
        title=chunk.title,
        text=chunk.text,
        section=chunk.section,
        doc_id=chunk.doc_id,
        url=chunk.url,
        score=score,
        updated_at=chunk.updated_at,
        occurred_at=chunk.occurred_at,
    )
