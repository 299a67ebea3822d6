"""What a sentence may rest on, by the ids it is cited by, cleaned once for everybody.

Does: put the incident's facts ("I"), evidence ("E1"…), candidate commits ("C1"…), timeline events ("T1"…) and people's remarks
("R1"…) side by side as text, hidden characters stripped and secrets redacted.
Does not: choose among them, shorten them for a prompt, or trust what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.model import Culprit, Evidence, Incident, IncidentEvent, Note, Ranking, Tier
from core.redaction import redact
from core.text import strip_hidden

#: Tiers that may support a step to take; anything below was written by nobody who reviews runbooks.
GUIDING = frozenset({Tier.RUNBOOK, Tier.WIKI})
#: Paths of a commit worth naming: the rest is told by their number.
_PATHS = 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One thing that may be cited. Its text is clean, and as long as it came."""

    id: str
    #: How far its words are trusted.
    tier: Tier
    title: str
    text: str
    #: The heading path, outermost first.
    section: tuple[str, ...] = ()
    occurred_at: datetime | None = None
    doc_id: str | None = None
    #: The tier of the document it is a part of, where that is higher: it says what was found, and lends its words nothing.
    within: Tier | None = None

    @property
    def name(self) -> str:
        """Title and heading path on one line."""
        return " › ".join((self.title, *self.section))

    @property
    def everything(self) -> str:
        """All that a sentence citing it may draw on."""
        return f"{self.name}\n{self.text}"


def sources_of(
    *,
    incident: Incident | None = None,
    evidence: Sequence[Evidence] = (),
    ranking: Ranking | None = None,
    events: Sequence[IncidentEvent] = (),
    remarks: Sequence[Note] = (),
) -> dict[str, Source]:
    """Everything that may be cited, by id, in the order given: I, E, C, T, R."""
    found: list[Source] = []
    if incident is not None:
        found.append(Source(id="I", tier=Tier.ALERT, title="This incident", text=clean(incident_facts(incident))))
    found += [_evidence(item) for item in evidence]
    for place, culprit in enumerate(ranking.culprits if ranking else (), 1):
        found.append(_commit(f"C{place}", culprit))
    for place, event in enumerate(events, 1):
        found.append(Source(id=f"T{place}", tier=Tier.ALERT, title="Timeline", text=clean(event_line(event))))
    for place, remark in enumerate(remarks, 1):
        text = clean(f"{utc(remark.at)}, {remark.author}: {remark.text}")
        found.append(Source(id=f"R{place}", tier=Tier.SLACK, title="Remark", text=text, occurred_at=remark.at))
    return {source.id: source for source in found}


def clean(text: str) -> str:
    """The text as everyone may see it: nothing hidden, no secret."""
    return redact(strip_hidden(text)).strip()


def utc(at: datetime) -> str:
    """A time in full, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(at: datetime) -> str:
    """A date, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def span(start: datetime, end: datetime) -> str:
    """The time between two moments, in at most two units."""
    minutes = abs(int((end - start).total_seconds())) // 60
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
    return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"


def incident_facts(incident: Incident) -> str:
    """What its source states of an incident, a line each."""
    acknowledged = ", ".join(incident.acknowledged_by)
    lines = [
        f"Title: {incident.title}",
        f"Service: {incident.service}" if incident.service else "",
        f"Status: {incident.status.value}",
        f"Priority: {incident.priority}" if incident.priority else "",
        f"Urgency: {incident.urgency}" if incident.urgency else "",
        f"Started: {utc(incident.created_at)}",
        f"Acknowledged by: {acknowledged}" if acknowledged else "Acknowledged by: nobody",
        f"Acknowledged at: {utc(incident.acknowledged_at)}" if incident.acknowledged_at else "",
        f"Resolved at: {utc(incident.resolved_at)}" if incident.resolved_at else "",
        f"Resolved by: {incident.resolved_by}" if incident.resolved_by else "",
        *(f"{name}: {value}" for name, value in incident.custom_fields),
        f"Description: {incident.description}" if incident.description else "",
        *(f"Note, {utc(note.at)}, {note.author}: {note.text}" for note in incident.notes),
    ]
    return "\n".join(line for line in lines if line)


def event_line(event: IncidentEvent) -> str:
    """One event in words: when, what, and who where it is known."""
    said = event.changes.get("note") or event.changes.get("text")
    words = _EVENT_WORDS.get(event.kind, f"{event.kind.replace('_', ' ')}")
    if event.kind == "priority" and event.changes.get("priority"):
        words = f"priority set to {event.changes['priority']}"
    by = f" by {event.agent}" if event.agent else ""
    return f"{utc(event.occurred_at)}: {words}{by}" + (f": {said}" if said else "")


_EVENT_WORDS = {
    "triggered": "incident triggered",
    "reopened": "incident reopened",
    "acknowledged": "acknowledged",
    "unacknowledged": "acknowledgement lapsed",
    "resolved": "resolved",
    "annotated": "note",
    "priority": "priority changed",
    "updated": "details updated",
}


def culprit_places(ranking: Ranking | None) -> Mapping[str, Culprit]:
    """Candidate commits by the ids they are cited by."""
    return {f"C{place}": culprit for place, culprit in enumerate(ranking.culprits if ranking else (), 1)}


def _evidence(item: Evidence) -> Source:
    return Source(
        id=item.id,
        tier=item.tier,
        title=_line(item.title),
        text=clean(item.text),
        section=tuple(_line(part) for part in item.section),
        occurred_at=item.occurred_at,
        doc_id=item.doc_id,
        within=item.within,
    )


def _commit(place: str, culprit: Culprit) -> Source:
    commit = culprit.commit
    paths = [change.path for change in commit.files[:_PATHS]]
    more = f" and {len(commit.files) - _PATHS} more" if len(commit.files) > _PATHS else ""
    lines = [
        f"Commit {commit.sha} ({commit.short}) in {commit.repo}",
        f"Subject: {commit.subject}",
        f"Author: {commit.author}",
        f"Committed: {utc(commit.committed_at)}",
        f"Merged: {utc(commit.merged_at)}" if commit.merged_at else "",
        f"Files: {', '.join(paths)}{more}" if paths else "",
        *(f"{'Against' if reason.weight < 0 else 'For'}: {reason.text}" for reason in culprit.reasons),
        commit.body,
    ]
    text = clean("\n".join(line for line in lines if line))
    return Source(id=place, tier=Tier.COMMIT, title=_line(commit.subject), text=text, occurred_at=commit.landed_at)


def _line(text: str) -> str:
    return " ".join(clean(text).split())
