"""A Qdrant server that is not there, or answers nonsense."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from retrieval_world import EMBEDDER, SPACE, piece, with_vectors

from core.access import PUBLIC
from core.errors import IndexUnavailable
from retrieval.chunk import Scope, View
from retrieval.index import ServerIndex, VectorIndex, connect
from retrieval.sparse import encode_query

DISK = [View(by="words", vector=encode_query("disk"))]

CALLS: list[Callable[[VectorIndex], Any]] = [
    lambda index: index.prepare(SPACE, EMBEDDER.dimension),
    lambda index: index.search(DISK, Scope(audience=PUBLIC), limit=3),
    lambda index: index.document(Scope(audience=PUBLIC, document=("s", "d"))),
    lambda index: index.piece(piece("a.md", "x").id),
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

    with HTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        index = ServerIndex(connect(f"http://127.0.0.1:{server.server_port}", timeout_s=2))
        try:
            with pytest.raises(IndexUnavailable):
                index.search(DISK, Scope(audience=PUBLIC), limit=3)
        finally:
            index.close()
            server.shutdown()
            thread.join()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
def test_two_processes_of_a_bot_share_one_collection():
    """What one stores, the other finds: the collection is the only state."""
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    writer, reader = ServerIndex(client, "shared"), ServerIndex(client, "shared")
    writer.prepare(SPACE, EMBEDDER.dimension)
    writer.put([with_vectors(piece("a.md", "disk"))])

    assert [hit.chunk.doc_id for hit in reader.search(DISK, Scope(audience=PUBLIC), limit=3)] == ["a.md"]
    reader.close()
