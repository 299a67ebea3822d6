"""What the ranker would have said of a team's own past incidents.

Does: mine labelled cases from each repository, rank every one as of its time beside plain methods, and probe the texts for
leaks: what a plain word search finds in the raw message against the scrubbed one.
Does not: print, draw, train, or rank with anything later than the case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from core.model import Ranking, from_unix
from ranking.baselines import Pool, newest_first
from ranking.bulk import rank_case
from ranking.evaluation import Evaluation, Outcome, judge
from ranking.history import History
from ranking.labels.cases import Labelled
from ranking.labels.mine import mine
from ranking.ranker import Progress, Ranker

OURS = "Rundown"
#: With fewer labels the intervals are too wide to tell anything apart.
FEW = 20
#: Scrubbed texts give their culprits away if a plain word search finds more than this, or more than half and nearly as much as
#: in the raw ones. In hand-checked production cases it finds .32, in one repository of verbose messages .61 (learning/LOG.md).
_LEAKY, _HALF, _NEARLY = 0.65, 0.5, 0.9


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The cases of all repositories, oldest first, and what was not taken."""

    cases: tuple[Labelled, ...]
    left_out: Counter[str]
    #: Good labels whose culprit is older than the window.
    too_old: int
    #: How many there were before the limit.
    found: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Top-1 of a plain word search (BM25) given the raw messages, and given the scrubbed ones."""

    raw: float
    scrubbed: float

    @property
    def leaky(self) -> bool:
        """Whether the scrubbed texts seem to name their culprits still."""
        return self.scrubbed > _LEAKY or (self.scrubbed > _HALF and self.scrubbed > _NEARLY * self.raw)


@dataclass(frozen=True, kw_only=True)
class Miss:
    """An incident whose culprit was not first."""

    id: str
    title: str
    at: datetime
    #: What stood first, as "repo id subject", how sure the ranking was of it, and whether it was named at all.
    first: str
    confidence: float
    abstained: bool
    culprit: str
    #: Where the culprit stood, None when it was not among the candidates.
    place: int | None
    considered: int


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """The figures of a backtest."""

    labels: Labels
    #: Method -> its figures; ours last.
    methods: dict[str, Evaluation]
    probe: Probe
    misses: tuple[Miss, ...]
    gaps: tuple[str, ...]

    @property
    def ours(self) -> Evaluation:
        """The figures of the ranker."""
        return self.methods[OURS]


def find_labels(
    histories: Sequence[History],
    *,
    since: datetime,
    before: datetime,
    window_days: float,
    window_commits: int | None = None,
    pooled: bool = True,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Labels:
    """The labelled cases of several repositories.

    Args:
        histories: refreshed.
        since, before: only later commits committed in between are read for blame.
        window_days, window_commits: as in `mine`.
        pooled: each case is to be ranked among the commits of all repositories, as a page would be. A window of commits is always
            one repository's: in a pool, a busy one's would push a quiet one's culprit out.
        limit: only so many, the newest.

    Raises:
        RepositoryError: an index cannot be read.
    """
    cases: list[Labelled] = []
    left_out: Counter[str] = Counter()
    too_old = 0
    for history in histories:
        mined = mine(
            history,
            since=since,
            before=before,
            window_commits=window_commits,
            window_days=None if window_commits else window_days,
            progress=partial(progress, f"looking for labels in {history.name}") if progress else None,
        )
        cases += mined.cases
        left_out += mined.left_out
        too_old += mined.too_old
    cases.sort(key=lambda case: case.created_at)
    if pooled and not window_commits:
        names = tuple(history.name for history in histories)
        cases = [case.model_copy(update={"repos": names}) for case in cases]
    kept = cases[-limit:] if limit else cases
    return Labels(cases=tuple(kept), left_out=left_out, too_old=too_old, found=len(cases))


def run_backtest(ranker: Ranker, labels: Labels, *, progress: Progress | None = None) -> Backtest:
    """Rank every case as of its time.

    Args:
        ranker: over the repositories the labels are of.
        labels: at least one case.

    Raises:
        RepositoryError: no repository can be read.
    """
    methods: dict[str, list[Outcome]] = {}
    raw: list[Outcome] = []
    misses: list[Miss] = []
    gaps: dict[str, str] = {}
    for count, case in enumerate(labels.cases, 1):
        ranking = rank_case(ranker, case)
        pool = Pool(newest_first(ranking))
        outcome = judge(case.culprits, ranking)
        for name, found in (pool.judge_all(case.title, case.description, case.culprits) | {OURS: outcome}).items():
            methods.setdefault(name, []).append(found)
        subject, _, body = case.raw.partition("\n")
        raw.append(pool.judge_words(subject, body, case.culprits))
        if outcome.place != 1:
            misses.append(_miss(case, ranking, outcome))
        # The same gap with other figures is told once.
        gaps = {re.sub(r"\d+", "", gap): gap for gap in ranking.gaps} | gaps
        if progress:
            progress("ranking", count, len(labels.cases))
    figures = {name: Evaluation(tuple(found)) for name, found in methods.items()}
    probe = Probe(raw=Evaluation(tuple(raw)).value("top1"), scrubbed=figures["BM25"].value("top1"))
    return Backtest(labels=labels, methods=figures, probe=probe, misses=tuple(misses), gaps=tuple(gaps.values()))


def _miss(case: Labelled, ranking: Ranking, outcome: Outcome) -> Miss:
    spelled = {c.commit.sha: f"{c.commit.repo} {c.commit.short} {c.commit.subject}" for c in ranking.culprits}
    first = ranking.culprits[0] if ranking.culprits else None
    return Miss(
        id=case.id,
        title=case.title,
        at=from_unix(case.created_at),
        first=spelled[first.commit.sha] if first else "",
        confidence=first.confidence if first else 0.0,
        abstained=ranking.abstained,
        culprit=next((spelled[sha] for sha in case.culprits if sha in spelled), case.culprits[0][:10]),
        place=int(outcome.place) if outcome.place < float("inf") else None,
        considered=ranking.considered,
    )
