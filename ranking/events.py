"""What was changed in production before an incident: the events that come with it.

Does: define them. Does not: fetch them, or say what they mean for a commit (`ranking.deploys`, `ranking.flags`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["deploy", "flag", "config"]

_ELSEWHERE = re.compile(r"\b(staging|stage|pre-?prod|uat|qa|sandbox|preview|development|dev)\b", re.IGNORECASE)
_PRODUCTION = re.compile(r"\b(prod|production|live)\b", re.IGNORECASE)


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
    #: Where it was changed; production where nothing is told.
    environment: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"ChangeEvent.at is {self.at!r}, a time without a zone")

    @property
    def in_production(self) -> bool:
        """Whether it was changed in production, by its environment or, where none is told, by a deploy's name."""
        words = self.environment or (self.name if self.kind == "deploy" else "") or ""
        return bool(_PRODUCTION.search(words)) or not _ELSEWHERE.search(words)
