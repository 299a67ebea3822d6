"""How long a page waits for its ranking, with nothing read ahead and after reading ahead, beside plain words and time.

    python -m benchmarks.page_speed --repo [NAME=]PATH … [--candidates 1000] [--pages 20]

Does: rank written pages at moments of a team's past, so far apart that no candidate is met twice; each way in a process of its own,
twice, the second time in the other order, so that a slow minute is seen. A first page, which loads the readers, is not counted.
Does not: judge what comes first: the pages are of other houses, and no commit caused them.
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.apart import apart, peak_mb
from core.errors import RundownError, UsageError
from core.model import Incident, from_unix
from ranking.baselines import BM25_RECENCY, Pool, newest_first
from ranking.cause.pages import read_pages
from ranking.history import History, open_histories
from ranking.meaning import Readers, open_readers
from ranking.ranker import Ranker

PAGES = Path("learning/cause_pages.jsonl")
#: The whole ranking, which the others are told beside.
WHOLE = "with the readers, nothing read ahead"
_FEATURES, _AHEAD = "features alone", "with the readers, after reading ahead"
PLAIN = f"{BM25_RECENCY}, commits at hand"
WAYS = (PLAIN, _FEATURES, WHOLE, _AHEAD)


def main() -> None:
    """Parse the command line, rank, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", action="append", required=True, metavar="[NAME=]PATH")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--candidates", type=int, default=1000, help="of each page (1000)")
    parser.add_argument("--pages", type=int, default=20, help="how many, if the past is long enough (20)")
    parser.add_argument("--texts", type=Path, default=PAGES, help=f"pages, a JSON object a line ({PAGES})")
    args = parser.parse_args()
    try:
        histories, gaps = open_histories(args.repo, home=args.home)
        for gap in (*gaps, *Ranker(histories).refresh()):
            print(gap)
        incidents = spread(histories, args.texts, args.candidates, args.pages)
    except RundownError as error:
        raise SystemExit(f"benchmarks.page_speed: {error}") from None
    found: dict[str, list[float]] = {}
    peaks: dict[str, float] = {}
    for way in track((*WAYS, *WAYS[::-1]), description=f"{len(incidents)} pages a way"):
        seconds, peak = apart(waits, way, args.repo, args.home, incidents, args.candidates)
        found[way] = found.get(way, []) + seconds
        peaks[way] = max(peaks.get(way, 0.0), peak)
    print_table(found, peaks, title=f"{args.candidates} candidates of {len(histories)} repositories")


def spread(histories: Sequence[History], texts: Path, candidates: int, pages: int) -> list[Incident]:
    """Pages and one more to begin with, latest first, each so many commits before the one above.

    Raises:
        UsageError: too few pages, or too short a past for two.
    """
    times: dict[str, int] = {}
    for history in histories:
        times |= history.last_times_before(datetime.now(UTC), candidates * (pages + 1))
    newest = heapq.nlargest(candidates * (pages + 1), times.values())
    starts = [newest[place] for place in range(0, len(newest) - candidates + 1, candidates)]
    told = read_pages(texts)
    if min(len(starts), len(told)) < 2:
        raise UsageError(
            f"{len(told)} pages, and {len(times)} commits of which each takes {candidates}",
            way_out="give --texts with two pages or more, more --repo, or fewer --candidates",
        )
    return [
        Incident(
            id=page.id,
            title=page.title,
            description=page.description,
            created_at=from_unix(start) + timedelta(seconds=1),
            service=page.service or "web",
        )
        for page, start in zip(told, starts, strict=False)
    ]


def waits(
    way: str, repos: Sequence[str], home: Path, incidents: Sequence[Incident], candidates: int
) -> tuple[list[float], float]:
    """Seconds that each page but the first waited, and the most memory held, in MB. Runs in a process of its own."""
    histories, _ = open_histories(repos, home=home)
    ranker = Ranker(histories, readers=open_readers() if way in (WHOLE, _AHEAD) else Readers())

    found: list[float] = []
    for incident in incidents:
        if way == _AHEAD:
            ranker.warm(incident.created_at)
            ranker.read_ahead(incident.created_at)
        started = time.monotonic()
        ranking = ranker.rank(incident, limit=candidates, window_commits=candidates)
        if way == PLAIN:
            commits, started = newest_first(ranking), time.monotonic()
            Pool(commits).judge_all(incident.title, incident.description, ())
        found.append(time.monotonic() - started)
    return found[1:], peak_mb()


def print_table(found: dict[str, list[float]], peaks: dict[str, float], *, title: str) -> None:
    """Median, p95 and most of each way, its median beside the whole ranking's, and memory."""
    table = Table(title=title)
    for heading in ("seconds", "pages", "median", "p95", "most", "of the whole", "peak MB"):
        table.add_column(heading, justify="left" if heading == "seconds" else "right")
    whole = float(np.median(found[WHOLE]))
    for way, seconds in found.items():
        middle, high = float(np.median(seconds)), float(np.quantile(seconds, 0.95, method="higher"))
        figures = (f"{middle:.2f}", f"{high:.2f}", f"{max(seconds):.2f}", f"{middle / whole:.2f}")
        table.add_row(way, str(len(seconds)), *figures, f"{peaks[way]:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
