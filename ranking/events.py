"""What was changed in production before an incident: the events that come with it.

Does: define them. Does not: fetch them, or say what they mean for a commit (`ranking.deploys`, `ranking.flags`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["deploy", "flag", "config"]


@dataclass(frozen=True, kw_only=True)
class ChangeEvent:
    """Something that was changed in production, as told with the incident."""

    kind: EventKind
    at: datetime
    service: str | None = None
    #: The commit that was deployed: it and what came before it went live.
    sha: str | None = None
    #: The flag's or setting's name, or the deploy's.
    name: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"ChangeEvent.at is {self.at!r}, a time without a zone")
