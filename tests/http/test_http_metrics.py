"""Each metric moves when it should, and never keeps a scrape from answering."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.metrics import Metrics
from core.store import Message, MessageState

CARD = Message(
    key="card:pd:Q1",
    token="t",
    incident_id="pd:Q1",
    channel="C1",
    parent=None,
    thread_ts=None,
    body={},
    version=1,
    sent_version=1,
    state=MessageState.SENT,
    ts="1.1",
    error=None,
    created_at=100.0,
    first_sent_at=100.5,
    sent_at=100.5,
)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"rundown_{name}", labels)


@pytest.mark.parametrize(
    ("move", "name", "labels"),
    [
        (lambda m: m.webhook("accepted"), "pagerduty_webhooks_total", {"outcome": "accepted"}),
        (lambda m: m.slack_request("accepted"), "slack_requests_total", {"outcome": "accepted"}),
        (lambda m: m.polled(), "pagerduty_polls_total", {"outcome": "ok"}),
        (lambda m: m.poll_failed(), "pagerduty_polls_total", {"outcome": "failed"}),
        (lambda m: m.polled(found=1), "pagerduty_poll_found_total", {}),
        (lambda m: m.polled(enabled=1), "pagerduty_subscriptions_enabled_total", {}),
        (lambda m: m.voted(item="cause", vote="up"), "votes_total", {"item": "cause", "vote": "up"}),
        (lambda m: m.model_failed("summary"), "model_failures_total", {"task": "summary"}),
        (lambda m: m.retrieval_failed(), "retrieval_failures_total", {}),
        (lambda m: m.card_complete(3.0), "card_complete_seconds_count", {}),
        (lambda m: m.message_delivered(CARD), "first_post_seconds_count", {}),
    ],
)
def test_each_method_moves_its_metric(move: Any, name: str, labels: dict[str, str]):
    """By one."""
    metrics = Metrics()
    move(metrics)

    assert value(metrics, name, **labels) == 1


@pytest.mark.parametrize(
    ("messages", "count", "total"),
    [
        ([CARD, CARD, replace(CARD, version=2, sent_version=2, sent_at=109.0)], 1, 0.5),
        ([CARD, replace(CARD, key="card:pd:Q2", first_sent_at=102.0, sent_at=102.0)], 2, 2.5),
        ([replace(CARD, key="detail:pd:Q1")], 0, 0),
        ([replace(CARD, first_sent_at=None, sent_at=None, state=MessageState.PENDING)], 0, 0),
        ([replace(CARD, sent_at=200.0)], 0, 0),
    ],
)
def test_the_first_post_is_counted_once_a_card(messages: list[Message], count: float, total: float):
    """Edits, other messages, failed sends and cards posted by an earlier process are no first posts."""
    metrics = Metrics()
    for message in messages:
        metrics.message_delivered(message)

    assert (value(metrics, "first_post_seconds_count"), value(metrics, "first_post_seconds_sum")) == (count, total)


def test_the_poll_grows_old():
    """Minus one before the first poll, then the seconds since the last whole one."""
    now = [1000.0]
    metrics = Metrics(clock=lambda: now[0])
    before = value(metrics, "pagerduty_poll_age_seconds")
    metrics.polled()
    now[0] += 90
    metrics.poll_failed()

    assert (before, value(metrics, "pagerduty_poll_age_seconds")) == (-1, 90)


def test_the_store_is_read_at_each_scrape(store):
    """Inbox and outbox by state, and how long the oldest request has waited."""
    metrics = Metrics(clock=lambda: store.inbox_row(1).received_at + 7)
    metrics.watch(store)
    store.receive(source="pagerduty", event_id="1", kind="a", raw=b"")
    store.receive(source="pagerduty", event_id="2", kind="a", raw=b"")
    store.finish_inbox(2)
    store.want_message("card:1", channel="C1", body={})

    assert [
        value(metrics, "inbox", state="new"),
        value(metrics, "inbox", state="done"),
        value(metrics, "outbox", state="pending"),
        value(metrics, "inbox_oldest_seconds"),
    ] == [1, 1, 1, 7]


def test_a_store_that_refuses_leaves_the_rest(store, caplog):
    """A scrape is answered while the database is away."""
    metrics = Metrics()
    metrics.watch(store)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE inbox")
    page, _ = metrics.page()

    assert b"rundown_first_post_seconds" in page
    assert b"rundown_inbox" not in page
    assert "metrics are missing" in caplog.text


def test_two_of_them_do_not_meet():
    """Each has its own registry, so tests and processes within one do not mix."""
    first, second = Metrics(), Metrics()
    first.webhook("accepted")

    assert value(second, "pagerduty_webhooks_total", outcome="accepted") is None
