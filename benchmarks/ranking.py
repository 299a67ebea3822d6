"""Our ranking beside plain ones, on the same candidates of the same cases: quality and seconds.

    python -m benchmarks.ranking --cases CASES.jsonl --repo [NAME=]PATH … [--limit N] [--home DIR]
    python -m benchmarks.ranking --cases CASES.jsonl --repo [NAME=]PATH … --fit

Does: rank each case's window by recency, BM25, both, and Rundown; print Top-k, MRR, calibration and time. With --fit,
fit the weights of `ranking.scorer` to the cases instead and print them; several --cases are weighed alike.
Does not: change anything, or read a repository's future: candidates are what the ranker itself considers.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from core.model import Commit, Ranking, from_unix
from ranking import fit, scorer
from ranking.bulk import Case, rank_case
from ranking.features import Question
from ranking.history import open_histories
from ranking.ranker import Ranker
from ranking.text import Bm25, count_terms

TOP = (1, 3, 5, 10, 20)
#: What all cases of a file weigh together in a fit, so that a small file counts like a large one.
FILE_WEIGHT = 800.0


class Labelled(Case):
    """A case with its answer."""

    culprits: tuple[str, ...]


def main() -> None:
    """Parse the command line and print the table, or the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, action="append", required=True, metavar="CASES.jsonl")
    parser.add_argument("--repo", action="append", required=True, metavar="[NAME=]PATH")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--limit", type=int, default=10**9, help="cases of each file, spread evenly")
    parser.add_argument("--fit", action="store_true", help="fit the weights to the cases and print them")
    args = parser.parse_args()
    histories, gaps = open_histories(args.repo, home=args.home)
    for gap in gaps:
        print(gap)
    ranker = Ranker(histories)
    started = time.monotonic()
    ranker.refresh()
    print(f"{len(histories)} repositories indexed in {time.monotonic() - started:.1f} s")
    files = [spread(list(read(path)), args.limit) for path in args.cases]
    if args.fit:
        print_fit(ranker, files)
    else:
        print_table(ranker, [case for cases in files for case in cases])


def read(path: Path) -> Iterator[Labelled]:
    """The labelled cases of a file."""
    with path.open(encoding="utf8") as lines:
        for line in lines:
            if line.strip():
                yield TypeAdapter(Labelled).validate_json(line)


def spread(cases: list[Labelled], limit: int) -> list[Labelled]:
    """At most `limit` cases, evenly from first to last."""
    step = max(1.0, len(cases) / limit)
    return [cases[int(place * step)] for place in range(min(limit, len(cases)))]


def print_table(ranker: Ranker, cases: Sequence[Labelled]) -> None:
    """Quality and seconds of each method, a line each."""
    places: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    sure: list[tuple[float, bool]] = []
    for case in cases:
        ranking = rank_case(ranker, case)
        pool = newest_first(ranking)
        found = {**baselines(case, pool), "Rundown": (ours(case, ranking), ranking.seconds)}
        for method, (place, spent) in found.items():
            places.setdefault(method, []).append(place)
            seconds.setdefault(method, []).append(spent)
        if ranking.culprits:
            sure.append((ranking.culprits[0].confidence, found["Rundown"][0] == 1))
    print(f"{len(cases)} cases\n{'method':16s} " + " ".join(f"Top-{k:<4d}" for k in TOP) + "   MRR   median s   p95 s")
    for method, ranks in places.items():
        spent = sorted(seconds[method])
        row = " ".join(f"{sum(rank <= k for rank in ranks) / len(ranks):<8.3f}" for k in TOP)
        mean = sum(1 / rank for rank in ranks) / len(ranks)
        print(
            f"{method:16s} {row} {mean:.3f}   {statistics.median(spent):.3f}      {spent[math.ceil(0.95 * len(spent)) - 1]:.3f}"
        )
    print(f"calibration error of our confidence {calibration_error(sure):.3f}")


def newest_first(ranking: Ranking) -> list[Commit]:
    """All candidates of a ranking by time."""
    return sorted((culprit.commit for culprit in ranking.culprits), key=lambda c: (-c.committed_at.timestamp(), c.sha))


def baselines(case: Labelled, pool: Sequence[Commit]) -> dict[str, tuple[float, float]]:
    """Place of the culprit and seconds, by method. Ties count against the method."""
    started = time.monotonic()
    documents = [
        count_terms(" ".join((c.subject, c.subject, c.body, *(change.path for change in c.files)))) for c in pool
    ]
    model = Bm25(documents)
    wanted = count_terms(f"{case.title}\n{case.title}\n{case.description}")
    rarity = model.rarity(wanted)
    words = model.scores({term: rarity[term] * count for term, count in wanted.items()})
    spent = time.monotonic() - started
    by_words = sorted(range(len(pool)), key=lambda index: -words[index])
    both = [0.0] * len(pool)
    for place, index in enumerate(by_words):
        both[index] = 1 / (20 + place) + 0.5 / (20 + index)
    recency = [-float(index) for index in range(len(pool))]
    return {
        name: (worst_place(case, pool, scores), cost)
        for name, scores, cost in (("recency", recency, 0.0), ("BM25", words, spent), ("BM25 + recency", both, spent))
    }


def worst_place(case: Labelled, pool: Sequence[Commit], scores: Sequence[float]) -> float:
    """The culprit's place if every tie goes against it; infinity when it is not in the pool."""
    own = [score for commit, score in zip(pool, scores, strict=True) if commit.sha in case.culprits]
    return sum(score >= max(own) for score in scores) if own else math.inf


def ours(case: Labelled, ranking: Ranking) -> float:
    """The culprit's place in our ranking."""
    return next((place for place, c in enumerate(ranking.culprits, 1) if c.commit.sha in case.culprits), math.inf)


def calibration_error(sure: Sequence[tuple[float, bool]]) -> float:
    """Expected calibration error over ten equal bins."""
    gaps = [0.0] * 10
    for confidence, right in sure:
        gaps[min(9, int(confidence * 10))] += confidence - right
    return sum(map(abs, gaps)) / max(1, len(sure))


def print_fit(ranker: Ranker, files: Sequence[Sequence[Labelled]]) -> None:
    """Weights and temperature fitted to all cases, and Top-1, Top-5 and MRR on fifths left out in turn."""
    import numpy as np

    features = sorted(scorer.WEIGHTS)
    lessons: list[fit.Lesson] = []
    for cases in files:
        measured = [row for case in cases if (row := measure(ranker, case, features))]
        lessons += [
            fit.Lesson(features=rows, culprit=culprit, weight=FILE_WEIGHT / len(measured)) for rows, culprit in measured
        ]
    held_out: list[Any] = [None] * len(lessons)
    for fold in range(5):
        weights = fit.fit_weights([lesson for place, lesson in enumerate(lessons) if place * 5 // len(lessons) != fold])
        for place, lesson in enumerate(lessons):
            if place * 5 // len(lessons) == fold:
                held_out[place] = lesson.features @ weights
    ranks = [int((s >= s[lesson.culprit]).sum()) for s, lesson in zip(held_out, lessons, strict=True)]
    top1, top5, mrr = np.mean([(r <= 1, r <= 5, 1 / r) for r in ranks], axis=0)
    print(f"left out: Top-1 {top1:.3f}   Top-5 {top5:.3f}   MRR {mrr:.3f}")
    print(f"TEMPERATURE = {fit.fit_temperature(held_out, [lesson.culprit for lesson in lessons]):.2f}")
    for feature, weight in zip(features, fit.fit_weights(lessons), strict=True):
        print(f'    "{feature}": {weight:.3f},')


def measure(ranker: Ranker, case: Labelled, features: Sequence[str]) -> tuple[Any, int] | None:
    """The features of a case's candidates, and the culprit's row; None when it is not among them."""
    import numpy as np

    ranking = rank_case(ranker, case)
    commits = newest_first(ranking)
    culprit = next((index for index, commit in enumerate(commits) if commit.sha in case.culprits), None)
    if culprit is None:
        return None
    question = Question(title=case.title, description=case.description, moment=from_unix(case.created_at))
    table, _ = ranker.measured(question, commits)
    zeros = [0.0] * len(commits)
    return np.array([table.columns.get(feature, zeros) for feature in features]).T, culprit


if __name__ == "__main__":
    main()
