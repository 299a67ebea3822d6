"""Rundown's own past incidents as documents, from a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.access import Audience
from core.model import (
    Commit,
    Confidence,
    Culprit,
    Document,
    Draft,
    Feedback,
    FileChange,
    Incident,
    IncidentEvent,
    Ranking,
    Section,
    Sentence,
    Tier,
    Vote,
    to_json,
)
from core.settings import read_settings
from core.store import Store
from ingest.own_incidents import OwnIncidents
from ingest.own_incidents import open as open_own
from ingest.sources import Held, ListSource, Skipped
from ingest.sync import Ingestor
from retrieval.edge import EdgeIndex
from retrieval.embedding import HashEmbedder
from retrieval.retriever import Retriever
from retrieval.similar import find_similar

BEGAN = datetime(2026, 3, 4, 9, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(days=60)
SHA = "3f2c1ab9d0" + "0" * 30


def happened(store: Store, *events: tuple[str, float, dict[str, Any]], incident_id: str = "pd:Q1") -> None:
    """What happened to an incident, so many minutes after it began, by Anna Ito."""
    store.record_events(
        IncidentEvent(
            incident_id=incident_id,
            event_id=f"{incident_id}:{kind}:{minutes}",
            kind=kind,
            occurred_at=BEGAN + timedelta(minutes=minutes),
            agent=changes.pop("agent", "Anna Ito"),
            changes=changes,
        )
        for kind, minutes, changes in events
    )


def lived(store: Store, incident_id: str = "pd:Q1", channel: str | None = "C0INC") -> None:
    """One incident from alert to resolution."""
    facts = {"title": "Checkout answers 500", "service": "checkout", "description": "alertname: CheckoutErrors\npool exhausted", "number": 7, "urgency": "high"}  # fmt: skip
    happened(
        store,
        ("triggered", 0, {**facts, "agent": None}),
        ("status_update_published", 2, {"text": "carts are slow", "agent": "Grace"}),
        ("annotated", 5, {"note": "rolled back 3f2c1ab, errors fall"}),
        ("remark", 6, {"text": "it was the pool", "agent": "slack:T1:U7"}),
        ("resolved", 42, {}),
        incident_id=incident_id,
    )
    if channel:
        store.set_channel(incident_id, channel)


def judged(store: Store, item: str, vote: Vote, person: str = "slack:T1:U1", minutes: float = 50) -> None:
    """Somebody's thumb."""
    at = BEGAN + timedelta(minutes=minutes)
    word = Feedback(incident_id="pd:Q1", item=item, person=person, vote=vote, at=at, release="r")
    store.record_feedback(word, training_row={})


def found_by_rundown(store: Store) -> None:
    """A ranking and a draft, as the investigation left them."""
    commit = Commit(
        sha=SHA, repo="shop", author="A", author_email="a@x", authored_at=BEGAN, committed_at=BEGAN, subject="Shrink the pool",
        files=(FileChange(path="db/pool.py"),),
    )  # fmt: skip
    ranking = Ranking(
        culprits=(Culprit(commit=commit, score=1.0, confidence=0.8),), confidence=Confidence.LIKELY, considered=9,
        repos=("shop",), window_from=BEGAN, window_to=BEGAN,
    )  # fmt: skip
    steps = (Sentence(text="Raise the pool size:\n```\nkubectl scale\n```", evidence=("E1",)),)
    draft = Draft(task="mitigation", sections=(Section(heading="Steps", sentences=steps),), author="extractive")
    store.save_finding("pd:Q1", "rank", {"ranking": to_json(ranking)})
    store.save_finding("pd:Q1", "draft", {"mitigation": to_json(draft), "summary": None})


def own(store: Store, **options: Any) -> OwnIncidents:
    facts: dict[str, Any] = {"slack_text": True, "clock": lambda: NOW, "name_of": lambda person: "somebody in Slack"}
    return OwnIncidents(store, **(facts | options))


def test_an_incident_tells_what_was_said_what_caused_it_and_what_was_found_helpful(store: Store):
    """All that Rundown knows of it, with who said so; votes and remarks by people whom nobody named."""
    lived(store)
    found_by_rundown(store)
    judged(store, f"commit:{SHA}", Vote.CULPRIT)
    judged(store, "next", Vote.UP)
    judged(store, "next", Vote.UP, person="slack:T1:U2", minutes=55)

    (document,) = own(store).documents()

    assert isinstance(document, Document)
    assert document.text == (
        "# Checkout answers 500\n\n## What happened\n\nIncident 7 on checkout, 2026-03-04 09:12 UTC, urgency high.\n\n"
        "- Alert: CheckoutErrors\n\nalertname: CheckoutErrors\npool exhausted\n\n"
        "## Status updates\n\n- Grace (2026-03-04 09:14 UTC): carts are slow\n\n"
        "## Said in Slack\n\n- somebody in Slack (2026-03-04 09:18 UTC): it was the pool\n\n"
        '## Cause\n\nA responder marked commit 3f2c1ab9d0 "Shrink the pool" in shop as the cause. It changed db/pool.py. Areas: shop/db.\n\n'
        "## Suggested at the time\n\n- Raise the pool size (2 found this helpful, 0 did not)\n\n"
        "## Resolution\n\nResolved by Anna Ito on 2026-03-04 09:54 UTC, 42 min after it began.\n\n"
        "- Anna Ito (2026-03-04 09:17 UTC): rolled back 3f2c1ab, errors fall\n"
    )
    assert (document.id, document.tier, document.service, document.readers, document.occurred_at) == (
        "pd:Q1", Tier.PAST_INCIDENT, "checkout", ("C0INC",), BEGAN + timedelta(minutes=55),
    )  # fmt: skip


def test_a_proposal_that_was_not_found_helpful_is_not_told(store: Store):
    """As many thumbs down as up: nobody is told to try it again."""
    lived(store)
    found_by_rundown(store)
    judged(store, "next", Vote.UP)
    judged(store, "next", Vote.DOWN, person="slack:T1:U2")

    (document,) = own(store).documents()

    assert isinstance(document, Document) and "Raise the pool size" not in document.text


@pytest.mark.parametrize(("distribution", "told"), [("internal", True), ("public", False)])
def test_slack_text_is_told_only_where_slacks_terms_let_it(store: Store, distribution: str, told: bool):
    """An app offered outside the organisation indexes none of it."""
    lived(store)

    (document,) = open_own(store, read_settings(slack_distribution=distribution)).documents()

    assert isinstance(document, Document) and ("it was the pool" in document.text) == told


def test_people_in_slack_are_named_where_somebody_looks_them_up(store: Store):
    """By the id that the store keeps."""
    lived(store)

    (document,) = own(store, name_of={"slack:T1:U7": "Bo Lund"}.__getitem__).documents()

    assert isinstance(document, Document) and "- Bo Lund (2026-03-04 09:18 UTC): it was the pool" in document.text


def test_a_story_is_read_again_until_everybody_in_it_has_a_name(store: Store):
    """Names are looked up in the meantime: the sync waits for nobody."""
    lived(store)
    happened(store, ("resolved", 43, {"agent": "slack:T1:U8"}))
    names = {"slack:T1:U7": "Bo Lund"}
    told = [own(store, name_of=names.get) for _ in range(2)]
    (early,) = told[0].documents()
    names["slack:T1:U8"] = "Ann Oh"
    (late,) = told[1].documents()
    assert isinstance(early, Document)
    assert isinstance(late, Document)
    (held,) = own(store, name_of=names.get).documents({late.id: late.version or ""})

    assert ("somebody in Slack" in early.text, early.version) == (True, None)
    assert ("Resolved by Ann Oh" in late.text, isinstance(held, Held)) == (True, True)


@pytest.mark.parametrize(("public", "readers"), [(True, ("*",)), (False, ("C0INC",))])
def test_those_may_read_it_who_were_there(store: Store, public: bool, readers: tuple[str, ...]):
    """Everyone where the channel is public, else the channel."""
    lived(store)

    (document,) = own(store, is_public=lambda channel: public).documents()

    assert isinstance(document, Document) and document.readers == readers


def test_what_is_open_or_was_shown_nowhere_is_not_told(store: Store):
    """Nobody is known who may read the latter: it is listed as skipped."""
    lived(store, channel=None)
    happened(store, ("triggered", 0, {"title": "Open"}), incident_id="pd:Q2")
    store.set_channel("pd:Q2", "C0INC")

    (skipped,) = own(store).documents()

    assert isinstance(skipped, Skipped) and (skipped.doc_id, skipped.unreadable) == ("pd:Q1", False)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda store: None, False),
        (lambda store: judged(store, "next", Vote.UP), True),
        (lambda store: happened(store, ("annotated", 90, {"note": "postmortem is out"})), True),
    ],
)
def test_a_settled_incident_is_read_again_only_if_it_changed(store: Store, change, again: bool):
    """Its state and its votes tell."""
    lived(store)
    (first,) = own(store).documents()
    assert isinstance(first, Document) and first.version is not None
    change(store)

    (second,) = own(store).documents({first.id: first.version})

    assert isinstance(second, Held) == (not again)


def test_a_channel_made_private_changes_the_version(store: Store):
    """So that a revocation reaches the index with the next sync."""
    lived(store)
    (public,) = own(store, is_public=lambda channel: True).documents()
    assert isinstance(public, Document) and public.version is not None

    (private,) = own(store).documents({public.id: public.version})

    assert isinstance(private, Document) and private.readers == ("C0INC",)


def test_a_young_incident_has_no_version(store: Store):
    """People still add to it: it is read each time."""
    lived(store)

    (document,) = own(store, clock=lambda: BEGAN + timedelta(days=2)).documents()

    assert isinstance(document, Document) and document.version is None


def test_with_pagerdutys_own_record_it_is_one_incident(store: Store, tmp_path):
    """Folded by id; in the incident's channel the two together know more than either."""
    lived(store)
    found_by_rundown(store)
    judged(store, f"commit:{SHA}", Vote.CULPRIT)
    (told,) = own(store).documents()
    assert isinstance(told, Document)
    index, embedder = EdgeIndex(tmp_path / "index"), HashEmbedder()
    ingestor = Ingestor(store, index, embedder)
    ingestor.sync(own(store))
    ingestor.sync(ListSource("pagerduty:api", replace(told, id="Q1", readers=("*",))))
    asked = Incident(id="pd:Q9", title="Checkout answers 503", service="checkout", created_at=NOW, description="at shop/db/pool.py:4")  # fmt: skip
    similar = find_similar(Retriever(index, embedder), asked, audience=Audience.of(("C0INC",)))
    index.close()

    assert similar.recurrence and similar.recurrence.times == 1
    assert [({item.doc_id for item in past.evidence}, past.alike) for past in similar.incidents] == [
        ({"Q1", "pd:Q1"}, ("same alert", "same service", "same culprit area shop/db"))
    ]


def test_an_index_of_before_learns_the_tiers_at_the_next_sync(store: Store, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """A settled story of an earlier form is read again, and stored with the tier of each part."""
    lived(store)
    index, embedder = EdgeIndex(tmp_path / "index"), HashEmbedder()
    ingestor, retriever = Ingestor(store, index, embedder), Retriever(index, embedder)
    with monkeypatch.context() as before:
        before.setattr("ingest.own_incidents.FORM", "story-1")
        before.setattr("ingest.own_incidents.REPEATS", ())
        ingestor.sync(own(store))
    reports = [ingestor.sync(own(store)), ingestor.sync(own(store))]
    (found,) = retriever.search("checkout pool", audience=Audience.of(("C0INC",)))
    parts = retriever.sections(found.id, audience=Audience.of(("C0INC",)))
    index.close()

    assert [(report.updated, report.unchanged) for report in reports] == [(1, 0), (0, 1)]
    assert {item.section[-1]: (item.tier, item.kind) for item in parts} == {
        "What happened": (Tier.ALERT, Tier.PAST_INCIDENT),
        "Status updates": (Tier.PAST_INCIDENT, Tier.PAST_INCIDENT),
        "Said in Slack": (Tier.SLACK, Tier.PAST_INCIDENT),
        "Resolution": (Tier.PAST_INCIDENT, Tier.PAST_INCIDENT),
    }
