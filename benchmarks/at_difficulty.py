"""How likely goals are to hold on other incidents whose difficulty alone is known.

    python -m benchmarks.at_difficulty --cases CASES.jsonl … --repo [NAME=]PATH … --kept DIR \\
        --baseline 0.472 0.671 0.575 --goal 0.60 0.80 0.70 --incidents 231 [--on CASES] [--older-than 1]

Does: rank each case by weights that were not fitted to it, beside BM25 + recency; weigh the cases so that BM25 + recency gets what it
is known to get on the others; print ours with those weights, and how often all goals hold in as many incidents drawn by them.
Does not: know anything of the others but what BM25 + recency gets: that ours follows it is an assumption. Cases: see `benchmarks.ablation`.

The weights are the least change (in relative entropy) that gives the baseline its figures: exponential tilting, as in entropy
balancing (Hainmueller 2012). An MRR of the baseline may be left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation import METRICS, add_arguments, learned, read
from benchmarks.measured import Sample, place_of
from ranking.baselines import with_recency
from ranking.evaluation import Outcome
from ranking.scorer import read_weighing

#: Sets of incidents that are drawn.
_DRAWS = 4_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What ours comes to on the others; one number each of Top-1, Top-5 and MRR, as far as the baseline's are known."""

    #: Of the cases as they are: the baseline, then ours; then ours on the others.
    baseline: NDArray[np.float64]
    ours: NDArray[np.float64]
    there: NDArray[np.float64]
    #: Share of the draws in which all goals hold.
    likely: float
    #: How many equal cases the weights are worth (Kish 1965).
    worth: float


def main() -> None:
    """Measure, fit, weigh, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    known = {"type": float, "nargs": "+", "required": True}
    parser.add_argument("--baseline", **known, help="Top-1, Top-5 and perhaps MRR of BM25 + recency on the others")  # type: ignore[arg-type]
    parser.add_argument("--goal", **known, help="as many goals for ours")  # type: ignore[arg-type]
    parser.add_argument("--incidents", type=int, required=True, help="how many the others are")
    parser.add_argument(
        "--on", action="append", metavar="SET", help="only cases of this file, by its name without suffix"
    )
    parser.add_argument("--older-than", type=float, default=0.0, help="only culprits of more hours than that")
    args = parser.parse_args()
    if len(args.baseline) != len(args.goal) or len(args.goal) not in (2, 3):
        parser.error("give two or three numbers, and as many goals as numbers of the baseline")
    samples = read(args)
    score = learned(samples, sorted(read_weighing().weights))
    chosen = [sample for sample in samples if not args.older_than or (sample.case.lag_hours or 0.0) > args.older_than]
    wanted = args.on or [path.stem for path in args.cases]
    places = [
        (place_of(bm25_and_recency(sample), sample.culprit), place_of(score(sample), sample.culprit))
        for sample in chosen
        if sample.culprit is not None and sample.group in wanted
    ]
    if not places:
        parser.error("no case is left: --on names a set as `--cases` has it, without folder and suffix")
    plain, ours = zip(*places, strict=True)
    found = estimate(plain, ours, args.baseline, args.goal, args.incidents)
    print(
        f"{len(places)} cases, held out, worth {found.worth:.0f} when weighed; {' / '.join(METRICS[: len(args.goal)])}"
    )
    for name, row in (
        ("BM25 + recency, as they are", found.baseline),
        ("ours, as they are", found.ours),
        ("ours on the others", found.there),
    ):
        print(f"{name:28s} " + " / ".join(f"{value:.3f}" for value in row))
    print(f"all goals hold in {found.likely:.0%} of {_DRAWS} draws of {args.incidents} incidents")


def bm25_and_recency(sample: Sample) -> NDArray[np.float64]:
    """The baseline's scores: its candidates are those of the window, newest first, with their places by words."""
    return np.array(with_recency([float(place) for place in sample.matrix(["words_place"])[:, 0]]))


def estimate(
    plain: Sequence[float], ours: Sequence[float], baseline: Sequence[float], goals: Sequence[float], incidents: int
) -> Estimate:
    """Ours where the baseline gets other figures.

    Args:
        plain, ours: the culprit's place by either, case by case.
        baseline: the baseline's figures on the others, of `METRICS` in their order.
        goals: as many.
        incidents: how many a draw has.

    Raises:
        ValueError: no weights of these cases give the baseline those figures.
    """
    known, own = (_marks(places)[:, : len(baseline)] for places in (plain, ours))
    weights = _tilted(known, np.array(baseline))
    rng = np.random.default_rng(0)
    drawn = (own[rng.choice(len(own), incidents, p=weights)].mean(axis=0) for _ in range(_DRAWS))
    return Estimate(
        baseline=known.mean(axis=0),
        ours=own.mean(axis=0),
        there=weights @ own,
        likely=float(np.mean([bool((figures >= np.array(goals)).all()) for figures in drawn])),
        worth=float(1 / (weights**2).sum()),
    )


def _marks(places: Sequence[float]) -> NDArray[np.float64]:
    """Cases x `METRICS`."""
    return np.array([[Outcome(place=place).mark(metric) for metric in METRICS] for place in places])


def _tilted(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    def dual(tilt: NDArray[np.float64]) -> float:
        values = known @ tilt
        return float(np.log(np.exp(values - values.max()).sum()) + values.max() - tilt @ wanted)

    values = known @ minimize(dual, np.zeros(len(wanted)), method="BFGS").x
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    if not np.allclose(weights @ known, wanted, atol=1e-3):
        raise ValueError("no weights of these cases give the baseline those figures: they are too unlike")
    return np.asarray(weights, float)


if __name__ == "__main__":
    main()
