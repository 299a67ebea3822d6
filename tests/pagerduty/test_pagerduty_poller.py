"""The poll against the stand-in over HTTP: what webhooks lost, it finds; what they told, it leaves alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.intake import Intake
from bot.metrics import Metrics
from bot.pagerduty import normalise_polled
from bot.pagerduty_poller import CURSOR, PagerDutyPoller, PollReport, enrich
from bot.standin.pagerduty import PagerDutyStandIn
from core.errors import PagerDutyUnavailable
from core.model import Incident, Status
from core.settings import Settings
from core.store import Store
from ingest.pagerduty_client import PagerDutyClient

Poll = Callable[[], PollReport]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def poller(client: PagerDutyClient, store: Store, metrics: Metrics) -> PagerDutyPoller:
    return PagerDutyPoller(client, Intake(store, lambda _row: None), store, Settings(), metrics=metrics)


@pytest.fixture
def poll(poller: PagerDutyPoller, clock: Any) -> Poll:
    return lambda: poller.poll_once(clock())


def work(store: Store) -> dict[str, Incident]:
    """Do with the inbox what a worker does; the incidents touched, as they now stand."""
    touched: dict[str, Incident] = {}
    for row_id in store.unfinished_inbox():
        touched |= {
            incident.id: incident for incident in store.record_events(normalise_polled(store.inbox_row(row_id).raw))
        }
        store.finish_inbox(row_id)
    return touched


def asked(pd: PagerDutyStandIn) -> list[str]:
    """Paths asked for since last time."""
    paths = [path.partition("?")[0] for _, path in pd.rest.requests]
    pd.rest.requests.clear()
    return paths


def test_finds_an_incident_no_webhook_told(pd, poll, store):
    """A lost webhook costs at most one poll."""
    incident_id = pd.trigger("Checkout answers 500", service="checkout", priority="P1")["id"]

    report = poll()

    incident = work(store)[f"pd:{incident_id}"]
    assert (report.found, incident.title, incident.service, incident.priority, incident.status) == (
        1,
        "Checkout answers 500",
        "checkout",
        "P1",
        Status.TRIGGERED,
    )


def test_the_first_poll_leaves_history_alone(pd, poll, clock, store):
    """Installing Rundown posts no cards for incidents that are over, or older than an hour."""
    pd.trigger("Open since yesterday", at=clock() - timedelta(days=1))
    over = pd.trigger("Over", at=clock() - timedelta(minutes=30))["id"]
    pd.resolve(over)
    fresh = pd.trigger("Open", at=clock() - timedelta(minutes=30))["id"]

    poll()
    clock.pass_(minutes=1)
    poll()

    assert list(work(store)) == [f"pd:{fresh}"]


def test_an_outage_of_two_days_loses_nothing(pd, poll, clock, store):
    """Incidents that opened, and even closed, while we were away are found by the next poll."""
    poll()
    clock.pass_(hours=10)
    closed = pd.trigger("Opened and closed")["id"]
    clock.pass_(minutes=5)
    pd.resolve(closed, "Ada")
    clock.pass_(hours=40)
    still_open = pd.trigger("Still open")["id"]
    clock.pass_(hours=1)

    poll()

    states = {incident_id: incident.status for incident_id, incident in work(store).items()}
    assert states == {f"pd:{closed}": Status.RESOLVED, f"pd:{still_open}": Status.TRIGGERED}


@pytest.mark.parametrize(
    ("act", "shown"),
    [
        (
            lambda pd, i: pd.acknowledge(i, "Ada"),
            lambda incident: (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, ("Ada",)),
        ),
        (
            lambda pd, i: pd.resolve(i, "Ada"),
            lambda incident: (incident.status, incident.resolved_by) == (Status.RESOLVED, "Ada"),
        ),
        (
            lambda pd, i: pd.resolve(i, None),
            lambda incident: (incident.status, incident.resolved_by) == (Status.RESOLVED, None),
        ),
        (lambda pd, i: pd.set_priority(i, "P2"), lambda incident: incident.priority == "P2"),
        (lambda pd, i: pd.move_service(i, "payments"), lambda incident: incident.service == "payments"),
        (
            lambda pd, i: pd.annotate(i, "look", "Ada"),
            lambda incident: [(note.author, note.text) for note in incident.notes] == [("Ada", "look")],
        ),
    ],
)
def test_finds_each_change_no_webhook_told(pd, poll, clock, store, act: Any, shown: Any):
    """What happens to an incident we know is found, however long ago it began, and told once."""
    incident_id = pd.trigger("Checkout answers 500")["id"]
    poll()
    work(store)
    clock.pass_(days=3)
    poll()
    clock.pass_(hours=1)
    act(pd, incident_id)
    clock.pass_(minutes=1)

    first, again = poll().found, poll().found
    states = work(store)
    clock.pass_(minutes=1)
    later = poll().found

    assert (first, again, later) == (1, 0, 0)
    assert shown(states[f"pd:{incident_id}"])


def test_sees_that_an_incident_was_reopened(pd, poll, clock, store):
    """Resolved when we last looked, reopened since, and no webhook told."""
    poll()
    incident_id = pd.trigger("Checkout answers 500")["id"]
    clock.pass_(minutes=1)
    pd.resolve(incident_id)
    clock.pass_(minutes=1)
    poll()
    closed = work(store)[f"pd:{incident_id}"].status
    clock.pass_(hours=1)
    pd.reopen(incident_id)
    clock.pass_(minutes=1)
    poll()

    assert (closed, work(store)[f"pd:{incident_id}"].status) == (Status.RESOLVED, Status.TRIGGERED)


def test_what_webhooks_told_is_no_news(pd, client, edge, clock):
    """With webhooks arriving, the poll puts nothing into the inbox."""
    pd.subscribe(edge.hook, secrets=["the new secret"])
    poller = PagerDutyPoller(client, Intake(edge.store, lambda _row: None), edge.store, Settings(), metrics=Metrics())
    poller.poll_once(clock())
    incident_id = pd.trigger("Checkout answers 500", priority="P2", custom_fields={"environment": "production"})["id"]
    for step in (
        lambda: pd.acknowledge(incident_id, "Ada"),
        lambda: pd.annotate(incident_id, "look", "Ada"),
        lambda: pd.set_priority(incident_id, "P1", "Ada"),
        lambda: pd.reassign(incident_id, "Grace", "Ada"),
        lambda: pd.resolve(incident_id, "Ada"),
        lambda: pd.reopen(incident_id, "Ada"),
    ):
        clock.pass_(seconds=90, milliseconds=250)
        step()
        edge.work()
        assert poller.poll_once(clock()).found == 0


def test_asks_only_for_the_services_named(pd, client, store, metrics, clock):
    """RUNDOWN_PAGERDUTY_SERVICES keeps other teams' incidents out."""
    ours = pd.trigger("Ours", service="checkout")
    pd.trigger("Theirs", service="billing")
    settings = Settings(pagerduty_services=(ours["service"]["id"],))

    PagerDutyPoller(client, Intake(store, lambda _row: None), store, settings, metrics=metrics).poll_once(clock())

    assert list(work(store)) == [f"pd:{ours['id']}"]


def test_pages_through_a_storm(pd, poll):
    """More incidents at once than fit a page are all found by one poll."""
    for number in range(101):
        pd.world.open_incident(f"{number}", service="a", urgency="high", priority=None, at=pd.clock())

    assert poll().found == 101


@pytest.mark.parametrize(
    "failure",
    [
        {"status": 500},
        {"status": 429, "headers": {"ratelimit-reset": "20"}},
        {"status": 429, "body": b""},
        {"status": 401, "times": 9},
        {"status": 200, "body": b"<html>a proxy's page</html>"},
        {"status": 200, "body": b"[]"},
        {"status": 200, "body": b'{"incidents":null}'},
        {"status": 302, "headers": {"location": "https://example.com"}},
    ],
)
def test_a_failed_poll_keeps_its_place(pd, client, store, metrics, clock, failure: dict[str, Any]):
    """Whatever PagerDuty answers, the poll says so, the cursor stays, and the next poll finds what this one missed."""
    poller = PagerDutyPoller(client, Intake(store, lambda _row: None), store, Settings(), metrics=metrics)
    poller.poll_once(clock())
    before = store.cursor(CURSOR)
    clock.pass_(hours=2)
    pd.trigger("Checkout answers 500", at=clock() - timedelta(hours=1))
    pd.fail_next(**failure)
    with pytest.raises(PagerDutyUnavailable):
        poller.poll_once(clock())
    kept = store.cursor(CURSOR)
    pd.rest.failures.clear()
    client._bucket._closed_until = 0.0

    assert (kept == before, poller.poll_once(clock()).found) == (True, 1)


def test_one_unreadable_incident_does_not_hide_the_others(pd, poll, store, caplog):
    """An incident PagerDuty describes strangely is reported once and skipped."""
    strange, good = pd.trigger("Strange")["id"], pd.trigger("Good")["id"]
    pd.world.incidents[strange]["id"] = "Q 1!"
    for shelf in (pd.world.incidents, pd.world.notes):
        shelf["Q 1!"] = shelf.pop(strange)
    poll()
    poll()

    assert (list(work(store)), caplog.text.count("cannot use what PagerDuty says")) == ([f"pd:{good}"], 1)


def test_an_incident_out_of_sight_is_asked_for_once(pd, poll, clock, store, caplog):
    """An incident deleted, or hidden from our key, is reported and left; the poll goes on."""
    incident_id = pd.trigger("Checkout answers 500")["id"]
    poll()
    work(store)
    pd.world.incidents.pop(incident_id)
    clock.pass_(hours=2)
    asked(pd)

    poll()
    poll()

    assert (asked(pd).count(f"/incidents/{incident_id}"), caplog.text.count("cannot follow")) == (1, 1)


# -- the webhook subscription ----------------------------------------------------------------------------------------------


def disabled(pd: PagerDutyStandIn, url: str) -> Any:
    subscription = pd.subscribe(url, secrets=["s"])
    subscription.disabled_at = pd.clock()
    return subscription


def test_enables_our_webhook_again(pd, poll, metrics, caplog):
    """A subscription that PagerDuty gave up on is switched on by the next poll, and it is alarmed."""
    subscription = disabled(pd, "https://rundown.example.com/pagerduty/webhook")

    with caplog.at_level(logging.ERROR):
        report = poll()

    assert (report.enabled, subscription.disabled_at) == (1, None)
    assert subscription.id in caplog.text
    assert metrics.registry.get_sample_value("rundown_pagerduty_subscriptions_enabled_total") == 1


def test_leaves_other_peoples_webhooks_alone(pd, poll):
    """A disabled subscription that does not point at our path is somebody else's business."""
    subscription = disabled(pd, "https://other.example.com/hooks/pagerduty")

    assert (poll().enabled, subscription.disabled_at is None) == (0, False)


def test_a_read_only_key_says_so_once_and_polls_on(pd, poll, caplog):
    """Without the right to enable, a person is told to; incidents are found all the same."""
    pd.rest.read_only = True
    disabled(pd, "https://rundown.example.com/pagerduty/webhook")
    pd.trigger("Checkout answers 500")

    found = [poll().found, poll().found]

    assert (found, caplog.text.count("enable it there by hand")) == ([1, 0], 1)


def test_a_disabled_webhook_day_is_recovered(pd, client, edge, clock):
    """Fault 7: three 4xx disable the subscription, a day of incidents is dropped; one poll finds all and switches it on."""
    # A server that is not ours stands at the address: we answer no webhook with a 4xx.
    subscription = pd.subscribe(f"{pd.url}/pagerduty/webhook", secrets=["the new secret"])
    poller = PagerDutyPoller(client, Intake(edge.store, lambda _row: None), edge.store, Settings(), metrics=Metrics())
    poller.poll_once(clock())
    for _ in range(6):
        clock.pass_(hours=1)
        pd.trigger("Checkout answers 500")
    was_disabled = pd.courier.is_disabled(subscription)

    report = poller.poll_once(clock())

    assert (was_disabled, report, len(edge.work())) == (True, PollReport(seen=6, found=6, enabled=1), 6)


# -- details ---------------------------------------------------------------------------------------------------------------


def test_enrich_finds_what_webhooks_leave_out(pd, client):
    """Description, links, custom fields and the runbook come from the incident and its first alert."""
    incident = pd.trigger(
        "Checkout answers 500",
        priority="P1",
        details={
            "message": "connection pool exhausted",
            "host": "web-3",
            "runbook_url": "https://wiki.example.com/checkout",
            "graph": {"latency": "http://grafana.internal/d/1"},
        },
        links=[("Traces", "https://traces.example.com/t/1")],
        custom_fields={"environment": "production"},
        conference_url="https://meet.example.com/1",
    )

    event = enrich(client, f"pd:{incident['id']}")

    assert event is not None
    assert {
        name: event.changes[name] for name in ("description", "links", "custom_fields", "runbook_url", "priority")
    } == {
        "description": "connection pool exhausted\nhost: web-3",
        "links": [
            {"title": "Conference bridge", "url": "https://meet.example.com/1"},
            {"title": "Traces", "url": "https://traces.example.com/t/1"},
            {"title": "runbook_url", "url": "https://wiki.example.com/checkout"},
            {"title": "graph.latency", "url": "http://grafana.internal/d/1"},
        ],
        "custom_fields": [["environment", "production"]],
        "runbook_url": "https://wiki.example.com/checkout",
        "priority": "P1",
    }


@pytest.mark.parametrize(
    ("details", "links", "runbook"),
    [
        (
            "Labels:\n - job = api\nAnnotations:\n - runbook_url = https://wiki.example.com/api\n",
            (),
            "https://wiki.example.com/api",
        ),
        ({"Playbook": "https://wiki.example.com/p"}, (), "https://wiki.example.com/p"),
        ({}, [("Run book", "https://wiki.example.com/r")], "https://wiki.example.com/r"),
        ({"runbook": "http://wiki.internal/r"}, (), None),
        ({"runbook": "https://user:pw@evil.example/r"}, (), None),
        ({"runbook": "ask Ada"}, (), None),
        ({"text": "no book here"}, (), None),
    ],
)
def test_finds_the_runbook_wherever_it_is_named(pd, client, details: Any, links: Any, runbook: str | None):
    """In an annotation's text, a detail or a link's title; https only, and no user name in it."""
    incident = pd.trigger("Checkout answers 500", details=details, links=links)

    event = enrich(client, f"pd:{incident['id']}")

    assert event is not None
    assert event.changes.get("runbook_url") == runbook


def test_enrich_reads_the_trigger_where_there_are_no_alerts(pd, client):
    """An account without alerts keeps the details in the log."""
    incident_id = pd.trigger("Checkout answers 500", details={"message": "pool exhausted"})["id"]
    pd.world.alerts[incident_id].clear()

    event = enrich(client, f"pd:{incident_id}")

    assert event is not None
    assert event.changes["description"] == "pool exhausted"


def test_enrich_twice_is_one_event(pd, client):
    """Asked again with nothing new, the event is the same."""
    incident_id = f"pd:{pd.trigger('Checkout answers 500')['id']}"

    assert enrich(client, incident_id) == enrich(client, incident_id)


def test_enrich_has_nothing_on_a_local_incident(client):
    """An incident of `rundown investigate` is not PagerDuty's."""
    assert enrich(client, "local:1") is None


def test_enrich_fails_aloud(pd, client):
    """PagerDuty down is an error, so that the card can say that details are missing."""
    incident_id = pd.trigger("Checkout answers 500")["id"]
    pd.fail_next(503)

    with pytest.raises(PagerDutyUnavailable):
        enrich(client, f"pd:{incident_id}")
