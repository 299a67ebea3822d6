"""Training a Llama from files, on one device or several.

    accelerate launch -m ranking.llama.finetune --base meta-llama/Llama-3.2-1B --out models/culprit \\
        --examples sampled.jsonl --ranked ranked.jsonl --held-out later.jsonl [--texts texts.jsonl]

`python -m ranking.llama.finetune …` does the same on one device. Killed, it goes on when started again. `rundown train
examples` writes the files, as `ranking.llama.examples` can from any ranked incidents.

Does: read the command line and the files, show how far it is, print the numbers.
Does not: hold any of the training (`ranking.llama.train`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RundownError, UsageError
from ranking.llama.examples import read_examples, read_texts
from ranking.llama.prompt import Layout
from ranking.llama.recipe import Recipe
from ranking.llama.train import Trained, train_llama

if TYPE_CHECKING:
    from ranking.ranker import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training; 0 when done, 1 when it failed, 2 for wrong usage."""
    from rich.console import Console

    args = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        recipe = _recipe(args)
        with _shown(console) as progress:
            trained = train_llama(
                args.base,
                args.out,
                examples=read_examples(args.examples) if args.examples else (),
                ranked=read_examples(args.ranked) if args.ranked else (),
                held_out=read_examples(args.held_out) if args.held_out else (),
                texts=read_texts(args.texts) if args.texts else (),
                recipe=recipe,
                progress=progress,
            )
    except RundownError as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        return error.exit_code
    if _leads():
        Console().print(_told(trained, args.out), markup=False, highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ranking.llama.finetune",
        description="Train any Llama to vote on culprits.",
        epilog=(__doc__ or "").partition("\n\n")[2].partition("\n\nDoes:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plain = Recipe()
    files = parser.add_argument_group("data")
    files.add_argument("--base", required=True, help="hub id or folder of the model to start from")
    files.add_argument("--out", required=True, type=Path, help="folder for the result")
    files.add_argument("--examples", type=Path, help="sampled lists, for the first pass")
    files.add_argument("--ranked", type=Path, help="lists as the first stage ranks them, for the second pass")
    files.add_argument("--held-out", type=Path, help="lists of other incidents, to measure before and after")
    files.add_argument("--texts", type=Path, help='lines of {"text"}, for continued pre-training')
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--method", choices=("auto", "lora", "full"), default=plain.method)
    recipe.add_argument("--precision", choices=("auto", "bf16", "fp32"), default=plain.precision)
    recipe.add_argument("--targets", default=",".join(plain.targets), help="layers the adapter changes, by commas")
    recipe.add_argument("--checkpointing", action=argparse.BooleanOptionalAction, help="compute activations again")
    numbers = {
        "rank": "width of the adapter",
        "alpha": "strength of the adapter",
        "rate": "highest learning rate",
        "pretrain_epochs": "how often texts are read",
        "sampled_epochs": "how often sampled lists are read",
        "ranked_epochs": "how often ranked lists are read",
        "batch": "rows read at once on one device",
        "accumulation": "steps for one update",
        "block": "tokens of one block of texts",
        "patience": "looks without gain after which a pass stops",
        "seed": "of every random choice",
    }
    for name, told in numbers.items():
        default = getattr(plain, name)
        kind = float if default is None else type(default)
        recipe.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{told} ({default})")
    recipe.add_argument("--incident-tokens", type=int, default=plain.layout.incident_tokens)
    recipe.add_argument("--candidate-tokens", type=int, default=plain.layout.candidate_tokens)
    recipe.add_argument("--context", type=int, default=plain.layout.context, help="tokens of a whole prompt at most")
    return parser


def _recipe(args: argparse.Namespace) -> Recipe:
    """The recipe the command line names.

    Raises:
        UsageError: a number that cannot be.
    """
    given = {name: getattr(args, name) for name in Recipe.__dataclass_fields__ if hasattr(args, name)}
    layout = {name: getattr(args, name) for name in Layout.__dataclass_fields__}
    whole = ("rank", "alpha", "batch", "accumulation", "patience")
    wrong = [name for name, value in {**layout, **{name: given[name] for name in whole}}.items() if value < 1]
    if wrong:
        raise UsageError(f"--{wrong[0].replace('_', '-')} must be 1 or more")
    targets = tuple(name.strip() for name in args.targets.split(",") if name.strip())
    return Recipe(**{**given, "targets": targets, "layout": Layout(**layout)})


@contextmanager
def _shown(console: Any) -> Iterator[Progress | None]:
    """A line for each pass, in the first process only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not _leads():
        yield None
        return
    lines: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in lines:
                lines[what] = bars.add_task(what, total=total)
            bars.update(lines[what], completed=done, total=total)

        yield tell


def _leads() -> bool:
    """Whether this is the process that speaks: `accelerate launch` numbers them."""
    import os

    return os.environ.get("RANK", "0") == "0"


def _told(trained: Trained, out: Path) -> str:
    lines = [f"{stage.name}: {stage.rows} rows, {stage.steps} updates, {stage.seconds} s" for stage in trained.stages]
    if trained.before and trained.after:
        before, after = trained.before, trained.after
        lines.append(
            f"culprit first in {after.first:.3f} of {after.lists} held-out lists (before {before.first:.3f}, guessing "
            f"{after.guessing:.3f}); {after.nats:.3f} nats (before {before.nats:.3f}, guessing {after.guessing_nats:.3f})"
        )
    return "\n".join([*lines, f"the model and its card are in {out}"])


if __name__ == "__main__":
    sys.exit(main())
