"""Fits the weights that ship with Rundown, and says how well they do where they were not fitted.

    python -m benchmarks.fit_ranker --cases CASES.jsonl … --repo [NAME=]PATH … --kept DIR [--chart FILE.png] [--write]

Does: measure each case (kept in DIR), and each once more just before its culprit was made, so that nobody there did it; fit
weights, temperature and the doubt whether any commit did it; print held-out quality, calibration and abstention; draw the
held-out reliability; with --write put all into ranking/weights.json.
Does not: touch the weights set by hand. Cases: see `benchmarks.ablation`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation import add_arguments, read
from benchmarks.measured import FOLDS, Sample, fitted, held_out, scores
from core.model import Commit
from ranking import scorer
from ranking.charts import draw_reliability
from ranking.evaluation import Evaluation, Outcome
from ranking.features import Table
from ranking.fit import fit_temperature
from ranking.scorer import Weighing, read_weighing

#: The share of incidents that no commit caused, as far as the doubt is to expect: most pages that ask for a culprit have one.
NONE_SHARE = 0.07
SIGNS = ("constant", "score", "overlap", "closeness", "path_history")


def main() -> None:
    """Fit, report, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--release", default="features-2", help="the name the weights get")
    parser.add_argument("--chart", type=Path, help="where the held-out reliability diagram goes")
    parser.add_argument("--write", action="store_true", help="put the weights into ranking/weights.json")
    args = parser.parse_args()
    shipped = read_weighing()
    caused, blameless = read(args), read(args, before_culprit=True)
    measured = {feature for sample in caused for feature in sample.places if not feature.startswith("release_")}
    features = sorted(measured - set(shipped.by_hand) - {"overlap"})
    weighing, outcomes = fit_all(caused, blameless, features, shipped)
    report(caused, outcomes)
    if args.chart:
        figures = Evaluation(tuple(outcome for found in outcomes.values() for outcome in found))
        draw_reliability(args.chart, figures.bins, title="Confidence of the first commit, held out", ece=figures.ece)
    for feature, weight in weighing.weights.items():
        print(f"{feature:24s} {weight:8.3f}")
    print({"temperature": weighing.temperature, "doubt": weighing.doubt})
    if args.write:
        notes = {"cases": {path.stem: sum(s.group == path.stem for s in caused) for path in args.cases}}
        named = weighing.model_copy(update={"release": args.release, "notes": notes})
        scorer.SHIPPED.write_text(json.dumps(named.model_dump(), indent=1) + "\n", encoding="utf8")


def fit_all(
    caused: Sequence[Sample], blameless: Sequence[Sample], features: Sequence[str], shipped: Weighing
) -> tuple[Weighing, dict[str, list[Outcome]]]:
    """The weighing fitted to everything, and what weighings fitted to three folds said of the fourth."""
    weights = held_out(caused, features, shipped.by_hand)
    fold_of = {sample.case.id: sample.fold for sample in caused}
    scored = [(sample, scores(sample, weights[sample.fold])) for sample in caused]
    temperature = fit_temperature([s for _, s in scored], [sample.culprit or 0 for sample, _ in scored])
    # The same incident, looked at a moment too early, belongs to the same fold.
    others = [(sample, scores(sample, weights[fold_of.get(sample.case.id, sample.fold)])) for sample in blameless]
    signs = [
        (sample, _signs(sample, values), sample.culprit is not None)
        for sample, values in (*scored, *others)
        if sample.case.window_commits is None
    ]
    found: dict[str, list[Outcome]] = {}
    for fold in range(FOLDS):
        doubt = fit_doubt([item for item in signs if fold_of.get(item[0].case.id) != fold])
        for sample, values in [*scored, *others]:
            if fold_of.get(sample.case.id, sample.fold) == fold:
                found.setdefault(sample.group, []).append(_outcome(sample, values, temperature, doubt))
    final = dict(zip(features, map(float, np.round(fitted(caused, features, shipped.by_hand), 4)), strict=True))
    return (
        shipped.model_copy(
            update={"weights": final, "temperature": round(temperature, 3), "doubt": _rounded(fit_doubt(signs))}
        ),
        found,
    )


def _table(sample: Sample) -> Table:
    columns = {name: [float(value) for value in sample.numbers[:, place]] for name, place in sample.places.items()}
    nobody: list[Commit] = []
    return Table(commits=nobody, columns=columns)


def _signs(sample: Sample, values: NDArray[np.float64]) -> dict[str, float]:
    return scorer.signs(_table(sample), [float(value) for value in values])


def fit_doubt(samples: Sequence[tuple[Sample, Mapping[str, float], bool]]) -> dict[str, float]:
    """The logit of "no commit did it", by logistic regression on incidents with and without a culprit.

    Args:
        samples: each with its signs, and whether one of its candidates did it.
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.array([[signs[name] for name in SIGNS[1:]] for _, signs, _ in samples])
    none = np.array([not caused for _, _, caused in samples])
    weights = np.where(none, NONE_SHARE / max(1, none.sum()), (1 - NONE_SHARE) / max(1, (~none).sum()))
    model = LogisticRegression(C=1.0).fit(rows, none, sample_weight=weights * len(none))
    return {"constant": float(model.intercept_[0]), **dict(zip(SIGNS[1:], map(float, model.coef_[0]), strict=True))}


def _outcome(sample: Sample, found: NDArray[np.float64], temperature: float, doubt: Mapping[str, float]) -> Outcome:
    table, values = _table(sample), [float(value) for value in found]
    some = 1 - scorer.doubted(table, values, doubt) if sample.case.window_commits is None else 1.0
    best = int(found.argmax())
    chance = some * scorer.chances(values, temperature)[best]
    word = scorer.decide(table, best, chance)
    place = float((found >= found[sample.culprit]).sum()) if sample.culprit is not None else np.inf
    return Outcome(
        place=place, confidence=chance, abstained=word.value == "inconclusive", caused=sample.culprit is not None
    )


def report(caused: Sequence[Sample], outcomes: Mapping[str, Sequence[Outcome]]) -> None:
    """Held-out figures of each set."""
    for group, found in outcomes.items():
        figures = Evaluation(tuple(found))
        print(f"{group}: {figures.n} cases, held out")
        for metric in ("top1", "top3", "top5", "top20", "mrr"):
            low, high = figures.interval(metric)
            print(f"  {metric:6s} {figures.value(metric):.3f} [{low:.3f}, {high:.3f}]")
        print(f"  ECE {figures.ece:.3f}; coverage {figures.coverage}; abstained {figures.abstained:.3f}")
        print(f"  of those no commit caused: {figures.blameless}")


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    main()
