"""How long a page waits for its ranking, with nothing read ahead and after reading ahead, beside plain words and time.

    python -m benchmarks.page_speed --repo [NAME=]PATH … [--candidates 1000] [--pages 40]

Does: rank written pages at moments of a team's past, so far apart that no candidate is met twice, by each way in turn.
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

from core.errors import RundownError, UsageError
from core.model import Incident, from_unix
from ranking.baselines import BM25_RECENCY, Pool, newest_first
from ranking.cause.pages import read_pages
from ranking.history import History, open_histories
from ranking.meaning import Readers, open_readers
from ranking.ranker import Ranker

PAGES = Path("learning/cause_pages.jsonl")


def main() -> None:
    """Parse the command line, rank, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", action="append", required=True, metavar="[NAME=]PATH")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--candidates", type=int, default=1000, help="of each page (1000)")
    parser.add_argument("--pages", type=int, default=40, help="how many, if the past is long enough (40)")
    parser.add_argument("--texts", type=Path, default=PAGES, help=f"pages, a JSON object a line ({PAGES})")
    args = parser.parse_args()
    try:
        histories, gaps = open_histories(args.repo, home=args.home)
        gaps += Ranker(histories).refresh()
        for gap in gaps:
            print(gap)
        incidents = spread(histories, args.texts, args.candidates, args.pages)
        print_table(waits(histories, incidents, args.candidates), len(histories), args.candidates)
    except RundownError as error:
        raise SystemExit(f"benchmarks.page_speed: {error}") from None


def spread(histories: Sequence[History], texts: Path, candidates: int, pages: int) -> list[Incident]:
    """Pages and one more to begin with, latest first, each so many commits before the one above.

    Raises:
        UsageError: no pages, or too short a past for two.
    """
    times: dict[str, int] = {}
    for history in histories:
        times |= history.last_times_before(datetime.now(UTC), candidates * (pages + 1))
    newest = heapq.nlargest(candidates * (pages + 1), times.values())
    starts = [newest[place] for place in range(0, len(newest) - candidates + 1, candidates)]
    found = [
        Incident(
            id=page.id,
            title=page.title,
            description=page.description,
            created_at=from_unix(start) + timedelta(seconds=1),
            service=page.service or "web",
        )
        for page, start in zip(read_pages(texts), starts, strict=False)
    ]
    if len(found) < 2:
        raise UsageError(
            f"{len(times)} commits in all, and {candidates} candidates a page",
            way_out="ask for fewer, or give more --repo",
        )
    return found


def waits(histories: Sequence[History], incidents: Sequence[Incident], candidates: int) -> dict[str, list[float]]:
    """Seconds each page waited, by way. All ways rank one page before any ranks the next, so that a slow minute is every way's."""
    alone = Ranker(histories, readers=Readers())
    cold, ahead = Ranker(histories, readers=open_readers()), Ranker(histories, readers=open_readers())
    first, *others = incidents
    for ranker in (cold, ahead):  # what is loaded once a process is no page's wait
        ranker.rank(first, window_commits=candidates)
    found: dict[str, list[float]] = {}
    for incident in track(others, description="ranking"):
        ranking = alone.rank(incident, limit=candidates, window_commits=candidates)
        started = time.monotonic()
        Pool(newest_first(ranking)).judge_all(incident.title, incident.description, ())
        found.setdefault(BM25_RECENCY, []).append(time.monotonic() - started)
        found.setdefault("features alone", []).append(ranking.seconds)
        seconds = cold.rank(incident, window_commits=candidates).seconds
        found.setdefault("with the readers", []).append(seconds)
        ahead.warm(incident.created_at)
        ahead.read_ahead(incident.created_at)
        seconds = ahead.rank(incident, window_commits=candidates).seconds
        found.setdefault("… after reading ahead", []).append(seconds)
    return found


def print_table(found: dict[str, list[float]], repositories: int, candidates: int) -> None:
    """Median, p95 and most of each way, and its median beside the whole ranking's."""
    pages = len(next(iter(found.values())))
    table = Table(title=f"{pages} pages of {candidates} candidates, {repositories} repositories")
    for heading in ("seconds", "median", "p95", "most", "of the whole"):
        table.add_column(heading, justify="left" if heading == "seconds" else "right")
    whole = float(np.median(found["with the readers"]))
    for way, seconds in found.items():
        middle, high = np.median(seconds), np.quantile(seconds, 0.95, method="higher")
        table.add_row(way, f"{middle:.2f}", f"{high:.2f}", f"{max(seconds):.2f}", f"{middle / whole:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
