"""Incidents like this one, over real documents in Qdrant's engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from past_world import ASKED, NOW, Past, past_of, record, report

from core.access import Audience
from core.model import Incident
from retrieval.similar import Similar
from retrieval.story import Said


def ids(similar: Similar) -> list[set[str | None]]:
    """The documents of each incident found."""
    return [{item.doc_id for item in past.evidence} for past in similar.incidents]


def counted(similar: Similar) -> tuple[int, str, str] | None:
    """How often, since when, and which was the last."""
    again = similar.recurrence
    return again and (again.times, f"{again.since:%Y-%m-%d}", again.last.evidence[0].doc_id or "")


# -- how it is alike -----------------------------------------------------------------------------------------------------

ALIKE = record("ALIKE", "2026-03-04T09:12:00+00:00", number=7)
SYMPTOM = record(
    "SYMPTOM", "2026-02-01T00:00:00+00:00", title="Search index is stale", service="search", alert=(), notes=(),
    description="the indexer stopped: connection pool exhausted",
)  # fmt: skip
SERVICE = record(
    "SERVICE", "2026-04-01T00:00:00+00:00", title="Checkout errors are logged twice", alert=(), notes=(),
    description="checkout errors are logged twice for each connection",
)  # fmt: skip
STRANGER = record(
    "STRANGER", "2026-05-01T00:00:00+00:00", title="Newsletter went out twice", service="mail", alert=(), notes=(),
    description="the campaign was sent by both schedulers",
)  # fmt: skip


@pytest.fixture(name="four", scope="module")
def _four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    with past_of(tmp_path_factory.mktemp("four"), STRANGER, SERVICE, SYMPTOM, ALIKE) as past:
        yield past


def test_same_alert_and_service_stand_above_symptoms_and_those_above_service(four: Past):
    """Each likeness is told only where it is literally so; a stranger is left out."""
    assert [(item.title, item.alike) for item in four.ask(limit=9).incidents] == [
        (ALIKE.title, ("same alert", "same service", 'same error text "connection pool exhausted"')),
        (SYMPTOM.title, ('same error text "connection pool exhausted"',)),
        (SERVICE.title, ("same service",)),
    ]


def test_nothing_similar_is_nothing(four: Past):
    """A floor: no incident is better than one that is not alike."""
    other = Incident(id="pd:X", title="Quarterly tasting", description="brie", service="cheese", created_at=NOW)

    assert four.ask(other) == Similar()


def test_what_is_near_to_the_words_of_counting_alone_is_not_similar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """That two incidents are on one service makes them no kin."""
    monkeypatch.setattr("retrieval.similar.LOOKED_AT", 1)
    near = replace(ALIKE, id="NEAR")
    far = report("far.md", "2026-01-05", "Incident on checkout", "An incident on checkout.")
    with past_of(tmp_path, near, far) as world:
        assert ids(world.ask()) == [{"NEAR"}]


def test_an_ending_is_told_verbatim_with_who_said_so_and_when(four: Past):
    """And rests on the section that holds it."""
    (first, *_) = four.ask().incidents
    assert first.ending is not None
    held = {item.id: item.section for item in first.evidence}

    assert (first.ending.text, first.ending.author, first.ending.at, first.ending.mitigated, held[first.ending.evidence]) == (
        "rolled back ALIKE, errors fall", "Anna Ito", datetime(2026, 3, 4, 9, 17, tzinfo=UTC), True, ("Resolution",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "past", "same"),
    [
        ({"title": "Checkout answers 500 on web-4"}, {"title": "Checkout answers 503 on web-1", "alert": ()}, True),
        ({"title": "[FIRING:3] DiskFull db1034"}, {"title": "DiskFull db2001", "alert": ()}, True),
        ({"title": "Disk full"}, {"title": "Disk almost full", "alert": ()}, False),
        ({"title": "Outage"}, {"title": "Outage", "alert": ()}, False),
        ({"title": "503"}, {"title": "503", "alert": ()}, False),
        ({"title": "x", "description": "alertname: A_Rule"}, {"title": "y", "alert": (("Alert", "a_rule"),)}, True),
        ({"title": "z z", "description": "alertname: A_Rule"}, {"title": "z z", "alert": (("Alert", "B_Rule"),)}, False),
        ({"title": "[FIRING:1] DiskFull prod eu"}, {"title": "full disk", "alert": (("Alert", "DiskFull"),)}, True),
        ({"title": "HighErrorRate of 4 March"}, {"title": "HighErrorRate at night, again", "alert": ()}, True),
        ({"title": "HighErrorRate of 4 March"}, {"title": "HighLatency of 4 March", "alert": ()}, False),
        ({"title": "JupyterHub is slow"}, {"title": "JupyterHub lost a node", "alert": ()}, False),
        ({"title": "DiskFull on web"}, {"title": "DiskFull on web", "alert": (("Alert", "DiskRule"),)}, True),
        ({"title": "a", "description": "key checkout/5xx"}, {"title": "b", "alert": (("Dedup", "checkout/5xx"),)}, True),
    ],
)  # fmt: skip
def test_an_alert_is_known_again_without_its_numbers_and_hosts(tmp_path: Path, asked, past, same):
    """By the rule's name where both give one, else by its key or title."""
    incident = replace(ASKED, **({"description": ""} | asked))
    document = record("Q1", "2026-03-04T09:12:00+00:00", **({"description": "", "notes": ()} | past))
    with past_of(tmp_path, document) as world:
        alike = [likeness for found in world.ask(incident).incidents for likeness in found.alike]

    assert ("same alert" in alike) == same


@pytest.mark.parametrize(
    ("areas", "description", "alike"),
    [
        (("shop/db",), "", ("same culprit area shop/db",)),
        ((), "at shop/db/session.py:41", ("same culprit area shop/db",)),
        (("shop/dbx",), "", ()),
        (("shop",), "", ()),
    ],
)
def test_a_culprit_area_is_the_same_where_the_report_names_it(tmp_path: Path, areas, description, alike):
    """From the commits suspected now, or a file that the alert names."""
    incident = Incident(id="pd:X", title="Pages hang", description=description, created_at=NOW)
    written = report("a.md", "2026-01-05", "Pages hang forever", "The culprit was shop/db/pool.py, pages hang.")
    with past_of(tmp_path, written) as world:
        (found,) = world.ask(incident, areas=areas).incidents

    assert tuple(item for item in found.alike if "area" in item) == alike


def test_of_the_same_alert_the_latest_comes_first(tmp_path: Path):
    """Whatever else their words share with this one: what helped lately helps more."""
    documents = [
        record("OLD", "2026-01-04T00:00:00+00:00", description="connection pool exhausted, labels, firing, web, web-4"),
        record(
            "NEW", "2026-07-04T00:00:00+00:00", description="connection pool exhausted and much else of other things"
        ),
    ]
    with past_of(tmp_path, *documents) as world:
        assert ids(world.ask()) == [{"NEW"}, {"OLD"}]


def test_what_many_hold_is_no_symptom(tmp_path: Path):
    """An error text of every other incident tells none of them apart."""
    many = [
        record(f"Q{day}", datetime(2026, 3, day, tzinfo=UTC), title=f"Rule {word} fires", alert=(), notes=(), service=word,
               description="sidecar connection pool exhausted")
        for day, word in enumerate(("mail", "search", "cart", "login"), 1)
    ]  # fmt: skip
    with past_of(tmp_path, *many) as world:
        assert [found.alike for found in world.ask(limit=9).incidents if "error" in "".join(found.alike)] == []


def test_what_a_report_says_should_be_done_is_no_ending(tmp_path: Path):
    """Nor is a heading a speaker."""
    text = "# Checkout answers 500\n\n## Mitigation\n\nRoot Cause: restarted the pods of checkout.\n\n## Lessons\n\nRollback was replaced by hand."
    with past_of(tmp_path, report("a.md", "2026-03-04", "Checkout answers 500", text)) as world:
        (found,) = world.ask().incidents
    with past_of(
        tmp_path / "b", report("a.md", "2026-03-04", "Checkout answers 500", text.replace("restarted", "saw"))
    ) as world:
        (silent,) = world.ask().incidents

    assert found.ending and (found.ending.author, found.ending.text) == (
        None,
        "Root Cause: restarted the pods of checkout.",
    )
    assert silent.ending is None


# -- how often ---------------------------------------------------------------------------------------------------------


def test_recurrences_are_counted_across_months_and_years(tmp_path: Path):
    """Of the same alert on the same service only; the last tells what helped."""
    documents = [
        record("Q1", "2024-12-31T23:30:00+00:00"),
        record("Q2", "2026-03-04T09:12:00+00:00"),
        record("Q3", "2026-03-05T09:12:00+00:00", notes=(Said(at=NOW - timedelta(days=160), author="Bo", text="hm"),)),
        record("OTHER", "2026-06-01T00:00:00+00:00", service="search"),
        record("RULE", "2026-06-02T00:00:00+00:00", title="Slow", alert=(("Alert", "CheckoutSlow"),)),
    ]
    with past_of(tmp_path, *documents) as world:
        similar = world.ask()
    again = similar.recurrence

    assert counted(similar) == (3, "2024-12-31", "Q3")
    assert again and again.last.ending and (again.last.ending.text, again.last.ending.mitigated) == ("hm", False)


def test_an_alert_without_a_name_is_counted_by_the_rule_that_its_titles_name(tmp_path: Path):
    """Titles carry the day and whatever else somebody wrote there."""
    facts = {"alert": (), "description": "", "notes": ()}
    documents = [
        record("Q1", "2026-03-02T09:00:00+00:00", title="HighErrorRate 2 March, night shift", **facts),
        record("Q2", "2026-04-03T09:00:00+00:00", title="Friday 3 April: HighErrorRate (again)", **facts),
        record("OTHER", "2026-05-03T09:00:00+00:00", title="HighLatency 3 May, night shift", **facts),
    ]
    asked = replace(ASKED, title="HighErrorRate on Thursday, 20 August", description="")
    with past_of(tmp_path, *documents) as world:
        assert counted(world.ask(asked)) == (2, "2026-03-02", "Q2")


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 3, 29, 3, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 3, 8, 3, 30, tzinfo=ZoneInfo("America/New_York")),
        datetime(2027, 1, 1, 13, 59, tzinfo=ZoneInfo("Pacific/Kiritimati")),
    ],
)
def test_before_is_before_when_clocks_change(tmp_path: Path, at: datetime):
    """An hour before counts, whatever the clock on the wall said; the same hour later does not."""
    documents = [
        record("BEFORE", at.astimezone(UTC) - timedelta(hours=26)),
        record("AFTER", at.astimezone(UTC) + timedelta(minutes=1)),
    ]
    with past_of(tmp_path, *documents) as world:
        similar = world.ask(replace(ASKED, created_at=at))

    assert (ids(similar), similar.recurrence and similar.recurrence.times) == ([{"BEFORE"}], 1)


@pytest.mark.parametrize("doc_id", ["QNOW", "pd:QNOW"])
def test_an_incident_is_never_its_own_past(tmp_path: Path, doc_id: str):
    """Not even where its record claims to be over before it began: clocks differ."""
    with past_of(tmp_path, record(doc_id, NOW - timedelta(hours=1))) as world:
        assert world.ask() == Similar()


def test_what_began_later_is_not_past(tmp_path: Path):
    """By its own words, whatever time it is filed under."""
    later = replace(record("Q1", NOW), occurred_at=NOW - timedelta(days=1))
    with past_of(tmp_path, later) as world:
        assert world.ask() == Similar()


@pytest.fixture(name="two", scope="module")
def _two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    before = [record(f"Q{month}", datetime(2026, month, 4, 9, 12, tzinfo=UTC)) for month in (3, 6)]
    with past_of(tmp_path_factory.mktemp("two"), *before) as past:
        yield past


@hypothesis_settings(max_examples=25)
@given(
    later=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)),
    own_words=st.booleans(),
    same_day=st.booleans(),
)
def test_the_future_changes_nothing(two: Past, later: timedelta, own_words: bool, same_day: bool):
    """Any incident at or after this one, or over only then, may be stored: the answer stays to the letter."""
    known = two.ask()
    began = NOW - timedelta(minutes=41) if same_day and later < timedelta(days=1) else NOW + later
    ended = max(NOW, began) + later
    text = f"# Checkout answers 500\n\nCheckoutErrors on checkout: connection pool exhausted, {ended:%Y-%m-%d}."
    future = (
        replace(report("f.md", None, "Checkout answers 500", text), occurred_at=ended)
        if own_words
        else replace(record("FUTURE", began), occurred_at=ended)
    )
    two.put("later", future)
    try:
        assert two.ask() == known
    finally:
        two.put("later", replace(STRANGER, id=future.id))


def test_more_than_were_looked_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A number that may be too small says so."""
    monkeypatch.setattr("retrieval.similar.COUNTED", 3)
    monkeypatch.setattr("retrieval.similar.LOOKED_AT", 1)
    with past_of(tmp_path, *(record(f"Q{day}", datetime(2026, 3, day, tzinfo=UTC)) for day in range(1, 9))) as world:
        again = world.ask().recurrence

    assert again and (again.times, again.at_least) == (3, True)


# -- one incident, told twice --------------------------------------------------------------------------------------------

_DAY = "The checkout team rolled back the pool size. CheckoutErrors fired."
_PAIRS = {
    "our own record of a pager's": ("2026-03-04T09:12:00+00:00", record("pd:Q1", "2026-03-04T09:12:00+00:00"), True),
    "a report of that day": ("2026-03-04T09:12:00+00:00", report("a.md", "2026-03-04", "Checkout answers 500", _DAY), True),
    "a report of the next day, east of here": (
        "2026-03-04T15:30:00+00:00", report("a.md", "2026-03-05", "Checkout answers 500", _DAY), True,
    ),
    "a report of the day before, west of here": (
        "2026-03-04T03:30:00+00:00", report("a.md", "2026-03-03", "Checkout answers 500", _DAY), True,
    ),
    "the same alert again that day": ("2026-03-04T09:12:00+00:00", record("Q2", "2026-03-04T17:00:00+00:00"), True),
    "the same alert the next day": ("2026-03-04T23:55:00+00:00", record("Q2", "2026-03-05T00:10:00+00:00"), False),
    "a report of another day": ("2026-03-04T09:12:00+00:00", report("a.md", "2026-03-07", "Checkout answers 500", _DAY), False),
    "the same alert of another service that day": (
        "2026-03-04T09:12:00+00:00", record("Q2", "2026-03-04T17:00:00+00:00", service="search", title="Search answers 500"), False,
    ),
    "a report that names the rule": (
        "2026-03-04T09:12:00+00:00", report("a.md", "2026-03-04", "Pool too small", "CheckoutErrors fired for checkout."), True,
    ),
    "a report that does not name the service": (
        "2026-03-04T09:12:00+00:00", report("a.md", "2026-03-04", "Something fired", "CheckoutErrors fired."), False,
    ),
    "a report of another service": (
        "2026-03-04T09:12:00+00:00", report("a.md", "2026-03-04", "Answers 500 on web-9", "Search answered 500."), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("pair", _PAIRS)
def test_what_tells_of_one_incident_counts_once(tmp_path: Path, pair: str):
    """By id, or by day, service and alert; a report gives its day in some time zone."""
    at, other, folded = _PAIRS[pair]
    with past_of(tmp_path, record("Q1", at)) as world:
        world.put("folder:docs", other)
        similar = world.ask()

    together = {"Q1", other.id} in ids(similar)
    times = similar.recurrence and similar.recurrence.times
    assert (together, times) == (
        folded,
        1 if folded or other.title not in (record("Q", at).title, "Checkout answers 500") else 2,
    )


def test_a_folded_incident_is_dated_by_its_record_and_tells_the_surest_ending(tmp_path: Path):
    """The record knows the hour; the report's sentence stands where nobody noted what helped."""
    silent = record("Q1", "2026-03-04T09:12:00+00:00", notes=())
    written = report("a.md", "2026-03-04", "Checkout answers 500", "# Checkout answers 500\n\n## Recovery\n\nAnna Ito: rolled back the pool size.")  # fmt: skip
    with past_of(tmp_path, silent) as world:
        world.put("folder:docs", replace(written, text=f"{written.text} It was checkout."))
        (found,) = world.ask().incidents

    assert found.at == datetime(2026, 3, 4, 9, 12, tzinfo=UTC)
    assert found.ending and (found.ending.text, found.ending.author) == ("rolled back the pool size.", "Anna Ito")


# -- who may read ----------------------------------------------------------------------------------------------------------


def test_what_the_audience_may_not_read_is_neither_shown_nor_counted(tmp_path: Path):
    """A number tells too: that there was an incident is part of what is secret."""
    documents = [
        record("OPEN", "2026-03-04T09:12:00+00:00"),
        record("SECRET", "2026-04-04T09:12:00+00:00", readers=("C0PRIVATE",)),
    ]
    with past_of(tmp_path, *documents) as world:
        everyone, inside, nobody = (
            world.ask(audience=audience)
            for audience in (Audience.of(()), Audience.of(("C0PRIVATE",)), Audience(people=frozenset()))
        )

    assert (ids(everyone), counted(everyone), counted(inside), nobody) == (
        [{"OPEN"}], (1, "2026-03-04", "OPEN"), (2, "2026-03-04", "SECRET"), Similar(),
    )  # fmt: skip
