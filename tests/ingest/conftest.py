"""Fixtures of the ingest tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.index import EdgeIndex


@pytest.fixture(name="index")
def _index(tmp_path: Path) -> Iterator[EdgeIndex]:
    """An empty index of the embedded engine."""
    index = EdgeIndex(tmp_path / "index")
    yield index
    index.close()
