"""A team's services at one moment: which paths are whose, and what depends on what at run time.

Does: join what `services.yaml`, catalogs, Compose files, CODEOWNERS and the operator say; find the services of a path; tell
how near each service is to a given one; find services named in a text.
Does not: read files, or weigh a commit (`ranking.services`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.words import split_identifiers
from ranking.patterns import Patterns
from ranking.service_files import Entry
from ranking.text import terms

#: Words that many services share: alone they tell none apart.
COMMON = frozenset(
    terms("service services server app application prod production staging live main core cluster team the")
)
#: Names of services that are words of every alert too: in a text they count only where they are written as a name.
_PROSE_WORDS = """
    api apps app web data database db cache proxy job jobs worker workers test tests common core internal admin search
    user users auth email mail image images media file files event events config monitoring metrics logging logs status
    health home page pages site frontend backend client clients server servers service platform default edge queue queues
    scheduler report reports order orders message messages session sessions storage network host hosts node nodes
    account accounts customer customers product products request requests error errors
"""
_PROSE = frozenset(_PROSE_WORDS.split())
_FAR = 5
#: Patterns of CODEOWNERS that cover everything.
_ALL = ("*", "**", "/", "/*", "/**")
#: How suspicious a commit is by where its service stands: what it depends on, by steps; who calls it; parts of one system.
DEPENDENCY, CALLER, SIBLING = 0.5, 0.2, 0.1


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """How a service stands to the affected one."""

    #: 1 for itself, a half for what it depends on, a quarter for what that depends on, less for its callers.
    strength: float
    #: The end of a sentence about it: "which checkout depends on (services.yaml)". Empty for itself.
    why: str = ""


@dataclass(kw_only=True)
class Service:
    """One service, as all files together tell of it."""

    name: str
    aliases: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    repos: set[str] = field(default_factory=set)
    #: Keys of services it calls, each with the file that says so.
    depends_on: dict[str, str] = field(default_factory=dict)
    systems: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Claim:
    """A service's claim on a path."""

    key: str
    #: The file that says so.
    source: str


class Topology:
    """All services that are known.

    Args:
        entries: by repository, what its files tell.
        owners: by repository, the rules of its CODEOWNERS, in order.
        service_repos: service name to repository names, the operator's hint.
        mistakes: what is wrong with the files, in words.
    """

    def __init__(
        self,
        entries: Mapping[str, Sequence[Entry]],
        owners: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
        service_repos: Mapping[str, Sequence[str]],
        mistakes: Sequence[str] = (),
    ) -> None:
        self.mistakes = tuple(mistakes)
        self.services: dict[str, Service] = {}
        self._rules: dict[str, Patterns[Claim]] = defaultdict(Patterns)
        self._owned = {repo: Patterns[tuple[str, ...]](rules) for repo, rules in owners.items() if rules}
        #: Owners of some paths, but not of all.
        self._places = {owner for rules in owners.values() for pattern, own in rules for owner in own}
        self._places -= {
            owner for rules in owners.values() for pattern, own in rules if pattern in _ALL for owner in own
        }
        self._by_alias: dict[str, str] = {}
        self._lives: set[tuple[str, str]] = set()
        self._claims: dict[tuple[str, str], tuple[Claim, ...]] = {}
        self._teams: dict[tuple[str, ...], tuple[Claim, ...]] = {}
        self._owners: dict[tuple[str, str], tuple[str, ...]] = {}
        for name, repos in service_repos.items():
            self._service(name).repos.update(repos)
        for repo, told in entries.items():
            for entry in told:
                self._add(repo, entry)
        self._link([entry for told in entries.values() for entry in told])

    @property
    def has_graph(self) -> bool:
        """Whether anything is known to depend on anything."""
        return any(service.depends_on for service in self.services.values())

    def find(self, name: str) -> str | None:
        """The key of a service by its name, an alias, or the words in either that tell services apart."""
        key = key_of(name)
        if key in self.services or key in self._by_alias:
            return self._by_alias.get(key, key)
        wanted = telling(name)
        alike = {
            known
            for known, service in self.services.items()
            if wanted and wanted in map(telling, (service.name, *service.aliases))
        }
        return alike.pop() if len(alike) == 1 else None

    def claims(self, repo: str, path: str) -> tuple[Claim, ...]:
        """The services whose path this is by the most telling rule; by CODEOWNERS where no map says anything."""
        known = self._claims.get((repo, path))
        if known is None:
            rules = self._rules.get(repo)
            known = tuple(dict.fromkeys(rules.closest(path))) if rules else ()
            known = self._claims[repo, path] = known or self._by_owner(repo, path)
        return known

    def of_repo(self, repo: str) -> frozenset[str]:
        """The services whose own repository this is."""
        return frozenset(key for key, service in self.services.items() if repo in service.repos)

    def has_paths(self, repo: str, key: str) -> bool:
        """Whether a map gives a service any path of a repository."""
        return (repo, key) in self._lives

    def owners_of(self, repo: str, path: str) -> tuple[str, ...]:
        """Who owns a path by the last rule of CODEOWNERS that covers it."""
        owned = self._owned.get(repo)
        if owned is None:
            return ()
        if (repo, path) not in self._owners:
            self._owners[repo, path] = owned.last(path) or ()
        return self._owners[repo, path]

    def has_owner(self, words: Collection[str]) -> bool:
        """Whether CODEOWNERS gives any path to an owner that is named like this."""
        return bool(words) and any(set(words) <= set(terms(owner)) for owner in self._places)

    def teams_of(self, repo: str, path: str) -> tuple[str, ...]:
        """Who owns a path, without those who own whatever nobody else does: that is nobody in particular."""
        return tuple(owner for owner in self.owners_of(repo, path) if owner in self._places)

    def nearness(self, key: str) -> dict[str, Nearness]:
        """Every service that has to do with one: itself, what it depends on, who calls it, parts of the same system."""
        found = {key: Nearness(strength=1.0)}
        for other, (steps, through, source) in _walk(key, {k: s.depends_on for k, s in self.services.items()}).items():
            way = "" if steps == 1 else f" through {self.name(through)}"
            why = f"which {self.name(key)} depends on{way} ({source})"
            found.setdefault(other, Nearness(strength=DEPENDENCY**steps, why=why))
        callers: dict[str, dict[str, str]] = defaultdict(dict)
        for caller, service in self.services.items():
            for callee, source in service.depends_on.items():
                callers[callee][caller] = source
        for other, (steps, _, source) in _walk(key, callers).items():
            why = f"which depends on {self.name(key)} ({source})"
            found.setdefault(other, Nearness(strength=CALLER * DEPENDENCY ** (steps - 1), why=why))
        own = self.services[key].systems if key in self.services else set()
        for other, service in self.services.items():
            if own & service.systems:
                why = f"of the same system as {self.name(key)}"
                found.setdefault(other, Nearness(strength=SIBLING, why=why))
        return found

    def name(self, key: str) -> str:
        """A service's name as it is written."""
        return self.services[key].name if key in self.services else key

    def named_in(self, text: str, others: Iterable[str] = ()) -> list[str]:
        """The keys of services that a text names, longest names first; common words count only where written as a name.

        Args:
            others: names of services that no map tells of.
        """
        names = {name: self.find(name) or key_of(name) for name in others}
        names |= {name: key for key, service in self.services.items() for name in (service.name, *service.aliases)}
        found: dict[str, None] = {}
        for name in sorted(names, key=lambda name: (-len(name), name)):
            pattern = _spoken(name)
            if pattern and pattern.search(text):
                found.setdefault(names[name])
                text = pattern.sub(" ", text)  # "payments-api" is no word about "payments"
        return list(found)

    # -- building ----------------------------------------------------------------------------------------------------

    def _service(self, name: str) -> Service:
        return self.services.setdefault(self._by_alias.get(key_of(name), key_of(name)), Service(name=name))

    def _add(self, repo: str, entry: Entry) -> None:
        service = self._service(entry.name)
        service.aliases.update(entry.aliases)
        service.owners.update(owner.lower() for owner in entry.owners)
        service.systems.update(entry.system and [entry.system])
        claim = Claim(key_of(entry.name), entry.source)
        if not entry.paths:
            service.repos.update(entry.repos)
        for place in entry.repos or (repo,):
            for path in entry.paths:
                self._rules[place].add(path, claim)
                self._lives.add((place, claim.key))

    def _link(self, entries: Iterable[Entry]) -> None:
        """Aliases and dependencies, once every service is known."""
        for key, service in self.services.items():
            for alias in service.aliases:
                if key_of(alias) not in self.services:
                    self._by_alias.setdefault(key_of(alias), key)
        for entry in entries:
            service = self.services[key_of(entry.name)]
            for name in entry.depends_on:
                other = self.find(name) or key_of(name)
                self.services.setdefault(other, Service(name=name))
                if other != key_of(entry.name):
                    service.depends_on.setdefault(other, entry.source)

    def _by_owner(self, repo: str, path: str) -> tuple[Claim, ...]:
        owners = self.owners_of(repo, path)
        if owners not in self._teams:
            self._teams[owners] = self._of_team(owners) if owners else ()
        return self._teams[owners]

    def _of_team(self, owners: tuple[str, ...]) -> tuple[Claim, ...]:
        """The services of owners: those that name them as theirs, and those that they are named like."""
        lowered = {owner.lower().lstrip("@") for owner in owners}
        short = {owner.rpartition("/")[2] for owner in lowered}
        return tuple(
            Claim(key, "CODEOWNERS")
            for key, service in self.services.items()
            if any(own.lstrip("@") in lowered | short for own in service.owners)
            or any(telling(service.name) and telling(service.name) <= set(terms(owner)) for owner in owners)
        )


def key_of(name: str) -> str:
    """A name without the ways to spell it: "Check-Out API", "checkOutApi" and "check_out_api" are one."""
    words = [
        word for run in re.findall(r"\w+", name) for word in (split_identifiers(run)[1:] or split_identifiers(run))
    ]
    return "-".join(part for word in words for part in word.split("_") if part)


def telling(name: str) -> frozenset[str]:
    """The terms of a name that tell services apart."""
    return frozenset(terms(name)) - COMMON


def _walk(start: str, edges: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[int, str, str]]:
    """Every key within reach: its steps, the first key on the way, and the file that tells of the last step."""
    found: dict[str, tuple[int, str, str]] = {}
    border = [(start, "")]
    for steps in range(1, _FAR):
        following = []
        for key, first in border:
            for other, source in edges.get(key, {}).items():
                if other != start and other not in found:
                    found[other] = (steps, first or other, source)
                    following.append((other, first or other))
        border = following
    return found


def _spoken(name: str) -> re.Pattern[str] | None:
    """Finds a service's name in a text; None for a name of no telling word."""
    parts = [re.escape(part) for part in key_of(name).split("-") if part]
    if not parts or not telling(name):
        return None
    last = parts[-1]
    if len(last) > 3 and not last.endswith(("ss", "us", "is")):
        parts[-1] = f"{last.removesuffix('s')}s?"
    whole = r"[-_ .]?".join(parts)
    if len(parts) == 1 and (name.lower() in _PROSE or len(last) < 3):
        whole = (
            rf"(?:(?<=service )|(?<=service: )|(?<=service=)|(?<=[`\[\"'])){whole}"
            rf"|{whole}(?=[`\]\"']|[-_](?:service|api|server|worker|\d|[a-z0-9]*\d)| (?:service|pods?|deployment)\b|:)"
        )
        return re.compile(rf"(?<![A-Za-z0-9])(?:{whole})(?![A-Za-z0-9])", re.IGNORECASE)
    return re.compile(rf"(?<![A-Za-z0-9]){whole}(?![A-Za-z0-9])", re.IGNORECASE)
