"""What the store hands out: an accepted request, and a message with how far it has got.

Does: name their fields. Does not: read or write them (`store.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    """How far a message has got (CONTRACTS.md 1.9)."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    AMBIGUOUS = "ambiguous"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class InboxRow:
    """One accepted request. `state` is new, done or failed."""

    id: int
    source: str
    event_id: str
    kind: str
    raw: bytes
    received_at: float
    state: str
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """What the index should hold of one document."""

    #: Of everything stored of it.
    digest: str
    #: How many pieces it was cut into.
    chunks: int
    #: The source's own mark of what was stored; None where it gives none.
    version: str | None


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message Slack should show: wanted as `body` at `version`, known to show `sent_version`."""

    key: str
    token: str
    incident_id: str | None
    channel: str
    parent: str | None
    thread_ts: str | None
    body: dict[str, Any]
    version: int
    sent_version: int
    state: MessageState
    ts: str | None
    error: str | None
    created_at: float
    first_sent_at: float | None
    sent_at: float | None
