"""Fixtures of the workflow tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.investigation import Investigator
from core.store import open_store
from ingest.sync import Ingestor
from prompts.drafter import Drafter
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever


@pytest.fixture(name="library")
def _library(tmp_path: Path) -> Iterator[tuple[Investigator, Ingestor]]:
    """An investigator without commits, and what fills the index that it looks in."""
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    index, embedder = EdgeIndex(tmp_path / "index"), HashEmbedder()
    retriever = Retriever(index, embedder)
    made = Investigator(documents=lambda: retriever, commits=lambda: None, drafter=Drafter(None, timeout_s=1))
    yield made, Ingestor(store, index, embedder)
    index.close()
    store.close()
