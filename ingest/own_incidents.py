"""Rundown's own past incidents, from its store: what fixed it last time, for teams without PagerDuty's REST API too.

Does: tell each resolved incident as a document of the past-incident tier: notes, status updates, the commit that people confirmed,
and proposals that they found helpful; and what was said in its Slack thread and what its alert said, as no more than that.
Does not: tell an incident that is open or was never shown anywhere; compare it with PagerDuty's document of the same incident,
which has the same id without "pd:" (`retrieval.similar` folds the two, and this one knows the confirmed commit).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.access import EVERYONE
from core.model import (
    Commit,
    Document,
    Draft,
    Incident,
    IncidentEvent,
    Ranking,
    Status,
    Tier,
    Vote,
    from_json,
    to_json,
)
from core.settings import Settings
from core.store import Store
from ingest import fields as f
from ingest import pagerduty_fields as pd
from ingest.sources import NOTHING, Held, Listed, Skipped
from retrieval.story import FORM, REPEATS, SETTLED, Said, Story, areas_of, tell

#: Incidents that are read, the newest first.
LATEST = 2000
_SLACK_ID = re.compile(r"^(?:slack:.*|[UW][A-Z0-9]{6,})$")
_FILES = 5


def _now() -> datetime:
    return datetime.now(UTC)


def _unknown(person: str) -> None:
    """The name of somebody in Slack, where nobody looks names up."""


def open(
    store: Store,
    settings: Settings,
    *,
    is_public: Callable[[str], bool] = lambda channel: False,
    name_of: Callable[[str], str | None] = _unknown,
) -> OwnIncidents:
    """The incidents of this process's store, under Slack's terms as the settings give them. Arguments as of `OwnIncidents`."""
    internal = settings.slack_distribution == "internal"
    return OwnIncidents(store, slack_text=internal, is_public=is_public, name_of=name_of)


class OwnIncidents:
    """Resolved incidents of this store as documents.

    Args:
        store: what Rundown remembers.
        slack_text: whether Slack's terms let its text be indexed: `slack_distribution` is "internal".
        is_public: whether everyone may join a channel, by its id. What was handled elsewhere is for that channel alone.
        name_of: the name of somebody in Slack from the id that the store keeps; None while it is not known. A story in which
            somebody has no name yet is read again each time, until they have.
        clock: the present.
    """

    def __init__(
        self,
        store: Store,
        *,
        slack_text: bool,
        is_public: Callable[[str], bool] = lambda channel: False,
        name_of: Callable[[str], str | None] = _unknown,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store, self._slack_text = store, slack_text
        self._is_public, self._name_of, self._clock = is_public, name_of, clock
        self.name = "rundown:incidents"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every resolved incident, the newest first.

        One that has been over for a week is read again only if its state, its readers or the votes on it changed.

        Raises:
            StoreError: the store refused.
        """
        votes: dict[str, list[dict[str, Any]]] = {}
        for row in self._store.feedback():
            votes.setdefault(row["incident_id"], []).append(row)
        for incident in self._store.incidents(limit=LATEST):
            if incident.status is not Status.RESOLVED or incident.resolved_at is None:
                continue
            channel = self._store.channel_of(incident.id)
            if channel is None:
                yield Skipped(
                    doc_id=incident.id, reason="it was shown in no channel, so nobody is known who may read it"
                )
                continue
            readers = (EVERYONE,) if self._is_public(channel) else (channel,)
            given = votes.get(incident.id, [])
            version = self._version(incident, readers, given)
            if version is not None and held.get(incident.id) == version:
                yield Held(doc_id=incident.id)
            else:
                yield self._document(incident, readers, given, version)

    def _version(self, incident: Incident, readers: tuple[str, ...], votes: Sequence[Mapping[str, Any]]) -> str | None:
        """What changes when a settled story does; None while people still add to it."""
        assert incident.resolved_at is not None, "only what is over is told"
        if self._clock() - incident.resolved_at < SETTLED:
            return None
        facts = [FORM, self._slack_text, readers, to_json(incident), [(row["item"], row["vote"]) for row in votes]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def _document(
        self, incident: Incident, readers: tuple[str, ...], votes: Sequence[Mapping[str, Any]], version: str | None
    ) -> Document:
        events, findings = self._store.incident_events(incident.id), self._store.findings(incident.id)
        called = _Called(self._name_of)
        updates = [replace(said, author=called(said.author)) for said in _said(events, "status_update_published")]
        talk = [replace(said, author=called(said.author)) for said in _said(events, "remark") if self._slack_text]
        notes = [Said(at=note.at, author=called(note.author), text=note.text) for note in incident.notes]
        ended = incident.resolved_at or incident.created_at
        story = Story(
            title=incident.title,
            began=incident.created_at,
            ended=ended,
            service=incident.service,
            number=incident.number,
            rank=tuple(
                part for part in (incident.priority, incident.urgency and f"urgency {incident.urgency}") if part
            ),
            alert=pd.alert_marks([{"body": {"details": incident.text}}]),
            description=incident.description,
            updates=tuple(updates),
            notes=tuple(sorted(notes, key=lambda said: said.at)),
            talk=tuple(talk),
            cause=_cause(votes, findings),
            suggested=_helpful(votes, findings),
            resolved_by=incident.resolved_by and called(incident.resolved_by),
        )
        last = max([ended, *(said.at for said in (*updates, *notes, *talk)), *_judged(votes)])
        return Document(
            id=incident.id,
            source=self.name,
            title=incident.title,
            text=tell(story),
            tier=Tier.PAST_INCIDENT,
            repeats=REPEATS,
            url=incident.url,
            service=incident.service,
            updated_at=last,
            # It tells of everything up to the last word: only an incident after that may be shown it.
            occurred_at=last,
            readers=readers,
            version=version if called.everybody else None,
        )


class _Called:
    """Names people, and remembers whether it could name everybody."""

    def __init__(self, name_of: Callable[[str], str | None]) -> None:
        self._name_of = name_of
        self.everybody = True

    def __call__(self, person: str) -> str:
        if not _SLACK_ID.match(person):
            return person
        name = self._name_of(person)
        self.everybody = self.everybody and name is not None
        return name or "somebody in Slack"


def _said(events: Sequence[IncidentEvent], kind: str) -> list[Said]:
    """What events of one kind say, oldest first."""
    return [
        Said(at=event.occurred_at, author=event.agent or "somebody", text=text)
        for event in events
        if event.kind == kind and (text := f.text(event.changes.get("text"), f.PROSE))
    ]


def _judged(votes: Sequence[Mapping[str, Any]]) -> list[datetime]:
    return [at for row in votes if (at := f.time_of(row.get("at"))) is not None]


def _cause(votes: Sequence[Mapping[str, Any]], findings: Mapping[str, Any]) -> str:
    """The commit that people marked as the culprit, with the folders it touched."""
    marked = Counter(
        row["item"].removeprefix("commit:")
        for row in votes
        if row["vote"] == Vote.CULPRIT and row["item"].startswith("commit:")
    )
    if not marked:
        return ""
    sha, times = marked.most_common(1)[0]
    who = "A responder" if times == 1 else f"{times} responders"
    commit = next((item for item in _ranked(findings) if item.sha == sha), None)
    if commit is None:
        return f"{who} marked commit {sha[:10]} as the cause."
    files = ", ".join(change.path for change in commit.files[:_FILES])
    areas = ", ".join(areas_of(commit))
    touched = f" It changed {files}." if files else ""
    return f'{who} marked commit {commit.short} "{commit.subject}" in {commit.repo} as the cause.{touched}' + (
        f" Areas: {areas}." if areas else ""
    )


def _ranked(findings: Mapping[str, Any]) -> list[Commit]:
    ranking = (findings.get("rank") or {}).get("ranking")
    return [culprit.commit for culprit in from_json(Ranking, ranking).culprits] if ranking else []


def _helpful(votes: Sequence[Mapping[str, Any]], findings: Mapping[str, Any]) -> tuple[str, ...]:
    """What was proposed, without commands, where more people found it helpful than not. That it was done, nobody says."""
    given = Counter(row["vote"] for row in votes if row["item"] == "next")
    mitigation = (findings.get("draft") or {}).get("mitigation")
    if given[Vote.UP] <= given[Vote.DOWN] or not mitigation:
        return ()
    helped = f"{given[Vote.UP]} found this helpful, {given[Vote.DOWN]} did not"
    steps = (sentence.text.partition("\n```")[0].rstrip(":. ") for sentence in from_json(Draft, mitigation).sentences)
    return tuple(f"{step} ({helped})" for step in steps if step)
