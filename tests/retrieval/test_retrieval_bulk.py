"""Searching in bulk, from a file into a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from retrieval_world import EMBEDDER, fill, piece

from core.errors import CaseError
from retrieval.bulk import search_file
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever


@pytest.fixture(name="retriever", scope="module")
def _retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    index = EdgeIndex(tmp_path_factory.mktemp("bulk") / "index")
    fill(
        index,
        piece("runbooks/disk.md", "broker disk full", section=("Mitigation", "Disk")),
        piece("runbooks/certs.md", "renew the certificate"),
    )
    yield Retriever(index, EMBEDDER)
    index.close()


def write(path: Path, *queries: Any) -> Path:
    path.write_text("".join(f"{query if isinstance(query, str) else json.dumps(query)}\n" for query in queries))
    return path


def test_every_query_is_answered_in_order(retriever: Retriever, tmp_path: Path):
    """A result line for each, blank lines and unknown keys aside; answering twice gives the same file."""
    queries = write(
        tmp_path / "q.jsonl",
        {"query_id": "2", "text": "renew certificate", "kind": "alert", "extra": 1},
        "",
        {"query_id": "1", "text": "broker disk full", "service": "kafka"},
    )
    told: list[int] = []

    count = search_file(retriever, queries, tmp_path / "r.jsonl", limit=1, progress=told.append)
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    scores = [row["results"][0].pop("score") for row in rows]

    assert (count, told, rows) == (
        2,
        [1, 2],
        [
            {"query_id": "2", "results": [{"doc_id": "runbooks/certs.md", "section": ""}], "answered": True},
            {
                "query_id": "1",
                "results": [{"doc_id": "runbooks/disk.md", "section": "Mitigation > Disk"}],
                "answered": True,
            },
        ],
    )
    assert all(0 < score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{not json", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "disk"}', "'query_id' is missing"),
        ('{"query_id": 7, "text": "disk"}', "'query_id' is not text"),
        ('{"query_id": "1"}', "'text' is missing"),
        ('{"query_id": "1", "text": null}', "'text' is missing"),
        ('{"query_id": "1", "text": "x", "service": 3}', "'service' is not text"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(retriever: Retriever, tmp_path: Path, line: str, why: str):
    """By file and number; an earlier result file stays as it was."""
    queries = write(tmp_path / "q.jsonl", {"query_id": "1", "text": "disk"}, line)
    out = write(tmp_path / "r.jsonl", "earlier")

    with pytest.raises(CaseError, match=rf"q\.jsonl:2: .*{why}"):
        search_file(retriever, queries, out)

    assert (out.read_text(), sorted(path.name for path in tmp_path.glob("r.*"))) == ("earlier\n", ["r.jsonl"])


def test_files_that_cannot_be_used_are_named(retriever: Retriever, tmp_path: Path):
    """Queries that are not there or not text; a place that cannot be written."""
    good = write(tmp_path / "q.jsonl", {"query_id": "1", "text": "disk"})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    for queries, out, name in (
        (tmp_path / "none.jsonl", tmp_path / "r", "none.jsonl"),
        (tmp_path / "binary", tmp_path / "r", "binary"),
        (good, tmp_path / "no" / "folder" / "r", "folder/r"),
    ):
        with pytest.raises(CaseError, match=name):
            search_file(retriever, queries, out)
