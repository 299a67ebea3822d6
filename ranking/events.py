"""When a commit went live, and what else was switched just before an incident.

Does: place each commit in the first deploy after it; find flags and settings that were switched, and the commits that
know their names.
Does not: fetch events: they come with the incident. An event at or after the incident is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.model import Commit

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


class Deployments:
    """The deploys before a moment, by repository.

    Args:
        events: everything that was told.
        repos: the names of all repositories.
        heads: the commits that deploys name, by the id the event gives.
        service: the affected service and its repositories: a deploy of it without a commit brought only those.
        before: the incident's time.
    """

    def __init__(
        self,
        events: Iterable[ChangeEvent],
        *,
        repos: Iterable[str],
        heads: Mapping[str, Commit],
        service: tuple[str, frozenset[str]],
        before: datetime,
    ) -> None:
        self._deploys: dict[str, list[tuple[datetime, datetime]]] = {}
        everywhere = frozenset(repos)
        for event in events:
            if event.kind != "deploy" or event.at >= before:
                continue
            head = heads.get(event.sha or "")
            if head:
                self._add(head.repo, event.at, head.committed_at)
            elif not event.sha:
                own = service[1] if event.service and event.service.lower() == service[0].lower() else frozenset()
                for repo in own or everywhere:
                    self._add(repo, event.at, event.at)

    def _add(self, repo: str, at: datetime, holds_until: datetime) -> None:
        self._deploys.setdefault(repo, []).append((at, holds_until))

    def known(self, commit: Commit) -> bool:
        """Whether any deploy of its repository was told."""
        return commit.repo in self._deploys

    def live_at(self, commit: Commit) -> datetime | None:
        """When the first deploy that held this commit happened; None if none did, or none was told."""
        times = [at for at, until in self._deploys.get(commit.repo, ()) if commit.committed_at <= until]
        return min(times, default=None)


def switches(events: Iterable[ChangeEvent], before: datetime) -> list[tuple[str, datetime]]:
    """Flags and settings switched before a moment, by name, and when; the latest first."""
    found = [(e.name, e.at) for e in events if e.kind in ("flag", "config") and e.name and e.at < before]
    return sorted(found, key=lambda switch: switch[1], reverse=True)
