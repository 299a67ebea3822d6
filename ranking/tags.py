"""A repository's tags.

Does: read every tag with the commit it stands on and the time it was made.
Does not: say what a tag means: only a deploy event that names one does (`ranking.deploys`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.model import from_unix

if TYPE_CHECKING:
    from ranking.repository import Repository

_FORMAT = "--format=%(refname:lstrip=2)%00%(objectname)%00%(*objectname)%00%(objecttype)%00%(*objecttype)%00%(creatordate:unix)"


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A name somebody gave a commit."""

    name: str
    #: The full id of the commit it stands on.
    sha: str
    #: When it was made; of a plain tag nobody knows, so it is its commit's time.
    at: datetime


def read_tags(repository: Repository) -> Iterator[Tag]:
    """Every tag on a commit, oldest first.

    Raises:
        RepositoryError: git failed.
    """
    for line in repository.run("for-each-ref", "--sort=creatordate", _FORMAT, "refs/tags").split("\n"):
        name, own, peeled, kind, peeled_kind, at = (*line.split("\0"), *[""] * 6)[:6]
        if "commit" in (kind, peeled_kind) and at.isdigit():
            plain = kind == "commit"
            with contextlib.suppress(ValueError, OverflowError, OSError):  # a date past the year 9999
                yield Tag(name=name, sha=own if plain else peeled, at=from_unix(int(at)))
