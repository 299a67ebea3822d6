"""Rundown's search and embeddings as LlamaIndex parts, and LlamaIndex's embeddings as ours.

Does: thin adapters, so that a LlamaIndex user can plug either into the other.
Does not: choose one; nothing here is imported unless it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from core.errors import ModelUnavailable
from core.model import Evidence
from core.once import Once
from retrieval.embedding import MAX_CHARS, Embedder, estimate_floor


class Searches(Protocol):
    """Anything that finds evidence for a text: `retrieval.retriever.Retriever` does."""

    def search(self, text: str, *args: Any, **bounds: Any) -> list[Evidence]:
        """Evidence, best first."""
        ...


class LlamaIndexEmbedder:
    """Any LlamaIndex embedding behind our door.

    Args:
        embedding: an instance of `llama_index.core.embeddings.BaseEmbedding`.
        name: of its space; what it calls its model unless given.
    """

    def __init__(self, embedding: Any, name: str | None = None) -> None:
        self._embedding = embedding
        self.name = name or str(embedding.model_name)
        self._dimension = Once(lambda: len(self.embed_query("dimension")))
        self._floor = Once(lambda: estimate_floor(self))

    @property
    def dimension(self) -> int:
        """Length of every vector, found by asking for one."""
        return self._dimension()

    @property
    def floor(self) -> float:
        """The cosine below which two texts are strangers."""
        return self._floor()

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text."""
        vectors = self._ask("get_text_embedding_batch", [text[:MAX_CHARS] for text in texts])
        if len(vectors) != len(texts):
            raise self._failed(f"{len(vectors)} vectors for {len(texts)} texts")
        return [_unit(vector) for vector in vectors]

    def embed_query(self, text: str) -> list[float]:
        """The vector to look for."""
        return _unit(self._ask("get_query_embedding", text[:MAX_CHARS]))

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors to look for."""
        return [self.embed_query(text) for text in texts]

    def _ask(self, method: str, argument: Any) -> Any:
        try:
            return getattr(self._embedding, method)(argument)
        except Exception as error:  # each integration raises its own client's errors
            raise self._failed(str(error)) from error

    def _failed(self, why: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"the embedding model {self.name} failed", why=why, way_out="check its endpoint and key"
        )


def as_llama_retriever(retriever: Searches, **bounds: Any) -> Any:
    """Our search as a `llama_index.core.retrievers.BaseRetriever`.

    Args:
        retriever: a `retrieval.retriever.Retriever`.
        bounds: passed to its `search` with every question: limit, audience, before, tiers, service, floor.
    """
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    class RundownRetriever(BaseRetriever):  # type: ignore[misc]
        """Evidence as nodes: its text, and its title, section, address and times as metadata."""

        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return [
                NodeWithScore(
                    node=TextNode(
                        id_=item.id,
                        text=item.text,
                        metadata={
                            "title": item.title,
                            "section": " > ".join(item.section),
                            "doc_id": item.doc_id,
                            "tier": item.tier.value,
                            "url": item.url,
                            "updated_at": item.updated_at.isoformat() if item.updated_at else None,
                            "occurred_at": item.occurred_at.isoformat() if item.occurred_at else None,
                        },
                    ),
                    score=item.score,
                )
                for item in retriever.search(query_bundle.query_str, **bounds)
            ]

    return RundownRetriever()


def as_llama_embedding(embedder: Embedder) -> Any:
    """Our embedder as a `llama_index.core.embeddings.BaseEmbedding`."""
    from llama_index.core.embeddings import BaseEmbedding

    class RundownEmbedding(BaseEmbedding):  # type: ignore[misc]
        """The same vectors, by LlamaIndex's names."""

        def _get_query_embedding(self, query: str) -> list[float]:
            return embedder.embed_query(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return embedder.embed_query(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return embedder.embed_documents([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embedder.embed_documents(texts)

    return RundownEmbedding(model_name=embedder.name)


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else list(vector)
