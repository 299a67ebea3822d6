"""Deploys and switches as lines of JSON: in a case, and in the file that a team's CI appends to.

Does: read one event, and the events of a file again whenever it has changed; a bad line is told and passed over.
Does not: look anything up, or judge an event.

A line is {"kind": "deploy" | "flag" | "config", "at": unix seconds or ISO 8601, "service"?, "sha"?, "name"?, "environment"?}; other keys
are ignored. The words that pipelines and flag tools use for these keys and kinds are understood too (`_KEYS`, `_KINDS`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core.model import from_unix
from ranking.events import ChangeEvent


def _unix(told: object) -> object:
    """Unix seconds of an ISO 8601 time, in UTC where it names no zone; anything else as it is."""
    if not isinstance(told, str) or not re.match(r"\d{4}-\d\d-\d\d", told):
        return told
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return told
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


Seconds = Annotated[float, BeforeValidator(_unix), Field(gt=0, lt=32_503_680_000, allow_inf_nan=False)]
#: Bytes of the file's end that are read: some twenty thousand events.
_TAIL = 3_000_000
#: Our key -> what else it is called.
_KEYS = {
    "kind": ("type", "event"),
    "at": ("timestamp", "time", "ts", "deployed_at"),
    "sha": ("commit", "commit_sha", "revision", "git_sha"),
    "name": ("flag", "key", "version", "tag", "description"),
    "service": ("app", "application", "component"),
    "environment": ("env", "stage"),
}
#: Our kind -> what else it is called, without "_", "-" and blanks.
_KINDS = {
    "deploy": ("deployment", "release", "rollout", "rollback", "canary", "promotion"),
    "flag": ("featureflag", "flagflip", "flagchange", "flagswitch", "toggle", "experiment", "killswitch"),
    "config": ("configuration", "configpush", "configchange", "setting", "settings"),
}
_KIND_OF = {said: kind for kind, others in _KINDS.items() for said in (kind, *others)}
#: Kinds that say more of a deploy than that it was one: its name then says it too.
_TELLING = ("rollback", "canary")


class EventLine(BaseModel):
    """One event as it is written."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Literal["deploy", "flag", "config"]
    at: Seconds
    service: Annotated[str, Field(max_length=300)] | None = None
    sha: Annotated[str, Field(max_length=300)] | None = None
    name: Annotated[str, Field(max_length=300)] | None = None
    environment: Annotated[str, Field(max_length=300)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_our_words(cls, told: Any) -> Any:
        """The line with our keys and kinds; what it does not know stays, for the check to refuse."""
        if not isinstance(told, Mapping):
            return told
        line = dict(told)
        for ours, others in _KEYS.items():
            known = next((line[key] for key in (ours, *others) if line.get(key) is not None), None)
            line |= {} if known is None else {ours: known}
        said = re.sub(r"[-_ ]", "", str(line.get("kind"))).lower()
        if said in _TELLING:
            line["name"] = f"{said} {line.get('name') or ''}".strip()
        return {**line, "kind": _KIND_OF.get(said, line.get("kind"))}

    @property
    def event(self) -> ChangeEvent:
        """The event it stands for."""
        return ChangeEvent(
            kind=self.kind,
            at=from_unix(self.at),
            service=self.service,
            sha=self.sha,
            name=self.name,
            environment=self.environment,
        )


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
