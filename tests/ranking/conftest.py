"""Fixtures of the ranking tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ranking_repos import Change, add, git

MakeRepo = Callable[..., tuple[Path, list[str]]]


@pytest.fixture(name="make_repo")
def _make_repo(tmp_path: Path) -> MakeRepo:
    """Makes a repository of given changes, oldest first; gives its path and the ids."""

    def make(name: str, changes: Sequence[Change], *, bare: bool = False) -> tuple[Path, list[str]]:
        path = tmp_path / "repos" / name
        git(tmp_path, "init", "-q", "-b", "main", *(["--bare"] if bare else []), str(path))
        return path, add(path, changes)

    return make
