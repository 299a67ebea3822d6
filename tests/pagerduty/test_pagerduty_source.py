"""Past incidents as documents, read from the stand-in over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import PagerDutyUnavailable
from core.model import Document, Tier
from ingest.pagerduty import PagerDutySource
from ingest.sources import Skipped


@pytest.fixture
def source(client, clock) -> PagerDutySource:
    return PagerDutySource(client, days=30, clock=clock)


def live_through(pd, clock) -> str:
    """One incident from alert to resolution; its id."""
    began = clock() - timedelta(days=20)
    clock.now = began
    incident_id = pd.trigger(
        "Checkout answers 500",
        service="checkout",
        priority="P1",
        details={"message": "connection pool exhausted", "host": "web-3"},
    )["id"]
    clock.pass_(minutes=4)
    pd.annotate(incident_id, "rolled back 3f2c1ab, errors are falling", "Ada")
    clock.pass_(minutes=2)
    pd.update_status(incident_id, "A fix for this incident is being developed", "Ada")
    pd.annotate(incident_id, "# thanks all", "Grace")
    clock.pass_(minutes=36)
    pd.resolve(incident_id, "Ada")
    clock.pass_(days=20)
    return incident_id


def test_tells_what_happened_what_was_noted_and_how_it_ended(pd, source, clock):
    """A past incident reads as a short report; the words that tell of the end stand under Resolution."""
    incident_id = live_through(pd, clock)
    incident = pd.incident(incident_id)
    began, ended = incident["created_at"], incident["resolved_at"]

    (document,) = source.documents()

    assert isinstance(document, Document)
    assert document.text == (
        "# Checkout answers 500\n\n"
        "## What happened\n\n"
        f"Incident 1 on checkout, {began[:10]} {began[11:16]} UTC, P1, urgency high.\n\n"
        "connection pool exhausted\nhost: web-3\n\n"
        "## Status updates\n\n"
        f"- Ada ({minutes_after(began, 6)} UTC): A fix for this incident is being developed\n\n"
        "## Notes\n\n"
        f"- Grace ({minutes_after(began, 6)} UTC): \\# thanks all\n\n"
        "## Resolution\n\n"
        f"Resolved by Ada on {ended[:10]} {ended[11:16]} UTC, 42 min after it began.\n\n"
        f"- Ada ({minutes_after(began, 4)} UTC): rolled back 3f2c1ab, errors are falling\n"
    )
    assert (document.id, document.source, document.title, document.tier, document.service, document.url) == (
        incident_id,
        "pagerduty:127.0.0.1",
        "Checkout answers 500",
        Tier.PAST_INCIDENT,
        "checkout",
        incident["html_url"],
    )


def minutes_after(at: str, minutes: int) -> str:
    from datetime import datetime

    return f"{datetime.fromisoformat(at) + timedelta(minutes=minutes):%Y-%m-%d %H:%M}"


def test_dates_a_report_by_the_last_thing_it_tells(pd, source, clock):
    """Nothing from the future: an incident that ran at the same time may not be shown what was noted after it began."""
    incident_id = live_through(pd, clock)
    clock.now -= timedelta(days=19)
    pd.annotate(incident_id, "postmortem is out", "Grace")
    noted_at = clock.now
    clock.pass_(days=19)

    (document,) = source.documents()

    assert document.occurred_at == noted_at


def test_leaves_open_and_old_incidents_out(pd, client, clock):
    """Only what is over, and within the days asked for."""
    pd.trigger("Open", at=clock() - timedelta(days=1))
    pd.resolve(pd.trigger("Old", at=clock() - timedelta(days=40))["id"])
    kept = pd.trigger("Kept", at=clock() - timedelta(days=20))["id"]
    pd.resolve(kept)

    assert [item.id for item in PagerDutySource(client, days=30, clock=clock).documents()] == [kept]


def test_an_incident_that_may_not_be_read_is_listed_as_skipped(pd, client, clock):
    """So that what is indexed of it stays."""
    incident_id = pd.trigger("Hidden", at=clock() - timedelta(days=1))["id"]
    pd.resolve(incident_id)
    pd.fail_next(403, on="/notes")

    (skipped,) = PagerDutySource(client, days=7, clock=clock).documents()

    assert isinstance(skipped, Skipped)
    assert (skipped.doc_id, skipped.unreadable) == (incident_id, True)


def test_a_list_that_breaks_off_is_an_error(pd, source, clock):
    """Nothing may be concluded, deletions least of all, from half a list."""
    live_through(pd, clock)
    pd.fail_next(500)

    with pytest.raises(PagerDutyUnavailable):
        list(source.documents())


def test_a_range_too_full_to_be_listed_is_asked_for_in_halves(pd, source, clock, monkeypatch):
    """PagerDuty gives only so many of one range; none is left out all the same."""
    for module in ("ingest.pagerduty", "ingest.pagerduty_client"):
        monkeypatch.setattr(f"{module}.LIST_END", 3)
    ids = set()
    for _ in range(7):
        incident_id = pd.trigger("Checkout answers 500", service="checkout")["id"]
        clock.pass_(hours=5)
        pd.resolve(incident_id, "Ada")
        ids.add(incident_id)
    clock.pass_(days=1)

    assert {item.id for item in source.documents() if isinstance(item, Document)} == ids
