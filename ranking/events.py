"""What was changed in production before an incident: the events that come with it.

Does: define them. Does not: fetch them, or say what they mean for a commit (`ranking.deploys`, `ranking.flags`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ranking.kinds import ELSEWHERE

EventKind = Literal["deploy", "flag", "config"]

_ELSEWHERE = re.compile(rf"\b({ELSEWHERE}|sandbox|preview)\b", re.IGNORECASE)
#: Where a told name ends and what it was set to begins: "new-cart: 5% -> 100%", "new-cart=on", "new-cart (all users)".
_VALUE = re.compile(
    r"\s*(=|->|→|:\s|\(|\s(set|to|from|on|off|enabled|disabled|true|false|\d+ ?%)(?![\w-])).*$",
    re.IGNORECASE | re.DOTALL,
)
#: What only a name in code has inside: "pool.size", "edge/limits.yaml", "maxSize". Words of a sentence may have hyphens, as "prod-eu".
_CODE = re.compile(r"\w[._/:]+\w|[a-z0-9][A-Z]")
_CODE_OR_HYPHEN = re.compile(rf"{_CODE.pattern}|\w-\w")
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
        """Whether it was changed in production, by its environment or, where none is told, by what a deploy or a push is called."""
        words = self.environment or (self.name if self.kind == "deploy" or self.applies_tree else "") or ""
        return bool(_PRODUCTION.search(words)) or not _ELSEWHERE.search(words)

    @property
    def names(self) -> tuple[str, ...]:
        """What code may hold of its name: a flag's whole name; of a push the paths and keys, not the words of a command."""
        bare = without_value(self.name or "")
        if self.kind != "config":
            return (bare,) if bare else ()
        words = bare.split()
        found = _CODE_OR_HYPHEN if len(words) == 1 else _CODE
        return tuple(word for word in words if found.search(word))

    @property
    def applies_tree(self) -> bool:
        """Whether it tells of a whole tree that was applied at its commit, as Terraform and Argo do, not of one file or key."""
        one = len(without_value(self.name or "").split()) == 1 and bool(self.names)
        return self.kind == "config" and bool(self.sha) and not one


def without_value(name: str) -> str:
    """A told name without what it was set to."""
    return _VALUE.sub("", name).strip()
