"""The stand-in behaves as PagerDuty documents: shapes, paging, limits, and how webhooks are delivered.

The shapes are ours to remember here; `test_pagerduty_published.py` holds them against PagerDuty's own, if that is given.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pagerduty_life import live_through_everything
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.pagerduty import sign, verify
from bot.standin.pagerduty import PagerDutyStandIn
from bot.web import WebServer

REFERENCE = {"id", "type", "summary", "self", "html_url"}
REST_INCIDENT = {
    "id",
    "type",
    "summary",
    "self",
    "html_url",
    "incident_number",
    "title",
    "created_at",
    "updated_at",
    "status",
    "incident_key",
    "service",
    "assignments",
    "assigned_via",
    "last_status_change_at",
    "resolved_at",
    "first_trigger_log_entry",
    "alert_counts",
    "is_mergeable",
    "incident_type",
    "escalation_policy",
    "teams",
    "pending_actions",
    "acknowledgements",
    "alert_grouping",
    "last_status_change_by",
    "priority",
    "resolve_reason",
    "urgency",
}
WEBHOOK_INCIDENT = {
    "id",
    "type",
    "self",
    "html_url",
    "number",
    "status",
    "incident_key",
    "created_at",
    "reopened_at",
    "title",
    "incident_type",
    "service",
    "assignees",
    "escalation_policy",
    "teams",
    "priority",
    "urgency",
    "conference_bridge",
    "resolve_reason",
}
DATA = {
    "incident": WEBHOOK_INCIDENT,
    "incident_note": {"incident", "id", "content", "trimmed", "type"},
    "incident_field_values": {"incident", "custom_fields", "changed_custom_fields", "type"},
    "incident_status_update": {"incident", "id", "message", "trimmed", "type"},
}


def ask(
    pd: PagerDutyStandIn, path: str, method: str = "GET", token: str | None = None, **params: Any
) -> httpx.Response:
    headers = {"authorization": f"Token token={token or pd.token}"}
    with httpx.Client(trust_env=False) as http:
        return http.request(method, f"{pd.url}{path}", params=params, headers=headers)


def test_rest_incidents_have_the_documented_fields(pd):
    """Neither more nor less than we recorded of PagerDuty's schema."""
    live_through_everything(pd)
    incidents = ask(pd, "/incidents").json()["incidents"]

    assert [set(incident) for incident in incidents] == [REST_INCIDENT] * 5
    assert all(set(incident["service"]) == REFERENCE for incident in incidents)


def test_webhooks_have_the_documented_fields(pd):
    """Each type of data as documented, in the documented envelope."""
    live_through_everything(pd)
    (subscription,) = pd.courier.subscriptions.values()
    events = [json.loads(delivery.body)["event"] for delivery in subscription.history]

    envelope = {"id", "event_type", "resource_type", "occurred_at", "agent", "client", "data"}
    assert {frozenset(event) for event in events} == {frozenset(envelope)}
    assert {event["data"]["type"]: set(event["data"]) for event in events} == DATA


@pytest.mark.parametrize(
    ("params", "titles"),
    [
        ({}, ["new", "acked", "done"]),
        ({"sort_by": "created_at:desc"}, ["done", "acked", "new"]),
        ({"statuses[]": ["triggered"]}, ["new"]),
        ({"statuses[]": ["triggered", "resolved"]}, ["new", "done"]),
        ({"limit": 1, "offset": 1}, ["acked"]),
        ({"date_range": "all"}, ["ancient", "new", "acked", "done"]),
        ({"service_ids[]": ["PNONE"]}, []),
    ],
)
def test_lists_filter_sort_and_page(pd, clock, params: dict[str, Any], titles: list[str]):
    """The last month by default; statuses, services, order and pages as asked."""
    pd.trigger("ancient", at=clock() - timedelta(days=60))
    pd.trigger("new", at=clock() - timedelta(hours=3))
    pd.acknowledge(pd.trigger("acked", at=clock() - timedelta(hours=2))["id"])
    pd.resolve(pd.trigger("done", at=clock() - timedelta(hours=1))["id"])

    assert [item["title"] for item in ask(pd, "/incidents", **params).json()["incidents"]] == titles


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/incidents", {"limit": 100, "offset": 9950}, 400),
        ("/incidents", {"limit": "many"}, 400),
        ("/incidents", {"since": "2020-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, 400),
        ("/incidents/PNONE", {}, 404),
        ("/incidents/PNONE/notes", {}, 404),
        ("/services/PNONE", {}, 404),
        ("/webhook_subscriptions/PNONE", {}, 404),
        ("/users/me", {}, 400),
        ("/abilities", {}, 200),
        ("/priorities", {}, 200),
    ],
)
def test_answers_with_pagerdutys_status(pd, path: str, params: dict[str, Any], status: int):
    """Errors carry PagerDuty's error object."""
    answer = ask(pd, path, **params)

    assert (answer.status_code, "error" in answer.json()) == (status, status >= 400)


def test_refuses_a_wrong_key_and_counts_against_the_limit(pd):
    """401 for a key that is not its own; 429 with the documented headers once the minute's requests are used up."""
    pd.rest.limit_per_minute = 2
    answers = [ask(pd, "/priorities", token="wrong"), ask(pd, "/priorities"), ask(pd, "/priorities")]

    assert [answer.status_code for answer in answers] == [401, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].json() == {"error": {"message": "Rate Limit Exceeded", "code": 2020}}


# -- delivery --------------------------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """Answers webhooks as told, and keeps them."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        raw = await request.body()
        event = json.loads(raw)["event"]
        self.received.append((event["event_type"], dict(request.headers), raw))
        return Response(status_code=self.answers.pop(0) if self.answers else 202)

    @property
    def told(self) -> list[tuple[str, str]]:
        """What arrived, and of which incident."""
        titles = [json.loads(raw)["event"]["data"]["title"] for _, _, raw in self.received]
        return list(zip(self.types, titles, strict=True))

    @property
    def types(self) -> list[str]:
        return [event_type.removeprefix("incident.") for event_type, _, _ in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    async def hook(request: Request) -> Response:
        return await made(request)

    with WebServer(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as server:
        made.url = f"{server.url}/hook"
        yield made


def test_signs_with_every_secret(pd, receiver):
    """While a secret is rotated, a webhook carries a signature of each; either alone is enough."""
    pd.subscribe(receiver.url, secrets=["one", "two"])
    pd.trigger("Checkout answers 500")
    (_, headers, raw) = receiver.received[0]

    assert headers["x-pagerduty-signature"] == sign(raw, ["one", "two"])
    assert [verify(raw, headers["x-pagerduty-signature"], [secret]) for secret in ("one", "two", "three")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("answer", [500, 503, 429, 302])
def test_repeats_what_was_not_taken_and_keeps_the_incidents_order(pd, receiver, answer: int):
    """Later webhooks of that incident wait behind it; another incident's do not."""
    pd.subscribe(receiver.url, secrets=["s"])
    receiver.answers = [answer, answer, answer]
    first = pd.trigger("First")["id"]
    pd.acknowledge(first)
    pd.trigger("Second")
    before = receiver.told
    receiver.received.clear()
    waiting = pd.courier.retry()

    assert before == [("triggered", "First")] * 3 + [("triggered", "Second")]
    assert (receiver.told, waiting) == ([("triggered", "First"), ("acknowledged", "First")], 0)


def test_gives_up_after_two_days(pd, receiver, clock):
    """What cannot be delivered for 48 hours is dropped."""
    subscription = pd.subscribe(receiver.url, secrets=["s"])
    receiver.answers = [500] * 3
    pd.trigger("Checkout answers 500")
    clock.pass_(hours=47)
    still = pd.courier.retry()
    clock.pass_(hours=2)
    then = pd.courier.retry()

    assert (still, then, subscription.history[0].state) == (1, 0, "dropped")


@pytest.mark.parametrize("answer", [400, 401, 404])
def test_three_refusals_in_a_row_disable_the_subscription_for_a_day(pd, receiver, clock, answer: int):
    """A 4xx drops the webhook; the third drops the queue and everything new, until somebody enables it or a day is over."""
    subscription = pd.subscribe(receiver.url, secrets=["s"])
    receiver.answers = [answer, answer, 202, answer, answer, answer]
    for _ in range(8):
        pd.trigger("Checkout answers 500")
    told = len(receiver.received)
    listed = ask(pd, "/webhook_subscriptions").json()["webhook_subscriptions"][0]["delivery_method"]
    clock.pass_(hours=25)
    pd.trigger("A day later")

    assert (told, listed["temporarily_disabled"], len(receiver.received)) == (6, True, 7)
    assert subscription.history[0].state == "dropped"


def test_enabling_and_pinging_over_rest(pd, receiver):
    """What a bot does about it."""
    subscription = pd.subscribe(receiver.url, secrets=["s"])
    subscription.disabled_at = pd.clock()
    enabled = ask(pd, f"/webhook_subscriptions/{subscription.id}/enable", "POST")
    pinged = ask(pd, f"/webhook_subscriptions/{subscription.id}/ping", "POST")
    while not receiver.received:
        time.sleep(0.002)

    assert (enabled.json()["webhook_subscription"]["delivery_method"]["temporarily_disabled"], pinged.status_code) == (
        False,
        202,
    )
    assert receiver.received[0][0] == "pagey.ping"


def test_drops_what_is_too_large(pd, receiver):
    """Over 256 KB a webhook is never sent."""
    subscription = pd.subscribe(receiver.url, secrets=["s"])
    incident_id = pd.trigger("Checkout answers 500")["id"]
    pd.annotate(incident_id, "x" * 300_000)

    assert (receiver.types, subscription.history[-1].state) == (["triggered"], "dropped")


def test_holds_back_then_shuffles_and_doubles(pd, receiver):
    """For the tests of everybody else."""
    pd.subscribe(receiver.url, secrets=["s"])
    pd.courier.hold()
    incident_id = pd.trigger("Checkout answers 500")["id"]
    pd.acknowledge(incident_id)
    pd.resolve(incident_id)
    held = len(receiver.received)
    waiting = pd.courier.release(copies=3, rng=random.Random(1))

    assert (held, waiting, sorted(receiver.types)) == (
        0,
        0,
        ["acknowledged"] * 3 + ["resolved"] * 3 + ["triggered"] * 3,
    )
    assert receiver.types != sorted(receiver.types)


def test_sends_only_the_events_subscribed_to(pd, receiver):
    """As a team may choose."""
    pd.subscribe(receiver.url, secrets=["s"], events=["incident.resolved"])
    pd.resolve(pd.trigger("Checkout answers 500")["id"])

    assert receiver.types == ["resolved"]


def test_the_webhook_id_is_that_of_the_webhook(pd, receiver):
    """The same for each attempt, so that a receiver may tell repeats."""
    pd.subscribe(receiver.url, secrets=["s"])
    receiver.answers = [503, 503]
    pd.trigger("Checkout answers 500")
    pd.courier.retry()
    pd.courier.retry()

    assert len({headers["x-webhook-id"] for _, headers, _ in receiver.received}) == 1


def test_resends_on_request(pd, receiver):
    """At least once means now and then twice."""
    subscription = pd.subscribe(receiver.url, secrets=["s"])
    pd.trigger("Checkout answers 500")

    assert (pd.courier.resend(subscription.history[0].event_id), len(receiver.received)) == ([202], 2)
