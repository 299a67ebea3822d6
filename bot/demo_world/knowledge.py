"""The shop's knowledge folder: runbooks, wiki pages and reports of past incidents, in the formats teams keep them in.

Does: copy the documents out of the package, and turn "@{40d}" in them into the day 40 days before the alert.
Does not: write anything into them that is newer than the alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

_DAYS_AGO = re.compile(r"@\{(\d+)d\}")


def write_knowledge(path: Path, *, now: datetime) -> None:
    """Write every document below a folder that is not there yet."""
    path.mkdir(parents=True)
    for name, text in _documents(files("bot.demo_world").joinpath("documents")):
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_DAYS_AGO.sub(lambda found: _day(now, int(found[1])), text), encoding="utf-8")


def _documents(folder: Traversable, below: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _documents(entry, f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry.read_text(encoding="utf-8")


def _day(now: datetime, days_ago: int) -> str:
    return (now - timedelta(days=days_ago)).date().isoformat()
