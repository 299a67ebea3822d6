"""What PagerDuty said, as incident events: webhooks and polled incidents come out the same.

Does: turn the raw body of an accepted webhook or poll row into `IncidentEvent`s that fold to one state in any order.
Does not: verify, fetch or store anything.

Every event of PagerDuty's v3 webhooks (developer-docs, webhooks/01-Overview) carries a snapshot of the incident or a reference
to it; both set fields. Events about something else on the incident (a task, a responder, a status update…) say it in
`changes["text"]`, one line for the timeline.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from core.errors import UsageError
from core.model import IncidentEvent, Status
from ingest import fields as f
from ingest import pagerduty_fields as pd


class PayloadError(UsageError):
    """A body that is not what PagerDuty documents."""


#: Our word where it differs from PagerDuty's without "incident.".
_KINDS = {
    "priority_updated": "priority",
    "service_updated": "updated",
    "incident_type.changed": "updated",
    "custom_field_values.updated": "updated",
}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,200}")


def normalise(raw: bytes) -> list[IncidentEvent]:
    """The events of one webhook body.

    Args:
        raw: the body as received, already verified.

    Returns:
        One event, or none where no incident is concerned: a ping, a service event, a type unknown to us without one.
        A note's event id is "note:<its id>", as when it is polled; any other's is PagerDuty's event id.

    Raises:
        PayloadError: the body is not a v3 webhook.
    """
    event = webhook_event(raw)
    data = f.table(event.get("data"))
    source, word = _incident_in(data), event["event_type"].removeprefix("incident.")
    if word == event["event_type"] or source is None:
        return []
    occurred_at = f.time_of(event.get("occurred_at"))
    if occurred_at is None:
        raise PayloadError("cannot read a PagerDuty webhook", why="event.occurred_at is no time")
    note_id = f.text(data.get("id"), 64) if word == "annotated" else ""
    changes = pd.incident_fields(source) | pd.custom_fields(data.get("custom_fields")) | _said(word, data)
    return [
        IncidentEvent(
            incident_id=_incident_id(source),
            event_id=f"note:{note_id}" if note_id else event["id"],
            kind=_KINDS.get(word, f.text(word, 64)),
            occurred_at=occurred_at,
            agent=pd.person(event.get("agent")),
            changes=changes,
        )
    ]


def webhook_event(raw: bytes) -> dict[str, Any]:
    """`event` of a webhook body, with an `id` and an `event_type` that are usable text.

    Raises:
        PayloadError: it is no JSON, too deeply nested, or has not those two.
    """
    event = f.table(_decoded(raw).get("event"))
    for name in ("id", "event_type"):
        value = event.get(name)
        if not isinstance(value, str) or not _EVENT_ID.fullmatch(value):
            raise PayloadError("cannot read a PagerDuty webhook", why=f"event.{name} is missing or unusable")
    return dict(event)


def normalise_polled(raw: bytes) -> list[IncidentEvent]:
    """The events that a polled incident, or a polled note, stands for.

    Args:
        raw: what `polled_incident` or `polled_note` wrote.

    Raises:
        PayloadError: it is neither.
    """
    row = _decoded(raw)
    if "note" in row:
        return [_note_event(f.table(row["note"]), f.table(row.get("incident")))]
    return _incident_events(f.table(row.get("incident")), before=row.get("before"))


def polled_incident(incident: Mapping[str, Any], *, before: Status | None) -> bytes:
    """The inbox row of an incident as the REST API gave it.

    Args:
        before: the status we believed it had, which tells a reopened one from one never closed.
    """
    return _encoded({"incident": incident, "before": before})


def polled_note(note: Mapping[str, Any], *, incident: Mapping[str, Any]) -> bytes:
    """The inbox row of a note as the REST API gave it."""
    kept = {name: incident.get(name) for name in ("id", "title", "html_url", "created_at")}
    return _encoded({"note": note, "incident": kept})


def digest(value: Any) -> str:
    """A short fingerprint of JSON values, for ids that must change when they do."""
    return hashlib.sha256(_encoded(value)).hexdigest()[:12]


def updated_at(incident: Mapping[str, Any]) -> datetime:
    """When a REST incident last changed, as well as it says.

    Raises:
        PayloadError: it carries no time at all.
    """
    for name in ("updated_at", "last_status_change_at", "created_at"):
        at = f.time_of(incident.get(name))
        if at is not None:
            return at
    raise PayloadError("cannot read a PagerDuty incident", why="it carries no time")


def _encoded(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _decoded(raw: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PayloadError("cannot read what PagerDuty sent", why=f"it is no JSON ({type(error).__name__})") from None
    if not isinstance(body, dict):
        raise PayloadError("cannot read what PagerDuty sent", why="it is no JSON object")
    return body


def _incident_in(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The incident, or the reference to it, that a webhook's data carries."""
    if data.get("type") == "incident":
        return data
    places = (data, *f.rows(data.get("incident_role_assignments")))
    return next((place["incident"] for place in places if isinstance(place.get("incident"), dict)), None)


def _incident_id(source: Mapping[str, Any]) -> str:
    found = source.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise PayloadError("cannot read what PagerDuty sent", why="the incident has no usable id")
    return f"pd:{found}"


# -- what an event says besides the incident's fields ----------------------------------------------------------------


def _said(word: str, data: Mapping[str, Any]) -> dict[str, Any]:
    if word == "annotated":
        return {"note": _note_text(data)}
    tell = _TELL.get(str(data.get("type"))) or _TELL.get(word)
    line = f.text(tell(data), f.TITLE) if tell else ""
    return {"text": line} if line else {}


def _note_text(note: Mapping[str, Any]) -> str:
    words = f.text(note.get("content"), f.PROSE)
    return f"{words}…" if note.get("trimmed") is True else words


def _assignees(data: Mapping[str, Any]) -> str:
    names = [name for name in map(pd.name_of, f.rows(data.get("assignees"))) if name]
    return f"to {', '.join(names)}" if names else ""


def _roles(data: Mapping[str, Any]) -> str:
    given = f.rows(data.get("incident_role_assignments"))
    return "; ".join(
        f"{pd.name_of(item.get('role')) or 'role'}: {pd.name_of(item.get('assignee')) or 'nobody'}" for item in given
    )


def _titled(name: str, state: str) -> Callable[[Mapping[str, Any]], str]:
    def tell(data: Mapping[str, Any]) -> str:
        title = pd.name_of(data.get(name)) or f.text(data.get(name), f.TITLE)
        return ": ".join(part for part in (title, f.text(data.get(state), f.PROSE)) if part)

    return tell


#: By the type of the data, or by PagerDuty's word where the data is the incident itself.
_TELL: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "incident_status_update": lambda data: f.text(data.get("message"), f.TITLE),
    "incident_conference_bridge": lambda data: f.web_url(data.get("conference_url")) or "",
    "incident_responder": _titled("user", "state"),
    "incident_role_assignment": _roles,
    "incident_task": _titled("name", "status"),
    "incident_action_invocation": _titled("action", "state"),
    "incident_workflow_instance": _titled("incident_workflow", "state"),
    "escalated": _assignees,
    "reassigned": _assignees,
    "delegated": _assignees,
}


# -- polled ------------------------------------------------------------------------------------------------------------


def _note_event(note: Mapping[str, Any], incident: Mapping[str, Any]) -> IncidentEvent:
    at, note_id = f.time_of(note.get("created_at")), f.text(note.get("id"), 64)
    if at is None or not note_id:
        raise PayloadError("cannot read a PagerDuty note", why="it has no id or no time")
    return IncidentEvent(
        incident_id=_incident_id(incident),
        event_id=f"note:{note_id}",
        kind="annotated",
        occurred_at=at,
        agent=pd.person(note.get("user")),
        changes=pd.incident_fields(incident) | {"note": _note_text(note)},
    )


def _incident_events(incident: Mapping[str, Any], *, before: Any) -> list[IncidentEvent]:
    """Opened, as it now is, and what its status tells; each at the time it says, so that late arrival changes nothing."""
    incident_id, now = _incident_id(incident), updated_at(incident)
    opened, fields = f.time_of(incident.get("created_at")) or now, pd.incident_fields(incident)
    changed = f.time_of(incident.get("last_status_change_at")) or now
    status, by = incident.get("status"), pd.person(incident.get("last_status_change_by"))
    acknowledged = _acknowledgements(incident, changed, by) if status == Status.ACKNOWLEDGED else []

    def event(kind: str, at: datetime, mark: str, agent: str | None = None, **changes: Any) -> IncidentEvent:
        event_id = f"poll:{incident_id}:{mark}"
        return IncidentEvent(
            incident_id=incident_id, event_id=event_id, kind=kind, occurred_at=at, agent=agent, changes=changes
        )

    first = {name: fields[name] for name in ("title", "created_at", "number", "url", "service") if name in fields}
    events = [
        event("triggered", opened, "opened", **first),
        event("updated", now, f"at:{now.isoformat()}:{digest(fields)}", **fields),
    ]
    if before == Status.RESOLVED and status in (Status.TRIGGERED, Status.ACKNOWLEDGED):
        reopened = min([changed, *(at for at, _ in acknowledged)])
        events.append(event("reopened", reopened, f"reopened:{reopened.isoformat()}"))
    elif before == Status.ACKNOWLEDGED and status == Status.TRIGGERED:
        events.append(event("unacknowledged", changed, f"unacknowledged:{changed.isoformat()}"))
    for at, name in acknowledged:
        events.append(event("acknowledged", at, f"ack:{at.isoformat()}:{digest(name)}", name))
    if status == Status.RESOLVED:
        at = f.time_of(incident.get("resolved_at")) or changed
        events.append(event("resolved", at, f"resolved:{at.isoformat()}", by))
    return events


def _acknowledgements(
    incident: Mapping[str, Any], changed: datetime, by: str | None
) -> list[tuple[datetime, str | None]]:
    given = f.rows(incident.get("acknowledgements"))
    return [(f.time_of(item.get("at")) or changed, pd.person(item.get("acknowledger"))) for item in given] or [
        (changed, by)
    ]
