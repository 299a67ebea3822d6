"""What every source of files owes the index: an edit, a deletion and a change of readers are there after the next sync.

Confluence, MediaWiki and PagerDuty have the same test beside their others, against their stand-ins.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core import SimpleDirectoryReader

from core.access import Audience
from core.store import Store
from ingest.llamaindex import ReaderSource
from ingest.sources import Source, open_source
from ingest.sync import Ingestor
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

TEAM, OTHERS = Audience.of(["group:sre"]), Audience.of(["group:sales"])


@pytest.fixture(name="index")
def _index(tmp_path: Path) -> Iterator[EdgeIndex]:
    index = EdgeIndex(tmp_path / "index")
    yield index
    index.close()


def write(folder: Path, name: str, words: str, *readers: str) -> None:
    """A page, of rules or of text, and who may read it."""
    if folder.name == "prometheus":
        rule = f"groups: [{{name: a, rules: [{{alert: {name}, expr: up == 0, annotations: {{summary: {words}}}}}]}}]\n"
        (folder / f"{name}.yaml").write_text(rule)
    else:
        front = f"---\nreaders: [{', '.join(readers)}]\n---\n" if readers else ""
        (folder / f"{name}.md").write_text(f"{front}# {name}\n\n{words} is full\n")


def opened(folder: Path, *readers: str) -> Source:
    """The folder as the source that its name says; a repository after everything in it is committed."""
    if folder.name == "llamaindex":
        return ReaderSource(
            SimpleDirectoryReader(str(folder)), "llamaindex:docs", readers=readers or ("group:sre", "group:sales")
        )
    if folder.name == "git":
        for args in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "all"]):
            subprocess.run(["git", "-C", str(folder), *args], check=True)
    return open_source(f"{folder.name}:{folder}")


@pytest.mark.parametrize(
    ("kind", "second"),
    [("folder", (0, 2, 1, 1)), ("git", (0, 2, 1, 1)), ("llamaindex", (0, 3, 1, 0)), ("prometheus", (0, 1, 1, 2))],
)
def test_what_was_edited_deleted_or_closed_is_so_after_the_next_sync(
    tmp_path: Path, store: Store, index: EdgeIndex, kind: str, second: tuple[int, int, int, int]
):
    """Through store and index, for those who may read a page before and after. A reader of LlamaIndex is closed as a whole."""
    folder, embedder = tmp_path / kind, HashEmbedder(64)
    folder.mkdir()
    ingestor, retriever = Ingestor(store, index, embedder), Retriever(index, embedder)
    names = ("kept", "edited", "closed", "deleted")
    for name in names:
        write(folder, name, "disk", "group:sre", "group:sales")

    def found(words: str, audience: Audience) -> set[str]:
        hits = retriever.search(words, audience=audience)
        return {name for hit in hits for name in names if name in Path(f"{hit.doc_id}").name and words in hit.text}

    first, again = (ingestor.sync(opened(folder)) for _ in range(2))
    before = found("disk", OTHERS)
    write(folder, "edited", "memory", "group:sre", "group:sales")
    (folder / next(path.name for path in folder.glob("deleted.*"))).unlink()
    if kind != "prometheus":
        write(folder, "closed", "disk", "group:sre")
    report = ingestor.sync(opened(folder, "group:sre"))

    assert [(r.added, r.updated, r.deleted, r.unchanged) for r in (first, again, report)] == [
        (4, 0, 0, 0), (0, 0, 0, 4), second,
    ]  # fmt: skip
    assert before == set(names)
    assert found("memory", TEAM) == {"edited"}
    assert found("disk", TEAM) == {"kept", "closed"}
    assert found("disk", OTHERS) == {"folder": {"kept"}, "git": {"kept"}, "llamaindex": set()}.get(
        kind, {"kept", "closed"}
    )
