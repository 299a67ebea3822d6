"""A team whose rewrites of one part after another were each taken back with a reason: as many labels as wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ranking_repos import Change, add, git

#: Hours between one rewrite and the next, and between a rewrite and its revert.
STEP, LAG = 8.0, 5.0
_FIRST = ("cart", "mail", "pool", "login", "export", "search")
_SECOND = ("worker", "parser", "cache", "router", "timer")
PARTS = tuple(f"{first}_{second}" for second in _SECOND for first in _FIRST)


def rewrite(part: str, hours: float) -> Change:
    text = f"Rewrite {part}\n\nIt was hard to read."
    return Change(hours=hours, message=text, files={f"src/{part}.py": f"def {part}():\n    return {hours}\n"})


def taken_back(part: str, hours: float, sha: str) -> Change:
    why = f"Customers see an error page since {part} raises at every second call, and the queue grows."
    message = f"Revert it\n\nThis reverts commit {sha}.\n\n{why}"
    return Change(hours=hours, message=message, files={f"src/{part}.py": "old = 1\n"}, author="bob")


def make_team(make_repo: Any, count: int = len(PARTS)) -> tuple[Path, list[str]]:
    """A repository of so many incidents, the last one LAG hours before NOON, and their culprits, oldest first."""
    path, _ = make_repo("shop", [Change(hours=24 * 30, message="Begin", files={"README": "shop\n"})])
    return path, add_incidents(path, PARTS[:count], last_hours=LAG)


def make_repo_in(folder: Path, name: str, changes: Sequence[Change]) -> tuple[Path, list[str]]:
    """As the fixture `make_repo` does, in a folder that many tests share."""
    git(folder, "init", "-q", "-b", "main", name)
    return folder / name, add(folder / name, changes)


def add_incidents(path: Path, parts: Sequence[str], *, last_hours: float) -> list[str]:
    """Add an incident for each part; the last revert is so many hours before NOON."""
    hours = [last_hours + STEP * (len(parts) - 1 - place) for place in range(len(parts))]
    changes = [rewrite(part, at + LAG) for part, at in zip(parts, hours, strict=True)]
    culprits = add(path, changes, git(path, "rev-parse", "main"))
    # The reverts stand on top of all rewrites: a commit's time is what counts, not its place.
    add(path, [taken_back(*what) for what in zip(parts, hours, culprits, strict=True)], culprits[-1])
    return culprits
