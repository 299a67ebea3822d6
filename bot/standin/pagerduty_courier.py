"""How PagerDuty delivers webhooks, for the stand-in (developer-docs, webhooks/02-Behavior and 04-Signatures).

Does: sign, send, keep what must be repeated in order per subscription and incident, drop what gets a 4xx, disable a subscription
after three drops. On request it holds deliveries back and lets them go shuffled and several times.
Does not: repeat by itself: `retry()` is one round of it, so that tests need no waiting.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.pagerduty import sign

#: Webhooks over this many bytes are always dropped.
LARGEST = 256 * 1024
GIVE_UP, DISABLED, DROPS = timedelta(hours=48), timedelta(hours=24), 3
TIMEOUT_S = 5.0


@dataclass(kw_only=True)
class Delivery:
    """One webhook on its way to one subscription."""

    event_id: str
    event_type: str
    #: What its order is kept with: the incident's id.
    resource: str
    body: bytes
    queued_at: datetime
    webhook_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: The answers so far; 0 where there was none.
    answers: list[int] = field(default_factory=list)
    #: "waiting", "delivered" or "dropped".
    state: str = "waiting"


@dataclass(kw_only=True)
class Subscription:
    """Where webhooks go."""

    id: str
    url: str
    secrets: tuple[str, ...]
    events: tuple[str, ...]
    drops: int = 0
    disabled_at: datetime | None = None
    waiting: deque[Delivery] = field(default_factory=deque)
    #: Every delivery ever queued.
    history: list[Delivery] = field(default_factory=list)


class Courier:
    """Delivers.

    Args:
        clock: the present.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        import httpx

        self._clock, self._lock = clock, threading.RLock()
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False)
        self.subscriptions: dict[str, Subscription] = {}
        self._held = False

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def forget(self) -> None:
        """Drop every subscription, and what waits for it."""
        with self._lock:
            self.subscriptions.clear()
            self._held = False

    def queue(self, event: Mapping[str, Any], *, resource: str, only: Subscription | None = None) -> None:
        """Queue an event for everybody who wants it, or for one alone, and try to deliver it unless deliveries are held."""
        body = json.dumps({"event": event}).encode()
        with self._lock:
            for subscription in self.subscriptions.values():
                wanted = subscription is only if only else event["event_type"] in subscription.events
                if wanted and not self.is_disabled(subscription):
                    self._queue(subscription, event, resource, body)
        if not self._held:
            self.retry()

    def _queue(self, subscription: Subscription, event: Mapping[str, Any], resource: str, body: bytes) -> None:
        delivery = Delivery(
            event_id=event["id"], event_type=event["event_type"], resource=resource, body=body, queued_at=self._clock()
        )
        subscription.history.append(delivery)
        if len(body) > LARGEST:
            delivery.state = "dropped"
        else:
            subscription.waiting.append(delivery)

    def retry(self) -> int:
        """Try once whatever waits, each incident's webhooks in order; how many still wait."""
        with self._lock:
            for subscription in self.subscriptions.values():
                stuck: set[str] = set()
                for delivery in list(subscription.waiting):
                    if self.is_disabled(subscription):
                        break
                    if delivery.resource not in stuck and not self._attempt(subscription, delivery):
                        stuck.add(delivery.resource)
            return sum(len(subscription.waiting) for subscription in self.subscriptions.values())

    def hold(self) -> None:
        """Keep everything back from now on."""
        self._held = True

    def release(self, *, copies: int = 1, rng: random.Random | None = None) -> int:
        """Let go what was held back, each `copies` times and in random order if `rng` is given; how many still wait."""
        self._held = False
        with self._lock:
            for subscription in self.subscriptions.values():
                pile = [delivery for delivery in subscription.waiting for _ in range(copies)]
                if rng is not None:
                    rng.shuffle(pile)
                for delivery in pile:
                    if not self.is_disabled(subscription):
                        self._attempt(subscription, delivery)
        return self.retry()

    def resend(self, event_id: str) -> list[int]:
        """Deliver an event once more, as at-least-once delivery may; the answers."""
        with self._lock:
            return [
                self._post(subscription, delivery)
                for subscription in self.subscriptions.values()
                for delivery in subscription.history
                if delivery.event_id == event_id
            ]

    def is_disabled(self, subscription: Subscription) -> bool:
        """Whether three drops in a row switched it off less than a day ago."""
        if subscription.disabled_at and self._clock() - subscription.disabled_at > DISABLED:
            self.enable(subscription)
        return subscription.disabled_at is not None

    def enable(self, subscription: Subscription) -> None:
        """Switch it on again. What it missed stays lost."""
        subscription.disabled_at, subscription.drops = None, 0

    def _attempt(self, subscription: Subscription, delivery: Delivery) -> bool:
        """Deliver one; whether the ones behind it may go."""
        answer = self._post(subscription, delivery)
        if 200 <= answer < 300:
            subscription.drops = 0
            return self._done(subscription, delivery, "delivered")
        final = 400 <= answer < 500 and answer != 429
        if not final and self._clock() - delivery.queued_at < GIVE_UP:
            return False
        self._done(subscription, delivery, "dropped")
        subscription.drops += 1
        if subscription.drops >= DROPS:
            subscription.disabled_at = self._clock()
            for lost in subscription.waiting:
                lost.state = "dropped"
            subscription.waiting.clear()
        return True

    def _done(self, subscription: Subscription, delivery: Delivery, state: str) -> bool:
        if delivery.state == "waiting":
            delivery.state = state
            subscription.waiting.remove(delivery)
        return True

    def _post(self, subscription: Subscription, delivery: Delivery) -> int:
        import httpx

        headers = {
            "content-type": "application/json",
            "user-agent": "PagerDuty-Webhook/V3.0",
            "x-webhook-id": delivery.webhook_id,
            "x-webhook-subscription": subscription.id,
            "x-pagerduty-signature": sign(delivery.body, subscription.secrets),
        }
        try:
            answer = self._http.post(subscription.url, content=delivery.body, headers=headers).status_code
        except httpx.HTTPError:
            answer = 0
        delivery.answers.append(answer)
        return answer


#: developer-docs, webhooks/01-Overview, "Event Types".
INCIDENT_EVENTS = tuple(
    f"incident.{word}"
    for word in (
        "acknowledged",
        "annotated",
        "conference_bridge.updated",
        "custom_field_values.updated",
        "delegated",
        "escalated",
        "incident_type.changed",
        "priority_updated",
        "reassigned",
        "reopened",
        "resolved",
        "responder.added",
        "responder.replied",
        "role.assigned",
        "service_updated",
        "status_update_published",
        "task.completed",
        "task.created",
        "task.updated",
        "triggered",
        "unacknowledged",
        "action_invocation.created",
        "action_invocation.terminated",
        "action_invocation.updated",
        "workflow.started",
        "workflow.completed",
    )
)
