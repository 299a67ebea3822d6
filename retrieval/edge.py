"""The embedded engine: Qdrant's own, in this process, its files in one folder.

Does: open the folder on first use, and say plainly when another process holds it.
Does not: build a nearest-neighbour graph by itself: up to some thousand pieces a scan takes a millisecond, and building one holds
Python's lock, for 100,000 pieces a minute and a half. `settle` builds it where nobody waits.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.errors import IndexUnavailable
from retrieval.chunk import (
    DEPTH,
    DIGEST_FIELDS,
    INDEXED,
    MAX_ACCESSES,
    SEEN_FIELDS,
    WRITE_BATCH,
    Chunk,
    Hit,
    Scope,
    Seen,
    Vectors,
    View,
    digests_of,
    from_payload,
    hit_from,
    other_tiers,
    refuse_other_length,
    refuse_other_space,
    seen_from,
    to_payload,
)
from retrieval.sparse import Sparse

T = TypeVar("T")

#: Fewer pieces than this are scanned as fast as a graph would be walked.
SETTLED = 5_000


class EdgeIndex:
    """Qdrant's own engine in this process. One process holds the folder at a time; its threads may share it.

    Args:
        path: the folder; made when the first vectors come.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._shard: Any = None
        self._closed = False
        self._dimension: int | None = None
        #: The lists of readers that are held, until the next write.
        self._accesses: list[str] | None = None

    def prepare(self, space: str, dimension: int) -> None:
        """Make the folder, or check that what it holds is of that space."""
        with self._lock:
            # Once prepared it stays: another thread may be about to put its first pieces.
            if self._dimension != dimension:
                if self._open() is not None and self.count() == 0:
                    self.reset()
                if self._open() is None:
                    self._create(dimension)
                self._index_fields()
            refuse_other_space(self.space(), space)
            self._dimension = dimension

    def put(self, pieces: Sequence[tuple[Chunk, Vectors]]) -> None:
        """Store pieces; the write-ahead log holds them before this returns."""
        import qdrant_edge as q

        refuse_other_length(pieces, self._dimension)
        for start in range(0, len(pieces), WRITE_BATCH):
            points = [
                q.Point(
                    chunk.id,
                    _vectors(vectors),
                    to_payload(chunk),
                )
                for chunk, vectors in pieces[start : start + WRITE_BATCH]
            ]
            self._update(q.UpdateOperation.upsert_points(points))

    def delete(self, source: str, doc_id: str, *, keep: int = 0) -> None:
        """Forget a document's pieces, from number `keep` on."""
        import qdrant_edge as q

        if self._open() is not None:
            must: list[Any] = [
                q.FieldCondition("source", match=q.MatchValue(source)),
                q.FieldCondition("doc_id", match=q.MatchValue(doc_id)),
                q.FieldCondition("number", range=q.RangeFloat(gte=keep)),
            ]
            self._update(q.UpdateOperation.delete_points_by_filter(q.Filter(must=must)))

    def digests(self, source: str) -> dict[str, str]:
        """Document id to digest, for what is held of a source; "" for one that is not held whole."""
        import qdrant_edge as q

        where: list[Any] = [q.FieldCondition("source", match=q.MatchValue(source))]
        found = self._scroll(q.Filter(must=where), payload=DIGEST_FIELDS)
        return digests_of(record.payload for record in found)

    def search(self, views: Sequence[View], scope: Scope, *, limit: int = DEPTH) -> list[list[Seen]]:
        """One batch of queries to the engine, each filtered."""
        import qdrant_edge as q

        wanted = self._wanted(scope)
        if not views or not all(wanted.values()):
            return [[] for _ in views]
        requests = [
            q.QueryRequest(
                limit=limit,
                filter=_filter(wanted, scope, view.service),
                query=q.Query.Nearest(_vector(view.vector), using=view.by),
                params=_precise() if view.by == "meaning" else None,
                with_payload=SEEN_FIELDS,
            )
            for view in views
        ]
        nothing: list[list[Any]] = [[] for _ in views]
        lists = self._ask(lambda shard: shard.query_batch(q.QueryBatchRequest(requests)), nothing)
        return [[seen_from(point.id, point.payload or {}, point.score) for point in found] for found in lists]

    def pieces(self, piece_ids: Sequence[str]) -> list[Hit]:
        """The pieces with those ids, of which some may be gone, in that order."""
        if not piece_ids:
            return []
        nothing: list[Any] = []
        found = self._ask(lambda shard: shard.retrieve(list(piece_ids), True, ["meaning"]), nothing)
        by_id = {str(record.id): hit_from(record.payload or {}, record.vector or {}) for record in found}
        return [by_id[piece_id] for piece_id in piece_ids if piece_id in by_id]

    def at_places(self, places: Sequence[str], scope: Scope) -> list[Chunk]:
        """The first piece of each document in scope that has one of these places (`retrieval.places.place_keys`)."""
        wanted = self._wanted(scope) | {"places": list(places)}
        if not places or not wanted["access"]:
            return []
        return [from_payload(record.payload) for record in self._scroll(_filter(wanted, scope, None), payload=True)]

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
        import qdrant_edge as q

        return self._ask(lambda shard: int(shard.count(q.CountRequest(exact=True))), 0)

    def settle(self) -> None:
        """Build the graph, from `SETTLED` pieces on. What is written afterwards is found beside it."""
        if self.count() >= SETTLED:
            self._ask(lambda shard: shard.optimize(), False)

    def reset(self) -> None:
        """Forget everything: the folder goes."""
        with self._lock, self._speaking():
            self._dimension = self._accesses = None
            if self._open() is not None:
                self._shard.close()
                self._shard = None
                shutil.rmtree(self._path)

    def close(self) -> None:
        """Let go of the folder, so that another process can have it."""
        with self._lock:
            self._closed = True
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    def _wanted(self, scope: Scope) -> dict[str, list[str]]:
        """Payload field to the values that the scope allows."""
        import qdrant_edge as q

        if self._accesses is None:
            request = q.FacetRequest("access", limit=MAX_ACCESSES, exact=True)
            nothing: list[str] = []
            self._accesses = self._ask(lambda shard: [str(hit.value) for hit in shard.facet(request).hits], nothing)
        return scope.wanted(self._accesses)

    def _open(self) -> Any:
        """The engine; None while nothing was ever stored. Opens the folder if it is there by now."""
        import qdrant_edge as q

        with self._lock, self._speaking():
            if self._closed:
                raise IndexUnavailable(f"the index in {str(self._path)!r} was closed")
            if self._shard is None and (self._path / "edge_config.json").exists():
                self._shard = q.EdgeShard.load(str(self._path))
            return self._shard

    def _create(self, dimension: int) -> None:
        import qdrant_edge as q

        meaning = q.EdgeVectorParams(
            size=dimension,
            distance=q.Distance.Cosine,
            # Both take effect with `settle` alone; until then vectors are scanned whole.
            quantization_config=q.ScalarQuantizationConfig(type=q.ScalarType.Int8, quantile=0.99, always_ram=True),
            hnsw_config=q.HnswIndexConfig(16, 100, 10_000),
        )
        config = q.EdgeConfig(
            vectors={"meaning": meaning},
            sparse_vectors={name: q.EdgeSparseVectorParams(modifier=q.Modifier.Idf) for name in ("words", "name")},
        )
        with self._speaking():
            self._path.mkdir(parents=True, exist_ok=True)
            self._shard = q.EdgeShard.create(str(self._path), config)

    def _index_fields(self) -> None:
        """Make the indexes that filters use; those that are there stay."""
        import qdrant_edge as q

        kinds = {
            "keyword": q.PayloadSchemaType.Keyword,
            "integer": q.PayloadSchemaType.Integer,
            "float": q.PayloadSchemaType.Float,
        }
        with self._speaking():
            for name, kind in INDEXED.items():
                self._shard.update(q.UpdateOperation.create_field_index(name, kinds[kind]))

    def _ask(self, question: Callable[[Any], T], nothing: T) -> T:
        """The engine's answer, or `nothing` while nothing was ever stored."""
        shard = self._open()
        with self._speaking():
            return nothing if shard is None else question(shard)

    def _update(self, operation: Any) -> None:
        shard = self._open()
        with self._speaking():
            if shard is None:
                raise IndexUnavailable("cannot write to the index", why="it was never prepared")
            shard.update(operation)
        self._accesses = None

    def _scroll(self, where: Any, *, payload: Any, limit: int = 1_000_000) -> list[Any]:
        import qdrant_edge as q

        request = q.ScrollRequest(limit=limit, filter=where, with_payload=payload)
        return self._ask(lambda shard: list(shard.scroll(request)[0]), [])

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Gives the engine's failures our name and a way out.

        They are bare `Exception`s, and on damaged files panics, which are not even that: one would end its thread.
        """
        try:
            yield
        except OSError as error:
            raise self._explained(error) from error
        except BaseException as error:
            if type(error) is Exception or type(error).__name__ == "PanicException":
                raise self._explained(error) from error
            raise

    def _explained(self, error: BaseException) -> IndexUnavailable:
        what = f"the index in {str(self._path)!r} does not answer"
        if "WouldBlock" in str(error):
            return IndexUnavailable(
                f"the index in {str(self._path)!r} is locked",
                why="another process holds it, most likely `rundown serve`",
                way_out="stop that process, or set RUNDOWN_QDRANT_URL so that several can share one server",
            )
        return IndexUnavailable(
            what, why=str(error), way_out="delete that folder and run `rundown ingest`: it is rebuilt from the sources"
        )


def _precise() -> Any:
    """How to make good what a graph over small vectors loses: look further, take twice as many, rank them by the whole ones.

    Of the first ten of an exact scan it finds .998 on 13,329 real pieces (learning/LOG.md).
    """
    import qdrant_edge as q

    return q.SearchParams(hnsw_ef=256, quantization=q.QuantizationSearchParams(rescore=True, oversampling=2.0))


def _vectors(vectors: Vectors) -> dict[str, Any]:
    named: dict[str, tuple[float, ...] | Sparse | None] = {
        "meaning": vectors.meaning,
        "words": vectors.words,
        "name": vectors.name,
    }
    return {name: _vector(vector) for name, vector in named.items() if vector is not None}


def _vector(vector: Sparse | tuple[float, ...]) -> Any:
    import qdrant_edge as q

    if isinstance(vector, Sparse):
        return q.SparseVector(list(vector.indices), list(vector.values))
    return list(vector)


def _filter(wanted: dict[str, list[str]], scope: Scope, service: str | None) -> Any:
    import qdrant_edge as q

    wanted = wanted | ({"service": [service]} if service else {})
    others = other_tiers(wanted.pop("tier", None))
    must: list[Any] = [q.FieldCondition(key, match=q.MatchAny(values)) for key, values in wanted.items()]
    must_not: list[Any] = [q.FieldCondition("tier", match=q.MatchAny(others))] if others else []
    late = [] if scope.before is None else [q.RangeFloat(gte=scope.before.timestamp())]
    must_not += [q.FieldCondition("known_at", range=bound) for bound in late]
    return q.Filter(must=must, must_not=must_not)
