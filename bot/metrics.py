"""What Prometheus is told: counters and times of the edges, the messages, the poller and the parts that may fail.

Does: keep every metric in a registry of its own, named `rundown_*`, with labels from small fixed sets; read the store when scraped.
Does not: hold text from outside (no title, person, channel or body is ever a label), or decide what is worth an alert.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from core.errors import StoreError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from core.store import Message, Store

log = logging.getLogger(__name__)

#: Seconds. The goals are first post under 1 s and a complete card under 10 s.
_FIRST_POST = (0.1, 0.25, 0.5, 0.75, 1, 2, 5, 15, 60, 300)
_COMPLETE = (1, 2, 4, 6, 8, 10, 15, 30, 60, 300)


class Metrics:
    """Every metric, each with one named method that moves it. Safe to share between threads.

    Args:
        registry: where they are kept; a new one by default, never Prometheus's global one.
        clock: unix seconds.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, clock: Callable[[], float] = time.time) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = registry or CollectorRegistry()
        self._clock, self._polled_at, self._first_posts = clock, 0.0, set[str]()

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"rundown_{name}", help_text, labels, registry=self.registry)

        self._webhooks = counter(
            "pagerduty_webhooks",
            "PagerDuty webhooks by outcome; all but accepted and repeated were answered 503.",
            "outcome",
        )
        self._slack = counter("slack_requests", "Slack requests by outcome.", "outcome")
        self._polls = counter("pagerduty_polls", "Polls of PagerDuty by outcome.", "outcome")
        self._found = counter("pagerduty_poll_found", "Incidents and notes that the poll knew and no webhook had told.")
        self._enabled = counter(
            "pagerduty_subscriptions_enabled", "Webhook subscriptions found disabled and enabled again."
        )
        self._votes = counter("votes", "Votes by part of the card.", "item", "vote")
        self._model = counter("model_failures", "Drafts a language model failed at, by task.", "task")
        self._retrieval = counter("retrieval_failures", "Searches that the index did not answer.")
        self._first = Histogram(
            "rundown_first_post_seconds",
            "From a page to its card in Slack.",
            buckets=_FIRST_POST,
            registry=self.registry,
        )
        self._complete = Histogram(
            "rundown_card_complete_seconds",
            "From a page to its complete card.",
            buckets=_COMPLETE,
            registry=self.registry,
        )
        age = Gauge(
            "rundown_pagerduty_poll_age_seconds",
            "Since the last whole poll of PagerDuty; -1 before the first.",
            registry=self.registry,
        )
        age.set_function(lambda: self._clock() - self._polled_at if self._polled_at else -1.0)

    def webhook(self, outcome: str) -> None:
        """A PagerDuty webhook was "accepted", "repeated", or refused for one of `bot.pagerduty.WAY_OUT`."""
        self._webhooks.labels(outcome).inc()

    def slack_request(self, outcome: str) -> None:
        """A Slack request was "accepted", "repeated", or refused for a reason."""
        self._slack.labels(outcome).inc()

    def polled(self, *, found: int = 0, enabled: int = 0) -> None:
        """A poll of PagerDuty went through."""
        self._polled_at = self._clock()
        self._polls.labels("ok").inc()
        self._found.inc(found)
        self._enabled.inc(enabled)

    def poll_failed(self) -> None:
        """A poll of PagerDuty was given up."""
        self._polls.labels("failed").inc()

    def message_delivered(self, message: Message, *, received_at: float | None = None) -> None:
        """A message was brought to what it should show. The first time for a card is its first post.

        Args:
            received_at: unix seconds of the page; the time the card was wanted, if not given.
        """
        if message.first_sent_at is None or not message.key.startswith("card:") or message.key in self._first_posts:
            return
        self._first_posts.add(message.key)
        if message.first_sent_at == message.sent_at:
            self._first.observe(message.first_sent_at - (received_at or message.created_at))

    def card_complete(self, seconds: float) -> None:
        """A card shows all that was found."""
        self._complete.observe(seconds)

    def voted(self, *, item: str, vote: str) -> None:
        """Somebody pressed a thumb or named a culprit. `item` is the part: "summary", "cause", "next", "answer" or "commit"."""
        self._votes.labels(item, vote).inc()

    def model_failed(self, task: str) -> None:
        """A language model failed at a task."""
        self._model.labels(task).inc()

    def retrieval_failed(self) -> None:
        """The index did not answer a search."""
        self._retrieval.inc()

    def watch(self, store: Store) -> None:
        """Show the inbox and outbox of a store at every scrape from now on."""
        self.registry.register(_StoreCollector(store, self._clock))

    def page(self) -> tuple[bytes, str]:
        """The page for /metrics, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _StoreCollector:
    """Reads the store when Prometheus asks. A store that refuses leaves its metrics out and the rest in."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def describe(self) -> list[Any]:
        """Nothing ahead of time, so that registering reads nothing."""
        return []

    def collect(self) -> Iterator[Any]:
        """The store's metrics as of now."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            inbox, outbox, unfinished = (
                self._store.inbox_counts(),
                self._store.outbox_counts(),
                self._store.unfinished_inbox(),
            )
            oldest = self._clock() - self._store.inbox_row(unfinished[0]).received_at if unfinished else 0.0
        except StoreError as error:
            log.error("the store's metrics are missing: %s", error)
            return
        for name, help_text, counts in (
            ("inbox", "Accepted requests by state.", inbox),
            ("outbox", "Messages by state.", outbox),
        ):
            family = GaugeMetricFamily(f"rundown_{name}", help_text, labels=["state"])
            for state, count in counts.items():
                family.add_metric([state], count)
            yield family
        yield GaugeMetricFamily(
            "rundown_inbox_oldest_seconds", "Age of the oldest request not yet dealt with.", value=oldest
        )
