"""A Qdrant server that is not there, answers nonsense, or writes down what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from retrieval_world import EMBEDDER, SPACE, piece, with_vectors

from core.access import PUBLIC
from core.errors import IndexUnavailable
from retrieval.chunk import INDEXED, Scope, View
from retrieval.index import ServerIndex, VectorIndex, connect
from retrieval.server import Layout
from retrieval.sparse import encode_query

DISK = [View(by="words", vector=encode_query("disk"))]

CALLS: list[Callable[[VectorIndex], Any]] = [
    lambda index: index.prepare(SPACE, EMBEDDER.dimension),
    lambda index: index.search(DISK, Scope(audience=PUBLIC), limit=3),
    lambda index: index.document(Scope(audience=PUBLIC, document=("s", "d"))),
    lambda index: index.pieces([piece("a.md", "x").id]),
    lambda index: index.digests("folder:/docs"),
    lambda index: index.delete("folder:/docs", "a.md"),
    lambda index: index.space(),
    lambda index: index.count(),
    lambda index: index.reset(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_down_is_unavailable(call: Callable[[VectorIndex], Any], closed_port: int):
    """Whatever is asked of it; with what to check."""
    index = ServerIndex(connect(f"http://127.0.0.1:{closed_port}", timeout_s=2))

    with pytest.raises(IndexUnavailable, match="RUNDOWN_QDRANT_URL"):
        call(index)
    index.close()


def test_making_a_client_asks_the_server_nothing(closed_port: int):
    """So that the bot starts while its index is down."""
    index = ServerIndex(connect(f"http://127.0.0.1:{closed_port}", timeout_s=1))

    index.close()


@pytest.mark.parametrize(
    ("status", "body"), [(500, b"oops"), (200, b"<html>gateway</html>"), (401, b'{"status":{"error":"no"}}')]
)
def test_a_server_that_answers_nonsense_is_unavailable(status: int, body: bytes):
    """A gateway's page, an error, a refused key: never an empty result."""

    class Nonsense(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with serving(Nonsense) as url:
        index = ServerIndex(connect(url, timeout_s=2))
        with pytest.raises(IndexUnavailable):
            index.search(DISK, Scope(audience=PUBLIC), limit=3)
        index.close()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of an HTTP server."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def recording(*, exists: bool = False) -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    """An empty server that accepts everything: its address, and what it was asked: method, path, body.

    Args:
        exists: whether it says that the collection is there.
    """
    asked: list[tuple[str, str, Any]] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            asked.append((self.command, self.path, json.loads(self.rfile.read(length)) if length else None))
            result: Any = True
            if self.path.endswith("/exists"):
                result = {"exists": exists}
            elif self.path.endswith("/points/scroll"):
                result = {"points": []}
            elif self.path.endswith("/facet"):
                result = {"hits": [{"value": "*", "count": 1}]}
            elif self.path.endswith("/query/batch"):
                result = [{"points": []}]
            elif self.command == "PUT" and ("/points" in self.path or "/index" in self.path):
                result = {"operation_id": 1, "status": "completed"}
            body = json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with serving(Recorder) as url:
        yield url, asked


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(), {"replication_factor": 1, "write_consistency_factor": 1}),
        (
            Layout(shards=6, replicas=3, quantization="int8"),
            {
                "shard_number": 6,
                "replication_factor": 3,
                "write_consistency_factor": 2,
                "quantization_config": {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}},
            },
        ),
    ],
)
def test_a_new_collection_lies_as_the_settings_say(layout: Layout, expected: dict[str, Any]):
    """Shards, copies, a majority for every write, small vectors in memory; payloads on disk; no filter without an index."""
    with recording() as (url, asked):
        index = ServerIndex(connect(url), "rundown-1", layout)
        index.prepare(SPACE, EMBEDDER.dimension)
        index.close()
    (made,) = [body for method, path, body in asked if (method, path) == ("PUT", "/collections/rundown-1")]
    small = layout.quantization == "int8"

    assert {name: made[name] for name in made if name not in ("vectors", "sparse_vectors", "strict_mode_config")} == {
        "on_disk_payload": True,
        **expected,
    }
    assert made["vectors"] == {"meaning": {"size": EMBEDDER.dimension, "distance": "Cosine", "on_disk": small}}
    assert made["strict_mode_config"] == {
        "enabled": True,
        "unindexed_filtering_retrieve": False,
        "unindexed_filtering_update": False,
    }


def test_every_field_that_filters_use_is_indexed_before_anything_is_stored():
    """A source's pieces lie together: it is the tenant."""
    with recording() as (url, asked):
        index = ServerIndex(connect(url), "rundown-1")
        index.prepare(SPACE, EMBEDDER.dimension)
        index.close()
    made = {body["field_name"]: body["field_schema"] for _, path, body in asked if "/index" in path}

    assert made == INDEXED | {"source": {"type": "keyword", "is_tenant": True}}


def test_a_write_is_acknowledged_in_order_and_on_disk():
    """wait=true flushes the server's log; medium ordering keeps two writes to one piece from passing each other."""
    with recording() as (url, asked):
        index = ServerIndex(connect(url), "rundown-1")
        index.prepare(SPACE, EMBEDDER.dimension)
        index.put([with_vectors(piece("a.md", "disk"))])
        index.close()

    assert [path for method, path, _ in asked if method == "PUT" and "/points" in path] == [
        "/collections/rundown-1/points?wait=true&ordering=medium"
    ]


@pytest.mark.parametrize(
    ("quantization", "by", "params"),
    [
        ("int8", "meaning", {"quantization": {"rescore": True, "oversampling": 2.0}}),
        ("int8", "words", None),
        ("none", "meaning", None),
    ],
)
def test_what_small_vectors_find_is_ranked_by_the_whole_ones(quantization: Any, by: Any, params: dict[str, Any] | None):
    """Twice as many are taken, so that rounding loses none of the best. Words are never rounded."""
    vector = tuple(EMBEDDER.embed_query("disk")) if by == "meaning" else encode_query("disk")
    with recording(exists=True) as (url, asked):
        index = ServerIndex(connect(url), "rundown-1", Layout(quantization=quantization))
        index.search([View(by=by, vector=vector)], Scope(audience=PUBLIC))
        index.close()
    (query,) = [body for _, path, body in asked if path.endswith("/query/batch")]

    assert query["searches"][0].get("params") == params


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
def test_two_processes_of_a_bot_share_one_collection():
    """What one stores, the other finds: the collection is the only state."""
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    writer, reader = ServerIndex(client, "shared"), ServerIndex(client, "shared")
    writer.prepare(SPACE, EMBEDDER.dimension)
    writer.put([with_vectors(piece("a.md", "disk"))])

    assert [[seen.doc_id for seen in found] for found in reader.search(DISK, Scope(audience=PUBLIC))] == [["a.md"]]
    reader.close()
