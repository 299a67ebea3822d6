"""The search over documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from retrieval_world import EMBEDDER, at, fill, piece

from core.access import PUBLIC, Audience
from core.errors import IndexUnavailable
from core.model import Tier
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex, VectorIndex
from retrieval.retriever import Retriever

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

BROKER = piece("runbooks/BrokerDiskFull.md", "Delete old log segments of the broker.", section=("Mitigation",))
CERTS = piece("runbooks/CertExpired.md", "Renew the certificate with cert-manager.", section=("Mitigation",))
POOL = piece("wiki/pools.md", "Connection pool size is set by maxPoolSize.", tier=Tier.WIKI)
LAST_YEAR = piece(
    "incidents/2025-05-01-disk.md", "Disk of the broker was full.", tier=Tier.PAST_INCIDENT, occurred_at=at("2025-05-01T23:59:59")
)  # fmt: skip
TOMORROW = piece(
    "incidents/2026-05-01-disk.md", "Disk of the broker was full.", tier=Tier.PAST_INCIDENT, occurred_at=at("2026-05-01T23:59:59")
)  # fmt: skip
SECRET = piece("runbooks/broker-keys.md", "Disk keys of the broker.", readers=("C-private",))


@pytest.fixture(name="edge", scope="module")
def _edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    """One filled index for the tests that only read, or add what no other test looks for."""
    index = EdgeIndex(tmp_path_factory.mktemp("retriever") / "index")
    fill(index, BROKER, CERTS, POOL, LAST_YEAR, TOMORROW, SECRET)
    yield index
    index.close()


def ids(retriever: Retriever, text: str, **bounds: Any) -> list[str | None]:
    return [item.doc_id for item in retriever.search(text, **bounds)]


FIRST = {
    "broker disk is full": BROKER.doc_id,
    "broker_disk_full_bytes{job='x'} > 0.9": BROKER.doc_id,
    "BrokerDiskFull": BROKER.doc_id,
    "the certificate must be renewed": CERTS.doc_id,
    "max_pool_size": POOL.doc_id,
}


def test_what_helps_comes_first(index: VectorIndex):
    """Over both engines, for prose, expressions, names and symptoms."""
    fill(index, BROKER, CERTS, POOL)

    assert {text: ids(Retriever(index, EMBEDDER), text)[0] for text in FIRST} == FIRST


def test_of_documents_of_the_same_words_the_one_that_holds_them_side_by_side_comes_first(index: VectorIndex):
    """Over both engines. Without word order the two are equal, and their names would decide the other way round."""
    fill(
        index,
        piece("runbooks/a.md", "full queue, slow disk, broker restarts", title="Page"),
        piece("runbooks/b.md", "disk full, queue slow, broker restarts", title="Page"),
        *(piece(f"wiki/{number}.md", f"unrelated page {number}", title="Page") for number in range(5)),
    )

    found = Retriever(index, EMBEDDER).look("the disk is full", limit=2)

    assert [
        (item.evidence.doc_id, "its words side by side" in [voice.label for voice in item.standing.voices])
        for item in found
    ] == [("runbooks/b.md", True), ("runbooks/a.md", False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delete old log segments of the broker", True),
        ("sum(rate(delete_old_log_segments[5m])) > 1", False),
        ("delete old log segments\nsum(rate(delete_old_log_segments[5m])) > 1", False),
        ("broker", False),
    ],
    ids=["prose", "expression", "prose and expression", "one word"],
)
def test_words_side_by_side_are_looked_for_in_prose_alone(edge: VectorIndex, text: str, expected: bool):
    """An expression's order is its syntax."""
    first = Retriever(edge, EMBEDDER).look(text, limit=1)[0].standing

    assert (first.doc_id, "its words side by side" in [voice.label for voice in first.voices]) == (
        BROKER.doc_id, expected,
    )  # fmt: skip


def test_evidence_says_where_it_is_from(edge: VectorIndex):
    """Everything a card shows of it, and a score of at most 1."""
    (item,) = Retriever(edge, EMBEDDER).search("BrokerDiskFull: delete log segments", limit=1)

    assert (item.id, item.tier, item.title, item.text, item.section, item.doc_id, 0 < item.score <= 1) == (
        BROKER.id, Tier.RUNBOOK, "BrokerDiskFull", BROKER.text, ("Mitigation",), BROKER.doc_id, True,
    )  # fmt: skip


def test_a_document_is_shown_once_by_its_best_section(edge: VectorIndex):
    """Many sections of one document leave room for others."""
    sections = [
        piece("runbooks/queue.md", f"queue step {number}", section=(f"Step {number}",), number=number, of=40)
        for number in range(40)
    ]
    fill(edge, *sections, piece("wiki/queue.md", "queue overview", tier=Tier.WIKI))

    found = Retriever(edge, EMBEDDER).search("queue step 7", limit=2)

    assert [(item.doc_id, item.section) for item in found] == [
        ("runbooks/queue.md", ("Step 7",)),
        ("wiki/queue.md", ()),
    ]


def test_nothing_from_after_the_incident_is_found(edge: VectorIndex):
    """A report of the incident itself, or of a later one, does not exist yet."""
    retriever = Retriever(edge, EMBEDDER)
    past = (Tier.PAST_INCIDENT,)

    assert (
        ids(retriever, "broker disk full", tiers=past, before=at("2026-05-01T10:00:00")),
        sorted(map(str, ids(retriever, "broker disk full", tiers=past))),
    ) == ([LAST_YEAR.doc_id], [LAST_YEAR.doc_id, TOMORROW.doc_id])


def test_what_a_reader_may_not_read_is_not_found(edge: VectorIndex):
    """By default only what everyone may read; one who may not is enough to leave it out; nobody known, nothing found."""
    retriever = Retriever(edge, EMBEDDER)
    found = [
        SECRET.doc_id in ids(retriever, "disk keys of the broker", audience=audience)
        for audience in (PUBLIC, Audience.of(("C-private",)), Audience.of(("C-private",), ("C-other",)))
    ]

    assert (found, ids(retriever, "disk", audience=Audience.of())) == ([False, True, False], [])


def test_a_service_brings_its_documents_forward_and_fences_nothing_off(edge: VectorIndex):
    """Its own come first, others still follow."""
    fill(
        edge,
        piece("runbooks/a.md", "restart the worker"),
        piece("runbooks/b.md", "restart the worker", service="checkout"),
    )
    found = ids(Retriever(edge, EMBEDDER), "restart the worker", service="checkout")

    assert (found[0], "runbooks/a.md" in found) == ("runbooks/b.md", True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker disk full", True),
        ("what is the parental leave policy", False),
        ("zzz maxPoolSize qqq xxx yyy", True),
    ],
    ids=["close in meaning", "a stranger", "shares a name"],
)
def test_the_floor_leaves_strangers_out(edge: VectorIndex, text: str, expected: bool):
    """What is neither close nor shares a name only came first among strangers."""
    retriever = Retriever(edge, EMBEDDER)

    assert (bool(retriever.search(text, floor=True)), bool(retriever.search(text))) == (expected, True)


def test_looking_tells_why_a_document_is_related(edge: VectorIndex):
    """The cosine and the names shared, for whoever decides by them."""
    (found,) = Retriever(edge, EMBEDDER).look("zzz maxPoolSize qqq xxx yyy", limit=1)

    assert (found.evidence.doc_id, found.source, found.shared, found.related, -1 <= found.closeness <= 1) == (
        POOL.doc_id, POOL.source, {"maxpoolsize"}, True, True,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "  \n", "???", "the of and", "x" * 500_000, "(((" * 5000])
def test_any_text_is_answered(edge: VectorIndex, text: str):
    """Blank finds nothing; signs, stop words and a megabyte fail at nothing."""
    assert (Retriever(edge, EMBEDDER).search(text) == []) == (not text.strip())


def test_all_sections_of_a_found_document_can_be_read(edge: VectorIndex):
    """In reading order, for who may read it, as of a time."""
    parts = [
        piece("runbooks/long.md", text, number=number, of=3, section=(text,), updated_at=at("2026-01-01T00:00:00"), readers=("ops",))
        for number, text in enumerate(("Meaning", "Impact", "Mitigation"))
    ]  # fmt: skip
    fill(edge, *parts)
    retriever = Retriever(edge, EMBEDDER)
    ops = Audience.of(("ops",))

    read = [
        [item.text for item in retriever.sections(parts[2].id, **bounds)]
        for bounds in ({"audience": ops}, {}, {"audience": ops, "before": at("2025-01-01T00:00:00")})
    ]

    assert (read, retriever.sections("E1"), retriever.sections("0" * 32)) == (
        [["Meaning", "Impact", "Mitigation"], [], []], [], [],
    )  # fmt: skip


class Counting(HashEmbedder):
    """Writes down what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        self.read.append(text)
        return super().embed_query(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("The broker's disk is full", "the broker s disk is full"),
        ("sum(rate(disk_full_bytes{job='broker'}[5m])) > 1", "disk full bytes broker"),
        ("No space left\nsum(rate(disk_full_bytes[5m])) > 1", "space left disk full bytes"),
    ],
)
def test_the_model_reads_a_question_once(edge: VectorIndex, text: str, read: str):
    """A text as it is, an expression in words, and what stands around it with it."""
    embedder = Counting()
    Retriever(edge, embedder).search(text, service="checkout")

    assert embedder.read == [read]


def test_an_index_of_another_model_is_not_searched(edge: VectorIndex):
    """Vectors of two models do not compare: say so, do not guess."""
    with pytest.raises(IndexUnavailable, match=r"hash-512.*hash-32.*rundown ingest"):
        Retriever(edge, HashEmbedder(32)).search("disk")


def test_an_empty_index_finds_nothing(tmp_path: Path):
    """Before the first ingest."""
    index = EdgeIndex(tmp_path / "none")
    retriever = Retriever(index, EMBEDDER)
    retriever.warm()

    assert retriever.search("disk") == []
    index.close()
