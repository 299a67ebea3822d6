"""Read JSON that others wrote field by field, whatever else it holds: PagerDuty's, Confluence's, our own store's.

Does: turn a value into a plain, bounded, printable one of our own: a text, a table, rows, a time, an address.
Does not: fetch anything, know whose object it is, or trust that a field is there or of its documented type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

#: Longest texts kept, in characters: more than people read, less than a flood.
TITLE, LINE, PROSE = 1024, 200, 8000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text(value: Any, limit: int = LINE) -> str:
    """A string without control characters or broken Unicode, cut at `limit` characters. Anything else is ""."""
    if not isinstance(value, str):
        return ""
    clean = _UNPRINTABLE.sub("", value.replace("\r\n", "\n")).encode("utf-8", "replace").decode("utf-8").strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def table(value: Any) -> Mapping[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a JSON list, or none in place of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def time_of(value: Any) -> datetime | None:
    """An aware time from ISO 8601, or None if it is not one."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def web_url(value: Any, *, schemes: Sequence[str] = ("https", "http")) -> str | None:
    """An address a person may follow: absolute, without a user name in it, of a sane length. Else None."""
    found = text(value, 2001)
    if not found or len(found) > 2000 or any(mark in found for mark in ' \n\t<>|"\\'):
        return None
    try:
        parts = urlsplit(found)
        usable = parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return None
    return found if usable else None
