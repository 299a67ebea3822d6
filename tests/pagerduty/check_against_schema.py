"""Check the PagerDuty stand-in against PagerDuty's own published sources. Run by hand; pytest does not collect it.

    git clone https://github.com/PagerDuty/api-schema && git clone https://github.com/PagerDuty/developer-docs
    python tests/pagerduty/check_against_schema.py --schema api-schema/reference/REST/openapiv3.json \
        --docs developer-docs/docs/webhooks/01-Overview.md

Does: validate every REST answer of the stand-in with jsonschema, look for fields the schema does not know, and compare each
webhook with the documented example of its type, field by field.
Does not: commit or copy anything of those sources: they carry no licence (DEPENDENCIES.md section 6).

Six liberties, each because PagerDuty's own examples need it or the schema contradicts itself: null is allowed where a field is described but not declared
nullable; `oneOf` is read as `anyOf` (a reference also fits the full resource); custom field values are plain values, not the
`{"value": …}` objects the schema draws; `LogEntry` allows "acknowledge_log_entry" and `AcknowledgeLogEntry`, which includes it,
only "acknowledgement_log_entry", so nothing satisfies both and the first is taken;
`AnnotateLogEntry` also stands for "status_update_log_entry", the type under which PagerDuty's clients read status updates back and
which the schema, that has a POST for them and no GET, does not name; a team's members may be asked for with `include[]=users`,
and the schema draws references to them all the same: a whole user fits there too.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import httpx
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from bot.standin.pagerduty import KEY, PagerDutyStandIn


def main() -> int:
    """Print one line a check; 0 if all pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--schema", type=Path, required=True, help="reference/REST/openapiv3.json of PagerDuty/api-schema"
    )
    parser.add_argument("--docs", type=Path, help="docs/webhooks/01-Overview.md of PagerDuty/developer-docs")
    given = parser.parse_args()
    problems = list(check_rest(json.loads(given.schema.read_text())))
    if given.docs:
        problems += check_webhooks(given.docs.read_text())
    for problem in problems:
        print("PROBLEM", problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


# -- REST ----------------------------------------------------------------------------------------------------------------


def check_rest(openapi: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the stand-in's REST answers, and with our reading of the schema (its own examples must pass)."""
    schema = _converted(openapi)
    registry = Registry().with_resource("urn:pd", Resource.from_contents(schema, default_specification=_draft()))
    with _busy_account() as pagerduty, httpx.Client(base_url=pagerduty.url, trust_env=False) as http:
        http.headers["authorization"] = f"Token token={KEY}"
        incident = next(iter(pagerduty.world.incidents))
        service = next(iter(pagerduty.world.services.values()))["id"]
        team = pagerduty.set_team("Security", private=True, members=["Ada", "Grace"])
        subscription = next(iter(pagerduty.courier.subscriptions))
        for method, path, status, query in _asked():
            real = path.replace(
                "{id}", {"/inc": incident, "/ser": service, "/tea": team, "/web": subscription}.get(path[:4], "")
            )
            answer = http.request(method, real, params=query)
            place = f"{method} {path} {status}"
            yield from ([f"{place}: answered {answer.status_code}"] if answer.status_code != status else [])
            operation = openapi["paths"][path][method.lower()]
            _note_examples(operation, status, place, registry)
            if answer.content:
                found = list(_check(answer.json(), openapi, path, method, status, schema, registry))
                print(f"{'ok     ' if not found else 'PROBLEM'} {place} ({len(answer.content)} bytes)")
                yield from (f"{place}: {line}" for line in found)
        http.headers["authorization"] = "Token token=wrong"
        refused = http.get("/incidents")
        found = list(_check(refused.json(), openapi, "/incidents", "GET", 401, schema, registry))
        print(f"{'ok     ' if refused.status_code == 401 and not found else 'PROBLEM'} GET /incidents 401")
        yield from (f"GET /incidents 401: {line}" for line in found)


def _asked() -> list[tuple[str, str, int, dict[str, Any]]]:
    everything = {"include[]": ["custom_fields", "conference_bridge", "first_trigger_log_entries", "services"]}
    return [
        ("GET", "/incidents", 200, {"total": "true", "limit": 3}),
        ("GET", "/incidents", 200, {"include[]": ["services"]}),
        ("GET", "/incidents/{id}", 200, {}),
        ("GET", "/incidents/{id}", 200, everything),
        ("GET", "/incidents/{id}/notes", 200, {}),
        ("GET", "/incidents/{id}/alerts", 200, {}),
        ("GET", "/incidents/{id}/log_entries", 200, {"include[]": ["channels"]}),
        ("GET", "/incidents/{id}/custom_fields/values", 200, {}),
        ("GET", "/incidents/{id}/related_change_events", 200, {}),
        ("GET", "/services/{id}/change_events", 200, {}),
        ("GET", "/change_events", 200, {"total": "true"}),
        ("GET", "/services", 200, {}),
        ("GET", "/services/{id}", 200, {}),
        ("GET", "/teams", 200, {}),
        ("GET", "/teams/{id}", 200, {}),
        ("GET", "/teams/{id}/members", 200, {}),
        ("GET", "/teams/{id}/members", 200, {"include[]": ["users"]}),
        ("GET", "/priorities", 200, {}),
        ("GET", "/abilities", 200, {}),
        ("GET", "/users/me", 400, {}),
        ("GET", "/webhook_subscriptions", 200, {}),
        ("GET", "/webhook_subscriptions/{id}", 200, {}),
        ("POST", "/webhook_subscriptions/{id}/enable", 200, {}),
        ("POST", "/webhook_subscriptions/{id}/ping", 202, {}),
    ]


def _busy_account() -> Any:
    """A stand-in in which everything has happened once."""

    class Busy(PagerDutyStandIn):
        def __enter__(self) -> Any:
            super().__enter__()
            live_through_everything(self)
            return self

    return Busy()


def live_through_everything(pagerduty: PagerDutyStandIn) -> None:
    """Every driver method, on incidents with and without every optional thing. Webhooks go nowhere, and are kept."""
    pagerduty.courier.hold()
    pagerduty.change("Deployed checkout", details={"sha": "0123abc"}, links=[("Diff", "https://github.com/acme/shop")])
    pagerduty.subscribe("http://127.0.0.1:9/pagerduty/webhook", secrets=["s"])
    full = pagerduty.trigger(
        "Checkout answers 500",
        priority="P2",
        details={"message": "pool exhausted", "runbook_url": "https://wiki.example.com/checkout"},
        links=[("Dashboard", "https://grafana.example.com/d/1")],
        custom_fields={"environment": "production", "regions": ["eu", "us"]},
        conference_url="https://meet.example.com/1",
    )["id"]
    pagerduty.acknowledge(full, "Ada")
    pagerduty.unacknowledge(full)
    pagerduty.annotate(full, "looking at the pool", "Ada")
    pagerduty.set_priority(full, "P1", "Ada")
    pagerduty.reassign(full, "Grace", "Ada")
    pagerduty.move_service(full, "payments", "Ada")
    pagerduty.update_status(full, "a fix is on its way", "Ada")
    pagerduty.resolve(full, "Grace")
    pagerduty.reopen(full, "Ada")
    pagerduty.acknowledge(full, "Ada")
    bare = pagerduty.trigger("Disk full", urgency="low")["id"]
    pagerduty.resolve(bare, None)
    for number in range(3):
        pagerduty.trigger(f"One more, {number}")


def _draft() -> Any:
    from referencing.jsonschema import DRAFT202012

    return DRAFT202012


def _converted(node: Any) -> Any:
    if isinstance(node, list):
        return [_converted(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {
        name: _converted(value) for name, value in node.items() if name not in ("example", "nullable", "discriminator")
    }
    if "oneOf" in made and isinstance(made["oneOf"], list):
        made["anyOf"] = made.pop("oneOf")
    if made.get("enum") == ["acknowledgement_log_entry"]:
        made["enum"] = ["acknowledge_log_entry"]
    if made.get("enum") == ["user_reference"]:
        made["enum"] = ["user_reference", "user"]
    if isinstance(made.get("enum"), list) and "annotate_log_entry" in made["enum"]:
        made["enum"] = [*made["enum"], "status_update_log_entry"]
    if isinstance(made.get("$ref"), str):
        made["$ref"] = "urn:pd" + made["$ref"]
    return made


def _check(
    body: Any, openapi: dict[str, Any], path: str, method: str, status: int, schema: dict[str, Any], registry: Any
) -> Iterator[str]:
    response = schema["paths"][path][method.lower()]["responses"][str(status)]
    pointer = f"urn:pd#/paths/{_escaped(path)}/{method.lower()}/responses/{status}/content/application~1json/schema"
    if "$ref" in response:
        pointer = f"{response['$ref']}/content/application~1json/schema"
    validator = Draft202012Validator({"$ref": pointer}, registry=registry)
    for error in validator.iter_errors(_without_nulls(body)):
        yield f"{'/'.join(map(str, error.absolute_path))}: {_deepest(error).message[:200]}"
    known = set(_property_names(openapi))
    for name, place in _names(body):
        if name not in known:
            yield f"{place}: the schema knows no field of that name"


def _note_examples(operation: dict[str, Any], status: int, place: str, registry: Any) -> None:
    """Print where PagerDuty's own examples fail our reading of its schema: then the reading is wrong, or the schema is."""
    content = operation["responses"].get(str(status), {}).get("content", {}).get("application/json", {})
    for name, example in content.get("examples", {}).items():
        validator = Draft202012Validator(_converted(content["schema"]), registry=registry)
        for error in validator.iter_errors(_without_nulls(example.get("value", {}))) if "value" in example else ():
            print(f"note    {place}: PagerDuty's own example {name!r}: {_deepest(error).message[:120]}")


def _deepest(error: Any) -> Any:
    while error.context:
        error = max(error.context, key=lambda item: len(item.absolute_path))
    return error


def _without_nulls(value: Any) -> Any:
    """Nulls left out, and custom field values in the wrapping that the schema draws and PagerDuty's examples do not use."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if value.get("type") == "field_value":
        made |= {"value": {"value": made.get("value")}, "description": ""}
    return made


def _property_names(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _property_names(item)
    elif isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
        for value in node.values():
            yield from _property_names(value)


#: Under these a monitoring tool says what it likes.
_FREE = ("details", "custom_details")


def _names(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item, place)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name, f"{place}/{name}"
            if name not in _FREE:
                yield from _names(item, f"{place}/{name}")


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


# -- webhooks ------------------------------------------------------------------------------------------------------------


def check_webhooks(markdown: str) -> list[str]:
    """Where the stand-in's webhooks differ from the documented examples."""
    envelope, types, examples = _documented(markdown)
    problems: list[str] = []
    with _busy_account() as pagerduty:
        for subscription in pagerduty.courier.subscriptions.values():
            bodies = [json.loads(delivery.body) for delivery in subscription.history]
            events = set(subscription.events)
    if events != types:
        problems.append(f"event types differ from the documented ones: {sorted(events ^ types)}")
    for body in bodies:
        event = body["event"]
        found = _differences(event, envelope, "event", skip=("data",))
        found += _differences(event["data"], examples[event["data"]["type"]], f"event.data of {event['event_type']}")
        print(f"{'ok     ' if not found else 'PROBLEM'} webhook {event['event_type']}")
        problems += found
    return problems


def _documented(markdown: str) -> tuple[dict[str, Any], set[str], dict[str, Any]]:
    """The example envelope, the incident event types, and the example data by type."""
    types = set(re.findall(r"^\| (incident\.\S+) ", markdown, re.MULTILINE))
    blocks = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)]
    envelope = next(block["event"] for block in blocks if "event" in block)
    return envelope, types, {block["type"]: block for block in blocks if "type" in block}


def _differences(mine: Any, theirs: Any, place: str, skip: tuple[str, ...] = ()) -> list[str]:
    """Fields that only one has, and values of another kind. Null fits anything: the examples show one state of many."""
    if mine is None or theirs is None:
        return []
    if type(mine) is not type(theirs):
        return [f"{place}: {type(mine).__name__}, documented as {type(theirs).__name__}"]
    if isinstance(mine, list):
        return _differences(mine[0], theirs[0], f"{place}[]") if mine and theirs else []
    if not isinstance(mine, dict):
        return []
    found = [f"{place}.{name}: not documented" for name in mine.keys() - theirs.keys()]
    found += [f"{place}.{name}: missing" for name in theirs.keys() - mine.keys()]
    for name in mine.keys() & theirs.keys() - set(skip):
        found += _differences(mine[name], theirs[name], f"{place}.{name}")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
