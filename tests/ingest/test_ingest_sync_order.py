"""In which order a sync does its work: what must not be read any more goes before a model reads what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from core.access import PUBLIC, Audience
from core.errors import DocumentError
from core.model import Document, Tier
from core.store import Store
from ingest.sources import NOTHING, Listed, ListSource
from ingest.sync import Ingestor, SyncReport
from retrieval.chunk import Scope
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex

SOURCE = "list:docs"


class WatchedEmbedder(HashEmbedder):
    """The fake, which calls `before` with what it is about to embed."""

    def __init__(self) -> None:
        super().__init__(64)
        self.before: Callable[[Sequence[str]], None] = lambda texts: None

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.before(texts)
        return super().embed_documents(texts)


@pytest.fixture(name="embedder")
def _embedder() -> WatchedEmbedder:
    return WatchedEmbedder()


def page(doc_id: str, text: str = "broker disk full", **changes: Any) -> Document:
    return Document(id=doc_id, source=SOURCE, title=doc_id, text=text, tier=Tier.RUNBOOK, **changes)


def seen(index: EdgeIndex, doc_id: str, audience: Audience = PUBLIC) -> bool:
    return bool(index.document(Scope(audience=audience, document=(SOURCE, doc_id))))


def test_what_is_gone_or_private_now_is_not_found_while_the_rest_is_embedded(
    store: Store, index: EdgeIndex, embedder: WatchedEmbedder
):
    """Though the source lists it after hundreds of new documents: the model reads those when it is out of all answers."""
    ingestor = Ingestor(store, index, embedder)
    ingestor.sync(ListSource(SOURCE, page("gone.md"), page("private.md"), page("stays.md")))
    told: list[list[bool]] = []
    embedder.before = lambda texts: told.append([seen(index, f"{n}.md") for n in ("gone", "private", "stays")])

    report = ingestor.sync(
        ListSource(
            SOURCE, *(page(f"new/{n}.md") for n in range(600)), page("stays.md"), page("private.md", readers=("C1",))
        )
    )

    assert told == [[False, False, True]] * 3
    assert report == SyncReport(source=SOURCE, added=600, updated=1, deleted=1, unchanged=1)
    assert seen(index, "private.md", Audience.of(("C1",)))


def test_what_answers_already_is_embedded_before_what_is_new(store: Store, index: EdgeIndex, embedder: WatchedEmbedder):
    """An update listed last stands in the first batch."""
    ingestor = Ingestor(store, index, embedder)
    ingestor.sync(ListSource(SOURCE, page("old.md")))
    batches: list[Sequence[str]] = []
    embedder.before = batches.append

    ingestor.sync(ListSource(SOURCE, *(page(f"{n}.md") for n in range(300)), page("old.md", "renew certificates")))

    assert [[text.endswith("renew certificates") for text in batch].count(True) for batch in batches] == [1, 0]


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (("C1",), ("C1", "C2"), True),
        (("C1", "C2"), ("C1",), False),
        (("*",), ("C1",), False),
        (("C1",), ("*",), True),
        (("C1",), (), False),
    ],
)
def test_only_who_lost_a_page_loses_it_at_once(
    store: Store,
    index: EdgeIndex,
    embedder: WatchedEmbedder,
    before: tuple[str, ...],
    after: tuple[str, ...],
    stays: bool,
):
    """A page that more people may read now answers until it is stored again; one that fewer may read does not."""
    ingestor = Ingestor(store, index, embedder)
    ingestor.sync(ListSource(SOURCE, page("a.md", readers=before)))
    told: list[bool] = []
    embedder.before = lambda texts: told.append(bool(index.digests(SOURCE)))

    ingestor.sync(ListSource(SOURCE, page("a.md", readers=after)))

    assert told == [stays]


class SlowSource(ListSource):
    """Lists one document in so many seconds of a clock that only it moves."""

    now, seconds = 0.0, 1.0

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        for item in super().documents(held):
            self.now += self.seconds
            yield item


@pytest.mark.parametrize(("seconds", "stored_before_the_end"), [(1.0, 512), (0.001, 0)], ids=["slow", "fast"])
def test_a_slow_source_is_stored_while_it_lists(
    store: Store, index: EdgeIndex, embedder: WatchedEmbedder, seconds: float, stored_before_the_end: int
):
    """A kill after an hour of asking costs a batch. What a fast source lists waits for its end."""
    stored: list[int] = []

    class Source(SlowSource):
        def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
            yield from super().documents(held)
            stored.append(index.count())

    source = Source(SOURCE, *(page(f"{n}.md") for n in range(600)))
    source.seconds = seconds

    Ingestor(store, index, embedder, clock=lambda: source.now).sync(source)

    assert (stored, index.count()) == ([stored_before_the_end], 600)


def test_what_was_listed_before_a_failure_is_stored(store: Store, index: EdgeIndex, embedder: WatchedEmbedder):
    """Nothing is forgotten, and the next run need not read it again."""
    ingestor = Ingestor(store, index, embedder)
    ingestor.sync(ListSource(SOURCE, page("old.md")))

    with pytest.raises(DocumentError, match="connection lost"):
        ingestor.sync(ListSource(SOURCE, page("new.md"), DocumentError("connection lost")))

    assert index.digests(SOURCE).keys() == store.manifest(SOURCE).keys() == {"old.md", "new.md"}


class Changing(ListSource):
    """A source that changes while it is being synced, and counts what was fetched from it."""

    fetched = 0

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        for item in super().documents(held):
            self.fetched += isinstance(item, Document)
            yield item


def test_what_goes_while_the_rest_is_embedded_does_not_wait_for_it(
    store: Store, index: EdgeIndex, embedder: WatchedEmbedder
):
    """A batch of 256 takes half a minute here: after the first one the source is asked again, without fetching anything twice."""
    now = [0.0]
    ingestor = Ingestor(store, index, embedder, clock=lambda: now[0])
    ingestor.sync(ListSource(SOURCE, *(page(f"{name}.md", version="1") for name in ("gone", "private", "stays"))))
    source = Changing(
        SOURCE,
        *(page(f"{name}.md", version="1") for name in ("gone", "private", "stays")),
        *(page(f"new/{n}.md", version="1") for n in range(600)),
    )
    told: list[list[bool]] = []

    def change(_texts: Sequence[str]) -> None:
        now[0] += 30
        told.append([seen(index, f"{n}.md") for n in ("gone", "private", "stays", "new/0")])
        if len(told) == 1:
            # new/599.md goes too, before anybody has seen it.
            source.items[:] = [page("private.md", version="2", readers=("C1",)), *source.items[2:-1]]

    embedder.before = change
    report = ingestor.sync(source)

    assert told == [[True, True, True, False], [False, False, True, True], [False, False, True, True]]
    assert report == SyncReport(source=SOURCE, added=599, updated=1, deleted=1, unchanged=1)
    assert (source.fetched, store.manifest(SOURCE).keys()) == (601, index.digests(SOURCE).keys())
    assert ingestor.sync(source) == SyncReport(source=SOURCE, unchanged=601)


def test_a_page_that_was_private_for_a_moment_is_stored_again(
    store: Store, index: EdgeIndex, embedder: WatchedEmbedder
):
    """Taken out when it was listed as private, and public again before it was embedded."""
    now = [0.0]
    ingestor = Ingestor(store, index, embedder, clock=lambda: now[0])
    ingestor.sync(ListSource(SOURCE, page("a.md", version="1")))
    before = [page(f"b/{n}.md", version="1") for n in range(300)]
    ingestor.sync(ListSource(SOURCE, page("a.md", version="1"), *before))
    source = Changing(
        SOURCE,
        *(page(f"b/{n}.md", "other words", version="2") for n in range(300)),
        page("a.md", version="2", readers=()),
    )

    def change(_texts: Sequence[str]) -> None:
        now[0] += 30
        source.items[-1] = page("a.md", version="1")

    embedder.before = change
    report = ingestor.sync(source)

    assert (report.updated, seen(index, "a.md")) == (301, True)
    assert ingestor.sync(source) == SyncReport(source=SOURCE, unchanged=301)
