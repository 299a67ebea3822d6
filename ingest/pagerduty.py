"""Past incidents from PagerDuty, with what people noted and how they ended.

Does: list resolved incidents of the last year as documents: what happened, status updates, notes, resolution. One that is stored
and has not changed costs its line in the list. Who may read each, `ingest.pagerduty_readers` tells; a version covers it.
Does not: keep anything, or list open incidents; those come through the webhook and the poll.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from core.access import EVERYONE
from core.errors import PagerDutyUnavailable
from core.model import Document, Tier
from core.settings import Settings
from ingest import fields as f
from ingest import pagerduty_fields as pd
from ingest.pagerduty_client import LIST_END, PagerDutyClient, PagerDutyRefused, open_client
from ingest.pagerduty_readers import TeamReaders
from ingest.readers import Verdict, closed, readers_of
from ingest.sources import NOTHING, Held, Listed, Skipped
from retrieval.story import FORM, REPEATS, SETTLED, Said, Story, tell

log = logging.getLogger(__name__)

#: PagerDuty searches at most six months at once, and gives at most 10,000 incidents of one range: a full range is halved, down to this.
_LONGEST, _SHORTEST = timedelta(days=179), timedelta(hours=1)
#: The type of the log entry that a status update leaves.
STATUS_UPDATE = "status_update_log_entry"
#: What stands before the readers in a version. One that everyone may read names none.
_READ_BY = " readers "


class _Changed(NamedTuple):
    """An incident to be read."""

    id: str
    #: As PagerDuty lists it.
    incident: Mapping[str, Any]
    verdict: Verdict
    version: str


USAGE = "pagerduty:"


def open(rest: str, settings: Settings) -> PagerDutySource:
    """Past incidents of the configured account: "pagerduty:", or "pagerduty:P123+P456" for those services alone.

    Raises:
        SettingsError: no REST key is configured, or the readers in the settings are no principals.
    """
    named = tuple(sorted({part.strip() for part in rest.split("+") if part.strip()}))
    return PagerDutySource(
        open_client(settings),
        services=named or settings.pagerduty_services,
        scope="+".join(named),
        readers=readers_of(settings.pagerduty_readers, setting="RUNDOWN_PAGERDUTY_READERS"),
    )


def _now() -> datetime:
    return datetime.now(UTC)


class PagerDutySource:
    """Resolved incidents as documents of the past-incident tier.

    Args:
        client: PagerDuty's REST API.
        services: service ids to ask for; all by default.
        scope: what tells this source from others of the same account; "" for the one that the settings describe.
        readers: who may read what no private team restricts.
        days: how far back to look.
        clock: the present.
    """

    def __init__(
        self,
        client: PagerDutyClient,
        *,
        services: Sequence[str] = (),
        scope: str = "",
        readers: Sequence[str] = (EVERYONE,),
        days: float = 365.0,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._client, self._scope, self._days, self._clock = client, scope, days, clock
        self._readers = tuple(readers)
        self._asked: dict[str, Any] = {"statuses[]": ["resolved"], "sort_by": "created_at:asc"}
        if services:
            self._asked["service_ids[]"] = list(services)

    @property
    def name(self) -> str:
        """ "pagerduty:", the API's host, and "#" with the scope if there is one."""
        return f"pagerduty:{urlsplit(self._client.url).hostname}{'#' if self._scope else ''}{self._scope}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every resolved incident: first those that are as they were or that fewer may read, then the others, oldest first.

        Three requests for each of these, so about an incident a second; for the teams, one for each hundred, and one for each
        private team that some incident belongs to. An incident whose readers changed, unless everyone may read it now, is
        closed at once and read in the next sync: reading all that a team has may take longer than a revocation may.

        Raises:
            PagerDutyUnavailable: the list could not be completed.
        """
        readers = TeamReaders(self._client, self._readers)
        listed: set[str] = set()
        changed: list[_Changed] = []
        for since, until in self._windows():
            for incident in self._resolved(since, until, {"include[]": ["services"]} if readers.restricted else {}):
                incident_id = f.text(incident.get("id"), 64)
                if not incident_id or incident_id in listed:
                    continue
                listed.add(incident_id)
                verdict = readers.of(incident)
                one = _Changed(incident_id, incident, verdict, self._version(incident, verdict))
                before = held.get(incident_id)
                if before == one.version and (self._days_since(incident) >= 1 or not verdict.readers):
                    yield Held(doc_id=incident_id)
                elif not verdict.readers:
                    yield self._closed(one, verdict.reason, one.version)
                elif (
                    before is not None and _read_by(before) != _read_by(one.version) and EVERYONE not in verdict.readers
                ):
                    reason = "who may read it has changed, and the next sync reads it again"
                    yield self._closed(one, reason, f"closed {one.version}")
                else:
                    changed.append(one)
        for one in changed:
            yield self._document(one)

    def _resolved(self, since: datetime, until: datetime, included: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The incidents of one range, oldest first, asked for in halves where PagerDuty would not give them all."""
        window = {"since": since.isoformat(), "until": until.isoformat(), **included}
        found = list(self._client.pages("/incidents", "incidents", {**self._asked, **window}, background=True))
        if len(found) < LIST_END:
            return found
        if until - since <= _SHORTEST:
            raise PagerDutyUnavailable(
                "cannot list all past incidents",
                why=f"PagerDuty gives no more than {LIST_END} of one hour, and there were that many",
                way_out="name the services to read in RUNDOWN_PAGERDUTY_SERVICES",
            )
        middle = since + (until - since) / 2
        return self._resolved(since, middle, included) + self._resolved(middle, until, included)

    def _windows(self) -> Iterator[tuple[datetime, datetime]]:
        until = self._clock()
        since = until - timedelta(days=self._days)
        while since < until:
            yield since, min(since + _LONGEST, until)
            since += _LONGEST

    def _version(self, incident: Mapping[str, Any], verdict: Verdict) -> str:
        """What the list tells of an incident's state, the day of its first week, by which it is read again, and its readers.

        PagerDuty promises no change of `updated_at` for a note or a status update, and lists how many there are of neither. So
        an incident is read each time on the day it ended, once a day for the week after, and then only if it changed.
        """
        days = self._days_since(incident)
        state = f"{FORM} {incident.get('updated_at')} {incident.get('last_status_change_at')} day {days}"
        if verdict.readers == (EVERYONE,):
            return state
        facts = "\n".join((*verdict.readers, "", verdict.reason))
        return f"{state}{_READ_BY}{hashlib.sha256(facts.encode()).hexdigest()[:16]}"

    def _days_since(self, incident: Mapping[str, Any]) -> int:
        """Whole days since it ended, seven at most; 0 if PagerDuty does not tell."""
        ended = f.time_of(incident.get("resolved_at")) or f.time_of(incident.get("last_status_change_at"))
        return min(self._clock() - ended, SETTLED).days if ended else 0

    def _closed(self, one: _Changed, reason: str, version: str) -> Document:
        return closed(one.id, source=self.name, title=f"Incident {one.id}", reason=reason, version=version)

    def _document(self, one: _Changed) -> Document | Skipped:
        incident_id, incident = one.id, one.incident
        created_at, resolved_at = (
            f.time_of(incident.get("created_at")),
            f.time_of(incident.get("resolved_at")) or f.time_of(incident.get("last_status_change_at")),
        )
        if created_at is None or resolved_at is None:
            return Skipped(doc_id=incident_id, reason="PagerDuty gives no time for it")
        try:
            notes, updates = _notes(self._client, incident_id), _updates(self._client, incident_id)
            alerts = incident_alerts(self._client, incident_id, background=True)
        except PagerDutyRefused as error:
            return Skipped(doc_id=incident_id, reason=str(error), unreadable=True)
        fields = pd.incident_fields(incident)
        details, _ = told_by(alerts)
        last = max([resolved_at, *(said.at for said in (*notes, *updates))])
        story = Story(
            title=fields.get("title", incident_id),
            began=created_at,
            ended=resolved_at,
            service=fields.get("service"),
            number=fields.get("number"),
            rank=tuple(
                part for part in (fields.get("priority"), f"urgency {fields.get('urgency', 'unknown')}") if part
            ),
            alert=pd.alert_marks(alerts),
            description=pd.describe(details) or fields.get("description", ""),
            updates=tuple(updates),
            notes=tuple(notes),
            resolved_by=pd.person(incident.get("last_status_change_by")),
        )
        return Document(
            id=incident_id,
            source=self.name,
            title=story.title,
            text=tell(story),
            tier=Tier.PAST_INCIDENT,
            repeats=REPEATS,
            url=fields.get("url"),
            service=story.service,
            updated_at=last,
            # It tells of everything up to its last word: only an incident after that may be shown it.
            occurred_at=last,
            readers=one.verdict.readers,
            version=one.version,
        )


def _read_by(version: str) -> str:
    """What a version tells of readers; "" for everyone."""
    return version.partition(_READ_BY)[2]


def alert_details(client: PagerDutyClient, incident_id: str, *, background: bool = False) -> tuple[Any, Any]:
    """Details and contexts of an incident's first alert that has any, or of its trigger where the account has no alerts.

    Args:
        incident_id: PagerDuty's own id.
        background: let those in a hurry go first.

    Returns:
        `details`, an object or text, and `contexts`, as PagerDuty gives them; None where there are none.

    Raises:
        PagerDutyUnavailable: PagerDuty did not answer. A refusal is no failure: many accounts lack alerts.
    """
    return told_by(incident_alerts(client, incident_id, background=background))


def incident_alerts(client: PagerDutyClient, incident_id: str, *, background: bool = False) -> list[Mapping[str, Any]]:
    """An incident's first alerts, or its trigger in the shape of one. Arguments and failures as of `alert_details`."""
    path = f"/incidents/{quote(incident_id, safe='')}"
    trigger = {"limit": 25, "is_overview": "true", "include[]": ["channels"]}
    try:
        query = {"limit": 5, "sort_by": "created_at:asc"}
        alerts = f.rows(client.get(f"{path}/alerts", query, background=background).get("alerts"))
        if any(told_by([alert]) != (None, None) for alert in alerts):
            return alerts
        entries = f.rows(client.get(f"{path}/log_entries", trigger, background=background).get("log_entries"))
    except PagerDutyRefused as error:
        log.info("no alert details for %s: %s", incident_id, error)
        return []
    entry = next((entry for entry in entries if entry.get("type") == "trigger_log_entry"), {})
    channel = f.table(entry.get("channel"))
    body = {"details": channel.get("details") or channel.get("body"), "contexts": entry.get("contexts")}
    return [*alerts, {"body": body}]


def told_by(alerts: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
    """Details and contexts of the first of some alerts that has any; None and None where none has."""
    for body in (f.table(alert.get("body")) for alert in alerts):
        if body.get("details") or body.get("contexts"):
            return body.get("details"), body.get("contexts")
    return None, None


def _notes(client: PagerDutyClient, incident_id: str) -> list[Said]:
    """Each note, oldest first."""
    given = f.rows(client.get(f"/incidents/{quote(incident_id, safe='')}/notes", background=True).get("notes"))
    return _said((note.get("created_at"), note.get("user"), note.get("content")) for note in given)


def _updates(client: PagerDutyClient, incident_id: str) -> list[Said]:
    """Each status update, oldest first.

    PagerDuty takes status updates by POST and gives no list of them; its clients read them among the log entries, whose
    schema does not name their type.
    """
    path = f"/incidents/{quote(incident_id, safe='')}/log_entries"
    entries = client.pages(path, "log_entries", background=True)
    return _said(
        (entry.get("created_at"), entry.get("agent"), entry.get("message"))
        for entry in entries
        if entry.get("type") == STATUS_UPDATE
    )


def _said(given: Iterable[tuple[Any, Any, Any]]) -> list[Said]:
    """Times, people and texts as PagerDuty gives them, oldest first; what has no time or says nothing is left out."""
    found = [
        Said(at=at, author=pd.name_of(who) or "somebody", text=words)
        for when, who, content in given
        if (at := f.time_of(when)) and (words := f.text(content, f.PROSE))
    ]
    return sorted(found, key=lambda said: (said.at, said.author, said.text))
