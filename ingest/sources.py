"""Where documents come from: one protocol, and the choice of reader for a folder or repository.

Does: define what a source promises (`Source`, `Skipped`, `Held`), and open the right reader for what a person typed. A new
source is one module with an `open(rest, settings)`, and a line in `_KINDS`.
Does not: read, convert or index documents; each source has its own module.

A source promises three things that syncing with deletes rests on:
- `documents()` ends normally only after it listed everything there is. Whatever stops it halfway is raised.
- An id names the same document every time, and one document once.
- What is there but cannot be used is listed as `Skipped`, never left out in silence.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from core.errors import DocumentError, UsageError
from core.model import Document
from core.settings import Settings, read_settings


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Something a source holds that did not become a document."""

    #: The id it would have had. One that ends in "/" stands for everything below it.
    doc_id: str
    #: In words: "not text", "empty", "permission denied".
    reason: str
    #: Whether its content could not be seen, so that what is indexed of it from earlier stays. Of what ends in "/" and is not
    #: unreadable, the source says that nothing may be indexed any more, though it be everything.
    unreadable: bool = False


@dataclass(frozen=True, kw_only=True)
class Held:
    """A document that is as it was when it was last stored, so that nobody fetched it again."""

    doc_id: str


#: What a source lists.
Listed = Document | Skipped | Held
#: Of nothing is known what was stored.
NOTHING: Mapping[str, str] = MappingProxyType({})


class Source(Protocol):
    """Anything that can list all its documents."""

    @property
    def name(self) -> str:
        """Stable name of the source, for example "folder:/srv/runbooks"; `Document.source` of everything it lists."""
        ...

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Everything there is, once each.

        Args:
            held: document id to the `Document.version` with which it is stored. Of one that still has that version, `Held`
                is enough.

        Raises:
            core.errors.RundownError: the list cannot be completed. Nothing may be concluded from what came before.
        """
        ...


class ListSource:
    """The fake: lists what it was given. An exception among it is raised when its turn comes.

    Args:
        name: the source's name; documents are listed as its own, whatever source they tell.
    """

    def __init__(self, name: str, *items: Listed | Exception) -> None:
        self.name, self.items = name, list(items)

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """What it was given, in order; of a document with the version that is held, only that it is."""
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, Document) and item.version is not None and held.get(item.id) == item.version:
                yield Held(doc_id=item.id)
            else:
                yield replace(item, source=self.name) if isinstance(item, Document) else item


#: What stands before the colon, and the module that reads it.
_KINDS = {
    "confluence": "ingest.confluence",
    "mediawiki": "ingest.mediawiki",
    "pagerduty": "ingest.pagerduty",
    "prometheus": "ingest.prometheus",
}
#: Sources of files, and the module that says which kinds it reads.
_FILES = {"folder": "ingest.files", "git": "ingest.files", "prometheus": "ingest.prometheus"}
#: What looks like a kind of source: longer than a drive's letter.
_KIND = re.compile(r"[a-z][a-z0-9_-]+", re.IGNORECASE)


def what_is_read(name: str) -> str:
    """Which kinds of file a source of that name reads, in words; "" for a service."""
    kind = name.partition(":")[0]
    return str(importlib.import_module(_FILES[kind]).READS) if kind in _FILES else ""


def is_there(name: str) -> bool:
    """Whether a source of files that lists no document is there all the same, by its name.

    An unmounted disk is an empty folder. One with other files is mounted, and so is a work tree; a repository that is
    read at its HEAD has one.
    """
    kind, _, path = name.partition(":")
    if kind == "git":
        return True
    if kind not in _FILES:
        return False
    root = Path(path)
    return (
        root.is_file()
        or (root / ".git").exists()
        or any(not file.startswith(".") for _, _, files in os.walk(root) for file in files)
    )


def open_source(spec: str | Path, settings: Settings | None = None) -> Source:
    """The reader for what a person named.

    Args:
        spec: a folder of documents, or a git repository (a work tree's root or a bare one), which is read at its HEAD.
            "folder:PATH" and "git:PATH" say which is meant. Or a service: its kind, a colon, and what of it.
        settings: addresses and keys of services, and the address that document paths are relative to; those of this
            process unless given.

    Raises:
        DocumentError: there is nothing that can be read at that path.
        SettingsError: a service is not configured.
        UsageError: what follows the colon names nothing, or what stands before it is no kind of source.
    """
    kind, separator, rest = str(spec).partition(":")
    settings = settings or read_settings()
    if separator and kind in _KINDS:
        opened: Source = importlib.import_module(_KINDS[kind]).open(rest, settings)
        return opened
    return _open_path(str(spec), settings.docs_url)


def _open_path(spec: str, docs_url: str | None) -> Source:
    from ingest.folder import FolderSource
    from ingest.git_docs import GitSource, is_repository

    kind, path = _split(spec)
    prefix, separator, _ = spec.partition(":")
    if kind is None and separator and _KIND.fullmatch(prefix) and not path.exists():
        known = ", ".join(f"{kind}:" for kind in sorted((*_KINDS, "folder", "git")))
        raise UsageError(
            f"cannot read documents from {spec!r}",
            why=f"{prefix!r} is an unknown kind of source, and no folder has that name",
            way_out=f"give a folder, or one of: {known}",
        )
    if not path.is_dir():
        raise DocumentError(
            f"cannot read documents from {str(path)!r}",
            why="it is a file" if path.exists() else "it does not exist",
            way_out="give a folder of Markdown, HTML, AsciiDoc or text, a git repository of them, or one of: "
            + ", ".join(f"{kind}:" for kind in _KINDS),
        )
    if kind == "git" or (kind is None and is_repository(path)):
        return GitSource(path, docs_url=docs_url)
    return FolderSource(path, docs_url=docs_url)


def _split(spec: str) -> tuple[str | None, Path]:
    kind, separator, rest = spec.partition(":")
    named = rest if separator and kind in ("folder", "git") else spec
    if not named.strip():
        # An unset variable in a script must not index the folder it happens to run in.
        raise UsageError(
            f"cannot read documents from {spec!r}", why="no folder is named", way_out="give a path; . is this folder"
        )
    if separator and kind in ("folder", "git"):
        return kind, Path(rest).expanduser().absolute()
    return None, Path(spec).expanduser().absolute()
