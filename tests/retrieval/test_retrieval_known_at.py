"""From when on a page counts as having been there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from retrieval_world import EMBEDDER, at, fill, piece

from core.model import Tier
from ingest.postmortem import as_time
from retrieval.index import VectorIndex
from retrieval.retriever import Retriever

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

NOON = at("2026-11-29T12:00:00")
TODAY, TOMORROW = as_time("2026-11-29"), as_time("2026-11-30")
REPORT = {"tier": Tier.PAST_INCIDENT}


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"updated_at": TODAY}, True),
        ({"updated_at": TODAY, "tier": Tier.WIKI}, True),
        ({"updated_at": TOMORROW}, False),
        ({"updated_at": NOON}, False),
        ({"updated_at": NOON - timedelta(seconds=1)}, True),
        (REPORT | {"updated_at": TODAY}, False),
        (REPORT | {"occurred_at": TODAY}, False),
        (REPORT | {"occurred_at": at("2026-11-01T23:59:59"), "updated_at": at("2026-11-28T23:59:59")}, True),
        ({}, True),
    ],
    ids=[
        "a runbook of today",
        "a page of today",
        "of tomorrow",
        "of this very second",
        "of the second before",
        "a report written today",
        "a report of today",
        "a report of this month",
        "of no day",
    ],
)
def test_a_page_that_tells_only_its_day_counts_from_that_days_start(
    index: VectorIndex, facts: dict[str, Any], shown: bool
):
    """Over both engines. But no incident finds a report of its own day, and nothing comes from a later one."""
    page = piece("redis.md", "restart redis", **facts)
    fill(index, page)

    found = Retriever(index, EMBEDDER).search("restart redis", before=NOON)

    assert [(item.updated_at, item.doc_id) for item in found] == ([(page.updated_at, "redis.md")] if shown else [])


def test_a_day_in_another_zone_is_not_taken_for_a_bare_one(index: VectorIndex):
    """What stands for a whole day is its last second in UTC, however the time was written."""
    pages = [
        piece("utc.md", "restart redis", updated_at=datetime.fromisoformat("2026-11-30T00:59:59+01:00")),
        piece("zone.md", "restart redis", updated_at=datetime.fromisoformat("2026-11-29T23:59:59+01:00")),
    ]
    fill(index, *pages)

    assert [item.doc_id for item in Retriever(index, EMBEDDER).search("restart redis", before=NOON)] == ["utc.md"]
