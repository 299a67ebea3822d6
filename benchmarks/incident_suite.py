"""How the ranking behaves on incidents with deploys, flags, decoys, and causes that are no commit: a synthetic suite.

    python -m benchmarks.incident_suite --out DIR [--seed 1] [--json FILE]

Does: write repositories and cases to DIR (see `benchmarks.incident_world`), rank them with the ranker as it is, and print
Top-1, Top-5, MRR and what was said for each kind of incident, the share of no-commit incidents rightly left open, and ECE.
Does not: fit anything. Its texts are made up of templates: it tests behaviour, and weights must not be fitted to its words.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.incident_world import KINDS, build
from core.model import Ranking
from ranking.bulk import Case, rank_case
from ranking.evaluation import Evaluation, Outcome, judge
from ranking.history import open_histories
from ranking.meaning import open_readers
from ranking.ranker import Ranker


def main() -> None:
    """Parse the command line, build, rank and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="an empty or new folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what was said of each incident here, a line each")
    parser.add_argument("--no-events", action="store_true", help="rank without telling of deploys and switches")
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"{args.out} is not empty: give a new folder")
    repos, cases = build(args.out, args.seed)
    (args.out / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf8")
    told = [{**case, "events": []} for case in cases] if args.no_events else cases
    rankings = rank(repos, told, args.out / "home")
    print_table(cases, rankings)
    if args.json:
        rows = [said(case, ranking) for case, ranking in zip(cases, rankings, strict=True)]
        args.json.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")


def rank(repos: dict[str, Path], cases: Sequence[dict[str, Any]], home: Path) -> list[Ranking]:
    """Every case, by the ranker as it is."""
    histories, _ = open_histories([f"{name}={path}" for name, path in repos.items()], home=home)
    ranker = Ranker(histories, readers=open_readers())
    ranker.refresh()
    return [rank_case(ranker, Case.model_validate(case)) for case in cases]


def print_table(cases: Sequence[dict[str, Any]], rankings: Sequence[Ranking]) -> None:
    """A line for each kind of incident, and one for all."""
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for case, ranking in zip(cases, rankings, strict=True):
        by_kind[case["kind"]].append(judge(case["culprits"], ranking))
    print(f"{'kind':26s} {'n':>4s}  Top-1  Top-5  MRR    named")
    for kind in KINDS:
        found = Evaluation(tuple(by_kind[kind]))
        if found.n:
            print(f"{kind:26s} {found.n:4d}  {_marks(found)}  {1 - found.abstained:.2f}")
    everything = Evaluation(tuple(outcome for outcomes in by_kind.values() for outcome in outcomes))
    print(f"{'all with a culprit':26s} {everything.n:4d}  {_marks(everything)}  {1 - everything.abstained:.2f}")
    if everything.blameless:
        print(
            f"no commit did it: {everything.blameless.n} incidents, {everything.blameless.inconclusive:.2f} left open"
        )
    print(f"ECE {everything.ece or 0.0:.3f}")


def _marks(found: Evaluation) -> str:
    return "  ".join(f"{found.value(metric):.3f}" for metric in ("top1", "top5", "mrr"))


def said(case: dict[str, Any], ranking: Ranking) -> dict[str, Any]:
    """What was said of one incident, to look at by hand."""
    first = ranking.culprits[0] if ranking.culprits else None
    place = judge(case["culprits"], ranking).place
    return {
        "id": case["id"],
        "kind": case["kind"],
        "title": case["title"],
        "word": ranking.confidence.value,
        "place": place if place < len(ranking.culprits) + 1 else None,
        "first": f"{first.commit.short} {first.commit.subject}" if first else None,
        "chance": round(first.confidence, 3) if first else None,
        "reasons": [reason.text for reason in first.reasons] if first else [],
    }


if __name__ == "__main__":
    main()
