"""Incidents of a pool of repositories, mined and read one by one: what weights are fitted to beside cases that you bring.

    python -m benchmarks.read_pool --pool openstack --repo [NAME=]PATH … --out CASES.jsonl

Does: mine reverts and blame of the pool's repositories, two weeks before each incident, and write the cases that
`learning/read_labels.tsv` keeps, each with all of the pool's repositories as its candidates.
Does not: read cases (people and models did, under the rule that the file's log entry tells), or fetch repositories.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.model import from_unix
from ranking.history import History, open_histories
from ranking.labels.cases import Labelled, write_cases
from ranking.labels.mine import mine

LABELS = Path(__file__).parents[1] / "learning" / "read_labels.tsv"
#: Until when each pool was mined. What Wikimedia's repositories hold from then on is reserved for testing.
POOLS = {
    "wikimedia-production": datetime(2020, 2, 1, tzinfo=UTC),
    "wikimedia-applications": datetime(2020, 2, 1, tzinfo=UTC),
    "openstack": datetime(2026, 10, 1, tzinfo=UTC),
    "google-infrastructure": datetime(2026, 10, 1, tzinfo=UTC),
}
_WINDOW_DAYS = 14.0


def main() -> None:
    """Mine, keep what was read and kept, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", choices=POOLS, required=True)
    parser.add_argument("--repo", action="append", required=True, metavar="[NAME=]PATH")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=Path, default=LABELS, help="pool, case id and keep or drop, by tabs")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    args = parser.parse_args()
    histories, gaps = open_histories(args.repo, home=args.home)
    for gap in gaps:
        print(gap, file=sys.stderr)
    kept = read_kept(args.labels, args.pool)
    cases = pool_cases(histories, kept, POOLS[args.pool])
    write_cases(args.out, cases)
    print(
        f"{len(cases)} cases written to {args.out}; {len(kept) - len(cases)} that were kept are in none of the repositories given"
    )


def read_kept(file: Path, pool: str) -> frozenset[str]:
    """The ids of a pool's cases that were read and kept."""
    with file.open(encoding="utf8", newline="") as lines:
        rows: list[Mapping[str, str]] = list(csv.DictReader(lines, delimiter="\t"))
    return frozenset(row["id"] for row in rows if row["pool"] == pool and row["decision"] == "keep")


def pool_cases(histories: Sequence[History], kept: frozenset[str], before: datetime) -> list[Labelled]:
    """The kept cases among what can be mined, by time, each a question to all of the repositories.

    Args:
        kept: case ids, as `ranking.labels.mine` makes them.
        before: nothing committed then or later is read.
    """
    names = tuple(history.name for history in histories)
    found: list[Labelled] = []
    for history in histories:
        history.refresh()
        mined = mine(history, since=from_unix(0), before=before, window_days=_WINDOW_DAYS)
        found += [case.model_copy(update={"repos": names}) for case in mined.cases if case.id in kept]
    return sorted(found, key=lambda case: case.created_at)


if __name__ == "__main__":
    main()
