"""The HTTP app: what is mounted where, and what /healthz, /readyz and /metrics say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.http import make_http
from bot.metrics import Metrics
from bot.web import WebServer


class Hook:
    """An endpoint that says it was called."""

    def __init__(self, words: str) -> None:
        self._words = words

    async def __call__(self, request: Request) -> Response:
        return PlainTextResponse(f"{self._words} {(await request.body()).decode()}")

    def misdirected(self) -> Response:
        return PlainTextResponse("misdirected", 503)


class Parts:
    """What /readyz is told."""

    def __init__(self) -> None:
        self.said: Any = {}

    def __call__(self) -> Mapping[str, str]:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts()


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture(scope="module")
def http(parts: Parts, metrics: Metrics) -> Iterator[httpx.Client]:
    app = make_http(pagerduty=Hook("pagerduty"), slack=Hook("slack"), metrics=metrics, ready=parts)
    with WebServer(app) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/pagerduty/webhook", 200, "pagerduty body"),
        ("POST", "/pagerduty/webhook/", 200, "pagerduty body"),
        ("POST", "/pagerduty/other", 503, "misdirected"),
        ("POST", "/slack/events", 200, "slack body"),
        ("POST", "/slack/other", 404, "Not Found"),
        ("POST", "/slack/events/", 404, "Not Found"),
        ("GET", "/healthz", 200, '{"status":"alive"}'),
        ("GET", "/", 404, "Not Found"),
        ("GET", "/slack/events", 405, "Method Not Allowed"),
        ("POST", "/healthz", 405, "Method Not Allowed"),
    ],
)
def test_everything_is_where_it_belongs(http, method: str, path: str, status: int, text: str):
    """Endpoints that are objects are called with the request; what is not there is not found."""
    answer = http.request(method, path, content=b"body" if method == "POST" else None)

    assert (answer.status_code, answer.text) == (status, text)


def test_in_socket_mode_slack_has_no_path(parts):
    """Nothing listens for Slack over HTTP unless it is wanted."""
    app = make_http(pagerduty=Hook("pagerduty"), metrics=Metrics(), ready=parts)

    assert "/slack/events" not in {getattr(route, "path", "") for route in app.routes}


@pytest.mark.parametrize(
    ("said", "status", "word"),
    [
        ({"store": "ok", "slack": "ok"}, 200, "ready"),
        ({"store": "ok", "index": "degraded: being rebuilt"}, 200, "degraded"),
        ({"store": "cannot be written", "index": "degraded: x"}, 503, "down"),
        ({}, 200, "ready"),
    ],
)
def test_ready_says_how_each_part_is(http, parts, said: dict[str, str], status: int, word: str):
    """503 only when a part without which no page can be taken is down."""
    parts.said = said

    answer = http.get("/readyz")

    assert (answer.status_code, answer.json()) == (status, {"status": word, "parts": said})


def test_ready_survives_its_own_question(http, parts):
    """A check that breaks is an answer: not ready. Its words, which may hold anything, stay inside."""
    parts.said = ValueError("postgresql://user:password@host")

    answer = http.get("/readyz")

    assert answer.status_code == 503
    assert "password" not in answer.text


def test_metrics_are_prometheus_text(http, metrics):
    """The page is the registry given, in Prometheus's format."""
    metrics.webhook("accepted")

    answer = http.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'rundown_pagerduty_webhooks_total{outcome="accepted"} 1.0' in answer.text


@pytest.mark.parametrize("path", ["/", "//pagerduty/webhook", "/PagerDuty/webhook", "/healthz"])
def test_a_webhook_that_lost_its_way_is_not_lost(http, path: str):
    """A 404 or 405 would delete it for ever; a mistyped address is alarmed and PagerDuty tries again."""
    answer = http.post(path, content=b"body", headers={"x-pagerduty-signature": "v1=0"})

    assert (answer.status_code, answer.text) == (503, "misdirected")
