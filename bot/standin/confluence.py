"""A Confluence on loopback: the read side of Cloud's REST v2 and v1, or of Data Center's REST v1, over one small world.

Does: authenticate, list with cursors or start and limit, expand what is asked for, and fail on request. Answers have the shapes of the
published schemas (`tests/vendor/` judges them, given those; Data Center's leaves out pages, whose shapes are Cloud's of before).
Does not: enforce restrictions by itself (the account that asks is an administrator's, unless a page is made invisible to it), write, or
keep anything after it is closed.

    with ConfluenceStandIn(cloud=True) as confluence:
        confluence.world.person("Anna", groups=["sre"])
        confluence.world.space("OPS", "sre")
        page = confluence.world.page("Broker full", "<p>Delete segments.</p>", labels=["runbook"])
        confluence.world.restrict(page, "Anna")
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from bot.standin import tell
from bot.standin.confluence_rest import Cloud, DataCenter, Refused
from bot.standin.confluence_world import World
from bot.standin.pagerduty_rest import Failure
from bot.web import Served, WebServer

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

USER, TOKEN = "bot@example.org", "standin-token"


class ConfluenceStandIn(Served):
    """The stand-in, up inside a `with` block at `url`.

    Args:
        cloud: whether it is Cloud; else Data Center.
        clock: its present; tests move it.
        port: its port; 0 lets the system choose.
    """

    def __init__(
        self, *, cloud: bool, clock: Callable[[], datetime] = lambda: datetime.now(UTC), port: int = 0
    ) -> None:
        self.cloud, self.clock = cloud, clock
        self.user, self.token = (USER if cloud else None), TOKEN
        self._server = WebServer(self._app(), port=port)
        self.url = self._server.url
        self.reset()

    def reset(self) -> None:
        """A new, empty world at the same address."""
        self.world = World(self.clock)
        #: What was asked, as "/rest/api/content?start=0".
        self.requests: list[str] = []
        #: Answers to give in place of the true ones, in order.
        self.failures: list[Failure] = []
        #: At most so many items at once, whatever is asked for.
        self.page_limit = 250
        #: Called with what was asked before each answer: for what happens while somebody reads.
        self.meanwhile: Callable[[str], None] = lambda asked: None
        #: Where Data Center tells e-mail addresses: "user" or "mobile".
        self.email_in = "user"

    def fail_next(
        self,
        status: int,
        *,
        on: str = "",
        times: int = 1,
        body: bytes = b"{}",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer the next requests, or those whose path ends with `on`, with a failure."""
        self.failures += [Failure(status=status, on=on, body=body, headers=dict(headers or {}))] * times

    def bodies_read(self) -> int:
        """How many page bodies were asked for."""
        told = [asked for asked in self.requests if "body-format=storage" in asked or "expand=body.storage" in asked]
        return sum(max(1, len(parse_qs(asked.partition("?")[2]).get("id", ()))) for asked in told)

    # -- the server ------------------------------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.routing import Route

        api = Cloud(self) if self.cloud else DataCenter(self)
        return Starlette(routes=[Route(path, self._guarded(answer)) for path, answer in api.routes().items()])

    def _guarded(self, answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
        """Note, fail on request, authenticate, then answer. A plain function: Starlette runs it in a thread."""
        from starlette.responses import JSONResponse, Response

        def handle(request: Request) -> Response:
            path = request.url.path
            self.requests.append(f"{path}?{request.url.query}")
            self.meanwhile(self.requests[-1])
            meant = next((failure for failure in self.failures if path.endswith(failure.on)), None)
            if meant is not None:
                self.failures.remove(meant)
                return Response(meant.body, meant.status, headers=meant.headers, media_type="application/json")
            if request.headers.get("authorization") != self._expected():
                return Response("<html><title>Unauthorized</title></html>", 401, media_type="text/html")
            try:
                with self.world.lock:
                    told = JSONResponse(answer(request))
            except Refused as refused:
                told = JSONResponse({"statusCode": refused.status, "message": str(refused)}, refused.status)
            return tell("confluence_cloud" if self.cloud else "confluence_data_center", request, told)

        return handle

    def _expected(self) -> str:
        if self.user is None:
            return f"Bearer {self.token}"
        return "Basic " + base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
