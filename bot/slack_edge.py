"""Slack over HTTP: verify the raw bytes, keep them, acknowledge; nothing else happens before the answer.

Does: check the signature before any parser sees a byte (CONTRACTS.md 1.6), put what Slack sent into one form that Socket Mode
shares, and hand it to the intake. Messages that nobody here listens to (other bots', edits, deletions) are acknowledged and
not kept.
Does not: understand what was asked (`slack.py`).

Answers: 200 kept (or known already), 401 not Slack's, 400 Slack's but unreadable, 413 too large, 408 too slow, 503 could not
be kept and wants to be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from bot.raw_body import BodyRefused, Disconnected, TooLarge, read_raw
from core.errors import RundownError, SettingsError, StoreError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from bot.intake import Intake
    from bot.metrics import Metrics

log = logging.getLogger(__name__)

#: A signature older or newer than this many seconds is refused.
WINDOW_S = 300
#: Sent at most this long an id serves as the key a request is known by; anything else is hashed.
_KEY = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_KIND = re.compile(r"[a-z_]{1,64}")
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
#: Events that an account or a user group changed. Not "user_change": it comes with every status and huddle as well, and Slack sends
#: an app no more than 30,000 events an hour. Who was deactivated reads nothing any more, and needs no event.
OF_PEOPLE = ("user_guest_status_changed", "user_profile_changed", "subteam_members_changed", "subteam_updated")


class Forged(Exception):
    """A request that Slack did not sign. The message is a reason fit for a metric's label."""


class Unreadable(RundownError):
    """A request of Slack's that cannot be understood."""


def verify(secret: str, *, timestamp: str | None, signature: str | None, body: bytes, now: float) -> None:
    """Check that Slack signed these bytes within the last five minutes.

    Args:
        secret: the app's signing secret.
        timestamp: the header X-Slack-Request-Timestamp.
        signature: the header X-Slack-Signature.
        now: unix seconds.

    Raises:
        Forged: it did not.
    """
    if timestamp is None or signature is None:
        raise Forged("unsigned")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
        raise Forged("bad_timestamp")
    if abs(now - int(timestamp)) > WINDOW_S:
        raise Forged("stale")
    if not re.fullmatch(r"v0=[0-9a-f]{64}", signature, re.ASCII):
        raise Forged("bad_signature")
    expected = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"v0={expected}", signature):
        raise Forged("wrong_signature")


@dataclass(frozen=True, kw_only=True)
class Received:
    """What Slack sent, the same whichever way it came.

    Args:
        body: the request's body as text, to the character; over Socket Mode the payload as JSON.
        content_type: JSON or FORM.
        payload: the body understood: an event wrapper, an interaction or a command.
    """

    body: str
    content_type: str
    payload: dict[str, Any]

    @property
    def kind(self) -> str:
        """What it is: "event_callback", "block_actions", "slash_command"…"""
        kind = self.payload.get("type")
        if kind is None and "command" in self.payload:
            return "slash_command"
        return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "unknown"

    @property
    def event_id(self) -> str:
        """What its repeats are known by: Slack's id of the event or gesture, else a digest of the body."""
        for name in ("event_id", "trigger_id"):
            value = self.payload.get(name)
            if isinstance(value, str) and _KEY.fullmatch(value):
                return value
        return f"sha256:{hashlib.sha256(self.body.encode()).hexdigest()}"

    @property
    def wanted(self) -> bool:
        """Whether anything here listens to it: what people say themselves, new channels, and who joins and leaves one."""
        if self.kind != "event_callback":
            return self.kind in ("block_actions", "slash_command")
        return said_by_person(self.payload["event"]) or self.payload["event"]["type"] in (
            "channel_created",
            "channel_rename",
            "member_joined_channel",
            "member_left_channel",
        )

    @property
    def of_people(self) -> bool:
        """Whether it tells that an account or a user group changed: heeded at once and not kept, for asking Slack tells the same."""
        return self.kind == "event_callback" and self.payload["event"]["type"] in OF_PEOPLE

    def pack(self) -> bytes:
        """The form in which it is stored."""
        return json.dumps({"content_type": self.content_type, "body": self.body}).encode()


def unpack(raw: bytes) -> Received:
    """What `pack` wrote.

    Raises:
        Unreadable: it was not written by `pack`.
    """
    try:
        stored = json.loads(raw)
        return read(stored["body"].encode(), stored["content_type"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("cannot read a stored Slack request", why=f"{type(error).__name__}: {error}") from error


def said_by_person(event: dict[str, Any]) -> bool:
    """Whether an event is a person's own words: no bot's, no edit, no deletion, no broadcast (CONTRACTS.md 3.1)."""
    if event.get("type") not in ("message", "app_mention"):
        return False
    if event.get("subtype") not in (None, "file_share") or event.get("user") == "USLACKBOT":
        return False
    if event.get("bot_id") or event.get("edited") or event.get("hidden"):
        return False
    return all(isinstance(event.get(name), str) and event[name] for name in ("user", "channel", "ts"))


def read(body: bytes, content_type: str) -> Received:
    """Understand a body.

    Raises:
        Unreadable: it is none of the shapes Slack sends; the message says what is wrong.
    """
    text = _decoded(body)
    if content_type == FORM:
        fields = dict(parse_qsl(text, keep_blank_values=True))
        payload = _json_object(fields["payload"]) if "payload" in fields else fields
        if not ("payload" in fields or "command" in fields or "ssl_check" in fields):
            raise Unreadable("the form is no Slack request", why="it has neither payload nor command")
    elif content_type == JSON:
        payload = _json_object(text)
    else:
        raise Unreadable("the body cannot be read", why=f"its type is {content_type[:60]!r}, not {JSON} or {FORM}")
    _check_shape(payload)
    return Received(body=text, content_type=content_type, payload=payload)


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("the body cannot be read", why=f"byte {error.start} is not UTF-8") from None


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError:
        raise Unreadable("the JSON cannot be read", why="it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable("the JSON cannot be read", why=str(error)[:200]) from None
    if not isinstance(value, dict):
        raise Unreadable("the JSON is no Slack request", why=f"it is a {type(value).__name__}, not an object")
    return value


def _check_shape(payload: dict[str, Any]) -> None:
    """Refuse what would only fail later, when nobody can be told any more."""
    kind, event, actions = payload.get("type"), payload.get("event"), payload.get("actions")
    if kind is not None and not isinstance(kind, str):
        raise Unreadable("the request is no Slack request", why="its type is not a string")
    if kind == "event_callback" and not (isinstance(event, dict) and isinstance(event.get("type"), str)):
        raise Unreadable("the event cannot be read", why="event.type is missing")
    if kind == "block_actions" and not (isinstance(actions, list) and actions and isinstance(actions[0], dict)):
        raise Unreadable("the interaction cannot be read", why="it names no action")


class SlackEndpoint:
    """`POST /slack/events`: events, interactions and commands.

    Args:
        intake: where verified requests go.
        signing_secret: the app's; requests must be signed with it.
        metrics: counts outcomes.
        clock: unix seconds.

    Raises:
        SettingsError: the secret is empty, and anybody could sign.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        signing_secret: str,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not signing_secret.strip():
            raise SettingsError(
                "cannot take Slack's requests",
                why="RUNDOWN_SLACK_SIGNING_SECRET is empty",
                way_out="copy it from the app's Basic Information page",
            )
        self._intake, self._secret, self._metrics, self._clock = intake, signing_secret, metrics, clock

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        status, outcome, text = await self._answer(request)
        if self._metrics is not None:
            self._metrics.slack_request(outcome)
        if status not in (200, 503):
            log.warning("refused a request to /slack/events: %s", text)
        from starlette.responses import PlainTextResponse

        return PlainTextResponse(text, status_code=status)

    async def _answer(self, request: Request) -> tuple[int, str, str]:
        """The status, its outcome in a word, and the body."""
        try:
            body = await read_raw(request)
            self._verify(request, body)
            received = read(body, request.headers.get("content-type", "").partition(";")[0].strip().lower())
        except BodyRefused as error:
            status = 413 if isinstance(error, TooLarge) else 400 if isinstance(error, Disconnected) else 408
            return status, type(error).__name__.lower(), str(error)
        except Forged as error:
            return 401, str(error), f"not signed by Slack: {error}"
        except Unreadable as error:
            return 400, "unreadable", str(error)
        if received.kind == "url_verification":
            return 200, "challenge", str(received.payload.get("challenge", "")).encode("ascii", "replace").decode()
        return await self._keep(received)

    def _verify(self, request: Request, body: bytes) -> None:
        """Check the signature; a header given twice is no header, for nobody knows which one counts."""

        def one(name: str) -> str | None:
            values = request.headers.getlist(name)
            return values[0] if len(values) == 1 else None

        verify(
            self._secret,
            timestamp=one("x-slack-request-timestamp"),
            signature=one("x-slack-signature"),
            body=body,
            now=self._clock(),
        )

    async def _keep(self, received: Received) -> tuple[int, str, str]:
        from starlette.concurrency import run_in_threadpool

        if received.of_people:
            self._intake.heed(received.payload["event"])
        if not received.wanted:
            return 200, "heeded" if received.of_people else "ignored", ""
        try:
            fresh = await run_in_threadpool(keep, self._intake, received)
        except StoreError:
            log.exception("could not keep a Slack request; Slack will send it again")
            return 503, "store_down", "could not be kept: send it again"
        return 200, "accepted" if fresh else "repeated", ""


def keep(intake: Intake, received: Received) -> bool:
    """Hand a request to the intake; whether it is new. Both transports end here.

    Raises:
        core.errors.StoreError: it could not be kept, and must not be acknowledged.
    """
    return intake.accept(source="slack", event_id=received.event_id, kind=received.kind, raw=received.pack())
