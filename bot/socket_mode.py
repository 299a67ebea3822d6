"""Slack over Socket Mode: several overlapping connections, each envelope kept before it is acknowledged.

Does: hold `connections` sockets open and open a successor before one is let go; acknowledge only what the store has; replace a
socket that closed, fell silent, or has been trusted for too long.
Does not: understand what was asked (`slack.py`); decide how an envelope is kept (`slack_edge.py`, shared with HTTP).

Slack's own client is not used, because it was measured to lose what this is for (slack_sdk 3.47, 2026-11): a frame that pauses
for 3 s, or one of 2 MB, loses it and all that follow, a server that never answers a ping is never noticed, and a
half-closed socket counts as connected while its thread spins. `websockets` does none of these.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.slack_edge import JSON, Unreadable, keep, read
from bot.slack_web import LOOPBACK, Caller, open_client
from core.errors import SlackUnavailable, StoreError

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from bot.intake import Intake

log = logging.getLogger(__name__)

#: Seconds a let-go socket is still read from, for what Slack had already sent on it.
LINGER_S = 10.0
#: Seconds to open a websocket, and to say goodbye on one.
OPEN_S, CLOSE_S = 10.0, 1.0
#: Longest pause between two tries to connect, in seconds, and how short a connection counts as a failed try.
BACKOFF_S, SHORT_S = 30.0, 5.0
#: Ends after which the socket still carries what Slack had sent on it.
PLANNED = ("disconnect", "renewal")
#: Slack's largest payloads stay far below.
MAX_BYTES = 16 * 1024 * 1024


class SocketEdge:
    """Takes requests over Socket Mode from `start` to `close`.

    Args:
        app_token: app-level token with the scope connections:write.
        api_url: Slack's Web API.
        intake: where envelopes are kept.
        connections: sockets held open at once; Slack allows ten to an app.
        ping_s: seconds between pings.
        deaf_after_s: seconds without a word (hello, envelope or pong) after which a socket is replaced.
        renew_after_s: seconds after which a socket is replaced although it seems well. One may answer pings and still be told
            nothing (CONTRACTS.md 1.2); this bounds for how long.
    """

    def __init__(
        self,
        app_token: str,
        api_url: str,
        intake: Intake,
        connections: int = 2,
        *,
        ping_s: float = 10.0,
        deaf_after_s: float = 30.0,
        renew_after_s: float = 1800.0,
    ) -> None:
        self._intake, self._stop = intake, threading.Event()
        self._slack = Caller(open_client(app_token, api_url), sleep=self._rest)
        self._ping_s, self._deaf_after_s, self._renew_after_s = ping_s, deaf_after_s, renew_after_s
        self._places = [_Place(number) for number in range(connections)]
        self._threads = [
            threading.Thread(target=self._hold, args=(place,), name=f"socket-mode-{place.number}", daemon=True)
            for place in self._places
        ]

    def _rest(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise SlackUnavailable("gave up waiting for Slack", why="Rundown is stopping")

    def start(self) -> None:
        """Begin connecting; returns at once. Slack being down is waited out, and shows in `connected`."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Close every socket and wait for what is being kept."""
        self._stop.set()
        for place in self._places:
            place.hang_up()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=OPEN_S + CLOSE_S)

    def connected(self) -> int:
        """How many sockets are open, greeted by Slack, and have been heard of lately."""
        return sum(place.greeted and place.silence_s() < self._deaf_after_s for place in self._places)

    def last_heard(self) -> float:
        """Seconds since Slack said anything on any socket, a pong included; infinity before the first word."""
        return min(place.silence_s() for place in self._places)

    # -- one place, one socket after the other -------------------------------------------------------------------

    def _hold(self, place: _Place) -> None:
        """Keep a place filled until told to stop."""
        failures = 0
        while not self._stop.is_set():
            begun = time.monotonic()
            with ExitStack() as stack:
                try:
                    websocket = self._open(stack)
                except Exception as error:
                    # Whatever it is (Slack down, a token revoked, a proxy in the way), the answer is to try again.
                    ended = f"cannot be opened: {error}"
                else:
                    ended = self._listen(place, websocket)
                if ended in PLANNED:
                    self._linger(websocket, stack.pop_all())
            place.greeted = place.greeted and ended in PLANNED
            if ended not in PLANNED and not self._stop.is_set():
                log.warning("Socket Mode connection %s: %s", place.number, ended)
            failures = failures + 1 if time.monotonic() - begun < SHORT_S else 0
            if failures > (ended in PLANNED):
                self._stop.wait(random.uniform(0.5, 1.0) * min(0.25 * 2.0**failures, BACKOFF_S))

    def _open(self, stack: ExitStack) -> ClientConnection:
        from websockets.sync.client import connect

        url = str(self._slack.call("apps.connections.open")["url"])
        return stack.enter_context(
            connect(
                url,
                proxy=None if urlsplit(url).hostname in LOOPBACK else True,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=None,  # ours count as words heard
                compression=None,
                max_size=MAX_BYTES,
            )
        )

    def _listen(self, place: _Place, websocket: ClientConnection) -> str:
        """Take what comes until the socket should be replaced; why it should."""
        from websockets.exceptions import ConnectionClosed

        place.take(websocket)
        renew_at = time.monotonic() + self._renew_after_s * random.uniform(0.8, 1.2)
        next_ping, pong = time.monotonic() + self._ping_s, None
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_ping:
                    next_ping, pong = time.monotonic() + self._ping_s, websocket.ping()
                with suppress(TimeoutError):
                    ended = self._take(place, websocket, websocket.recv(timeout=min(1.0, self._ping_s)))
                    if ended:
                        return ended
            except ConnectionClosed as error:
                return f"closed ({error})"
            if pong is not None and pong.is_set():
                pong = None
                place.heard()
            if place.silence_s() > self._deaf_after_s:
                return f"nothing heard for {self._deaf_after_s:g} s"
            if time.monotonic() > renew_at:
                return "renewal"
        return "stop"

    def _linger(self, websocket: ClientConnection, stack: ExitStack) -> None:
        """Read on from a socket that is let go, while its successor is opened."""

        def read_on() -> None:
            until = time.monotonic() + LINGER_S
            with stack, suppress(Exception):
                while (left_s := until - time.monotonic()) > 0 and not self._stop.is_set():
                    with suppress(TimeoutError):
                        self._take(_Place(-1), websocket, websocket.recv(timeout=min(left_s, 0.5)))

        threading.Thread(target=read_on, name="socket-mode-lingering", daemon=True).start()

    # -- what comes ----------------------------------------------------------------------------------------------

    def _take(self, place: _Place, websocket: ClientConnection, text: str | bytes) -> str:
        """Deal with one frame; why the socket should be replaced, or ""."""
        place.heard()
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            log.warning("passed over a Socket Mode frame that is no JSON object")
        elif frame.get("type") == "hello":
            place.greeted = True
        elif frame.get("type") == "disconnect":
            return self._told_to_go(frame)
        elif isinstance(frame.get("envelope_id"), str):
            self._keep(websocket, frame)
        return ""

    def _told_to_go(self, frame: dict[str, Any]) -> str:
        if frame.get("reason") != "link_disabled":
            return "disconnect"
        log.error("Slack says that Socket Mode is switched off for the app: switch it on under Settings > Socket Mode")
        return "link_disabled"

    def _keep(self, websocket: ClientConnection, frame: dict[str, Any]) -> None:
        """Keep one envelope, then acknowledge it. Without the acknowledgement Slack sends it again."""
        try:
            received = read(json.dumps(frame.get("payload")).encode(), JSON)
            if received.of_people:
                self._intake.heed(received.payload["event"])
            elif received.wanted:
                keep(self._intake, received)
        except Unreadable as error:
            log.warning("acknowledged and dropped an envelope of type %r: %s", frame.get("type"), error)
        except StoreError:
            log.exception("could not keep an envelope; Slack will send it again")
            return
        websocket.send(json.dumps({"envelope_id": frame["envelope_id"]}))


class _Place:
    """One of the sockets to hold: which it is now, and when it was last heard of."""

    def __init__(self, number: int) -> None:
        self.number, self.greeted = number, False
        self._websocket: ClientConnection | None = None
        self._heard_at = float("-inf")

    def take(self, websocket: ClientConnection) -> None:
        """Hold this socket from now on."""
        self._websocket = websocket
        self.heard()

    def heard(self) -> None:
        """Something came in."""
        self._heard_at = time.monotonic()

    def silence_s(self) -> float:
        """Seconds since anything came in."""
        return time.monotonic() - self._heard_at

    def hang_up(self) -> None:
        """Close the socket from another thread: its reader wakes at once."""
        if self._websocket is not None:
            with suppress(Exception):
                self._websocket.close()
