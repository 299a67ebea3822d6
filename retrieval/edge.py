"""The embedded engine: Qdrant's own, in this process, its files in one folder.

Does: open the folder on first use, and say plainly when another process holds it.
Does not: build a nearest-neighbour graph by itself: up to some thousand pieces a scan takes a millisecond, and building one holds
Python's lock, for 100,000 pieces a minute and a half. `settle` builds it where nobody waits.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

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

T = TypeVar("T")

#: Fewer pieces than this are scanned as fast as a graph would be walked.
SETTLED = 5_000


class EdgeIndex(Reading):
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
        #: The lists of readers that are held, and the space, until the next write.
        self._accesses: list[str] | None = None
        self._space: str | None = None
        #: A piece's id as a number, to the id as a text, its document and the document's tier: the same for ever, as ids are made of
        #: documents, and a document's tier of its source.
        self._known: dict[int, tuple[str, tuple[str, str], str]] = {}
        #: Whether nothing was written since all of them were read.
        self._warm = False

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

    def search(self, views: Sequence[View], scope: Scope, *, limit: int = DEPTH) -> list[list[Seen]]:
        """One batch of queries to the engine, each filtered."""
        import qdrant_edge as q

        wanted = self._wanted(scope)
        if not views or not all(wanted.values()):
            return [[] for _ in views]
        requests = [
            q.QueryRequest(
                limit=limit,
                filter=self._filter(view.within(wanted), scope.before),
                query=q.Query.Nearest(_vector(view.vector), using=view.by),
                params=_precise() if view.by == "meaning" else None,
                with_payload=False,
            )
            for view in views
        ]
        nothing: list[list[Any]] = [[] for _ in views]
        lists = self._ask(lambda shard: shard.query_batch(q.QueryBatchRequest(requests)), nothing)
        ids = [[point.id.int for point in found] for found in lists]
        known = self._known
        if new := set[int]().union(*ids).difference(known):
            pieces = [UUID(int=number) for number in new]
            self._learn(self._ask(lambda shard: shard.retrieve(pieces, DOCUMENT_FIELDS, False), []))
        # One that went away in between stays unknown.
        return [
            [
                Seen(known[number][0], known[number][1], point.score, known[number][2])
                for number, point in zip(numbers, found, strict=True)
                if number in known
            ]
            for numbers, found in zip(ids, lists, strict=True)
        ]

    def warm(self) -> None:
        """Read of every piece which document it belongs to, so that no search has to: a second for 100,000, nothing if none is new."""
        with self._lock:
            known, self._warm = self._warm, True
        if not known:
            self._learn(self._scroll(None, payload=DOCUMENT_FIELDS))

    def space(self) -> str | None:
        """The space of the vectors held, or None while it is empty."""
        with self._lock:
            if self._space is None:
                self._space = super().space()
            return self._space

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
            self._dimension = self._accesses = self._space = None
            self._known, self._warm = {}, False
            if self._open() is not None:
                self._shard.close()
                self._shard = None
                shutil.rmtree(self._path)

    def close(self) -> None:
        """Let go of the folder, so that another process can have it."""
        with self._lock:
            self._closed, self._space = True, None
            if self._shard is not None:
                self._shard.close()
                self._shard = None

    def _wanted(self, scope: Scope) -> dict[str, list[str]]:
        """Payload field to the values that the scope allows."""
        import qdrant_edge as q

        with self._lock:  # what was read before a write must not be kept after it
            if self._accesses is None:
                request = q.FacetRequest("access", limit=MAX_ACCESSES, exact=True)
                nothing: list[str] = []
                self._accesses = self._ask(lambda shard: [str(hit.value) for hit in shard.facet(request).hits], nothing)
            return scope.wanted(self._accesses)

    def _learn(self, records: Iterable[Any]) -> None:
        """Remember which documents pieces belong to. Their many equal names are kept once."""
        for record in records:
            (source, doc_id), tier = document_of(record.payload or {})
            self._known[record.id.int] = str(record.id), (sys.intern(source), sys.intern(doc_id)), sys.intern(tier)

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
        with self._lock:
            self._accesses = self._space = None
            self._warm = False

    def _page(self, where: Any, *, payload: Any, limit: int, offset: Any) -> tuple[list[Any], Any]:
        import qdrant_edge as q

        request = q.ScrollRequest(limit=limit, offset=offset, filter=where, with_payload=payload)
        nothing: tuple[list[Any], Any] = ([], None)
        return self._ask(lambda shard: shard.scroll(request), nothing)

    def _retrieve(self, piece_ids: list[str], *, payload: bool) -> list[Any]:
        nothing: list[Any] = []
        vectors = False if payload else ["meaning"]
        return self._ask(lambda shard: shard.retrieve(piece_ids, payload, vectors), nothing)

    def _filter(self, wanted: dict[str, list[str]], before: datetime | None = None) -> Any:
        import qdrant_edge as q

        others = other_tiers(wanted.get("tier"))
        kept = [(name, values) for name, values in wanted.items() if name != "tier"]
        must: list[Any] = [q.FieldCondition(name, match=q.MatchAny(values)) for name, values in kept]
        must_not: list[Any] = [q.FieldCondition("tier", match=q.MatchAny(others))] if others else []
        if before is not None:
            must_not.append(q.FieldCondition("known_at", range=q.RangeFloat(gte=before.timestamp())))
        return q.Filter(must=must, must_not=must_not)

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
    """How to make good what a graph over small vectors loses: look further, take half as many again, rank them by the whole ones.

    With 200 and twice as many a dense view takes a fourth longer, for .001 of nDCG (learning/LOG.md).
    """
    import qdrant_edge as q

    return q.SearchParams(hnsw_ef=128, quantization=q.QuantizationSearchParams(rescore=True, oversampling=1.5))


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
