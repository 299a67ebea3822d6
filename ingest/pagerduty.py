"""Past incidents from PagerDuty, with what people noted and how they ended.

Does: list resolved incidents of the last year as documents: what happened, notes, resolution.
Does not: keep anything, or list open incidents; those come through the webhook and the poll.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from core.errors import PagerDutyUnavailable
from core.model import Document, Tier
from core.settings import Settings
from ingest import pagerduty_fields as f
from ingest.pagerduty_client import LIST_END, PagerDutyClient, PagerDutyRefused, open_client
from ingest.sources import NOTHING, Skipped

log = logging.getLogger(__name__)

#: PagerDuty searches at most six months at once, and gives at most 10,000 incidents of one range: a full range is halved, down to this.
_LONGEST, _SHORTEST = timedelta(days=179), timedelta(hours=1)
#: After this, nobody adds a note.
_SETTLED = timedelta(days=7)
_ENDS = re.compile(r"\b(resolv|resolution|fix|root cause|mitigat|rolled back|rollback|revert)", re.IGNORECASE)
_MARKUP = re.compile(r"^([ \t]*)(#|=|---|```|~~~)", re.MULTILINE)


def open(rest: str, settings: Settings) -> PagerDutySource:
    """Past incidents of the configured account: "pagerduty:", or "pagerduty:P123+P456" for those services alone.

    Raises:
        SettingsError: no REST key is configured.
    """
    named = tuple(part.strip() for part in rest.split("+") if part.strip())
    return PagerDutySource(open_client(settings), services=named or settings.pagerduty_services)


def _now() -> datetime:
    return datetime.now(UTC)


class PagerDutySource:
    """Resolved incidents as documents of the past-incident tier. Keep one for repeated syncs: it reads a settled incident once.

    Args:
        client: PagerDuty's REST API.
        services: service ids to ask for; all by default.
        days: how far back to look.
        clock: the present.
    """

    def __init__(
        self,
        client: PagerDutyClient,
        *,
        services: Sequence[str] = (),
        days: float = 365.0,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._client, self._days, self._clock = client, days, clock
        self._settled: dict[str, tuple[str, Document]] = {}
        self._scope: dict[str, Any] = {"statuses[]": ["resolved"], "sort_by": "created_at:asc"}
        if services:
            self._scope["service_ids[]"] = list(services)

    @property
    def name(self) -> str:
        """ "pagerduty:" and the API's host."""
        return f"pagerduty:{urlsplit(self._client.url).hostname}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Document | Skipped]:
        """Every resolved incident, oldest first. Two requests each, so about two incidents a second.

        Raises:
            PagerDutyUnavailable: the list could not be completed.
        """
        listed: set[str] = set()
        for since, until in self._windows():
            for incident in self._resolved(since, until):
                incident_id = f.text(incident.get("id"), 64)
                if incident_id and incident_id not in listed:
                    listed.add(incident_id)
                    yield self._remembered(incident_id, incident)

    def _resolved(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """The incidents of one range, oldest first, asked for in halves where PagerDuty would not give them all."""
        window = {"since": since.isoformat(), "until": until.isoformat()}
        found = list(self._client.pages("/incidents", "incidents", {**self._scope, **window}, background=True))
        if len(found) < LIST_END:
            return found
        if until - since <= _SHORTEST:
            raise PagerDutyUnavailable(
                "cannot list all past incidents",
                why=f"PagerDuty gives no more than {LIST_END} of one hour, and there were that many",
                way_out="name the services to read in RUNDOWN_PAGERDUTY_SERVICES",
            )
        middle = since + (until - since) / 2
        return self._resolved(since, middle) + self._resolved(middle, until)

    def _windows(self) -> Iterator[tuple[datetime, datetime]]:
        until = self._clock()
        since = until - timedelta(days=self._days)
        while since < until:
            yield since, min(since + _LONGEST, until)
            since += _LONGEST

    def _remembered(self, incident_id: str, incident: Mapping[str, Any]) -> Document | Skipped:
        """Its document, from memory if it is settled: over for a week, and unchanged since it was read."""
        version = str(incident.get("updated_at"))
        if incident_id in self._settled and self._settled[incident_id][0] == version:
            return self._settled[incident_id][1]
        made = self._document(incident_id, incident)
        ended = made.occurred_at if isinstance(made, Document) else None
        if isinstance(made, Document) and ended and self._clock() - ended > _SETTLED:
            self._settled[incident_id] = (version, made)
        return made

    def _document(self, incident_id: str, incident: Mapping[str, Any]) -> Document | Skipped:
        created_at, resolved_at = (
            f.time_of(incident.get("created_at")),
            f.time_of(incident.get("resolved_at")) or f.time_of(incident.get("last_status_change_at")),
        )
        if created_at is None or resolved_at is None:
            return Skipped(doc_id=incident_id, reason="PagerDuty gives no time for it")
        try:
            notes = _notes(self._client, incident_id)
            details, _ = alert_details(self._client, incident_id, background=True)
        except PagerDutyRefused as error:
            return Skipped(doc_id=incident_id, reason=str(error), unreadable=True)
        fields = f.incident_fields(incident)
        fields["description"] = f.describe(details) or fields.get("description", "")
        last = max([resolved_at, *(at for at, _, _ in notes)])
        return Document(
            id=incident_id,
            source=self.name,
            title=fields.get("title", incident_id),
            text=_told(incident, fields, notes, created_at, resolved_at),
            tier=Tier.PAST_INCIDENT,
            url=fields.get("url"),
            service=fields.get("service"),
            updated_at=last,
            # It tells of everything up to its last note: only an incident after that may be shown it.
            occurred_at=last,
        )


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
    path = f"/incidents/{quote(incident_id, safe='')}"
    trigger = {"limit": 25, "is_overview": "true", "include[]": ["channels"]}
    try:
        alerts = client.get(f"{path}/alerts", {"limit": 5, "sort_by": "created_at:asc"}, background=background)
        for body in (f.table(alert.get("body")) for alert in f.rows(alerts.get("alerts"))):
            if body.get("details") or body.get("contexts"):
                return body.get("details"), body.get("contexts")
        entries = f.rows(client.get(f"{path}/log_entries", trigger, background=background).get("log_entries"))
    except PagerDutyRefused as error:
        log.info("no alert details for %s: %s", incident_id, error)
        return None, None
    entry = next((entry for entry in entries if entry.get("type") == "trigger_log_entry"), {})
    channel = f.table(entry.get("channel"))
    return channel.get("details") or channel.get("body"), entry.get("contexts")


_Noted = tuple[datetime, str, str]


def _notes(client: PagerDutyClient, incident_id: str) -> list[_Noted]:
    """Time, author and text of each note, oldest first."""
    given = f.rows(client.get(f"/incidents/{quote(incident_id, safe='')}/notes", background=True).get("notes"))
    found = [
        (at, f.name_of(note.get("user")) or "somebody", f.text(note.get("content"), f.PROSE))
        for note in given
        if (at := f.time_of(note.get("created_at")))
    ]
    return sorted(item for item in found if item[2])


def _told(
    incident: Mapping[str, Any], fields: Mapping[str, Any], notes: list[_Noted], began: datetime, ended: datetime
) -> str:
    """The document's Markdown. The note that tells of the end goes under Resolution, the others under Notes."""
    title, service = fields.get("title", "Incident"), fields.get("service")
    rank = ", ".join(part for part in (fields.get("priority"), f"urgency {fields.get('urgency', 'unknown')}") if part)
    opening = f"Incident {incident.get('incident_number', '')} on {service or 'an unnamed service'}, {began:%Y-%m-%d %H:%M} UTC, {rank}."
    ending = next((note for note in reversed(notes) if _ENDS.search(note[2])), notes[-1] if notes else None)
    by = f.person(incident.get("last_status_change_by"))
    closing = (
        f"Resolved{f' by {by}' if by else ''} on {ended:%Y-%m-%d %H:%M} UTC, {_span(ended - began)} after it began."
    )
    others = [
        f"- {at:%Y-%m-%d %H:%M} UTC, {author}: {_plain(words)}"
        for at, author, words in notes
        if (at, author, words) != ending
    ]
    parts = [f"# {_plain(title)}", "## What happened", opening, _plain(fields["description"])]
    if others:
        parts += ["## Notes", "\n".join(others)]
    parts += ["## Resolution", closing, f"{ending[1]}: {_plain(ending[2])}" if ending else ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(words: str) -> str:
    """Somebody's words, unable to pass for a heading of ours or to open a code block that swallows the rest."""
    return _MARKUP.sub(r"\1\\\2", words)


def _span(length: timedelta) -> str:
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"
