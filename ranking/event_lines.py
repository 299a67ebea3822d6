"""Deploys and switches as lines of JSON: in a case, and in the file that a team's CI appends to.

Does: read one event, and the events of a file again whenever it has changed; a bad line is told and passed over.
Does not: look anything up, or judge an event.

A line is {"kind": "deploy" | "flag" | "config", "at": unix seconds, "service"?, "sha"?, "name"?}; other keys are ignored.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.model import from_unix
from ranking.events import ChangeEvent

Seconds = Annotated[float, Field(gt=0, lt=32_503_680_000, allow_inf_nan=False)]
#: Bytes of the file's end that are read: some twenty thousand events.
_TAIL = 3_000_000


class EventLine(BaseModel):
    """One event as it is written."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["deploy", "flag", "config"]
    at: Seconds
    service: Annotated[str, Field(max_length=300)] | None = None
    sha: Annotated[str, Field(max_length=300)] | None = None
    name: Annotated[str, Field(max_length=300)] | None = None

    @property
    def event(self) -> ChangeEvent:
        """The event it stands for."""
        return ChangeEvent(kind=self.kind, at=from_unix(self.at), service=self.service, sha=self.sha, name=self.name)


class EventsFile:
    """A file of events that grows while we run.

    Args:
        path: where it lies; it may come into being later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._read: tuple[tuple[ChangeEvent, ...], tuple[str, ...]] = ((), ())

    def read(self) -> tuple[tuple[ChangeEvent, ...], tuple[str, ...]]:
        """The events it holds now, and what of it could not be read, in words."""
        try:
            stat = self._path.stat()
            now = (stat.st_mtime_ns, stat.st_size)
            if now != self._seen:
                with self._path.open("rb") as file:
                    cut = max(0, stat.st_size - _TAIL)
                    file.seek(cut)
                    self._read = _parsed(self._path.name, file.read(), cut=bool(cut))
                self._seen = now
        except OSError as error:
            return (), (f"the events file '{self._path.name}' cannot be read: {error.strerror or error}",)
        return self._read


def _parsed(name: str, content: bytes, *, cut: bool) -> tuple[tuple[ChangeEvent, ...], tuple[str, ...]]:
    events: list[ChangeEvent] = []
    bad = 0
    why = ""
    *lines, last = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    for line in [*lines[cut:], last]:
        if not line.strip():
            continue
        try:
            events.append(EventLine.model_validate_json(line).event)
        except ValidationError as error:
            if line is last:
                continue  # Somebody is writing it at this moment.
            bad += 1
            first = error.errors(include_input=False, include_url=False)[0]
            why = why or f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
    gaps = (f"{bad} line{'s' if bad > 1 else ''} of the events file '{name}' cannot be read ({why})",) if bad else ()
    return tuple(events), gaps
