"""What the store hands out: an accepted request, a message with how far it has got, what the index should hold.

Does: name their fields. Does not: read or write them (`store.py`, `manifest.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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


class GenerationState(StrEnum):
    """What a generation of the index is for."""

    BUILDING = "building"
    LIVE = "live"
    OLD = "old"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One whole index of documents. The one that is live answers."""

    number: int
    state: GenerationState
    #: What the setting named its embedding model; None for the default.
    model: str | None
    #: What makes its vectors comparable, and the version of its pieces; None for one that was never rebuilt.
    space: str | None
    cut: str | None
    created_at: datetime
    live_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Synced:
    """How the last sync of a source went."""

    #: What the source is opened by.
    spec: str
    #: When the last one that succeeded began; None while none did.
    synced_at: datetime | None
    #: Why the last one failed; None if it did not.
    error: str | None


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
