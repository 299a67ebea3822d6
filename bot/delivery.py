"""The outbox's way to Slack: one post a message, then edits, whatever gets lost in between (CONTRACTS.md 1.9).

Does: bring one message to its wanted version. A post whose answer was lost is looked for in the channel by its token, twice,
before it is sent again; replies wait for their parent; a channel gets about one post a second; several wanted versions
become one edit.
Does not: decide what to say or where, or run by itself: the workflow and its sweep call `deliver`.

    PENDING ──► SENDING ──► SENT(ts) ──► edits
                  │  ▲
          no answer  not there, twice
                  ▼  │
               AMBIGUOUS ──► there ──► SENT(ts)          FAILED: Slack refused this very message

A message that people deleted from Slack is not posted anew: its edits fail, and the reason is kept.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from bot.slack_web import PASSING, Caller, SlackRefused, open_client
from core.errors import RundownError, SettingsError, SlackUnavailable
from core.store import Message, MessageState, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk import WebClient

    from core.settings import Settings

log = logging.getLogger(__name__)

EVENT_TYPE = "rundown_message"
#: Posts of one message in one `deliver`, and tries of one edit.
TRIES = 3
#: Our clock may run ahead of Slack's by this much, in seconds, and a message of ours still be found.
CLOCK_SKEW_S = 900.0
PAGE, PAGES = 200, 50


def make_client(settings: Settings) -> WebClient:
    """The bot's client.

    Raises:
        SettingsError: there is no bot token.
    """
    if settings.slack_bot_token is None:
        raise SettingsError(
            "cannot talk to Slack",
            why="RUNDOWN_SLACK_BOT_TOKEN is not set",
            way_out="create the app from bot/slack_manifest.yaml and set its xoxb- token",
        )
    return open_client(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)


class Delivery:
    """Brings messages to Slack. Safe to share between threads, and between processes on one Postgres.

    Args:
        store: the outbox.
        client: from `make_client`.
        sleep: waits so many seconds.
        clock: seconds that never go back.
        readback_s: seconds between the two looks for a message whose answer was lost.
        channel_interval_s: seconds between posts to one channel, in the long run.
        burst: posts a channel may get at once after a pause.
    """

    def __init__(
        self,
        store: Store,
        client: WebClient,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        readback_s: float = 5.0,
        channel_interval_s: float = 1.0,
        burst: int = 3,
    ) -> None:
        self._store, self._slack, self._sleep = store, Caller(client, sleep=sleep, clock=clock), sleep
        self._readback_s, self._pace = readback_s, _Pace(channel_interval_s, burst, sleep, clock)
        self._locks: WeakValueDictionary[str, _Lock] = WeakValueDictionary()
        self._guard = threading.Lock()

    def deliver(self, key: str) -> Message:
        """Bring a message, and before it the one it replies to, to what is wanted now.

        Calling it again is always right: it does what is left to do, often nothing. A FAILED message is tried afresh.

        Returns:
            The message as Slack now shows it.

        Raises:
            SlackUnavailable: Slack does not show it. Not `ambiguous`: Slack refused, for good if the message is FAILED.
                `ambiguous`: nobody knows yet; the next call finds out before it sends anything.
            core.errors.StoreError: the outbox refused.
        """
        thread_ts = self._thread_of(self._wanted(key))
        with self._alone(key):
            message = self._wanted(key)
            if message.ts is None:
                self._post(message, thread_ts)
            for _ in range(TRIES):  # what is wanted may have moved on meanwhile: always the latest is sent
                message = self._wanted(key)
                if message.sent_version >= message.version:
                    break
                self._edit(message)
            return self._wanted(key)

    def _wanted(self, key: str) -> Message:
        message = self._store.message(key)
        if message is None:
            raise RundownError(f"cannot deliver {key!r}", why="no such message in the outbox")
        return message

    def _thread_of(self, message: Message) -> str | None:
        """Where a message goes in its channel; its parent is sent first."""
        if message.parent is None or message.ts is not None:
            return message.thread_ts
        try:
            return self.deliver(message.parent).ts
        except SlackUnavailable as error:
            if self._wanted(message.parent).state is MessageState.FAILED:
                self._store.mark_message(
                    message.key, MessageState.FAILED, error=f"{message.parent} failed: {error.why}"
                )
            raise

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(key, _Lock())
        with lock.held, self._store.exclusively(f"deliver:{key}"):
            yield

    # -- the one post --------------------------------------------------------------------------------------------

    def _post(self, message: Message, thread_ts: str | None) -> None:
        """Make a message exist in Slack, once."""
        if message.state is MessageState.SENDING:
            self._store.mark_message(message.key, MessageState.AMBIGUOUS, error="found SENDING: a process was killed")
        if message.state in (MessageState.SENDING, MessageState.AMBIGUOUS) and self._settled(
            message, thread_ts, version=0
        ):
            return
        tried_first = 0
        for _ in range(TRIES):
            self._pace.wait(message.channel)
            message = self._wanted(message.key)
            tried_first = tried_first or message.version
            self._store.mark_message(message.key, MessageState.SENDING)
            try:
                ts = self._send(message, thread_ts)
            except SlackRefused as error:
                self._refused(message, error)
                if self._settled(message, thread_ts, version=tried_first):
                    return
            else:
                self._store.mark_message(message.key, MessageState.SENT, ts=ts, version=message.version)
                return
        raise SlackUnavailable(
            f"Slack does not show {message.key}",
            why=f"it gave no clear answer {TRIES} times",
            way_out="it is tried again later, after another look",
            ambiguous=True,
        )

    def _send(self, message: Message, thread_ts: str | None) -> str:
        content = {
            **message.body,
            "channel": message.channel,
            "thread_ts": thread_ts,
            "metadata": _metadata(message),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            answer = self._slack.call("chat.postMessage", **content)
        except SlackRefused as error:
            if error.code != "not_in_channel":
                raise
            self._join(message.channel, error)
            answer = self._slack.call("chat.postMessage", **content)
        if not answer.get("ts"):
            raise SlackRefused("chat.postMessage", "no_answer", why="the answer names no ts", ambiguous=True)
        return str(answer["ts"])

    def _join(self, channel: str, reason: SlackRefused) -> None:
        try:
            self._slack.call("conversations.join", channel=channel)
        except SlackRefused as error:
            if error.ambiguous or error.code in PASSING:
                raise
            raise reason from error

    def _refused(self, message: Message, error: SlackRefused) -> None:
        """Write down a post that did not answer "ok"; raise unless its outcome can be found out."""
        if error.ambiguous and error.method == "chat.postMessage":
            self._store.mark_message(message.key, MessageState.AMBIGUOUS, error=error.why)
            return
        passing = error.ambiguous or error.code in PASSING
        self._store.mark_message(message.key, MessageState.PENDING if passing else MessageState.FAILED, error=error.why)
        raise error

    # -- finding out ---------------------------------------------------------------------------------------------

    def _settled(self, message: Message, thread_ts: str | None, *, version: int) -> bool:
        """Whether Slack shows a message whose answer was lost: looked for twice, `readback_s` apart.

        Args:
            version: the oldest version that may have arrived; 0 when nobody knows, so that an edit makes sure.
        """
        for wait_s in (0.0, self._readback_s):
            self._sleep(wait_s)
            ts = self._look(message, thread_ts)
            if ts is not None:
                log.info("%s had arrived although its answer was lost", message.key)
                self._store.mark_message(message.key, MessageState.SENT, ts=ts, version=version)
                return True
        return False

    def _look(self, message: Message, thread_ts: str | None) -> str | None:
        """The ts of the message that carries our token, or None. Slack being down leaves it unknown and raises."""
        cursor = None
        for _ in range(PAGES):
            page = self._page(message, thread_ts, cursor)
            for shown in page.get("messages", ()):
                if _token(shown) == message.token:
                    return str(shown["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
        raise SlackUnavailable(
            f"cannot tell whether Slack shows {message.key}",
            why=f"it is not among the last {PAGE * PAGES} messages, and there are more",
            way_out="look for it in the channel",
            ambiguous=True,
        )

    def _page(self, message: Message, thread_ts: str | None, cursor: str | None) -> dict[str, Any]:
        try:
            return self._slack.call(
                "conversations.replies" if thread_ts else "conversations.history",
                channel=message.channel,
                ts=thread_ts,
                oldest=f"{max(message.created_at - CLOCK_SKEW_S, 0):.6f}",
                limit=PAGE,
                cursor=cursor,
                include_all_metadata=True,
            )
        except SlackRefused as error:
            if error.code in ("channel_not_found", "thread_not_found"):
                return {}  # where it would be is gone, and it with it: sending again gets the clear refusal
            raise SlackUnavailable(
                f"cannot tell whether Slack shows {message.key}",
                why=str(error),
                way_out="it is tried again later",
                ambiguous=True,
                retry_after_s=error.retry_after_s,
            ) from error

    # -- edits ---------------------------------------------------------------------------------------------------

    def _edit(self, message: Message) -> None:
        """Show the wanted version in place. An edit may be repeated, so a lost answer only means another try."""
        content = {**message.body, "channel": message.channel, "ts": message.ts, "metadata": _metadata(message)}
        for attempt in range(1, TRIES + 1):
            try:
                self._slack.call("chat.update", **content)
            except SlackRefused as error:
                if error.ambiguous and attempt < TRIES:
                    self._sleep(float(attempt))
                    continue
                given_up = not error.ambiguous and error.code not in PASSING
                self._store.mark_message(
                    message.key, MessageState.FAILED if given_up else MessageState.SENT, error=error.why
                )
                raise
            self._store.mark_message(message.key, MessageState.SENT, version=message.version)
            return


def _metadata(message: Message) -> dict[str, Any]:
    """What a lost message is found by. Everybody in the workspace may read it, so it holds an opaque id and nothing else."""
    return {"event_type": EVENT_TYPE, "event_payload": {"token": message.token}}


def _token(shown: dict[str, Any]) -> str | None:
    with suppress(AttributeError):
        metadata = shown.get("metadata") or {}
        return metadata["event_payload"].get("token") if metadata.get("event_type") == EVENT_TYPE else None
    return None


class _Lock:
    """A lock that a WeakValueDictionary can hold, and forgets once nobody does."""

    def __init__(self) -> None:
        self.held = threading.Lock()


class _Pace:
    """About one post a second to each channel, a few at once after a pause (CONTRACTS.md 1.4).

    Each caller takes the next free slot under the lock and waits for it outside, so nobody overtakes.
    """

    def __init__(
        self, interval_s: float, burst: int, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._interval_s, self._burst, self._sleep, self._clock = interval_s, burst, sleep, clock
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, channel: str) -> None:
        """Return when a post to the channel is due."""
        with self._lock:
            now = self._clock()
            slot = max(self._next.get(channel, 0.0), now - (self._burst - 1) * self._interval_s)
            self._next[channel] = slot + self._interval_s
        if slot > now:
            self._sleep(slot - now)
