"""Fits the ranker's weights to a team's own incidents, and tells on later ones whether that helped.

Does: measure labelled incidents as `Ranker.survey` sees them, fit to the older ones staying near the weights that ship,
compare both on the newest, which were not fitted to; then fit to all, calibrate, and write weights to a file.
Does not: find labels, print, decide which weights rank (`bot.app`), or train a Llama; it ranks lists for one.

The features of an incident are measured once, by the weights the ranker was given: they choose whose diffs are read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RundownError, UsageError
from core.model import Confidence, from_unix
from ranking import scorer
from ranking.backtest import FEW
from ranking.bulk import incident_of, survey_case
from ranking.evaluation import Difference, Evaluation, Outcome, paired_difference, place_of
from ranking.features import Table
from ranking.fit import Lesson, fit_temperature, fit_weights
from ranking.history import History
from ranking.labels.cases import Labelled
from ranking.labels.feedback import origin_of
from ranking.llama.examples import RankedCase
from ranking.outside import told_outside
from ranking.ranker import Progress, Ranker
from ranking.scorer import Weighing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The newest share of the incidents, kept aside to compare on.
HELD_OUT = 0.3
#: How firmly the weights that ship may be held: their own incidents choose among these and infinity, which leaves them as
#: they are. And how much a rare feature counts as varying (`fit_weights`).
RIDGES, LEAST_SCALE = (10.0, 30.0, 100.0, 300.0), 0.25
#: With fewer incidents such a choice, and a temperature, would be noise: they are held so firmly, as sure as shipped.
CHOSEN_FROM, _FIRM, _FOLDS = 60, 100.0, 5
#: Candidates of one incident that a Llama's lists are drawn from.
_LISTED = 100
_FIGURES = ("top1", "top5", "mrr", "miss")
#: What is told of the new weights beside the old ones.
_CHANGES = {"mrr_gain": "mrr", "miss_change": "miss"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One labelled incident and the features of its candidates."""

    case: Labelled
    #: The candidates, newest first.
    shas: tuple[str, ...]
    #: Feature -> a number for each candidate.
    columns: dict[str, NDArray[np.float64]]
    #: Where the culprits stand among them; empty when none is there, or no commit did it.
    rows: tuple[int, ...]
    #: The culprit's repository.
    repo: str | None
    #: What could not be read, in words.
    gaps: tuple[str, ...]
    #: See `ranking.features.is_page`.
    page: bool = True

    @property
    def lost(self) -> bool:
        """Whether a commit did it that is not among the candidates."""
        return bool(self.case.culprits) and not self.rows

    def matrix(self, features: Sequence[str]) -> NDArray[np.float64]:
        """Candidates x features; what was not measured is zero."""
        import numpy as np

        found = np.zeros((len(self.shas), len(features)))
        for place, feature in enumerate(features):
            found[:, place] = self.columns.get(feature, 0.0)
        return found

    @property
    def table(self) -> Table:
        """The features as the ranker has them, without the commits."""
        text, columns = incident_of(self.case).text, {name: column.tolist() for name, column in self.columns.items()}
        return Table(commits=(), columns=columns, outside=told_outside(text))

    def scored(self, weighing: Weighing) -> NDArray[np.float64]:
        """Each candidate's score, as `Ranker.rank` would have it."""
        weights = weighing.of(self.columns)
        found: NDArray[np.float64] = self.matrix(list(weights)) @ list(weights.values())
        return found

    def order(self, weighing: Weighing) -> list[int]:
        """The candidates' indexes, best first."""
        import numpy as np

        found: list[int] = np.argsort(-self.scored(weighing), kind="stable").tolist()
        return found


@dataclass(frozen=True, kw_only=True)
class Move:
    """How far one feature's weight went."""

    feature: str
    before: float
    after: float
    #: By how much that changes the score of a candidate one standard deviation above the others.
    worth: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """New weights beside those that ship, on the same unseen incidents."""

    #: The change in MRR: more is better.
    ranking: Difference
    #: The change in the confidence's squared miss: less is better.
    miss: Difference

    @property
    def better(self) -> bool:
        """What is certain decides, the order before the confidence; where neither is, an order that is no worse.

        So weights that put the culprits no differently, beyond chance, and know better when they are right, are kept.
        """
        if self.ranking.certain:
            return self.ranking.mean > 0
        if self.miss.certain:
            return self.miss.mean < 0
        return self.ranking.mean >= 0


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a team's incidents taught."""

    #: Those it started from.
    shipped: Weighing
    #: Fitted to all of them: the weights to rank with.
    weighing: Weighing
    #: Fitted to the older ones alone: those that were compared.
    trial: Weighing
    #: All of them, oldest first.
    measured: tuple[Measured, ...]
    #: The older ones, without those whose culprit a newer one has too; and the newest.
    fitted: tuple[Measured, ...]
    held_out: tuple[Measured, ...]
    #: On the newest: the weights that ship, and `trial`.
    before: Evaluation
    after: Evaluation
    #: The largest first.
    moves: tuple[Move, ...]

    @property
    def lost(self) -> int:
        """Of how many incidents the culprit was not among the candidates."""
        return sum(one.lost for one in self.measured)

    @property
    def compared(self) -> Weighing:
        """The better of the two that saw no held-out incident: whatever is measured on these starts from it."""
        return self.trial if self.better else self.shipped

    @cached_property
    def verdict(self) -> Verdict:
        """How the new weights did on the newest incidents beside those that ship."""
        return Verdict(
            ranking=paired_difference(self.after, self.before, "mrr"),
            miss=paired_difference(self.after, self.before, "miss"),
        )

    @property
    def better(self) -> bool:
        """Whether the new weights are worth having."""
        return bool(self.after.n) and self.verdict.better


def measure(
    ranker: Ranker, cases: Sequence[Labelled], *, window_days: float = 14.0, progress: Progress | None = None
) -> list[Measured]:
    """The features of each incident's candidates as of its time, in the order of the cases.

    Args:
        ranker: refreshed.
        window_days: for cases that name no window.
        progress: told (what, incidents measured, all).

    Raises:
        RepositoryError: no repository can be read.
    """
    found = []
    for count, case in enumerate(cases, 1):
        found.append(_measured(ranker, case, window_days))
        if progress:
            progress("measuring past incidents", count, len(cases))
    return found


def _measured(ranker: Ranker, case: Labelled, window_days: float) -> Measured:
    import numpy as np

    survey = survey_case(ranker, case, window_days)
    places = {commit.sha: row for row, commit in enumerate(survey.commits)}
    rows = tuple(places[sha] for sha in case.culprits if sha in places)
    return Measured(
        case=case,
        shas=tuple(places),
        # As arrays, and without the commits: a thousand incidents' would fill the memory.
        columns={feature: np.array(column) for feature, column in survey.table.columns.items()},
        rows=rows,
        repo=survey.commits[rows[0]].repo if rows else None,
        gaps=survey.gaps,
        page=survey.page,
    )


def learn(
    ranker: Ranker, cases: Sequence[Labelled], *, window_days: float = 14.0, progress: Progress | None = None
) -> Learned:
    """Fit a team's weights, starting from those of the ranker.

    Args:
        ranker: refreshed, with the weights that ship.
        cases: at least `FEW` whose culprit is among the candidates.
        window_days: for cases that name no window.
        progress: as in `measure`.

    Raises:
        RundownError: there are too few to learn from.
        RepositoryError: no repository can be read.
    """
    ordered = sorted(cases, key=lambda case: (case.created_at, case.id))
    _refuse_few(ordered, sum(bool(case.culprits) for case in ordered))
    measured = measure(ranker, ordered, window_days=window_days, progress=progress)
    _refuse_few(ordered, sum(bool(one.rows) for one in measured))
    older, newest = split_by_time(measured)
    shipped, digest = ranker.weighing, _digest(ordered)
    release = f"{shipped.release}+team-{digest[:8]}"
    trial = fit(older, shipped, release=release)
    before, after = evaluate(newest, shipped), evaluate(newest, trial)
    notes: dict[str, Any] = {
        "started_from": shipped.release,
        "data": _data(measured, digest),
        "recipe": _recipe(),
        "held_out": _comparison(older, before, after),
    }
    final = fit(measured, shipped, release=release, notes=notes)
    return Learned(
        shipped=shipped,
        weighing=final,
        trial=trial,
        measured=tuple(measured),
        fitted=tuple(older),
        held_out=tuple(newest),
        before=before,
        after=after,
        moves=_moves(measured, shipped, final),
    )


def _refuse_few(cases: Sequence[Labelled], usable: int) -> None:
    if usable >= FEW:
        return
    lost = sum(bool(case.culprits) for case in cases) - usable
    absent = f"; of {lost} more the culprit is not among the candidates" if lost else ""
    raise RundownError(
        "too few past incidents to learn from",
        why=f"{usable} with a known culprit, and it takes {FEW}{absent}",
        way_out=("Widen --window-days. " if lost else "")
        + "Add repositories with --repo, an earlier --since, or labelled incidents with --cases; until then the weights that ship rank",
    )


def split_by_time(measured: Sequence[Measured]) -> tuple[list[Measured], list[Measured]]:
    """The older incidents, to fit to, and the newest `HELD_OUT` of them. One culprit is never on both sides.

    Args:
        measured: oldest first.
    """
    cut = len(measured) - math.ceil(HELD_OUT * len(measured))
    newest = list(measured[cut:])
    known = {sha for one in newest for sha in one.case.culprits}
    return [one for one in measured[:cut] if not known & set(one.case.culprits)], newest


def fit(
    measured: Sequence[Measured], shipped: Weighing, *, release: str, notes: dict[str, Any] | None = None
) -> Weighing:
    """Weights fitted to incidents, near those that ship; set by hand, doubt and a model's weight stay as they were.

    Args:
        measured: oldest first. Those without a culprit among the candidates teach nothing here.
    """
    usable = [one for one in measured if one.rows]
    ridge, temperature = _FIRM, shipped.temperature
    if len(usable) >= CHOSEN_FROM:
        ridge, temperature = _chosen(usable, shipped)
    held = {"ridge": ridge if math.isfinite(ridge) else "the weights that ship were kept", "temperature": temperature}
    noted = {**notes, "fitted": held} if notes else {}
    weights = _weights(usable, shipped, ridge)
    return shipped.model_copy(
        update={"release": release, "weights": weights, "temperature": temperature, "notes": noted}
    )


def _chosen(usable: Sequence[Measured], shipped: Weighing) -> tuple[float, float]:
    """How firmly to hold the weights that ship, and the temperature that goes with it.

    Each incident is scored by weights that were fitted neither to it nor to its neighbours in time. The choice is the one
    whose gain is surest: mean gain in log-probability over the weights that ship, less its standard error.
    """
    import numpy as np

    rows = [one.rows[0] for one in usable]

    def tried(ridge: float) -> tuple[float, NDArray[np.float64]]:
        scored = []
        for fold in range(_FOLDS):
            start, end = len(usable) * fold // _FOLDS, len(usable) * (fold + 1) // _FOLDS
            weights = _weights((*usable[:start], *usable[end:]), shipped, ridge)
            weighing = shipped.model_copy(update={"weights": weights})
            scored += [one.scored(weighing) for one in usable[start:end]]
        warmth = fit_temperature(scored, rows)
        right = [scorer.chances(found.tolist(), warmth)[row] for found, row in zip(scored, rows, strict=True)]
        return round(warmth, 3), np.log(np.maximum(right, 1e-300))

    best, (temperature, as_shipped) = math.inf, tried(math.inf)
    surest = 0.0
    for ridge in RIDGES:
        warmth, found = tried(ridge)
        gains = found - as_shipped
        sure = float(gains.mean() - gains.std() / math.sqrt(len(gains)))
        if sure > surest:
            best, temperature, surest = ridge, warmth, sure
    return best, temperature


def _weights(measured: Sequence[Measured], shipped: Weighing, ridge: float) -> dict[str, float]:
    """The fitted weights. An incident of several culprits is a lesson for each, and counts once."""
    import numpy as np

    if math.isinf(ridge):
        return dict(shipped.weights)
    features = list(shipped.weights)
    lessons = [
        Lesson(
            features=shipped.share(one.columns) * one.matrix(features),
            culprit=row,
            weight=1 / len(one.rows),
            offset=one.scored(shipped.without_labels),
        )
        for one in measured
        for row in one.rows
    ]
    prior = np.array([shipped.weights[feature] for feature in features])
    found = fit_weights(lessons, ridge=ridge, prior=prior, least_scale=LEAST_SCALE)
    return {feature: round(float(weight), 4) for feature, weight in zip(features, found, strict=True)}


def evaluate(measured: Sequence[Measured], weighing: Weighing) -> Evaluation:
    """What rankings by these weights come to. A culprit that is not among the candidates was not found."""
    return Evaluation(tuple(_outcome(one, weighing) for one in measured))


def _outcome(one: Measured, weighing: Weighing) -> Outcome:
    """As `Ranker.rank` would say it without a model's vote."""
    caused = bool(one.case.culprits)
    if not one.shas:
        return Outcome(place=math.inf, answered=False, abstained=True, caused=caused)
    found, order, table = one.scored(weighing).tolist(), one.order(weighing), one.table
    doubt = scorer.doubted(table, found, weighing.all_doubt) if one.page else 0.0
    chance = scorer.confidences(table, found, weighing, doubt)[order[0]]
    return Outcome(
        place=place_of(one.case.culprits, (one.shas[index] for index in order)),
        confidence=chance,
        abstained=scorer.decide(table, order[0], chance, doubt) is Confidence.INCONCLUSIVE,
        caused=caused,
    )


def ranked_cases(
    measured: Sequence[Measured], weighing: Weighing, histories: Sequence[History]
) -> Iterator[RankedCase]:
    """The incidents as these weights rank them, the best candidates and the culprits: what a Llama learns from.

    Raises:
        RepositoryError: an index cannot be read.
    """
    for one in measured:
        incident, order = incident_of(one.case), one.order(weighing)
        wanted = [one.shas[row] for row in dict.fromkeys((*order[:_LISTED], *(r for r in order if r in one.rows)))]
        known = {sha: c for history in histories for sha, c in history.find(wanted, incident.created_at).items()}
        yield RankedCase(
            incident=incident,
            ranked=tuple(known[sha] for sha in wanted if sha in known),
            culprits=frozenset(one.case.culprits),
        )


def _moves(measured: Sequence[Measured], shipped: Weighing, final: Weighing) -> tuple[Move, ...]:
    import numpy as np

    features = list(shipped.weights)
    spread = np.concatenate([one.matrix(features) for one in measured if one.shas]).std(axis=0)
    moves = [
        Move(
            feature=feature,
            before=shipped.weights[feature],
            after=final.weights[feature],
            worth=float(varies) * (final.weights[feature] - shipped.weights[feature]),
        )
        for feature, varies in zip(features, spread, strict=True)
    ]
    return tuple(sorted(moves, key=lambda move: -abs(move.worth)))


# -- what is told of them ----------------------------------------------------------------------------------------


def _digest(cases: Sequence[Labelled]) -> str:
    rows = [[case.id, case.created_at, case.title, case.description, *case.culprits] for case in cases]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _data(measured: Sequence[Measured], digest: str) -> dict[str, Any]:
    """What was learned from, in numbers. Ids as hashes, so that one can ask whether an incident was among them."""
    times = [from_unix(one.case.created_at).date().isoformat() for one in measured]
    return {
        "incidents": len(measured),
        "kinds": dict(Counter(origin_of(one.case) for one in measured)),
        "repositories": dict(Counter(one.repo for one in measured if one.repo)),
        "from": times[0],
        "to": times[-1],
        "culprit_not_among_candidates": sum(one.lost for one in measured),
        "without_culprit": sum(not one.case.culprits for one in measured),
        "digest": digest[:16],
        "ids": [hashlib.sha256(one.case.id.encode()).hexdigest()[:8] for one in measured],
    }


def _recipe() -> dict[str, Any]:
    return {
        "model": "conditional logit, ridge around the weights that ship",
        "ridges": f"{RIDGES} or the weights that ship, the surest gain out of {_FOLDS} folds by time, from {CHOSEN_FROM} incidents on; else {_FIRM:g}",
        "least_scale": LEAST_SCALE,
        "held_out": f"the newest {HELD_OUT:.0%}, compared by weights fitted to the older ones; then fitted to all",
        "temperature": f"out of the same folds, from {CHOSEN_FROM} incidents on",
    }


def _comparison(older: Sequence[Measured], before: Evaluation, after: Evaluation) -> dict[str, Any]:
    found = {name: paired_difference(after, before, metric) for name, metric in _CHANGES.items()}
    return {
        "fitted_to": len(older),
        "incidents": after.n,
        "before": _figures(before),
        "after": _figures(after),
        **{name: [round(value, 4) for value in (d.mean, d.low, d.high)] for name, d in found.items()},
    }


def _figures(found: Evaluation) -> dict[str, Any]:
    figures = {metric: [round(v, 4) for v in (found.value(metric), *found.interval(metric))] for metric in _FIGURES}
    return {**figures, "ece": None if found.ece is None else round(found.ece, 4)}


def check_weighing_path(path: Path) -> None:
    """Refuse a path that weights cannot be written to, before minutes of measuring.

    Raises:
        UsageError: it is a folder, or lies in what is none.
    """
    nearest = next((parent for parent in path.absolute().parents if parent.exists()), path)
    if path.is_dir() or not nearest.is_dir():
        raise UsageError(
            f"cannot write the weights to '{path}'",
            why="it is a folder" if path.is_dir() else f"'{nearest}' is no folder",
            way_out="name a file, for example weights.json",
        )


def write_weighing(path: Path, weighing: Weighing) -> None:
    """Write weights so that whoever reads meanwhile sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_text(weighing.model_dump_json(indent=1) + "\n", encoding="utf8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
