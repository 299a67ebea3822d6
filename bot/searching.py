"""`rundown search`: the index asked once or in bulk, and why each document stands where it stands.

Does: open the library, ask, print. Does not: rank; `retrieval` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.app import open_library
from core.errors import UsageError
from core.model import to_json
from core.settings import read_settings
from core.store import open_store

if TYPE_CHECKING:
    from rich.console import Console

    from retrieval.retriever import Found

#: What is shown of a section.
_CHARS = 300


def search_once(query: str, *, limit: int, service: str | None = None) -> list[Found]:
    """The documents that match a query and that everyone may read, best first.

    Raises:
        UsageError: it asks nothing.
    """
    if not query.strip():
        raise UsageError("cannot search for nothing", why="the query is empty", way_out='for example: "disk full"')
    settings = read_settings()
    with open_library(settings, open_store(settings.store_url)) as library:
        return library.retriever.look(query, limit=limit, service=service, fold=True)


def search_in_bulk(queries: Path, out: Path, *, limit: int, progress: Callable[..., None]) -> int:
    """Answer every query of a file, by the contract of `rundown search --queries`; how many there were."""
    from retrieval.bulk import search_file

    settings = read_settings()
    with open_library(settings, open_store(settings.store_url)) as library:
        return search_file(
            library.retriever, queries, out, limit=limit, progress=lambda done: progress("searching", done)
        )


def as_json(found: Sequence[Found], *, explain: bool) -> list[dict[str, Any]]:
    """What `--json` prints: the evidence, and with `explain` what every way of looking said of it."""
    return [to_json(item.evidence) | ({"why": _why(item)} if explain else {}) for item in found]


def _why(item: Found) -> dict[str, Any]:
    return {
        "source": item.source,
        "placed_by": item.placed_by or None,
        "closeness": round(item.closeness, 4),
        "shared_names": sorted(item.shared),
        "related": item.related,
        "fused": round(item.standing.score, 4),
        "ways": [
            {
                "way": voice.label,
                "place": voice.place,
                "score": round(voice.score, 4),
                "stands_out": round(voice.stands_out, 3),
            }
            for voice in item.standing.voices
        ],
        "signals": [{"text": signal.text, "weight": round(signal.weight, 3)} for signal in item.signals],
        "alike": [twin.doc_id for twin in item.alike],
    }


def show(found: Sequence[Found], console: Console, *, explain: bool) -> None:
    """Print what was found, and first of all whether it answers."""
    from rich.markup import escape

    from retrieval.answering import ANSWERS

    if not found:
        console.print(
            "Nothing in the index that everyone may read matches. `rundown index status` tells what it holds."
        )
        return
    if found[0].evidence.score < ANSWERS:
        console.print(f"[yellow]Nothing clearly answers this[/] (best guess {found[0].evidence.score:.0%}). Nearest:")
    for place, item in enumerate(found, start=1):
        evidence = item.evidence
        heading = escape(" › ".join((evidence.title, *evidence.section)))
        console.print(
            f"[bold]{place}. {heading}[/]  [dim]{escape(evidence.doc_id or '')}  {evidence.score:.0%}[/]", emoji=False
        )
        console.print(f"   {escape(evidence.text[:_CHARS])}", highlight=False, emoji=False)
        for line in reasons(item) if explain else ():
            console.print(f"   [cyan]·[/] [dim]{escape(line)}[/]", highlight=False, emoji=False)


def reasons(item: Found) -> list[str]:
    """Why a document stands where it stands, a line each, what counted most first."""
    ways = sorted(item.standing.voices, key=lambda voice: -voice.stands_out)
    lines = [f"its place is {item.placed_by}'s"] if item.placed_by else []
    lines += [
        f"{voice.label}: {_ordinal(voice.place)}, {voice.stands_out:+.1f} deviations from the rest of that list"
        for voice in ways
    ]
    if item.shared:
        lines.append(f"both name {', '.join(sorted(item.shared)[:5])}")
    lines.append(f"nearness in meaning {item.closeness:.2f}{'' if item.related else ': too far to be related'}")
    lines += [f"{signal.text} ({signal.weight:+.2f})" for signal in item.signals]
    lines += [f"says the same as {twin.doc_id}" for twin in item.alike]
    said_by = f", its words {item.evidence.tier.value}'s" if item.evidence.within else ""
    lines.append(f"{item.evidence.kind.value}{said_by}, from {item.source}")
    return lines


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
