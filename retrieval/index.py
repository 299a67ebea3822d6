"""The vector index: one door, and the two engines behind it.

Does: promise what both engines keep. `EdgeIndex` is Qdrant's engine inside this process; `ServerIndex` a Qdrant server
or cluster, reached by a client from `connect`.
Does not: embed, cut, or decide what is relevant. What it holds can always be made again from the sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from retrieval.chunk import DEPTH, Chunk, Scope, Seen, Vectors, View
from retrieval.edge import EdgeIndex
from retrieval.server import ServerIndex, connect

__all__ = ["EdgeIndex", "ServerIndex", "VectorIndex", "connect"]


class VectorIndex(Protocol):
    """Where pieces are kept and found. Every method raises IndexUnavailable when the index does not answer."""

    def prepare(self, space: str, dimension: int) -> None:
        """Make it ready for vectors of that space; done twice, it changes nothing.

        Raises:
            IndexUnavailable: it holds vectors of another space; `reset` it first.
        """
        ...

    def put(self, pieces: Sequence[tuple[Chunk, Vectors]]) -> None:
        """Store pieces, durably before this returns; a piece with the same place in the same document is replaced."""
        ...

    def delete(self, source: str, doc_id: str, *, keep: int = 0) -> None:
        """Forget a document's pieces, from number `keep` on."""
        ...

    def digests(self, source: str) -> dict[str, str]:
        """Document id to digest, for what is held of a source; "" for one that is not held whole."""
        ...

    def search(self, views: Sequence[View], scope: Scope, *, limit: int = DEPTH) -> list[list[Seen]]:
        """For each view the pieces in scope nearest to its vector, best first, at most `limit`."""
        ...

    def pieces(self, piece_ids: Sequence[str]) -> list[Chunk]:
        """The pieces with those ids (`Chunk.id`), of which some may be gone, in that order."""
        ...

    def meanings(self, piece_ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """The vectors of meaning of the pieces with those ids, of which some may be gone."""
        ...

    def at_places(self, places: Sequence[str], scope: Scope) -> list[Chunk]:
        """The first piece of each document in scope that has one of these places (`retrieval.places.place_keys`)."""
        ...

    def document(self, scope: Scope) -> list[Chunk]:
        """All pieces of `scope.document` that the scope allows, in reading order."""
        ...

    def space(self) -> str | None:
        """The space of the vectors held, or None while it is empty."""
        ...

    def warm(self) -> None:
        """Make it ready to answer at full speed: the next search need not wait."""
        ...

    def count(self) -> int:
        """How many pieces are held."""
        ...

    def settle(self) -> None:
        """Make searching fast after much was written. It may take minutes and hold up this process's other threads."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Give back files and connections. Closing twice is harmless."""
        ...
