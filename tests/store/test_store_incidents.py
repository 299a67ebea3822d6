"""Incidents: the fold of their events, whatever the order and however often they arrive."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.incidents import fold
from core.model import Incident, IncidentEvent, Link, Note, Status, to_json

START = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)


def event(kind, minute=0, *, event_id=None, agent=None, incident_id="pd:Q1", **changes):
    return IncidentEvent(
        incident_id=incident_id,
        event_id=event_id or f"{incident_id}-{kind}-{minute}",
        kind=kind,
        occurred_at=START + timedelta(minutes=minute),
        agent=agent,
        changes=changes,
    )


STORY = (
    event("triggered", 0, title="Checkout slow", service="checkout", urgency="high"),
    event("priority", 1, priority="P2"),
    event("acknowledged", 2, agent="Ines"),
    event("annotated", 3, agent="Ines", note="looking at the pool"),
    event("acknowledged", 4, agent="Tomas"),
    event("priority", 5, priority="P1"),
    event("resolved", 9, agent="Tomas"),
)

TOLD = Incident(
    id="pd:Q1",
    title="Checkout slow",
    created_at=START,
    service="checkout",
    urgency="high",
    priority="P1",
    status=Status.RESOLVED,
    notes=(Note(at=START + timedelta(minutes=3), author="Ines", text="looking at the pool"),),
    acknowledged_by=("Ines", "Tomas"),
    acknowledged_at=START + timedelta(minutes=2),
    resolved_at=START + timedelta(minutes=9),
    resolved_by="Tomas",
)


def test_no_events_are_no_incident():
    """Nothing happened, so nothing is known."""
    assert fold([]) is None


def test_a_whole_story_folds_into_its_end():
    """Opened, acknowledged by two, remarked upon, made urgent, resolved."""
    assert fold(STORY) == TOLD


@given(st.permutations(STORY), st.lists(st.sampled_from(STORY), max_size=10))
def test_disorder_and_repeats_change_nothing(shuffled, repeats):
    """Webhooks come late, twice and out of order; the state is that of the story told in order."""
    assert fold([*shuffled, *repeats]) == TOLD


KINDS = ("triggered", "acknowledged", "unacknowledged", "resolved", "reopened", "annotated", "priority", "delegated")


@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 6), st.sampled_from([None, "Ines", "Tomas"])), max_size=9
    ),
    st.randoms(use_true_random=False),
)
def test_any_story_folds_the_same_in_any_order(steps, dice):
    """Also when several things happen within one second, and when kinds come that nobody has heard of."""
    events = [
        event(kind, minute, event_id=f"e{n}", agent=agent, title=f"t{n}", note=f"n{n}")
        for n, (kind, minute, agent) in enumerate(steps)
    ]
    shuffled = events * 2
    dice.shuffle(shuffled)

    assert fold(shuffled) == fold(events)


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (["triggered"], Status.TRIGGERED),
        (["triggered", "acknowledged"], Status.ACKNOWLEDGED),
        (["triggered", "acknowledged", "unacknowledged"], Status.TRIGGERED),
        (["triggered", "resolved"], Status.RESOLVED),
        (["triggered", "resolved", "acknowledged"], Status.RESOLVED),
        (["triggered", "resolved", "unacknowledged"], Status.RESOLVED),
        (["triggered", "resolved", "annotated"], Status.RESOLVED),
        (["triggered", "resolved", "reopened"], Status.TRIGGERED),
        (["triggered", "resolved", "reopened", "acknowledged"], Status.ACKNOWLEDGED),
        (["triggered", "resolved", "triggered"], Status.TRIGGERED),
        (["acknowledged"], Status.ACKNOWLEDGED),
        (["triggered", "something.new"], Status.TRIGGERED),
    ],
)
def test_status_follows_the_last_word(kinds, status):
    """A resolved incident is left only by reopening it."""
    assert fold(event(kind, minute) for minute, kind in enumerate(kinds)).status is status


def test_a_stale_event_does_not_reopen():
    """An acknowledgement delivered two days late happened before the resolution."""
    late = event("triggered", 0), event("resolved", 10), event("acknowledged", 5, agent="Ines")

    assert fold(late).status is Status.RESOLVED


def test_reopening_forgets_the_resolution():
    """Nobody has resolved what is open again."""
    story = fold([event("triggered", 0), event("resolved", 5, agent="Ines"), event("reopened", 6)])

    assert (story.resolved_at, story.resolved_by) == (None, None)


def test_opening_and_closing_within_one_second_ends_closed():
    """PagerDuty's times have whole seconds, and a flapping monitor opens and closes within one."""
    assert fold([event("resolved", 0, event_id="a"), event("triggered", 0, event_id="b")]).status is Status.RESOLVED


def test_an_empty_value_does_not_erase_what_is_known():
    """Later events carry fewer fields; what they leave out stays."""
    story = fold([event("triggered", 0, title="Slow", service="checkout"), event("updated", 1, title="", service=None)])

    assert (story.title, story.service) == ("Slow", "checkout")


def test_the_same_remark_from_webhook_and_poll_is_shown_once():
    """Two sources tell of one note under different event ids."""
    notes = [event("annotated", 3, event_id=source, agent="Ines", note="looking") for source in ("hook", "poll")]

    assert len(fold(notes).notes) == 1


def test_structured_fields_survive_the_store(any_store):
    """Links, custom fields and times come back as they went in."""
    changes = {
        "links": to_json(Link(title="Graph", url="https://graphs.example/1")),
        "custom_fields": [["runbook", "https://wiki.example/r"]],
    }
    changes["links"] = [changes["links"]]
    any_store.record_events([event("triggered", 0, title="Slow", **changes)])
    kept = any_store.incident("pd:Q1")

    assert kept.links == (Link(title="Graph", url="https://graphs.example/1"),)
    assert kept.custom_fields == (("runbook", "https://wiki.example/r"),)
    assert kept.created_at == START


def test_events_one_by_one_in_any_order_leave_the_same_row(any_store):
    """The stored incident is the fold, not the last event to arrive."""
    for seed in range(5):
        story = list(STORY)
        random.Random(seed).shuffle(story)
        for item in story:
            any_store.record_events([item])

        assert any_store.incident("pd:Q1") == TOLD


def test_workers_recording_at_once_lose_nothing(any_store):
    """Eight threads record one incident's events at the same moment; the row holds what all of them brought."""
    notes = [event("annotated", n, agent=f"p{n}", note=f"note {n}") for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda note: any_store.record_events([note]), notes))

    assert len(any_store.incident("pd:Q1").notes) == 24


def test_two_batches_over_the_same_incidents_never_deadlock(any_store):
    """Batches that name incidents in opposite order both get through."""
    ids = [f"pd:{n}" for n in range(6)]
    forward = [event("triggered", 0, incident_id=name) for name in ids]
    backward = [event("acknowledged", 1, incident_id=name, agent="Ines") for name in reversed(ids)]
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(any_store.record_events, [forward, backward] * 5):
            pass

    assert {Status.ACKNOWLEDGED} == {any_store.incident(name).status for name in ids}


def test_recording_answers_with_each_incident_once(any_store):
    """In the order they were first named, as they now stand."""
    answer = any_store.record_events(
        [event("triggered", 0, incident_id="pd:B"), event("triggered", 0), event("resolved", 1, incident_id="pd:B")]
    )

    assert [(item.id, item.status) for item in answer] == [("pd:B", Status.RESOLVED), ("pd:Q1", Status.TRIGGERED)]
    assert any_store.record_events([]) == []


def test_the_timeline_is_by_time_of_occurrence(any_store):
    """Whatever arrived first."""
    any_store.record_events(reversed(STORY))

    assert any_store.incident_events("pd:Q1") == list(STORY)


def test_an_unknown_incident_is_none(any_store):
    """Nothing is known of it, anywhere."""
    assert (
        any_store.incident("pd:none"),
        any_store.channel_of("pd:none"),
        any_store.incident_events("pd:none"),
        any_store.findings("pd:none"),
    ) == (None, None, [], {})


def test_incidents_are_listed_newest_first_and_only_from_the_past(any_store):
    """Whoever reads for an incident at time t sees only what opened before t."""
    any_store.record_events([event("triggered", n, incident_id=f"pd:{n}") for n in range(5)])

    assert [item.id for item in any_store.incidents(before=START + timedelta(minutes=3), limit=2)] == ["pd:2", "pd:1"]
    assert [item.id for item in any_store.incidents()] == ["pd:4", "pd:3", "pd:2", "pd:1", "pd:0"]


def test_a_channel_leads_to_its_newest_incident(any_store):
    """And recording further events does not forget the channel."""
    any_store.record_events([event("triggered", n, incident_id=f"pd:{n}") for n in range(3)])
    any_store.set_channel("pd:0", "C1")
    any_store.set_channel("pd:1", "C1")
    any_store.record_events([event("resolved", 9, incident_id="pd:1")])

    assert (
        any_store.channel_of("pd:1"),
        any_store.incident_in("C1").id,
        any_store.incident_in("C2"),
    ) == ("C1", "pd:1", None)
    assert any_store.incidents_unshown() == ["pd:2"]


@pytest.mark.parametrize(
    "text", ["a NUL \x00 inside", "half a pair \ud800 inside", "emoji 🧯 and ünïcode", "x" * 10_000]
)
def test_any_words_can_be_kept(any_store, text):
    """An alert's title is whatever a monitor sent; refusing it would lose the incident."""
    any_store.record_events([event("triggered", 0, title=text, service=text[:200])])

    assert any_store.incident("pd:Q1").created_at == START


def test_a_finding_is_replaced_by_its_step_run_again(any_store):
    """One row a step."""
    any_store.save_finding("pd:Q1", "gather", {"evidence": []})
    any_store.save_finding("pd:Q1", "rank", [1, "two", None, 0.5])
    any_store.save_finding("pd:Q1", "gather", {"evidence": ["E1"]})

    assert any_store.findings("pd:Q1") == {"gather": {"evidence": ["E1"]}, "rank": [1, "two", None, 0.5]}


def test_a_priority_that_was_taken_away_is_gone():
    """PagerDuty says so by an event without one; any other event without a priority says nothing of it."""
    told = [event("triggered", 0, priority="P1"), event("priority", 5, priority=None), event("updated", 9, title="x")]

    assert fold(told).priority is None


def test_the_homes_of_incidents_are_told_since_a_time(any_store):
    """By when they began, oldest first; one without a channel has none."""
    opened = [
        event("triggered", n, incident_id=f"pd:{n}", created_at=(START + timedelta(days=n)).isoformat())
        for n in range(4)
    ]
    any_store.record_events(opened)
    for number in (3, 1, 0):
        any_store.set_channel(f"pd:{number}", f"C{number}")

    assert list(any_store.homes_since(START + timedelta(days=1)).items()) == [("pd:1", "C1"), ("pd:3", "C3")]
