"""The second source of incidents: ask PagerDuty what its webhooks may have lost.

Does: every poll, list new and open incidents, look up those that quietly closed, read their notes, and put what is news into the
inbox like any webhook; switch our webhook subscription on again when PagerDuty gave it up; look up an incident's details.
Does not: run on a clock (`bot/app.py` does), change state, or retry: a poll that fails keeps its cursor and the next one
covers the gap.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from bot.pagerduty_events import PayloadError, digest, normalise_polled, polled_incident, polled_note, updated_at
from core.errors import PagerDutyUnavailable, RundownError
from core.incidents import fold
from core.model import Incident, IncidentEvent, Status
from ingest import fields as f
from ingest import pagerduty_fields as pd
from ingest.pagerduty import alert_details
from ingest.pagerduty_client import LIST_END, PagerDutyRefused

if TYPE_CHECKING:
    from bot.intake import Intake
    from bot.metrics import Metrics
    from core.settings import Settings
    from core.store import Store
    from ingest.pagerduty_client import PagerDutyClient

log = logging.getLogger(__name__)

#: The cursor: until when everything is known; and the time before which incidents are none of our business.
CURSOR, EPOCH = "pagerduty-poll", "pagerduty-poll-from"
#: Looked at twice, so that neither a clock ten minutes off nor PagerDuty's own delay loses an incident.
OVERLAP = timedelta(minutes=15)
#: How far back the very first poll looks.
FIRST_LOOK = timedelta(hours=1)
#: PagerDuty searches at most six months at once.
FARTHEST = timedelta(days=179)
#: Bounds of one poll, so that a storm cannot eat the API quota: open incidents listed, single look-ups, incidents whose notes are read.
OPEN, LOOKUPS, NOTES = 2000, 100, 40
WEBHOOK_PATH = "/pagerduty/webhook"


@dataclass(frozen=True, kw_only=True)
class PollReport:
    """What one poll did."""

    #: Incidents looked at.
    seen: int
    #: Incidents and notes put into the inbox.
    found: int
    #: Webhook subscriptions switched on again.
    enabled: int


class PagerDutyPoller:
    """Polls. One at a time: the caller does not overlap two.

    Args:
        client: PagerDuty's REST API.
        intake: the way in, the same as the webhook's.
        store: tells what is known already, and keeps the cursor.
        settings: which services to ask for.
        metrics: told how each poll went.
    """

    def __init__(
        self, client: PagerDutyClient, intake: Intake, store: Store, settings: Settings, *, metrics: Metrics
    ) -> None:
        self._client, self._intake, self._store, self._metrics = client, intake, store, metrics
        services = list(settings.pagerduty_services)
        self._scope: dict[str, Any] = {"service_ids[]": services} if services else {}
        self._told: set[str] = set()
        #: Incidents PagerDuty no longer shows us; asked for once a process.
        self._gone: set[str] = set()

    def poll_once(self, now: datetime) -> PollReport:
        """One poll.

        Args:
            now: the present.

        Raises:
            PagerDutyUnavailable: PagerDuty did not answer all of it. The cursor stays; what was found is kept.
            core.errors.StoreError: our own database refused.
        """
        try:
            report = self._poll(now)
        except PagerDutyUnavailable:
            self._metrics.poll_failed()
            raise
        self._metrics.polled(found=report.found, enabled=report.enabled)
        return report

    def _poll(self, now: datetime) -> PollReport:
        enabled = self._enable_subscriptions()
        cursor = f.time_of(self._store.cursor(CURSOR))
        epoch = f.time_of(self._store.cursor(EPOCH)) or now - FIRST_LOOK
        since = max(cursor - OVERLAP if cursor else epoch, now - FARTHEST)
        recent = list(self._recent(since, now))
        known_open = {
            incident.id
            for incident in self._store.incidents(limit=OPEN)
            if incident.id.startswith("pd:") and incident.status is not Status.RESOLVED
        }
        seen = _by_id([*recent, *self._open()])
        closed = [item for item in sorted(known_open - self._gone) if item.removeprefix("pd:") not in seen]
        seen |= _by_id(self._look_up(closed[:LOOKUPS]))

        ours = [incident for incident in seen.values() if self._is_ours(incident, epoch, first=cursor is None)]
        found = sum(self._take(incident) for incident in ours) + self._take_notes(ours, known_open)
        self._store.set_cursor(EPOCH, epoch.isoformat())
        self._store.set_cursor(CURSOR, _reached(recent, now).isoformat())
        return PollReport(seen=len(ours), found=found, enabled=enabled)

    # -- what PagerDuty has --------------------------------------------------------------------------------------------

    def _recent(self, since: datetime, now: datetime) -> Iterator[dict[str, Any]]:
        """Incidents created since, whatever became of them, oldest first."""
        window = {"since": since.isoformat(), "until": (now + OVERLAP).isoformat(), "sort_by": "created_at:asc"}
        return self._client.pages("/incidents", "incidents", {**self._scope, **window})

    def _open(self) -> Iterator[dict[str, Any]]:
        """Incidents open now, however old, newest first: an old one may have been acknowledged, say, a minute ago."""
        query = {"date_range": "all", "statuses[]": ["triggered", "acknowledged"], "sort_by": "created_at:desc"}
        return islice(self._client.pages("/incidents", "incidents", {**self._scope, **query}), OPEN)

    def _look_up(self, incident_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Incidents we hold open and PagerDuty does not list as such: resolved meanwhile, or gone from our sight."""
        for incident_id in incident_ids:
            try:
                incident = self._client.get(_path(incident_id)).get("incident")
            except PagerDutyRefused as error:
                self._gone.add(incident_id)
                log.warning("cannot follow %s any more: %s", incident_id, error)
                continue
            yield dict(f.table(incident))

    def _is_ours(self, incident: Mapping[str, Any], epoch: datetime, *, first: bool) -> bool:
        """Whether it began since we look, or is known from a webhook. What was over before our first look is history."""
        if self._store.incident(f"pd:{incident['id']}") is not None:
            return True
        created_at = f.time_of(incident.get("created_at"))
        over = first and incident.get("status") == Status.RESOLVED
        return created_at is not None and created_at >= epoch and not over

    # -- what of it is news --------------------------------------------------------------------------------------------

    def _take(self, incident: Mapping[str, Any]) -> bool:
        """Put an incident into the inbox if it would change what we know; whether it was new there."""
        incident_id = f"pd:{incident['id']}"
        known = self._store.incident(incident_id)
        raw = polled_incident(incident, before=known.status if known else None)
        try:
            events = normalise_polled(raw)
        except PayloadError as error:
            self._tell_once(f"cannot use what PagerDuty says of {incident_id}", error)
            return False
        if known and _same(fold([*self._store.incident_events(incident_id), *events]), known):
            return False
        status, at = f.text(incident.get("status"), 32), updated_at(incident).isoformat()
        event_id = f"poll:{incident['id']}:{status}:{at}:{digest(raw.decode())}"
        return self._intake.accept(source="pagerduty-poll", event_id=event_id, kind="incident.polled", raw=raw)

    def _take_notes(self, incidents: Iterable[Mapping[str, Any]], known_open: set[str]) -> int:
        """Put notes we do not know into the inbox: of incidents that are open, or were when we last looked."""
        live = [item for item in incidents if item.get("status") != Status.RESOLVED or f"pd:{item['id']}" in known_open]
        live.sort(key=lambda item: str(item.get("created_at")), reverse=True)
        return sum(self._take_note(note, incident) for incident in live[:NOTES] for note in self._notes(incident))

    def _notes(self, incident: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        try:
            notes = f.rows(self._client.get(f"{_path(str(incident['id']))}/notes", background=True).get("notes"))
        except PagerDutyRefused as error:
            self._tell_once("cannot read an incident's notes", error)
            return []
        known = {event.event_id for event in self._store.incident_events(f"pd:{incident['id']}")} if notes else set()
        return [note for note in notes if f"note:{note.get('id')}" not in known]

    def _take_note(self, note: Mapping[str, Any], incident: Mapping[str, Any]) -> bool:
        raw = polled_note(note, incident=incident)
        try:
            event_id = f"poll:{normalise_polled(raw)[0].event_id}"
        except PayloadError as error:
            self._tell_once(f"cannot use a note on pd:{incident['id']}", error)
            return False
        return self._intake.accept(source="pagerduty-poll", event_id=event_id, kind="incident.note.polled", raw=raw)

    # -- our webhook subscription --------------------------------------------------------------------------------------

    def _enable_subscriptions(self) -> int:
        """Switch on again each subscription to our webhook that PagerDuty gave up on (CONTRACTS.md 1.7); how many."""
        enabled = 0
        try:
            for item in list(self._client.pages("/webhook_subscriptions", "webhook_subscriptions")):
                method = f.table(item.get("delivery_method"))
                if method.get("temporarily_disabled") is True and _is_our_webhook(method.get("url")):
                    self._client.post(f"/webhook_subscriptions/{quote(str(item.get('id')), safe='')}/enable")
                    log.error("PagerDuty had disabled webhook subscription %s; enabled again", item.get("id"))
                    enabled += 1
        except PagerDutyRefused as error:
            self._tell_once(
                "cannot watch over the webhook subscription; if PagerDuty disables it, enable it there by hand", error
            )
        return enabled

    def _tell_once(self, words: str, error: RundownError) -> None:
        if words not in self._told:
            self._told.add(words)
            log.warning("%s: %s", words, error)


def enrich(client: PagerDutyClient, incident_id: str) -> IncidentEvent | None:
    """What PagerDuty's REST API knows of an incident beyond its webhooks: description, links, custom fields, runbook.

    Args:
        incident_id: "pd:…".

    Returns:
        An "updated" event as of the incident's last change, whose id changes with what it holds; None for an incident that is
        not PagerDuty's.

    Raises:
        PagerDutyUnavailable: PagerDuty did not answer.
    """
    if not incident_id.startswith("pd:"):
        return None
    include = ["custom_fields", "conference_bridge", "first_trigger_log_entries"]
    incident = f.table(client.get(_path(incident_id), {"include[]": include}).get("incident"))
    details, contexts = alert_details(client, incident_id.removeprefix("pd:"))
    found = _bridge(incident) + pd.links(contexts, details)
    fields = pd.incident_fields(incident)
    fields["description"] = pd.describe(details) or fields.get("description", "")
    fields["links"] = found
    fields["runbook_url"] = fields.get("runbook_url") or pd.runbook(found, fields["description"])
    changes = {name: value for name, value in fields.items() if value}
    return IncidentEvent(
        incident_id=incident_id,
        event_id=f"enrich:{incident_id}:{digest(changes)}",
        kind="updated",
        occurred_at=updated_at(incident),
        changes=changes,
    )


def _bridge(incident: Mapping[str, Any]) -> list[dict[str, str]]:
    url = f.web_url(f.table(incident.get("conference_bridge")).get("conference_url"))
    return [{"title": "Conference bridge", "url": url}] if url else []


def _by_id(incidents: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Incidents by PagerDuty's id; the last one given stands."""
    return {item["id"]: item for item in incidents if isinstance(item.get("id"), str)}


def _path(incident_id: str) -> str:
    return f"/incidents/{quote(incident_id.removeprefix('pd:'), safe='')}"


def _is_our_webhook(url: Any) -> bool:
    return isinstance(url, str) and urlsplit(url).path.rstrip("/").endswith(WEBHOOK_PATH)


def _reached(recent: list[dict[str, Any]], now: datetime) -> datetime:
    """Until when everything is known: now, or the last one given where PagerDuty's list ended before its end."""
    last = f.time_of(recent[-1].get("created_at")) if len(recent) >= LIST_END else None
    return last or now


def _same(left: Incident | None, right: Incident) -> bool:
    """Whether two states tell people the same. Webhooks give times to the millisecond and REST to the second: no news."""
    if left is None:
        return False
    times: dict[str, Any] = {"acknowledged_at": None, "resolved_at": None}
    return replace(left, **times) == replace(right, **times)
