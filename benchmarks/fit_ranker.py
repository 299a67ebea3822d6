"""Fits the weights that ship with Rundown, and says how well they do where they were not fitted.

    python -m benchmarks.fit_ranker --cases CASES.jsonl … --repo [NAME=]PATH … --kept DIR [--chart FILE.png] [--write --release NAME]

Does: measure each case (kept in DIR), and each of a pool twice more without its culprit, so that nobody there did it: taken out
of the candidates, and a moment before it was made; fit weights, temperature and the doubt whether any commit did it;
print held-out quality, calibration and abstention; draw the held-out reliability; with --write put all into ranking/weights.json.
Does not: touch the weights set by hand. Cases: see `benchmarks.ablation`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation import add_arguments, read
from benchmarks.measured import BLAMELESS, FOLDS, Blameless, Sample, fitted, held_out, place_of, scores
from core.model import Commit
from ranking import scorer
from ranking.bulk import incident_of
from ranking.charts import draw_reliability
from ranking.evaluation import Evaluation, Outcome
from ranking.features import Table, is_page
from ranking.fit import fit_temperature
from ranking.outside import told_outside
from ranking.scorer import Weighing, read_weighing

#: The share of incidents that no commit caused, as far as the doubt is to expect: most pages that ask for a culprit have one.
NONE_SHARE = 0.04
SIGNS = ("constant", "spread", "ahead", "overlap", "closeness", "path_history")


def main() -> None:
    """Fit, report, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--release", help="the name the weights get, with --write")
    parser.add_argument("--chart", type=Path, help="where the held-out reliability diagram goes")
    parser.add_argument("--write", action="store_true", help="put the weights into ranking/weights.json")
    args = parser.parse_args()
    if args.write and not args.release:
        parser.error("--write needs --release NAME: a ranking says by it which weights it is of")
    shipped = read_weighing()
    caused, blameless = read(args), {kind: read(args, blameless=kind) for kind in BLAMELESS}
    measured = {feature for sample in caused for feature in sample.places}
    features = sorted(measured - set(shipped.by_hand) - {"overlap"})
    weighing, found = fit_all(caused, blameless, features, shipped)
    report(found)
    if args.chart:
        figures = Evaluation(tuple(one.outcome for one in found))
        draw_reliability(args.chart, figures.bins, title="Confidence of the first commit, held out", ece=figures.ece)
    for feature, weight in weighing.weights.items():
        print(f"{feature:24s} {weight:8.3f}")
    print({"temperature": weighing.temperature, "doubt": weighing.doubt})
    if args.write:
        notes = {"cases": {path.stem: sum(s.group == path.stem for s in caused) for path in args.cases}}
        named = weighing.model_copy(update={"release": args.release, "notes": notes})
        scorer.SHIPPED.write_text(json.dumps(named.model_dump(), indent=1) + "\n", encoding="utf8")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What weighings fitted to three folds say of an incident of the fourth."""

    group: str
    #: How its culprit was taken away; None where it is there.
    blameless: Blameless | None
    outcome: Outcome
    #: The probability that no commit did it, whether or not its ranking makes use of it.
    doubt: float


def fit_all(
    caused: Sequence[Sample],
    blameless: Mapping[Blameless, Sequence[Sample]],
    features: Sequence[str],
    shipped: Weighing,
) -> tuple[Weighing, list[Judged]]:
    """The weighing fitted to everything, and what weighings fitted to three folds said of the fourth."""
    weights = held_out(caused, features, shipped)
    fold_of = {sample.case.id: sample.fold for sample in caused}

    def scored(samples: Sequence[Sample], kind: Blameless | None) -> list[_Scored]:
        # The same incident without its culprit belongs to the same fold.
        folds = [fold_of.get(sample.case.id, sample.fold) for sample in samples]
        return [
            _Scored(sample, fold, kind, scores(sample, weights[fold]))
            for sample, fold in zip(samples, folds, strict=True)
        ]

    ours = scored(caused, None)
    temperature = fit_temperature([one.values for one in ours], [one.sample.culprit or 0 for one in ours])
    everything = [*ours, *(one for kind, samples in blameless.items() for one in scored(samples, kind))]
    pages = [one for one in everything if one.page]
    found: list[Judged] = []
    for fold in range(FOLDS):
        doubt = fit_doubt([one for one in pages if one.fold != fold])
        judge = shipped.model_copy(update={"temperature": temperature, "doubt": doubt})
        found += [_judged(one, judge) for one in everything if one.fold == fold]
    told = {
        "weights": _rounded(fitted(caused, features, shipped).weights),
        "temperature": round(temperature, 3),
        "doubt": _rounded(fit_doubt(pages)),
    }
    return shipped.model_copy(update=told), found


@dataclass(frozen=True)
class _Scored:
    """An incident and its candidates' scores by weights that were not fitted to it."""

    sample: Sample
    fold: int
    blameless: Blameless | None
    values: NDArray[np.float64]

    @property
    def page(self) -> bool:
        """As the ranker that measured it saw it, which is told of no events."""
        return is_page(self.sample.case.window_commits, self.sample.case.service)

    @property
    def table(self) -> Table:
        """Not kept: those of all incidents would fill gigabytes."""
        nobody: list[Commit] = []
        columns = {name: list(map(float, column)) for name, column in self.sample.columns.items()}
        return Table(commits=nobody, columns=columns, outside=told_outside(incident_of(self.sample.case).text))

    @cached_property
    def signs(self) -> dict[str, float]:
        return scorer.signs(self.table, [float(value) for value in self.values])


def fit_doubt(samples: Sequence[_Scored]) -> dict[str, float]:
    """The logit of "no commit did it", by logistic regression on incidents with and without a culprit."""
    from sklearn.linear_model import LogisticRegression

    rows = np.array([[one.signs[name] for name in SIGNS[1:]] for one in samples])
    none = np.array([one.blameless is not None for one in samples])
    weights = np.where(none, NONE_SHARE / max(1, none.sum()), (1 - NONE_SHARE) / max(1, (~none).sum()))
    model = LogisticRegression(C=1.0).fit(rows, none, sample_weight=weights * len(none))
    return {"constant": float(model.intercept_[0]), **dict(zip(SIGNS[1:], map(float, model.coef_[0]), strict=True))}


def _judged(one: _Scored, weighing: Weighing) -> Judged:
    table, values = one.table, [float(value) for value in one.values]
    doubted = scorer.doubted(table, values, weighing.all_doubt)
    best = int(one.values.argmax())
    believed = doubted if one.page else 0.0
    chance = scorer.confidences(table, values, weighing, believed)[best]
    culprit = one.sample.culprit
    outcome = Outcome(
        place=place_of(one.values, culprit) if culprit is not None else np.inf,
        confidence=chance,
        abstained=scorer.decide(table, best, chance, believed).value == "inconclusive",
        caused=culprit is not None,
    )
    return Judged(group=one.sample.group, blameless=one.blameless, outcome=outcome, doubt=doubted)


def report(judged: Sequence[Judged]) -> None:
    """Held-out figures of each set."""
    from sklearn.metrics import roc_auc_score

    for group in dict.fromkeys(one.group for one in judged):
        own = [one for one in judged if one.group == group]
        caused = [one for one in own if one.blameless is None]
        figures = Evaluation(tuple(one.outcome for one in caused))
        print(f"{group}: {figures.n} cases, held out")
        for metric in ("top1", "top3", "top5", "top20", "mrr"):
            low, high = figures.interval(metric)
            print(f"  {metric:6s} {figures.value(metric):.3f} [{low:.3f}, {high:.3f}]")
        print(f"  ECE {figures.ece:.3f}; coverage {figures.coverage}; left open {figures.abstained:.3f}")
        for kind in BLAMELESS:
            others = [one for one in own if one.blameless == kind]
            if others:
                left = sum(one.outcome.abstained for one in others) / len(others)
                both = [*caused, *others]
                area = roc_auc_score([one.blameless is not None for one in both], [one.doubt for one in both])
                print(f"  culprit {kind}: {len(others)}, left open {left:.3f}; area under the doubt's curve {area:.3f}")


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    main()
