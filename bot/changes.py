"""What was deployed and switched before an incident, from every source the operator has.

Does: put together PagerDuty's change events and the operator's events file. A source that does not answer is a gap.
Does not: rank, or keep anything.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.investigation import Changes, attempt
from bot.pagerduty_changes import read_changes
from core.model import Incident
from ingest.pagerduty_client import PagerDutyRefused
from ranking.event_lines import EventsFile

if TYPE_CHECKING:
    from ingest.pagerduty_client import PagerDutyClient
    from ranking.events import ChangeEvent


#: Older deploys tell nothing of an incident; the events file may hold years.
LOOK_BACK = timedelta(days=60)


class ChangeSources:
    """Where deploys and switches are told.

    Args:
        client: PagerDuty's REST API; None without a key.
        events_file: the file that a team's CI appends to; None without one.
    """

    def __init__(self, client: PagerDutyClient | None, events_file: Path | None) -> None:
        self._client, self._file = client, EventsFile(events_file) if events_file else None

    def before(self, incident: Incident) -> Changes:
        """Everything told of the time before an incident."""
        events, gaps = self._file.read() if self._file else ((), ())
        told, refused, unavailable = self._from_pagerduty(incident)
        return Changes(
            events=tuple(e for e in (*told, *events) if incident.created_at - LOOK_BACK <= e.at < incident.created_at),
            gaps=(*refused, *unavailable, *gaps),
            whole=not unavailable,
        )

    def _from_pagerduty(self, incident: Incident) -> tuple[list[ChangeEvent], list[str], list[str]]:
        """Its events; why it will not tell them, which asking again does not change; why it did not answer."""
        client = self._client
        if client is None or not incident.paged:
            return [], [], []
        refused: list[str] = []

        def act() -> list[ChangeEvent]:
            try:
                return read_changes(client, incident.id, incident.created_at)
            except PagerDutyRefused as error:
                refused.append(f"PagerDuty's change events cannot be read: {error.way_out or error.what}")
                return []

        found, gap = attempt("the list of deploys", act)
        return found or [], refused, [gap] if gap else []
