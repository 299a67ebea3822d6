"""Reading fields that hold anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.incidents import fold
from core.model import IncidentEvent
from ingest import fields as f
from ingest import pagerduty_fields as pd

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [
        "id",
        "title",
        "summary",
        "html_url",
        "number",
        "incident_number",
        "created_at",
        "urgency",
        "priority",
        "service",
        "description",
        "body",
        "custom_fields",
    ]
)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
        ("http://grafana.internal:3000/d", "http://grafana.internal:3000/d"),
        (" https://example.com ", "https://example.com"),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("//example.com", None),
        ("https://user@example.com/", None),
        ("https://example.com@evil.example/", None),
        ("https://example.com/<!channel>", None),
        ("https://example.com/a b", None),
        ("https://example.com/a|b", None),
        ("https://[::1", None),
        ("https://example.com/" + "a" * 2000, None),
        (7, None),
        (None, None),
    ],
)
def test_an_address_is_one_a_person_may_follow(value: Any, kept: str | None):
    """Absolute, of the web, without a user name, and unable to break out of a link's markup."""
    assert f.web_url(value) == kept


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ("plain words", "plain words"),
        ({"b": "two", "message": "one", "a": 3}, "one\nb: two\na: 3"),
        ({"outer": {"inner": "x", "deep": {"flag": True}}}, "outer.inner: x\nouter.deep.flag: true"),
        ({"tags": ["a", "b", 3, None]}, "tags: a, b, 3"),
        ({"url": "https://example.com", "empty": "", "none": None}, ""),
        (["a", "b"], "a, b"),
        ({"summary": "same", "description": "same"}, "same"),
        (None, ""),
        ({}, ""),
    ],
)
def test_details_become_lines(details: Any, told: str):
    """The telling text first, then a line for each value; addresses are links and not lines."""
    assert pd.describe(details) == told


def test_a_flood_of_details_is_cut():
    """A megabyte of details is a few lines on a card."""
    assert len(pd.describe({f"key{number}": "x" * 1000 for number in range(1000)})) == f.PROSE


@given(JSON)
def test_whatever_details_hold_is_read(details: Any):
    """Nothing is raised, and what comes out is bounded and printable."""
    told, found = pd.describe(details), pd.links(details, details)

    assert len(told) <= f.PROSE
    assert all(f.web_url(item["url"]) for item in found)
    pd.runbook(found, told)
    (told + str(found)).encode()


@given(st.dictionaries(NAMES, JSON))
def test_whatever_an_incident_holds_folds(data: dict[str, Any]):
    """Odd fields are left out; what is left is an incident."""
    at = f.time_of("2026-03-01T10:00:00Z")
    assert at is not None
    event = IncidentEvent(
        incident_id="pd:Q1", event_id="1", kind="triggered", occurred_at=at, changes=pd.incident_fields(data)
    )

    assert fold([event]) is not None


@pytest.mark.parametrize("value", ["", "x", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:00", 7, None, "2026-03-01"])
def test_a_time_is_aware_or_none(value: Any):
    """What is no time gives none; a day alone is its start in UTC."""
    found = f.time_of(value)

    assert found is None or found.tzinfo is not None
