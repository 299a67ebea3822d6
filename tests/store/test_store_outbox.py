"""The outbox: what Slack should show, and how far each message has got (CONTRACTS.md 1.9)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.store import MessageState


def want(store, text="hello", key="card:pd:Q1", **more):
    return store.want_message(key, channel="C1", body={"text": text}, incident_id="pd:Q1", **more)


def test_a_message_starts_pending_and_unsent(any_store):
    """Wanted, not yet shown, with an opaque token to find it again by."""
    message = want(any_store, parent="card:pd:Q0", thread_ts="12.5")

    assert (
        message.version,
        message.sent_version,
        message.state,
        message.ts,
        message.parent,
        message.thread_ts,
    ) == (1, 0, MessageState.PENDING, None, "card:pd:Q0", "12.5")
    assert len(message.token) == 32
    assert "pd" not in message.token


def test_the_same_body_is_the_same_version(any_store):
    """A step run twice wants nothing new."""
    assert want(any_store) == want(any_store)


def test_another_body_is_the_next_version_of_the_same_message(any_store):
    """The place and the token stay; only what to show moves on."""
    first = want(any_store)
    second = want(any_store, "two")

    assert second == replace(first, body={"text": "two"}, version=2)


def test_wanting_at_once_from_many_threads_makes_one_message(any_store):
    """Each distinct body counts one version, whatever the order."""
    with ThreadPoolExecutor(8) as pool:
        messages = list(pool.map(lambda n: want(any_store, f"body {n}"), range(16)))

    assert len({message.token for message in messages}) == 1
    assert any_store.message("card:pd:Q1").version == 16


@pytest.mark.parametrize("state", list(MessageState))
def test_every_state_is_kept_with_what_slack_said(any_store, state):
    """Also across reading it back by key, by place and by incident."""
    want(any_store)
    any_store.mark_message("card:pd:Q1", state, ts="17.1", error="said so")
    message = any_store.message("card:pd:Q1")

    assert (state, "17.1", "said so") == (message.state, message.ts, message.error)
    assert any_store.message_at("C1", "17.1") == message
    assert any_store.messages("pd:Q1") == [message]


def test_sent_moves_the_shown_version_and_keeps_the_first_time(any_store):
    """The first post's moment is what latency is measured to; later edits leave it."""
    want(any_store)
    any_store.mark_message("card:pd:Q1", MessageState.SENT, ts="17.1", version=1)
    first = any_store.message("card:pd:Q1")
    want(any_store, "two")
    any_store.mark_message("card:pd:Q1", MessageState.SENT, version=2)
    second = any_store.message("card:pd:Q1")

    assert (first.sent_version, second.sent_version, second.ts) == (1, 2, "17.1")
    assert first.first_sent_at == second.first_sent_at
    assert second.sent_at >= first.sent_at


def test_an_edit_wanted_while_sending_is_not_taken_for_shown(any_store):
    """Version 2 appears while version 1 is on the wire: Slack showing 1 leaves 2 to do."""
    want(any_store)
    any_store.mark_message("card:pd:Q1", MessageState.SENDING)
    want(any_store, "two")
    any_store.mark_message("card:pd:Q1", MessageState.SENT, ts="17.1", version=1)

    assert any_store.unsent_messages() == ["card:pd:Q1"]


def test_unsent_lists_what_differs_oldest_first_without_those_given_up(any_store):
    """Sent ones and failed ones are left alone; ambiguous ones are not."""
    for key in ("a", "b", "c", "d"):
        want(any_store, key=key)
    any_store.mark_message("a", MessageState.FAILED, error="channel_not_found")
    any_store.mark_message("b", MessageState.AMBIGUOUS)
    any_store.mark_message("c", MessageState.SENT, ts="1.1", version=1)

    assert any_store.unsent_messages() == ["b", "d"]


def test_two_incidents_messages_do_not_mix(any_store):
    """Messages are listed by incident, oldest first."""
    want(any_store, key="one")
    want(any_store, key="two")
    any_store.want_message("other", channel="C2", body={}, incident_id="pd:Q2")

    assert [message.key for message in any_store.messages("pd:Q1")] == ["one", "two"]


def test_an_unknown_message_is_none(any_store):
    """By key and by place."""
    assert (any_store.message("none"), any_store.message_at("C1", "0.0")) == (None, None)


@pytest.mark.parametrize("text", ["a NUL \x00 inside", "half a pair \ud800 inside", "🧯 ünïcode", "x" * 3900])
def test_any_body_can_be_wanted(any_store, text):
    """What a message quotes came from outside; it is kept exactly, so that wanting it again changes nothing."""
    first, again = want(any_store, text), want(any_store, text)

    assert (first.body["text"], again.version) == (text, 1)


def test_messages_of_no_incident_are_told_by_their_channel(any_store):
    """Those that Slack shows; they are looked at again for as long as what they say may still be read."""
    for key, channel, incident_id, shown in [
        ("answer:1", "C1", None, True),
        ("answer:2", "C2", None, True),
        ("answer:3", "C1", None, True),
        ("answer:4", "C1", None, False),
        ("answer:5", "C1", "pd:1", True),
    ]:
        any_store.want_message(key, channel=channel, body={"text": key}, incident_id=incident_id)
        if shown:
            any_store.mark_message(key, MessageState.SENT, ts=key, version=1)

    ago = datetime.now(UTC) - timedelta(days=1)
    assert any_store.loose_messages(ago) == {"C1": ["answer:1", "answer:3"], "C2": ["answer:2"]}
    assert any_store.loose_messages(datetime.now(UTC) + timedelta(days=1)) == {}
