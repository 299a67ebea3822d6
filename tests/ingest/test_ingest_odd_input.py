"""Names, addresses and answers that no sane system gives, and real ones did: each is told in words, and stops nothing else."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from core.errors import CaseError, UsageError
from core.model import Document
from core.store import Store
from ingest.git_docs import GitSource
from ingest.mediawiki_client import MediaWikiClient, MediaWikiUnavailable
from ingest.prometheus import PrometheusSource
from ingest.sources import Skipped, open_source
from ingest.sync import Ingestor
from retrieval.bulk import search_file
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever


def test_an_alert_with_a_backslash_in_its_name_is_read(tmp_path: Path):
    """The name goes into its runbook's address as it is."""
    (tmp_path / "rules.yaml").write_text(
        "groups:\n- name: g\n  rules:\n  - alert: 'Foo\\d'\n    expr: up == 0\n    annotations:\n"
        "      runbook_url: 'https://runbooks.example.org/{{ $labels.alertname }}'\n"
    )
    (found,) = PrometheusSource(tmp_path).documents()

    assert isinstance(found, Document)
    assert (found.title, found.runbook_url) == ("Foo\\d", "https://runbooks.example.org/Foo\\d")


def test_a_file_whose_name_is_no_utf8_is_skipped_in_a_repository(tmp_path: Path, store: Store):
    """As in a folder; the others are stored."""
    repo, index = tmp_path / "handbook", EdgeIndex(tmp_path / "index")
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    (repo / "disk.md").write_text("# Disk\n\nfull")
    Path(os.fsdecode(os.fsencode(repo) + b"/caf\xe9.md")).write_text("# Coffee\n\nempty")
    for command in (["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(repo), *command], check=True)

    report = Ingestor(store, index, HashEmbedder(32)).sync(GitSource(repo))
    index.close()

    assert (report.added, report.skipped) == (
        1, (Skipped(doc_id="caf\\udce9.md", reason="its name is not UTF-8"),),
    )  # fmt: skip


@pytest.mark.parametrize("address", ["https://[::1", "https://[nowhere]/api.php", "ftp://wiki/api.php", ""])
def test_what_is_no_address_of_a_wiki_is_told(address: str):
    """With the input, whatever is wrong with it."""
    with pytest.raises(UsageError, match="cannot read a wiki at") as refused:
        open_source(f"mediawiki:{address}")
    assert "api.php" in str(refused.value)


def test_an_answer_that_cannot_be_decompressed_is_an_answer_that_failed():
    """Asked for again, and then told."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    from bot.web import WebServer

    broken = gzip.compress(b'{"query": {}}')[:-12] + b"not gzip at all"

    def answer(_request: object) -> Response:
        return Response(broken, headers={"content-encoding": "gzip", "content-type": "application/json"})

    waits: list[float] = []
    with (
        WebServer(Starlette(routes=[Route("/api.php", answer)])) as wiki,
        MediaWikiClient(f"{wiki.url}/api.php", sleep=waits.append) as client,
        pytest.raises(MediaWikiUnavailable, match="cannot be decompressed"),
    ):
        client.ask({"action": "query"})

    assert len(waits) == 3


@pytest.fixture(name="retriever")
def _retriever(tmp_path: Path) -> Retriever:
    return Retriever(EdgeIndex(tmp_path / "index"), HashEmbedder(32))


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_results_cannot_go_where_a_folder_is(retriever: Retriever, tmp_path: Path, out: str):
    """Told before anything is searched for."""
    (tmp_path / "q.jsonl").write_text('{"query_id": "1", "text": "disk"}\n')

    with pytest.raises(CaseError, match="it is a folder"):
        search_file(retriever, tmp_path / "q.jsonl", Path(out))


@pytest.mark.parametrize("field", ["query_id", "text", "service"])
def test_half_a_character_in_a_query_is_told_by_its_line(retriever: Retriever, tmp_path: Path, field: str):
    """No result line could hold it, and no model could read it."""
    query = {"query_id": "1", "text": "disk", field: "\ud83d"}
    (tmp_path / "q.jsonl").write_text(json.dumps(query) + "\n")

    with pytest.raises(CaseError, match=rf"q\.jsonl:1.*'{field}' holds half a character"):
        search_file(retriever, tmp_path / "q.jsonl", tmp_path / "r.jsonl")
    assert not (tmp_path / "r.jsonl").exists()
