"""Repositories: each is there, whole, and fresh enough to hold a culprit.

Does: ask git about each. Does not: fetch, index or rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.doctor.check import Check, off, ok, refused, warn
from core.duration import duration
from core.errors import RepositoryError
from core.model import from_unix
from core.settings import Settings


def repositories(settings: Settings) -> Sequence[Check]:
    """A check a repository."""
    if not settings.repos:
        return [off("Repositories", "none configured", "set RUNDOWN_REPOS: without any, no commit can be named")]
    return [_repository(path, settings.window_days) for path in settings.repos]


def _repository(path: Path, window_days: float) -> Check:
    from ranking.landing import clock
    from ranking.repository import Repository, default_name

    name = f"Repository {path.name}"
    try:
        repository = Repository(path)
        name = f"Repository {default_name(repository.path)}"
        latest = from_unix(clock(repository.run("rev-list", "-1", "--timestamp", "HEAD").split()[0]))
        since = (datetime.now(UTC) - timedelta(days=window_days)).isoformat()
        recent = int(repository.run("rev-list", "--count", "--no-merges", f"--since={since}", "HEAD"))
        cut = bool(repository.shallow())
    except RepositoryError as error:
        return refused(name, error)
    age = duration(max(timedelta(), datetime.now(UTC) - latest))
    found = f"{recent} commits in the last {window_days:g} days, the latest {age} ago"
    if cut:
        return warn(name, f"{found}; a shallow clone, older commits are not seen", f"git -C {path} fetch --unshallow")
    if not recent:
        return warn(
            name,
            f"{found}: no candidates",
            f"fetch into it regularly, for example from cron: git -C {path} pull, or fetch if it is a mirror",
        )
    return ok(name, found)
