"""Fits what counts otherwise before a page, and how sure a ranking may be there, to suites of pages among decoys.

    python -m benchmarks.fit_pages --suite FOLDER … [--home DIR] [--write --release NAME]

A suite is a folder of one hand's incidents: `cases.jsonl`, Case lines with "culprits" ([] where no commit did it), and the
repositories in `repos/`, or elsewhere as lines NAME=PATH of `repos.txt`.
Does: survey every page once; fit, with each suite left out in turn, what is added to the weights of labels (`Weighing.told`), what a lead
is worth (`told_odds`) and what tells that no commit did it (`doubt_by_hand`); print what that changes in the suite left out; with
--write fit all suites and put the result into ranking/weights.json.
Does not: touch what labels taught, or fit what rules a commit out (`RULING`). A suite that was fitted to judges no more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from core.errors import RundownError, UsageError
from core.model import Confidence
from ranking import scorer
from ranking.bulk import survey_case
from ranking.evaluation import Evaluation, Outcome, paired_difference, place_of
from ranking.fit import Lesson, fit_weights
from ranking.history import open_histories
from ranking.labels.cases import Labelled, read_labelled
from ranking.meaning import open_readers
from ranking.ranker import Ranker, Survey
from ranking.scorer import Weighing, read_weighing

#: What these count before a page follows from what they mean. Who writes a suite takes commits by when they were made, and may forget
#: that one was merged only later.
RULING = frozenset(["unmerged", "not_live", "rolled_back", "after_onset", "never_runs"])
#: How far the pages must agree to move a weight, and the least that a feature counts as varying: see `ranking.fit.fit_weights`.
_RIDGE, _LEAST_SCALE = 100.0, 0.1
#: The same for the few numbers of certainty.
_SURE_RIDGE = 5.0
#: In so many parts suites are split to get scores by weights that have not seen them.
_FOLDS = 5
#: What tells that no commit did it and no label has.
_SIGNS = ("told", "outside_words", "settled", "cause")


@dataclass(frozen=True, kw_only=True)
class Page:
    """An incident of a suite, and its candidates as they were measured."""

    suite: str
    case: Labelled
    survey: Survey

    @cached_property
    def culprit(self) -> int | None:
        """The row of the commit that did it; None when no candidate did."""
        rows = [row for row, commit in enumerate(self.survey.commits) if commit.sha in self.case.culprits]
        return rows[0] if rows else None

    @property
    def paged(self) -> float:
        """How far it is told as a page."""
        return self.survey.table.columns["paged"][0]

    def scores(self, weighing: Weighing) -> list[float]:
        """Each candidate's."""
        return scorer.scores(self.survey.table, weighing.of(self.survey.table.columns))

    def matrix(self, features: Sequence[str]) -> NDArray[np.float64]:
        """Candidates x features; what was not measured is zero."""
        nothing = [0.0] * len(self.survey.commits)
        return np.array([self.survey.table.columns.get(feature, nothing) for feature in features]).T


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
        pages = [page for folder in args.suite for page in read_suite(folder, args.home)]
    except RundownError as error:
        raise SystemExit(f"benchmarks.fit_pages: {error}") from None
    shipped = read_weighing()
    report(pages, shipped, fitted_without_each(pages, shipped))
    if args.write:
        counts = {folder.name: sum(page.suite == folder.name for page in pages) for folder in args.suite}
        notes = {**shipped.notes, "pages": counts}
        found = fit_all(pages, shipped).model_copy(update={"release": args.release, "notes": notes})
        scorer.SHIPPED.write_text(json.dumps(found.model_dump(), indent=1) + "\n", encoding="utf8")


def read_suite(folder: Path, home: Path) -> list[Page]:
    """The pages of a suite, measured by the ranker as it is; an incident without any candidate is left out.

    Raises:
        UsageError: the folder holds no repositories.
        CaseError: a line of its cases cannot be read.
        RepositoryError: no repository can be read.
    """
    listed = folder / "repos.txt"
    if listed.is_file():
        specs = [line.strip() for line in listed.read_text(encoding="utf8").splitlines() if "=" in line]
    else:
        specs = [f"{p.name.removesuffix('.git')}={p}" for p in sorted((folder / "repos").glob("*")) if p.is_dir()]
    if not specs:
        raise UsageError(
            f"no repositories in '{folder}'", way_out="put them into repos/, or NAME=PATH lines into repos.txt"
        )
    histories, gaps = open_histories(specs, home=home)
    ranker = Ranker(histories, readers=open_readers())
    for gap in (*gaps, *ranker.refresh()):
        print(gap)
    cases = list(read_labelled(folder / "cases.jsonl", ranker.repos))
    surveys = [(case, survey_case(ranker, case)) for case in track(cases, description=folder.name)]
    return [Page(suite=folder.name, case=case, survey=survey) for case, survey in surveys if survey.commits]


def fitted_without_each(pages: Sequence[Page], shipped: Weighing) -> dict[str, Weighing]:
    """For each suite, what the others teach."""
    suites = dict.fromkeys(page.suite for page in pages)
    return {suite: fit_all([page for page in pages if page.suite != suite], shipped) for suite in suites}


def fit_all(pages: Sequence[Page], shipped: Weighing) -> Weighing:
    """What these pages teach. It starts from the labels' weights, not from what pages taught before: fitted twice, the same comes out.

    Certainty is fitted to scores by weights that have not seen the suite: where they have, every lead is worth more.
    """
    suites = list(dict.fromkeys(page.suite for page in pages))
    unseen: dict[str, Weighing] = {}
    for fold in range(_FOLDS):
        out = suites[fold::_FOLDS]
        unseen |= dict.fromkeys(out, fit_told([page for page in pages if page.suite not in out], shipped))
    weighing = fit_told(pages, shipped)
    weighing = weighing.model_copy(update={"told_odds": _fit_odds(pages, unseen)})
    return weighing.model_copy(update={"doubt_by_hand": _fit_doubt(pages, unseen)})


def fit_told(pages: Sequence[Page], shipped: Weighing) -> Weighing:
    """What is added to each weight before a page."""
    bare = shipped.model_copy(update={"told": {}})
    features = sorted({name for page in pages for name in page.survey.table.columns} - RULING - {"paged"})
    lessons = [
        Lesson(features=page.paged * page.matrix(features), culprit=page.culprit, offset=np.array(page.scores(bare)))
        for page in pages
        if page.culprit is not None
    ]
    told = fit_weights(lessons, ridge=_RIDGE, prior=np.zeros(len(features)), least_scale=_LEAST_SCALE)
    return shipped.model_copy(update={"told": _named(features, told)})


def _fit_odds(pages: Sequence[Page], unseen: Mapping[str, Weighing]) -> dict[str, float]:
    """What a lead is worth, where some commit did it: `scorer.leads`."""
    lessons, names = [], []
    for page in pages:
        if page.culprit is None:
            continue
        weighing = unseen[page.suite]
        found = page.scores(weighing)
        best = max(range(len(found)), key=lambda row: found[row])
        measured = scorer.leads(page.survey.table, best, scorer.chances(found, weighing.temperature)[best])
        names, values = list(measured), np.array(list(measured.values()))
        believed = (1 - page.paged) * measured["chance"]
        lessons.append(_yes_or_no(page.paged * values, yes=best == page.culprit, given=believed))
    start = np.array([float(name == "chance") for name in names])
    return _named(names, fit_weights(lessons, ridge=_SURE_RIDGE, prior=start, least_scale=_LEAST_SCALE))


def _fit_doubt(pages: Sequence[Page], unseen: Mapping[str, Weighing]) -> dict[str, float]:
    """What speaks for it that no commit did it, beside what labels teach of that: `scorer.signs`."""
    lessons = []
    for page in pages:
        weighing = unseen[page.suite]
        measured = scorer.signs(page.survey.table, page.scores(weighing))
        given = sum(weight * measured[sign] for sign, weight in weighing.doubt.items())
        values = np.array([measured[sign] for sign in _SIGNS])
        lessons.append(_yes_or_no(values, yes=not page.case.culprits, given=given))
    start = np.zeros(len(_SIGNS))
    return _named(_SIGNS, fit_weights(lessons, ridge=_SURE_RIDGE, prior=start, least_scale=_LEAST_SCALE))


def _yes_or_no(values: NDArray[np.float64], *, yes: bool, given: float) -> Lesson:
    """Logistic regression as a choice of two: "no" has no features."""
    return Lesson(features=np.array([values, 0 * values]), culprit=0 if yes else 1, offset=np.array([given, 0.0]))


def judged(page: Page, weighing: Weighing) -> Outcome:
    """What `Ranker.rank` would say, and what that is worth."""
    table, found = page.survey.table, page.scores(weighing)
    doubt = scorer.doubted(table, found, weighing.all_doubt) if page.survey.page else 0.0
    order = sorted(range(len(found)), key=lambda row: -found[row])
    chance = scorer.confidences(table, found, weighing, doubt)[order[0]]
    return Outcome(
        place=place_of(page.case.culprits, (page.survey.commits[row].sha for row in order)),
        confidence=chance,
        abstained=scorer.decide(table, order[0], chance, doubt) is Confidence.INCONCLUSIVE,
        caused=bool(page.case.culprits),
    )


def report(pages: Sequence[Page], shipped: Weighing, others: Mapping[str, Weighing]) -> None:
    """As it ships, and with what the other suites teach: all together, and suite by suite."""
    ways: dict[str, Callable[[Page], Weighing]] = {
        "as it ships": lambda page: shipped,
        "learned from the others": lambda page: others[page.suite],
    }
    table = Printed(title=f"{len(pages)} pages of {len(others)} suites")
    for heading in (
        "",
        "Top-1",
        "Top-5",
        "MRR",
        "ECE",
        "Brier",
        "surest quarter",
        "no commit: left open",
        "a commit: left open",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    found = {name: [judged(page, of(page)) for page in pages] for name, of in ways.items()}
    for name, outcomes in found.items():
        table.add_row(name, *_figures(outcomes))
    Console(width=150).print(table)
    before, after = (Evaluation(tuple(outcomes)) for outcomes in found.values())
    for metric in ("top1", "mrr"):
        gain = paired_difference(after, before, metric)
        print(f"{metric} {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
    for suite in others:
        rows = [place for place, page in enumerate(pages) if page.suite == suite]
        mrr = [Evaluation(tuple(outcomes[row] for row in rows)).value("mrr") for outcomes in found.values()]
        print(f"{suite:16s} MRR {mrr[0]:.3f} -> {mrr[1]:.3f}")


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
