"""The one way in: keep a request, then let a worker know.

Does: store first; an edge acknowledges only after `accept` returns (CONTRACTS.md 1.9).
Does not: parse, judge or answer anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from core.store import Store

log = logging.getLogger(__name__)

Source = Literal["pagerduty", "pagerduty-poll", "slack"]


class Intake:
    """Accepts verified requests from every edge.

    Args:
        store: where they are kept.
        wake: told the row id of each new request. It may fail: a sweep finds what it missed.
        heed: told what is of no use later, and is not kept: Slack's word that somebody's account changed. It must not wait.
    """

    def __init__(
        self,
        store: Store,
        wake: Callable[[int], None],
        heed: Callable[[dict[str, Any]], None] = lambda event: None,
    ) -> None:
        self._store, self._wake, self._heed = store, wake, heed

    def heed(self, event: dict[str, Any]) -> None:
        """Pass on an event that is not kept. Losing it does no harm: whoever is told also looks by themselves."""
        try:
            self._heed(event)
        except Exception:
            log.exception("could not heed a Slack event of type %s", event.get("type"))

    def accept(self, *, source: Source, event_id: str, kind: str, raw: bytes) -> bool:
        """Keep one request.

        Args:
            event_id: the sender's own id, by which repeats are recognised for ever.
            kind: what it is, for the reader of the store: "incident.triggered", "event_callback", "block_actions"…
            raw: the body as received, byte for byte.

        Returns:
            Whether it is new.

        Raises:
            core.errors.StoreError: it could not be kept; the edge must not acknowledge it.
        """
        row_id, fresh = self._store.receive(source=source, event_id=event_id, kind=kind, raw=raw)
        if fresh:
            try:
                self._wake(row_id)
            except Exception:
                log.exception("could not wake a worker for inbox row %s; the sweep will", row_id)
        return fresh
