"""Pages written for real commits, made into incidents to learn from: their change among those that a ranker would read beside it,
or among those that the page's writer saw.

Does: rank each page at a time shortly after its commits, and take the changes that are read with it.
Does not: train, or keep anything of a repository but in memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import RepositoryError, UsageError
from core.model import Incident
from ranking.cause.reader import Change
from ranking.cause.training import Told, read_lines
from ranking.history import History
from ranking.meaning import Readers, open_readers
from ranking.ranker import Progress, Ranker, Scope

#: Of so many pages whose others a ranker finds one more is learned as if its commit had not been made, so that "none of them" stays possible.
_EVERY = 5
#: How long after its commit, or the latest of all that it names, a page comes: hours, drawn log-normally between these.
_LEAST_H, _MOST_H = 0.3, 72.0

#: More than a ranking reads beside a page: a culprit that comes late is learned too.
_READ = 16

_EXAMPLE = 'write {"id": "shop-1", "repo": "shop", "sha": "…", "title": "…"}, or "sha": null and "others": ["…", …] if none of these did it'

_Sha = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


class Page(BaseModel):
    """A page, and the commit that it was written for or those that did not do it."""

    # A key that nobody knows is a mistake: a page whose commit is not read would be learned as one that no commit caused.
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    #: A repository's name, or owner/name.
    repo: str
    #: Of the commit; None where none of the others did it.
    sha: _Sha | None
    #: Commits of that time that did not do it, as its writer saw: some of them look as if they had. Empty: a ranker finds them.
    others: tuple[_Sha, ...] = Field(default=(), max_length=_READ - 1)
    title: str
    description: str = ""
    service: str | None = None
    #: What its writer thought: not learned.
    why: str = ""

    @model_validator(mode="after")
    def _tells_commits_apart(self) -> Self:
        if not self.commits:
            raise ValueError("names no commit: give 'sha', or 'others' if none of these did it")
        if len(set(self.commits)) < len(self.commits):
            raise ValueError("names a commit twice, in 'sha' and 'others' or in 'others'")
        return self

    @property
    def commits(self) -> tuple[str, ...]:
        """All that it names."""
        return (*([self.sha] if self.sha else []), *self.others)


class _Listener:
    """Keeps what a ranker lets be read."""

    name = "listener"

    def __init__(self) -> None:
        self._heard: tuple[Change, ...] = ()

    def odds(self, page: str, changes: Sequence[Change]) -> list[float]:
        self._heard = tuple(changes)
        return [0.0] * len(changes)

    def take(self) -> tuple[Change, ...]:
        """What was read since the last time."""
        heard, self._heard = self._heard, ()
        return heard


def read_pages(path: Path) -> list[Page]:
    """Pages of a file, one JSON object a line.

    Raises:
        UsageError: the file cannot be read, or a line is none.
    """
    return read_lines(path, Page, _EXAMPLE)


def gather(
    pages: Sequence[Page], histories: Sequence[History], *, seed: int = 1, progress: Progress | None = None
) -> list[Told]:
    """An incident for each page whose commit is among what is read beside it; always so if the page tells its others.

    Args:
        histories: the repositories, indexed. Pages of others are left out.
        seed: of the times between commits and pages.
        progress: told of pages.

    Raises:
        UsageError: no page is of a given repository.
        RepositoryError: a repository could not be read, or has no such commit.
    """
    named = {history.name: history for history in histories}
    ours = [page for page in pages if page.repo.rpartition("/")[2] in named]
    if not ours:
        raise UsageError("no page is of a given repository", way_out="give its clone: --repo NAME=PATH")
    listener, draw = _Listener(), random.Random(seed)
    ranker = Ranker(histories, readers=Readers(meaning=open_readers().meaning, cause=listener), explaining=_READ)
    found: list[Told] = []
    for number, page in enumerate(ours):
        history = named[page.repo.rpartition("/")[2]]
        lag = min(_MOST_H, max(_LEAST_H, draw.lognormvariate(1.2, 1.1)))
        scope: Scope = {"repos": [history.name], **({"candidates": page.commits} if page.others else {})}
        ranker.survey(_incident(page, history, timedelta(hours=lag)), **scope)
        heard = listener.take()
        culprit = next((change for change in heard if change.sha == page.sha), None)
        others = tuple(change for change in heard if change.sha != page.sha)
        if others and (culprit or not page.sha):
            one = Told(id=page.id, title=page.title, description=page.description, culprit=culprit, others=others)
            found.append(one)
            if not page.others and number % _EVERY == 0:
                found.append(one.model_copy(update={"culprit": None}))
        if progress:
            progress("reading pages' changes", number + 1, len(ours))
    return found


def _incident(page: Page, history: History, lag: timedelta) -> Incident:
    known = history.find(page.commits, datetime.now(UTC))
    for sha in page.commits:
        if sha not in known:
            raise RepositoryError(
                f"repository '{history.name}' has no commit {sha[:12]}, of page '{page.id}'",
                way_out="fetch it, or leave the page out; a merge is no candidate",
            )
    return Incident(
        id=f"pd:{page.id}",  # as a pager tells it, so that it is read as a page whatever its words
        title=page.title,
        description=page.description,
        created_at=max(commit.landed_at for commit in known.values()) + lag,
        service=page.service or history.name,
    )
