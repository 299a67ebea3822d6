"""The inbox: what was accepted once is kept for ever, and never accepted twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StoreError


def receive(store, event_id="e1", *, source="pagerduty", raw=b"{}"):
    return store.receive(source=source, event_id=event_id, kind="incident.triggered", raw=raw)


def test_a_request_is_new_once(any_store):
    """The first delivery is fresh, every later one names the same row."""
    first, fresh = receive(any_store)
    again = receive(any_store, raw=b"something else")

    assert (True, (first, False)) == (fresh, again)
    assert any_store.inbox_row(first).raw == b"{}"


def test_the_same_id_from_another_source_is_another_request(any_store):
    """PagerDuty and Slack number their events without knowing of each other."""
    receive(any_store)

    assert receive(any_store, source="slack")[1] is True


def test_ten_deliveries_at_once_are_accepted_once(any_store):
    """Concurrent copies of five events on eight threads: five rows, five of them fresh."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: receive(any_store, f"e{n % 5}"), range(50)))

    assert sum(fresh for _, fresh in answers) == 5
    assert len({row_id for row_id, _ in answers}) == 5
    assert any_store.inbox_counts() == {"new": 5}


@given(raw=st.binary(max_size=300))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_raw_bytes_come_back_as_they_came(store, raw):
    """Not even bytes that are no text are touched."""
    row_id, _ = receive(store, f"e{raw.hex()}", raw=raw)

    assert store.inbox_row(row_id).raw == raw


def test_work_is_listed_oldest_first_until_finished(any_store):
    """Done and failed rows leave the list; the reason of a failure stays."""
    one, two, three, four = (receive(any_store, f"e{n}")[0] for n in range(4))
    any_store.finish_inbox(one)
    any_store.finish_inbox(three, error="not JSON")

    assert any_store.unfinished_inbox() == [two, four]
    assert any_store.inbox_counts() == {"new": 2, "done": 1, "failed": 1}
    assert (any_store.inbox_row(three).state, any_store.inbox_row(three).error) == ("failed", "not JSON")


def test_finishing_twice_changes_nothing(any_store):
    """A step that was killed after its commit runs again."""
    row_id, _ = receive(any_store)
    any_store.finish_inbox(row_id)
    any_store.finish_inbox(row_id)

    assert any_store.inbox_counts() == {"done": 1}


def test_a_finished_request_is_still_a_repeat(any_store):
    """PagerDuty's signature has no time in it: a captured request stays known for ever."""
    row_id, _ = receive(any_store)
    any_store.finish_inbox(row_id)

    assert receive(any_store) == (row_id, False)
    assert any_store.unfinished_inbox() == []


def test_a_row_that_is_not_there_is_an_error(any_store):
    """Asking for a row nobody stored is a fault of ours, never an empty answer."""
    with pytest.raises(StoreError, match="the store refused"):
        any_store.inbox_row(404)


@pytest.mark.parametrize("error", ["a NUL \x00 inside", "half a pair \ud800 inside", "x" * 100_000])
def test_any_reason_can_be_written_down(any_store, error):
    """A reason often quotes the input that caused it."""
    row_id, _ = receive(any_store)
    any_store.finish_inbox(row_id, error=error)

    assert any_store.inbox_row(row_id).state == "failed"
