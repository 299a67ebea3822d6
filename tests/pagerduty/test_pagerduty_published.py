"""The stand-in against what PagerDuty publishes: every request it knows, and every webhook it sends.

With the vendors' files, `tests/conftest.py` judges each request and answer of every test; here each is asked for, in an account where
everything has happened.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pagerduty_life import live_through_everything
from published import documented_webhooks, needs_files, published, webhook_problems

from bot.standin.pagerduty import PagerDutyStandIn

pytestmark = needs_files


@pytest.fixture(name="busy")
def _busy(pd: PagerDutyStandIn) -> PagerDutyStandIn:
    live_through_everything(pd)
    return pd


def test_every_answer_is_as_published(busy: PagerDutyStandIn, as_published: dict[str, list[Any]]):
    """Of each request that the stand-in knows, as little as can be asked for and as much; and a refusal."""
    everything = {"include[]": ["custom_fields", "conference_bridge", "first_trigger_log_entries"]}
    ids = {
        "incidents": next(iter(busy.world.incidents)),
        "services": next(iter(busy.world.services.values()))["id"],
        "teams": busy.set_team("Security", private=True, members=["Ada", "Grace"]),
        "users": next(iter(busy.world.users.values()))["id"],
        "webhook_subscriptions": next(iter(busy.courier.subscriptions)),
    }
    routes = [(method, route.path) for route in busy.rest.app().routes for method in route.methods - {"HEAD"}]
    with httpx.Client(base_url=busy.url, trust_env=False) as http:
        refused = http.get("/incidents").status_code
        http.headers["authorization"] = f"Token token={busy.token}"
        answers = {
            (method, path): http.request(method, path.replace("{id}", ids.get(path.split("/")[1], ""))).status_code
            for method, path in sorted(routes)
        }
        http.get(f"/incidents/{ids['incidents']}", params=everything)
        http.get(f"/incidents/{ids['incidents']}/log_entries", params={"include[]": "channels"})
        http.get("/incidents", params={"total": "true", "limit": 3, "include[]": "services"})
        http.get(f"/teams/{ids['teams']}/members", params={"include[]": "users"})
    asked = {published("pagerduty").named(method, path) for method, path, *_ in as_published["pagerduty"]}

    assert refused == 401
    assert {key: status for key, status in answers.items() if status != 200} == {
        ("GET", "/users/me"): 400,
        ("POST", "/webhook_subscriptions/{id}/ping"): 202,
    }
    assert len(as_published["pagerduty"]) == len(answers) + 5
    assert asked == {f"{method} {path}" for method, path in routes}


def test_every_webhook_is_as_documented(busy: PagerDutyStandIn):
    """Its envelope, and its data as the documented example of that type."""
    (subscription,) = busy.courier.subscriptions.values()
    bodies = [json.loads(delivery.body) for delivery in subscription.history]

    assert {body["event"]["event_type"] for body in bodies} > {"incident.triggered", "incident.resolved"}
    assert [problem for body in bodies for problem in webhook_problems(body, documented_webhooks())] == []


def test_the_stand_in_sends_every_event_there_is(busy: PagerDutyStandIn):
    """A subscription that names none has them all."""
    (subscription,) = busy.courier.subscriptions.values()

    assert sorted(subscription.events) == documented_webhooks()["events"]
