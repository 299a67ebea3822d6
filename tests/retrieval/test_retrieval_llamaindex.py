"""Rundown's parts in LlamaIndex, and LlamaIndex's in Rundown."""

from __future__ import annotations

from pathlib import Path

import pytest
from retrieval_world import EMBEDDER, fill, piece

from core.errors import ModelUnavailable
from retrieval.index import EdgeIndex
from retrieval.llamaindex import LlamaIndexEmbedder, as_llama_embedding, as_llama_retriever
from retrieval.retriever import Retriever

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_search_is_a_llamaindex_retriever(tmp_path: Path):
    """It answers with nodes that carry their source."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, piece("runbooks/disk.md", "broker disk full", section=("Fix",), url="https://wiki/disk"))

    (node,) = as_llama_retriever(Retriever(index, EMBEDDER), limit=1).retrieve("disk")
    index.close()

    assert (node.text, node.metadata["doc_id"], node.metadata["section"], node.metadata["url"]) == (
        "broker disk full", "runbooks/disk.md", "Fix", "https://wiki/disk",
    )  # fmt: skip


def test_an_embedding_goes_there_and_back(tmp_path: Path):
    """Ours as LlamaIndex's, and that one as ours again: the same vectors, and an index to search with them."""
    embedder = LlamaIndexEmbedder(as_llama_embedding(EMBEDDER))
    texts = ["broker disk full", "renew certificates"]

    there_and_back = [[round(value, 9) for value in vector] for vector in embedder.embed_documents(texts)]

    assert there_and_back == [[round(value, 9) for value in vector] for vector in EMBEDDER.embed_documents(texts)]
    assert (embedder.name, embedder.dimension, 0 < embedder.floor < 1) == ("hash-512", 512, True)


def test_a_failing_embedding_is_unavailable():
    """Whatever its client raises, the caller can degrade."""

    class Down:
        model_name = "down"

        def get_query_embedding(self, text: str) -> list[float]:
            raise TimeoutError("no answer in 5 s")

    with pytest.raises(ModelUnavailable, match="down failed: no answer in 5 s"):
        LlamaIndexEmbedder(Down()).embed_query("x")
