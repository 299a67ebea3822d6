"""Fits what counts otherwise before a page, and how sure a ranking may be there, to suites of pages among decoys.

    python -m benchmarks.fit_pages --suite FOLDER … [--home DIR] [--write --release NAME]

A suite is a folder of one hand's incidents: `cases.jsonl`, Case lines with "culprits" ([] where no commit did it), and the
repositories in `repos/`, or elsewhere as lines NAME=PATH of `repos.txt`.
Does: survey every page once; fit, with each suite left out in turn, what is added to the weights of labels (`Weighing.told`), what a lead
is worth (`told_odds`) and what tells that no commit did it (`doubt_by_hand`); print what that changes in the suite left out; with
--write fit all suites and put the result into ranking/weights.json.
Does not: touch what labels taught, or fit what rules a commit out (`RULING`). A suite that was fitted to judges no more.
The weights that ship choose which candidates are read, and "as it ships" is by them: both have seen the suites that `notes` names.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from core.errors import RundownError, UsageError
from ranking import scorer
from ranking.evaluation import Evaluation, Outcome, paired_difference
from ranking.fit import Lesson, fit_weights
from ranking.history import open_histories
from ranking.labels.cases import read_labelled
from ranking.meaning import open_readers
from ranking.ranker import Ranker
from ranking.scorer import Weighing, read_weighing
from ranking.training import Measured, evaluate, measure

#: What these count before a page follows from what they mean. Who writes a suite takes commits by when they were made, and may forget
#: that one was merged only later.
RULING = frozenset([*scorer.RULED_OUT, "unmerged"])
#: How far the pages must agree to move a weight, and the least that a feature counts as varying: see `ranking.fit.fit_weights`.
_RIDGE, _LEAST_SCALE = 100.0, 0.1
#: The same for the few numbers of certainty.
_SURE_RIDGE = 5.0
#: In so many parts suites are split to get scores by weights that have not seen them.
_FOLDS = 5
#: What tells that no commit did it and no label has.
_SIGNS = ("told", "outside_words", "settled", "cause")

_HEADINGS = (
    "",
    "Top-1",
    "Top-5",
    "MRR",
    "ECE",
    "Brier",
    "surest quarter",
    "no commit: left open",
    "a commit: left open",
)

#: By suite, its pages with a candidate.
Suites = Mapping[str, Sequence[Measured]]


def main() -> None:
    """Parse the command line, survey, fit, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, action="append", required=True, metavar="FOLDER")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--release", help="the name the weights get, with --write")
    parser.add_argument("--write", action="store_true", help="put the weights into ranking/weights.json")
    args = parser.parse_args()
    if args.write and not args.release:
        parser.error("--write needs --release NAME: a ranking says by it which weights it is of")
    if len({suite.name for suite in args.suite}) < 2:
        parser.error("give two suites or more: each is judged by what the others teach")
    try:
        suites = read_suites(args.suite, args.home)
    except RundownError as error:
        raise SystemExit(f"benchmarks.fit_pages: {error}") from None
    shipped = read_weighing()
    report(suites, shipped, fitted_without_each(suites, shipped))
    if args.write:
        notes = {**shipped.notes, "pages": {name: len(pages) for name, pages in suites.items()}}
        found = fit_all(suites, shipped).model_copy(update={"release": args.release, "notes": notes})
        scorer.SHIPPED.write_text(json.dumps(found.model_dump(), indent=1) + "\n", encoding="utf8")


def read_suites(folders: Iterable[Path], home: Path) -> Suites:
    """The pages of suites, measured by the ranker as it is; an incident without any candidate is left out.

    Args:
        folders: one a suite, which has its name.
        home: where indexes are kept.

    Raises:
        UsageError: a folder holds no repositories.
        CaseError: a line of its cases cannot be read.
        RepositoryError: no repository can be read.
    """
    found: dict[str, list[Measured]] = defaultdict(list)
    for folder in folders:
        histories, gaps = open_histories(_repositories(folder), home=home)
        ranker = Ranker(histories, readers=open_readers())
        for gap in (*gaps, *ranker.refresh()):
            print(gap)
        cases = read_labelled(folder / "cases.jsonl", ranker.repos)
        measured = chain.from_iterable(measure(ranker, [case]) for case in track(cases, description=folder.name))
        found[folder.name] += [one for one in measured if one.shas]
    return found


def _repositories(folder: Path) -> list[str]:
    listed = folder / "repos.txt"
    if listed.is_file():
        specs = [line.strip() for line in listed.read_text(encoding="utf8").splitlines() if "=" in line]
    else:
        specs = [f"{p.name.removesuffix('.git')}={p}" for p in sorted((folder / "repos").glob("*")) if p.is_dir()]
    if not specs:
        raise UsageError(
            f"no repositories in '{folder}'", way_out="put them into repos/, or NAME=PATH lines into repos.txt"
        )
    return specs


def _without(suites: Suites, names: Collection[str]) -> Suites:
    return {name: pages for name, pages in suites.items() if name not in names}


def fitted_without_each(suites: Suites, shipped: Weighing) -> dict[str, Weighing]:
    """For each suite, what the others teach."""
    return {name: fit_all(_without(suites, [name]), shipped) for name in suites}


def fit_all(suites: Suites, shipped: Weighing) -> Weighing:
    """What these pages teach. It starts from the labels' weights, not from what pages taught before: fitted twice, the same comes out.

    Certainty is fitted to scores by weights that have not seen the suite: where they have, every lead is worth more.
    """
    names, unseen = list(suites), dict[str, Weighing]()
    for fold in range(_FOLDS):
        out = names[fold::_FOLDS]
        unseen |= dict.fromkeys(out, fit_told(_without(suites, out), shipped))
    weighing = fit_told(suites, shipped)
    judges = [(one, unseen[name]) for name, pages in suites.items() for one in pages]
    return weighing.model_copy(update={"told_odds": _fit_odds(judges), "doubt_by_hand": _fit_doubt(judges)})


def fit_told(suites: Suites, shipped: Weighing) -> Weighing:
    """What is added to each weight before a page."""
    bare, pages = shipped.model_copy(update={"told": {}}), list(chain.from_iterable(suites.values()))
    features = sorted({name for one in pages for name in one.columns} - RULING - {"paged"})
    lessons = [
        Lesson(features=_paged(one) * one.matrix(features), culprit=one.rows[0], offset=one.scored(bare))
        for one in pages
        if one.rows
    ]
    told = fit_weights(lessons, ridge=_RIDGE, prior=np.zeros(len(features)), least_scale=_LEAST_SCALE)
    return shipped.model_copy(update={"told": _named(features, told)})


def _paged(one: Measured) -> float:
    """How far it is told as a page."""
    return float(one.columns["paged"][0])


def _fit_odds(judges: Iterable[tuple[Measured, Weighing]]) -> dict[str, float]:
    """What a lead is worth, where some commit did it: `scorer.leads`."""
    lessons, names = [], []
    for one, weighing in judges:
        if one.rows:
            best, chances = one.order(weighing)[0], scorer.chances(one.scored(weighing).tolist(), weighing.temperature)
            measured = scorer.leads(one.table, best, chances[best])
            names, values = list(measured), np.array(list(measured.values()))
            believed = (1 - _paged(one)) * measured["chance"]
            lessons.append(_yes_or_no(_paged(one) * values, yes=best == one.rows[0], given=believed))
    start = np.array([float(name == "chance") for name in names])
    return _named(names, fit_weights(lessons, ridge=_SURE_RIDGE, prior=start, least_scale=_LEAST_SCALE))


def _fit_doubt(judges: Iterable[tuple[Measured, Weighing]]) -> dict[str, float]:
    """What speaks for it that no commit did it, beside what labels teach of that: `scorer.signs`."""
    lessons = []
    for one, weighing in judges:
        measured = scorer.signs(one.table, one.scored(weighing).tolist())
        given = sum(weight * measured[sign] for sign, weight in weighing.doubt.items())
        values = np.array([measured[sign] for sign in _SIGNS])
        lessons.append(_yes_or_no(values, yes=not one.case.culprits, given=given))
    start = np.zeros(len(_SIGNS))
    return _named(_SIGNS, fit_weights(lessons, ridge=_SURE_RIDGE, prior=start, least_scale=_LEAST_SCALE))


def _yes_or_no(values: NDArray[np.float64], *, yes: bool, given: float) -> Lesson:
    """Logistic regression as a choice of two: "no" has no features."""
    return Lesson(features=np.array([values, 0 * values]), culprit=0 if yes else 1, offset=np.array([given, 0.0]))


def report(suites: Suites, shipped: Weighing, others: Mapping[str, Weighing]) -> None:
    """As it ships, and with what the other suites teach: all together, and suite by suite."""
    ways = {
        "as it ships": {name: evaluate(pages, shipped) for name, pages in suites.items()},
        "learned from the others": {name: evaluate(pages, others[name]) for name, pages in suites.items()},
    }
    together = {
        way: Evaluation(tuple(chain.from_iterable(e.outcomes for e in own.values()))) for way, own in ways.items()
    }
    table = Printed(title=f"{sum(map(len, suites.values()))} pages of {len(suites)} suites")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading else "left")
    for way, everything in together.items():
        table.add_row(way, *_figures(everything.outcomes))
    Console(width=150).print(table)
    before, after = together.values()
    for metric in ("top1", "mrr"):
        gain = paired_difference(after, before, metric)
        print(f"{metric} {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
    for name in suites:
        print(f"{name:16s} MRR {' -> '.join(format(own[name].value('mrr'), '.3f') for own in ways.values())}")


def _figures(outcomes: Sequence[Outcome]) -> list[str]:
    """The columns of the table. Certainty is judged on all pages: naming a commit where none did it is wrong."""
    caused = Evaluation(tuple(outcomes))
    everything = Evaluation(tuple(Outcome(place=o.place, confidence=o.confidence) for o in outcomes))
    surest = sorted(outcomes, key=lambda o: -(o.confidence or 0.0))[: max(1, len(outcomes) // 4)]
    numbers = [
        caused.value("top1"),
        caused.value("top5"),
        caused.value("mrr"),
        everything.ece,
        everything.value("miss"),
    ]
    numbers += [sum(o.place == 1 for o in surest) / len(surest)]
    numbers += [caused.blameless.inconclusive if caused.blameless else None, caused.abstained]
    return ["" if number is None else f"{number:.3f}" for number in numbers]


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}


if __name__ == "__main__":
    main()
