"""Mines incidents with known culprits from one repository's own history.

Does: read the commit index once, resolve what later commits blame, scrub their messages into incident texts, and say what
was left out and why.
Does not: start git for a commit (once for all merges that were taken back), read diffs, rank, or keep anything.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.errors import RepositoryError
from core.model import Commit, from_unix
from ranking.history import History
from ranking.index import Progress
from ranking.labels.cases import Kind, Labelled
from ranking.labels.links import Claim, find_claims
from ranking.labels.rules import unfit
from ranking.labels.scrub import SHORTEST, scrub
from ranking.mentions import own_names

#: The index is read in pieces of so long, so that a large history does not fill the memory.
_PIECE = timedelta(days=120)


@dataclass(frozen=True, kw_only=True)
class Mined:
    """What a history gave."""

    #: Oldest first; no two of one culprit.
    cases: tuple[Labelled, ...]
    #: Why claims were left out -> how many.
    left_out: Counter[str] = field(default_factory=Counter)
    #: Of these, good labels whose culprit is older than the window.
    too_old: int = 0


def mine(
    history: History,
    *,
    since: datetime,
    before: datetime,
    window_commits: int | None = None,
    window_days: float | None = None,
    progress: Progress | None = None,
) -> Mined:
    """The labelled cases of a history; it must have been refreshed.

    Args:
        since: later commits committed from then on are read for blame.
        before: nothing committed then or later is read.
        window_commits: a culprit must be among so many commits before its incident; cases carry the window.
        window_days: or else within so many days before it.
        progress: told (commits read, None) as the index is read.

    Raises:
        RepositoryError: the index cannot be read.
    """
    past = _Past()
    claimed: list[tuple[Commit, tuple[Claim, ...]]] = []
    for commit in _oldest_first(history, before, progress):
        if commit.committed_at >= since:
            claims = find_claims(commit.subject, commit.body)
            if claims:
                claimed.append((commit, _known([past.resolve(claim) for claim in claims])))
        past.add(commit)
    found = history.find([claim.name for _, claims in claimed for claim in claims if claim.by == "sha"], before)
    brought = _brought(history, claimed, found, past, before)
    only = history.find([shas[0] for shas in brought.values() if len(shas) == 1], before)
    found |= {merge: only[shas[0]] for merge, shas in brought.items() if len(shas) == 1}
    window = _Window(times=past.times, commits=window_commits, days=window_days)
    return _cases(history.name, claimed, found, brought, window)


def _known(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Without pull requests that are no commit of this history: "#12" is an issue as well. They stay if nothing else is claimed."""
    return tuple(claim for claim in claims if claim.by != "pull") or tuple(claims)


def _brought(
    history: History,
    claimed: Sequence[tuple[Commit, tuple[Claim, ...]]],
    found: Mapping[str, Commit],
    past: _Past,
    before: datetime,
) -> dict[str, tuple[str, ...]]:
    """The commits that came with each merge which was taken back, by what the merge was called: a team that merges branches reverts
    merges, and those are no candidates."""
    claims = [claim for _, made in claimed for claim in made if claim.kind == "revert" and claim.by == "sha"]
    merges: dict[str, Commit] = {}
    with suppress(RepositoryError):  # a copy may lack what it merged: such reverts name nothing that is known here
        merges = history.find_elsewhere({claim.name for claim in claims} - found.keys(), before)
    landed = {name: tuple(past.landed.get(merge.committed_at, ())) for name, merge in merges.items()}
    return {name: shas for name, shas in landed.items() if shas}


class _Past:
    """What was there before the commit now read: ids by Gerrit change id, subject and pull request, the latest of each, and by the
    time of the merge that brought them."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.landed: defaultdict[datetime, list[str]] = defaultdict(list)
        self._by: dict[tuple[str, str], str] = {}

    def add(self, commit: Commit) -> None:
        self.times.append(commit.committed_at.timestamp())
        self._by["subject", commit.subject] = commit.sha
        if commit.merged_at:
            self.landed[commit.merged_at].append(commit.sha)
        for name in own_names(commit.subject, commit.body):
            self._by["pull" if name.startswith("#") else "change_id", name] = commit.sha

    def resolve(self, claim: Claim) -> Claim:
        """The claim by id where what it names is known; else as it was."""
        sha = self._by.get((claim.by, claim.name)) or self._by.get(("pull", claim.pull))
        return Claim(kind=claim.kind, name=sha, by="sha") if sha else claim


@dataclass(frozen=True, kw_only=True)
class _Window:
    """Which commits are an incident's candidates, by number or by days."""

    times: list[float]
    commits: int | None
    days: float | None

    def holds(self, culprit: Commit, moment: float) -> bool:
        start = culprit.committed_at.timestamp()
        if self.commits is not None:
            return bisect.bisect_left(self.times, moment) - bisect.bisect_left(self.times, start) <= self.commits
        if self.days is None:
            return True
        first, landed = moment - self.days * 86_400, culprit.landed_at.timestamp()
        # As `History.suspects_between` has it.
        return start >= first or first <= landed < moment


def _oldest_first(history: History, before: datetime, progress: Progress | None) -> Iterator[Commit]:
    """Every commit of the index before a moment, by time."""
    start, count = from_unix(0), 0
    while start < before:
        end = min(start + _PIECE, before)
        piece = history.commits_between(start, end)
        count += len(piece)
        if progress and piece:
            progress(count, None)
        yield from reversed(piece)
        start = end


def _cases(
    repo: str,
    claimed: Sequence[tuple[Commit, tuple[Claim, ...]]],
    found: Mapping[str, Commit],
    brought: Mapping[str, Sequence[str]],
    window: _Window,
) -> Mined:
    cases: list[Labelled] = []
    left_out: Counter[str] = Counter()
    taken: set[str] = set()
    too_old = 0
    for fix, made in claimed:
        # A revert that tells of another commit still reverts one: weaker claims count only where no stronger one is made.
        claims = [claim for claim in made if claim.kind == made[0].kind]
        culprits = {found[claim.name].sha: found[claim.name] for claim in claims if claim.name in found}
        unknown = [claim for claim in claims if claim.name not in found]
        if len(culprits) != 1 or unknown:
            left_out[_unclear(claims, brought)] += 1
            continue
        culprit = next(iter(culprits.values()))
        case = _case(repo, fix, culprit, claims[0].kind, window)
        if isinstance(case, str):
            left_out[case] += 1
        elif culprit.sha in taken:
            left_out["its culprit has a case already"] += 1
        elif not window.holds(culprit, case.created_at):
            too_old += 1
        else:
            taken.add(culprit.sha)
            cases.append(case)
    return Mined(cases=tuple(sorted(cases, key=lambda case: case.created_at)), left_out=left_out, too_old=too_old)


def _unclear(claims: Sequence[Claim], brought: Mapping[str, Sequence[str]]) -> str:
    if len(claims) > 1:
        return "names several commits"
    return "takes back several commits" if claims[0].name in brought else "names no commit of this history"


def _case(repo: str, fix: Commit, culprit: Commit, kind: Kind, window: _Window) -> Labelled | str:
    """The case of one claim, or why there is none."""
    landed = culprit.committed_at
    # A clock that ran fast must not put an incident after the message that tells of it.
    moment = min(fix.authored_at, fix.committed_at) if fix.authored_at > landed else fix.committed_at
    if moment <= landed:
        return "names a later commit"
    title, description = scrub(fix.subject, fix.body, culprit)
    reason = unfit(kind, fix, culprit, f"{title}\n{description}")
    if reason:
        return reason
    if len(title) + len(description) < SHORTEST:
        return "says too little without the culprit's name"
    return Labelled(
        id=f"{repo}:{fix.sha[:12]}",
        repos=(repo,),
        title=title,
        description=description,
        created_at=moment.timestamp(),
        window_commits=window.commits,
        window_days=window.days,
        culprits=(culprit.sha,),
        kind=kind,
        lag_hours=round((moment - landed).total_seconds() / 3600, 2),
        same_author=fix.author_email == culprit.author_email or fix.author == culprit.author,
        hindsight=kind != "revert",
        raw=f"{fix.subject}\n{fix.body}",
    )
