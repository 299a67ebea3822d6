"""The page that the alert itself names is among the evidence, whether the search finds it or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.investigation import GUIDES
from core.access import PUBLIC, Audience
from core.model import Document, Incident, Tier
from ingest.sources import ListSource
from ingest.sync import Ingestor

NOW = datetime(2026, 5, 14, 3, 12, tzinfo=UTC)
ALERT = "Redis sessions evicted: memory of redis is full"
NAMED = "https://github.com/acme/ops/blob/main/runbooks/storage.md"
TEXT = """# Cache nodes

Cache nodes hold what the shop remembers of its visitors, see the overview.

## Impact

Visitors are asked to log in once more, and their baskets are empty.

## Mitigation

Raise the limit in the chart, then watch the dashboard of the cache for an hour.
"""
SRE = Audience.of(("group:sre",))


def lookalikes(ingestor: Ingestor, **facts: object) -> None:
    """Thirty pages that read like the alert, and the one that it names, which does not."""
    like = (
        Document(id=f"redis/{number}.md", source="", title=f"Redis {number}", text=f"{ALERT}, on node {number}", tier=Tier.RUNBOOK)
        for number in range(30)
    )  # fmt: skip
    told = {"tier": Tier.RUNBOOK, "url": "https://github.com/acme/ops/tree/master/runbooks/storage.md"} | facts
    page = Document(id="runbooks/storage.md", source="", title="Cache nodes", text=TEXT, **told)  # type: ignore[arg-type]
    ingestor.sync(ListSource("git:/ops", page, *like))


def incident(url: str = NAMED) -> Incident:
    return Incident(id="pd:1", title=ALERT, service="checkout", created_at=NOW, runbook_url=url)


def test_it_comes_first_with_what_to_do_though_it_reads_like_nothing_of_the_alert(library):
    """And the best of the others follow, no more of them than there is room for."""
    asks, ingestor = library
    lookalikes(ingestor)

    found = asks.gather(incident(), PUBLIC).evidence

    assert ([(item.doc_id, item.section[-1:]) for item in found[:2]], len({item.doc_id for item in found})) == (
        [("runbooks/storage.md", ()), ("runbooks/storage.md", ("Mitigation",))], GUIDES,
    )  # fmt: skip


def test_the_section_that_the_address_points_at_is_shown_first(library):
    """What follows "#" in the address was written down for this alert too."""
    asks, ingestor = library
    lookalikes(ingestor)

    assert asks.gather(incident(f"{NAMED}#impact"), PUBLIC).evidence[0].section[-1] == "Impact"


@pytest.mark.parametrize(
    ("facts", "audience", "first"),
    [
        ({"readers": ("group:sre",)}, SRE, True),
        ({"readers": ("group:sre",)}, PUBLIC, False),
        ({"updated_at": NOW - timedelta(minutes=1)}, PUBLIC, True),
        ({"updated_at": NOW + timedelta(minutes=1)}, PUBLIC, False),
        ({"tier": Tier.WIKI}, PUBLIC, True),
        ({"url": "https://wiki.example/elsewhere"}, PUBLIC, True),
    ],
    ids=["for who may read it", "for nobody else", "written before", "written after", "a wiki page", "by its path"],
)
def test_it_is_shown_within_the_bounds_of_every_search(library, facts, audience: Audience, first: bool):
    """That an alert names a page opens it to nobody, and brings nothing back from the future."""
    asks, ingestor = library
    lookalikes(ingestor, **facts)

    found = asks.gather(incident(), audience).evidence

    assert ("runbooks/storage.md" in {item.doc_id for item in found}, found[0].doc_id == "runbooks/storage.md") == (
        first, first,
    )  # fmt: skip
