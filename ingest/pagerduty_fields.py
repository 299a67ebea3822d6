"""Read PagerDuty's objects field by field, whatever else they hold: the same for webhooks, REST and past incidents.

Does: turn an incident, alert, custom fields or a reference into values of our own nouns; find the runbook they name, and the
marks by which an alert is known again.
Does not: fetch anything, or read a single value (`ingest.fields`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from ingest.fields import LINE, PROSE, TITLE, rows, table, text, time_of, web_url
from retrieval.alike import alert_name
from retrieval.story import ALERT, CLASS, DEDUP

_LINKS, _FIELDS, _LINES, _DEPTH = 10, 30, 60, 6

_RUNBOOK = re.compile(r"(?:run|play)[ _-]?book", re.IGNORECASE)
_RUNBOOK_IN_TEXT = re.compile(
    r"\b(?:run|play)[ _-]?book(?:[ _-]?(?:url|link))?[\"']?\s*[:=]\s*[<\"'(]?(https://[^\s<>\"'|)\]]+)", re.IGNORECASE
)
#: A key that PagerDuty made because the sender gave none: another one each time.
_MADE_UP = re.compile(r"[0-9a-f]{32}")
_NUMBERED = re.compile(r"^\[#\d+\]\s*")
#: Keys whose value says the most, in the order to show them.
_TELLING = ("description", "message", "summary", "body", "details")


def name_of(reference: Any) -> str | None:
    """What to call the thing a resource reference points at."""
    found = table(reference)
    return text(found.get("summary")) or text(found.get("name")) or text(found.get("id")) or None


def person(reference: Any) -> str | None:
    """The display name of a user or bot; None for services, integrations and nobody."""
    return name_of(reference) if table(reference).get("type") in _PEOPLE else None


_PEOPLE = ("user_reference", "user", "bot_user_reference")


def incident_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `core.model.Incident` that an incident, or a reference to one, sets; as JSON values.

    Args:
        data: `event.data` of a webhook, an incident of the REST API, or an incident reference.
    """
    number = data.get("number", data.get("incident_number"))
    created_at = time_of(data.get("created_at"))
    fields = {
        "title": text(data.get("title"), TITLE) or _NUMBERED.sub("", text(data.get("summary"), TITLE)),
        "url": web_url(data.get("html_url")),
        "number": number if isinstance(number, int) and not isinstance(number, bool) else None,
        "urgency": text(data.get("urgency"), 32),
        "priority": name_of(data.get("priority")),
        "service": name_of(data.get("service")),
        "created_at": created_at.isoformat() if created_at else None,
        "description": describe(data.get("description")) or describe(table(data.get("body")).get("details")),
    }
    return {name: value for name, value in fields.items() if value} | custom_fields(data.get("custom_fields"))


def custom_fields(values: Any) -> dict[str, Any]:
    """`custom_fields`, and `runbook_url` if one of them is the runbook, from a list of field values."""
    pairs: list[list[str]] = []
    for item in rows(values)[:_FIELDS]:
        name, value = text(item.get("name"), 64), _shown(item.get("value"))
        if name and value:
            pairs.append([name, value])
    fields: dict[str, Any] = {"custom_fields": pairs} if pairs else {}
    named = (web_url(value, schemes=("https",)) for name, value in pairs if _RUNBOOK.match(name))
    runbook = next((url for url in named if url), None)
    return fields | ({"runbook_url": runbook} if runbook else {})


def describe(details: Any) -> str:
    """Alert details in words: the telling text first, then a line for each other value; addresses are left to `links`."""
    if isinstance(details, str):
        return text(details, PROSE)
    leaves = list(islice(_leaves(details), _LINES))
    order = {name: place for place, name in enumerate(_TELLING)}
    leaves.sort(key=lambda leaf: order.get(leaf[0], len(order)))
    lines = [value if name in order else f"{name}: {value}" for name, value in leaves if not web_url(value)]
    return text("\n".join(dict.fromkeys(lines)), PROSE)


def alert_marks(alerts: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """What tells whether another alert is the same: the rule's name, its class and its deduplication key.

    Args:
        alerts: as the REST API gives them, the first first. `cef_details`, which no schema publishes, may hold the class.

    Returns:
        Pairs of a mark of `retrieval.story` and a value, each mark once.
    """
    found: dict[str, str] = {}
    for alert in alerts:
        body = table(alert.get("body"))
        told = describe(body.get("details"))
        classes = (table(body.get("cef_details")).get("event_class"), table(body.get("details")).get("class"))
        marks = (
            (ALERT, alert_name(told) or ""),
            (CLASS, next((name for name in map(text, classes) if name), "")),
            (DEDUP, "" if _MADE_UP.fullmatch(key := text(alert.get("alert_key"), LINE)) else key),
        )
        for name, value in marks:
            if value:
                found.setdefault(name, value)
    return tuple(found.items())


def links(contexts: Any, details: Any) -> list[dict[str, str]]:
    """Addresses an alert names, with titles: those of its contexts, then values of its details that are one."""
    found: dict[str, str] = {}
    for item in rows(contexts):
        url = web_url(item.get("href"))
        if url:
            found.setdefault(url, text(item.get("text"), 80) or urlsplit(url).hostname or url)
    for name, value in islice(_leaves(details), _LINES):
        url = web_url(value)
        if url:
            found.setdefault(url, name)
    return [{"title": title, "url": url} for url, title in found.items()][:_LINKS]


def runbook(found: Sequence[Mapping[str, str]], prose: str) -> str | None:
    """The runbook that a link's title or a text names ("runbook_url: https://…"), if it is https."""
    for item in found:
        if _RUNBOOK.search(item["title"]) and web_url(item["url"], schemes=("https",)):
            return item["url"]
    match = _RUNBOOK_IN_TEXT.search(prose)
    return web_url(match.group(1).rstrip(".,;"), schemes=("https",)) if match else None


def _leaves(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The named values of nested details, "outer.inner" for nested ones."""
    if isinstance(value, dict) and depth < _DEPTH:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{text(key, 64)}" if name else text(key, 64), depth + 1)
    else:
        shown = _shown(value)
        if shown:
            yield name or "details", shown


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return text(", ".join(str(item) for item in value[:20] if isinstance(item, (str, int, float))), PROSE)
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)[:64]
    return text(value, PROSE)
