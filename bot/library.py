"""The library of documents over whichever generation of the index answers.

Does: open that generation with the embedding model it was made with; notice when another one answers, open it beside, and only
then let the old one go.
Does not: build generations (`bot.index_admin`), or decide which one answers: the store does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from bot.app import Library, make_retriever
from core.errors import IndexUnavailable, RundownError
from core.settings import Settings
from core.store import Generation, Store
from ingest.chunking import open_cutter
from ingest.sources import Source, open_source
from ingest.sync import Ingestor, SyncReport
from ingest.workers import sync_source
from retrieval.embedding import Embedder, open_configured
from retrieval.generations import Shelf, open_shelf

log = logging.getLogger(__name__)

#: Seconds that the one before stays open for searches under way.
GRACE_S = 30.0

#: How often one sync is done again because another generation took over while it ran. Two rebuilds do not end during one.
_ROUNDS = 2

#: The name of the source of our own past incidents, which only the store opens.
OWN_INCIDENTS = "rundown:incidents"

OpenModel = Callable[[str | None], Embedder]


@dataclass(kw_only=True)
class _Open:
    """A generation that this process has open."""

    generation: Generation
    library: Library
    embedder: Embedder
    #: How many syncs are filling it.
    users: int = 0
    #: When another took its place, on the monotonic clock.
    retired_at: float | None = None


class LiveLibrary:
    """The library that answers now. Safe to share between threads.

    Args:
        settings: where generations lie, and the model of the first.
        store: says which generation answers.
        open_model: makes an embedder of a generation's model; the one that the settings name unless given.
        shelf: where generations lie, if not where the settings say.
        grace_s: seconds that a replaced generation stays open.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        open_model: OpenModel | None = None,
        shelf: Shelf | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._settings, self._store, self._grace_s = settings, store, grace_s
        self._open_model = open_model or partial(open_configured, settings)
        self._shelf = shelf or open_shelf(settings)
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._now: _Open | None = None
        #: Numbers of generations that other readers were led to.
        self._published: set[int] = set()
        self._retired: list[_Open] = []
        self._closed = False

    def current(self) -> Library:
        """The library that answers; opened if none is.

        Raises:
            core.errors.RundownError: none is open yet, and it cannot be opened; or this was closed.
        """
        return self._opened().library

    def _opened(self) -> _Open:
        if self._now is None:
            self.refresh()
        now = self._now  # once: another thread may close meanwhile
        if now is None:
            raise _was_closed()
        return now

    @contextmanager
    def filling(self) -> Iterator[tuple[Store, Ingestor]]:
        """What a sync writes to, of the generation that answers when it begins; kept open until it ends."""
        self._opened()
        with self._lock:
            used = self._now
            if used is None:
                raise _was_closed()
            used.users += 1
        try:
            yield self._store.of_generation(used.generation.number), used.library.ingestor
            self._publish(used.generation)
        finally:
            with self._lock:
                used.users -= 1

    def sync(
        self, spec: str, *, source: Source | None = None, progress: Callable[[int], None] | None = None
    ) -> SyncReport:
        """Bring the generation that answers to what a source holds now; written down either way.

        Another that took its place meanwhile is brought there too: the rebuild may have read the source before us.

        Args:
            spec: what opens the source.
            source: it, if it is open already.

        Raises:
            core.errors.RundownError: as `ingest.sync.Ingestor.sync` does; or this was closed meanwhile.
        """
        source = source or open_known(spec, self._settings, self._store)
        for _ in range(_ROUNDS):
            with self.filling() as (store, ingestor):
                report = sync_source(store, ingestor, source, spec=spec, progress=progress)
            self.refresh()
            if self.current().ingestor is ingestor:
                break
        return report

    def refresh(self) -> bool:
        """Look which generation answers, and open it if it is another; whether it was.

        A generation that cannot be opened yet leaves the one before answering, and is tried again at the next look.

        Raises:
            core.errors.RundownError: none is open, and none can be opened; or this was closed.
        """
        with self._refreshing:
            if self._closed:  # what is opened now nobody would close, and it would lock the next process out
                raise _was_closed()
            self._close_retired()
            live = self._store.live_generation(self._settings.embedding)
            before = self._now
            if before is not None and before.generation.number == live.number:
                return False
            try:
                opened = self._open(live)
            except RundownError as error:
                if before is None:
                    raise
                log.warning("generation %s of the index answers, and cannot be opened here yet: %s", live.number, error)
                return False
            with self._lock:
                self._now = opened
                if before is not None:
                    before.retired_at = time.monotonic()
                    self._retired.append(before)
            if before is not None:
                self._publish(live)
            return before is not None

    def close(self) -> None:
        """Close every index that is open, for good: a sync that is still under way opens none anew."""
        with self._refreshing, self._lock:
            self._closed = True
            for opened in (*self._retired, *([self._now] if self._now else [])):
                opened.library.index.close()
            self._now, self._retired = None, []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, generation: Generation) -> _Open:
        known = self._now
        same = known is not None and known.generation.model == generation.model
        embedder = known.embedder if known and same else self._open_model(generation.model)
        library = library_of(self._settings, self._shelf, self._store, generation, embedder)
        if known is not None:  # what takes its place is ready to answer before it does
            try:
                library.retriever.warm()
            except BaseException:
                library.index.close()
                raise
        return _Open(generation=generation, library=library, embedder=embedder)

    def _publish(self, generation: Generation) -> None:
        """Lead other readers here, once: a first generation is there when something was stored, and a rebuild that was
        killed after it swapped left them behind. Our own searches do not need it.
        """
        live = self._store.live_generation(self._settings.embedding)
        if generation.number in self._published or generation.number != live.number:
            return
        try:
            if self._shelf.publish(generation.number):
                self._published.add(generation.number)
        except IndexUnavailable as error:
            log.warning("%s", error)

    def _close_retired(self) -> None:
        with self._lock:
            over = time.monotonic() - self._grace_s
            gone = [item for item in self._retired if not item.users and (item.retired_at or 0.0) <= over]
            self._retired = [item for item in self._retired if item not in gone]
        for item in gone:
            item.library.index.close()


def _was_closed() -> IndexUnavailable:
    return IndexUnavailable(
        "the index of documents was closed",
        why="Rundown is stopping, or the command that opened it ended",
        way_out="nothing is lost: the next sync goes on where this one stopped",
    )


def open_known(spec: str, settings: Settings, store: Store) -> Source:
    """The source that a spec names: any that a person may name, or our own past incidents.

    Raises:
        core.errors.UsageError: there is nothing that can be read.
    """
    if spec != OWN_INCIDENTS:
        return open_source(spec, settings)
    from ingest import own_incidents

    return own_incidents.open(store, settings)


def library_of(settings: Settings, shelf: Shelf, store: Store, generation: Generation, embedder: Any) -> Library:
    """The library over one generation. Nothing is opened before its first use."""
    index = shelf.index(generation.number)
    filled = Ingestor(store.of_generation(generation.number), index, embedder, cutter=open_cutter(settings))
    return Library(index=index, retriever=make_retriever(settings, store, index, embedder), ingestor=filled)
