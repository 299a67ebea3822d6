"""An embedding of LlamaIndex's by its class: stored with, searched with, refused once it is another, changed by a rebuild."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bot.app import open_live
from bot.cli import app
from core.errors import IndexUnavailable, ModelUnavailable, RundownError, SettingsError
from core.named import mark
from core.settings import read_settings
from core.store import open_store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODULE = '''
import re
import zlib

from llama_index.core.base.embeddings.base import BaseEmbedding


class Words(BaseEmbedding):
    """Each word at a place of its own, as far as there are places."""

    size: int = 256
    salt: str = ""
    api_key: str = ""

    def _get_text_embedding(self, text):
        if "unreachable" in text:
            raise ConnectionError("no route to host")
        vector = [0.0] * self.size
        for word in re.findall(r"\\w{3,}", text.lower()):
            vector[zlib.crc32((self.salt + word).encode()) % self.size] += 1.0
        return vector

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)


class Forgetful(Words):
    def _get_text_embeddings(self, texts):
        return super()._get_text_embeddings(texts)[1:]
'''


@pytest.fixture(name="_documents", autouse=True)
def _documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two pages, and a module that an operator's package could hold."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/disk.md").write_text("# Disk\n\nThe disk of the broker is full: delete old segments.\n")
    (tmp_path / "docs/dns.md").write_text("# DNS\n\nResolver timeout: restart it.\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/our_embedding.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "package")
    monkeypatch.setenv("RUNDOWN_EMBEDDING_CLASS", "our_embedding.Words")
    yield
    sys.modules.pop("our_embedding", None)


def run(*arguments: str) -> Any:
    """What a command prints as JSON; what it refuses is raised."""
    ran = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def found(query: str) -> list[str]:
    return [item["doc_id"] for item in run("search", query)]


def with_options(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    monkeypatch.setenv("RUNDOWN_EMBEDDING_OPTIONS", json.dumps(options))


def test_documents_are_stored_and_found_by_it():
    """Its vectors, its name in the space, and every check of the index and of doctor agrees."""
    run("ingest", "docs")
    told = run("index", "status")

    assert found("disk of the broker full")[0] == "disk.md"
    assert (told["space"], told["model"]) == (
        f"{mark('our_embedding.Words', {})}/256/words-1",
        told["configured_model"],
    )
    assert run("index", "verify")["sound"]


def test_another_key_is_the_same_embedding(monkeypatch: pytest.MonkeyPatch, home: Path):
    """Keys are changed every so often. None is kept with the index, in any form."""
    with_options(monkeypatch, api_key="sk-first")
    run("ingest", "docs")
    with_options(monkeypatch, api_key="sk-second")

    assert found("disk of the broker full")[0] == "disk.md"
    assert [path for path in home.rglob("*") if path.is_file() and b"sk-first" in path.read_bytes()] == []


@pytest.mark.parametrize("after", [{"size": 128}, {"salt": "x"}, None])
def test_another_embedding_is_refused_until_the_index_is_rebuilt(
    monkeypatch: pytest.MonkeyPatch, after: dict[str, Any] | None
):
    """Other options, of another length or of the same, or the class unset: vectors of two embeddings do not compare."""
    run("ingest", "docs")
    if after is None:
        monkeypatch.delenv("RUNDOWN_EMBEDDING_CLASS")
        monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")
    else:
        with_options(monkeypatch, **after)
    for command in (("search", "disk"), ("ingest", "docs")):
        with pytest.raises(IndexUnavailable, match=r"made with our_embedding.Words#\w+, and .*`rundown index rebuild"):
            run(*command)
    done = run("index", "rebuild")

    assert (done["before"], done["generation"], done["documents"]) == (1, 2, 2)
    assert found("disk of the broker full")[0] == "disk.md"


def test_an_index_of_a_model_goes_on_until_it_is_rebuilt(monkeypatch: pytest.MonkeyPatch):
    """As with any other change of the model: it answers as before, and its state says what to do."""
    monkeypatch.delenv("RUNDOWN_EMBEDDING_CLASS")
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")
    run("ingest", "docs")
    monkeypatch.delenv("RUNDOWN_EMBEDDING_MODEL")
    monkeypatch.setenv("RUNDOWN_EMBEDDING_CLASS", "our_embedding.Words")
    spaces, answers = [run("index", "status")["space"]], [found("disk of the broker full")]
    run("index", "rebuild")
    spaces, answers = [*spaces, run("index", "status")["space"]], [*answers, found("disk of the broker full")]

    assert [space.partition("#")[0] for space in spaces] == ["hash-512/512/words-1", "our_embedding.Words"]
    assert [first for first, *_ in answers] == ["disk.md", "disk.md"]


def test_what_serves_with_the_old_settings_answers_until_it_is_started_with_the_new(monkeypatch: pytest.MonkeyPatch):
    """A rebuild beside it takes nothing from it: it has not the new class, and stays with the index it has."""
    run("ingest", "docs")
    settings = read_settings()
    with open_live(settings, open_store(settings.store_url)) as live:
        before = [item.doc_id for item in live.current().retriever.search("disk")]
        with_options(monkeypatch, salt="x")
        run("index", "rebuild")
        taken = live.refresh()
        after = [item.doc_id for item in live.current().retriever.search("disk")]

    assert (taken, after, found("disk")[0]) == (False, before, "disk.md")


def test_documents_given_to_one_command_are_read_by_it_too():
    """`rundown investigate --docs` has an index of its own."""
    told = run("investigate", "--docs", "docs", "--title", "disk of the broker is full")

    assert "disk.md" in [item["doc_id"] for item in told["evidence"]]


def test_a_model_and_a_class_are_refused(monkeypatch: pytest.MonkeyPatch):
    """Neither wins in silence."""
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")

    with pytest.raises(SettingsError, match=r"RUNDOWN_EMBEDDING_CLASS: .*RUNDOWN_EMBEDDING_MODEL.*unset one"):
        run("search", "disk")


def test_one_whose_client_fails_is_unavailable(monkeypatch: pytest.MonkeyPatch):
    """So that whoever asks can go on without; neither may it lose a vector."""
    run("ingest", "docs")
    with pytest.raises(ModelUnavailable, match=r"our_embedding.Words.*failed: no route to host"):
        run("search", "unreachable")

    monkeypatch.setenv("RUNDOWN_EMBEDDING_CLASS", "our_embedding.Forgetful")
    with pytest.raises(RundownError, match="1 vectors for 2 texts"):
        run("index", "rebuild")
    assert run("index", "status")["generation"] == 1


@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        ("our_embedding.Nothing", {}, "install its package and check RUNDOWN_EMBEDDING_CLASS"),
        ("pathlib.Path", {}, "no LlamaIndex BaseEmbedding"),
        ("our_embedding.Words", {"size": "many", "api_key": "sk-x"}, "size: .*check RUNDOWN_EMBEDDING_OPTIONS"),
    ],
)
def test_one_that_cannot_be_used_says_why(
    monkeypatch: pytest.MonkeyPatch, path: str, options: dict[str, Any], why: str
):
    """And shows none of its options, of which one may be a key."""
    monkeypatch.setenv("RUNDOWN_EMBEDDING_CLASS", path)
    monkeypatch.setenv("RUNDOWN_EMBEDDING_OPTIONS", json.dumps(options))

    with pytest.raises(SettingsError, match=why) as refused:
        run("ingest", "docs")
    assert "sk-x" not in str(refused.value)


BASE = {
    "model": "m",
    "url": "https://a:b@host/v1",
    "api_key": "k",
    "timeout": 5,
    "more": {"headers": {"x": 1}, "dim": 3},
}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"api_key": "other", "timeout": 9, "embed_batch_size": 2}, True),
        ({"url": "https://c:d@host/v1", "more": {"dim": 3}}, True),
        ({"url": "https://a:b@elsewhere/v1"}, False),
        ({"model": "n"}, False),
        ({"more": {"dim": 4}}, False),
        ({"max_tokens": 5}, False),
    ],
)
def test_options_that_change_vectors_change_the_name(change: dict[str, Any], same: bool):
    """Keys, passwords and how it is reached in time do not."""
    assert (mark("a.B", {**BASE, **change}) == mark("a.B", BASE)) == same
    assert mark("a.C", BASE) != mark("a.B", BASE)
