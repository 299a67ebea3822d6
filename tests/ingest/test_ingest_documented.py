"""The examples of docs/retrieval.md work as they stand there."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ingest
from bot.cli import app
from ingest.sources import kinds
from retrieval.embedding import HashEmbedder
from retrieval.llamaindex import as_llama_embedding

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
PAGE = (Path(__file__).parents[2] / "docs/retrieval.md").read_text()
READER, PROGRAM, EMBEDDING, RETRIEVER = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(name="_handbook")
def _handbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The documented source among ours, over a folder of two pages that the program finds."""
    (tmp_path / "among/handbook.py").parent.mkdir()
    (tmp_path / "among/handbook.py").write_text(READER)
    (tmp_path / "handbook/more").mkdir(parents=True)
    (tmp_path / "handbook/disk.md").write_text("# Disk\n\n## Fix\n\nDisk full: delete old segments.")
    (tmp_path / "handbook/more/dns.md").write_text("# DNS\n\nResolver timeout.")
    monkeypatch.setattr(ingest, "__path__", [*ingest.__path__, str(tmp_path / "among")])
    monkeypatch.chdir(tmp_path)
    kinds.cache_clear()
    yield
    kinds.cache_clear()
    sys.modules.pop("ingest.handbook", None)


@pytest.mark.usefixtures("_handbook")
def test_parts_of_llamaindex_as_documented():
    """A reader as a source, an embedding in a program, and our search as its retriever."""
    known: dict[str, Any] = {"embedding": as_llama_embedding(HashEmbedder())}

    exec(PROGRAM, known)

    first = known["nodes"][0]
    assert [Path(node.metadata["doc_id"]).name for node in known["nodes"]] == ["disk.md", "dns.md"]
    assert (first.metadata["section"], first.node.get_content()) == ("Disk > Fix", "Disk full: delete old segments.")


def run(*arguments: str) -> Any:
    """What a command prints as JSON."""
    ran = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


@pytest.fixture(name="our")
def _our(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of an operator's own, to be written, and two pages."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/disk.md").write_text("# Disk\n\nDisk of the broker full: delete old segments.\n")
    (tmp_path / "docs/pool.md").write_text("# Postgres\n\nPostgres has no free connection: raise the pool.\n")
    (tmp_path / "package").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "package")
    yield tmp_path / "package/our.py"
    sys.modules.pop("our", None)


class Embedding(BaseHTTPRequestHandler):
    """The service that the documented embedding asks."""

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["texts"]
        raw = json.dumps({"vectors": HashEmbedder().embed_documents(texts)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


def test_an_embedding_as_documented(our: Path, monkeypatch: pytest.MonkeyPatch):
    """By its class, asked over HTTP for documents and for questions."""
    our.write_text(EMBEDDING)
    with ThreadingHTTPServer(("127.0.0.1", 0), Embedding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {"url": f"http://127.0.0.1:{server.server_port}/embed"}
        monkeypatch.setenv("RUNDOWN_EMBEDDING_CLASS", "our.Service")
        monkeypatch.setenv("RUNDOWN_EMBEDDING_OPTIONS", json.dumps(options))
        run("ingest", "docs")
        found, told = run("search", "no free connection in Postgres"), run("index", "status")
        server.shutdown()

    assert (found[0]["doc_id"], found[0]["score"] > 0.45) == ("pool.md", True)
    assert told["space"].startswith("our.Service#")


def test_a_retriever_as_documented(our: Path, monkeypatch: pytest.MonkeyPatch):
    """By its class, over what any embedding stored: words that a team abbreviates are spelt out."""
    our.write_text(RETRIEVER)
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")
    run("ingest", "docs")
    plain = run("search", "pg pool")
    monkeypatch.setenv("RUNDOWN_RETRIEVER_CLASS", "our.Abbreviations")
    monkeypatch.setenv("RUNDOWN_RETRIEVER_OPTIONS", '{"words": {"pg": "Postgres"}}')
    spelt = run("search", "pg pool", "--explain")

    assert [found[0]["doc_id"] for found in (plain, spelt)] == ["pool.md", "pool.md"]
    assert spelt[0]["score"] > plain[0]["score"]
    assert {item["why"]["placed_by"] for item in spelt} == {"our.Abbreviations"}
