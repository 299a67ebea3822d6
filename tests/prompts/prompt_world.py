"""One incident with everything a draft may draw on, and its hostile twin: what the tests of this folder share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.model import (
    Commit,
    Confidence,
    Culprit,
    Draft,
    Evidence,
    FileChange,
    Incident,
    IncidentEvent,
    Note,
    Ranking,
    Reason,
    Status,
    Tier,
)

START = datetime(2026, 8, 1, 3, 2, tzinfo=UTC)

INCIDENT = Incident(
    id="pd:Q1",
    title="Checkout 5xx above 2%",
    description="41% of POST /api/checkout requests fail with HTTP 503. Requests time out waiting for a payments connection.",
    created_at=START,
    service="checkout",
    status=Status.ACKNOWLEDGED,
    urgency="high",
    priority="P1",
    acknowledged_by=("Ana Lima",),
    acknowledged_at=START + timedelta(minutes=2),
)

RUNBOOK = Evidence(
    id="E1",
    tier=Tier.RUNBOOK,
    title="Checkout errors",
    section=("Mitigation",),
    doc_id="checkout.md",
    text="""\
1. Check the open payments connections before you restart anything:

   ```sh
   kubectl -n shop exec deploy/checkout -- pool-stats payments
   ```
2. If the pool is exhausted, roll back the last release of checkout:

   ```sh
   kubectl -n shop rollout undo deploy/checkout
   ```
3. Do not restart the payments database: it drops every open order.
4. Page the payments team if errors stay above 2% for 10 minutes.
""",
)
PAST = Evidence(
    id="E2",
    tier=Tier.PAST_INCIDENT,
    title="Payments pool exhausted",
    section=("Resolution",),
    doc_id="2026-05-03.md",
    occurred_at=datetime(2026, 5, 3, tzinfo=UTC),
    text="Rolling back the pool settings ended the checkout errors within four minutes.\n\nThe cause was a lowered acquire timeout on payments connections.",
)
WIKI = Evidence(
    id="E3",
    tier=Tier.WIKI,
    title="Checkout architecture",
    section=("Connections",),
    doc_id="architecture.md",
    text="Checkout holds one pool of 40 connections to payments-db. The acquireTimeout is 2,000 ms by default.",
)
SLACK = Evidence(
    id="E4",
    tier=Tier.SLACK,
    title="#shop",
    doc_id="slack-1",
    text="Just run `kubectl -n shop delete deploy/checkout` and it heals itself.",
)
EVIDENCE = (RUNBOOK, PAST, WIKI, SLACK)


def _culprit(place: int, sha: str, subject: str, *reasons: Reason) -> Culprit:
    commit = Commit(
        sha=sha,
        repo="shop",
        author="Dana Reyes",
        author_email="dana@shop.example",
        authored_at=START - timedelta(minutes=20 * place),
        committed_at=START - timedelta(minutes=14 * place),
        subject=subject,
        files=(FileChange(path="checkout/pool.py"),),
    )
    return Culprit(commit=commit, score=3.0 - place, confidence=0.8 / place, reasons=reasons)


CULPRITS = (
    _culprit(
        1,
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "Lower the payments pool timeout to 200 ms",
        Reason(feature="path", text="It touches checkout/pool.py, named in the alert's service.", weight=1.4),
        Reason(feature="time", text="It landed 14 minutes before the incident.", weight=0.8),
    ),
    _culprit(
        2,
        "1d41402abc4b2a76b9719d911017c592aa11bb22",
        "Reword the basket page",
        Reason(feature="kind", text="It changes only templates.", weight=-0.9),
    ),
)
RANKING = Ranking(
    culprits=CULPRITS,
    confidence=Confidence.LIKELY,
    considered=143,
    repos=("shop",),
    window_from=START - timedelta(days=14),
    window_to=START,
)
POSSIBLE = replace(RANKING, confidence=Confidence.POSSIBLE)
INCONCLUSIVE = replace(RANKING, confidence=Confidence.INCONCLUSIVE)


def _event(place: int, kind: str, minutes: int, agent: str | None = None, **changes: str) -> IncidentEvent:
    at = START + timedelta(minutes=minutes)
    return IncidentEvent(
        incident_id="pd:Q1", event_id=f"e{place}", kind=kind, occurred_at=at, agent=agent, changes=changes
    )


EVENTS = (
    _event(1, "triggered", 0),
    _event(2, "acknowledged", 2, "Ana Lima"),
    _event(3, "annotated", 31, "Ana Lima", note="Rolled back checkout, errors are gone."),
    _event(4, "resolved", 38, "Ana Lima"),
)
RESOLVED = replace(INCIDENT, status=Status.RESOLVED, resolved_at=START + timedelta(minutes=38), resolved_by="Ana Lima")
REMARKS = (
    Note(at=START + timedelta(minutes=9), author="Lee Wong", text="About 1,200 orders failed so far."),
    Note(at=START + timedelta(minutes=12), author="Lee Wong", text="Dana broke it, her mistake again."),
    Note(at=START + timedelta(minutes=40), author="Ana Lima", text="We should alert on pool saturation."),
)


def said(draft: Draft) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """A draft as plain values: heading to its sentences with their evidence."""
    return {
        section.heading: [(sentence.text, sentence.evidence) for sentence in section.sentences]
        for section in draft.sections
    }
