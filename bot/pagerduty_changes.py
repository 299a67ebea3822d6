"""PagerDuty's change events for an incident: what was deployed and switched before it.

Does: ask for those PagerDuty relates to the incident, for those of its service in the days before, and for those of all
services in the hours before; read each as a deploy, a flag or a setting.
Does not: keep them, or guess: what is only a build, a merge or a failed job tells of nothing that went live.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from ingest import fields as f
from ingest import pagerduty_fields as pd
from ingest.pagerduty_client import PagerDutyRefused
from ranking.events import ChangeEvent

if TYPE_CHECKING:
    from ingest.pagerduty_client import PagerDutyClient

#: How far back its own service's changes are asked for, and everybody's; and how many of each at most.
OWN, EVERYBODYS, LIMIT = timedelta(days=14), timedelta(hours=24), 200
#: Services whose names are looked up for one incident.
LOOKUPS = 5

_SHA = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b")
_SHA_KEYS = (
    "sha",
    "commit",
    "commit_sha",
    "commit_id",
    "git_sha",
    "git_commit",
    "revision",
    "head_sha",
    "commit_hash",
    "ref",
)
_NAME_KEYS = ("flag", "flag_key", "flag_name", "feature", "toggle", "setting", "parameter", "config_key", "key", "name")
_VERSION_KEYS = ("version", "tag", "release", "image_tag", "environment", "build")
_SERVICE_KEYS = ("service", "service_name", "app", "application", "component")
_COMMIT_LINK = re.compile(r"/(?:commits?|-/commit|\+)/([0-9a-f]{7,40})\b|/compare/[^/?#]*?\.{2,3}([0-9a-f]{7,40})\b")
_FLAG = re.compile(
    r"\b(feature[ -]?flags?|flags?|toggles?|experiments?|kill[ -]?switch|launchdarkly|unleash|flagsmith|statsig)\b",
    re.I,
)
_CONFIG = re.compile(
    r"\b(config(uration)?|settings?|parameters?|terraform|env(ironment)? var(iable)?s?|secrets? rotated)\b", re.I
)
_DEPLOY = re.compile(
    r"\b(deploy(s|ed|ing|ment)?|release[ds]?|roll(ed|ing)?[ -]?(out|back)|rollback|shipp?(ed)?|promot(ed|ion)|canary|went live)\b",
    re.I,
)
_FAILED = re.compile(r"\b(fail(ed|ure|s)?|abort(ed)?|cancel(l?ed)?|error(ed)?)\b", re.I)
#: The same in a sentence: of the deploy itself, since summaries quote commits, and commits speak of failures.
_DEPLOY_FAILED = re.compile(
    r"\b(deploy\w*|releas\w+|rollout|build|pipeline|job)\s+([^\s:]+\s+){0,3}(failed|aborted|cancell?ed|errored)"
    r"(?=\s*($|[.,;:)!]|(on|in|at|after|with|during|for)\b))"
    r"|\bfailed\s+(to\s+)?(deploy|release|build|rollout)",
    re.I,
)
_QUOTED = re.compile(r"[`'\"“]([\w.:/-]{3,80})[`'\"”]")
_CODE_NAME = re.compile(r"\b[A-Za-z]\w*(?:[-_.][A-Za-z0-9]+)+\b|\b[a-z]+(?:[A-Z][a-z0-9]+)+\b")


def read_changes(client: PagerDutyClient, incident_id: str, created_at: datetime) -> list[ChangeEvent]:
    """What PagerDuty knows to have changed before an incident, oldest first.

    Args:
        incident_id: "pd:…".
        created_at: when it began; later changes are left out.

    Raises:
        PagerDutyUnavailable: PagerDuty did not answer, or will not (`PagerDutyRefused`).
    """
    path = f"/incidents/{quote(incident_id.removeprefix('pd:'), safe='')}"
    service = f.table(f.table(client.get(path).get("incident")).get("service"))
    found = f.rows(client.get(f"{path}/related_change_events", {"limit": 100}).get("change_events"))
    own = f"/services/{quote(str(service.get('id')), safe='')}/change_events"
    for place, span in ((own, OWN), ("/change_events", EVERYBODYS)):
        window = {"since": (created_at - span).isoformat(), "until": created_at.isoformat()}
        found += islice(client.pages(place, "change_events", window), LIMIT)
    unique = {str(item.get("id")): item for item in found}
    names = _service_names(client, unique.values(), {str(service.get("id")): pd.name_of(service) or ""})
    events = [event for item in unique.values() if (event := change_event(item, names))]
    return sorted((event for event in events if event.at < created_at), key=lambda event: event.at)


def _service_names(
    client: PagerDutyClient, items: Iterable[Mapping[str, Any]], names: dict[str, str]
) -> Mapping[str, str]:
    """The names of services that events give by id alone, a few looked up; the id itself for the rest, which is nobody's name."""
    references = [reference for item in items for reference in f.rows(item.get("services"))]
    told = {str(item.get("id")): f.text(item.get("summary")) or f.text(item.get("name")) for item in references}
    unknown = [key for key, name in told.items() if not name and key not in names]
    for key in unknown[:LOOKUPS]:
        try:
            found = client.get(f"/services/{quote(key, safe='')}", background=True).get("service")
        except PagerDutyRefused:
            continue
        told[key] = f.text(f.table(found).get("name"))
    return {key: names.get(key) or name or key for key, name in told.items()}


def change_event(item: Mapping[str, Any], names: Mapping[str, str]) -> ChangeEvent | None:
    """One change event of PagerDuty's, or None where it tells of nothing that was deployed or switched.

    Args:
        item: as the REST API gives it (api-schema, "ChangeEvent").
        names: the names of services by id: an event may give its service without one.
    """
    at, summary = f.time_of(item.get("timestamp")), f.text(item.get("summary"), f.TITLE)
    details = dict(_leaves(f.table(item.get("custom_details"))))
    outcome = " ".join(details.get(key, "") for key in ("status", "state", "result", "build_state"))
    if at is None or _FAILED.search(outcome) or _DEPLOY_FAILED.search(summary):
        return None
    words = " ".join((summary, f.text(item.get("source")), *details))
    sha = _sha(summary, details, f.rows(item.get("links")))
    named = _named(_SERVICE_KEYS, details) or _service(f.rows(item.get("services")), names)
    kind = _kind(words)
    if kind is None:
        return None
    if kind == "deploy":
        return ChangeEvent(
            kind=kind, at=at, service=named, sha=sha, name=_named(_VERSION_KEYS, details) or summary[:200] or None
        )
    name = _named(_NAME_KEYS, details) or _name_in(summary)
    return ChangeEvent(kind=kind, at=at, service=named, sha=sha, name=name) if name else None


def _kind(words: str) -> Literal["deploy", "flag", "config"] | None:
    """What was changed; None for builds, merges and whatever else says nothing of production."""
    if _FLAG.search(words):
        return "flag"
    if _DEPLOY.search(words):
        return "deploy"
    return "config" if _CONFIG.search(words) else None


def _sha(summary: str, details: Mapping[str, str], links: Iterable[Mapping[str, Any]]) -> str | None:
    for key in _SHA_KEYS:
        match = _SHA.fullmatch(details.get(key, "").lower())
        if match:
            return match[0]
    for link in links:
        match = _COMMIT_LINK.search(str(link.get("href")))
        if match:
            return match[1] or match[2]
    match = _SHA.search(summary)
    return match[0] if match else None


def _named(keys: Iterable[str], details: Mapping[str, str]) -> str | None:
    return next((details[key][:200] for key in keys if details.get(key)), None)


def _name_in(summary: str) -> str | None:
    """The flag or setting that a sentence is about: in quotes, or spelt as only code is."""
    match = _QUOTED.search(summary)
    if match:
        return match[1]
    match = _CODE_NAME.search(summary)
    return match[0] if match else None


def _service(services: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> str | None:
    return next((name for item in services if (name := names.get(str(item.get("id"))) or pd.name_of(item))), None)


def _leaves(details: Mapping[str, Any], depth: int = 3) -> Iterator[tuple[str, str]]:
    """Every text or number among details by its key in one spelling; inner tables too."""
    for key, value in islice(details.items(), 60):
        if isinstance(value, Mapping) and depth:
            yield from _leaves(value, depth - 1)
        elif isinstance(value, str | int | float):
            yield re.sub(r"\W+", "_", str(key).strip().lower()), f.text(str(value), 200)
