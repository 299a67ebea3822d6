"""Webhooks and polled incidents as events: every documented type, and one state whatever their order."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.pagerduty import PayloadError, normalise, normalise_polled
from bot.pagerduty_events import polled_incident, polled_note
from core.incidents import fold
from core.model import IncidentEvent, Note, Status

AT = "2026-03-01T10:05:00.250Z"
WHEN = datetime(2026, 3, 1, 10, 5, 0, 250_000, tzinfo=UTC)
ADA = {"id": "PADA", "type": "user_reference", "summary": "Ada"}
REFERENCE = {
    "id": "Q1ABC",
    "type": "incident_reference",
    "summary": "Checkout answers 500",
    "html_url": "https://acme.pagerduty.com/incidents/Q1ABC",
}
INCIDENT = {
    "id": "Q1ABC",
    "type": "incident",
    "html_url": "https://acme.pagerduty.com/incidents/Q1ABC",
    "number": 7,
    "status": "triggered",
    "created_at": "2026-03-01T10:00:00Z",
    "title": "Checkout answers 500",
    "service": {"id": "PSVC", "type": "service_reference", "summary": "checkout"},
    "assignees": [ADA, {"id": "PGRA", "type": "user_reference", "summary": "Grace"}],
    "priority": {"id": "PPRI", "type": "priority_reference", "summary": "P1"},
    "urgency": "high",
}
KNOWN = {"title": "Checkout answers 500", "url": "https://acme.pagerduty.com/incidents/Q1ABC"}
FIELDS = KNOWN | {
    "number": 7,
    "created_at": "2026-03-01T10:00:00+00:00",
    "service": "checkout",
    "priority": "P1",
    "urgency": "high",
}


def webhook(event_type: str, data: Any, **more: Any) -> bytes:
    event = {"id": "01EVENT", "event_type": event_type, "occurred_at": AT, "agent": ADA, "data": data}
    return json.dumps({"event": event | more}).encode()


def about(**more: Any) -> dict[str, Any]:
    return {"incident": REFERENCE, **more}


def field(name: str, value: Any) -> dict[str, Any]:
    return {"id": "PF", "name": name, "type": "field_value", "data_type": "string", "value": value}


@pytest.mark.parametrize(
    ("word", "kind", "text"),
    [
        ("triggered", "triggered", None),
        ("acknowledged", "acknowledged", None),
        ("unacknowledged", "unacknowledged", None),
        ("resolved", "resolved", None),
        ("reopened", "reopened", None),
        ("priority_updated", "priority", None),
        ("service_updated", "updated", None),
        ("incident_type.changed", "updated", None),
        ("escalated", "escalated", "to Ada, Grace"),
        ("reassigned", "reassigned", "to Ada, Grace"),
        ("delegated", "delegated", "to Ada, Grace"),
        ("from_the_future", "from_the_future", None),
    ],
)
def test_reads_events_that_carry_the_incident(word: str, kind: str, text: str | None):
    """Each carries a snapshot of the incident, and sets its fields."""
    (event,) = normalise(webhook(f"incident.{word}", INCIDENT))

    assert event == IncidentEvent(
        incident_id="pd:Q1ABC",
        event_id="01EVENT",
        kind=kind,
        occurred_at=WHEN,
        agent="Ada",
        changes=FIELDS | ({"text": text} if text else {}),
    )


@pytest.mark.parametrize(
    ("word", "data", "kind", "said"),
    [
        (
            "annotated",
            about(id="PNOTE", content="look", trimmed=False, type="incident_note"),
            "annotated",
            {"note": "look"},
        ),
        (
            "annotated",
            about(id="PNOTE", content="look", trimmed=True, type="incident_note"),
            "annotated",
            {"note": "look…"},
        ),
        (
            "custom_field_values.updated",
            about(
                custom_fields=[
                    field("environment", "production"),
                    field("regions", ["eu", "us"]),
                    field("empty", None),
                    field("runbook_url", "https://wiki.example.com/checkout"),
                ],
                changed_custom_fields=[field("environment", "staging")],
                type="incident_field_values",
            ),
            "updated",
            {
                "custom_fields": [
                    ["environment", "production"],
                    ["regions", "eu, us"],
                    ["runbook_url", "https://wiki.example.com/checkout"],
                ],
                "runbook_url": "https://wiki.example.com/checkout",
            },
        ),
        (
            "status_update_published",
            about(id="PUP", message="a fix is coming", type="incident_status_update"),
            "status_update_published",
            {"text": "a fix is coming"},
        ),
        (
            "responder.added",
            about(user=ADA, message="please help", state="pending", type="incident_responder"),
            "responder.added",
            {"text": "Ada: pending"},
        ),
        (
            "responder.replied",
            about(user=ADA, state="accepted", type="incident_responder"),
            "responder.replied",
            {"text": "Ada: accepted"},
        ),
        (
            "conference_bridge.updated",
            about(
                conference_url="https://meet.example.com/1", conference_numbers=[], type="incident_conference_bridge"
            ),
            "conference_bridge.updated",
            {"text": "https://meet.example.com/1"},
        ),
        (
            "role.assigned",
            {
                "type": "incident_role_assignment",
                "incident_role_assignments": [
                    {"assignee": ADA, "role": {"id": "PR", "summary": "Commander"}, "incident": REFERENCE},
                    {"assignee": None, "role": {"id": "PS", "summary": "Scribe"}, "incident": REFERENCE},
                ],
            },
            "role.assigned",
            {"text": "Commander: Ada; Scribe: nobody"},
        ),
        *(
            (
                f"task.{word}",
                about(id="PT", name="Check", status="todo", type="incident_task"),
                f"task.{word}",
                {"text": "Check: todo"},
            )
            for word in ("created", "updated", "completed")
        ),
        *(
            (
                f"action_invocation.{word}",
                about(id="01", action={"summary": "Restart"}, state=word, type="incident_action_invocation"),
                f"action_invocation.{word}",
                {"text": f"Restart: {word}"},
            )
            for word in ("created", "updated", "terminated")
        ),
        *(
            (
                f"workflow.{word}",
                about(id="PW", incident_workflow={"summary": "Open bridge"}, type="incident_workflow_instance"),
                f"workflow.{word}",
                {"text": "Open bridge"},
            )
            for word in ("started", "completed")
        ),
        ("word.to_come", about(type="incident_thing"), "word.to_come", {}),
    ],
)
def test_reads_events_that_refer_to_the_incident(word: str, data: dict[str, Any], kind: str, said: dict[str, Any]):
    """They set title and address from the reference, and say the rest."""
    (event,) = normalise(webhook(f"incident.{word}", data))

    assert (event.incident_id, event.kind, event.changes) == ("pd:Q1ABC", kind, KNOWN | said)


def test_a_note_is_known_by_its_own_id():
    """So that the same note, told by webhook and by poll, is one event."""
    told = webhook("incident.annotated", about(id="PNOTE", content="look", type="incident_note"))
    note = {"id": "PNOTE", "user": ADA, "content": "look", "created_at": "2026-03-01T10:05:00Z"}
    polled = polled_note(note, incident=INCIDENT)

    events = normalise(told) + normalise_polled(polled)
    assert [(event.event_id, event.kind, event.agent, event.changes["note"]) for event in events] == [
        ("note:PNOTE", "annotated", "Ada", "look")
    ] * 2


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (ADA, "Ada"),
        ({"id": "PB", "type": "bot_user_reference", "summary": "A rule"}, "A rule"),
        ({"id": "PS", "type": "service_reference", "summary": "checkout"}, None),
        ({"id": "PI", "type": "events_api_v2_inbound_integration_reference", "summary": "Prometheus"}, None),
        (None, None),
        ("Ada", None),
    ],
)
def test_names_people_and_not_machines(agent: Any, name: str | None):
    """The agent is a person's name; monitoring is nobody."""
    (event,) = normalise(webhook("incident.resolved", INCIDENT, agent=agent))

    assert event.agent == name


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("pagey.ping", {"message": "Hello from your friend Pagey!", "type": "ping"}),
        ("service.updated", {"id": "PSVC", "type": "service"}),
        ("incident.something", {"type": "no_incident_here"}),
        ("incident.something", None),
    ],
)
def test_concerns_no_incident(event_type: str, data: Any):
    """A ping, a service's event and what names no incident are read and mean nothing."""
    assert normalise(webhook(event_type, data)) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"event":{}}',
        webhook("incident.triggered", INCIDENT, occurred_at="yesterday"),
        webhook("incident.triggered", INCIDENT, occurred_at=None),
        webhook("incident.triggered", INCIDENT, occurred_at="9999-12-31T23:59:59-23:59"),
        webhook("incident.triggered", {**INCIDENT, "id": "../../x"}),
        webhook("incident.triggered", {**INCIDENT, "id": None}),
    ],
)
def test_refuses_what_is_no_webhook(raw: bytes):
    """A body that cannot be read is an error with a reason, not an empty answer."""
    with pytest.raises(PayloadError):
        normalise(raw)


@pytest.mark.parametrize(
    "odd",
    [
        {
            "title": 7,
            "number": "seven",
            "urgency": ["high"],
            "priority": "P1",
            "service": 3,
            "html_url": "javascript:alert(1)",
        },
        {
            "title": None,
            "number": True,
            "created_at": "no",
            "custom_fields": {"a": 1},
            "html_url": "https://u@evil.example",
        },
        {
            "body": [1],
            "description": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}},
            "custom_fields": [1, {}],
        },
    ],
)
def test_fields_of_the_wrong_kind_are_left_out(odd: dict[str, Any]):
    """Whatever a field holds, the incident still folds: its own fields stay out, the rest is used."""
    (event,) = normalise(webhook("incident.triggered", {"id": "Q1ABC", "type": "incident", **odd}))
    incident = fold([event])

    assert incident is not None
    assert (incident.title, incident.number, incident.url, incident.priority) == ("pd:Q1ABC", None, None, None)


def test_text_is_made_printable():
    """Control characters, broken Unicode and floods do not reach a card."""
    (event,) = normalise(webhook("incident.triggered", {**INCIDENT, "title": "a\x00b\x1b[31m\ud800" + "x" * 5000}))

    assert (event.changes["title"][:7], len(event.changes["title"])) == ("ab[31m?", 1024)


# -- polled --------------------------------------------------------------------------------------------------------------

POLLED = {
    "id": "Q1ABC",
    "type": "incident",
    "summary": "[#7] Checkout answers 500",
    "html_url": "https://acme.pagerduty.com/incidents/Q1ABC",
    "incident_number": 7,
    "title": "Checkout answers 500",
    "created_at": "2026-03-01T10:00:00Z",
    "updated_at": "2026-03-01T10:09:00Z",
    "status": "triggered",
    "service": {"id": "PSVC", "type": "service_reference", "summary": "checkout"},
    "last_status_change_at": "2026-03-01T10:09:00Z",
    "last_status_change_by": ADA,
    "resolved_at": None,
    "acknowledgements": [],
    "priority": {"id": "PPRI", "type": "priority", "summary": "P1"},
    "urgency": "high",
}
ACKNOWLEDGED = {
    "status": "acknowledged",
    "last_status_change_at": "2026-03-01T10:02:00Z",
    "acknowledgements": [{"at": "2026-03-01T10:02:00Z", "acknowledger": ADA}],
}
RESOLVED = {
    "status": "resolved",
    "resolved_at": "2026-03-01T10:08:00Z",
    "last_status_change_at": "2026-03-01T10:08:00Z",
}


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        ({}, None, [("triggered", 0), ("updated", 9)]),
        ({}, Status.TRIGGERED, [("triggered", 0), ("updated", 9)]),
        ({}, Status.ACKNOWLEDGED, [("triggered", 0), ("unacknowledged", 9), ("updated", 9)]),
        ({}, Status.RESOLVED, [("triggered", 0), ("reopened", 9), ("updated", 9)]),
        (ACKNOWLEDGED, None, [("triggered", 0), ("acknowledged", 2), ("updated", 9)]),
        (ACKNOWLEDGED, Status.RESOLVED, [("triggered", 0), ("acknowledged", 2), ("reopened", 2), ("updated", 9)]),
        ({**ACKNOWLEDGED, "acknowledgements": []}, None, [("triggered", 0), ("acknowledged", 2), ("updated", 9)]),
        (RESOLVED, None, [("triggered", 0), ("resolved", 8), ("updated", 9)]),
        (RESOLVED, Status.ACKNOWLEDGED, [("triggered", 0), ("resolved", 8), ("updated", 9)]),
        ({**RESOLVED, "resolved_at": None}, None, [("triggered", 0), ("resolved", 8), ("updated", 9)]),
    ],
)
def test_a_polled_incident_tells_its_history(now: dict[str, Any], before: Status | None, told: list[tuple[str, int]]):
    """What happened is told at the minute it happened, as far as the incident says; the rest at its last change."""
    events = normalise_polled(polled_incident(POLLED | now, before=before))

    assert sorted((event.kind, event.occurred_at.minute) for event in events) == sorted(told)
    assert fold(events).status == (POLLED | now)["status"]  # type: ignore[union-attr]


def test_a_polled_incident_folds_to_what_webhooks_tell():
    """Both sources alone give the same incident."""
    told = [
        normalise(webhook("incident.triggered", INCIDENT, id="1", occurred_at="2026-03-01T10:00:00Z", agent=None)),
        normalise(webhook("incident.acknowledged", INCIDENT, id="2", occurred_at="2026-03-01T10:02:00Z")),
        normalise(webhook("incident.resolved", INCIDENT, id="3", occurred_at="2026-03-01T10:08:00Z")),
    ]
    acknowledged = normalise_polled(polled_incident(POLLED | ACKNOWLEDGED, before=None))
    resolved = normalise_polled(polled_incident(POLLED | RESOLVED, before=Status.ACKNOWLEDGED))

    assert fold([*acknowledged, *resolved]) == fold(event for events in told for event in events)


def test_polling_twice_tells_nothing_twice():
    """The same state has the same event ids; another state has another."""
    first = {event.event_id for event in normalise_polled(polled_incident(POLLED, before=None))}
    again = {event.event_id for event in normalise_polled(polled_incident(POLLED, before=None))}
    other = {event.event_id for event in normalise_polled(polled_incident({**POLLED, "urgency": "low"}, before=None))}

    assert (first == again, first == other) == (True, False)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"incident":{"id":"Q1"}}', b'{"note":{"id":"P1"},"incident":{"id":"Q1"}}']
)
def test_refuses_what_is_no_polled_row(raw: bytes):
    """A row the poller did not write is an error."""
    with pytest.raises(PayloadError):
        normalise_polled(raw)


def test_what_an_incident_looks_like_in_the_end():
    """The events of a whole incident fold to everything a card shows."""
    events = [
        *normalise(webhook("incident.triggered", INCIDENT, id="1", occurred_at="2026-03-01T10:00:00.100Z", agent=None)),
        *normalise(webhook("incident.acknowledged", INCIDENT, id="2", occurred_at="2026-03-01T10:02:00.200Z")),
        *normalise(webhook("incident.annotated", about(id="PN", content="look", type="incident_note"), id="3")),
    ]
    incident = fold(events)

    assert incident is not None
    assert (
        incident.status,
        incident.service,
        incident.priority,
        incident.acknowledged_by,
        incident.notes,
        incident.links,
    ) == (
        Status.ACKNOWLEDGED,
        "checkout",
        "P1",
        ("Ada",),
        (Note(at=WHEN, author="Ada", text="look"),),
        (),
    )
