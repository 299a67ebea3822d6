"""Labelled incidents with their candidates measured once, for everything that fits weights or leaves features out.

Does: survey each case with the normal ranker, keep the numbers in a folder, refuse those that other code measured, make folds
that a fit may not look into.
Does not: fit, or draw conclusions (`benchmarks.ablation`, `benchmarks.fit_ranker`).

A pool of repositories is split in four by time; single repositories are held out whole.
"""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import ranking
from core.errors import UsageError
from core.model import Incident, from_unix
from ranking import fit
from ranking.labels.cases import Labelled
from ranking.ranker import Progress, Ranker
from ranking.scorer import Weighing

FOLDS = 4
#: How an incident is shown without its culprit: at the moment before that was made, so that everything is as it was then; or
#: at its own time, with the culprit taken out, so that its forerunners and all that came after it stay.
Blameless = Literal["before", "removed"]
BLAMELESS: tuple[Blameless, ...] = ("before", "removed")
#: What the cases of a set weigh together in a fit, on average over the sets: what the penalty on weights is meant for.
SET_WEIGHT = 800.0
#: What a single repository counts beside a pool of as many cases.
SINGLE = 0.5
RANKING = Path(ranking.__file__).parent
#: Its modules that measure nothing: all others decide what a table holds.
OTHER = frozenset(["backtest", "baselines", "bulk", "charts", "evaluation", "fit", "reasons", "training", "votes"])


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One incident's candidates, newest first."""

    case: Labelled
    #: Feature -> its column in `numbers`.
    places: Mapping[str, int]
    #: candidates x features.
    numbers: NDArray[np.float32]
    #: Row of the culprit; None when no candidate did it.
    culprit: int | None
    #: Which of `FOLDS` holds it out, and which set of cases it is of.
    fold: int = 0
    group: str = ""

    @property
    def columns(self) -> dict[str, NDArray[np.float32]]:
        """Feature -> a number for each candidate."""
        return {feature: self.numbers[:, place] for feature, place in self.places.items()}

    def matrix(self, features: Sequence[str]) -> NDArray[np.float64]:
        """The columns of some features; one that was not measured is zero."""
        found = np.zeros((len(self.numbers), len(features)))
        for place, feature in enumerate(features):
            if feature in self.places:
                found[:, place] = self.numbers[:, self.places[feature]]
        return found


def measure(
    ranker: Ranker,
    cases: Sequence[Labelled],
    folder: Path,
    *,
    blameless: Blameless | None = None,
    progress: Progress | None = None,
) -> list[Sample]:
    """The candidates of each case, from the folder where they were kept, else from the ranker.

    Args:
        blameless: measure the same incidents without their culprit: nobody there did it.

    Raises:
        UsageError: the folder holds tables that other code measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder)
    found = []
    for count, case in enumerate(cases, 1):
        file = folder / f"{re.sub(r'[^0-9A-Za-z-]', '_', case.id)}.npz"
        if not file.exists():
            _survey(ranker, case, file, blameless)
        with np.load(file) as kept:
            rows = [int(row) for row in kept["culprit"]]
            places = {str(feature): place for place, feature in enumerate(kept["cols"])}
            if len(kept["X"]) and (rows or blameless):
                row = rows[0] if rows and not blameless else None
                found.append(Sample(case=case, places=places, numbers=kept["X"], culprit=row))
        if progress:
            progress("measuring", count, len(cases))
    return found


def code() -> str:
    """A mark of the code that measures: another one may measure otherwise."""
    files = [*RANKING.glob("*.py"), *(RANKING / "small").glob("*.py"), RANKING.parent / "core" / "words.py"]
    told = b"".join(file.read_bytes() for file in sorted(files) if file.stem not in OTHER)
    return hashlib.sha256(told).hexdigest()[:12]


def _claim(folder: Path) -> None:
    """Mark a folder as measured by this code, unless another's tables lie there."""
    mark = folder / "code.txt"
    known = mark.read_text().strip() if mark.exists() else ""
    if known != code() and any(folder.glob("*.npz")):
        raise UsageError(
            f"cannot use the tables in '{folder}'",
            why=f"they were measured by {'other code' if known else 'nobody knows which code'}",
            way_out=f"empty it, or if you know that no feature has changed, write {code()} into '{mark}'",
        )
    mark.write_text(f"{code()}\n")


def _survey(ranker: Ranker, case: Labelled, file: Path, blameless: Blameless | None) -> None:
    moment = from_unix(case.created_at)
    if blameless == "before":
        moment = _made(ranker, case, moment) or moment
    incident = Incident(
        id=case.id, title=case.title, description=case.description, created_at=moment, service=case.service
    )
    ask = partial(
        ranker.survey,
        incident,
        window_days=case.window_days or 14.0,
        window_commits=case.window_commits,
        repos=case.repos,
    )
    survey = ask()
    if blameless == "removed":
        survey = ask(candidates=[commit.sha for commit in survey.commits if commit.sha not in case.culprits])
    columns = sorted(survey.table.columns)
    shas = [commit.sha for commit in survey.commits]
    np.savez_compressed(
        file,
        cols=np.array(columns),
        X=np.array([survey.table.columns[column] for column in columns], np.float32).T,
        shas=np.array(shas),
        culprit=np.array([row for row, sha in enumerate(shas) if sha in case.culprits], int),
    )


def _made(ranker: Ranker, case: Labelled, before: datetime) -> datetime | None:
    """When the culprit was committed."""
    survey = ranker.survey(
        Incident(id=case.id, title="culprit", created_at=before), candidates=case.culprits, repos=case.repos
    )
    return survey.commits[0].committed_at if survey.commits else None


def in_folds(sets: Mapping[str, Sequence[Sample]]) -> list[Sample]:
    """The samples of all sets of cases, by the sets' names, with the fold that holds each out.

    Pools are split at the same moments, so that no weights are fitted to another set's incidents of the time they are judged on.
    """
    pooled = {name for name, samples in sets.items() if any(len(sample.case.repos or ()) > 1 for sample in samples)}
    times = sorted(sample.case.created_at for name in pooled for sample in sets[name])
    found: list[Sample] = []
    for group, samples in sets.items():
        repos = sorted({sample.case.repos for sample in samples}, key=str)
        for sample in sorted(samples, key=lambda sample: sample.case.created_at):
            place = bisect_left(times, sample.case.created_at)
            fold = place * FOLDS // len(times) if group in pooled else repos.index(sample.case.repos) % FOLDS
            found.append(replace(sample, fold=fold, group=group))
    return found


def fitted(samples: Sequence[Sample], features: Sequence[str], shipped: Weighing) -> Weighing:
    """The weighing whose weights make the culprits of these samples likeliest.

    A place, which is a pool or a single repository, counts by the square root of its incidents: alike, 80 incidents would say as
    much as 600; one by one, one kind of place would decide. Single repositories count half: there are many, and production is what
    it is for (learning/LOG.md).

    Args:
        features: what is weighed.
        shipped: what of it was set by hand stays as it is.
    """
    sizes = Counter(map(_place, samples))
    worth = {place: math.sqrt(size) * (SINGLE if len(place) > 1 else 1.0) for place, size in sizes.items()}
    share = SET_WEIGHT * len({sample.group for sample in samples}) / sum(worth.values())
    found = fit.fit_weights(
        [
            fit.Lesson(
                features=shipped.share(sample.columns) * sample.matrix(features),
                culprit=sample.culprit,
                weight=share * worth[_place(sample)] / sizes[_place(sample)],
                offset=scores(sample, shipped.without_labels),
            )
            for sample in samples
            if sample.culprit is not None
        ]
    )
    return shipped.model_copy(update={"weights": dict(zip(features, map(float, found), strict=True))})


def _place(sample: Sample) -> tuple[str, ...]:
    """Its set of cases, and where that is of single repositories which one."""
    repos = sample.case.repos or ()
    return (sample.group, *repos) if len(repos) == 1 else (sample.group,)


def scores(sample: Sample, weighing: Weighing) -> NDArray[np.float64]:
    """The sums of weight times feature of a sample's candidates."""
    weights = weighing.of(sample.columns)
    found: NDArray[np.float64] = sample.matrix(list(weights)) @ np.array(list(weights.values()))
    return found


def place_of(scores: NDArray[np.float64], culprit: int) -> float:
    """The culprit's place from 1; equal scores count against it."""
    return float((scores >= scores[culprit]).sum())


def held_out(samples: Sequence[Sample], features: Sequence[str], shipped: Weighing) -> dict[int, Weighing]:
    """For each fold, the weighing fitted to the other folds."""
    return {
        fold: fitted([sample for sample in samples if sample.fold != fold], features, shipped) for fold in range(FOLDS)
    }
