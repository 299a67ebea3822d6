"""The server engine: a Qdrant server or cluster, shared by as many processes as like.

Does: speak to it through `qdrant-client` with short timeouts, every write acknowledged after the server's log is flushed.
Does not: retry; the caller degrades and tries again later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from core.errors import IndexUnavailable
from retrieval.chunk import (
    DEPTH,
    DIGEST_FIELDS,
    INDEXED,
    MAX_ACCESSES,
    RRF_K,
    WRITE_BATCH,
    Chunk,
    Hit,
    Scope,
    Vectors,
    View,
    digests_of,
    from_payload,
    hit_from,
    refuse_other_length,
    refuse_other_space,
    to_payload,
)
from retrieval.sparse import Sparse


def connect(url: str, *, api_key: str | None = None, timeout_s: int = 5) -> Any:
    """A client of a Qdrant server, which is not asked anything yet.

    Args:
        timeout_s: seconds after which a request is given up; a page must not wait for the index.
    """
    from qdrant_client import QdrantClient

    return QdrantClient(url=url, api_key=api_key, timeout=timeout_s, check_compatibility=False)


class ServerIndex:
    """A Qdrant server or cluster (1.16 or newer), shared by as many processes as like.

    Args:
        client: a `qdrant_client.QdrantClient`, for example from `connect`.
        collection: the collection's name; made when the first vectors come.
    """

    def __init__(self, client: Any, collection: str = "rundown") -> None:
        self._client, self._name = client, collection
        self._dimension: int | None = None

    def prepare(self, space: str, dimension: int) -> None:
        """Make the collection and its payload indexes, or check that what it holds is of that space."""
        with self._speaking():
            exists = self._client.collection_exists(self._name)
            if exists and self._held_dimension() != dimension and self.count() == 0:
                self._client.delete_collection(self._name)
                exists = False
            if not exists:
                self._create(dimension)
            for name, kind in INDEXED.items():
                self._client.create_payload_index(self._name, name, field_schema=kind, wait=True)
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
                    vector={
                        "meaning": _vector(vectors.meaning),
                        "words": _vector(vectors.words),
                        "name": _vector(vectors.name),
                    },
                    payload=to_payload(chunk),
                )
                for chunk, vectors in pieces[start : start + WRITE_BATCH]
            ]
            with self._speaking():
                self._client.upsert(self._name, points, wait=True)

    def delete(self, source: str, doc_id: str, *, keep: int = 0) -> None:
        """Forget a document's pieces, from number `keep` on."""
        from qdrant_client import models as m

        must: list[Any] = [
            m.FieldCondition(key="source", match=m.MatchValue(value=source)),
            m.FieldCondition(key="doc_id", match=m.MatchValue(value=doc_id)),
            m.FieldCondition(key="number", range=m.Range(gte=keep)),
        ]
        with self._speaking():
            if self._client.collection_exists(self._name):
                self._client.delete(self._name, m.FilterSelector(filter=m.Filter(must=must)), wait=True)

    def digests(self, source: str) -> dict[str, str]:
        """Document id to digest, for what is held of a source; "" for one that is not held whole."""
        from qdrant_client import models as m

        where: list[Any] = [m.FieldCondition(key="source", match=m.MatchValue(value=source))]
        found = self._scroll(m.Filter(must=where), payload=DIGEST_FIELDS)
        return digests_of(record.payload for record in found)

    def search(self, views: Sequence[View], scope: Scope, *, limit: int) -> list[Hit]:
        """One request to the server: a list for each view, filtered, then fused."""
        from qdrant_client import models as m

        wanted = self._wanted(scope)
        if not views or not wanted["access"]:
            return []
        prefetch = [
            m.Prefetch(
                limit=DEPTH,
                filter=_filter(wanted, scope, view.service),
                query=_vector(view.vector),
                using=view.by,
            )
            for view in views
        ]
        with self._speaking():
            if not self._client.collection_exists(self._name):
                return []
            found = self._client.query_points(
                self._name,
                prefetch=prefetch,
                query=m.RrfQuery(rrf=m.Rrf(k=RRF_K)),
                limit=limit,
                with_payload=True,
                with_vectors=["meaning"],
            )
        return [hit_from(point.payload or {}, point.vector or {}, point.score) for point in found.points]

    def piece(self, piece_id: str) -> Chunk | None:
        """The piece with that `Chunk.id`, if it is held."""
        with self._speaking():
            if not self._client.collection_exists(self._name):
                return None
            found = self._client.retrieve(self._name, [piece_id], with_payload=True)
        return from_payload(found[0].payload) if found else None

    def document(self, scope: Scope) -> list[Chunk]:
        """All pieces of `scope.document` that the scope allows, in reading order."""
        wanted = self._wanted(scope)
        if scope.document is None or not wanted["access"]:
            return []
        found = self._scroll(_filter(wanted, scope, None), payload=True)
        return sorted((from_payload(record.payload) for record in found), key=lambda chunk: chunk.number)

    def space(self) -> str | None:
        """The space of the vectors held, or None while it is empty."""
        found = self._scroll(None, payload=["space"], limit=1)
        return str(found[0].payload["space"]) if found else None

    def count(self) -> int:
        """How many pieces are held."""
        with self._speaking():
            if not self._client.collection_exists(self._name):
                return 0
            return int(self._client.count(self._name, exact=True).count)

    def reset(self) -> None:
        """Forget everything: the collection goes."""
        self._dimension = None
        with self._speaking():
            self._client.delete_collection(self._name)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _wanted(self, scope: Scope) -> dict[str, list[str]]:
        """Payload field to the values that the scope allows."""
        with self._speaking():
            if not self._client.collection_exists(self._name):
                return scope.wanted(())
            facet = self._client.facet(self._name, key="access", limit=MAX_ACCESSES, exact=True)
        return scope.wanted(str(hit.value) for hit in facet.hits)

    def _create(self, dimension: int) -> None:
        from qdrant_client import models as m

        self._client.create_collection(
            self._name,
            vectors_config={"meaning": m.VectorParams(size=dimension, distance=m.Distance.COSINE)},
            sparse_vectors_config={name: m.SparseVectorParams(modifier=m.Modifier.IDF) for name in ("words", "name")},
        )

    def _held_dimension(self) -> int:
        return int(self._client.get_collection(self._name).config.params.vectors["meaning"].size)

    def _scroll(self, where: Any, *, payload: Any, limit: int | None = None) -> list[Any]:
        """Everything that passes a filter, page by page, or the first `limit` of it."""
        found: list[Any] = []
        offset: Any = None
        with self._speaking():
            if not self._client.collection_exists(self._name):
                return []
            while True:
                page, offset = self._client.scroll(
                    self._name,
                    where,
                    limit=limit or 1000,
                    offset=offset,
                    with_payload=payload,
                )
                found += page
                if offset is None or limit is not None:
                    return found

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Gives the client's failures, of several unrelated classes, our name and a way out."""
        try:
            yield
        except IndexUnavailable:
            raise
        except Exception as error:
            raise _explained(error) from error


def _explained(error: Exception) -> IndexUnavailable:
    why = str(error).strip().split("\n")[0] or type(error).__name__
    return IndexUnavailable(
        "the Qdrant server does not answer as it should",
        why=why,
        way_out="check RUNDOWN_QDRANT_URL and RUNDOWN_QDRANT_API_KEY, and that the server runs",
    )


def _vector(vector: Sparse | tuple[float, ...]) -> Any:
    from qdrant_client import models as m

    if isinstance(vector, Sparse):
        return m.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return list(vector)


def _filter(wanted: dict[str, list[str]], scope: Scope, service: str | None) -> Any:
    from qdrant_client import models as m

    wanted = wanted | ({"service": [service]} if service else {})
    must: list[Any] = [m.FieldCondition(key=key, match=m.MatchAny(any=values)) for key, values in wanted.items()]
    late: list[Any] = []
    if scope.before is not None:
        late = [m.FieldCondition(key="known_at", range=m.Range(gte=scope.before.timestamp()))]
    return m.Filter(must=must, must_not=late)
