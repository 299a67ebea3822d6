"""Training the small Llama on commit histories.

    python -m ranking.small --repo shop=/srv/git/shop --repo api=/srv/git/api --before 2026-01-01 \\
        --hold-out api --minutes 30 --out models/small-llama

starts from MiniLM. `--start FOLDER` goes on from a small Llama that is there, on a team's own history: the one that ships
lies in ranking/small/weights. Killed, it goes on when started again. Incidents are mined from the histories' own reverts,
`Fixes:` trailers and prose, or read with `--cases`.

Does: read the command line, refresh the indexes, show how far it is, print the numbers.
Does not: hold any of the training (`ranking.small.training`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import RundownError, UsageError
from ranking.history import History, open_histories
from ranking.labels.cases import read_labelled
from ranking.ranker import Progress
from ranking.small.pairs import COMMITS, gather
from ranking.small.training import SmallRecipe, Trained, train_small


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; 0 when done, 1 when it failed, 2 for wrong usage."""
    from rich.console import Console

    args = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        with _shown(console) as progress:
            trained = _run(args, progress, console)
    except RundownError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return error.exit_code
    Console().print(_told(trained), markup=False, highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    plain = SmallRecipe()
    parser = argparse.ArgumentParser(
        prog="ranking.small",
        description="Train the small Llama that reads incidents and commits.",
        epilog=(__doc__ or "").partition("\n\n")[2].partition("\n\nDoes:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--repo", action="append", required=True, metavar="[NAME=]PATH", help="a repository; may be repeated"
    )
    data.add_argument(
        "--before", required=True, type=_date, metavar="DATE", help="nothing committed then or later is read"
    )
    data.add_argument(
        "--hold-out",
        action="append",
        default=[],
        metavar="NAME",
        help="a repository to measure on only; may be repeated",
    )
    data.add_argument("--cases", type=Path, help="labelled incidents, instead of mining them")
    data.add_argument("--commits", type=_count, default=COMMITS, help=f"commits sampled of each repository ({COMMITS})")
    data.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    run = parser.add_argument_group("training")
    how_long = run.add_mutually_exclusive_group(required=True)
    how_long.add_argument("--minutes", type=float, help="how long to train")
    how_long.add_argument("--steps", type=_count, help="or how many updates; gives the same weights again")
    run.add_argument("--out", required=True, type=Path, help="folder for the result")
    run.add_argument("--start", type=Path, metavar="FOLDER", help="a small Llama to go on from, instead of MiniLM")
    run.add_argument("--layers", type=_count, default=plain.layers, help=f"of a new model, 1 to 6 ({plain.layers})")
    run.add_argument("--pairs", type=_count, default=plain.pairs, help=f"incidents of one update ({plain.pairs})")
    run.add_argument("--seed", type=int, default=plain.seed, help=f"of every random choice ({plain.seed})")
    run.add_argument("--release", default="small-llama", help="the name the model carries (small-llama)")
    return parser


def _date(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no date: write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


def _run(args: argparse.Namespace, progress: Progress, console: Any) -> Trained:
    """Read, then train. Raises as `gather` and `train_small`."""
    histories, refused = open_histories(args.repo, home=args.home)
    if refused:
        raise UsageError("a repository cannot be read", why=refused[0], way_out="correct or leave out its --repo")
    for history in histories:
        _refresh(history, progress)
        for gap in history.gaps:
            console.print(gap, style="yellow", markup=False, highlight=False)
    names = [history.name for history in histories]
    material = gather(
        histories,
        before=args.before,
        hold_out=args.hold_out,
        cases=read_labelled(args.cases, names) if args.cases else None,
        commits=args.commits,
        seed=args.seed,
        progress=progress,
    )
    return train_small(
        material,
        args.out,
        minutes=args.minutes,
        steps=args.steps,
        start=args.start,
        recipe=SmallRecipe(seed=args.seed, layers=args.layers, pairs=args.pairs),
        release=args.release,
        progress=progress,
    )


def _refresh(history: History, progress: Progress) -> None:
    history.refresh(lambda done, total: progress(f"indexing {history.name}", done, total))


@contextmanager
def _shown(console: Any) -> Iterator[Progress]:
    """A line for each thing that takes time."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    lines: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console) as bars:

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in lines:
                lines[what] = bars.add_task(what, total=total)
            bars.update(lines[what], completed=done, total=total)

        yield tell


def _told(trained: Trained) -> str:
    lines = [f"{stage.name}: {stage.steps} updates, {stage.minutes} min" for stage in trained.card.stages]
    if trained.before and trained.after:
        before, after = trained.before, trained.after
        lines.append(
            f"culprit closest in {after.first:.3f} of {after.incidents} held-out incidents (at the start {before.first:.3f}, "
            f"guessing {after.guessing:.3f}); {after.nats:.3f} nats (at the start {before.nats:.3f})"
        )
    return "\n".join([*lines, f"the model and its card are in {trained.folder}"])


if __name__ == "__main__":
    sys.exit(main())
