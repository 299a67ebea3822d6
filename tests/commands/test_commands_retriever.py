"""A retriever of LlamaIndex's by its class, where the bot and the commands search."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.cli import app
from core.errors import SettingsError
from retrieval.chunk import piece_id

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODULE = '''
from pathlib import Path

from llama_index.core import Document
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

from core.settings import read_settings
from ingest.llamaindex import as_node_parser
from ingest.sources import open_source


class Spelling(BaseRetriever):
    def __init__(self, retriever, words):
        super().__init__()
        self._retriever, self._words = retriever, words

    def _retrieve(self, query_bundle):
        return self._retriever.retrieve(" ".join(self._words.get(word, word) for word in query_bundle.query_str.split()))


class Backwards(BaseRetriever):
    def __init__(self, retriever):
        super().__init__()
        self._retriever = retriever

    def _retrieve(self, query_bundle):
        return self._retriever.retrieve(query_bundle)[::-1]


class Naming(BaseRetriever):
    def __init__(self, retriever, ids):
        super().__init__()
        self._ids = ids

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=TextNode(id_=one, text="for everyone"), score=1.0) for one in self._ids]


class Failing(Backwards):
    def _retrieve(self, query_bundle):
        raise TimeoutError("no answer in 5 s")


class Engine(BaseRetriever):
    """An engine of one's own over the same pages: it finds a word, and never asks ours."""

    def __init__(self, retriever, folder):
        super().__init__()
        source = open_source(folder, read_settings())
        pages = [
            Document(text=page.text, metadata={"title": page.title, "source": page.source, "doc_id": page.id})
            for page in source.documents()
        ]
        self._nodes = as_node_parser().get_nodes_from_documents(pages)

    def _retrieve(self, query_bundle):
        word = query_bundle.query_str.split()[-1]
        return [NodeWithScore(node=node) for node in self._nodes if word in node.get_content()]
'''
DISK = "# Disk\n\n## Meaning\n\nThe broker cannot write its log.\n\n## Mitigation\n\nDelete old log segments of the broker.\n"
POOL = "# Pool\n\nPostgres has no free connection: raise the pool.\n"
KEYS = "---\nreaders: [group:sre]\n---\n# Keys\n\nKeys of the broker log.\n"
LATER = "---\nupdated: 2026-05-01\n---\n# Later\n\nThe broker log since May.\n"


@pytest.fixture(name="docs")
def _docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Pages that are ingested, and a module that an operator's package could hold."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in {"disk": DISK, "pool": POOL, "keys": KEYS, "later": LATER}.items():
        (docs / f"{name}.md").write_text(text)
    (tmp_path / "package").mkdir()
    (tmp_path / "package/our_retriever.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "package")
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")
    run("ingest", str(docs))
    yield docs
    sys.modules.pop("our_retriever", None)


def run(*arguments: str) -> Any:
    """What a command prints as JSON; what it refuses is raised."""
    ran = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def found(query: str) -> list[str]:
    return [item["doc_id"] for item in run("search", query)]


def name(monkeypatch: pytest.MonkeyPatch, part: str, **options: Any) -> None:
    monkeypatch.setenv("RUNDOWN_RETRIEVER_CLASS", f"our_retriever.{part}")
    monkeypatch.setenv("RUNDOWN_RETRIEVER_OPTIONS", json.dumps(options))


def investigated(title: str, at: str) -> list[str]:
    """What a card would cite as of a time."""
    return [item["doc_id"] for item in run("investigate", "--title", title, "--at", at, "--docs", "docs")["evidence"]]


@pytest.mark.usefixtures("docs")
def test_one_that_rewrites_the_question_is_asked_by_search_and_card(monkeypatch: pytest.MonkeyPatch):
    """Ours finds nothing for the abbreviation that would go on a card."""
    before = investigated("pg", "2026-06-01")
    name(monkeypatch, "Spelling", words={"pg": "Postgres connection pool"})

    assert (before, found("pg")[0], investigated("pg", "2026-06-01")) == ([], "pool.md", ["pool.md"])


@pytest.mark.usefixtures("docs")
def test_one_that_turns_the_order_round_is_explained(monkeypatch: pytest.MonkeyPatch):
    """To people and as JSON: the place is the class's, whatever else is told."""
    straight = found("delete old log segments of the broker")
    name(monkeypatch, "Backwards")
    turned = run("search", "delete old log segments of the broker", "--explain")
    said = CliRunner().invoke(app, ["search", "delete old log segments of the broker", "--explain"]).stdout
    scores = [item["score"] for item in turned]

    assert [item["doc_id"] for item in turned] == straight[::-1] != straight
    assert scores == sorted(scores, reverse=True)
    assert {item["why"]["placed_by"] for item in turned} == {"our_retriever.Backwards"}
    assert said.count("its place is our_retriever.Backwards's") == len(straight)


def test_one_that_names_what_may_not_be_shown_shows_none_of_it(docs: Path, monkeypatch: pytest.MonkeyPatch):
    """A page for some alone, one from after the incident, one that nobody holds, and no id at all."""
    ids = [piece_id(f"folder:{docs}", page, 0) for page in ("keys.md", "later.md", "gone.md", "disk.md")]
    name(monkeypatch, "Naming", ids=[*ids, "E1"])

    assert found("broker log") == ["later.md", "disk.md"]
    assert investigated("broker log", "2026-04-01") == ["disk.md"]
    assert investigated("broker log", "2026-06-01") == ["later.md", "disk.md"]


@pytest.mark.usefixtures("docs")
def test_one_that_fails_is_told_in_the_log_and_ours_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """With nothing said of the class where it had no say."""
    straight = run("search", "broker log", "--explain")
    name(monkeypatch, "Failing")

    assert run("search", "broker log", "--explain") == straight
    assert straight[0]["why"]["placed_by"] is None
    assert "the retriever our_retriever.Failing failed" in caplog.text


def test_an_engine_of_ones_own_names_our_pieces(docs: Path, monkeypatch: pytest.MonkeyPatch):
    """Cut by our node parser, its nodes bear their ids; it gives what it found alone, by the section that it found."""
    name(monkeypatch, "Engine", folder=str(docs))

    (item,) = run("search", "delete old log segments")

    assert (item["doc_id"], item["section"], item["score"] > 0.45) == ("disk.md", ["Mitigation"], True)


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        ("our_retriever.Nothing", {}, "install its package and check RUNDOWN_RETRIEVER_CLASS"),
        ("pathlib.Path", {}, "no LlamaIndex BaseRetriever"),
        ("our_retriever.Spelling", {}, "words.*check RUNDOWN_RETRIEVER_OPTIONS"),
    ],
)
def test_one_that_cannot_be_used_says_why(
    monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, Any], why: str
):
    """Before anything is searched."""
    monkeypatch.setenv("RUNDOWN_RETRIEVER_CLASS", path)
    monkeypatch.setenv("RUNDOWN_RETRIEVER_OPTIONS", json.dumps(options))

    with pytest.raises(SettingsError, match=why):
        run("search", "disk")
