"""Fault 5 of CONTRACTS.md: webhooks doubled, shuffled, late or lost; the state is what PagerDuty itself shows.

The oracle is the stand-in's own account, which knows nothing of our events or their folding.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.pagerduty import normalise, normalise_polled
from bot.pagerduty_events import polled_incident, polled_note
from bot.standin.pagerduty import PagerDutyStandIn
from core.incidents import fold
from core.model import Incident, IncidentEvent, Status

ACTIONS = {
    "triggered": [
        "acknowledge",
        "resolve",
        "annotate",
        "set_priority",
        "set_custom_fields",
        "move_service",
        "reassign",
    ],
    "acknowledged": ["acknowledge", "unacknowledge", "resolve", "annotate", "set_priority", "set_custom_fields"],
    "resolved": ["reopen", "annotate"],
}
ARGUMENTS: dict[str, list[tuple[Any, ...]]] = {
    "acknowledge": [("Ada",), ("Grace",)],
    "annotate": [("looking", "Ada"), ("rolled back", "Grace")],
    "set_priority": [("P1",), ("P2",)],
    "set_custom_fields": [({"environment": "production"},), ({"environment": "staging", "region": "eu"},)],
    "move_service": [("payments",), ("checkout",)],
    "reassign": [("Grace",)],
    "resolve": [("Ada",), (None,)],
    "reopen": [("Grace",)],
    "unacknowledge": [()],
}


class Past:
    """One shared account; each story happens in a later hour of it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.standin = PagerDutyStandIn(clock=lambda: self.now)
        self.standin.courier.hold()
        self.subscription = self.standin.subscribe("http://127.0.0.1:9/", secrets=["s"])

    def live(self, story: list[tuple[int, int, int]]) -> Iterator[tuple[str, bytes]]:
        """Do what the story says; the incident's id and the webhook each step sends. A step is (ms to wait, action, arguments)."""
        self.now += timedelta(hours=1)
        self.now = self.now.replace(microsecond=0)
        incident_id = self.standin.trigger("Checkout answers 500")["id"]
        yield incident_id, self._sent()
        for wait_ms, pick, choice in story:
            self.now += timedelta(milliseconds=wait_ms)
            possible = ACTIONS[self.standin.world.incidents[incident_id]["status"]]
            action = possible[pick % len(possible)]
            arguments = ARGUMENTS[action][choice % len(ARGUMENTS[action])]
            getattr(self.standin, action)(incident_id, *arguments)
            yield incident_id, self._sent()

    def _sent(self) -> bytes:
        body = self.subscription.waiting.pop().body
        self.subscription.waiting.clear()
        self.subscription.history.clear()
        return body

    def truth(self, incident_id: str) -> dict[str, Any]:
        """What PagerDuty would show."""
        incident = self.standin.world.incidents[incident_id]
        return {
            "title": incident["title"],
            "status": incident["status"],
            "service": incident["service"]["summary"],
            "priority": incident["priority"]["summary"] if incident["priority"] else None,
            "fields": {item["name"]: item["value"] for item in self.standin.world.fields[incident_id]},
            "notes": [(note["user"]["summary"], note["content"]) for note in self.standin.world.notes[incident_id]],
            "resolved": incident["resolved_at"],
        }


def believed(incident: Incident | None) -> dict[str, Any]:
    assert incident is not None
    resolved = incident.resolved_at
    return {
        "title": incident.title,
        "status": incident.status,
        "service": incident.service,
        "priority": incident.priority,
        "fields": dict(incident.custom_fields),
        "notes": [(note.author, note.text) for note in incident.notes],
        "resolved": resolved.strftime("%Y-%m-%dT%H:%M:%SZ") if resolved else None,
    }


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    made = Past()
    yield made
    made.standin.courier.close()
    made.standin._server._socket.close()


def stories(least_ms: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    return st.lists(st.tuples(st.integers(least_ms, 900_000), st.integers(0, 6), st.integers(0, 1)), max_size=9)


RELAXED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(story=stories(least_ms=1), chance=st.randoms(use_true_random=False))
def test_doubled_and_shuffled_webhooks_tell_the_same(
    past: Past, story: list[tuple[int, int, int]], chance: random.Random
):
    """Every webhook one to three times, in any order, gives PagerDuty's own state: none is stale for coming late."""
    sent = list(past.live(story))
    pile = [body for _, body in sent for _ in range(chance.randint(1, 3))]
    chance.shuffle(pile)

    assert believed(fold(event for body in pile for event in normalise(body))) == past.truth(sent[0][0])


@pytest.mark.parametrize("seed", range(8))
def test_a_resolved_incident_never_reopens_through_a_stale_event(past: Past, edge: Any, seed: int):
    """Once the store says resolved, every older webhook may come again, in any order: it says so after each."""
    chance = random.Random(seed)
    story = [(chance.randint(1, 5000), chance.randint(0, 6), chance.randint(0, 1)) for _ in range(8)]
    told = list(past.live(story))
    incident_id, sent = told[0][0], [body for _, body in told]
    if past.standin.world.incidents[incident_id]["status"] != "resolved":
        past.standin.resolve(incident_id, "Ada")
        sent.append(past._sent())
    edge.store.record_events([event for body in sent for event in normalise(body)])

    stale = chance.sample(sent, len(sent))
    seen = [edge.store.record_events(normalise(body))[0].status for body in stale]
    assert set(seen) == {Status.RESOLVED}


@RELAXED
@given(story=stories(least_ms=1000), chance=st.randoms(use_true_random=False))
def test_the_poll_makes_up_for_lost_webhooks(past: Past, story: list[tuple[int, int, int]], chance: random.Random):
    """Whatever webhooks are lost, and however many polls came between, one last poll gives PagerDuty's own state."""
    events: list[IncidentEvent] = []
    for incident_id, body in past.live(story):
        if chance.random() < 0.5:
            events += normalise(body)
        if chance.random() < 0.2:
            events += poll(past, incident_id, events)
    events += poll(past, incident_id, events)
    chance.shuffle(events)

    truth = past.truth(incident_id)
    told = believed(fold(events))
    assert told | {"fields": {}} == truth | {"fields": {}}


def poll(past: Past, incident_id: str, known: list[IncidentEvent]) -> list[IncidentEvent]:
    """What the poller would put in at this moment."""
    incident, before = past.standin.incident(incident_id), fold(known)
    notes = past.standin.world.notes[incident_id]
    rows = [polled_incident(incident, before=before.status if before else None)]
    rows += [polled_note(note, incident=incident) for note in notes]
    return [event for row in rows for event in normalise_polled(json.dumps(json.loads(row)).encode())]
