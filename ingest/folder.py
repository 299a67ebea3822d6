"""A folder of documents.

Does: list every Markdown, AsciiDoc, HTML and text file below it, in order of path, once each; open only those whose size,
times or inode differ from when they were last stored.
Does not: follow links out of the folder or in circles, look into hidden folders, or take a file's time on disk for when
it was written: copying sets that. Does not see a change that leaves size, both times and inode as they were: what a file
system without change times lets `touch` hide, or a write stamped by a clock that ran more than 2 seconds behind ours.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from core.errors import DocumentError, UsageError
from core.settings import Settings
from ingest import files
from ingest.files import MAX_BYTES, address_of, is_document, make_document
from ingest.sources import NOTHING, Held, Listed, Skipped, usages

#: How files become documents (`ingest.files` and what it calls). Raise it when that changes: every file is read once more.
READING = "reading-2"
#: A file changed so shortly before it is read may change again without its time telling.
_UNSETTLED_NS = 2_000_000_000
USAGE = "folder:PATH"
READS = files.READS


def open(rest: str, settings: Settings) -> FolderSource:
    """The documents of "folder:PATH".

    Raises:
        UsageError, DocumentError: as `folder_at`.
    """
    return FolderSource(folder_at(rest), docs_url=settings.docs_url)


def folder_at(typed: str) -> Path:
    """The folder that a person named.

    Raises:
        UsageError: none is named.
        DocumentError: there is no folder of that name.
    """
    if not typed.strip():
        # An unset variable in a script must not index the folder it happens to run in.
        raise UsageError(
            f"cannot read documents from {typed!r}", why="no folder is named", way_out="give a path; . is this folder"
        )
    path = Path(typed).expanduser().absolute()
    if not path.is_dir():
        raise DocumentError(
            f"cannot read documents from {str(path)!r}",
            why="it is a file" if path.exists() else "it does not exist",
            way_out=f"give a folder of Markdown, HTML, AsciiDoc or text, a git repository of them, or one of: {usages()}",
        )
    return path


class FolderSource:
    """The documents below a folder; the id of each is its path relative to it.

    Args:
        path: the folder.
        docs_url: address that paths are relative to, to make links of them.
        clock_ns: the present, in nanoseconds since 1970, as files' times are written.
    """

    def __init__(self, path: Path, *, docs_url: str | None = None, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._root, self._docs_url, self._clock_ns = path.absolute(), docs_url, clock_ns

    @property
    def name(self) -> str:
        """ "folder:" and the absolute path."""
        return f"folder:{self._root}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Everything below the folder; of a file that is as it was when it was stored, only that it is.

        Raises:
            DocumentError: the folder itself cannot be listed.
        """
        if not self._root.is_dir():
            raise DocumentError(
                f"cannot read documents from {str(self._root)!r}",
                why="the folder is not there",
                way_out="check the path; what is indexed from it stays as it is",
            )
        for found in self._walk():
            yield found if isinstance(found, Skipped) else self._read(found, held)

    def _walk(self) -> Iterator[Path | Skipped]:
        """Files below the root: own ones first, then those only a link leads to."""
        unlisted: list[OSError] = []
        own: list[Path] = []
        links: list[Path] = []
        for folder, folders, names in os.walk(self._root, onerror=unlisted.append):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
            links += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
            for name in sorted(names):
                if is_document(name) and not name.startswith("."):
                    path = Path(folder, name)
                    (links if path.is_symlink() else own).append(path)
        for error in unlisted:
            yield self._unlisted(error)
        yield from sorted(own)
        if links:
            yield from self._through_links(links, seen={path.resolve() for path in own})

    def _unlisted(self, error: OSError) -> Skipped:
        where = Path(error.filename or self._root)
        if where == self._root:
            raise DocumentError(
                f"cannot list {str(self._root)!r}", why=error.strerror or str(error), way_out="check its permissions"
            ) from error
        return Skipped(doc_id=f"{self._id(where)}/", reason=error.strerror or str(error), unreadable=True)

    def _through_links(self, links: list[Path], seen: set[Path]) -> Iterator[Path | Skipped]:
        """Documents that only links lead to, unless they lead out of the folder."""
        root = self._root.resolve()
        for link in sorted(links):
            try:
                target = link.resolve(strict=True)
            except (OSError, RuntimeError) as error:
                reason = getattr(error, "strerror", None) or "the link leads in a circle"
                yield Skipped(doc_id=self._id(link), reason=f"a link that leads nowhere: {reason}", unreadable=True)
                continue
            if not target.is_relative_to(root):
                yield Skipped(doc_id=self._id(link), reason="a link that leads out of the folder")
            elif target.is_file() and target not in seen:
                seen.add(target)
                yield link

    def _id(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _read(self, path: Path, held: Mapping[str, str]) -> Listed:
        doc_id = self._id(path)
        try:
            doc_id.encode()
        except UnicodeEncodeError:
            printable = doc_id.encode(errors="backslashreplace").decode()
            return Skipped(doc_id=printable, reason="its name is not UTF-8")
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                return Skipped(doc_id=doc_id, reason="not a regular file")
            # Taken before the content: what is written while it is read has a later time.
            version = self._version(facts)
            if version is not None and held.get(doc_id) == version:
                return Held(doc_id=doc_id)
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            return Skipped(doc_id=doc_id, reason=error.strerror or str(error), unreadable=True)
        made = make_document(
            doc_id,
            data,
            source=self.name,
            root=self._root.name,
            url=address_of(self._docs_url, doc_id),
        )
        return made if isinstance(made, Skipped) else replace(made, version=version)

    def _version(self, facts: os.stat_result) -> str | None:
        """What changes when the document would; None while the file's times cannot be trusted yet."""
        if self._clock_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) < _UNSETTLED_NS:
            return None
        marks = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, self._docs_url or "")
        return " ".join((READING, *map(str, marks)))
