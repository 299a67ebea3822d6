"""Which documents tell of past incidents, and when those were."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest

from core.model import Tier
from ingest.postmortem import as_time, find_day, occurred_at, tier_of


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "title", "text", "tier"),
    [
        ("runbooks/x.md", "", "", Tier.RUNBOOK),
        ("Playbooks/kafka/x.md", "", "", Tier.RUNBOOK),
        ("wiki/x.md", "", "", Tier.WIKI),
        ("incidents/x.md", "", "", Tier.PAST_INCIDENT),
        ("docs/post_mortems/2024/x.md", "", "", Tier.PAST_INCIDENT),
        ("incidents/runbooks/x.md", "", "", Tier.RUNBOOK),
        ("docs/x.md", "", "", Tier.WIKI),
        ("incident-response/x.md", "", "", Tier.WIKI),
        ("docs/kafka-runbook.md", "", "", Tier.RUNBOOK),
        ("docs/post-mortem-kafka.md", "", "", Tier.PAST_INCIDENT),
        ("docs/x.md", "Postmortem: kafka", "Date: 2024-05-01", Tier.PAST_INCIDENT),
        ("docs/x.md", "Incident report", "On May 1, 2024 the broker stopped.", Tier.PAST_INCIDENT),
        ("docs/x.md", "How to write a postmortem", "Be kind.", Tier.WIKI),
        ("x.md", "Kafka", "Last changed 2024-05-01", Tier.WIKI),
    ],
)
def test_a_document_is_trusted_by_where_it_lies(path: str, title: str, text: str, tier: Tier):
    """The nearest folder, then the file's name, then a title with a day."""
    assert tier_of(PurePosixPath(path), title, text) == tier


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01", day(2024, 5, 1)),
        ("2024-05-01T10:20:30Z", datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)),
        ("2024-05-01 10:20 UTC", datetime(2024, 5, 1, 10, 20, tzinfo=UTC)),
        ("2024-05-01T10:20:30.5+02:00", datetime(2024, 5, 1, 8, 20, 30, tzinfo=UTC)),
        ("2024-05-01T99:20", day(2024, 5, 1)),
        ("2024/05/01", day(2024, 5, 1)),
        ("20240501-kafka", day(2024, 5, 1)),
        ("May 1, 2024", day(2024, 5, 1)),
        ("on Sept. 3rd 2024", day(2024, 9, 3)),
        ("the 21st March 2024", day(2024, 3, 21)),
        ("later 3 May 2024, before 2024-01-01", day(2024, 5, 3)),
        ("2024-02-31 then 2024-03-01", day(2024, 3, 1)),
        ("version 1.2.3, 12024-05-012, Mai 1, 2024", None),
        ("", None),
    ],
)
def test_the_first_date_in_a_text_is_found(text: str, expected: datetime | None):
    """As people write them; a day without an hour is its last second."""
    assert find_day(text) == expected


@pytest.mark.parametrize(
    ("name", "front", "text", "expected"),
    [
        ("2024-05-01-kafka.md", {}, "On 2024-06-01 …", day(2024, 5, 1)),
        ("2024-05-01-kafka.md", {"date": date(2024, 4, 1)}, "", day(2024, 4, 1)),
        ("k.md", {"date": "soon", "started_at": datetime(2024, 4, 1, 5)}, "", datetime(2024, 4, 1, 5, tzinfo=UTC)),
        ("k.md", {"occurred_at": "2024-04-01T05:00:00+01:00"}, "", datetime(2024, 4, 1, 4, tzinfo=UTC)),
        ("k.md", {}, "# Kafka\n\nDate: 1 May 2024", day(2024, 5, 1)),
        ("k.md", {}, "word\n" * 50 + "2024-05-01", None),
        ("k.md", {"date": 7}, "", None),
    ],
)
def test_an_incidents_day_is_read_where_it_is_surest(
    name: str, front: dict[str, Any], text: str, expected: datetime | None
):
    """Front matter, then the file's name, then the first lines; far below is not searched."""
    assert occurred_at(PurePosixPath(name), front, text) == expected


def test_an_incident_never_finds_its_own_report():
    """A report that tells only the day is as late as that day can be."""
    reported = find_day("2024-05-01")

    assert reported is not None
    assert reported > datetime(2024, 5, 1, 23, 30, tzinfo=UTC)


def test_what_is_no_time_is_none():
    """Front matter holds anything."""
    assert [as_time(value) for value in (None, 3, [], {}, "soon", True)] == [None] * 6
