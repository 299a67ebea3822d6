"""Ranks the commits that may have caused an incident.

Does: pool the candidates of several repositories, measure them as of the incident's time, score, let a model vote when
there is one, and say how sure it is. A repository or a model that fails is a gap in the answer.
Does not: fetch, write, or read anything committed at the incident's time or later; keep results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from core.errors import ModelUnavailable, RepositoryError
from core.model import Commit, Confidence, Culprit, Incident, Ranking, Reason
from ranking import scorer
from ranking.events import ChangeEvent
from ranking.features import Measurer, Question, Table
from ranking.history import History
from ranking.lexicon import Lexicon
from ranking.llama import ELECTION_SIZE, CulpritModel
from ranking.reasons import explain
from ranking.services import map_service

#: Candidates whose diffs are read. On the development cases the culprit is among them 97 times in 100.
READ = 200
#: Candidates that are given reasons: more than any card shows.
EXPLAINED = 20
_DIFF_S, _MODEL_S = 3.0, 8.0

#: Told (what is being done, how much is done, how much there is or None).
Progress = Callable[[str, int, int | None], None]


class Ranker:
    """Ranks candidates of all its repositories as one pool.

    Args:
        histories: the repositories.
        model: votes on the first `ELECTION_SIZE` when given.
        service_repos: service name to names of its repositories: a hint that counts, not a fence.
        gaps: repositories that could not be opened, in words; told in every ranking.
        model_budget_s: seconds a model may take for one vote.
    """

    def __init__(
        self,
        histories: Sequence[History],
        *,
        model: CulpritModel | None = None,
        service_repos: Mapping[str, Sequence[str]] | None = None,
        gaps: Sequence[str] = (),
        model_budget_s: float = _MODEL_S,
    ) -> None:
        self._histories = {history.name: history for history in histories}
        self._model, self._service_repos, self._gaps = model, dict(service_repos or {}), tuple(gaps)
        self._model_budget_s = model_budget_s
        self._lexicon = Lexicon()

    @property
    def repos(self) -> tuple[str, ...]:
        """The names of its repositories."""
        return tuple(self._histories)

    @property
    def release(self) -> str:
        """What ranks: "features-1", or "features-1+<model>"."""
        return f"{scorer.RELEASE}+{self._model.name}" if self._model else scorer.RELEASE

    def refresh(self, progress: Progress | None = None) -> tuple[str, ...]:
        """Index what is new in every repository.

        Args:
            progress: told as commits are read.

        Returns:
            What failed, in words; those repositories stay as last indexed.
        """
        gaps = []
        for name, history in self._histories.items():
            label = f"reading commits of {name}"
            try:
                history.refresh(partial(progress, label) if progress else None)
            except RepositoryError as error:
                gaps.append(str(error))
        return tuple(gaps)

    def rank(
        self,
        incident: Incident,
        *,
        window_days: float = 14.0,
        window_commits: int | None = None,
        events: Sequence[ChangeEvent] = (),
        candidates: Collection[str] | None = None,
        repos: Collection[str] | None = None,
        limit: int = EXPLAINED,
    ) -> Ranking:
        """The candidates, best first. Repositories never indexed before are indexed first; call `refresh` for new commits.

        Args:
            window_days: commits of so many days before the incident are candidates.
            window_commits: instead, the last so many commits before it.
            events: deploys, flags and settings switched; those at or after the incident are not looked at.
            candidates: instead, these commits, by id or prefix. One committed at the incident or later is left out.
            repos: only these of its repositories.
            limit: how many are returned; all are considered.

        Raises:
            RepositoryError: no repository could be read.
        """
        started = time.monotonic()
        moment = incident.created_at
        start = moment - timedelta(days=window_days)
        readable, gaps = self._readable(repos)
        gaps += [gap for history in readable for gap in history.gaps]
        if candidates is None:
            commits = self._window(readable, moment, start, window_commits)
            gaps += _stale(readable, moment, start) if window_commits is None else []
        else:
            commits, lost = self._given(readable, moment, candidates)
            gaps += lost
        if commits and (window_commits is not None or candidates is not None):
            start = commits[-1].committed_at
        culprits, confidence, problems = self._culprits(incident, commits, readable, events, limit)
        return Ranking(
            culprits=culprits,
            confidence=confidence,
            considered=len(commits),
            repos=tuple(history.name for history in readable),
            window_from=min(start, moment),
            window_to=moment,
            gaps=(*self._gaps, *gaps, *problems),
            release=self.release,
            seconds=round(time.monotonic() - started, 3),
        )

    def _readable(self, repos: Collection[str] | None) -> tuple[list[History], list[str]]:
        """The repositories to read, indexed at least once, and what is wrong with the others.

        Raises:
            RepositoryError: none can be read.
        """
        readable: list[History] = []
        refused: list[RepositoryError] = []
        for name, history in self._histories.items():
            if repos is not None and name not in repos:
                continue
            try:
                if not history.indexed:
                    history.refresh()
                readable.append(history)
            except RepositoryError as error:
                refused.append(error)
        if refused and not readable:
            raise refused[0]
        return readable, [str(error) for error in refused]

    def _window(
        self, histories: Sequence[History], moment: datetime, start: datetime, count: int | None
    ) -> list[Commit]:
        """The pool newest first: since `start`, or the last `count`. A commit in two repositories is one candidate."""
        pool: dict[str, Commit] = {}
        for history in histories:
            commits = (
                history.commits_between(start, moment) if count is None else history.last_commits_before(moment, count)
            )
            for commit in commits:
                pool.setdefault(commit.sha, commit)
        return _newest_first(pool.values())[:count]

    def _given(
        self, histories: Sequence[History], moment: datetime, candidates: Collection[str]
    ) -> tuple[list[Commit], list[str]]:
        """The candidates that were given, newest first, and how many could not be found, in words."""
        asked = {sha.strip().lower() for sha in candidates}
        found = _find(histories, asked, moment)
        lost = len(asked - found.keys())
        gaps = [f"{lost} of {len(asked)} given candidates are in no repository, or later than the incident"]
        return _newest_first({commit.sha: commit for commit in found.values()}.values()), gaps if lost else []

    def _culprits(
        self,
        incident: Incident,
        commits: list[Commit],
        histories: Sequence[History],
        events: Sequence[ChangeEvent],
        limit: int,
    ) -> tuple[tuple[Culprit, ...], Confidence, list[str]]:
        if not commits:
            return (), Confidence.INCONCLUSIVE, []
        question = self._question(incident, histories, events)
        table, gaps = self.measured(question, commits)
        found = scorer.scores(table, scorer.weights())
        found, votes, problems = self._voted(incident, commits, found)
        chances = scorer.chances(found)
        order = sorted(range(len(commits)), key=lambda index: -found[index])
        reasons = _reasons(table, order[:EXPLAINED], incident.created_at, votes, self._model)
        culprits = tuple(
            Culprit(commit=commits[i], score=found[i], confidence=chances[i], reasons=reasons.get(i, ()))
            for i in order[:limit]
        )
        return culprits, scorer.decide(table, order[0], chances[order[0]]), [*gaps, *problems]

    def _question(self, incident: Incident, histories: Sequence[History], events: Sequence[ChangeEvent]) -> Question:
        moment, service = incident.created_at, incident.service
        named = [event.sha for event in events if event.kind == "deploy" and event.sha]
        return Question(
            title=incident.title,
            description=incident.text[len(incident.title) :].lstrip("\n"),
            moment=moment,
            events=tuple(events),
            heads=_find(histories, named, moment),
            service=map_service(service, histories, self._service_repos, moment) if service else None,
        )

    def measured(self, question: Question, commits: Sequence[Commit]) -> tuple[Table, list[str]]:
        """The features of candidates, and what could not be read, in words.

        Args:
            commits: newest first, of its repositories.
        """
        measurer = Measurer(question, commits, self._lexicon)
        first = scorer.scores(measurer.first_pass(), scorer.weights())
        best = sorted(range(len(commits)), key=lambda index: -first[index])[:READ]
        gaps = measurer.second_pass(self._histories, sorted(best), stop_after_s=_DIFF_S)
        return measurer.table, gaps

    def _voted(
        self, incident: Incident, commits: list[Commit], found: list[float]
    ) -> tuple[list[float], dict[int, float], list[str]]:
        """Scores after the model's vote on the best candidates; without a model, or if it fails, as they were."""
        if self._model is None or len(commits) < 2:
            return found, {}, []
        voters = sorted(range(len(commits)), key=lambda index: -found[index])[:ELECTION_SIZE]
        try:
            described = [describe(commits[index]) for index in voters]
            votes = self._model.vote(incident.text, described, budget_s=self._model_budget_s)
        except ModelUnavailable as error:
            return found, {}, [f"ranked by features alone: {error}"]
        return scorer.with_votes(found, voters, votes), dict(zip(voters, votes, strict=True)), []


def _stale(histories: Sequence[History], moment: datetime, start: datetime) -> list[str]:
    """Repositories without any commit in the window: a quiet team, or a copy that nobody fetched; the reader knows which."""
    found = []
    for history in histories:
        last = history.last_commits_before(moment, 1)
        if not last:
            found.append(f"repository '{history.name}' has no commit before the incident")
        elif last[0].committed_at < start:
            days = (moment - last[0].committed_at).days
            found.append(
                f"repository '{history.name}': its newest commit is {days} days older than the incident. If the copy is stale, run `git fetch` in it"
            )
    return found


def _newest_first(commits: Iterable[Commit]) -> list[Commit]:
    return sorted(commits, key=lambda commit: (-commit.committed_at.timestamp(), commit.sha))


def _find(histories: Sequence[History], shas: Iterable[str], moment: datetime) -> dict[str, Commit]:
    """Commits by id or prefix: from the indexes first, and what is in none of them from git."""
    wanted = set(shas)
    found: dict[str, Commit] = {}
    for history in histories:
        found = {**history.find(wanted, moment), **found}
    for history in histories:
        missing = wanted - found.keys()
        if missing:
            found |= history.find_elsewhere(missing, moment)
    return found


def describe(commit: Commit) -> str:
    """A candidate as a model reads it: where, what, which files, and the start of its message."""
    files = ", ".join(change.path for change in commit.files[:6])
    more = f" and {len(commit.files) - 6} more" if len(commit.files) > 6 else ""
    return " | ".join(
        part for part in (f"{commit.repo} {commit.short}", commit.subject, files + more, commit.body[:300]) if part
    )


def _reasons(
    table: Table, indexes: Sequence[int], moment: datetime, votes: Mapping[int, float], model: CulpritModel | None
) -> dict[int, tuple[Reason, ...]]:
    means = {feature: sum(column) / len(column) for feature, column in table.columns.items()}
    found = {index: explain(table, index, scorer.weights(), means, moment) for index in indexes}
    mean = sum(votes.values()) / len(votes) if votes else 0.0
    for index, vote in votes.items():
        worth = round(scorer.MODEL_WEIGHT * (vote - mean), 3)
        if model and worth > 0 and index in found:
            reason = Reason(feature="model", text=f"the model {model.name} votes for it", weight=worth)
            found[index] = tuple(sorted((reason, *found[index]), key=lambda item: -item.weight))
    return found
