"""Our ranking beside plain ones, on the same candidates of the same cases: quality, seconds, and what indexing costs.

    python -m benchmarks.ranking --cases CASES.jsonl --repo [NAME=]PATH … [--slice 'lag>1'] [--chart FILE.png]
    python -m benchmarks.ranking --speed PATH

Does: rank each case's window by chance, recency, BM25, BM25 and recency, MiniLM's cosine, and Rundown; print Top-k and MRR
with intervals, the paired difference to BM25 and recency, calibration and seconds, for all cases and for each slice.
Does not: fit anything, or show a ranker what the slices are made of: candidates are what the ranker itself considers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.index_speed import print_speed
from core.errors import RundownError
from core.model import Commit
from ranking.baselines import BM25_RECENCY, Pool, document, newest_first
from ranking.bulk import rank_case
from ranking.charts import check_chart_path, draw_methods, draw_reliability
from ranking.evaluation import METRICS, TOP, Evaluation, Outcome, judge, judge_scores, paired_difference
from ranking.history import open_histories
from ranking.labels.cases import Labelled, read_labelled, with_whole_ids
from ranking.labels.slices import slice_test
from ranking.meaning import open_readers
from ranking.ranker import Ranker

OURS, MINILM = "Rundown", "MiniLM"
_HEADINGS = {**{f"top{k}": f"Top-{k}" for k in TOP}, "mrr": "MRR"}
_CHARTED = ("top1", "top3", "top5", "mrr")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One case and what came of it, by method."""

    case: Labelled
    outcomes: dict[str, Outcome]
    candidates: int


def main() -> None:
    """Parse the command line and print the tables."""
    args = _arguments()
    try:
        if args.speed:
            print_speed(args.speed)
        else:
            compare(args)
    except RundownError as error:
        raise SystemExit(f"benchmarks.ranking: {error}") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, action="append", default=[], metavar="CASES.jsonl")
    parser.add_argument("--repo", action="append", default=[], metavar="[NAME=]PATH")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--limit", type=int, default=10**9, help="cases of each file, spread evenly")
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="FIELD OP VALUE",
        help="a table of these cases too: lag>1, kind=revert, same_author=false, hindsight=true, repo=curl",
    )
    parser.add_argument(
        "--chart", type=Path, metavar="FILE.png|FILE.svg", help="draw the methods, and beside it FILE-confidence"
    )
    parser.add_argument(
        "--no-minilm", action="store_true", help="leave out MiniLM, which takes minutes for thousands of commits"
    )
    parser.add_argument(
        "--speed", type=Path, metavar="PATH", help="measure how fast this repository is indexed, and nothing else"
    )
    args = parser.parse_args()
    if not args.speed and not (args.cases and args.repo):
        parser.error("give --cases and --repo, or --speed PATH")
    return args


def compare(args: argparse.Namespace) -> None:
    """Rank every case by every method, and print the tables."""
    wanted = [(text, slice_test(text)) for text in args.slice]
    if args.chart:
        check_chart_path(args.chart)
    histories, gaps = open_histories(args.repo, home=args.home)
    for gap in gaps:
        print(gap)
    ranker = Ranker(histories, readers=open_readers())
    told = [case for path in args.cases for case in spread(read_labelled(path, ranker.repos), args.limit)]
    started = time.monotonic()
    for gap in ranker.refresh():
        print(gap)
    print(f"{len(histories)} repositories indexed in {time.monotonic() - started:.1f} s")
    embedding = None if args.no_minilm else Embedded()
    judged = [judge_case(ranker, case, embedding) for case in with_whole_ids(told, histories)]
    print_table("all", judged)
    for text, test in wanted:
        print_table(text, [one for one in judged if test(one.case)])
    if args.chart:
        draw(args.chart, judged)


def spread(cases: Sequence[Labelled], limit: int) -> list[Labelled]:
    """At most `limit` cases, evenly from first to last."""
    step = max(1.0, len(cases) / limit)
    return [cases[int(place * step)] for place in range(min(limit, len(cases)))]


def judge_case(ranker: Ranker, case: Labelled, embedding: Embedded | None) -> Judged:
    """One case by every method, ours last."""
    ranking = rank_case(ranker, case)
    commits = newest_first(ranking)
    outcomes = Pool(commits).judge_all(case.title, case.description, case.culprits)
    if embedding is not None:
        started = time.monotonic()
        scores = embedding.scores(f"{case.title}\n{case.description}", commits)
        shas = [commit.sha for commit in commits]
        outcomes[MINILM] = judge_scores(case.culprits, shas, scores, seconds=time.monotonic() - started)
    return Judged(case=case, outcomes={**outcomes, OURS: judge(case.culprits, ranking)}, candidates=len(commits))


class Embedded:
    """Cosines of texts to commits, by the project's own embedder; a commit is embedded once for all cases."""

    def __init__(self) -> None:
        from retrieval.embedding import open_embedder

        self._embedder = open_embedder()
        self._vectors: dict[str, Any] = {}

    def scores(self, text: str, commits: Sequence[Commit]) -> list[float]:
        """The cosine of each commit's message and paths to a text."""
        import numpy as np

        new = [commit for commit in commits if commit.sha not in self._vectors]
        found = self._embedder.embed_documents([document(commit) for commit in new])
        self._vectors |= {
            commit.sha: np.asarray(vector, dtype=np.float16) for commit, vector in zip(new, found, strict=True)
        }
        if not commits:
            return []
        table = np.stack([self._vectors[commit.sha] for commit in commits]).astype(np.float32)
        return [float(score) for score in table @ np.asarray(self._embedder.embed_query(text), dtype=np.float32)]


def figures(judged: Sequence[Judged]) -> dict[str, Evaluation]:
    """Method -> its figures over these cases."""
    methods = list(judged[0].outcomes) if judged else []
    return {name: Evaluation(tuple(one.outcomes[name] for one in judged)) for name in methods}


def print_table(name: str, judged: Sequence[Judged]) -> None:
    """Quality and seconds of each method, a line each, and what can be said of ours."""
    found = figures(judged)
    if not found:
        print(f"\n{name}: no case")
        return
    sizes = sorted(one.candidates for one in judged)
    print(f"\n{name}: {len(judged)} cases, candidates median {sizes[len(sizes) // 2]}")
    print(f"{'':15s} " + "".join(f"{heading:21s}" for heading in _HEADINGS.values()) + "seconds median, p95")
    for method, figure in found.items():
        cells = "".join(f"{_cell(figure, metric):21s}" for metric in METRICS)
        print(f"{method:15s} {cells}" + ("{:.3f}, {:.3f}".format(*figure.seconds) if figure.seconds else "-"))
    for line in _about_ours(found):
        print(line)


def _cell(figure: Evaluation, metric: str) -> str:
    low, high = figure.interval(metric)
    return f"{figure.value(metric):.3f} [{low:.3f}, {high:.3f}]"


def _about_ours(found: dict[str, Evaluation]) -> Iterator[str]:
    ours = found[OURS]
    gains = ((metric, paired_difference(ours, found[BM25_RECENCY], metric)) for metric in ("top1", "top5", "mrr"))
    told = (f"{_HEADINGS[metric]} {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]" for metric, gain in gains)
    yield f"{OURS} less {BM25_RECENCY}, paired: {', '.join(told)}"
    if ours.ece is not None:
        covered = ", ".join(f"{share} % {right:.3f}" for share, right in ours.coverage.items())
        named = f"{ours.answered_top1:.3f}" if ours.answered_top1 is not None else "-"
        yield f"confidence: ECE {ours.ece:.3f}; Top-1 of the surest {covered}; abstained {ours.abstained:.3f}, of the named {named} right"
    if ours.blameless:
        said = ours.blameless
        yield f"no culprit in {said.n} cases: inconclusive {said.inconclusive:.3f}, wrongly named {said.named:.3f}"


def draw(path: Path, judged: Sequence[Judged]) -> None:
    """The methods side by side, and our reliability diagram beside it."""
    found = figures(judged)
    bars = {
        name: {_HEADINGS[metric]: (figure.value(metric), *figure.interval(metric)) for metric in _CHARTED}
        for name, figure in found.items()
    }
    ours = found[OURS]
    draw_methods(path, bars, title=f"{ours.n} incidents with known culprits, 95 % intervals")
    beside = path.with_stem(f"{path.stem}-confidence")
    draw_reliability(beside, ours.bins, title=f"{ours.n} incidents", ece=ours.ece)
    print(f"wrote {path} and {beside}")


if __name__ == "__main__":
    main()
