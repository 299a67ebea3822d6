"""Bring the index to what a source holds now.

Does: redact, cut, embed and store what is new or changed; forget what is gone; leave alone what is as it was.
Does not: run on a schedule, or read sources itself.

In which order, so that nobody waits for a model to read what others wrote: what fewer people may read now is taken out as soon
as the source lists it, and what is gone as soon as the list is complete. What is new or changed is put aside meanwhile and
embedded after that, what is indexed already before what is new. While a slow source is still listing, some of it is embedded
in between, for no longer than the listing itself takes. And while much is embedded, the source is asked again from time to
time what it holds: what went meanwhile goes then.

What may go wrong halfway, and what then holds:
- The source cannot finish its list: what it listed is stored, nothing is forgotten, and its failure is raised.
- The process is killed: pieces are stored before the manifest says so, so the next run does that document again.
- The index was lost or made with another embedding model: what it holds is compared too, so everything is stored again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.access import EVERYONE
from core.errors import DocumentError, RundownError
from core.model import Document, to_json
from core.store import Indexed
from ingest.chunking import Cutter, Piece, SectionCutter
from ingest.sources import Held, Listed, Skipped, Source, is_there
from retrieval.chunk import Chunk, Vectors, space_of
from retrieval.embedding import Embedder
from retrieval.index import VectorIndex
from retrieval.sparse import encode_name, encode_piece, spoken

if TYPE_CHECKING:
    from core.store import Store

log = logging.getLogger(__name__)

#: Pieces embedded together: enough for batches of like length, few enough that a kill loses little work.
_BATCH = 256
#: Seconds that listing must have taken longer than embedding before some is embedded in between. A folder is listed in fewer;
#: a service that gives a page a second is not begun anew after each kill.
_AHEAD_S = 10.0
#: Seconds of embedding after which the source is asked again, or as long as its list took if that was longer.
_ROUND_S = 20.0
#: Characters put aside at most: a source with more is embedded in between however fast it lists, as memory is finite.
_MOST_ASIDE = 200_000_000
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
        cutter: cuts documents into pieces; with another one than before, everything is stored again.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        index: VectorIndex,
        embedder: Embedder,
        *,
        cutter: Cutter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._index, self._clock = store, index, clock
        self._making = _Making(embedder=embedder, cutter=cutter or SectionCutter())

    def sync(self, source: Source, progress: Callable[[int], None] | None = None) -> SyncReport:
        """Bring the index to what the source holds now. Doing it twice does nothing the second time.

        Args:
            progress: told how many documents are done, after each batch.

        Raises:
            core.errors.RundownError: the source could not finish its list, or the index or the store refused. What was
                stored until then stays, and it is safe to run again. Nothing was forgotten unless the list was complete.
        """
        run = _Run(self._store, self._index, self._making, source.name, progress or (lambda done: None), self._clock)
        run.read(source)
        while not run.store_aside(for_s=max(_ROUND_S, run.listing_s)):
            run.read(source)
        return run.report

    def forget(self, source: str) -> int:
        """Forget everything of a source, by its name; how many documents that was."""
        known = self._store.manifest(source).keys() | self._index.digests(source).keys()
        for doc_id in sorted(known):
            self._index.delete(source, doc_id)
            self._store.forget_indexed(source, doc_id)
        return len(known)


@dataclass(frozen=True, kw_only=True)
class _Making:
    """What documents are made into points with."""

    embedder: Embedder
    cutter: Cutter


@dataclass(frozen=True, kw_only=True)
class _Changed:
    """A document that is to be stored."""

    document: Document
    digest: str
    pieces: Sequence[Piece]

    def chunks(self, space: str) -> list[Chunk]:
        """Its pieces as the index keeps them."""
        of = len(self.pieces)
        return [
            _chunk(self.document, self.digest, space, piece, number=number, of=of)
            for number, piece in enumerate(self.pieces)
        ]


class _Aside:
    """What waits to be embedded: documents that are indexed already come before new ones."""

    def __init__(self) -> None:
        self._known: deque[_Changed] = deque()
        self._new: deque[_Changed] = deque()
        self.pieces = self.characters = 0

    def __len__(self) -> int:
        return len(self._known) + len(self._new)

    def add(self, changed: _Changed, *, first: bool) -> None:
        """Put one in line, `first` for what answers already."""
        (self._known if first else self._new).append(changed)
        self._weigh(changed, 1)

    def take(self, pieces: float = math.inf) -> list[_Changed]:
        """The next in line, as many as have that many pieces together; all by default."""
        taken: list[_Changed] = []
        left = self.pieces - pieces
        while len(self) > 0 and self.pieces > left:
            taken.append((self._known or self._new).popleft())
            self._weigh(taken[-1], -1)
        return taken

    def _weigh(self, changed: _Changed, sign: int) -> None:
        self.pieces += sign * len(changed.pieces)
        self.characters += sign * len(changed.document.text)


class _Run:
    """One source being synced."""

    def __init__(
        self,
        store: Store,
        index: VectorIndex,
        making: _Making,
        source: str,
        progress: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self._store, self._index = store, index
        self._embedder, self._cutter = making.embedder, making.cutter
        self._source, self._progress, self._clock = source, progress, clock
        self._space = space_of(making.embedder)
        self._prepare()
        self.report = SyncReport(source=source)
        manifest, stored = store.manifest(source), index.digests(source)
        #: What the manifest and the index agree on. Anything else is stored again.
        self._sound = {doc_id: known for doc_id, known in manifest.items() if stored.get(doc_id) == known.digest}
        self._known = set(manifest.keys() | stored.keys())
        #: How documents are made into points now. A version that was stored otherwise is not told to the source.
        self._making = _short_digest(self._space, self._cutter.version)
        #: Document id to the source's version of it, for those that are stored as they would be stored now.
        self.held = {
            doc_id: known.version.removeprefix(f"{self._making} ")
            for doc_id, known in self._sound.items()
            if known.version is not None and known.version.startswith(f"{self._making} ")
        }
        self._kept: set[str] = set()
        #: What this run stored: an earlier list had it as new or changed, so that none counts it as unchanged.
        self._stored: set[str] = set()
        self._aside = _Aside()
        #: What an earlier list of this run had put aside, and this one has not named yet.
        self._waiting: dict[str, _Changed] = {}
        self._began, self._embedding_s = clock(), 0.0

    def _prepare(self) -> None:
        held = self._index.space()
        if held not in (None, self._space):
            log.warning("the index was made with %s: rebuilding it with %s", held, self._space)
            self._index.reset()
        self._index.prepare(self._space, self._embedder.dimension)

    @property
    def listing_s(self) -> float:
        """Seconds since the source was last asked what it holds, but for those spent on embedding."""
        return self._clock() - self._began - self._embedding_s

    def read(self, source: Source) -> None:
        """Look at everything that the source lists, and forget what it does not.

        Done again, what is still aside need not be fetched again, and goes if it is not listed any more.
        """
        self._waiting = {changed.document.id: changed for changed in self._aside.take()}
        self._kept, self.report = set(), replace(self.report, unchanged=0, skipped=())
        self._began, self._embedding_s = self._clock(), 0.0
        waiting = {doc_id: changed.document.version for doc_id, changed in self._waiting.items()}
        # A copy: what is stored while the source lists is none of its business.
        held = self.held | {doc_id: version for doc_id, version in waiting.items() if version is not None}
        try:
            for item in source.documents(held):
                self._take(item)
        except RundownError:
            # An hour of asking a slow service is not thrown away for the one answer that failed.
            self.store_aside()
            raise
        self._forget_gone()

    def _take(self, item: Listed) -> None:
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
        digest = _digest(document, self._space, self._cutter.version)
        sound = self._sound.get(document.id)
        if sound is not None and sound.digest == digest:
            if sound.version != self._version(document):
                self._remember(document, digest, sound.chunks)
            self._count_unchanged(document.id)
            return
        changed = _Changed(document=document, digest=digest, pieces=self._cutter.cut(document.title, document.text))
        self._waiting.pop(document.id, None)
        if document.id in self._known and self._is_narrower(changed):
            self._index.delete(self._source, document.id)
            # Until it is stored again, it is not as it was, whatever a later list says.
            self._sound.pop(document.id, None)
            self.held.pop(document.id, None)
        self._aside.add(changed, first=document.id in self._known)
        while self._aside.pieces >= _BATCH and (self._may_embed() or self._aside.characters > _MOST_ASIDE):
            self._store_batch()

    def _is_narrower(self, changed: _Changed) -> bool:
        """Whether somebody may read what is indexed of a document, and may not read it as it is now."""
        document = changed.document
        if EVERYONE in document.readers:
            return False
        if document.id not in self._sound:  # what is indexed of it may be of several times
            return True
        first = [chunk.id for chunk in changed.chunks(self._space)[:1]]
        indexed = self._index.pieces(first)
        return not indexed or not set(indexed[0].readers) <= set(document.readers)

    def _may_embed(self) -> bool:
        """Whether the source has taken so long that embedding in between does not hold up its deletes by much."""
        return self.listing_s - self._embedding_s >= _AHEAD_S

    def _keep(self, item: Held) -> None:
        """A document that the source did not fetch, because it is as it was."""
        if item.doc_id in self._kept:
            return
        if (changed := self._waiting.pop(item.doc_id, None)) is not None:
            self._kept.add(item.doc_id)
            self._aside.add(changed, first=item.doc_id in self._known)
            return
        if item.doc_id not in self.held:
            raise DocumentError(
                f"cannot sync {self._source!r}",
                why=f"it says that {item.doc_id!r} is unchanged, which was never stored from it as it would be now",
                way_out="this is a defect of that source's reader: report it",
            )
        self._kept.add(item.doc_id)
        self._count_unchanged(item.doc_id)

    def _count_unchanged(self, doc_id: str) -> None:
        if doc_id not in self._stored:
            self.report = replace(self.report, unchanged=self.report.unchanged + 1)

    def _version(self, document: Document) -> str | None:
        return None if document.version is None else f"{self._making} {document.version}"

    def _remember(self, document: Document, digest: str, chunks: int) -> None:
        version = self._version(document)
        self._store.set_indexed(self._source, document.id, digest=digest, chunks=chunks, version=version)
        self._known.add(document.id)
        self._sound[document.id] = Indexed(digest=digest, chunks=chunks, version=version)
        self.held.pop(document.id, None)
        if document.version is not None:
            self.held[document.id] = document.version

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

    def store_aside(self, *, for_s: float = math.inf) -> bool:
        """Embed and store what was put aside, for about so many seconds; whether that was everything."""
        began = self._clock()
        if len(self._aside) == 0:
            self._progress(self.report.seen)
        while len(self._aside) > 0:
            if self._clock() - began >= for_s:
                return False
            self._store_batch()
        return True

    def _store_batch(self) -> None:
        """Embed and store some of what was put aside: the index first, the manifest after."""
        batch, began = self._aside.take(_BATCH), self._clock()
        chunks = [chunk for changed in batch for chunk in changed.chunks(self._space)]
        meanings = self._embedder.embed_documents([_meaning(chunk) for chunk in chunks])
        for changed in batch:
            if changed.document.id in self._known:
                # First: what a document has lost may be what not everyone may read any more.
                self._index.delete(self._source, changed.document.id, keep=len(changed.pieces))
        self._index.put([(chunk, _vectors(chunk, meaning)) for chunk, meaning in zip(chunks, meanings, strict=True)])
        self._count([changed.document for changed in batch])
        for changed in batch:
            self._remember(changed.document, changed.digest, len(changed.pieces))
        self._embedding_s += self._clock() - began
        self._progress(self.report.seen)

    def _count(self, stored: Sequence[Document]) -> None:
        first = [document for document in stored if document.id not in self._stored]
        fresh = sum(document.id not in self._known for document in first)
        hidden = ((document.id, "; ".join(document.hidden)) for document in stored if document.hidden)
        self.report = replace(
            self.report,
            added=self.report.added + fresh,
            updated=self.report.updated + len(first) - fresh,
            hidden=(*self.report.hidden, *hidden),
        )
        self._stored.update(document.id for document in stored)

    def _forget_gone(self) -> None:
        """Forget what the source no longer holds.

        Raises:
            DocumentError: it holds nothing any more, does not say why, and cannot be seen to be there: more often a missing
                mount than a wish.
        """
        gone = self._known - self._kept
        closed = any(item.doc_id.endswith("/") and not item.unreadable for item in self.report.skipped)
        if gone and not self._kept and not closed and not is_there(self._source):
            raise DocumentError(
                f"{self._source!r} holds no document any more",
                why=f"{len(gone)} are indexed from it, and none of them was found",
                way_out="check the path; to forget them all, run `rundown ingest --forget` with that source",
            )
        for doc_id in sorted(gone):
            self._index.delete(self._source, doc_id)
            self._store.forget_indexed(self._source, doc_id)
            self._known.discard(doc_id)
            self._sound.pop(doc_id, None)
            self.held.pop(doc_id, None)
        self.report = replace(self.report, deleted=self.report.deleted + len(gone))


def _clean(document: Document) -> Document:
    """The document without what cannot be seen and without secrets. Everything after this sees only that."""
    from core.redaction import redact
    from ingest.concealed import conceal_report

    title, of_title = conceal_report(document.title)
    text, of_text = conceal_report(document.text)
    hidden = tuple(dict.fromkeys((*document.hidden, *of_title, *of_text)))
    return replace(document, title=redact(title), text=redact(text), hidden=hidden)


def _digest(document: Document, space: str, cut: str) -> str:
    """What changes when anything stored of a document would. Its version alone is no change."""
    facts = [to_json(replace(document, version=None)), space, cut]
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
        own_tier=dict(document.repeats).get(piece.section[-1]) if piece.section else None,
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
