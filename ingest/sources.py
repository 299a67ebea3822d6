"""Where documents come from: one protocol, and the choice of reader for a folder or repository.

Does: define what a source promises (`Source`, `Skipped`), and open the right reader for what a person typed.
Does not: read, convert or index documents; each source has its own module.

A source promises three things that syncing with deletes rests on:
- `documents()` ends normally only after it listed everything there is. Whatever stops it halfway is raised.
- An id names the same document every time, and one document once.
- What is there but cannot be used is listed as `Skipped`, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from core.errors import DocumentError
from core.model import Document


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Something a source holds that did not become a document."""

    #: The id it would have had. One that ends in "/" stands for everything below it.
    doc_id: str
    #: In words: "not text", "empty", "permission denied".
    reason: str
    #: Whether its content could not be seen, so that what is indexed of it from earlier stays.
    unreadable: bool = False


class Source(Protocol):
    """Anything that can list all its documents."""

    @property
    def name(self) -> str:
        """Stable name of the source, for example "folder:/srv/runbooks"; `Document.source` of everything it lists."""
        ...

    def documents(self) -> Iterator[Document | Skipped]:
        """Everything there is, once each.

        Raises:
            core.errors.RundownError: the list cannot be completed. Nothing may be concluded from what came before.
        """
        ...


class ListSource:
    """The fake: lists what it was given. An exception among it is raised when its turn comes.

    Args:
        name: the source's name; documents are listed as its own, whatever source they tell.
    """

    def __init__(self, name: str, *items: Document | Skipped | Exception) -> None:
        self.name, self.items = name, list(items)

    def documents(self) -> Iterator[Document | Skipped]:
        """What it was given, in order."""
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield replace(item, source=self.name) if isinstance(item, Document) else item


def open_source(spec: str | Path, *, docs_url: str | None = None) -> Source:
    """The reader for a path.

    Args:
        spec: a folder of documents, or a git repository (a work tree's root or a bare one), which is read at its HEAD.
            "folder:PATH" and "git:PATH" say which is meant.
        docs_url: address that document paths are relative to, to make links of them.

    Raises:
        DocumentError: there is nothing that can be read at that path.
    """
    from ingest.folder import FolderSource
    from ingest.git_docs import GitSource, is_repository

    kind, path = _split(str(spec))
    if not path.is_dir():
        raise DocumentError(
            f"cannot read documents from {str(path)!r}",
            why="it is a file" if path.exists() else "it does not exist",
            way_out="give a folder of Markdown, HTML, AsciiDoc or text, or a git repository of them",
        )
    if kind == "git" or (kind is None and is_repository(path)):
        return GitSource(path, docs_url=docs_url)
    return FolderSource(path, docs_url=docs_url)


def _split(spec: str) -> tuple[str | None, Path]:
    kind, separator, rest = spec.partition(":")
    if separator and kind in ("folder", "git"):
        return kind, Path(rest).expanduser().absolute()
    return None, Path(spec).expanduser().absolute()
