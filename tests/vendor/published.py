"""What the vendors publish of the APIs that stand-ins speak, from files that whoever runs the tests has downloaded.

None of them is in this repository: not all may be passed on. RUNDOWN_PUBLISHED names a folder that has them:

    pagerduty.json               PagerDuty's reference/REST/openapiv3.json, of its repository api-schema
    pagerduty_webhooks.md        its docs/webhooks/01-Overview.md, of developer-docs
    confluence_v2.json           Atlassian's OpenAPI document of Confluence Cloud's REST v2
    confluence_v1.json           the one of v1
    confluence_data_center.json  the one of v1 as it was in 2021
    confluence_data_center/      a client of Data Center's REST API that openapi-typescript-codegen made, as the npm package
                                 @atlassian-dc-mcp/confluence has one in src/: **/services/*.ts is read

Data Center's own document (10.0) has requests and parameters, and leaves out the shapes of pages, people and groups. Parameters come from
the client, which was made of it; shapes from Cloud's v1 as it was when it still had the requests that Data Center has.

Does: read the files once a process; judge by them what stand-ins tell.
Does not: judge anything when no folder is named, ask for the files, or keep anything of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from judge import Api

#: Read at import: inside a test no setting of this machine is there any more.
FOLDER = Path(named).resolve() if (named := os.environ.get("RUNDOWN_PUBLISHED")) else None
_NEEDED = (
    "pagerduty.json",
    "pagerduty_webhooks.md",
    "confluence_v2.json",
    "confluence_v1.json",
    "confluence_data_center.json",
    "confluence_data_center",
)
#: For a test that asks what is published.
needs_files = pytest.mark.skipif(FOLDER is None, reason="RUNDOWN_PUBLISHED names no folder with the vendors' files")

#: The requests we make, by document: what stands before its paths, and the paths, each after its method unless that is GET.
ASKED: dict[str, tuple[str, tuple[str, ...]]] = {
    "pagerduty": (
        "",
        (
            "/abilities",
            "/change_events",
            "/incidents",
            "/incidents/{id}",
            "/incidents/{id}/alerts",
            "/incidents/{id}/custom_fields/values",
            "/incidents/{id}/log_entries",
            "/incidents/{id}/notes",
            "/incidents/{id}/related_change_events",
            "/priorities",
            "/services",
            "/services/{id}",
            "/services/{id}/change_events",
            "/teams",
            "/teams/{id}",
            "/teams/{id}/members",
            "/users",
            "/users/me",
            "/users/{id}",
            "/webhook_subscriptions",
            "/webhook_subscriptions/{id}",
            "POST /webhook_subscriptions/{id}/enable",
            "POST /webhook_subscriptions/{id}/ping",
        ),
    ),
    "confluence_v2": (
        "/wiki/api/v2",
        (
            "/spaces",
            "/spaces/{id}",
            "/spaces/{id}/pages",
            "/spaces/{id}/permissions",
            "/pages",
            "/pages/{id}",
            "/pages/{id}/ancestors",
            "/pages/{id}/labels",
        ),
    ),
    "confluence_v1": (
        "/wiki/rest/api",
        (
            "/content/search",
            "/content/{id}/restriction/byOperation/{operationKey}",
            "/group/by-id",
            "/group/{groupId}/membersByGroupId",
            "/space/{spaceKey}/state",
            "/space/{spaceKey}/state/content",
            "/user/bulk",
            "/user/memberof",
        ),
    ),
    "confluence_data_center": (
        "/rest/api",
        (
            "/content",
            "/content/{id}",
            "/content/{id}/restriction/byOperation/{operationKey}",
            "/group/{groupName}/member",
            "/space/{spaceKey}",
            "/space/{spaceKey}/permissions",
            "/user",
            "/user/memberof",
        ),
    ),
}

_PAGE = {
    "limit": {"type": "integer"},
    "offset": {"type": "integer"},
    "more": {"type": "boolean"},
    "total": {"type": "integer"},
}
_TEXT = {"type": "string"}


def _fields_of(*path: str) -> tuple[str, ...]:
    return ("paths", *path, "responses", "200", "content", "application/json", "schema", "properties")


def _list_of(**fields: Any) -> dict[str, Any]:
    answer = {"content": {"application/json": {"schema": {"type": "array", "items": {"properties": fields}}}}}
    return {"get": {"responses": {"200": answer}}}


#: By document: where in it the vendor contradicts what its own API or examples do, what is put in there, and why.
MENDED: dict[str, tuple[tuple[tuple[str | int, ...], dict[str, Any], str], ...]] = {
    "pagerduty": (
        *(
            (_fields_of(path, "get"), _PAGE, "its own examples are pages, and it takes offset and limit")
            for path in ("/change_events", "/services/{id}/change_events", "/incidents/{id}/related_change_events")
        ),
        (
            ("components", "schemas", "Incident", "allOf", 1, "properties"),
            {"custom_fields": {"type": "array", "items": {"$ref": "#/components/schemas/CustomFieldsFieldValue"}}},
            "include[]=custom_fields adds it, as its own example shows",
        ),
        (
            ("components", "schemas", "Alert", "allOf", 1, "properties", "body", "properties"),
            {"details": {}},
            "it is described as an object or a string",
        ),
        (
            ("components", "schemas", "AcknowledgeLogEntry", "allOf", 1, "properties"),
            {"type": {"type": "string", "enum": ["acknowledge_log_entry"]}},
            "LogEntry, of which it is one, has no other word for it",
        ),
        (
            ("components", "schemas", "AnnotateLogEntry", "allOf", 1, "properties"),
            {
                "type": {"type": "string", "enum": ["annotate_log_entry", "status_update_log_entry"]},
                "message": {"type": "string"},
            },
            "PagerDuty's clients read status updates back under that type; it has a POST for them, and no GET",
        ),
        (
            ("components", "schemas", "CustomFieldsFieldValue", "properties"),
            {"value": {}, "description": {"type": "string", "nullable": True}},
            "its own examples have plain values; a description must be there, and is not drawn",
        ),
        (
            (
                *_fields_of("/teams/{id}/members", "get")[:-1],
                "allOf",
                1,
                "properties",
                "members",
                "items",
                "properties",
            ),
            {"user": {"anyOf": [{"$ref": f"#/components/schemas/{one}"} for one in ("UserReference", "User")]}},
            "include[]=users asks for whole users, and it draws references all the same",
        ),
    ),
    "confluence_v1": (
        (
            ("components", "schemas", "ContentMetadata"),
            {"additionalProperties": True},
            "so has Atlassian; in the copy that was to be had here it was taken out",
        ),
    ),
    "confluence_data_center": (
        (
            ("paths",),
            {
                "/wiki/rest/api/space/{spaceKey}/permissions": _list_of(
                    operation={"properties": {"targetType": _TEXT, "operationKey": _TEXT}},
                    subject={"type": "object"},
                    spaceKey=_TEXT,
                    spaceId={"type": "integer"},
                )
            },
            "Data Center has it since 9.1, Cloud never had; the shape is Data Center 10.0's, which leaves out a subject's",
        ),
    ),
}

#: Requests that work and that no vendor publishes: where Data Center tells an e-mail address to whoever is no administrator.
_UNPUBLISHED = re.compile(r"GET /rest/mobile/1\.0/profile/[^/]+")


def missing() -> list[str]:
    """The files that the folder should have and has not; none if no folder is named."""
    return [] if FOLDER is None else [name for name in _NEEDED if not (FOLDER / name).exists()]


def problems_of(api: str, told: Sequence[Any]) -> list[str]:
    """What is wrong with requests and answers of one API, each once; nothing if no folder is named.

    Args:
        api: as `bot.standin.tell` names it.
        told: arguments of `judge.Api.problems`.
    """
    if FOLDER is None:
        return []
    judged = (one for one in told if not _UNPUBLISHED.fullmatch(f"{one[0]} {one[1]}"))
    return list(dict.fromkeys(problem for one in judged for problem in published(api).problems(*one)))


@cache
def published(api: str) -> Api:
    """What is published of an API that a stand-in speaks. A folder must be named."""
    from judge import Api

    return Api(*map(_document, {"confluence_cloud": ("confluence_v1", "confluence_v2")}.get(api, (api,))))


def _document(name: str) -> dict[str, Any]:
    from reduction import Reduction

    document = json.loads(_file(f"{name}.json").read_text())
    for place, put_in, _why in MENDED.get(name, ()):
        found: Any = document
        for part in place:
            found = found[part]
        found |= put_in
    made = Reduction(document).of(*ASKED[name])
    if name == "confluence_data_center":
        made["requests"] = dict(_with_parameters(made["requests"], _file(name)))
    return made


def _file(name: str) -> Path:
    assert FOLDER is not None, "RUNDOWN_PUBLISHED names no folder"
    return FOLDER / name


def _with_parameters(requests: dict[str, Any], client: Path) -> Iterator[tuple[str, Any]]:
    """The same requests with the parameters that a client generated by openapi-typescript-codegen sends: of unknown type."""
    told = "\n".join(file.read_text() for file in sorted(client.glob("**/services/*.ts")))
    sent = {
        f"{method} {url}": re.findall(r"'(\S+)':", query)
        for method, url, query in re.findall(
            r"method: '(\w+)',\s+url: '(\S+)',(?:\s+path: {[^}]*},)?((?:\s+query: {[^}]*})?)", told
        )
    }
    for request, published in requests.items():
        yield request, published | {"parameters": {name: {} for name in sorted(sent[request])}, "required": []}


# -- webhooks --------------------------------------------------------------------------------------------------------------


@cache
def documented_webhooks() -> dict[str, Any]:
    """PagerDuty's webhooks, as `webhooks_of` reads them. A folder must be named."""
    return webhooks_of(_file("pagerduty_webhooks.md").read_text())


def webhooks_of(markdown: str) -> dict[str, Any]:
    """Of the documentation the "events" of incidents, and the shapes of its examples: the "envelope", and the "data" in it by its type."""
    blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)]
    envelope = next(block["event"] for block in blocks if "event" in block)
    return {
        "events": sorted(set(re.findall(r"^\| (incident\.\S+) ", markdown, re.MULTILINE))),
        "envelope": _shape({**envelope, "data": None}),
        "data": {block["type"]: _shape(block) for block in blocks if "type" in block},
    }


def _shape(value: Any) -> Any:
    """An example with the names of types in place of its values; of a list its first."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return None if value is None else type(value).__name__


def webhook_problems(body: Mapping[str, Any], documented: Mapping[str, Any]) -> list[str]:
    """Where a webhook of PagerDuty's differs from the documented examples, field by field.

    Args:
        documented: what `webhooks_of` made of them.
    """
    event = body["event"]
    of_data = documented["data"][event["data"]["type"]]
    return [
        *_differences({**event, "data": None}, documented["envelope"], "event"),
        *_differences(event["data"], of_data, f"event.data of {event['event_type']}"),
    ]


def _differences(mine: Any, documented: Any, place: str) -> list[str]:
    """Fields that only one has, and values of another type. Null fits anything: the examples show one state of many."""
    if mine is None or documented is None:
        return []
    if isinstance(mine, list) and isinstance(documented, list):
        return _differences(mine[0], documented[0], f"{place}[]") if mine and documented else []
    if isinstance(mine, dict) and isinstance(documented, dict):
        found = [f"{place}.{name}: not documented" for name in sorted(mine.keys() - documented.keys())]
        found += [f"{place}.{name}: missing" for name in sorted(documented.keys() - mine.keys())]
        for name in sorted(mine.keys() & documented.keys()):
            found += _differences(mine[name], documented[name], f"{place}.{name}")
        return found
    kind = documented if isinstance(documented, str) else type(documented).__name__
    return [] if type(mine).__name__ == kind else [f"{place}: {type(mine).__name__}, documented as {kind}"]
