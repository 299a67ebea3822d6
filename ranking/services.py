"""Which commits belong to the affected service or to what it depends on, by every map a team may have.

Does: match a service to repositories by the operator's hint, to paths by `services.yaml`, catalogs and Compose files, to
owners by CODEOWNERS, and to names of repositories and folders; follow the runtime graph; take a service named in the
incident's words for a guess where none is given. All as it stood on the branch before the incident.
Does not: weigh a match against other evidence (`ranking.scorer`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from core.errors import RepositoryError
from core.model import Commit
from ranking.history import History
from ranking.patterns import covers
from ranking.service_files import CATALOGS, COMPOSE, SERVICES, mistakes, read_entries
from ranking.text import terms
from ranking.topology import CALLER, Claim, Nearness, Topology, key_of, telling

__all__ = ["MapCache", "ServiceMap", "ServiceMatch", "code_owners", "covers", "map_service"]

#: The first that exists counts, as GitHub has it; GitLab's own place comes after those it shares.
_CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
#: A section's header: its name, perhaps how many must approve, and owners of its rules that name none.
_SECTION = re.compile(r"\^?\[[^\]]+\](?:\[\d+\])?(?:\s+(?P<owners>.*))?")
#: What a service named in the title, or only in the text, is worth beside one that is given.
_IN_TITLE, _IN_TEXT = 0.6, 0.4
#: What a likeness of names is worth beside a map.
_LIKE_REPO, _LIKE_PATH = 0.8, 0.6
#: How much it speaks against a commit to be a direct caller's alone, or another service's where nobody wrote down who calls whom.
_FOREIGN_CALLER, _FOREIGN_UNKNOWN = 0.3, 0.4
#: Files of one commit that are looked at, map files of one repository, and maps that are kept.
_FILES, _MAPS, _KEPT = 200, 300, 500

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class ServiceMatch:
    """How surely a commit belongs to the service or to what it depends on, and what says so."""

    #: 1 for an explicit map of the service itself, less for a dependency, a caller, a guess or a likeness of names.
    strength: float = 0.0
    #: A sentence's end: "in `shop`, a repository of checkout".
    why: str = ""


class MapCache:
    """What maps said at the commits they were read at, so that the next incident need not read them. One for a ranker."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[str, str]] = {}
        self.topologies: dict[tuple[tuple[str, tuple[tuple[str, str], ...]], ...], Topology] = {}


class ServiceMap:
    """The services of one incident and their places. Build it with `map_service`.

    Args:
        topology: all services that are known.
        service: the affected service as the incident names it; empty when it names none.
        guesses: names of services found in the incident's words, and what each is worth.
        homes: repository to the services it is named like, of those that the incident and its events name.
    """

    def __init__(
        self,
        topology: Topology,
        service: str,
        guesses: Sequence[tuple[str, float]] = (),
        homes: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.service, self._topology, self._homes = service, topology, homes or {}
        self._given = (topology.find(service) or key_of(service)) if service else ""
        #: The one service it is about, and how surely; none where several are guessed at.
        self._subject = (self._given, 1.0) if self._given else guesses[0] if len(guesses) == 1 else ("", 0.0)
        #: Service -> its nearness, and whether only the incident's words led to it.
        self._near: dict[str, tuple[Nearness, bool]] = {}
        for key, worth in ([(self._given, 1.0)] if self._given else []) + list(guesses):
            for other, near in topology.nearness(key).items():
                strength = near.strength * worth
                if strength > (self._near[other][0].strength if other in self._near else 0.0):
                    self._near[other] = (Nearness(strength=strength, why=near.why), key != self._given)
        self._alike = {
            key: telling(self._written(key)) for key, (near, _) in self._near.items() if near.strength >= 0.25
        }

    @property
    def repos(self) -> frozenset[str]:
        """Repositories that are wholly the affected service's."""
        found = self._topology.services.get(self._given)
        return frozenset(found.repos) if found else frozenset()

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What is wrong with the maps, in words: there they say nothing."""
        return self._topology.mistakes

    @property
    def known(self) -> bool:
        """Whether any service is given or guessed at: without one nothing matches."""
        return bool(self._near)

    @property
    def words(self) -> frozenset[str]:
        """The terms of the names of the affected service, or of those guessed at: all of its commits share them."""
        named = {self._written(key) for key in self.affected} | ({self.service} if self.service else set())
        return frozenset(term for name in named for term in telling(name))

    def match(self, commit: Commit) -> ServiceMatch:
        """The strongest match there is."""
        best = ServiceMatch()
        for change in commit.files[:_FILES]:
            for claim in self._claims(commit.repo, change.path):
                near, guessed = self._near.get(claim.key, _NOWHERE)
                if near.strength > best.strength:
                    where = f"touches `{change.path}`, which {claim.source} gives to {self._written(claim.key)}"
                    best = self._matched(near, guessed, where, f"touches `{change.path}` of {self._written(claim.key)}")
            if best.strength >= 1.0:
                return best
        for key in self._topology.of_repo(commit.repo):
            near, guessed = self._near.get(key, _NOWHERE)
            if near.strength > best.strength:
                where = f"in `{commit.repo}`, a repository of {self._written(key)}"
                best = self._matched(near, guessed, where, where)
        return best if best.strength else self._by_name(commit)

    def foreign(self, commit: Commit) -> tuple[float, str]:
        """How surely a commit is others' alone, and why; 0 where any of it may have to do with the affected service.

        Told only where the incident gives its service, or names one alone, and a map or CODEOWNERS knows it. 1 for services that have
        nothing to do with it; less for those that call it, by steps, and where nothing is known to depend on anything. Where no
        map knows the service, but a repository is named like it, the repositories named like others are theirs.
        """
        subject, sure = self._subject
        mapped = subject in self._topology.services
        if not commit.files:
            return 0.0, ""
        if not (mapped or self._topology.has_owner(telling(self._written(subject)))):
            return self._in_anothers(commit.repo, subject, sure)
        worth, owners = 1.0, set[str]()
        for change in commit.files[:_FILES]:
            keys = {claim.key for claim in self._claims(commit.repo, change.path)}
            keys = keys or set(self._topology.of_repo(commit.repo))
            # Where no map tells whose it is, it may still be a team's other than the subject's (`_claims` knows that one's).
            keys = keys or set(self._topology.teams_of(commit.repo, change.path))
            near = max((self._near[key][0].strength for key in keys if key in self._near), default=0.0)
            if not keys or near > CALLER:
                return 0.0, ""
            worth, owners = min(worth, _FOREIGN_CALLER if near == CALLER else 1.0 - near / CALLER), owners | keys
        names = ", ".join(sorted(self._topology.name(key) for key in owners)[:3])
        if not (mapped and self._topology.has_graph):
            return sure * _FOREIGN_UNKNOWN, f"touches only {names}, not {self._written(subject)}"
        return sure * worth, f"touches only {names}, which {self._written(subject)} does not depend on"

    def _in_anothers(self, repo: str, subject: str, sure: float) -> tuple[float, str]:
        theirs = self._homes.get(repo, ())
        if not theirs or subject in theirs or not any(subject in keys for keys in self._homes.values()):
            return 0.0, ""
        if any(key in self._near for key in theirs) or self._topology.of_repo(repo):
            return 0.0, ""
        names = ", ".join(sorted(self._topology.name(key) for key in theirs)[:3])
        return sure * _FOREIGN_UNKNOWN, f"in `{repo}`, named like {names}, not like {self._written(subject)}"

    def nearness(self, service: str | None) -> float | None:
        """How near a service that an event names stands to the affected one: 1 is itself, 0 unrelated, None unknown."""
        if not service or not self._near:
            return None
        key = self._topology.find(service) or key_of(service)
        if key in self._near:
            return self._near[key][0].strength
        return 0.0 if self._given in self._topology.services and self._topology.has_graph else None

    def key(self, service: str) -> str:
        """One spelling for all names of a service."""
        return self._topology.find(service) or key_of(service)

    @property
    def affected(self) -> frozenset[str]:
        """The keys of the affected service, or of those guessed at."""
        return frozenset(key for key, (near, _) in self._near.items() if near.strength >= _IN_TEXT and not near.why)

    def owners(self, commit: Commit, among: Iterable[str] = ()) -> frozenset[str]:
        """The services a commit belongs to, by maps; where they say nothing, by likeness of names.

        Args:
            among: keys of further services that events name, for the likeness.
        """
        found = {
            claim.key for change in commit.files[:_FILES] for claim in self._claims(commit.repo, change.path)
        } or set(self._topology.of_repo(commit.repo))
        if found:
            return frozenset(found)
        candidates = {key: telling(self._written(key)) for key in (*among, *self._near)}
        return frozenset(
            key for key, words in candidates.items() if _like_repo(words, commit) or _like_path(words, commit)
        )

    def places(self, service: str | None, repos: Sequence[str]) -> list[str]:
        """The repositories among `repos` in which a service lives, by map or name; all of them where nothing says."""
        if not service:
            return list(repos)
        key, words = self.key(service), telling(service)
        mapped = [repo for repo in repos if key in self._topology.of_repo(repo) or self._topology.has_paths(repo, key)]
        return mapped or [repo for repo in repos if words and words <= set(terms(repo))] or list(repos)

    def _claims(self, repo: str, path: str) -> Sequence[Claim]:
        """Whose path it is: by maps, else by owners that are named like a service in question that no map knows."""
        claims = self._topology.claims(repo, path)
        owners = () if claims else self._topology.owners_of(repo, path)
        for key, words in self._alike.items() if owners else ():
            if words and any(words <= set(terms(owner)) for owner in owners):
                return (Claim(key, "CODEOWNERS"),)
        return claims

    def _written(self, key: str) -> str:
        return self.service if key == self._given else self._topology.name(key)

    def _matched(self, near: Nearness, guessed: bool, own: str, other: str) -> ServiceMatch:
        if near.why:
            return ServiceMatch(strength=near.strength, why=f"{other}, {near.why}")
        named = ", named in the incident" if guessed else ""
        return ServiceMatch(strength=near.strength, why=f"{own}{named}")

    def _by_name(self, commit: Commit) -> ServiceMatch:
        best = ServiceMatch()
        for key, words in self._alike.items():
            near, guessed = self._near[key]
            if _LIKE_REPO * near.strength <= best.strength or not words:
                continue
            named = f"named like the service {self._written(key)}"
            if _like_repo(words, commit):
                found, where = _LIKE_REPO, f"in `{commit.repo}`, {named}"
            elif path := _like_path(words, commit):
                found, where = _LIKE_PATH, f"touches `{path}`, {named}"
            else:
                continue
            if found * near.strength > best.strength:
                matched = self._matched(near, guessed, where, where)
                best = ServiceMatch(strength=found * near.strength, why=matched.why)
        return best


_NOWHERE = (Nearness(strength=0.0), False)


def map_service(
    service: str | None,
    histories: Sequence[History],
    service_repos: Mapping[str, Sequence[str]],
    before: datetime,
    *,
    title: str = "",
    text: str = "",
    names: Collection[str] = (),
    cache: MapCache | None = None,
) -> ServiceMap:
    """Where the affected service and its neighbours live, as far as the repositories said before a moment.

    Args:
        service: as the incident gives it.
        service_repos: service name to repository names, the operator's hint; letter case does not matter.
        title: the incident's, in which services may be named.
        text: all of the incident's words.
        names: further services that may be named there: those that events tell of.
        cache: spares the reading of files that did not change.
    """
    topology = _topology(histories, service_repos, before, cache or MapCache())
    in_title, in_text = topology.named_in(title, names), topology.named_in(text, names)
    guesses = [(key, _IN_TITLE) for key in in_title] + [(key, _IN_TEXT) for key in in_text if key not in in_title]
    said = {topology.find(name) or key_of(name): telling(name) for name in (*names, *([service] if service else ()))}
    homes = {
        history.name: frozenset(key for key, words in said.items() if words and words <= set(terms(history.name)))
        for history in histories
    }
    return ServiceMap(topology, service or "", guesses, homes)


def _topology(
    histories: Sequence[History], service_repos: Mapping[str, Sequence[str]], before: datetime, cache: MapCache
) -> Topology:
    files: dict[str, dict[str, str]] = {}
    for history in histories:
        try:
            tip = (history.name, history.branch_at(before) or "")
            files[history.name] = _kept(cache.files, tip, lambda h=history: _read(h, before))  # type: ignore[misc]
        except RepositoryError:
            continue  # The ranker reports a broken repository once, where it reads its commits.
    key = tuple((repo, tuple(sorted(found.items()))) for repo, found in files.items())
    return _kept(cache.topologies, key, lambda: _joined(files, service_repos))


def _read(history: History, before: datetime) -> dict[str, str]:
    """The map files of a repository, by path, the best known first. Most have none, which the index tells at once."""
    names = {path.rpartition("/")[2] for path in (*SERVICES, *CATALOGS, *COMPOSE, *_CODEOWNERS)}
    fixed = (*SERVICES, *COMPOSE, *_CODEOWNERS)
    paths = [path for path in history.paths_named(names) if path in fixed or path.rpartition("/")[2] in CATALOGS]
    # The index knows paths of later too: what had not existed by then is gone before the rest is counted.
    found = history.files_before(paths, before) if paths else {}
    known = sorted(found, key=lambda path: fixed.index(path) if path in fixed else len(fixed))
    return {path: found[path] for path in known[:_MAPS]}


def _joined(files: Mapping[str, Mapping[str, str]], service_repos: Mapping[str, Sequence[str]]) -> Topology:
    entries = {
        repo: [entry for path, text in found.items() if path not in _CODEOWNERS for entry in read_entries(path, text)]
        for repo, found in files.items()
    }
    owners = {
        repo: code_owners(next((found[path] for path in _CODEOWNERS if path in found), ""))
        for repo, found in files.items()
    }
    wrong = [
        f"{path} of repository '{repo}': {mistake}"
        for repo, found in files.items()
        for path, text in found.items()
        for mistake in mistakes(path, text)
    ]
    return Topology(entries, owners, service_repos, mistakes=wrong)


def _kept(kept: dict[K, V], key: K, make: Callable[[], V]) -> V:
    """The value kept under a key, made when it is missing; when there are too many, all are forgotten."""
    found = kept.get(key)
    if found is None:
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[key] = make()
    return found


def _like_repo(words: frozenset[str], commit: Commit) -> bool:
    return bool(words) and words <= set(terms(commit.repo))


def _like_path(words: frozenset[str], commit: Commit) -> str:
    """The first path that holds all the words; a quick look for their beginnings spares most the splitting."""
    starts = [word[:4] for word in words]
    for change in commit.files[:_FILES] if words else ():
        lowered = change.path.lower()
        if all(start in lowered for start in starts) and words <= set(terms(change.path)):
            return change.path
    return ""


def code_owners(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The rules of a CODEOWNERS file: pattern and owners, in order.

    A pattern without owners has its section's (GitLab); without any, or with "!" before it, it says that nobody owns what an
    earlier one gave away.
    """
    rules = []
    defaults: tuple[str, ...] = ()
    for line in text.splitlines():
        told = re.sub(r"(^|\s)#.*", "", line).strip()
        section = _SECTION.fullmatch(told)
        if section:
            defaults = tuple((section["owners"] or "").split())
        elif told:
            pattern, *owners = re.split(r"(?<!\\)\s+", told)
            taken = pattern.startswith("!")
            pattern = re.sub(r"\\([\s#])", r"\1", pattern.removeprefix("!"))
            rules.append((pattern, () if taken else tuple(owners) or defaults))
    return rules
