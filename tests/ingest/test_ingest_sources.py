"""What every source promises, over each reader and the fake; and which reader a path gets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.errors import DocumentError, UsageError
from core.model import Document, Tier
from ingest import files, prometheus
from ingest.folder import FolderSource
from ingest.git_docs import GitSource
from ingest.sources import Held, ListSource, Skipped, Source, open_source, what_is_read


def page(doc_id: str, text: str = "words") -> Document:
    return Document(id=doc_id, source="", title=doc_id, text=text, tier=Tier.WIKI)


@pytest.fixture(name="source", params=["folder", "git", "list"])
def _source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A source of two documents and one thing that is none."""
    if request.param == "list":
        return ListSource("list:test", page("a.md"), page("b/c.md"), Skipped(doc_id="d.md", reason="empty"))
    docs = tmp_path / "docs"
    (docs / "b").mkdir(parents=True)
    for name, text in (("a.md", "words"), ("b/c.md", "words"), ("d.md", "")):
        (docs / name).write_text(text)
    if request.param == "folder":
        return FolderSource(docs)
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(docs), *args], check=True)
    return GitSource(docs)


def test_a_source_lists_everything_once_and_again(source: Source):
    """Ids are its own, unique and stable; documents name it; what is none is named."""
    first, second = list(source.documents()), list(source.documents())
    documents = [item for item in first if isinstance(item, Document)]

    assert first == second
    assert [(item.id, item.text, item.source) for item in documents] == [
        ("a.md", "words", source.name), ("b/c.md", "words", source.name),
    ]  # fmt: skip
    assert [item for item in first if isinstance(item, Skipped)] == [Skipped(doc_id="d.md", reason="empty")]


def test_the_fake_fails_where_it_is_told_to():
    """After what came before it."""
    source = ListSource("list:test", page("a.md"), DocumentError("gone"), page("b.md"))
    seen: list[Any] = []

    with pytest.raises(DocumentError, match="gone"):
        seen.extend(iter(source.documents()))

    assert [item.id for item in seen] == ["a.md"]


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("repo", "git"), ("folder:repo", "folder"), ("repo/wiki", "folder"), ("plain", "folder"), ("git:repo", "git")],
)
def test_a_path_gets_its_reader(tmp_path: Path, spec: str, kind: str):
    """A repository's root is read at its HEAD, anything else as a folder, unless it is said."""
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    (tmp_path / "repo/wiki").mkdir()
    (tmp_path / "plain").mkdir()

    assert open_source(spec).name.partition(":") == (
        kind,
        ":",
        str(tmp_path / spec.partition(":")[2] if ":" in spec else tmp_path / spec),
    )


@pytest.mark.parametrize(
    ("spec", "why"), [("none", "does not exist"), ("file.md", "it is a file"), ("git:none", "does not exist")]
)
def test_a_path_with_nothing_to_read_is_refused(tmp_path: Path, spec: str, why: str):
    """What, why, and what to give instead."""
    (tmp_path / "file.md").write_text("x")

    with pytest.raises(DocumentError, match=rf"{why}.*folder of Markdown"):
        open_source(spec)


def test_a_source_is_told_what_is_stored_and_need_not_fetch_it(tmp_path: Path):
    """The fake keeps the promise: a document whose version is held is only said to be as it was."""
    kept, changed = (Document(id=name, source="", title=name, text="x", tier=Tier.WIKI, version="2") for name in "ab")
    source = ListSource("list:test", kept, changed)

    assert [type(item) for item in source.documents({"a": "2", "b": "1"})] == [Held, Document]


@pytest.mark.parametrize("spec", ["", " ", "folder:", "git: "])
def test_nothing_named_is_not_the_folder_we_happen_to_be_in(spec: str):
    """An unset variable in a script publishes nothing."""
    with pytest.raises(UsageError, match="no folder is named"):
        open_source(spec)


@pytest.mark.parametrize("spec", ["jira:X", "https://wiki.example.org", "confluenc:OPS"])
def test_an_unknown_kind_of_source_is_told_with_those_that_are_known(spec: str):
    """It is no misspelt folder to most who type it."""
    with pytest.raises(
        UsageError, match=rf"'{spec.partition(':')[0]}' is an unknown kind.*confluence:, folder:PATH, git:PATH"
    ):
        open_source(spec)


def test_a_folder_may_have_a_colon_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is there is read."""
    (tmp_path / "docs:old").mkdir()
    monkeypatch.chdir(tmp_path)

    assert open_source("docs:old").name == f"folder:{tmp_path / 'docs:old'}"


def test_what_files_a_source_reads_is_known_by_its_name():
    """A service reads none."""
    told = [what_is_read(name) for name in ("folder:/a", "git:/a", "prometheus:/a", "pagerduty:api")]

    assert [words[:8] for words in told] == ["Markdown", "Markdown", "files wi", ""]


def test_every_kind_of_file_that_is_named_is_read():
    """Those that people are told of, by their endings."""
    named = {module: set(re.findall(r"\.[a-z]+", module.READS)) for module in (files, prometheus)}

    assert [bool(found) and found <= set(module.SUFFIXES) for module, found in named.items()] == [True, True]
