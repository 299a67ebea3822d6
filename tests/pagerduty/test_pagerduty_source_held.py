"""What a sync of past incidents asks PagerDuty for, when much of it is stored already."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from core.model import Document
from core.store import open_store
from ingest.pagerduty import PagerDutySource
from ingest.sources import Held
from ingest.sync import Ingestor
from retrieval.edge import EdgeIndex
from retrieval.embedding import HashEmbedder


def resolved(pd, clock, *, days_ago: float, title: str = "Checkout answers 500") -> str:
    """An incident of an hour that ended so long ago; its id."""
    present = clock.now
    clock.now = present - timedelta(days=days_ago, hours=1)
    incident_id = pd.trigger(title, service="checkout")["id"]
    clock.now = present - timedelta(days=days_ago)
    pd.resolve(incident_id, "Ada")
    clock.now = present
    return incident_id


def source_of(client, clock) -> PagerDutySource:
    """A new one, as after a restart: it remembers nothing."""
    return PagerDutySource(client, days=60, clock=clock)


def held_after(client, clock) -> dict[str, str]:
    """What is stored after one sync, by the versions that the source gave."""
    listed = source_of(client, clock).documents()
    return {item.id: item.version for item in listed if isinstance(item, Document) and item.version is not None}


def asked(pd) -> set[str]:
    """The last word of each path that was asked for."""
    return {path.partition("?")[0].rpartition("/")[2] for _, path in pd.rest.requests}


def test_a_settled_incident_costs_its_line_in_the_list(pd, client, clock):
    """A new process asks for the lists alone, of incidents and teams, and says that the rest is as it was."""
    incident_id = resolved(pd, clock, days_ago=20)
    held = held_after(client, clock)
    pd.rest.requests.clear()

    assert (list(source_of(client, clock).documents(held)), asked(pd)) == (
        [Held(doc_id=incident_id)], {"incidents", "teams"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("days_ago", "wait", "again"),
    [
        (0.1, timedelta(minutes=5), True),
        (0.9, timedelta(hours=3), True),
        (2.1, timedelta(hours=3), False),
        (2.1, timedelta(hours=23), True),
        (6.5, timedelta(days=1), True),
        (7.5, timedelta(days=1), False),
        (20, timedelta(days=30), False),
    ],
)
def test_a_young_incident_is_read_again(pd, client, clock, days_ago, wait, again):
    """Each time on its first day, once a day in its first week: PagerDuty's list does not tell of notes."""
    incident_id = resolved(pd, clock, days_ago=days_ago)
    held = held_after(client, clock)
    clock.now += wait

    (item,) = source_of(client, clock).documents(held)

    assert (item == Held(doc_id=incident_id)) == (not again)


@pytest.mark.parametrize(
    "change",
    [
        lambda pd, incident_id: pd.set_priority(incident_id, "P1", "Ada"),
        lambda pd, incident_id: pd.move_service(incident_id, "payments", "Ada"),
        lambda pd, incident_id: (pd.reopen(incident_id, "Ada"), pd.resolve(incident_id, "Ada")),
    ],
)
def test_a_settled_incident_that_changed_is_read_again(pd, client, clock, change):
    """Whatever PagerDuty's list tells of."""
    incident_id = resolved(pd, clock, days_ago=20)
    held = held_after(client, clock)
    change(pd, incident_id)

    (item,) = source_of(client, clock).documents(held)

    assert isinstance(item, Document)


def test_a_sync_after_a_restart_reads_what_is_new_and_forgets_what_is_gone(pd, client, clock, tmp_path):
    """Through the store: versions outlive the process, and an incident beyond the days asked for goes."""
    resolved(pd, clock, days_ago=58)
    resolved(pd, clock, days_ago=20)
    reports = []
    for wait in (0, 0, 3):
        clock.now += timedelta(days=wait)
        if wait:
            resolved(pd, clock, days_ago=0.5)
        pd.rest.requests.clear()
        store, index = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}"), EdgeIndex(tmp_path / "index")
        report = Ingestor(store, index, HashEmbedder()).sync(source_of(client, clock))
        notes = Counter(path.rpartition("/")[2] for _, path in pd.rest.requests)["notes"]
        reports.append((report.added, report.unchanged, report.deleted, notes))
        index.close()
        store.close()

    assert reports == [(2, 0, 0, 2), (0, 2, 0, 0), (1, 1, 1, 1)]


def test_status_updates_are_read_page_by_page(pd, client, clock):
    """They stand among the log entries, which a long incident has hundreds of."""
    present = clock.now
    clock.now = present - timedelta(days=20)
    incident_id = pd.trigger("Checkout answers 500", service="checkout")["id"]
    for number in range(120):
        pd.annotate(incident_id, f"looking at {number}", "Ada")
    pd.update_status(incident_id, "Carts are slow", "Grace")
    pd.resolve(incident_id, "Ada")
    clock.now = present

    (document,) = source_of(client, clock).documents()

    assert isinstance(document, Document)
    assert (
        f"## Status updates\n\n- Grace ({present - timedelta(days=20):%Y-%m-%d %H:%M} UTC): Carts are slow\n"
        in document.text
    )


def test_the_marks_of_an_alert_open_the_document(pd, client, clock):
    """So that the same alert is known again, whatever its title says of numbers and hosts."""
    present = clock.now
    clock.now = present - timedelta(days=20)
    details = {"labels": {"alertname": "CheckoutErrors"}, "class": "latency", "message": "pool exhausted"}
    incident_id = pd.trigger("[FIRING:1] Checkout 500", service="checkout", details=details)["id"]
    for alert in pd.world.alerts[incident_id]:
        alert["alert_key"] = "checkout/5xx"
    pd.resolve(incident_id, "Ada")
    clock.now = present

    (document,) = source_of(client, clock).documents()

    assert isinstance(document, Document)
    assert (
        "urgency high.\n\n- Alert: CheckoutErrors\n- Class: latency\n- Dedup: checkout/5xx\n\npool exhausted"
        in document.text
    )
