"""Rundown's parts in LlamaIndex, and LlamaIndex's in Rundown."""

from __future__ import annotations

from pathlib import Path

import pytest
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from retrieval_world import EMBEDDER, fill, piece

from core.errors import ModelUnavailable, SettingsError
from core.settings import read_settings
from retrieval.index import EdgeIndex
from retrieval.llamaindex import LlamaIndexEmbedder, as_llama_embedding, as_llama_retriever
from retrieval.rerank import LlamaIndexReranker, open_reranker
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


class Backwards(BaseNodePostprocessor):
    """A reranker of LlamaIndex's, in a few lines: the last first, the one that says "skip" left out."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        assert query_bundle is not None
        if "fail" in query_bundle.query_str:
            raise TimeoutError("no answer in 5 s")
        return [node for node in reversed(nodes) if "skip" not in node.node.get_content()]


@pytest.mark.parametrize(("text", "turned"), [("disk", True), ("disk fail", False)])
def test_any_reranker_of_llamaindex_takes_a_second_look(tmp_path: Path, text: str, turned: bool):
    """Its order holds, what it leaves out comes last, and one that fails changes nothing."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, *(piece(f"{n}.md", f"broker disk {'skip ' * (n == 1)}{n}") for n in range(4)))
    plain = [item.doc_id for item in Retriever(index, EMBEDDER).search(text)]

    again = [item.doc_id for item in Retriever(index, EMBEDDER, reranker=LlamaIndexReranker(Backwards())).search(text)]
    index.close()

    assert again == ([name for name in reversed(plain) if name != "1.md"] + ["1.md"] if turned else plain)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("nowhere.Reranker", "install its package"),
        ("pathlib.Path", "no LlamaIndex BaseNodePostprocessor"),
        ("llama_index.core.postprocessor.SimilarityPostprocessor", ""),
    ],
)
def test_a_reranker_is_named_by_its_class(named: str, why: str):
    """One that cannot be used says why; one that can is built with its options."""
    settings = read_settings(reranker_class=named, reranker_options={"similarity_cutoff": 0.1})

    if why:
        with pytest.raises(SettingsError, match=why):
            open_reranker(settings)
    else:
        assert isinstance(open_reranker(settings), LlamaIndexReranker)
