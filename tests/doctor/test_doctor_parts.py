"""Doctor on parts of LlamaIndex's that settings name by their classes."""

from __future__ import annotations

from typing import Any

import pytest

from bot.doctor import run_doctor
from core.settings import read_settings

SPLITTER = "llama_index.core.node_parser.TokenTextSplitter"
RERANKER = "llama_index.core.postprocessor.SimilarityPostprocessor"
RETRIEVER = "llama_index.core.retrievers.TransformRetriever"
EMBEDDING = "llama_index.core.embeddings.MockEmbedding"
LLM = "llama_index.core.llms.MockLLM"


def checked(name: str, *, deep: bool = False, **settings: Any) -> list[tuple[str, str, str]]:
    model = {} if "embedding_class" in settings else {"embedding_model": "hash"}
    checks = run_doctor(read_settings(**model, **settings), deep=deep)
    return [(check.state, check.found, check.way_out) for check in checks if check.name == name]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("name", "part", "path"),
    [("Splitter", "splitter", SPLITTER), ("Reranker", "reranker", RERANKER), ("Writing model", "llm", LLM)],
)
def test_a_part_that_is_there_is_well(name: str, part: str, path: str, deep: bool):
    """By its class; built only by --deep, which may load a model."""
    ((state, found, _),) = checked(name, deep=deep, **{f"{part}_class": path})

    assert (state, found) == ("ok", path if deep else f"{path} (--deep builds it)")


@pytest.mark.parametrize(
    ("name", "part"),
    [("Splitter", "splitter"), ("Reranker", "reranker"), ("Retriever", "retriever"), ("Writing model", "llm")],
)
def test_a_part_that_is_missing_fails(name: str, part: str):
    """Without it nothing is searched, or only the extractive drafter writes; and all was said to be well."""
    ((state, found, way_out),) = checked(name, **{f"{part}_class": "llama_index.nope.X"})

    assert (state, "'llama_index.nope.X'" in found) == ("fail", True)
    assert way_out == f"install its package and check RUNDOWN_{part.upper()}_CLASS"


def test_options_that_are_refused_are_seen_by_deep():
    """Its class alone is well."""
    options = {"splitter_class": SPLITTER, "splitter_options": {"chunk_size": "many"}}

    assert [state for deep in (False, True) for state, *_ in checked("Splitter", deep=deep, **options)] == [
        "ok",
        "fail",
    ]


@pytest.mark.parametrize("deep", [False, True])
def test_an_embedding_that_is_there_is_well(deep: bool):
    """With --deep it is asked for a vector."""
    ((state, found, _),) = checked(
        "Embedding model", deep=deep, embedding_class=EMBEDDING, embedding_options={"embed_dim": 7}
    )

    assert state == "ok"
    assert (", 7 dimensions, loaded and asked in " in found) if deep else found == f"{EMBEDDING} (--deep builds it)"


@pytest.mark.parametrize(
    ("path", "deep", "told"),
    [
        ("llama_index.nope.X", False, "install its package and check RUNDOWN_EMBEDDING_CLASS"),
        ("pathlib.Path", True, "name a class such as llama_index.embeddings.ollama.OllamaEmbedding"),
        (EMBEDDING, True, "check RUNDOWN_EMBEDDING_OPTIONS"),
    ],
    ids=["missing", "of another kind", "lacking an option"],
)
def test_an_embedding_that_cannot_be_used_fails(path: str, deep: bool, told: str):
    """Nothing could be stored or found."""
    ((state, _, way_out),) = checked("Embedding model", deep=deep, embedding_class=path)

    assert (state, way_out) == ("fail", told)


def test_a_retriever_is_built_around_a_search():
    """By --deep: its own arguments are all that is asked of settings. One of another kind is told."""
    found = [
        checked("Retriever", deep=True, retriever_class=path, retriever_options=options)[0][:2]
        for path, options in ((RETRIEVER, {"query_transform": None}), (RETRIEVER, {}), ("pathlib.Path", {}))
    ]

    assert [state for state, _ in found] == ["ok", "fail", "fail"]
    assert ("query_transform" in found[1][1], "no LlamaIndex BaseRetriever" in found[2][1]) == (True, True)


def test_what_is_not_named_is_not_told():
    """Most teams name none of them."""
    assert checked("Splitter") + checked("Reranker") + checked("Retriever") == []
