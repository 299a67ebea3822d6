"""The HTTP edge: one Starlette app with everything `rundown serve` answers on its port.

Does: route `POST /pagerduty/webhook`, `POST /slack/events`, `GET /healthz`, `/readyz` and `/metrics`.
Does not: verify or understand a request (its endpoint does), or run a server (`bot/app.py` does).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from bot.metrics import Metrics

log = logging.getLogger(__name__)

Endpoint = Callable[["Request"], Awaitable["Response"]]
#: Part of the process to how it is: "ok", "degraded: …" (worse, but pages are still taken), or why it is down.
Ready = Callable[[], Mapping[str, str]]


class WebhookEndpoint(Protocol):
    """What `bot.pagerduty.PagerDutyWebhook` is to this module."""

    async def __call__(self, request: Request) -> Response:
        """Answer a webhook."""
        ...

    def misdirected(self) -> Response:
        """Answer a webhook sent to a path that is nearly ours."""
        ...


def make_http(
    *, pagerduty: WebhookEndpoint, metrics: Metrics, ready: Ready, slack: Endpoint | None = None
) -> Starlette:
    """The app.

    Args:
        pagerduty: takes webhooks.
        metrics: what /metrics shows.
        ready: asked by /readyz; called in a thread, may take a moment, may raise.
        slack: takes Slack's requests; None in Socket Mode, where the path does not exist.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    routes = [
        Route("/healthz", _healthz, methods=["GET"]),
        Route("/readyz", _readyz(ready), methods=["GET"]),
        Route("/metrics", _metrics(metrics), methods=["GET"]),
    ]
    if slack is not None:
        routes.append(Route("/slack/events", _function(slack), methods=["POST"]))
    routes += _pagerduty_routes(pagerduty)
    lost = _elsewhere(pagerduty)
    app = Starlette(routes=routes, exception_handlers={404: lost, 405: lost})
    # A redirect is no answer to a webhook: neither sender promises to follow one.
    app.router.redirect_slashes = False
    return app


def _pagerduty_routes(endpoint: WebhookEndpoint) -> list[Route]:
    from starlette.routing import Route

    async def misdirected(_request: Request) -> Response:
        return endpoint.misdirected()

    return [
        Route("/pagerduty/webhook", _function(endpoint), methods=["POST"]),
        Route("/pagerduty/webhook/", _function(endpoint), methods=["POST"]),
        # A 404 would lose the incident behind a mistyped address; see bot/pagerduty.py.
        Route("/pagerduty/{rest:path}", misdirected, methods=["POST"]),
        Route("/pagerduty", misdirected, methods=["POST"]),
    ]


def _elsewhere(endpoint: WebhookEndpoint) -> Any:
    """What is asked of no path of ours: PagerDuty's are alarmed and kept alive, anybody else's are plainly refused."""

    async def handle(request: Request, refusal: Any) -> Response:
        from starlette.responses import PlainTextResponse

        if request.method == "POST" and "x-pagerduty-signature" in request.headers:
            return endpoint.misdirected()
        return PlainTextResponse(refusal.detail, status_code=refusal.status_code, headers=refusal.headers)

    return handle


def _function(endpoint: Endpoint) -> Endpoint:
    """The endpoint as a plain function: Starlette takes a callable object for an ASGI app."""

    async def handle(request: Request) -> Response:
        return await endpoint(request)

    return handle


async def _healthz(_request: Request) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"status": "alive"})


def _readyz(ready: Ready) -> Endpoint:
    async def handle(_request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        try:
            parts = dict(await run_in_threadpool(ready))
        except Exception as error:
            log.exception("could not tell whether we are ready")
            parts = {"readiness": f"could not be told: {type(error).__name__}"}
        down = [part for part, state in parts.items() if state != "ok" and not state.startswith("degraded")]
        word = "down" if down else "ready" if all(state == "ok" for state in parts.values()) else "degraded"
        return JSONResponse({"status": word, "parts": parts}, status_code=503 if down else 200)

    return handle


def _metrics(metrics: Metrics) -> Endpoint:
    async def handle(_request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        body, content_type = await run_in_threadpool(metrics.page)
        return Response(body, media_type=content_type)

    return handle
