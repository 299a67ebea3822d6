"""Bring the index to what a source holds now.

Does: redact, cut, embed and store what is new or changed; forget what is gone; leave alone what is as it was.
Does not: run on a schedule, or read sources itself.

What may go wrong halfway, and what then holds:
- The source cannot finish its list: its failure is raised before anything is forgotten.
- The process is killed: pieces are stored before the manifest says so, so the next run does that document again.
- The index was lost or made with another embedding model: what it holds is compared too, so everything is stored again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import DocumentError
from core.model import Document, to_json
from ingest.chunking import VERSION as CUT
from ingest.chunking import Piece, cut
from ingest.sources import Held, Listed, Skipped, Source
from retrieval.chunk import Chunk, Vectors, space_of
from retrieval.embedding import Embedder
from retrieval.index import VectorIndex
from retrieval.sparse import encode_name, encode_piece, spoken

if TYPE_CHECKING:
    from core.store import Store

log = logging.getLogger(__name__)

#: Pieces embedded together: enough for batches of like length, few enough that a kill loses little work.
_BATCH = 256
#: What the store's columns hold.
_MAX_ID = 512


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What one run did, in documents."""

    source: str
    added: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    #: What the source holds that did not become a document.
    skipped: tuple[Skipped, ...] = ()
    #: Of documents stored in this run: id, and what was taken out of it that a reader of the page would not see.
    hidden: tuple[tuple[str, str], ...] = ()

    @property
    def seen(self) -> int:
        """How many documents the source holds."""
        return self.added + self.updated + self.unchanged


class Ingestor:
    """Syncs sources into one index.

    Args:
        store: keeps the manifest of what is indexed.
        index: where pieces go.
        embedder: makes their vectors; with another one than before, everything is stored again.
    """

    def __init__(self, store: Store, index: VectorIndex, embedder: Embedder) -> None:
        self._store, self._index, self._embedder = store, index, embedder

    def sync(self, source: Source, progress: Callable[[int], None] | None = None) -> SyncReport:
        """Bring the index to what the source holds now. Doing it twice does nothing the second time.

        Args:
            progress: told how many documents are done, after each batch.

        Raises:
            core.errors.RundownError: the source could not finish its list, or the index or the store refused. What was
                stored until then stays, nothing was forgotten, and it is safe to run again.
        """
        run = _Run(self._store, self._index, self._embedder, source.name, progress or (lambda done: None))
        for item in source.documents(run.held):
            run.take(item)
        run.flush()
        run.forget_gone()
        return run.report

    def forget(self, source: str) -> int:
        """Forget everything of a source, by its name; how many documents that was."""
        known = self._store.manifest(source).keys() | self._index.digests(source).keys()
        for doc_id in sorted(known):
            self._index.delete(source, doc_id)
            self._store.forget_indexed(source, doc_id)
        return len(known)


class _Run:
    """One source being synced."""

    def __init__(
        self,
        store: Store,
        index: VectorIndex,
        embedder: Embedder,
        source: str,
        progress: Callable[[int], None],
    ) -> None:
        self._store, self._index, self._embedder = store, index, embedder
        self._source, self._progress = source, progress
        self._space = space_of(embedder)
        self._prepare()
        self.report = SyncReport(source=source)
        manifest, stored = store.manifest(source), index.digests(source)
        #: What the manifest and the index agree on. Anything else is stored again.
        self._sound = {doc_id: known for doc_id, known in manifest.items() if stored.get(doc_id) == known.digest}
        self._known = manifest.keys() | stored.keys()
        #: How documents are made into points now. A version that was stored otherwise is not told to the source.
        self._making = _short_digest(self._space, CUT)
        #: Document id to the source's version of it, for those that are stored as they would be stored now.
        self.held = {
            doc_id: known.version.removeprefix(f"{self._making} ")
            for doc_id, known in self._sound.items()
            if known.version is not None and known.version.startswith(f"{self._making} ")
        }
        self._kept: set[str] = set()
        self._pending: list[tuple[Document, str, list[Piece]]] = []

    def _prepare(self) -> None:
        held = self._index.space()
        if held not in (None, self._space):
            log.warning("the index was made with %s: rebuilding it with %s", held, self._space)
            self._index.reset()
        self._index.prepare(self._space, self._embedder.dimension)

    def take(self, item: Listed) -> None:
        """Look at one thing the source lists, and put it aside if it must be stored."""
        if isinstance(item, Held):
            self._keep(item)
            return
        if isinstance(item, Document) and (reason := self._unfit(item)):
            item = Skipped(doc_id=item.id, reason=reason)
        if isinstance(item, Skipped):
            self._skip(item)
            return
        self._kept.add(item.id)
        document = _clean(item)
        digest = _digest(document, self._space)
        sound = self._sound.get(document.id)
        if sound is not None and sound.digest == digest:
            if sound.version != self._version(document):
                self._remember(document, digest, sound.chunks)
            self.report = replace(self.report, unchanged=self.report.unchanged + 1)
            return
        self._pending.append((document, digest, cut(document.title, document.text)))
        if sum(len(pieces) for _, _, pieces in self._pending) >= _BATCH:
            self.flush()

    def _keep(self, item: Held) -> None:
        """A document that the source did not fetch, because it is as it was."""
        if item.doc_id not in self.held:
            raise DocumentError(
                f"cannot sync {self._source!r}",
                why=f"it says that {item.doc_id!r} is unchanged, which was never stored from it as it would be now",
                way_out="this is a defect of that source's reader: report it",
            )
        if item.doc_id not in self._kept:
            self._kept.add(item.doc_id)
            self.report = replace(self.report, unchanged=self.report.unchanged + 1)

    def _version(self, document: Document) -> str | None:
        return None if document.version is None else f"{self._making} {document.version}"

    def _remember(self, document: Document, digest: str, chunks: int) -> None:
        self._store.set_indexed(
            self._source, document.id, digest=digest, chunks=chunks, version=self._version(document)
        )

    def _unfit(self, document: Document) -> str:
        if document.id in self._kept:
            return "the source lists it twice"
        if len(document.id) > _MAX_ID:
            return f"its id has more than {_MAX_ID} characters"
        return "" if document.text.strip() else "empty"

    def _skip(self, item: Skipped) -> None:
        self.report = replace(self.report, skipped=(*self.report.skipped, item))
        if item.unreadable:
            below = item.doc_id if item.doc_id.endswith("/") else None
            self._kept |= {
                known for known in self._known if known == item.doc_id or (below and known.startswith(below))
            }

    def flush(self) -> None:
        """Embed and store what was put aside: the index first, the manifest after."""
        chunks = [
            _chunk(document, digest, self._space, piece, number=number, of=len(pieces))
            for document, digest, pieces in self._pending
            for number, piece in enumerate(pieces)
        ]
        meanings = self._embedder.embed_documents([_meaning(chunk) for chunk in chunks])
        for document, _, pieces in self._pending:
            if document.id in self._known:
                # First: what a document has lost may be what not everyone may read any more.
                self._index.delete(self._source, document.id, keep=len(pieces))
        self._index.put([(chunk, _vectors(chunk, meaning)) for chunk, meaning in zip(chunks, meanings, strict=True)])
        for document, digest, pieces in self._pending:
            self._remember(document, digest, len(pieces))
        fresh = sum(document.id not in self._known for document, _, _ in self._pending)
        self.report = replace(
            self.report,
            added=self.report.added + fresh,
            updated=self.report.updated + len(self._pending) - fresh,
            hidden=(
                *self.report.hidden,
                *((document.id, "; ".join(document.hidden)) for document, _, _ in self._pending if document.hidden),
            ),
        )
        self._pending.clear()
        self._progress(self.report.seen)

    def forget_gone(self) -> None:
        """Forget what the source no longer holds.

        Raises:
            DocumentError: it holds nothing any more and does not say why, which is more often a missing mount than a wish.
        """
        gone = self._known - self._kept
        closed = any(item.doc_id.endswith("/") and not item.unreadable for item in self.report.skipped)
        if gone and not self._kept and not closed:
            raise DocumentError(
                f"{self._source!r} holds no document any more",
                why=f"{len(gone)} are indexed from it, and none of them was found",
                way_out="check the path; to forget them all, run `rundown ingest --forget` with that source",
            )
        for doc_id in sorted(gone):
            self._index.delete(self._source, doc_id)
            self._store.forget_indexed(self._source, doc_id)
        self.report = replace(self.report, deleted=len(gone))


def _clean(document: Document) -> Document:
    """The document without what cannot be seen and without secrets. Everything after this sees only that."""
    from core.redaction import redact
    from ingest.concealed import conceal_report

    title, of_title = conceal_report(document.title)
    text, of_text = conceal_report(document.text)
    hidden = tuple(dict.fromkeys((*document.hidden, *of_title, *of_text)))
    return replace(document, title=redact(title), text=redact(text), hidden=hidden)


def _digest(document: Document, space: str) -> str:
    """What changes when anything stored of a document would. Its version alone is no change."""
    facts = [to_json(replace(document, version=None)), space, CUT]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _short_digest(*facts: str) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _chunk(document: Document, digest: str, space: str, piece: Piece, *, number: int, of: int) -> Chunk:
    return Chunk(
        source=document.source,
        doc_id=document.id,
        number=number,
        of=of,
        title=document.title,
        section=piece.section,
        text=piece.text,
        tier=document.tier,
        digest=digest,
        space=space,
        url=document.url,
        service=document.service,
        updated_at=document.updated_at,
        occurred_at=document.occurred_at,
        readers=document.readers,
        reviewed_at=document.reviewed_at,
        runbook_url=document.runbook_url,
    )


def _meaning(chunk: Chunk) -> str:
    """What the embedding model reads: where the piece stands, in words, and its text as it is."""
    return f"{spoken(' > '.join((chunk.title, *chunk.section)))}\n{chunk.text}"


def _vectors(chunk: Chunk, meaning: Sequence[float]) -> Vectors:
    return Vectors(
        meaning=tuple(meaning),
        words=encode_piece(chunk.told),
        name=encode_name(f"{chunk.title}\n{chunk.doc_id}") if chunk.number == 0 else None,
    )
