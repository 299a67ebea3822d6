"""What a document tells of itself, documents that say the same, and whether anything answers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from retrieval_world import EMBEDDER, at, fill, piece

from core.access import PUBLIC, Audience
from core.model import Tier
from retrieval.answering import likelihood
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever
from retrieval.signals import signals_of

NOW = at("2026-11-20T03:00:00")

SIGNALS: list[tuple[dict[str, Any], float, list[str]]] = [
    ({}, 0.0, []),
    ({"reviewed_at": at("2026-09-01T00:00:00")}, 0.0, ["reviewed 2026-09-01"]),
    ({"reviewed_at": at("2026-12-01T00:00:00")}, 0.0, []),
    ({"reviewed_at": at("2024-09-01T00:00:00")}, 0.0, []),
    ({"updated_at": at("2021-05-01T00:00:00")}, 0.0, ["untouched since 2021-05"]),
    ({"updated_at": at("2021-05-01T00:00:00"), "reviewed_at": at("2026-09-01T00:00:00")}, 0.0, ["reviewed 2026-09-01"]),
    ({"updated_at": at("2021-05-01T00:00:00"), "tier": Tier.PAST_INCIDENT}, 0.0, []),
    ({}, 0.5, ["people found it helpful"]),
    ({}, -1.0, ["people found it unhelpful"]),
]


@pytest.mark.parametrize(("facts", "opinion", "said"), SIGNALS)
def test_a_document_tells_how_far_to_rely_on_it(facts: dict[str, datetime], opinion: float, said: list[str]):
    """Reviews of the last year, neglect, and thumbs; nothing later than the question, and a past incident does not go stale."""
    assert [signal.text for signal in signals_of(piece("a.md", "x", **facts), opinion, NOW)] == said


@pytest.fixture(name="index")
def _index(tmp_path: Path):
    index = EdgeIndex(tmp_path / "index")
    yield index
    index.close()


TWINS = "The broker's disk is full: delete old log segments, then raise the retention limit of the largest topics."


def test_thumbs_decide_between_documents_that_fit_alike(index: EdgeIndex):
    """The one that people marked down comes second, and says so."""
    fill(index, piece("a.md", TWINS, title="Disk"), piece("b.md", TWINS, title="Disk"))
    opinions = {"a.md": -1.0}

    found = Retriever(index, EMBEDDER, lambda before: opinions).look("broker disk full")

    assert [(item.evidence.doc_id, [signal.text for signal in item.signals]) for item in found] == [
        ("b.md", []), ("a.md", ["people found it unhelpful"]),
    ]  # fmt: skip


def test_thumbs_do_not_lift_what_does_not_fit(index: EdgeIndex):
    """A popular page about something else stays behind the one that fits."""
    fill(index, piece("fits.md", TWINS), piece("popular.md", "Order coffee beans every month."), *(piece(f"{n}.md", f"note {n}") for n in range(20)))  # fmt: skip

    found = Retriever(index, EMBEDDER, lambda before: {"popular.md": 1.0}).search("broker disk full")

    assert found[0].doc_id == "fits.md"


def test_documents_that_say_the_same_are_folded(index: EdgeIndex):
    """Copies leave room for others when asked to; the copies are named under the one that stands for them."""
    fill(index, piece("a.md", TWINS), piece("copy/a.md", TWINS + " Again."), piece("c.md", "broker disk quota alert"))
    retriever = Retriever(index, EMBEDDER)

    folded = retriever.look("broker disk full delete segments", fold=True)

    assert [(item.evidence.doc_id, [twin.doc_id for twin in item.alike]) for item in folded] == [
        (folded[0].evidence.doc_id, [({"a.md", "copy/a.md"} - {folded[0].evidence.doc_id}).pop()]), ("c.md", []),
    ]  # fmt: skip
    assert len(retriever.look("broker disk full delete segments")) == 3


RULE = piece(
    "rules.yaml#disk/BrokerDiskFull",
    "Alert BrokerDiskFull: kafka_log_dir_bytes_free / kafka_log_dir_bytes_total < 0.1",
    title="BrokerDiskFull",
    source="prometheus:/rules",
    tier=Tier.ALERT,
    runbook_url="https://runbooks.example.org/kafka/storage.html",
)
PAGE = piece("kafka/storage.md", "Delete old segments.", url="https://runbooks.example.org/kafka/storage")


def test_an_alert_rule_speaks_for_the_runbook_it_names(index: EdgeIndex):
    """Its expression finds the page that shares no word with it; the rule itself is not shown where runbooks are asked for."""
    fill(index, RULE, PAGE, *(piece(f"{n}.md", f"page {n}") for n in range(30)))

    found = Retriever(index, EMBEDDER).look(
        "kafka_log_dir_bytes_free / kafka_log_dir_bytes_total < 0.1", tiers=(Tier.RUNBOOK,)
    )

    assert (found[0].evidence.doc_id, {item.evidence.tier for item in found}) == (PAGE.doc_id, {Tier.RUNBOOK})


def test_a_rule_does_not_open_a_page_to_those_who_may_not_read_it(index: EdgeIndex):
    """What it names is looked up within the same bounds."""
    secret = piece("kafka/storage.md", "Delete old segments.", url=PAGE.url, readers=("group:kafka",))
    fill(index, RULE, secret)
    retriever = Retriever(index, EMBEDDER)

    found = [
        [
            item.doc_id
            for item in retriever.search("kafka_log_dir_bytes_free < 0.1", audience=audience, tiers=(Tier.RUNBOOK,))
        ]
        for audience in (PUBLIC, Audience.of(("group:kafka",)))
    ]

    assert found == [[], ["kafka/storage.md"]]


def test_what_may_be_shown_is_checked_again(index: EdgeIndex):
    """Gone, or closed to one of the audience: not readable any more."""
    kept, gone = piece("a.md", "disk"), piece("b.md", "disk")
    closed = piece("c.md", "disk", readers=("group:sre",))
    fill(index, kept, gone, closed)
    index.delete(gone.source, gone.doc_id)
    retriever = Retriever(index, EMBEDDER)

    assert [
        retriever.readable([kept.id, gone.id, closed.id, "E1"], audience)
        for audience in (PUBLIC, Audience.of(("group:sre",)), Audience.of(("group:sre",), ()), Audience.of())
    ] == [{kept.id}, {kept.id, closed.id}, {kept.id}, frozenset()]


def test_a_score_is_a_probability_that_never_rises_down_the_list(index: EdgeIndex):
    """Higher for what stands out and is near; between 0 and 1 for anything."""
    fill(index, piece("a.md", TWINS), *(piece(f"{n}.md", f"disk note {n}") for n in range(20)))

    scores = [item.score for item in Retriever(index, EMBEDDER).search("broker disk full, delete log segments")]

    assert (scores == sorted(scores, reverse=True), all(0 <= score <= 1 for score in scores)) == (True, True)
    assert (
        likelihood(4.0, 0.6, 0.35)
        > likelihood(2.0, 0.6, 0.35)
        > likelihood(2.0, 0.1, 0.35)
        > likelihood(-1e9, -1, 0.35)
        > 0
    )
