"""PagerDuty's webhook edge: POST /pagerduty/webhook.

Does: cap the size, verify the raw bytes, read the event's id and type, store, answer 202.
Does not: understand the event (`bot/pagerduty_events.py`), or ever answer 4xx: PagerDuty drops what gets a 4xx for ever, and
after three drops disables the subscription for a day; it repeats what gets a 503 for 48 hours (CONTRACTS.md 1.7). So whatever
is wrong here, a wrong secret included, is answered 503 and alarmed.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bot.pagerduty_events import PayloadError, normalise, normalise_polled, webhook_event
from bot.raw_body import BodyRefused, read_raw
from core.errors import StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.intake import Intake
    from bot.metrics import Metrics

__all__ = ["PagerDutyWebhook", "PayloadError", "normalise", "normalise_polled", "sign", "verify"]

log = logging.getLogger(__name__)

#: What to do about each refusal. The log carries these words and never a body, a signature or a secret.
WAY_OUT = {
    "no_secret": "set RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS to the secret shown when the webhook subscription was created",
    "unsigned": "it carries no X-PagerDuty-Signature: is something between PagerDuty and Rundown removing headers?",
    "bad_signature": "no secret in RUNDOWN_PAGERDUTY_WEBHOOK_SECRETS made this signature: add the subscription's secret, "
    "keep the old one until it is quiet, and check that no proxy rewrites bodies",
    "body": "PagerDuty sends at most 256 KB at once: is something else posting here?",
    "unreadable": "it is signed, but not a v3 webhook: does the subscription point somewhere else's events here?",
    "store": "check the database and the disk; PagerDuty repeats for 48 hours and nothing is lost",
    "internal": "report it with this line; PagerDuty repeats for 48 hours and nothing is lost",
}


def sign(raw: bytes, secrets: Sequence[str]) -> str:
    """The `X-PagerDuty-Signature` header for a body: one `v1=` HMAC-SHA256 for each secret (webhooks/04-Signatures)."""
    return ",".join(f"v1={hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}" for secret in secrets)


def verify(raw: bytes, header: str, secrets: Sequence[str]) -> bool:
    """Whether one of the header's `v1=` signatures was made of exactly these bytes by one of our secrets.

    Args:
        raw: the body as received.
        header: the header's value; several signatures during PagerDuty's rotation, any match counts.
        secrets: ours; several during our rotation.
    """
    given = [part.strip().encode("utf-8", "replace") for part in header.split(",")]
    expected = [sign(raw, [secret]).encode() for secret in secrets]
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in given]
    return any(matches)


class _Refused(Exception):
    """A request that will not be stored, and for which of `WAY_OUT`'s reasons."""

    def __init__(self, reason: str, why: str = "") -> None:
        super().__init__(reason)
        self.reason, self.why = reason, why


class PagerDutyWebhook:
    """The endpoint. Call it with a request; it answers 202 once the event is stored, else 503.

    Args:
        intake: keeps the request.
        secrets: signing secrets; with none, everything is refused.
        metrics: counts what was accepted and refused.
    """

    def __init__(self, intake: Intake, *, secrets: Sequence[str], metrics: Metrics) -> None:
        self._intake, self._secrets, self._metrics = intake, tuple(secrets), metrics
        self._alarm = Alarm()

    async def __call__(self, request: Request) -> Response:
        """Answer one request. Nothing it raises leaves it: any failure is a 503."""
        from starlette.concurrency import run_in_threadpool

        try:
            raw, header = await self._received(request)
            fresh = await run_in_threadpool(self._accept, raw, header)
        except _Refused as refusal:
            return self._refuse(refusal.reason, refusal.why)
        except PayloadError as error:
            return self._refuse("unreadable", error.why)
        except StoreError as error:
            return self._refuse("store", str(error))
        except Exception as error:
            return self._refuse("internal", type(error).__name__)
        self._metrics.webhook("accepted" if fresh else "repeated")
        return _answer(202, "accepted")

    def misdirected(self) -> Response:
        """The answer to a webhook sent to a path that is nearly ours."""
        return self._refuse("unreadable", "it was posted to a wrong path; the webhook's path is /pagerduty/webhook")

    async def _received(self, request: Request) -> tuple[bytes, str]:
        """The body and its signatures. Nothing of the body has been looked at."""
        if not self._secrets:
            raise _Refused("no_secret")
        header = ",".join(request.headers.getlist("x-pagerduty-signature"))
        if not header:
            raise _Refused("unsigned")
        try:
            return await read_raw(request), header
        except BodyRefused as error:
            raise _Refused("body", str(error)) from None

    def _accept(self, raw: bytes, header: str) -> bool:
        """Verify, then read what it is, then store; whether it is new."""
        if not verify(raw, header, self._secrets):
            raise _Refused("bad_signature")
        event = webhook_event(raw)
        kind = event["event_type"][:64]
        return self._intake.accept(source="pagerduty", event_id=event["id"], kind=kind, raw=raw)

    def _refuse(self, reason: str, why: str = "") -> Response:
        self._metrics.webhook(reason)
        self._alarm.ring(reason, f"{why}. {WAY_OUT[reason]}" if why else WAY_OUT[reason])
        return _answer(503, "not accepted, send it again")


class Alarm:
    """An error line in the log for the first refusal of each kind, then one a while with the count.

    Args:
        every_s: seconds between two lines of one kind; a test's pass criterion is one within 60 s.
        clock: monotonic seconds.
    """

    def __init__(self, *, every_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._rung: dict[str, float] = {}
        self._silent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def ring(self, reason: str, words: str) -> None:
        """Log it, unless this reason was logged a moment ago."""
        with self._lock:
            now, last = self._clock(), self._rung.get(reason)
            if last is not None and now - last < self._every_s:
                self._silent[reason] += 1
                return
            self._rung[reason], before = now, self._silent.pop(reason, 0)
        more = f" ({before} more like it since the last line)" if before else ""
        log.error("PagerDuty webhook refused [%s]%s: %s", reason, more, words)


def _answer(status: int, words: str) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(f"{words}\n", status_code=status)
