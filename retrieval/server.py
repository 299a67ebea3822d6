"""The server engine: a Qdrant server or cluster, shared by as many processes as like.

Does: speak to it through `qdrant-client` with short timeouts, every write acknowledged after the server's log is flushed, and
by most replicas of a shard. Lay a new collection out over shards and replicas; refuse filters that no index serves.
Does not: retry; the caller degrades and tries again later. Change the layout of a collection that is there: the next
`rundown index rebuild` makes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from core.errors import IndexUnavailable
from retrieval.chunk import (
    DEPTH,
    DOCUMENT_FIELDS,
    INDEXED,
    MAX_ACCESSES,
    WRITE_BATCH,
    Chunk,
    Scope,
    Seen,
    Vectors,
    View,
    document_of,
    other_tiers,
    refuse_other_length,
    refuse_other_space,
    to_payload,
)
from retrieval.reading import Reading
from retrieval.sparse import Sparse


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a new collection lies in a cluster."""

    #: Parts that it is split into; None leaves it to the server: one for each node.
    shards: int | None = None
    #: Copies of each part. A write is acknowledged by more than half of them.
    replicas: int = 1
    #: "int8" keeps vectors of one byte a number in memory, searches those, and ranks the best anew by the whole ones.
    quantization: Literal["none", "int8"] = "none"


def connect(url: str, *, api_key: str | None = None, timeout_s: int = 5) -> Any:
    """A client of a Qdrant server, which is not asked anything yet.

    Args:
        url: with the port, unless it is 6333; https encrypts, and an API key over http is warned of.
        timeout_s: seconds after which a request is given up; a page must not wait for the index.
    """
    from qdrant_client import QdrantClient

    return QdrantClient(url=url, api_key=api_key, timeout=timeout_s, check_compatibility=False)


class ServerIndex(Reading):
    """A Qdrant server or cluster (1.16 or newer), shared by as many processes as like.

    Args:
        client: a `qdrant_client.QdrantClient`, for example from `connect`.
        collection: the collection's name; made when the first vectors come.
        layout: how it lies in a cluster, when it is made.
    """

    def __init__(self, client: Any, collection: str = "rundown", layout: Layout | None = None) -> None:
        self._client, self._name, self._layout = client, collection, layout or Layout()
        self._dimension: int | None = None

    def prepare(self, space: str, dimension: int) -> None:
        """Make the collection and its payload indexes, or check that what it holds is of that space."""
        with speaking():
            exists = self._client.collection_exists(self._name)
            if exists and self._held_dimension() != dimension and self.count() == 0:
                self._client.delete_collection(self._name)
                exists = False
            if not exists:
                self._create(dimension)
            for name, schema in _payload_indexes().items():
                self._client.create_payload_index(self._name, name, field_schema=schema, wait=True)
        refuse_other_space(self.space(), space)
        self._dimension = dimension

    def put(self, pieces: Sequence[tuple[Chunk, Vectors]]) -> None:
        """Store pieces; the server has flushed its write-ahead log before this returns."""
        from qdrant_client import models as m

        refuse_other_length(pieces, self._dimension)
        for start in range(0, len(pieces), WRITE_BATCH):
            points = [
                m.PointStruct(
                    id=chunk.id,
                    vector=_vectors(vectors),
                    payload=to_payload(chunk),
                )
                for chunk, vectors in pieces[start : start + WRITE_BATCH]
            ]
            with speaking():
                self._client.upsert(self._name, points, wait=True, ordering=m.WriteOrdering.MEDIUM)

    def delete(self, source: str, doc_id: str, *, keep: int = 0) -> None:
        """Forget a document's pieces, from number `keep` on."""
        from qdrant_client import models as m

        must: list[Any] = [
            m.FieldCondition(key="source", match=m.MatchValue(value=source)),
            m.FieldCondition(key="doc_id", match=m.MatchValue(value=doc_id)),
            m.FieldCondition(key="number", range=m.Range(gte=keep)),
        ]
        with speaking():
            if self._client.collection_exists(self._name):
                selector = m.FilterSelector(filter=m.Filter(must=must))
                self._client.delete(self._name, selector, wait=True, ordering=m.WriteOrdering.MEDIUM)

    def search(self, views: Sequence[View], scope: Scope, *, limit: int = DEPTH) -> list[list[Seen]]:
        """One request to the server, a filtered query for each view."""
        from qdrant_client import models as m

        wanted = self._wanted(scope)
        if not views or not all(wanted.values()):
            return [[] for _ in views]
        requests = [
            m.QueryRequest(
                query=_vector(view.vector),
                using=view.by,
                filter=self._filter(view.within(wanted), scope.before),
                limit=limit,
                params=self._precise(view),
                with_payload=DOCUMENT_FIELDS,
            )
            for view in views
        ]
        with speaking():
            lists = self._client.query_batch_points(self._name, requests)
        return [
            [
                Seen(str(point.id), document, point.score, tier)
                for point in found.points
                for document, tier in [document_of(point.payload or {})]
            ]
            for found in lists
        ]

    def warm(self) -> None:
        """Connect."""
        self.count()

    def count(self) -> int:
        """How many pieces are held."""
        with speaking():
            if not self._client.collection_exists(self._name):
                return 0
            return int(self._client.count(self._name, exact=True).count)

    def settle(self) -> None:
        """Nothing to do: the server builds its graphs by itself."""

    def reset(self) -> None:
        """Forget everything: the collection goes."""
        self._dimension = None
        with speaking():
            self._client.delete_collection(self._name)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _wanted(self, scope: Scope) -> dict[str, list[str]]:
        """Payload field to the values that the scope allows."""
        with speaking():
            if not self._client.collection_exists(self._name):
                return scope.wanted(())
            facet = self._client.facet(self._name, key="access", limit=MAX_ACCESSES, exact=True)
        return scope.wanted(str(hit.value) for hit in facet.hits)

    def _precise(self, view: View) -> Any:
        """How to make good what small vectors lose: take twice as many, and rank them by the whole ones."""
        from qdrant_client import models as m

        if self._layout.quantization == "none" or view.by != "meaning":
            return None
        return m.SearchParams(quantization=m.QuantizationSearchParams(rescore=True, oversampling=2.0))

    def _create(self, dimension: int) -> None:
        from qdrant_client import models as m

        small = self._layout.quantization == "int8"
        scalar = m.ScalarQuantizationConfig(type=m.ScalarType.INT8, quantile=0.99, always_ram=True)
        self._client.create_collection(
            self._name,
            vectors_config={
                # Whole vectors are read for the few best alone when small ones are searched: they can stay on disk.
                "meaning": m.VectorParams(size=dimension, distance=m.Distance.COSINE, on_disk=small)
            },
            sparse_vectors_config={name: m.SparseVectorParams(modifier=m.Modifier.IDF) for name in ("words", "name")},
            shard_number=self._layout.shards,
            replication_factor=self._layout.replicas,
            write_consistency_factor=self._layout.replicas // 2 + 1,
            on_disk_payload=True,
            quantization_config=m.ScalarQuantization(scalar=scalar) if small else None,
            # A filter that no index serves is a scan of everything, and most likely a slip: refused.
            strict_mode_config=m.StrictModeConfig(
                enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False
            ),
        )

    def _held_dimension(self) -> int:
        return int(self._client.get_collection(self._name).config.params.vectors["meaning"].size)

    def _page(self, where: Any, *, payload: Any, limit: int, offset: Any) -> tuple[list[Any], Any]:
        with speaking():
            if offset is None and not self._client.collection_exists(self._name):
                return [], None
            page, following = self._client.scroll(self._name, where, limit=limit, offset=offset, with_payload=payload)
        return list(page), following

    def _retrieve(self, piece_ids: list[str], *, payload: bool) -> list[Any]:
        with speaking():
            if not self._client.collection_exists(self._name):
                return []
            return list(
                self._client.retrieve(
                    self._name, piece_ids, with_payload=payload, with_vectors=[] if payload else ["meaning"]
                )
            )

    def _filter(self, wanted: dict[str, list[str]], before: datetime | None = None) -> Any:
        from qdrant_client import models as m

        others = other_tiers(wanted.get("tier"))
        kept = [(name, values) for name, values in wanted.items() if name != "tier"]
        must: list[Any] = [m.FieldCondition(key=name, match=m.MatchAny(any=values)) for name, values in kept]
        must_not: list[Any] = [m.FieldCondition(key="tier", match=m.MatchAny(any=others))] if others else []
        if before is not None:
            must_not.append(m.FieldCondition(key="known_at", range=m.Range(gte=before.timestamp())))
        return m.Filter(must=must, must_not=must_not)


@contextmanager
def speaking() -> Iterator[None]:
    """Gives the client's failures, of several unrelated classes, our name and a way out."""
    try:
        yield
    except IndexUnavailable:
        raise
    except Exception as error:
        raise _explained(error) from error


def _payload_indexes() -> dict[str, Any]:
    """Payload field to its index. A source's pieces lie together on disk: it is synced and forgotten as one."""
    from qdrant_client import models as m

    tenant = m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True)
    return INDEXED | {"source": tenant}


def _explained(error: Exception) -> IndexUnavailable:
    why = str(error).strip().split("\n")[0] or type(error).__name__
    return IndexUnavailable(
        "the Qdrant server does not answer as it should",
        why=why,
        way_out="check RUNDOWN_QDRANT_URL and RUNDOWN_QDRANT_API_KEY, and that the server runs",
    )


def _vectors(vectors: Vectors) -> dict[str, Any]:
    named: dict[str, tuple[float, ...] | Sparse | None] = {
        "meaning": vectors.meaning,
        "words": vectors.words,
        "name": vectors.name,
    }
    return {name: _vector(vector) for name, vector in named.items() if vector is not None}


def _vector(vector: Sparse | tuple[float, ...]) -> Any:
    from qdrant_client import models as m

    if isinstance(vector, Sparse):
        return m.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return list(vector)
