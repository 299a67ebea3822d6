"""When each candidate went live, by the deploys that were told; a release's tag tells which commit one brought.

Does: place deploys, and pushes of whole trees of configuration, on a timeline for each service of each repository; follow what
runs through new commits, rollbacks and canaries; say how each candidate stood at the incident's time. A deploy of another service brings none of ours.
Does not: look at anything from the incident's time on, or believe a deploy to a place that is not production.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from core.errors import RepositoryError
from core.model import Commit
from ranking.events import ChangeEvent
from ranking.history import History
from ranking.services import ServiceMap
from ranking.tags import Tag

#: Finds commits by id or prefix in several histories, as they stood before a moment.
Find = Callable[[Sequence[History], Iterable[str], datetime], dict[str, Commit]]

_CANARY = re.compile(r"\bcanar(y|ies)\b", re.IGNORECASE)
_ROLLBACK = re.compile(r"\b(roll(ed|ing)?[- ]?back|revert(ed)?|back(ed)?[- ]?out|undo)\b", re.IGNORECASE)
_SHA = re.compile(r"[0-9a-f]{7,64}")
#: The newest steps of a service that are followed: each is compared with those before it.
_STEPS = 300
#: Deploys so long before the oldest candidate are looked at too: they tell what ran before.
_EARLIER = timedelta(days=7)
#: What a deploy of another service is worth where nothing says how the two stand to each other.
_UNKNOWN = 0.5
#: Past so many hours, having come with the last deploy says less and less.
_FRESH_H = 24.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a candidate stood at the incident's time."""

    #: When it last went live; None when it had not, or was no longer.
    live_at: datetime | None = None
    #: When it was taken back before the incident.
    rolled_back_at: datetime | None = None
    #: Whether nothing else was deployed after what brought it.
    in_last: bool = False
    #: 1 when an earlier deploy is known not to have held it; less when the first deploy that was told may only repeat it.
    sure: float = 1.0
    #: How near the service whose deploy it was stands to the affected one.
    nearness: float = 1.0
    #: Whether anything says that this service's deploys bring it.
    placed: bool = True

    def features(self, moment: datetime) -> dict[str, float]:
        """Its numbers: `went_live`, `in_last_deploy`, `not_live`, `rolled_back`; those that are zero are left out."""
        if self.rolled_back_at:
            return {"rolled_back": 1.0}
        if not self.live_at:
            return {"not_live": 1.0}
        hours = max(0.0, (moment - self.live_at).total_seconds() / 3600)
        worth = self.sure * self.nearness
        found = {"went_live": worth / (1 + hours)}
        if self.in_last:
            found["in_last_deploy"] = worth * min(1.0, _FRESH_H / max(hours, _FRESH_H))
        return found


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One change of what runs."""

    at: datetime
    #: What was deployed; None for all there was.
    head: Commit | None = None
    canary: bool = False
    #: Without a head: back to what ran before.
    back: bool = False

    @property
    def what(self) -> str:
        return self.head.sha if self.head else f"all at {self.at.timestamp()}"


@dataclass(kw_only=True)
class _Repository:
    """Of one repository: the steps of each service's deploys; "" for deploys of everything."""

    steps: dict[str, list[_Step]] = field(default_factory=lambda: defaultdict(list))

    def of(self, scope: str) -> list[_Step]:
        both = [*self.steps.get(scope, ()), *(self.steps.get("", ()) if scope else ())]
        both.sort(key=lambda step: step.at)
        return list(itertools.dropwhile(lambda step: step.back, both))


@dataclass(frozen=True, kw_only=True)
class _Timeline:
    """One service's deploys in one repository, oldest first."""

    nearness: float
    steps: Sequence[_Step]
    #: The last of them that brought something.
    newest: _Step
    #: Whether a map or a name says that the commits asked for are this service's, or how it stands to the affected one.
    placed: bool


class Deploys:
    """What ran when. Build it with `read_deploys`.

    Args:
        services: tells whose a commit is, and how near an event's service is.
        held: what each deployed commit holds of the window.
        held_from: from when on `held` is complete.
    """

    def __init__(self, services: ServiceMap, held: Mapping[str, Collection[str]], held_from: datetime) -> None:
        self._services, self._held, self._held_from = services, held, held_from
        self._repos: dict[str, _Repository] = defaultdict(_Repository)
        #: Every service of which a deploy was told.
        self._scopes: set[str] = set()
        self._known: dict[tuple[str, frozenset[str]], list[_Timeline]] = {}
        self._standings: dict[tuple[str, str], Standing | None] = {}
        #: The pushes of configuration that are followed as deploys are, with the commit whose tree was applied.
        self.applied: dict[ChangeEvent, Commit] = {}
        #: Deploys and pushes whose commit is in none of the repositories.
        self.lost: list[ChangeEvent] = []

    def add(self, repo: str, service: str | None, step: _Step) -> None:
        """One deploy of a service, or of everything, in a repository."""
        scope = self._services.key(service) if service else ""
        self._repos[repo].steps[scope].append(step)
        self._scopes.update(scope and [scope])

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the affected service got that nobody here can see, in words: its repository, or the newest of it, is missing."""
        own = [event for event in self.lost if self._services.nearness(event.service) == 1.0]
        if not own:
            return ()
        last = max(own, key=lambda event: event.at)
        others = f" (and {len(own) - 1} before it)" if len(own) > 1 else ""
        return (
            f"the {'deploy' if last.kind == 'deploy' else 'push'} of {last.service} at {last.at.astimezone(UTC):%H:%M} UTC{others} names "
            f"{last.sha}, which is in no repository here: what it brought is not among the candidates. Fetch its repository, or add it",
        )

    @property
    def repos(self) -> frozenset[str]:
        """Repositories of which any deploy is known."""
        return frozenset(self._repos)

    def apply(self, trees: Mapping[ChangeEvent, Commit]) -> None:
        """Pushes of whole trees, where no deploy tells what runs: a program is not there yet when its settings are."""
        told = {repo: set(found.steps) for repo, found in self._repos.items()}
        for event, head in trees.items():
            scope = self._services.key(event.service) if event.service else ""
            known = told.get(head.repo, set())
            if not known & {scope, ""} and (scope or not known):
                self.add(head.repo, event.service, _Step(at=event.at, head=head))
                self.applied[event] = head

    def standing(self, commit: Commit) -> Standing | None:
        """How a candidate stood; None where no deploy that could have brought it is known."""
        if commit.repo not in self._repos:
            return None
        key = (commit.repo, commit.sha)
        if key not in self._standings:
            self._standings[key] = self._stood(commit)
        return self._standings[key]

    def _stood(self, commit: Commit) -> Standing | None:
        owners = self._services.owners(commit, self._scopes)
        found = [self._follow(commit, timeline) for timeline in self._timelines(commit.repo, owners)]
        live = [standing for standing in found if standing.live_at]
        if live:
            return max(live, key=lambda standing: (standing.nearness, standing.live_at))
        # What the deploys of who knows what left out, or took back, may have gone live without them.
        placed = [standing for standing in found if standing.placed]
        return next((standing for standing in placed if standing.rolled_back_at), placed[0] if placed else None)

    def _timelines(self, repo: str, owners: frozenset[str]) -> list[_Timeline]:
        """The timelines on which a commit of these services goes live, the nearest first; one of nobody in particular, on all."""
        known = self._known.get((repo, owners))
        if known is None:
            timelines = self._repos[repo]
            scopes = [scope for scope in timelines.steps if scope and (not owners or scope in owners)]
            near = [(scope, self._nearness(scope), timelines.of(scope)) for scope in scopes or [""]]
            known = [
                _Timeline(
                    nearness=nearness,
                    steps=steps,
                    newest=self._newest(steps),
                    placed=scope in owners or not self._strange(scope),
                )
                for scope, nearness, steps in near
                if nearness > 0 and not all(step.back for step in steps)
            ]
            known.sort(key=lambda timeline: -timeline.nearness)
            self._known[repo, owners] = known
        return known

    def _nearness(self, scope: str) -> float:
        found = self._services.nearness(scope) if scope else None
        return found if found is not None else _UNKNOWN if self._strange(scope) else 1.0

    def _strange(self, scope: str) -> bool:
        """Whether nothing says how a service stands to the affected one."""
        return bool(scope and self._services.affected and self._services.nearness(scope) is None)

    def _follow(self, commit: Commit, timeline: _Timeline) -> Standing:
        """Walk a timeline: when the commit came, and whether it went again."""
        live_at: datetime | None = None
        gone_at: datetime | None = None
        sure, came_with = 1.0, ""
        running: list[_Step] = []
        for place, step in enumerate(timeline.steps):
            if step.back:
                # Back to what nobody told of: then nothing is known to have changed.
                running = running[:-1] if len(running) > 1 else running
                held = self._holds(running[-1], commit) if running else False
            else:
                held = self._holds(step, commit) or (step.canary and live_at is not None)
                running += [] if step.canary or (running and running[-1].what == step.what) else [step]
            if held and live_at is None:
                live_at, gone_at, came_with = step.at, None, step.what
                days = (step.at - commit.landed_at).total_seconds() / 86_400
                sure = 1 / (1 + max(0.0, days)) if place == 0 else 1.0
            elif not held and live_at is not None:
                live_at, gone_at = None, step.at
        in_last = live_at is not None and came_with == timeline.newest.what
        return Standing(
            live_at=live_at,
            rolled_back_at=gone_at,
            in_last=in_last,
            sure=sure,
            nearness=timeline.nearness,
            placed=timeline.placed,
        )

    def _newest(self, steps: Sequence[_Step]) -> _Step:
        """The last deploy that brought something: no repeat, no rollback, no canary that was given up."""
        brought: list[_Step] = []
        for step in steps[-_STEPS:]:
            while not step.canary and brought and brought[-1].canary and not self._includes(step, brought[-1]):
                brought.pop()
            if not step.back and not any(self._includes(earlier, step) for earlier in brought):
                brought.append(step)
        return brought[-1]

    def _includes(self, step: _Step, other: _Step) -> bool:
        """Whether what one deploy brought was all in another."""
        if step.back or other.back:
            return False
        return self._holds(step, other.head) if other.head else step.head is None and step.at >= other.at

    def _holds(self, step: _Step, commit: Commit) -> bool:
        if step.head is None:
            return commit.landed and commit.landed_at < step.at
        head, held = step.head, self._held.get(step.head.sha)
        if held is None or commit.committed_at < self._held_from:
            return commit.landed and commit.landed_at <= head.landed_at
        # Deployed before its own merge: from a branch, or what was told is the newest of what went live. What was merged before it
        # may have gone live with it.
        early = not head.landed or head.landed_at > step.at
        return commit.sha in held or (early and commit.landed and commit.landed_at <= head.committed_at)


def read_deploys(
    events: Iterable[ChangeEvent],
    histories: Sequence[History],
    services: ServiceMap,
    *,
    before: datetime,
    start: datetime,
    find: Find,
) -> Deploys:
    """The deploys before a moment, their commits looked up.

    Args:
        events: everything that was told.
        start: the time of the oldest candidate.
        find: looks up commits by their ids.
    """
    told = [
        e
        for e in events
        if (e.kind == "deploy" or e.applies_tree) and start - _EARLIER <= e.at < before and e.in_production
    ]
    heads = _heads(told, histories, services, before, find)
    return _placed(told, heads, histories, services, start)


def _placed(
    told: Iterable[ChangeEvent],
    heads: Mapping[ChangeEvent, Commit],
    histories: Sequence[History],
    services: ServiceMap,
    start: datetime,
) -> Deploys:
    held: dict[str, frozenset[str]] = {}
    for history in histories:
        own = {commit.sha for commit in heads.values() if commit.repo == history.name}
        try:
            held |= history.held_by(own, start)
        except RepositoryError:
            continue  # Then times must do: what was committed before the deployed commit.
    deploys = Deploys(services, held, start)
    everywhere = [history.name for history in histories]
    deploys.lost = [event for event in told if event.sha and event not in heads]
    for event in (event for event in told if event.kind == "deploy"):
        head = heads.get(event)
        if event.sha and head is None:
            continue
        words = event.name or ""
        step = _Step(
            at=event.at,
            head=head,
            canary=bool(_CANARY.search(words)),
            back=head is None and bool(_ROLLBACK.search(words)),
        )
        for repo in [head.repo] if head else services.places(event.service, everywhere):
            deploys.add(repo, event.service, step)
    deploys.apply({event: heads[event] for event in told if event.applies_tree and event in heads})
    return deploys


def _heads(
    told: Sequence[ChangeEvent], histories: Sequence[History], services: ServiceMap, before: datetime, find: Find
) -> dict[ChangeEvent, Commit]:
    """The commit each deploy names, by its id, or by a tag: "v1.2.3" may be given as `sha` or as `name`."""
    ids = find(
        histories, {event.sha.lower() for event in told if event.sha and _SHA.fullmatch(event.sha.lower())}, before
    )
    found = {event: ids[event.sha.lower()] for event in told if event.sha and event.sha.lower() in ids}
    rest = [event for event in told if event not in found and (event.sha or event.name)]
    if not rest:
        return found
    tags = [(history, {tag.name: tag for tag in _tags(history, before)}) for history in histories]
    for event in rest:
        places = set(services.places(event.service, [history.name for history in histories]))
        matches = [
            (history, tag)
            for history, by_name in tags
            if history.name in places and (tag := _named(event, by_name)) and tag.at <= event.at + timedelta(days=1)
        ]
        if len(matches) == 1:
            history, tag = matches[0]
            commit = find([history], [tag.sha], before).get(tag.sha)
            found |= {event: commit} if commit else {}
    return found


def _named(event: ChangeEvent, by_name: Mapping[str, Tag]) -> Tag | None:
    for told in (event.sha, event.name):
        for word in re.findall(r"[\w./@+-]+", told or ""):
            bare = word.removeprefix("v")
            own = (
                [f"{event.service}{mark}{start}{bare}" for mark in "-/@" for start in ("v", "")]
                if event.service
                else []
            )
            for name in (word, f"v{bare}", bare, *own):
                if name in by_name and any(c.isdigit() for c in name):
                    return by_name[name]
    return None


def _tags(history: History, before: datetime) -> Sequence[Tag]:
    try:
        return history.tags(before)
    except RepositoryError:
        return ()
