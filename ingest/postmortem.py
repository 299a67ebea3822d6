"""Whether a document tells of a past incident, and when that was.

Does: judge by folder, file name and title, and read the day from front matter, file name or first lines.
Does not: read the document for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any

from core.model import Tier

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-/_.]?(0[1-9]|1[0-2])[-/_.]?(0[1-9]|[12]\d|3[01])(?!\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d+)?\s*(Z|UTC|[+-]\d\d:?\d\d)?)?"
)
_MONTH_FIRST = re.compile(r"\b([A-Z][a-z]{2})[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?,? ((?:19|20)\d\d)\b")
_DAY_FIRST = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)? ([A-Z][a-z]{2})[a-z]*\.?,? ((?:19|20)\d\d)\b")

_FOLDERS = {
    "runbook": Tier.RUNBOOK,
    "playbook": Tier.RUNBOOK,
    "wiki": Tier.WIKI,
    "incident": Tier.PAST_INCIDENT,
    "postmortem": Tier.PAST_INCIDENT,
    "post-mortem": Tier.PAST_INCIDENT,
    "outage": Tier.PAST_INCIDENT,
}
_NAMES = {"runbook": Tier.RUNBOOK, "playbook": Tier.RUNBOOK, "postmortem": Tier.PAST_INCIDENT}
_REPORT = re.compile(r"\b(post[- ]?mortem|incident (report|review)|outage report|root cause analysis)\b", re.IGNORECASE)
_TELLS_WHEN = ("occurred_at", "incident_date", "started_at", "start_time", "date")


def tier_of(path: PurePosixPath, title: str, text: str) -> Tier:
    """How far to trust a document, by where it lies.

    The nearest folder named runbooks, playbooks, wiki, incidents, postmortems or outages decides; then a file name with
    "runbook" or "postmortem" in it; then a title that says it is an incident report, if its first lines tell a day.
    Otherwise it is a wiki page.
    """
    for folder in reversed(path.parts[:-1]):
        if (tier := _FOLDERS.get(folder.lower().replace("_", "-").removesuffix("s"))) is not None:
            return tier
    stem = re.sub(r"post[-_ ]mortem", "postmortem", path.stem.lower())
    for word in re.split(r"[^a-z]+", stem):
        if (tier := _NAMES.get(word.removesuffix("s"))) is not None:
            return tier
    is_report = _REPORT.search(title) and find_day(_first_lines(text)) is not None
    return Tier.PAST_INCIDENT if is_report else Tier.WIKI


def occurred_at(path: PurePosixPath, front: Mapping[str, Any], text: str) -> datetime | None:
    """When the incident that a document tells of happened: by its front matter, file name, or first lines.

    Returns:
        None if it does not tell. A day without an hour is taken to its last second, so that an incident of that day
        never finds its own report.
    """
    for name in _TELLS_WHEN:
        if (found := as_time(front.get(name))) is not None:
            return found
    return find_day(path.name) or find_day(_first_lines(text))


def as_time(value: Any) -> datetime | None:
    """A front matter value as a time; one without a zone is UTC, a day without an hour is its last second."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return _end_of(value.year, value.month, value.day)
    return find_day(value) if isinstance(value, str) else None


def find_day(text: str) -> datetime | None:
    """The first date in a text: 2024-05-01, 2024-05-01T10:20Z, 20240501, May 1, 2024 or 1 May 2024."""
    found = [(match.start(), made) for match in _ISO.finditer(text) if (made := _from_iso(match))]
    for pattern, order in ((_MONTH_FIRST, (3, 1, 2)), (_DAY_FIRST, (3, 2, 1))):
        for match in pattern.finditer(text):
            year, month, day = (match[index] for index in order)
            if month.lower() in _MONTHS and (made := _end_of(int(year), _MONTHS.index(month.lower()) + 1, int(day))):
                found.append((match.start(), made))
    return min(found, default=(0, None))[1]


def _from_iso(match: re.Match[str]) -> datetime | None:
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    if match[4] is None:
        return _end_of(year, month, day)
    zone = (match[7] or "Z").replace("UTC", "Z").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(f"{year}-{month:02}-{day:02}T{match[4]}:{match[5]}:{match[6] or '00'}{zone}")
    except ValueError:
        return _end_of(year, month, day)


def _end_of(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime.combine(date(year, month, day), time(), UTC) + timedelta(days=1, seconds=-1)
    except (ValueError, OverflowError):
        return None


def _first_lines(text: str) -> str:
    return "\n".join([line for line in text[:4000].split("\n") if line.strip()][:12])
