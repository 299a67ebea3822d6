"""The page that an alert names as its runbook comes first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.investigation import Investigator
from core.access import PUBLIC
from core.model import Document, Incident, Tier
from ingest.sources import ListSource
from ingest.sync import Ingestor


@pytest.mark.parametrize(
    ("named", "doc_id", "url", "first"),
    [
        ("https://github.com/acme/ops/blob/main/runbooks/redis.md#memory", "runbooks/redis.md", None, True),
        ("https://docs.example/runbooks/redis/", "runbooks/redis.md", None, True),
        ("https://docs.example/anything/redis", "redis.md", None, True),
        ("https://docs.example/anything/redis", "sessions/redis.md", None, False),
        ("https://wiki.example/x/page?src=alert", "4711", "https://wiki.example/x/page?src=alert", True),
        ("https://wiki.example/x/page", "4711", "https://other.example/y/page", False),
        (None, "redis.md", None, False),
    ],
)
def test_the_page_that_the_alert_names_comes_first(
    library: tuple[Investigator, Ingestor], named: str | None, doc_id: str, url: str | None, first: bool
):
    """By its address, however written, or its path; by its bare name only where it has no folder."""
    asks, ingestor = library
    better = "Redis sessions evicted: memory of redis is full, sessions are evicted."
    ingestor.sync(
        ListSource(
            "folder:/docs",
            Document(id="better/evictions.md", source="", title=better, text=better, tier=Tier.RUNBOOK),
            Document(id=doc_id, source="", title="Sessions", text="sessions", tier=Tier.RUNBOOK, url=url),
        )
    )
    incident = Incident(
        id="pd:1",
        title=better,
        service="checkout",
        created_at=datetime(2026, 5, 14, 3, 12, tzinfo=UTC),
        runbook_url=named,
    )

    assert asks.gather(incident, PUBLIC).evidence[0].doc_id == (doc_id if first else "better/evictions.md")
