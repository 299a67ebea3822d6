"""The judge of requests and answers, by the document of a shop that is nowhere; and that every stand-in tells what it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import published
import pytest
from judge import Api
from published import webhook_problems, webhooks_of
from reduction import Reduction

from bot.standin.confluence import ConfluenceStandIn
from bot.standin.pagerduty import PagerDutyStandIn


def _a(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _sent(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, **more}


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
LIST = {
    "type": "object",
    "required": ["toys"],
    "properties": {"toys": {"type": "array", "items": _a("Toy")}, "more": {"type": "boolean"}},
}
SHOP: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Toy shop", "version": "1"},
    "paths": {
        "/toys": {
            "parameters": [{"$ref": "#/components/parameters/Limit"}],
            "get": {
                "parameters": [
                    _sent("shop", TEXT, required=True),
                    _sent("colours", {"type": "array", "items": _a("Colour")}),
                    _sent("sold", {"type": "boolean"}),
                    _sent("age", {"oneOf": [NUMBER, {"type": "string", "enum": ["any"]}]}),
                    {"name": "trace", "in": "header", "required": True, "schema": TEXT},
                ],
                "responses": {"200": _answer(LIST), "400": {"$ref": "#/components/responses/Refused"}},
            },
        },
        "/toys/{id}": {"get": {"responses": {"200": _answer(_a("Toy"))}}},
        "/toys/newest": {"get": {"responses": {"200": _answer({"type": "array", "items": _a("Toy")})}}},
        "/toys/{id}/sale": {"post": {"responses": {"202": {"description": "sold"}}}},
        "/toys/{id}/price": {"get": {"responses": {"200": _answer({"$ref": "#/paths/~1prices/schema"})}}},
        "/prices": {"schema": {"type": "object", "additionalProperties": NUMBER}},
    },
    "components": {
        "parameters": {"Limit": _sent("limit", {"type": "integer", "minimum": 1, "maximum": 50})},
        "responses": {"Refused": _answer({"type": "object", "required": ["why"], "properties": {"why": TEXT}})},
        "schemas": {
            "Colour": {"type": "string", "enum": ["red", "blue"]},
            "Thing": {
                "type": "object",
                "required": ["id", "made_in"],
                "properties": {
                    "id": TEXT,
                    "made_in": {"type": "string", "nullable": True},
                    "about": TEXT,
                    "maker": {"type": "object", "required": ["name"], "properties": {"name": TEXT}},
                },
            },
            "Toy": {
                "allOf": [
                    _a("Thing"),
                    {
                        "required": ["colour"],
                        "properties": {
                            "colour": _a("Colour"),
                            "parts": {"type": "array", "items": _a("Toy")},
                            "shape": {"oneOf": [_a("Ball"), _a("Box")]},
                            "maker": {"type": "object", "properties": {"since": NUMBER}},
                            "_expandable": {"type": "object", "properties": {"parts": TEXT}},
                        },
                    },
                ]
            },
            "Ball": {"type": "object", "required": ["radius"], "properties": {"radius": NUMBER}},
            "Box": {"type": "object", "required": ["sides"], "properties": {"sides": NUMBER, "lid": TEXT}},
        },
    },
}
TOY: dict[str, Any] = {"id": "T1", "colour": "red", "made_in": None}
RICH: dict[str, Any] = TOY | {
    "about": None,
    "maker": {"name": "Ada", "since": 1815},
    "parts": [TOY],
    "shape": {"sides": 6, "lid": None},
    "_expandable": {"whatever": ""},
}


@pytest.fixture(name="shop", scope="module")
def _shop() -> Api:
    asked = ("/toys", "/toys/{id}", "/toys/newest", "POST /toys/{id}/sale", "/toys/{id}/price")
    return Api(Reduction(SHOP).of("/v1", asked))


def toys(*items: Any, **more: Any) -> bytes:
    return json.dumps({"toys": items, **more}).encode()


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "body"),
    [
        ("GET", "toys", "shop=a&limit=50&colours=red,blue&sold=true&age=3", 200, toys(TOY, RICH, more=None)),
        ("GET", "toys", "shop=&colours=red&colours=blue&age=any", 200, toys(TOY | {"shape": {"radius": 1}})),
        ("GET", "toys", "colour=green", 400, b'{"why":"no such parameter"}'),
        ("GET", "toys/T1", "", 200, json.dumps(TOY).encode()),
        ("GET", "toys/T1", "", 404, b""),
        ("GET", "toys/newest", "", 200, b"[]"),
        ("POST", "toys/T1/sale", "", 202, b""),
        ("GET", "toys/T1/price", "", 200, b'{"euro":5,"yen":800}'),
    ],
)
def test_what_is_as_published_passes(shop: Api, method: str, path: str, query: str, status: int, body: bytes):
    """Parameters of each kind, null for what need not be there, either of two shapes, a refusal, no body."""
    assert list(shop.problems(method, f"/v1/{path}", query, status, body)) == []


@pytest.mark.parametrize(
    ("path", "query", "status", "body", "told"),
    [
        ("toy", "", 200, b"", "GET /v1/toy: no such request is published"),
        ("toys/T1/sale", "", 202, b"", "GET /v1/toys/T1/sale: no such request is published"),
        ("toys", "shop=a&page=2", 200, toys(), "no parameter 'page' is published"),
        ("toys", "shop=a&trace=2", 200, toys(), "no parameter 'trace' is published"),
        ("toys", "", 200, toys(), "'shop' must be given"),
        ("toys", "shop=a&limit=51", 200, toys(), "limit=51 is not"),
        ("toys", "shop=a&limit=0", 200, toys(), "limit=0 is not"),
        ("toys", "shop=a&limit=many", 200, toys(), "limit=many is not"),
        ("toys", "shop=a&sold=yes", 200, toys(), "sold=yes is not"),
        ("toys", "shop=a&colours=red,green", 200, toys(), "colours=red,green is not"),
        ("toys", "shop=a&age=old", 200, toys(), "age=old is not"),
        ("toys", "shop=a", 204, b"", "it is not published to answer 204"),
        ("toys", "shop=a", 200, b"", "None is not of type 'object'"),
        ("toys", "shop=a", 200, b"{}", "'toys' is a required property"),
        ("toys", "shop=a", 200, b'{"toys":null}', "200: toys: None is not of type 'array'"),
        ("toys", "shop=a", 200, toys(more="no"), "200: more: 'no' is not of type 'boolean'"),
        ("toys", "shop=a", 200, toys(next=None), "('next' was unexpected)"),
        ("toys", "shop=a", 200, toys(TOY | {"colour": "green"}), "toys/0/colour: 'green' is not one of"),
        ("toys", "shop=a", 200, toys(TOY | {"colour": None}), "toys/0/colour: None is not"),
        ("toys", "shop=a", 200, toys(TOY | {"price": 5}), "('price' was unexpected)"),
        ("toys", "shop=a", 200, toys({"id": "T1", "colour": "red"}), "toys/0: 'made_in' is a required property"),
        ("toys", "shop=a", 200, toys({"colour": "red", "made_in": ""}), "toys/0: 'id' is a required property"),
        ("toys", "shop=a", 200, toys(TOY | {"parts": [TOY | {"id": 1}]}), "toys/0/parts/0/id: 1 is not of type"),
        ("toys", "shop=a", 200, toys(TOY | {"shape": {"sides": "6"}}), "toys/0/shape/sides: '6' is not of type"),
        ("toys", "shop=a", 200, toys(TOY | {"maker": {"since": 1}}), "toys/0/maker: 'name' is a required property"),
        ("toys", "shop=a", 400, b'{"error":"no"}', "GET /v1/toys 400: "),
        ("toys/newest", "", 200, b"{}", "GET /v1/toys/newest 200: : {} is not of type 'array'"),
        ("toys/T1/price", "", 200, b'{"euro":"5"}', "200: euro: '5' is not of type 'integer'"),
    ],
)
def test_what_is_not_as_published_is_told(shop: Api, path: str, query: str, status: int, body: bytes, told: str):
    """By the request, the place and the reason; and nothing else is."""
    problems = list(shop.problems("GET", f"/v1/{path}", query, status, body))

    assert any(told in problem for problem in problems), problems
    assert len({problem.partition(": ")[0] for problem in problems}) == 1


@pytest.mark.parametrize(("asked", "told"), [("/games", "/v1/games is not in this document"), ("POST /toys", "post")])
def test_a_request_that_the_document_no_longer_has_is_told_when_it_is_read(asked: str, told: str):
    """A newer document may have lost a path, or a method of one."""
    with pytest.raises(KeyError, match=told):
        Reduction(SHOP).of("/v1", [asked])


def test_a_folder_that_lacks_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the names of those it lacks, so that no test passes unjudged."""
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    for name in ("pagerduty.json", "confluence_v1.json", "confluence_v2.json", "confluence_data_center.json"):
        (tmp_path / name).write_text("{}")

    assert published.missing() == ["pagerduty_webhooks.md", "confluence_data_center"]


# -- webhooks --------------------------------------------------------------------------------------------------------------

DOCUMENTED = """
| event | when |
| incident.opened | a door opens |
| shop.opened | so does a shop |
```json
{"event": {"id": "E1", "event_type": "incident.opened", "agent": null, "data": {"id": "D1"}}}
```
```json
{"type": "door", "number": 7, "keys": [{"id": "K1"}], "owner": null}
```
"""


@pytest.mark.parametrize(
    ("of_event", "of_data", "told"),
    [
        ({}, {"keys": [], "owner": {"id": "O1"}}, []),
        ({"agent": {"id": "A1"}}, {"number": None}, []),
        ({"colour": "red"}, {}, ["event.colour: not documented"]),
        ({}, {"colour": "red"}, ["event.data of incident.opened.colour: not documented"]),
        ({}, {"number": "7"}, ["event.data of incident.opened.number: str, documented as int"]),
        ({}, {"keys": [{}]}, ["event.data of incident.opened.keys[].id: missing"]),
    ],
)
def test_a_webhook_that_is_not_as_documented_is_told(
    of_event: dict[str, Any], of_data: dict[str, Any], told: list[str]
):
    """By the field; null fits anything, and so does an empty list."""
    data = {"type": "door", "number": 8, "keys": [{"id": "K2"}], "owner": None} | of_data
    event = {"id": "E2", "event_type": "incident.opened", "agent": None, "data": data} | of_event

    assert webhook_problems({"event": event}, webhooks_of(DOCUMENTED)) == told


def test_the_documented_events_are_those_of_its_table():
    """Of incidents alone."""
    assert webhooks_of(DOCUMENTED)["events"] == ["incident.opened"]


# -- what the judge is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cloud", [True, False])
def test_what_confluence_is_asked_is_told_in_every_test(cloud: bool, as_published: dict[str, list[Any]]):
    """Who is refused for what was asked is told of too; who asks without a token is not."""
    path = "/wiki/api/v2/spaces" if cloud else "/rest/api/space/OPS"
    api, query = ("confluence_cloud", "keys=OPS") if cloud else ("confluence_data_center", "expand=homepage")
    with ConfluenceStandIn(cloud=cloud) as wiki, httpx.Client(base_url=wiki.url, trust_env=False) as http:
        wiki.world.space("OPS")
        http.get(f"{path}?{query}")
        assert as_published == {}
        auth = httpx.BasicAuth(wiki.user, wiki.token) if wiki.user else None
        headers = {} if cloud else {"authorization": f"Bearer {wiki.token}"}
        answer = http.get(f"{path}?{query}", auth=auth, headers=headers)
        refused = http.get("/wiki/api/v2/pages/9" if cloud else "/rest/api/content/9", auth=auth, headers=headers)

    assert (answer.status_code, refused.status_code) == (200, 404)
    assert as_published == {
        api: [
            ("GET", path, query, 200, answer.content),
            ("GET", refused.url.path, "", 404, refused.content),
        ]
    }


def test_what_pagerduty_is_asked_is_told_in_every_test(as_published: dict[str, list[Any]]):
    """Failures that a test asked for are not."""
    with PagerDutyStandIn() as pagerduty, httpx.Client(base_url=pagerduty.url, trust_env=False) as http:
        http.headers["authorization"] = f"Token token={pagerduty.token}"
        pagerduty.fail_next(500)
        failed = http.get("/priorities?limit=1")
        answer = http.get("/priorities?limit=2")

    assert (failed.status_code, answer.status_code) == (500, 200)
    assert as_published == {"pagerduty": [("GET", "/priorities", "limit=2", 200, answer.content)]}
