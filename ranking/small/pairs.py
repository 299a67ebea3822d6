"""What the small Llama learns from: incidents with the commit that did it, and commits' own messages.

Does: read histories before a moment; pair mined or given incidents with their culprits; keep a sample of other commits, to
learn meanings from and to tell culprits from; keep whole repositories apart for measuring; take secrets out.
Does not: put anything into tokens, or train.

The second kind of pair needs no label: a message's body belongs to its own subject and paths.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.errors import UsageError
from core.model import Commit, from_unix
from core.redaction import redact
from ranking.history import History
from ranking.labels.cases import Labelled
from ranking.labels.mine import mine
from ranking.ranker import Progress
from ranking.small.texts import INCIDENT_LIMIT, plain, tell

#: Commits of one repository that are read, beside culprits: a large one must not drown the others.
COMMITS = 9_000
#: Messages shorter than this say nothing that their subject does not.
_SHORTEST_BODY, _SHORTEST_SUBJECT = 60, 13
#: Said by tools, or of other commits.
_EMPTY = ("Merge", "Localisation", "Revert")
#: Characters of a message that are looked at for secrets: more than are ever read of it.
_BODY_LIMIT = 4_000
_STRETCH = timedelta(days=120)


@dataclass(frozen=True, kw_only=True)
class CommitText:
    """What is read of one commit. Holds no secret that `core.redaction` knows."""

    sha: str
    #: Unix seconds of its commit.
    at: float
    #: As in use: subject, first paths, message.
    whole: str
    #: Subject and first paths alone.
    head: str
    #: The message below the subject; empty when it says too little.
    body: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An incident's words and the commit that caused it."""

    incident: str
    #: Unix seconds.
    at: float
    culprit: CommitText


@dataclass(frozen=True, kw_only=True)
class RepositoryTexts:
    """What one repository gives, by time."""

    name: str
    #: A sample, and every culprit.
    commits: tuple[CommitText, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that a training is given."""

    learned: tuple[RepositoryTexts, ...]
    #: Repositories that are only measured on.
    held_out: tuple[RepositoryTexts, ...]
    #: Nothing committed then or later is among them.
    before: datetime

    def digest(self) -> str:
        """Tells whether two trainings are given the same."""
        found = hashlib.sha256(self.before.isoformat().encode())
        for part in (*self.learned, None, *self.held_out):
            found.update(repr(part).encode())
        return found.hexdigest()[:16]


def gather(
    histories: Sequence[History],
    *,
    before: datetime,
    hold_out: Collection[str] = (),
    cases: Sequence[Labelled] | None = None,
    commits: int = COMMITS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Material:
    """Read histories; they must have been refreshed.

    Args:
        before: nothing committed then or later is read.
        hold_out: names of repositories to measure on and never to learn from, nor from what a fork shares with them.
        cases: incidents with their culprits; those of other repositories, or from `before` on, are passed over. By default
            they are mined from each history.
        commits: how many of a repository are sampled.
        seed: of the sample.
        progress: told (repository, commits read, None).

    Raises:
        UsageError: `hold_out` names a repository that is not given, or nothing is left to learn from.
        RepositoryError: an index cannot be read.
    """
    unknown = set(hold_out) - {history.name for history in histories}
    if unknown:
        raise UsageError(
            f"cannot hold out '{min(unknown)}'",
            why="no repository given has that name",
            way_out="name one of " + ", ".join(sorted(history.name for history in histories)),
        )
    texts = [_read(history, before, cases, commits, seed, progress) for history in histories]
    kept_apart = [history for history in histories if history.name in hold_out]
    learned = tuple(_without(part, kept_apart, before) for part in texts if part.name not in hold_out)
    if not any(part.commits for part in learned):
        raise UsageError(
            "there is nothing to learn from",
            why=f"no repository that is not held out has a commit before {before.date()}",
            way_out="give an earlier history, a later --before or hold out fewer",
        )
    return Material(learned=learned, held_out=tuple(part for part in texts if part.name in hold_out), before=before)


def _read(
    history: History,
    before: datetime,
    cases: Sequence[Labelled] | None,
    limit: int,
    seed: int,
    progress: Progress | None,
) -> RepositoryTexts:
    def tell_count(count: int, total: int | None) -> None:
        if progress:
            progress(f"reading {history.name}", count, total)

    if cases is None:
        cases = mine(history, since=from_unix(0), before=before, progress=tell_count).cases
    pairs = _pairs(history, cases, before)
    sampled = _sample(_worth_reading(history, before), limit, random.Random(f"{seed}:{history.name}"))
    known = {pair.culprit.sha: pair.culprit for pair in pairs}
    found = known | {commit.sha: commit_text(commit) for commit in sampled if commit.sha not in known}
    return RepositoryTexts(
        name=history.name,
        commits=tuple(sorted(found.values(), key=lambda text: (text.at, text.sha))),
        pairs=tuple(pairs),
    )


def _without(part: RepositoryTexts, kept_apart: Sequence[History], before: datetime) -> RepositoryTexts:
    """What no held-out history holds: forks share commits."""
    shas = [text.sha for text in part.commits]
    shared = {sha for history in kept_apart for sha in history.find(shas, before)}
    return replace(
        part,
        commits=tuple(text for text in part.commits if text.sha not in shared),
        pairs=tuple(pair for pair in part.pairs if pair.culprit.sha not in shared),
    )


def _pairs(history: History, cases: Sequence[Labelled], before: datetime) -> list[Pair]:
    """Cases of one history whose one culprit it holds from before the incident, by time."""
    found = []
    for case in sorted(cases, key=lambda case: (case.created_at, case.id)):
        moment = from_unix(case.created_at)
        if moment >= before or len(case.culprits) != 1 or (case.repos is not None and history.name not in case.repos):
            continue
        culprit = history.find(case.culprits, moment).get(case.culprits[0])
        if culprit is not None:
            words = plain(redact(f"{case.title}\n{case.description}"))[:INCIDENT_LIMIT]
            found.append(Pair(incident=words, at=case.created_at, culprit=commit_text(culprit)))
    return found


def commit_text(commit: Commit) -> CommitText:
    """What is read of a commit, without secrets."""
    clean = replace(commit, subject=redact(commit.subject), body=redact(commit.body[:_BODY_LIMIT]))
    body = plain(clean.body)
    return CommitText(
        sha=commit.sha,
        at=commit.committed_at.timestamp(),
        whole=tell(clean),
        head=tell(replace(clean, body="")),
        body=body[:INCIDENT_LIMIT] if len(body) > _SHORTEST_BODY else "",
    )


def _worth_reading(history: History, before: datetime) -> Iterator[Commit]:
    """Commits before a moment that say something, newest first, read in pieces so that none fills the memory."""
    end = before
    while last := history.last_commits_before(end, 1):
        start = last[0].committed_at - _STRETCH
        for commit in history.commits_between(start, end):
            if len(commit.subject) >= _SHORTEST_SUBJECT and not commit.subject.startswith(_EMPTY):
                yield commit
        end = start


def _sample(commits: Iterator[Commit], limit: int, rng: random.Random) -> list[Commit]:
    """At most `limit` of them, each as likely as any other (algorithm R, Vitter 1985)."""
    kept: list[Commit] = []
    for number, commit in enumerate(commits):
        if number < limit:
            kept.append(commit)
        elif (place := rng.randrange(number + 1)) < limit:
            kept[place] = commit
    return kept
