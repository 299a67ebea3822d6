"""Which commits belong to the affected service, by every map a team may have.

Does: match a service to repositories by the operator's hint, to paths by `services.yaml`, to owners by CODEOWNERS, and to
names of repositories and folders; each as it stood at the last commit before the incident.
Does not: guess which service an incident means; without one, nothing matches.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import RepositoryError
from core.model import Commit
from ranking.history import History
from ranking.text import terms

_CODEOWNERS = ("CODEOWNERS", ".github/CODEOWNERS", ".gitlab/CODEOWNERS", "docs/CODEOWNERS")
_SERVICES = ("services.yaml", "services.yml", ".rundown/services.yaml")
#: Words that many services share: alone they tell none apart.
_COMMON = frozenset(
    terms("service services server app application prod production staging live main core cluster team the")
)


@dataclass(frozen=True, kw_only=True)
class ServiceMatch:
    """How surely a commit belongs to the service, and what says so."""

    #: 1 for an explicit map, less for a likeness of names, 0 for nothing.
    strength: float = 0.0
    #: A sentence's end: "in `shop`, a repository of checkout".
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceMap:
    """One service's places. Build it with `map_service`."""

    service: str
    #: Repositories the operator named for it.
    repos: frozenset[str] = frozenset()
    #: Repository -> path patterns of it, each with the file that says so.
    patterns: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    def match(self, commit: Commit) -> ServiceMatch:
        """The strongest match there is."""
        for pattern, source in self.patterns.get(commit.repo, ()):
            for change in commit.files[:200]:
                if covers(pattern, change.path):
                    return ServiceMatch(
                        strength=1.0, why=f"touches `{change.path}`, which {source} gives to {self.service}"
                    )
        if commit.repo in self.repos:
            return ServiceMatch(strength=1.0, why=f"in `{commit.repo}`, a repository of {self.service}")
        return self._by_name(commit)

    def _by_name(self, commit: Commit) -> ServiceMatch:
        wanted = set(terms(self.service)) - _COMMON
        if not wanted:
            return ServiceMatch()
        if wanted <= set(terms(commit.repo)):
            return ServiceMatch(strength=0.8, why=f"in `{commit.repo}`, named like the service {self.service}")
        for change in commit.files[:200]:
            if wanted <= set(terms(change.path)):
                return ServiceMatch(strength=0.6, why=f"touches `{change.path}`, named like the service {self.service}")
        return ServiceMatch()


def map_service(
    service: str, histories: Sequence[History], service_repos: Mapping[str, Sequence[str]], before: datetime
) -> ServiceMap:
    """Where a service lives, as far as the repositories said before a moment.

    Args:
        service_repos: service name to repository names, the operator's hint; letter case does not matter.
    """
    hinted = {name.lower(): repos for name, repos in service_repos.items()}
    patterns = {}
    for history in histories:
        try:
            patterns[history.name] = _patterns(history, service, before)
        except RepositoryError:
            continue  # The ranker reports a broken repository once, where it reads its commits.
    return ServiceMap(service=service, repos=frozenset(hinted.get(service.lower(), ())), patterns=patterns)


def _patterns(history: History, service: str, before: datetime) -> list[tuple[str, str]]:
    files = history.files_before((*_SERVICES, *_CODEOWNERS), before)
    listed = next((files[path] for path in _SERVICES if path in files), "")
    owned = next((files[path] for path in _CODEOWNERS if path in files), "")
    found = [(path, "services.yaml") for path in _listed_paths(listed, service)]
    wanted = set(terms(service)) - _COMMON
    if wanted:
        for pattern, owners in code_owners(owned):
            if any(wanted <= set(terms(owner)) for owner in owners):
                found.append((pattern, "CODEOWNERS"))
    return found


def _listed_paths(text: str, service: str) -> list[str]:
    """A service's paths in a `services.yaml`: {service: [paths]} or {services: {service: {paths: [paths]}}}."""
    import yaml

    try:
        content = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return []
    if isinstance(content, dict) and isinstance(content.get("services"), dict):
        content = content["services"]
    if not isinstance(content, dict):
        return []
    entry = next((value for name, value in content.items() if str(name).lower() == service.lower()), None)
    paths = entry.get("paths") if isinstance(entry, dict) else entry
    return [str(path) for path in paths] if isinstance(paths, list) else [paths] if isinstance(paths, str) else []


def code_owners(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The rules of a CODEOWNERS file: pattern and owners, in order. Section headers and comments are passed over."""
    rules = []
    for line in text.splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if len(words) > 1 and not words[0].startswith(("[", "^[")):
            rules.append((words[0], tuple(words[1:])))
    return rules


def covers(pattern: str, path: str) -> bool:
    """Whether a CODEOWNERS-like pattern holds for a path: "/db/", "apps/*/api", "*.sql", "docs".

    A pattern with a slash at its start or inside is anchored at the root; any other may match at any depth.
    """
    anchored = "/" in pattern.rstrip("/")
    bare = pattern.strip("/").removesuffix("/**")
    if not bare or bare in ("*", "**"):
        return True
    ends = [bare, f"{bare}/*"] if anchored else [bare, f"*/{bare}", f"{bare}/*", f"*/{bare}/*"]
    return any(fnmatch.fnmatchcase(path, end) for end in ends)
