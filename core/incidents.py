"""An incident is the fold of its events, in the order they happened, however they arrived.

Does: compute one state from any set of events; duplicates and disorder change nothing (CONTRACTS.md fault 5).
Does not: store, fetch or parse events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from core.model import Incident, IncidentEvent, Note, Status, from_json, to_json

_KNOWN = {item.name for item in fields(Incident)} - {"id", "status", "notes"}


def fold(events: Iterable[IncidentEvent]) -> Incident | None:
    """The incident those events add up to.

    Args:
        events: every event known of one incident, in any order, repeats allowed.

    Returns:
        The state after the last event by time of occurrence (ties by event id), or None without events.
        Resolved is left only by a later "reopened" or "triggered" event: an acknowledgement never reopens.
    """
    unique = {event.event_id: event for event in events}
    ordered = sorted(unique.values(), key=lambda event: (event.occurred_at, _RANK.get(event.kind, 5), event.event_id))
    if not ordered:
        return None
    first = ordered[0]
    incident = Incident(id=first.incident_id, title=first.incident_id, created_at=first.occurred_at)
    for event in ordered:
        incident = _apply(incident, event)
    return incident


#: Within one instant, opening comes before closing: PagerDuty's times have whole seconds.
_RANK = {"triggered": 0, "reopened": 1, "unacknowledged": 2, "acknowledged": 3, "resolved": 9}


def _apply(incident: Incident, event: IncidentEvent) -> Incident:
    changes = {
        name: value for name, value in event.changes.items() if name in _KNOWN and value not in (None, "", [], ())
    }
    if changes:
        incident = from_json(Incident, {**to_json(incident), **changes})
    transition = _TRANSITIONS.get(event.kind)
    return transition(incident, event) if transition else incident


def _open(incident: Incident, event: IncidentEvent) -> Incident:
    return replace(incident, status=Status.TRIGGERED, resolved_at=None, resolved_by=None)


def _acknowledge(incident: Incident, event: IncidentEvent) -> Incident:
    if incident.status is Status.RESOLVED:
        return incident
    people = incident.acknowledged_by
    if event.agent and event.agent not in people:
        people = (*people, event.agent)
    return replace(
        incident,
        status=Status.ACKNOWLEDGED,
        acknowledged_by=people,
        acknowledged_at=incident.acknowledged_at or event.occurred_at,
    )


def _unacknowledge(incident: Incident, event: IncidentEvent) -> Incident:
    return incident if incident.status is Status.RESOLVED else replace(incident, status=Status.TRIGGERED)


def _resolve(incident: Incident, event: IncidentEvent) -> Incident:
    return replace(incident, status=Status.RESOLVED, resolved_at=event.occurred_at, resolved_by=event.agent)


def _annotate(incident: Incident, event: IncidentEvent) -> Incident:
    text: Any = event.changes.get("note", "")
    note = Note(at=event.occurred_at, author=event.agent or "unknown", text=str(text))
    return incident if not text or note in incident.notes else replace(incident, notes=(*incident.notes, note))


def _prioritise(incident: Incident, event: IncidentEvent) -> Incident:
    # The one event whose missing value says something: the priority was taken away.
    return replace(incident, priority=event.changes.get("priority") or None)


_TRANSITIONS = {
    "priority": _prioritise,
    "triggered": _open,
    "reopened": _open,
    "acknowledged": _acknowledge,
    "unacknowledged": _unacknowledge,
    "resolved": _resolve,
    "annotated": _annotate,
}
