"""A folder of documents.

Does: list every Markdown, AsciiDoc, HTML and text file below it, in order of path, once each.
Does not: follow links out of the folder or in circles, look into hidden folders, or take a file's time on disk for when
it was written: copying sets that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.errors import DocumentError
from core.model import Document
from ingest.files import MAX_BYTES, address_of, is_document, make_document
from ingest.sources import NOTHING, Skipped


class FolderSource:
    """The documents below a folder; the id of each is its path relative to it.

    Args:
        path: the folder.
        docs_url: address that paths are relative to, to make links of them.
    """

    def __init__(self, path: Path, *, docs_url: str | None = None) -> None:
        self._root, self._docs_url = path.absolute(), docs_url

    @property
    def name(self) -> str:
        """ "folder:" and the absolute path."""
        return f"folder:{self._root}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Document | Skipped]:
        """Everything below the folder.

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
            yield found if isinstance(found, Skipped) else self._read(found)

    def _walk(self) -> Iterator[Path | Skipped]:
        """Files below the root: own ones first, then those only a link leads to."""
        unlisted: list[OSError] = []
        own: list[Path] = []
        links: list[Path] = []
        for folder, folders, files in os.walk(self._root, onerror=unlisted.append):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
            links += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
            for name in sorted(files):
                if is_document(name) and not name.startswith("."):
                    path = Path(folder, name)
                    (links if path.is_symlink() else own).append(path)
        for error in unlisted:
            yield self._unlisted(error)
        yield from sorted(own)
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

    def _read(self, path: Path) -> Document | Skipped:
        doc_id = self._id(path)
        try:
            doc_id.encode()
        except UnicodeEncodeError:
            printable = doc_id.encode(errors="backslashreplace").decode()
            return Skipped(doc_id=printable, reason="its name is not UTF-8")
        if not path.is_file():
            return Skipped(doc_id=doc_id, reason="not a regular file")
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            return Skipped(doc_id=doc_id, reason=error.strerror or str(error), unreadable=True)
        return make_document(
            doc_id,
            data,
            source=self.name,
            root=self._root.name,
            url=address_of(self._docs_url, doc_id),
        )
