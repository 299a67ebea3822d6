"""Ranks the commits that may have caused an incident.

Does: pool the candidates of several repositories, measure them as of the incident's time, score, let a model vote when
there is one, and say how sure it is. A repository or a model that fails is a gap in the answer.
Does not: fetch, write, or read anything committed at the incident's time or later; keep results.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict, Unpack

from core.errors import ModelUnavailable, RepositoryError
from core.garbage import collected_later
from core.model import Commit, Confidence, Culprit, Incident, Ranking, Reason
from ranking import scorer
from ranking.cause import Change
from ranking.events import ChangeEvent
from ranking.features import Measurer, Question, Table, is_page
from ranking.history import History
from ranking.lexicon import Lexicon
from ranking.llama import CulpritModel
from ranking.meaning import Readers
from ranking.reasons import explain
from ranking.scorer import Weighing, read_weighing
from ranking.services import MapCache
from ranking.surroundings import Surroundings, look_around
from ranking.votes import VOTED, vote

#: Candidates whose diffs are read. On the development cases the culprit is among them 97 times in 100.
READ = 200
#: Candidates whose meaning the first reader compares with the incident's, of those whose diffs were read. Each reader after it
#: compares half as many, the best by then: twice as many of either are no better on real cases and on pages (learning/LOG.md).
COMPARED = 24
#: Candidates of a page of which is asked whether their change would explain it, the best by then. Sixteen are no better and cost a
#: tenth of a second more (learning/LOG.md).
EXPLAINING = 10
#: Commits a reader reads ahead: about what two weeks bring to a team's repositories.
WARMED = 500
#: Candidates that are given reasons: more than any card shows.
EXPLAINED = 20
_DIFF_S, _MODEL_S = 3.0, 8.0
#: Seconds for changed lines when nobody waits for them.
_AHEAD_S = 60.0

#: Told (what is being done, how much is done, how much there is or None).
Progress = Callable[[str, int, int | None], None]


class Scope(TypedDict, total=False):
    """Which commits are candidates, and what else is known; all of it may be left out."""

    #: Commits made or merged in so many days before the incident are candidates; 14 by default.
    window_days: float
    #: Instead, the last so many commits before it.
    window_commits: int | None
    #: Deploys, flags and settings switched; those at or after the incident are not looked at.
    events: Sequence[ChangeEvent]
    #: Instead of a window, these commits, by id or prefix. One committed at the incident or later is left out.
    candidates: Collection[str] | None
    #: Only these of the ranker's repositories.
    repos: Collection[str] | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One incident's candidates, measured but not yet ranked."""

    incident: Incident
    #: Newest first.
    commits: tuple[Commit, ...]
    table: Table
    start: datetime
    repos: tuple[str, ...]
    gaps: tuple[str, ...]
    #: See `ranking.features.is_page`.
    page: bool = True


class Ranker:
    """Ranks candidates of all its repositories as one pool.

    Args:
        histories: the repositories.
        readers: who read what candidates and incidents mean; without any, their words alone count.
        model: votes on the first `VOTED` when given.
        weighing: what each feature counts; what ships with Rundown by default.
        service_repos: service name to names of its repositories: a hint that counts, not a fence.
        gaps: repositories that could not be opened, in words; told in every ranking.
        model_budget_s: seconds a model may take for all its votes on one incident.
        explaining: how many candidates of a page are read beside it.
    """

    def __init__(
        self,
        histories: Sequence[History],
        *,
        readers: Readers | None = None,
        model: CulpritModel | None = None,
        weighing: Weighing | None = None,
        service_repos: Mapping[str, Sequence[str]] | None = None,
        gaps: Sequence[str] = (),
        model_budget_s: float = _MODEL_S,
        explaining: int = EXPLAINING,
    ) -> None:
        self._histories = {history.name: history for history in histories}
        self._readers, self._model = readers or Readers(), model
        self._weighing = weighing or read_weighing()
        self._service_repos, self._gaps = dict(service_repos or {}), tuple(gaps)
        self._model_budget_s, self._explaining = model_budget_s, explaining
        self._lexicon = Lexicon()
        self._unreadable: set[tuple[str, str]] = set()
        self._maps = MapCache()

    @property
    def repos(self) -> tuple[str, ...]:
        """The names of its repositories."""
        return tuple(self._histories)

    @property
    def release(self) -> str:
        """What ranks: the weights, the readers, the large Llama, those there are, with "+" between."""
        parts = (self._weighing.release, *self._readers.names, self._model and self._model.name)
        return "+".join(part for part in parts if part)

    @property
    def weighing(self) -> Weighing:
        """What each feature counts."""
        return self._weighing

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

    def warm(self, moment: datetime, count: int = WARMED) -> None:
        """Load the readers and let them read the newest commits before a moment, so that no incident waits for it.

        Raises:
            ModelUnavailable: a reader's weights cannot be used; incidents are ranked without it.
        """
        if self._readers.meaning:
            newest = self._newest(moment, count)
            for reader in self._readers.meaning.values():
                reader.closeness("", newest)
        if self._readers.cause:
            self._readers.cause.odds("", [Change(subject="", path="")])

    def read_ahead(self, moment: datetime, count: int = WARMED, *, stop_after_s: float = _AHEAD_S) -> None:
        """Read the changed lines of the newest commits before a moment, so that no incident waits for git.

        What cannot be read is told by the incident that misses it, and not tried again here. One thread at a time.

        Args:
            stop_after_s: seconds for all repositories together; what is left is read the next time.
        """
        end, newest = time.monotonic() + stop_after_s, self._newest(moment, count)
        self._unreadable &= {(commit.repo, commit.sha) for commit in newest}
        for name, history in self._histories.items():
            ours = [c for c in newest if c.repo == name and (name, c.sha) not in self._unreadable]
            found, _ = self._lexicon.lines(history, ours, stop_after_s=end - time.monotonic())
            if time.monotonic() >= end:
                break
            self._unreadable |= {(name, commit.sha) for commit in ours if commit.sha not in found}

    def _newest(self, moment: datetime, count: int) -> list[Commit]:
        """The newest commits of all repositories before a moment."""
        return self._last(tuple(self._histories.values()), moment, count)

    def rank(self, incident: Incident, *, limit: int = EXPLAINED, **scope: Unpack[Scope]) -> Ranking:
        """The candidates, best first. Repositories never indexed before are indexed first; call `refresh` for new commits.

        Args:
            limit: how many are returned; all are considered.
            scope: see `Scope`.

        Raises:
            RepositoryError: no repository could be read.
        """
        started = time.monotonic()
        survey = self.survey(incident, **scope)
        culprits, confidence, problems = self._culprits(survey, limit)
        return Ranking(
            culprits=culprits,
            confidence=confidence,
            considered=len(survey.commits),
            repos=survey.repos,
            window_from=min(survey.start, incident.created_at),
            window_to=incident.created_at,
            gaps=(*self._gaps, *survey.gaps, *problems),
            release=self.release,
            seconds=round(time.monotonic() - started, 3),
            elsewhere=survey.page and survey.table.elsewhere,
        )

    def survey(self, incident: Incident, **scope: Unpack[Scope]) -> Survey:
        """The candidates and their features: what `rank` weighs, and what training learns from.

        Args:
            scope: see `Scope`.

        Raises:
            RepositoryError: no repository could be read.
        """
        readable, gaps = self._readable(scope.get("repos"))
        return self._surveyed(incident, readable, gaps, scope)

    @collected_later()
    def _surveyed(self, incident: Incident, readable: Sequence[History], gaps: list[str], scope: Scope) -> Survey:
        """The same, of repositories that are indexed."""
        moment = incident.created_at
        start = moment - timedelta(days=scope.get("window_days", 14.0))
        window_commits, candidates = scope.get("window_commits"), scope.get("candidates")
        gaps += [gap for history in readable for gap in history.gaps]
        if candidates is None:
            if window_commits is None:
                commits = self._since(readable, start, moment)
                gaps += _stale(readable, moment, start)
            else:
                commits = self._last(readable, moment, window_commits)
        else:
            commits, lost = self._given(readable, moment, candidates)
            gaps += lost
        if commits and (window_commits is not None or candidates is not None):
            start = commits[-1].committed_at
        events = scope.get("events", ())
        page = is_page(window_commits, incident.service, events)
        around = look_around(
            incident,
            readable,
            events,
            start=start,
            find=_find,
            service_repos=self._service_repos,
            cache=self._maps,
        )
        if candidates is None:  # the code behind a flag, or a tree that was applied, may be older than the window
            older = (*(commit for commit, _ in around.flagged.values()), *around.deploys.applied.values())
            commits = _newest_first({commit.sha: commit for commit in (*commits, *older)}.values())
        table, problems = self._measured(self._question(incident, around, page=page), commits)
        return Survey(
            incident=incident,
            commits=tuple(commits),
            table=table,
            start=start,
            repos=tuple(history.name for history in readable),
            gaps=(*gaps, *around.gaps, *problems),
            page=page,
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

    @staticmethod
    def _since(histories: Sequence[History], start: datetime, moment: datetime) -> list[Commit]:
        """What may have broken something since `start`, newest first. A commit in two repositories is one candidate."""
        pool: dict[str, Commit] = {}
        for history in histories:
            for commit in history.suspects_between(start, moment):
                pool.setdefault(commit.sha, commit)
        return _newest_first(pool.values())

    @staticmethod
    def _last(histories: Sequence[History], moment: datetime, count: int) -> list[Commit]:
        """The last `count` of all repositories, newest first. A commit in two of them is one candidate."""
        times = {history.name: history.last_times_before(moment, count) for history in histories}
        all_times = {sha: at for found in times.values() for sha, at in found.items()}
        newest = frozenset(sorted(all_times, key=lambda sha: (-all_times[sha], sha))[:count])
        pool: dict[str, Commit] = {}
        for history in histories:
            for commit in history.find(newest & times[history.name].keys(), moment).values():
                pool.setdefault(commit.sha, commit)
        return _newest_first(pool.values())

    def _given(
        self, histories: Sequence[History], moment: datetime, candidates: Collection[str]
    ) -> tuple[list[Commit], list[str]]:
        """The candidates that were given, newest first, and how many could not be found, in words."""
        asked = {sha.strip().lower() for sha in candidates}
        found = _find(histories, asked, moment)
        lost = len(asked - found.keys())
        gaps = [f"{lost} of {len(asked)} given candidates are in no repository, or later than the incident"]
        return _newest_first({commit.sha: commit for commit in found.values()}.values()), gaps if lost else []

    def _culprits(self, survey: Survey, limit: int) -> tuple[tuple[Culprit, ...], Confidence, list[str]]:
        commits, table = survey.commits, survey.table
        if not commits:
            return (), Confidence.INCONCLUSIVE, []
        weights = self._weighing.of(table.columns)
        by_features = scorer.scores(table, weights)
        found, votes, problems = self._voted(survey, by_features)
        # Whoever asks about a project's last so many commits knows that one of them did it; a page knows nothing.
        doubt = scorer.doubted(table, by_features, self._weighing.all_doubt) if survey.page else 0.0
        chances = scorer.confidences(table, found, self._weighing, doubt)
        order = sorted(range(len(commits)), key=lambda index: -found[index])
        reasons = self._reasons(survey, weights, order[:EXPLAINED], votes)
        culprits = tuple(
            Culprit(commit=commits[i], score=found[i], confidence=chances[i], reasons=reasons.get(i, ()))
            for i in order[:limit]
        )
        return culprits, scorer.decide(table, order[0], chances[order[0]], doubt), problems

    @staticmethod
    def _question(incident: Incident, around: Surroundings, *, page: bool) -> Question:
        return Question(
            title=incident.title,
            description=incident.text[len(incident.title) :].lstrip("\n"),
            moment=incident.created_at,
            around=around,
            page=page,
            paged=incident.paged,
        )

    def _measured(self, question: Question, commits: Sequence[Commit]) -> tuple[Table, list[str]]:
        """The features of candidates, and what could not be read, in words."""
        measurer = Measurer(question, commits, self._lexicon)
        if not commits:
            return measurer.table, []
        best = self._best(measurer.first_pass(self._histories), READ)
        gaps = measurer.second_pass(self._histories, sorted(best), stop_after_s=_DIFF_S)
        for place, (feature, reader) in enumerate(self._readers.meaning.items()):
            try:
                measurer.third_pass(feature, reader, self._best(measurer.table, COMPARED >> place))
            except ModelUnavailable as error:
                gaps.append(f"ranked without {reader.name}: {error}")
        cause = self._readers.cause
        if cause and measurer.table.columns["paged"][0]:
            try:
                measurer.fourth_pass(cause, self._best(measurer.table, self._explaining))
            except ModelUnavailable as error:
                gaps.append(f"ranked without {cause.name}: {error}")
        return measurer.table, gaps

    def _best(self, table: Table, count: int) -> list[int]:
        found = scorer.scores(table, self._weighing.of(table.columns))
        return sorted(range(len(found)), key=lambda index: -found[index])[:count]

    def _voted(self, survey: Survey, found: list[float]) -> tuple[list[float], dict[int, float], list[str]]:
        """Scores after the model's vote on the best candidates; without a model, or if it fails, as they were."""
        if self._model is None or len(survey.commits) < 2:
            return found, {}, []
        order = sorted(range(len(found)), key=lambda index: -found[index])
        try:
            best_first = [survey.commits[index] for index in order[:VOTED]]
            votes = vote(self._model, survey.incident, best_first, budget_s=self._model_budget_s)
        except ModelUnavailable as error:
            return found, {}, [f"ranked by features alone: {error}"]
        voters = order[: len(votes)]
        changed = scorer.with_votes(found, voters, votes, self._weighing.model_weight)
        return changed, dict(zip(voters, votes, strict=True)), []

    def _reasons(
        self, survey: Survey, weights: Mapping[str, float], indexes: Sequence[int], votes: Mapping[int, float]
    ) -> dict[int, tuple[Reason, ...]]:
        table = survey.table
        means = {feature: sum(column) / len(column) for feature, column in table.columns.items()}
        if len(survey.commits) == 1:
            # Beside itself it has nothing. It is told beside a commit that has nothing, and is as old.
            means = {feature: min(0.0, mean) for feature, mean in means.items()}
        moment = survey.incident.created_at
        found = {index: explain(table, index, weights, means, moment) for index in indexes}
        mean = sum(votes.values()) / len(votes) if votes else 0.0
        for index, share in votes.items():
            worth = round(self._weighing.model_weight * (share - mean), 3)
            if self._model and worth > 0 and index in found:
                reason = Reason(feature="model", text=f"the model {self._model.name} votes for it", weight=worth)
                found[index] = tuple(sorted((reason, *found[index]), key=lambda item: -item.weight))
        return found


def _stale(histories: Sequence[History], moment: datetime, start: datetime) -> list[str]:
    """Repositories without any commit in the window: a quiet team, or a copy that nobody fetched; the reader knows which."""
    found = []
    for history in histories:
        last = history.last_commits_before(moment, 1)
        if not last:
            found.append(f"repository '{history.name}' has no commit before the incident")
        elif last[0].landed_at < start:
            days = (moment - last[0].landed_at).days
            found.append(
                f"repository '{history.name}': its newest commit is {days} days older than the incident. If the copy is stale, run `git pull` in it, in a mirror `git fetch`"
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
        # A repository that cannot be read is told of where its changed lines are: the others may still have it.
        with contextlib.suppress(RepositoryError):
            found |= history.find_elsewhere(missing, moment) if missing else {}
    return found
