"""Where documents come from: one protocol, and the choice of reader for what a person typed.

Does: define what a source promises (`Source`, `Skipped`, `Held`), find every kind of source there is, and open the right one.
Does not: read, convert or index documents; each source has its own module. Does not know one: it looks for them.

A new source is one file in this folder, or one module of an installed package that names it as an entry point of the group
"rundown.sources". It says `USAGE = "jira:PROJECT"`, on one line, and has an `open(rest, settings)` which returns a `Source` for what
follows the colon. One that reads files, whose path follows the colon, says in `READS` which. Settings of its own it reads itself.

A source promises three things that syncing with deletes rests on:
- `documents()` ends normally only after it listed everything there is. Whatever stops it halfway is raised.
- An id names the same document every time, and one document once.
- What is there but cannot be used is listed as `Skipped`, never left out in silence.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import ingest
from core.errors import UsageError
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


#: Entry points of this group name modules of other packages that are sources too.
GROUP = "rundown.sources"
#: How a module says that it is a source: what a person types, whose kind stands before the colon.
_USAGE = re.compile(r"""^USAGE(?:: \w+)? = (["'])(?P<usage>(?P<kind>[a-z][a-z0-9_-]+):.*)\1$""", re.MULTILINE)
#: What looks like a kind of source: longer than a drive's letter.
_KIND = re.compile(r"[a-z][a-z0-9_-]+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of source."""

    #: What a person types, for example "mediawiki:ADDRESS".
    usage: str
    #: The module that reads it.
    module: str


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of source there is, by what stands before the colon, in alphabetical order.

    Their modules are looked through, and not imported: one that needs a heavy or missing library costs nobody who does not use it.

    Raises:
        UsageError: two modules are of one kind, or an entry point names no module.
    """
    found: dict[str, Kind] = {}
    ours = [f"{ingest.__name__}.{module.name}" for module in pkgutil.iter_modules(ingest.__path__)]
    for module in (*ours, *(point.value for point in entry_points(group=GROUP))):
        told = _USAGE.search(_text_of(module))
        if told is None:
            continue
        if (other := found.get(told["kind"])) is not None:
            raise UsageError(
                f"cannot tell which source {told['kind']}: is",
                why=f"{other.module} and {module} both say that they are",
                way_out="give one of them another name before the colon in its USAGE",
            )
        found[told["kind"]] = Kind(usage=told["usage"], module=module)
    return MappingProxyType(dict(sorted(found.items())))


def _text_of(module: str) -> str:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise UsageError(
            f"cannot find the source {module}",
            why=f"an installed package names it as an entry point of {GROUP}, and there is no such module",
            way_out="install that package anew, or remove it",
        )
    return getattr(spec.loader, "get_source", lambda _: "")(module) or ""


def usages() -> str:
    """What a person may type for each kind, in words."""
    return ", ".join(kind.usage for kind in kinds().values())


def what_is_read(name: str) -> str:
    """Which kinds of file a source of that name reads, in words; "" for a service."""
    kind = kinds().get(name.partition(":")[0])
    return "" if kind is None else str(getattr(importlib.import_module(kind.module), "READS", ""))


def is_there(name: str) -> bool:
    """Whether a source of files that lists no document is there all the same, by its name.

    An unmounted disk is an empty folder. One with other files is mounted, and so is a work tree.
    """
    if not what_is_read(name):
        return False
    root = Path(name.partition(":")[2])
    return (
        root.is_file()
        or (root / ".git").exists()
        or any(not file.startswith(".") for _, _, files in os.walk(root) for file in files)
    )


def open_source(spec: str | Path, settings: Settings | None = None) -> Source:
    """The reader for what a person named.

    Args:
        spec: a kind of source, a colon, and what of it. Or a path: a folder of documents, or a git repository (a work tree's root
            or a bare one), which is read at its HEAD.
        settings: addresses and keys of services, and the address that document paths are relative to; those of this
            process unless given.

    Raises:
        DocumentError: there is nothing that can be read at that path.
        SettingsError: a service is not configured.
        UsageError: what follows the colon names nothing, or what stands before it is no kind of source.
    """
    kind, separator, rest = str(spec).partition(":")
    if not separator or kind not in kinds():
        kind, rest = _kind_of_path(str(spec)), str(spec)
    opened: Source = importlib.import_module(kinds()[kind].module).open(rest, settings or read_settings())
    return opened


def _kind_of_path(typed: str) -> str:
    from ingest.git_docs import is_repository

    path = Path(typed).expanduser()
    prefix, separator, _ = typed.partition(":")
    if separator and _KIND.fullmatch(prefix) and not path.exists():
        raise UsageError(
            f"cannot read documents from {typed!r}",
            why=f"{prefix!r} is an unknown kind of source, and no folder has that name",
            way_out=f"give a folder, or one of: {usages()}",
        )
    return "git" if is_repository(path) else "folder"
