"""Both engines, empty: every test that asks for `index` runs once over each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.index import EdgeIndex, ServerIndex, VectorIndex


@pytest.fixture(params=["edge", "server"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorIndex]:
    """An empty index: Qdrant's engine in the process, then the server's client over its local mode."""
    if request.param == "edge":
        opened: VectorIndex = EdgeIndex(tmp_path / "index")
    else:
        from qdrant_client import QdrantClient

        opened = ServerIndex(QdrantClient(":memory:"), "rundown")
    yield opened
    opened.close()
