"""What both engines answer alike, once they can list what passes a filter.

Does: read pieces, documents, digests and the space off an engine's own scroll and filter.
Does not: speak to an engine: `retrieval.edge` and `retrieval.server` do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from retrieval.chunk import DIGEST_FIELDS, Chunk, Scope, digests_of, from_payload, meaning_from

#: Records that are read at once: other threads have their turn in between.
_PAGE = 1000


class Reading(ABC):
    """The half of `retrieval.index.VectorIndex` that reads; records are the engine's own, with `id`, `payload` and `vector`."""

    def digests(self, source: str) -> dict[str, str]:
        """Document id to digest, for what is held of a source; "" for one that is not held whole."""
        found = self._scroll(self._filter({"source": [source]}), payload=DIGEST_FIELDS)
        return digests_of(record.payload for record in found)

    def pieces(self, piece_ids: Sequence[str]) -> list[Chunk]:
        """The pieces with those ids, of which some may be gone, in that order."""
        found = self._retrieve(list(piece_ids), payload=True) if piece_ids else []
        by_id = {str(record.id): from_payload(record.payload or {}) for record in found}
        return [by_id[piece_id] for piece_id in piece_ids if piece_id in by_id]

    def meanings(self, piece_ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """The vectors of meaning of the pieces with those ids, of which some may be gone."""
        found = self._retrieve(list(piece_ids), payload=False) if piece_ids else []
        return {str(record.id): meaning_from(record.vector or {}) for record in found}

    def at_places(self, places: Sequence[str], scope: Scope) -> list[Chunk]:
        """The first piece of each document in scope that has one of these places (`retrieval.places.place_keys`)."""
        return self._within(scope, {"places": list(places)}) if places else []

    def document(self, scope: Scope) -> list[Chunk]:
        """All pieces of `scope.document` that the scope allows, in reading order."""
        found = [] if scope.document is None else self._within(scope, {})
        return sorted(found, key=lambda chunk: chunk.number)

    def space(self) -> str | None:
        """The space of the vectors held, or None while it is empty."""
        found, _ = self._page(None, payload=["space"], limit=1, offset=None)
        return str(found[0].payload["space"]) if found else None

    def _within(self, scope: Scope, also: dict[str, list[str]]) -> list[Chunk]:
        """Every piece in scope that has one of these values in each of these fields."""
        wanted = self._wanted(scope) | also
        if not all(wanted.values()):
            return []
        return [
            from_payload(record.payload) for record in self._scroll(self._filter(wanted, scope.before), payload=True)
        ]

    def _scroll(self, where: Any, *, payload: Any) -> Iterator[Any]:
        """Everything that passes a filter."""
        found, offset = self._page(where, payload=payload, limit=_PAGE, offset=None)
        yield from found
        while offset is not None:
            found, offset = self._page(where, payload=payload, limit=_PAGE, offset=offset)
            yield from found

    @abstractmethod
    def _wanted(self, scope: Scope) -> dict[str, list[str]]:
        """Payload field to the values that the scope allows."""

    @abstractmethod
    def _filter(self, wanted: dict[str, list[str]], before: datetime | None = None) -> Any:
        """The engine's filter for one of the wanted values in each field, and nothing known at or after a time."""

    @abstractmethod
    def _page(self, where: Any, *, payload: Any, limit: int, offset: Any) -> tuple[list[Any], Any]:
        """So many records that pass a filter, from an offset on, and the next offset; None after the last."""

    @abstractmethod
    def _retrieve(self, piece_ids: list[str], *, payload: bool) -> list[Any]:
        """The pieces of those ids in any order, with their payload, or else with the vector of meaning."""
