"""Bringing the index to what a source holds: incremental, with deletes, safe to stop anywhere and to repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.access import PUBLIC
from core.errors import DocumentError, IndexUnavailable
from core.model import Document, Tier
from core.store import Store
from ingest.sources import NOTHING, Held, ListSource, Skipped
from ingest.sync import Ingestor, SyncReport
from retrieval.chunk import Chunk, Scope, Vectors
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever

SOURCE = "list:docs"


class CountingEmbedder(HashEmbedder):
    """The fake, which remembers what it was asked to embed."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.texts += texts
        return super().embed_documents(texts)


@pytest.fixture(name="embedder")
def _embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture(name="ingestor")
def _ingestor(store: Store, index: EdgeIndex, embedder: CountingEmbedder) -> Ingestor:
    return Ingestor(store, index, embedder)


def page(doc_id: str, text: str = "broker disk full", **changes: Any) -> Document:
    facts: dict[str, Any] = {"source": SOURCE, "title": doc_id.removesuffix(".md"), "tier": Tier.RUNBOOK}
    return Document(id=doc_id, text=text, **(facts | changes))


def docs(*items: Document | Skipped | Exception) -> ListSource:
    return ListSource(SOURCE, *items)


def counts(report: SyncReport) -> tuple[int, int, int, int]:
    """Added, updated, deleted, unchanged."""
    return report.added, report.updated, report.deleted, report.unchanged


def held(index: EdgeIndex, doc_id: str, source: str = SOURCE) -> list[Chunk]:
    return index.document(Scope(audience=PUBLIC, document=(source, doc_id)))


def test_only_what_changed_is_done_and_what_is_gone_is_forgotten(
    ingestor: Ingestor, index: EdgeIndex, embedder: CountingEmbedder, store: Store
):
    """First everything, then nothing, then exactly the difference."""
    first = ingestor.sync(docs(page("a.md"), page("b.md"), page("c.md")))
    again = ingestor.sync(docs(page("a.md"), page("b.md"), page("c.md")))
    embedder.texts.clear()
    third = ingestor.sync(docs(page("a.md"), page("b.md", "renew certificates"), page("d.md")))

    assert [counts(report) for report in (first, again, third)] == [(3, 0, 0, 0), (0, 0, 0, 3), (1, 1, 1, 1)]
    assert embedder.texts == ["b\nrenew certificates", "d\nbroker disk full"]
    assert store.manifest(SOURCE).keys() == index.digests(SOURCE).keys() == {"a.md", "b.md", "d.md"}


@pytest.mark.parametrize(
    "change",
    [
        {"title": "New title"},
        {"url": "https://wiki/new"},
        {"readers": ("C1",)},
        {"tier": Tier.WIKI},
        {"service": "kafka"},
        {"updated_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"occurred_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
)
def test_any_change_of_a_document_is_a_change(ingestor: Ingestor, change: dict[str, Any]):
    """Not only of its text: who may read it above all."""
    ingestor.sync(docs(page("a.md")))

    assert counts(ingestor.sync(docs(replace(page("a.md"), **change)))) == (0, 1, 0, 0)


def test_a_document_that_became_shorter_leaves_nothing_behind(ingestor: Ingestor, index: EdgeIndex):
    """Its later pieces go with the update."""
    ingestor.sync(docs(page("a.md", "\n".join(f"## Step {number}\n\ndo {number}" for number in range(5)))))
    before = len(held(index, "a.md"))
    ingestor.sync(docs(page("a.md", "## Step 0\n\ndo 0")))

    assert (before, [chunk.text for chunk in held(index, "a.md")]) == (5, ["do 0"])


def test_sources_do_not_touch_each_other(ingestor: Ingestor, index: EdgeIndex):
    """The same ids in two sources are two documents; one source's deletes are its own."""
    ingestor.sync(docs(page("a.md"), page("b.md")))
    ingestor.sync(ListSource("list:other", page("a.md", "other words")))
    ingestor.sync(docs(page("b.md")))

    assert ([len(held(index, "a.md", source)) for source in (SOURCE, "list:other")], index.count()) == ([0, 1], 2)


def test_a_source_that_fails_midway_deletes_nothing(ingestor: Ingestor, index: EdgeIndex):
    """What it listed until then may be stored; nothing is concluded from what it did not list."""
    ingestor.sync(docs(page("a.md"), page("b.md"), page("c.md")))

    with pytest.raises(DocumentError, match="mount is gone"):
        ingestor.sync(docs(page("a.md"), DocumentError("the mount is gone")))

    assert (index.digests(SOURCE).keys(), counts(ingestor.sync(docs(page("a.md"), page("b.md"), page("c.md"))))) == (
        {"a.md", "b.md", "c.md"}, (0, 0, 0, 3),
    )  # fmt: skip


def test_a_source_that_lists_nothing_any_more_is_asked_about(ingestor: Ingestor, index: EdgeIndex):
    """An empty mount looks like that; to mean it, forget the source."""
    ingestor.sync(docs(page("a.md"), page("b.md")))

    with pytest.raises(DocumentError, match=r"list:docs.*no document any more.*2 are indexed"):
        ingestor.sync(docs())
    kept = index.count()

    assert (kept, ingestor.forget(SOURCE), index.count(), counts(ingestor.sync(docs()))) == (2, 2, 0, (0, 0, 0, 0))


def test_what_cannot_be_read_now_keeps_its_earlier_version(ingestor: Ingestor, index: EdgeIndex):
    """A file or a folder without permission stays indexed; one that is empty now is forgotten."""
    ingestor.sync(docs(page("a.md"), page("b.md"), page("sub/c.md"), page("subway.md"), page("e.md")))
    skips = (
        Skipped(doc_id="b.md", reason="permission denied", unreadable=True),
        Skipped(doc_id="sub/", reason="permission denied", unreadable=True),
        Skipped(doc_id="e.md", reason="empty"),
    )

    report = ingestor.sync(docs(page("a.md"), *skips))

    assert (counts(report), report.skipped, sorted(index.digests(SOURCE))) == (
        (0, 0, 2, 1), skips, ["a.md", "b.md", "sub/c.md"],
    )  # fmt: skip


def test_documents_that_cannot_be_kept_are_named(ingestor: Ingestor):
    """Listed twice, blank, or with an id the store cannot hold."""
    report = ingestor.sync(docs(page("a.md"), page("a.md", "other"), page("b.md", " \n"), page("x" * 513)))

    assert (report.added, [(item.doc_id[:4], item.reason) for item in report.skipped]) == (
        1,
        [
            ("a.md", "the source lists it twice"),
            ("b.md", "empty"),
            ("xxxx", "its id has more than 512 characters"),
        ],
    )


def test_no_secret_and_nothing_hidden_reaches_the_index(
    ingestor: Ingestor, index: EdgeIndex, embedder: CountingEmbedder
):
    """Redacted before anything is cut, embedded or stored; commit ids stay."""
    secret = "xoxb-1234567890-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"
    sha = "9f0c3bd1a2b34c5d6e7f8091a2b3c4d5e6f70819"
    ingestor.sync(docs(page("a.md", f"Use {secret} after {sha}\u200b\u202e", title=f"Token {secret}")))

    (chunk,) = held(index, "a.md")

    assert (secret in f"{chunk}{embedder.texts}", sha in chunk.text, "\u200b" in chunk.text, "\u202e" in chunk.text) == (
        False, True, False, False,
    )  # fmt: skip


def test_another_model_rebuilds_everything(ingestor: Ingestor, store: Store, index: EdgeIndex):
    """With another name or dimension nothing of the old vectors is left, and every source is done again on its turn."""
    ingestor.sync(docs(page("a.md"), page("b.md")))
    ingestor.sync(ListSource("list:other", page("c.md")))
    other = Ingestor(store, index, HashEmbedder(32))

    reports = [other.sync(docs(page("a.md"), page("b.md"))), other.sync(ListSource("list:other", page("c.md")))]

    assert ([counts(report) for report in reports], index.count(), index.space()) == (
        [(0, 2, 0, 0), (0, 1, 0, 0)], 3, "hash-32/32/words-1",
    )  # fmt: skip


def test_a_lost_index_is_filled_again(store: Store, ingestor: Ingestor, tmp_path: Path, embedder: CountingEmbedder):
    """The manifest alone does not make a document indexed."""
    ingestor.sync(docs(page("a.md"), page("b.md")))
    fresh = EdgeIndex(tmp_path / "fresh")

    report = Ingestor(store, fresh, embedder).sync(docs(page("a.md"), page("b.md")))

    assert (counts(report), fresh.count()) == ((0, 2, 0, 0), 2)
    fresh.close()


class Killed(BaseException):
    """Ends a run as a kill would: nothing catches it."""


class DyingIndex:
    """An index whose process dies at the n-th write."""

    def __init__(self, index: EdgeIndex, lives: int, *, torn: bool = False) -> None:
        self._index, self._lives, self._torn = index, lives, torn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def _live(self) -> None:
        self._lives -= 1
        if self._lives < 0:
            raise Killed

    def put(self, pieces: Sequence[tuple[Chunk, Vectors]]) -> None:
        if self._torn and self._lives == 0:
            self._index.put(pieces[:1])
        self._live()
        self._index.put(pieces)
        self._live()

    def delete(self, source: str, doc_id: str, *, keep: int = 0) -> None:
        self._live()
        self._index.delete(source, doc_id, keep=keep)
        self._live()


@pytest.mark.parametrize("torn", [False, True], ids=["between writes", "within a write"])
def test_a_run_killed_anywhere_is_completed_by_the_next(
    store: Store, index: EdgeIndex, embedder: CountingEmbedder, torn: bool
):
    """At every write to the index: the next run ends with exactly what the source holds, and the one after has nothing to do."""
    long, short = "\n".join(f"## S{number}\n\nold {number}" for number in range(4)), "## S0\n\nnew 0\n\n## S1\n\nnew 1"
    outcomes = []
    for lives in range(7):
        Ingestor(store, index, embedder).sync(docs(page("keep.md"), page("change.md", long), page("gone.md")))
        target = docs(page("keep.md"), page("change.md", short), page("new.md", long))
        with pytest.raises(Killed) if lives < 6 else nullcontext():
            Ingestor(store, DyingIndex(index, lives, torn=torn), embedder).sync(target)  # type: ignore[arg-type]
        Ingestor(store, index, embedder).sync(target)
        outcomes.append(
            (
                {
                    doc_id: [chunk.text for chunk in held(index, doc_id)]
                    for doc_id in ("change.md", "new.md", "gone.md")
                },
                index.count(),
                counts(Ingestor(store, index, embedder).sync(target)),
            )
        )
        Ingestor(store, index, embedder).forget(SOURCE)

    whole = {"change.md": ["new 0", "new 1"], "new.md": [f"old {number}" for number in range(4)], "gone.md": []}
    assert outcomes == [(whole, 7, (0, 0, 0, 3))] * 7


def test_a_manifest_that_could_not_be_written_is_made_good(
    store: Store, ingestor: Ingestor, index: EdgeIndex, monkeypatch: pytest.MonkeyPatch
):
    """Stored in the index, the store dies: a document that then leaves the source does not stay behind."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    ingestor.sync(docs(page("a.md")))
    with monkeypatch.context() as patched:
        patched.setattr(store, "set_indexed", die)
        with pytest.raises(Killed):
            ingestor.sync(docs(page("a.md"), page("b.md")))
    orphan = len(held(index, "b.md"))

    report = ingestor.sync(docs(page("a.md")))

    assert (orphan, counts(report), len(held(index, "b.md"))) == (1, (0, 0, 1, 1), 0)


def test_an_index_that_does_not_answer_is_raised_and_repeated(store: Store, tmp_path: Path, embedder: CountingEmbedder):
    """The manifest says nothing that the index does not hold."""
    holder = EdgeIndex(tmp_path / "locked")
    Ingestor(store, holder, embedder).sync(docs(page("a.md")))
    late = EdgeIndex(tmp_path / "locked")

    with pytest.raises(IndexUnavailable, match="locked"):
        Ingestor(store, late, embedder).sync(docs(page("a.md"), page("b.md")))
    manifest = store.manifest(SOURCE).keys()
    holder.close()

    assert (manifest, counts(Ingestor(store, late, embedder).sync(docs(page("a.md"), page("b.md"))))) == (
        {"a.md"}, (1, 0, 0, 1),
    )  # fmt: skip
    late.close()


def test_many_documents_go_in_batches_and_progress_is_told(ingestor: Ingestor, index: EdgeIndex):
    """Each batch is told once, in documents done."""
    told: list[int] = []

    ingestor.sync(docs(*(page(f"{number}.md") for number in range(600))), progress=told.append)

    assert (told, index.count()) == ([256, 512, 600], 600)


def test_ingested_documents_are_found(ingestor: Ingestor, index: EdgeIndex, embedder: CountingEmbedder):
    """From a page to evidence, by name, by words and by section."""
    text = "# KafkaBrokerDiskFull\n\n## Meaning\n\nNo room.\n\n## Mitigation\n\nDelete old log segments.\n"
    ingestor.sync(
        docs(
            page("runbooks/KafkaBrokerDiskFull.md", text, title="KafkaBrokerDiskFull"),
            page("runbooks/certs.md", "Renew certificates.", title="Certificates"),
        )
    )
    retriever = Retriever(index, embedder)

    found = [
        (item.doc_id, item.section)
        for query in ("kafka_broker_disk_free_bytes == 0", "delete log segments", "certificate expired")
        for item in retriever.search(query, limit=1)
    ]

    assert [found[0][0], *found[1:]] == [
        "runbooks/KafkaBrokerDiskFull.md",
        ("runbooks/KafkaBrokerDiskFull.md", ("Mitigation",)),
        ("runbooks/certs.md", ()),
    ]


def test_what_the_source_says_is_unchanged_stays_without_being_fetched(
    ingestor: Ingestor, store: Store, index: EdgeIndex
):
    """A document with the version that is stored is neither embedded nor forgotten; one with another is stored again."""
    ingestor.sync(ListSource(SOURCE, page("a.md", version="1"), page("b.md", version="1")))
    told: list[dict[str, str]] = []

    class Telling(ListSource):
        def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Any]:
            told.append(dict(held))
            return super().documents(held)

    report = ingestor.sync(Telling(SOURCE, page("a.md", "never read", version="1"), page("b.md", "new", version="2")))

    assert (told, report, index.digests(SOURCE).keys(), store.manifest(SOURCE)["b.md"].version is not None) == (
        [{"a.md": "1", "b.md": "1"}], SyncReport(source=SOURCE, updated=1, unchanged=1), {"a.md", "b.md"}, True,
    )  # fmt: skip


def test_a_new_version_of_the_same_words_is_only_remembered(ingestor: Ingestor, embedder: CountingEmbedder):
    """Nothing is embedded, and the next time it need not be fetched."""
    ingestor.sync(ListSource(SOURCE, page("a.md", version="1")))
    before = len(embedder.texts)

    reports = [ingestor.sync(ListSource(SOURCE, page("a.md", version=version))) for version in ("2", "2")]

    assert (reports, len(embedder.texts)) == ([SyncReport(source=SOURCE, unchanged=1)] * 2, before)


def test_versions_are_not_told_once_documents_are_made_otherwise(store: Store, index: EdgeIndex):
    """With another embedding model every document is asked for again, whatever its version."""
    Ingestor(store, index, CountingEmbedder(64)).sync(ListSource(SOURCE, page("a.md", version="1")))

    report = Ingestor(store, index, CountingEmbedder(32)).sync(ListSource(SOURCE, page("a.md", version="1")))

    assert report == SyncReport(source=SOURCE, updated=1)


def test_a_source_that_claims_what_was_never_stored_is_stopped(ingestor: Ingestor):
    """Nothing is forgotten on the word of a defective reader."""

    class Wrong(ListSource):
        def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Any]:
            yield Held(doc_id="never.md")

    with pytest.raises(DocumentError, match=r"never\.md.*never stored"):
        ingestor.sync(Wrong(SOURCE))


def test_a_source_that_closes_everything_is_obeyed(ingestor: Ingestor, index: EdgeIndex):
    """Where it says why nothing may be indexed any more, what was public yesterday is not found today."""
    ingestor.sync(ListSource(SOURCE, page("a.md"), page("b.md")))

    report = ingestor.sync(ListSource(SOURCE, Skipped(doc_id="wiki/", reason="the wiki is private now")))

    assert (report.deleted, index.count()) == (2, 0)


def test_what_was_hidden_is_reported(ingestor: Ingestor):
    """Once, when the document is stored."""
    source = ListSource(SOURCE, page("a.md", hidden=("2 HTML comments",)))

    reports = [ingestor.sync(source).hidden for _ in range(2)]

    assert reports == [(("a.md", "2 HTML comments"),), ()]


def test_characters_that_nobody_sees_are_taken_out_of_any_source_and_reported(ingestor: Ingestor, index: EdgeIndex):
    """Whatever the source; what is stored holds none."""
    report = ingestor.sync(ListSource(SOURCE, page("a.md", "disk \u200bfull\u200b now")))

    assert report.hidden == (("a.md", "2 zero-width characters"),)
    assert [chunk.text for chunk in index.document(Scope(audience=PUBLIC, document=(SOURCE, "a.md")))] == [
        "disk full now"
    ]
