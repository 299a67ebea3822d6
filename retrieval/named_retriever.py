"""A search that settings name by its class: any retriever of LlamaIndex's, around ours or in its place.

Does: let it search, and ours within it; read each piece that it names from the index again, and keep what the search may show;
rate that as our own search does.
Does not: stop a search: where it fails, our own answers. Trust it with the bounds: who may read a piece, and what had been
written at a time, the index alone says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.access import PUBLIC, Audience
from core.model import Evidence, Tier
from core.named import build_named
from retrieval.chunk import Chunk, Scope, allows, is_piece_id
from retrieval.retriever import CONSIDERED, Found, Retriever, evidence_of, never_rising
from retrieval.signals import fold_alike

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

#: Pieces that are read again at most, of as many as a class may name.
_READ = 1000

Look = Callable[..., list[Found]]


@dataclass(kw_only=True)
class _Search:
    """A search under way: its bounds, and what ours rated within it, by document."""

    bounds: dict[str, Any]
    rated: dict[tuple[str, str], Found] = field(default_factory=dict)

    def rate(self, found: Sequence[Found]) -> None:
        """Remember them; of two ratings of a document, for two texts, the better."""
        for item in found:
            before = self.rated.setdefault(item.standing.key, item)
            if item.evidence.score > before.evidence.score:
                self.rated[item.standing.key] = item


_UNDER_WAY: ContextVar[_Search | None] = ContextVar("rundown_search", default=None)


class OwnSearch:
    """Our own search as the class gets it: within the bounds of the search that is under way, and finding nothing outside of one.

    Args:
        look: ours.
    """

    def __init__(self, look: Look) -> None:
        self._look = look

    def search(self, text: str, *_: Any, **__: Any) -> list[Evidence]:
        """Evidence, best first."""
        under_way = _UNDER_WAY.get()
        if under_way is None:
            log.warning(
                "Rundown's search was asked outside of a search, or in a thread without its context: it finds nothing"
            )
            return []
        found = self._look(text, **under_way.bounds)
        under_way.rate(found)
        return [item.evidence for item in found]


class LlamaIndexRetriever(Retriever):
    """Any LlamaIndex retriever behind our door. The nodes that it gives are pieces of the index by their ids, best first.

    Args:
        own: our search over the same index.
        build: makes an instance of `llama_index.core.retrievers.BaseRetriever` around our search.
        name: of its class.
    """

    def __init__(self, own: Retriever, build: Callable[[Look], Any], name: str) -> None:
        super().__init__(own._index, own._embedder, own._opinions, own._reranker)
        self._own, self._named, self._name = own, build(own.look), name

    @property
    def own(self) -> Retriever:
        """Rundown's own search."""
        return self._own

    def look(
        self,
        text: str,
        *,
        limit: int = 10,
        service: str | None = None,
        before: datetime | None = None,
        audience: Audience = PUBLIC,
        tiers: Sequence[Tier] | None = None,
        fold: bool = False,
    ) -> list[Found]:
        """As ours, in the order of the class; ours where it fails."""
        if not text.strip():
            return []
        bounds: dict[str, Any] = {"service": service, "before": before, "audience": audience, "tiers": tiers}
        # It is given what ours would choose from, so that it can choose too.
        most = max(CONSIDERED, 2 * limit)
        search = _Search(bounds={**bounds, "limit": most})
        try:
            named = self._ask(text, search)
        except Exception as error:  # each raises its own client's errors, and a page must not wait for it
            log.warning("the retriever %s failed, so Rundown's own search answers: %s", self._name, error)
            return self._own.look(text, limit=limit, fold=fold, **bounds)
        scope = Scope(audience=audience, tiers=None if tiers is None else tuple(tiers), before=before)
        pieces = self._held(named, scope)[:most]
        unrated = [chunk for chunk in pieces if (chunk.source, chunk.doc_id) not in search.rated]
        if unrated:
            search.rate(self._own.rate(text, unrated, service=service, scope=scope))
        found = [self._placed(search.rated[chunk.source, chunk.doc_id], chunk) for chunk in pieces]
        return never_rising(fold_alike(found, limit) if fold else found[:limit])

    def _ask(self, text: str, search: _Search) -> list[str]:
        token = _UNDER_WAY.set(search)
        try:
            return [str(item.node.node_id) for item in self._named.retrieve(text)]
        finally:
            _UNDER_WAY.reset(token)

    def _held(self, named: Sequence[str], scope: Scope) -> list[Chunk]:
        """The first piece of each document that it named, as the index holds it now, where the bounds allow it."""
        ids = [piece for piece in dict.fromkeys(named) if is_piece_id(piece)]
        first: dict[tuple[str, str], Chunk] = {}
        for chunk in self._index.pieces(ids[:_READ]):
            if allows(scope, chunk):
                first.setdefault((chunk.source, chunk.doc_id), chunk)
        return list(first.values())

    def _placed(self, rated: Found, chunk: Chunk) -> Found:
        return replace(rated, evidence=evidence_of(chunk, rated.evidence.score), placed_by=self._name)


def build_retriever(settings: Settings, look: Look) -> Any:
    """An instance of the class that settings name, around a search.

    Args:
        look: as `Retriever.look`.

    Raises:
        SettingsError: the class cannot be used.
    """
    from llama_index.core.base.base_retriever import BaseRetriever

    from retrieval.llamaindex import as_llama_retriever

    return build_named(
        settings.retriever_class or "",
        {**settings.retriever_options, "retriever": as_llama_retriever(OwnSearch(look))},
        kind=BaseRetriever,
        what="retriever",
        setting="RUNDOWN_RETRIEVER_CLASS",
        example="the one in docs/retrieval.md",
    )


def open_retriever(settings: Settings, own: Retriever) -> Retriever:
    """The search that settings name, or ours.

    Raises:
        SettingsError: the class cannot be used.
    """
    if not settings.retriever_class:
        return own
    return LlamaIndexRetriever(own, lambda look: build_retriever(settings, look), settings.retriever_class)
