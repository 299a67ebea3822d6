"""Training the cause reader on incidents with the commits around them.

    python -m ranking.cause --incidents learning/causes.jsonl --hold-out shop \\
        --pages learning/cause_pages.jsonl --repo /srv/git/crates.io --repo /srv/git/warehouse --out models/cause

Incidents tell the commits around them. Pages name a real commit, or say that none did it: the others are those of its repository at that
time, or those that the page names, so a clone is needed, and pages of repositories that are not given are left out. A team's own pages
serve as well.

Does: read the command line, show how far it is, print the numbers.
Does not: hold any of the training (`ranking.cause.training`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from core.errors import RundownError, UsageError
from ranking.cause.pages import gather, read_pages
from ranking.cause.training import Recipe, Told, read_told, train
from ranking.history import open_histories
from ranking.ranker import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; 0 when done, 1 when it failed, 2 for wrong usage."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    args = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        with Bars(console=console) as bars:
            lines: dict[str, TaskID] = {}

            def tell(what: str, done: int, total: int | None) -> None:
                if what not in lines:
                    lines[what] = bars.add_task(what, total=total)
                bars.update(lines[what], completed=done)

            recipe = Recipe(
                seed=args.seed, epochs=args.epochs, rate=args.rate, odds_rate=20 * args.rate, share=args.share
            )
            told = [*read_told(args.incidents), *_of_pages(args, tell)]
            numbers = train(
                told,
                args.out,
                hold_out=args.hold_out,
                start=args.start,
                recipe=recipe,
                release=args.release,
                progress=tell,
            )
    except RundownError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return error.exit_code
    found = (
        f"of {numbers.incidents} held-out incidents: culprit first in {numbers.first:.3f}, area {numbers.area:.3f}; "
        if numbers
        else ""
    )
    Console().print(f"{found}the reader and its card are in {args.out}", markup=False, highlight=False)
    return 0


def _of_pages(args: argparse.Namespace, tell: Progress) -> list[Told]:
    """Incidents made of pages; none without `--pages`."""
    if not args.pages:
        return []
    histories, refused = open_histories(args.repo, home=args.home)
    if refused:
        raise UsageError("a repository cannot be read", why=refused[0], way_out="correct or leave out its --repo")
    for history in histories:
        history.refresh(partial(tell, f"indexing {history.name}"))
    return gather(read_pages(args.pages), histories, seed=args.seed, progress=tell)


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no share: give a number above 0 and at most 1, such as 0.5")


def _parser() -> argparse.ArgumentParser:
    plain = Recipe()
    parser = argparse.ArgumentParser(
        prog="ranking.cause",
        description="Train the model that says whether a change would explain a page.",
        epilog=(__doc__ or "").partition("\n\n")[2].partition("\n\nDoes:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--incidents", type=Path, required=True, help="a JSON object a line, see learning/causes.jsonl")
    parser.add_argument("--pages", type=Path, help="pages of real commits, see learning/cause_pages.jsonl")
    parser.add_argument("--repo", action="append", default=[], metavar="[NAME=]PATH", help="a clone that pages are of")
    parser.add_argument("--home", type=Path, default=Path("~/.rundown").expanduser(), help="where indexes are kept")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    parser.add_argument(
        "--hold-out", action="append", default=[], metavar="WORLD", help="measure on it only; may be repeated"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FOLDER", help="a reader to go on from (MiniLM, as its package carries it)"
    )
    parser.add_argument("--epochs", type=int, default=plain.epochs, help=f"passes over the incidents ({plain.epochs})")
    parser.add_argument(
        "--rate",
        type=float,
        default=plain.rate,
        help=f"highest learning rate of the layers ({plain.rate:g}); twenty times that for the odds",
    )
    parser.add_argument(
        "--share",
        type=_share,
        default=plain.share,
        help=f"what the trained weights count, the rest is what they started from ({plain.share:g})",
    )
    parser.add_argument("--seed", type=int, default=plain.seed, help=f"of every random choice ({plain.seed})")
    parser.add_argument("--release", default="cause-minilm", help="the name the model carries (cause-minilm)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
