"""The examples of docs/retrieval.md work as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ingest
from ingest.sources import kinds
from retrieval.embedding import HashEmbedder
from retrieval.llamaindex import as_llama_embedding

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
PAGE = (Path(__file__).parents[2] / "docs/retrieval.md").read_text()
READER, PROGRAM = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


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
