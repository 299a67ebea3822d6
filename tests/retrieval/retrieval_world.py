"""A small index for the tests: pieces written by hand, embedded by the fake."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.model import Tier
from retrieval.chunk import Chunk, Vectors, space_of
from retrieval.embedding import HashEmbedder
from retrieval.index import VectorIndex
from retrieval.sparse import encode_name, encode_piece

EMBEDDER = HashEmbedder()
SPACE = space_of(EMBEDDER)


def piece(doc_id: str, text: str, **changes: Any) -> Chunk:
    """A piece of a document that everyone may read; its only one unless told otherwise."""
    facts: dict[str, Any] = {
        "source": "folder:/docs",
        "number": 0,
        "of": 1,
        "title": doc_id.rsplit("/", 1)[-1].removesuffix(".md"),
        "section": (),
        "tier": Tier.RUNBOOK,
        "digest": "d1",
        "space": SPACE,
        "readers": ("*",),
    }
    return Chunk(doc_id=doc_id, text=text, **(facts | changes))


def with_vectors(chunk: Chunk) -> tuple[Chunk, Vectors]:
    """The piece and what it is found by."""
    text = "\n".join((chunk.title, *chunk.section, chunk.text))
    meaning = tuple(EMBEDDER.embed_query(text))
    name = encode_name(f"{chunk.title}\n{chunk.doc_id}") if chunk.number == 0 else None
    return chunk, Vectors(meaning=meaning, words=encode_piece(text), name=name)


def fill(index: VectorIndex, *chunks: Chunk) -> None:
    """Make the index hold these pieces."""
    index.prepare(SPACE, EMBEDDER.dimension)
    index.put([with_vectors(chunk) for chunk in chunks])


def at(text: str) -> datetime:
    """A time, UTC unless it says otherwise."""
    return datetime.fromisoformat(text if "+" in text else f"{text}+00:00")
