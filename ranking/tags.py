"""A repository's tags, and which of them look like a release or a deploy.

Does: read every tag with the commit it stands on and the time it was made; tell release names from others.
Does not: decide what a release means for a candidate (`ranking.deploys`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.model import from_unix

if TYPE_CHECKING:
    from ranking.repository import Repository

_FORMAT = "--format=%(refname:lstrip=2)%00%(objectname)%00%(*objectname)%00%(objecttype)%00%(*objecttype)%00%(creatordate:unix)"
#: "v1.2.3", "checkout-v1.2", "2024.05.01", "deploy-2024-05-01", "prod/117", "release_42".
_RELEASE = re.compile(
    r"(?:[\w.-]+?[-/@_])?v?\d+(?:\.\d+){1,3}(?:[-+._](?!rc|alpha|beta|pre|dev)\w+)*"
    r"|(?:[\w.-]+[-/@_])?(?:deploy(?:ed|ment)?|prod(?:uction)?|release|rel|live)[-/_.@]?v?\d[\w.-]*"
    r"|\d{4}[-.]?\d{2}[-.]?\d{2}(?:[-.T_]?\d+)*",
    re.IGNORECASE,
)
_EARLY = re.compile(r"[-._]?(?:rc|alpha|beta|pre|preview|dev|snapshot)[-._]?\d*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A name somebody gave a commit."""

    name: str
    #: The full id of the commit it stands on.
    sha: str
    at: datetime
    #: Whether it tells its own date. A plain tag does not: nobody knows since when it stands there.
    dated: bool = True

    @property
    def is_release(self) -> bool:
        """Whether its name is that of something that went to production: a version, a date, a deploy; no candidate or beta."""
        return bool(_RELEASE.fullmatch(self.name)) and not _EARLY.search(self.name)


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
                yield Tag(name=name, sha=own if plain else peeled, at=from_unix(int(at)), dated=not plain)
