"""`rundown index status|rebuild|verify`: parse, call, print.

Does: exit with 1 when the index is not what it should be. Does not: hold logic (`bot.index_admin`).
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.duration import duration

if TYPE_CHECKING:
    from rich.console import Console

    from bot.index_admin import Rebuilt, Verdict

index_app = typer.Typer(help="The index of documents: how it is, whether it is whole, a new one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
#: Differences that are named one by one.
_NAMED = 20


@index_app.command("status")
def status_command(as_json: Json = False) -> None:
    """Which index answers, what made it, and what it holds of each source.

    Example: rundown index status
    """
    from bot.index_admin import status
    from core.settings import read_settings
    from core.store import open_store

    settings = read_settings()
    told = status(settings, open_store(settings.store_url))
    if as_json:
        _print_json(told)
    else:
        show_status(told, _console())


@index_app.command("rebuild")
def rebuild_command(
    model: Annotated[
        str | None,
        typer.Option("--model", help="Its embedding model. Default: the configured one.", metavar="ID_OR_FOLDER"),
    ] = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Remove the old index at once, not with the next rebuild.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Sources read at the same time.")] = 1,
    as_json: Json = False,
) -> None:
    """Make a new index from every known source while the old one answers, verify it, and only then use it.

    It may be stopped anywhere: running it again goes on. A running `rundown serve` takes the new one up within seconds.

    Example: rundown index rebuild --model BAAI/bge-small-en-v1.5
    """
    from bot.cli import _progress
    from bot.index_admin import rebuild
    from core.model import to_json
    from core.settings import read_settings
    from core.store import open_store

    settings = read_settings()
    store = open_store(settings.store_url)
    with _progress(quiet=as_json) as progress:
        done = rebuild(settings, store, model=model, drop_old=drop_old, workers=workers, progress=progress)
    if as_json:
        _print_json(to_json(done))
    else:
        show_rebuilt(done, _console())


@index_app.command("verify")
def verify_command(
    repair: Annotated[
        bool, typer.Option("--repair", help="Sync again what differs, forget what is not wanted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the index that answers with its manifest; exit code 1 if they differ.

    Every document is held whole, as it was stored, and nothing beside; the vectors have the right length. With the engine
    inside the process, stop `rundown serve` first: it holds the index.

    Example: rundown index verify --repair
    """
    from bot.cli import _progress
    from bot.index_admin import repair as mend
    from bot.index_admin import verify
    from core.model import to_json
    from core.settings import read_settings
    from core.store import open_store

    settings = read_settings()
    store = open_store(settings.store_url)
    if repair:
        with _progress(quiet=as_json) as progress:
            verdict = mend(settings, store, progress=progress)
    else:
        verdict = verify(settings, store)
    if as_json:
        _print_json(to_json(verdict) | {"sound": verdict.sound, "way_out": verdict.way_out})
    else:
        show_verdict(verdict, _console())
    raise typer.Exit(0 if verdict.sound else 1)


def show_status(told: dict[str, Any], console: Console) -> None:
    """The state in words, and a line for each source."""
    from rich.table import Table
    from rich.text import Text

    size = f", {told['bytes'] / 1e6:.1f} MB" if told["bytes"] is not None else ""
    pieces = "?" if told["pieces"] is None else told["pieces"]
    console.print(f"Generation {told['generation']} answers, {told['engine']}{size}", highlight=False, markup=False)
    console.print(f"Made by {told['space'] or told['model']}", highlight=False, markup=False)
    console.print(f"{pieces} pieces held, {told['pieces_in_manifest']} in the manifest", highlight=False)
    if told["model"] != told["configured_model"]:
        line = f"{told['configured_model']} is configured: `rundown index rebuild` changes to it while this one answers"
        console.print(line, highlight=False, markup=False)
    for other in told["generations"]:
        if other["number"] != told["generation"]:
            made = other["space"] or other["model"]
            console.print(f"Generation {other['number']}: {other['state']}, {made}", highlight=False, markup=False)
    if told["gap"]:
        console.print(told["gap"], highlight=False, markup=False)
    table = Table("source", "documents", "pieces", "synced", "")
    for row in told["sources"]:
        synced = "never noted" if row["age_s"] is None else f"{duration(timedelta(seconds=row['age_s']))} ago"
        cells = (row["source"], str(row["documents"]), str(row["pieces"]), synced, row["error"] or "")
        table.add_row(*map(Text, cells))  # as they are: a path may hold what looks like markup
    if told["sources"]:
        console.print(table)
    else:
        console.print("It holds nothing yet: `rundown ingest FOLDER` fills it.")


def show_rebuilt(done: Rebuilt, console: Console) -> None:
    """What a rebuild did, in words."""
    began = "went on and finished" if done.resumed else "made"
    console.print(
        f"{began} generation {done.generation}: {done.documents} documents, {done.pieces} pieces by {done.model}. It answers now.",
        highlight=False,
        markup=False,
    )
    kept = "kept until the next rebuild" if done.kept else "removed"
    console.print(f"Generation {done.before} is {kept}.", highlight=False)
    for report in done.reports:
        for item in report.skipped:
            console.print(f"  skipped {report.source} {item.doc_id}: {item.reason}", highlight=False, markup=False)


def show_verdict(verdict: Verdict, console: Console) -> None:
    """Whether the index is whole, and what is not."""
    held = f"generation {verdict.generation}: {verdict.documents} documents, {verdict.pieces} pieces"
    if verdict.sound:
        console.print(f"{held}, all as the manifest says", highlight=False)
        return
    console.print(held, highlight=False)
    for item in verdict.differences[:_NAMED]:
        console.print(f"  {item.source} {item.doc_id}: {item.what}", highlight=False, markup=False)
    if len(verdict.differences) > _NAMED:
        console.print(f"  and {len(verdict.differences) - _NAMED} more", highlight=False)
    if verdict.vectors:
        console.print(f"  {verdict.vectors}", highlight=False, markup=False)
    console.print(f"To put it right, {verdict.way_out}.", highlight=False, markup=False)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
