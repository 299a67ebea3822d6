"""The server's syncs: a service that takes long holds up no page that a folder closes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from bot.serve import Server
from bot.standin.slack import SlackStandIn
from bot.web import WebServer
from core.settings import read_settings
from retrieval.embedding import open_embedder

SECRET_STEP = "drain the blue reservoir"


class _EndlessService:
    """PagerDuty's REST API with a list that takes a second a page and has no end until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def app(self) -> Any:
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        def incidents(_request: Any) -> JSONResponse:
            self.asked.set()
            return JSONResponse({"incidents": [{}], "more": not self.let_go.wait(1)})

        def teams(_request: Any) -> JSONResponse:
            return JSONResponse({"teams": [], "more": False})

        return Starlette(routes=[Route("/teams", teams), Route("/{path:path}", incidents)])


def test_a_page_is_closed_while_a_service_is_still_being_read(tmp_path: Path):
    """PagerDuty is at its first reading; the folder's page is out of answers all the same."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "stays.md").write_text("# Certificates\n\nRenew them.")
    page, endless = docs / "checkout.md", _EndlessService()
    page.write_text(f"# Checkout\n\nFirst {SECRET_STEP}.")
    with SlackStandIn(users=("dana",)) as slack, WebServer(endless.app()) as service:
        settings = read_settings(
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
            pagerduty_api_token="token",
            pagerduty_api_url=service.url,
            docs=(str(docs),),
            http_port=0,
            sync_s=0.3,
        )
        with Server(settings, embedder=open_embedder("hash")) as server:

            def found() -> bool:
                hits = server.library.current().retriever.search(SECRET_STEP, limit=5) if server.library else []
                return any(SECRET_STEP in hit.text for hit in hits)

            slack.wait_for(lambda: found() and endless.asked.is_set(), timeout_s=30)
            page.write_text(f"---\nreaders: [group:sre]\n---\n# Checkout\n\nFirst {SECRET_STEP}.")
            slack.wait_for(lambda: not found(), timeout_s=20)
            told = server.health().get("sync of documents")
            endless.let_go.set()

    assert told is None  # it is not over for all of them
