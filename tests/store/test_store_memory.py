"""Feedback, cursors and the manifest; and that all of it is there after a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from core.model import Feedback, IncidentEvent, Vote
from core.store import Indexed, open_store

AT = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


def word(vote=Vote.UP, *, item="cause", person="slack:T1:U1", minute=0, incident_id="pd:Q1"):
    return Feedback(
        incident_id=incident_id,
        item=item,
        person=person,
        vote=vote,
        at=AT + timedelta(minutes=minute),
        release="features-1",
        evidence=("E1", "abc"),
    )


def test_feedback_is_kept_with_what_was_judged(any_store):
    """The row a model may learn from: the word, the release, the evidence on show."""
    any_store.record_feedback(word(), training_row={"sha": "abc"})

    assert any_store.feedback("pd:Q1") == [
        {
            "incident_id": "pd:Q1",
            "item": "cause",
            "person": "slack:T1:U1",
            "vote": "up",
            "at": "2026-03-02T04:00:00Z",
            "release": "features-1",
            "evidence": ["E1", "abc"],
            "judged": {"sha": "abc"},
        }
    ]


def test_one_person_has_one_word_on_one_item(any_store):
    """A second word replaces the first, and only the first is new."""
    fresh = any_store.record_feedback(word(), training_row={})
    again = any_store.record_feedback(word(Vote.DOWN, minute=1), training_row={})

    assert (fresh, again, [row["vote"] for row in any_store.feedback()]) == (True, False, ["down"])


def test_a_click_delivered_late_does_not_undo_a_later_one(any_store):
    """The latest word stands by when it was said, not by when it arrived."""
    any_store.record_feedback(word(Vote.DOWN, minute=5), training_row={})
    any_store.record_feedback(word(Vote.UP, minute=1), training_row={})

    assert [row["vote"] for row in any_store.feedback()] == ["down"]


def test_items_people_and_incidents_are_counted_apart(any_store):
    """Four different words, oldest first, and an incident's own on request."""
    words = [
        word(),
        word(item="summary", minute=1),
        word(person="slack:T1:U2", minute=2),
        word(incident_id="pd:Q2", minute=3),
    ]
    for item in reversed(words):
        any_store.record_feedback(item, training_row={})

    assert [row["item"] for row in any_store.feedback()] == ["cause", "summary", "cause", "cause"]
    assert len(any_store.feedback("pd:Q2")) == 1


def test_double_clicks_at_once_are_one_word(any_store):
    """Twenty racing clicks of one person: one row, new exactly once."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: any_store.record_feedback(word(), training_row={}), range(20)))

    assert (sum(answers), len(any_store.feedback())) == (1, 1)


def test_a_cursor_holds_its_last_value(any_store):
    """Unknown ones are None."""
    any_store.set_cursor("poll", "2026-03-02T03:00:00Z")
    any_store.set_cursor("poll", "2026-03-02T04:00:00Z")

    assert (any_store.cursor("poll"), any_store.cursor("other")) == ("2026-03-02T04:00:00Z", None)


def test_the_manifest_tells_what_is_indexed_from_each_source(any_store):
    """Indexed twice is indexed once; forgotten is gone; sources do not mix."""
    any_store.set_indexed("folder:a", "one.md", digest="1", chunks=2)
    any_store.set_indexed("folder:a", "one.md", digest="2", chunks=3, version="v2")
    any_store.set_indexed("folder:a", "two.md", digest="1", chunks=1)
    any_store.set_indexed("folder:b", "one.md", digest="9", chunks=1)
    any_store.forget_indexed("folder:a", "two.md")
    any_store.forget_indexed("folder:a", "never there.md")

    assert any_store.manifest("folder:a") == {"one.md": Indexed(digest="2", chunks=3, version="v2")}
    assert any_store.sources() == {"folder:a": 1, "folder:b": 1}


def test_everything_is_there_after_a_restart(any_store_url):
    """Opening an existing store changes nothing in it."""
    store = open_store(any_store_url)
    row_id, _ = store.receive(source="slack", event_id="e1", kind="event_callback", raw=b"x")
    store.record_events([IncidentEvent(incident_id="pd:Q1", event_id="t", kind="triggered", occurred_at=AT)])
    store.save_finding("pd:Q1", "rank", {"a": 1})
    store.want_message("k", channel="C1", body={"text": "hi"}, incident_id="pd:Q1")
    store.record_feedback(word(), training_row={})
    store.set_cursor("c", "1")
    store.set_indexed("s", "d", digest="x", chunks=1)

    def everything(open_one):
        return (
            open_one.inbox_row(row_id),
            open_one.incident("pd:Q1"),
            open_one.findings("pd:Q1"),
            open_one.messages("pd:Q1"),
            open_one.feedback(),
            open_one.cursor("c"),
            open_one.manifest("s"),
        )

    before = everything(store)
    store.close()
    reopened = open_store(any_store_url)

    assert everything(reopened) == before
    reopened.close()
