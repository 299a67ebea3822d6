"""Check the Confluence Cloud stand-in against Atlassian's own published schemas. Run by hand; pytest does not collect it.

    curl -O https://dac-static.atlassian.com/cloud/confluence/openapi-v2.v3.json
    curl -O https://dac-static.atlassian.com/cloud/confluence/swagger.v3.json
    python tests/ingest/check_confluence_schema.py --schema openapi-v2.v3.json --schema-v1 swagger.v3.json

Does: ask the stand-in everything that the source asks, over a world in which each thing is once, validate every answer with
jsonschema, and look for fields that the schema of the answer does not know.
Does not: copy anything of those files, or check Data Center: its published description leaves out the shapes of pages.

Liberties: null is allowed where a field is not declared nullable, since the live API gives it for a page without a parent; what
stands under `_links` and `_expandable` is free.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pagerduty"))

import check_against_schema as shared
import httpx
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.standin.confluence import TOKEN, USER, ConfluenceStandIn
from ingest.confluence import ConfluenceSource
from ingest.confluence_client import ConfluenceClient

#: Paths as the source asks for them, below the site, and as the schemas name them.
NAMED = {
    "/api/v2/spaces": "/spaces",
    "/api/v2/spaces/{id}": "/spaces/{id}",
    "/api/v2/spaces/{id}/permissions": "/spaces/{id}/permissions",
    "/api/v2/spaces/{id}/pages": "/spaces/{id}/pages",
    "/api/v2/pages": "/pages",
    "/api/v2/pages/{id}": "/pages/{id}",
    "/api/v2/pages/{id}/ancestors": "/pages/{id}/ancestors",
    "/api/v2/pages/{id}/labels": "/pages/{id}/labels",
    "/rest/api/content/search": "/wiki/rest/api/content/search",
    "/rest/api/space/{id}/state": "/wiki/rest/api/space/{spaceKey}/state",
    "/rest/api/space/{id}/state/content": "/wiki/rest/api/space/{spaceKey}/state/content",
    "/rest/api/content/{id}/restriction/byOperation/read": (
        "/wiki/rest/api/content/{id}/restriction/byOperation/{operationKey}"
    ),
    "/rest/api/group/by-id": "/wiki/rest/api/group/by-id",
    "/rest/api/group/{id}/membersByGroupId": "/wiki/rest/api/group/{groupId}/membersByGroupId",
    "/rest/api/user/memberof": "/wiki/rest/api/user/memberof",
    "/rest/api/user/bulk": "/wiki/rest/api/user/bulk",
}


def main() -> int:
    """Print one line a path; 0 if all answers fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schema", type=Path, required=True, help="Atlassian's OpenAPI file of Cloud's REST v2")
    parser.add_argument("--schema-v1", type=Path, required=True, help="the one of REST v1")
    given = parser.parse_args()
    schemas = {name: json.loads(path.read_text()) for name, path in (("v2", given.schema), ("v1", given.schema_v1))}
    problems = list(check(schemas))
    for problem in problems:
        print("PROBLEM", problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def check(schemas: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the stand-in's answers."""
    converted = {name: _converted(schema, f"urn:{name}") for name, schema in schemas.items()}
    registry: Any = Registry().with_resources(
        (f"urn:{name}", Resource.from_contents(schema, default_specification=DRAFT202012))
        for name, schema in converted.items()
    )
    seen: dict[str, int] = {}
    with ConfluenceStandIn(cloud=True) as wiki, httpx.Client(auth=(USER, TOKEN), trust_env=False) as http:
        live_through_everything(wiki)
        for asked in dict.fromkeys(wiki.requests):
            path = asked.removeprefix("/wiki").partition("?")[0]
            template, named = _template(path)
            name = "v2" if template.startswith("/api/v2") else "v1"
            if named not in converted[name]["paths"]:
                yield f"{named}: the schema knows no such path"
                continue
            unknown = _unknown_parameters(converted[name]["paths"][named]["get"], converted[name], asked)
            yield from (f"{asked}: the schema knows no parameter {one!r}" for one in unknown)
            pointer = f"urn:{name}#/paths/{shared._escaped(named)}/get/responses/200/content/application~1json/schema"
            body = http.get(f"{wiki.url}{asked}").json()
            validator = Draft202012Validator({"$ref": pointer}, registry=registry)
            for error in validator.iter_errors(_without_nulls(body)):
                yield f"{asked}: {'/'.join(map(str, error.absolute_path))}: {shared._deepest(error).message[:200]}"
            known = set(shared._property_names(schemas[name]))
            yield from (f"{asked}: {one!r} is no field of the schema" for one in set(_names(body)) - known)
            seen[named] = seen.get(named, 0) + 1
    for named, count in sorted(seen.items()):
        print(f"asked {count:2} times: {named}")
    yield from (f"never asked: {named}" for named in sorted(set(NAMED.values()) - seen.keys()))


def live_through_everything(wiki: ConfluenceStandIn) -> None:
    """Every kind of page, reader and ancestor, synced twice with a page missing the second time."""
    world = wiki.world
    for name, group in (("Anna", "sre"), ("Ben", "sre"), ("Cleo", "dba")):
        world.person(name, groups=[group])
    world.person("Dora", shows_email=False, groups=["sre"])
    world.group("leads").members += ["Anna", "Cleo"]
    world.group("guests")
    world.space("OPS", "sre", "guests", "Dora", anonymous=True)
    wiki.page_limit = 2
    top = world.page("Top", readers=["leads"], labels=["runbook"])
    folder = world.page("Folder", kind="folder", parent=top, readers=["Anna", "Ben", "Cleo"])
    page = world.page("Page", "<p>x</p>", parent=world.page("Middle", parent=folder))
    world.set_state(page, "Verified")
    world.page("Plain")
    world.page("New", labels=["incident"]).indexed = False
    gone = world.page("Gone")
    client = ConfluenceClient(wiki.url, wiki.token, user=wiki.user)
    source = ConfluenceSource(client, ["OPS"])
    held = {item.id: str(item.version) for item in source.documents() if hasattr(item, "version")}
    gone.status = "archived"
    list(source.documents(held))
    client.get(f"/api/v2/spaces/{world.spaces['OPS'].id}")
    client.close()


def _template(path: str) -> tuple[str, str]:
    """The path with its ids left out, and its name in the schema; the fixed ones first."""
    parts = path.split("/")
    for template, named in sorted(NAMED.items(), key=lambda item: item[0].count("{")):
        told = template.split("/")
        if len(told) == len(parts) and all(
            one == other or one == "{id}" for one, other in zip(told, parts, strict=True)
        ):
            return template, named
    return path, path


def _unknown_parameters(operation: dict[str, Any], schema: dict[str, Any], asked: str) -> set[str]:
    told = {_resolved(one, schema).get("name") for one in operation.get("parameters", [])}
    return set(httpx.QueryParams(asked.partition("?")[2]).keys()) - told


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = schema
    for part in node["$ref"].rpartition("#")[2].strip("/").split("/"):
        found = found[part]
    return dict(found)


def _converted(node: Any, base: str) -> Any:
    """OpenAPI 3.0 as JSON Schema: references absolute, words that mean something else there left out."""
    if isinstance(node, list):
        return [_converted(item, base) for item in node]
    if not isinstance(node, dict):
        return node
    left_out = ("example", "nullable", "discriminator", "format")
    made = {key: _converted(value, base) for key, value in node.items() if key not in left_out}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = base + made["$ref"]
    return made


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            if key not in ("_links", "_expandable"):
                yield from _names(item)


if __name__ == "__main__":
    raise SystemExit(main())
