"""How the stand-in brings events to the app: over Socket Mode, or signed to a request URL, again until acknowledged.

Does: envelopes with acknowledgement and redelivery, disconnect frames, deaf sockets; HTTP with Slack's signature and retry headers.
Does not: decide what happened (`slack_workspace.py`) or shape it (`slack_payloads.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.standin.slack_workspace import Json

Kind = Literal["events_api", "interactive", "slash_commands"]


@dataclass
class Attempt:
    """One delivery of one event."""

    at: float
    #: "socket", or the HTTP status the request URL answered; 0 if it did not.
    via: str | int
    acked: bool = False
    seconds: float = 0.0


@dataclass
class Dispatch:
    """Something the app is to be told, and how that went."""

    kind: Kind
    payload: Json
    attempts: list[Attempt] = field(default_factory=list)
    acked: bool = False
    gave_up: bool = False


@dataclass
class _Socket:
    websocket: WebSocket
    deaf: bool = False


def sign(secret: str, timestamp: int | str, body: bytes) -> str:
    """Slack's signature of a request (CONTRACTS.md 1.6)."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()


def http_body(kind: Kind, payload: Json) -> tuple[bytes, str]:
    """What Slack would POST, and its content type."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    form = {"payload": json.dumps(payload)} if kind == "interactive" else payload
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


class Dispatcher:
    """Delivers to one app.

    Args:
        changed: notified after each acknowledgement.
        signing_secret: signs what goes over HTTP.
        request_url: where to POST; None for Socket Mode.
        ack_s: seconds an acknowledgement may take; Slack gives 3.
        retry_delays_s: seconds before each further attempt; Slack waits 0, 60 and 300.
    """

    def __init__(
        self,
        *,
        changed: threading.Condition,
        signing_secret: str,
        request_url: str | None,
        ack_s: float,
        retry_delays_s: tuple[float, ...],
    ) -> None:
        self._changed, self._secret, self.request_url = changed, signing_secret, request_url
        self.ack_s, self._delays = ack_s, retry_delays_s
        #: How often each event is delivered over and above what its acknowledgement asks for.
        self.copies = 0
        self.dispatches: list[Dispatch] = []
        #: Where it runs. What was sent before it is set is not delivered.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._sockets: list[_Socket] = []
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn, self._open = 0, asyncio.Event()

    def send(self, kind: Kind, payload: Json) -> None:
        """Tell the app something. Safe from any thread; returns at once."""
        if self.loop is None:
            return
        dispatch = Dispatch(kind=kind, payload=payload)
        self.dispatches.append(dispatch)
        with suppress(RuntimeError):  # the loop has ended: nobody is left to tell
            self.loop.call_soon_threadsafe(self._begin, dispatch)

    def stop(self) -> None:
        """Deliver nothing more."""

        def cancel() -> None:
            for task in self._tasks:
                task.cancel()

        if self.loop is not None:
            self._in_loop(cancel)
        self.loop = None

    def _begin(self, dispatch: Dispatch) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(dispatch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, dispatch: Dispatch) -> None:
        for number, delay in enumerate((0.0, *self._delays)):
            await asyncio.sleep(delay)
            if await self._attempt(dispatch, number):
                break
        else:
            dispatch.gave_up = True
        for number in range(1, self.copies + 1):
            await self._attempt(dispatch, number)
        with self._changed:
            self._changed.notify_all()

    async def _attempt(self, dispatch: Dispatch, number: int) -> bool:
        begun = time.monotonic()
        attempt = Attempt(at=time.time(), via="socket")
        if self.request_url is not None:
            attempt.via = await asyncio.to_thread(self._post, self.request_url, dispatch, number)
            attempt.acked = 200 <= attempt.via < 300
        else:
            attempt.acked = await self._envelope(dispatch, number)
        attempt.seconds = time.monotonic() - begun
        with self._changed:
            dispatch.attempts.append(attempt)
            dispatch.acked = dispatch.acked or attempt.acked
            self._changed.notify_all()
        return attempt.acked

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def _post(self, url: str, dispatch: Dispatch, number: int) -> int:
        body, content_type = http_body(dispatch.kind, dispatch.payload)
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(self._secret, timestamp, body),
            **({"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_error"} if number else {}),
        }
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 the test's own server
        try:
            with urllib.request.urlopen(request, timeout=self.ack_s) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    # -- sockets -------------------------------------------------------------------------------------------------

    async def serve(self, websocket: WebSocket) -> None:
        """One Socket Mode connection, from hello to close."""
        await websocket.accept()
        socket = _Socket(websocket)
        hello = {
            "type": "hello",
            "num_connections": len(self._sockets) + 1,
            "debug_info": {"approximate_connection_time": 18060},
            "connection_info": {"app_id": "A0RUNDOWN"},
        }
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.send_text(json.dumps(hello))
            self._register(socket, live=True)
            while True:
                self._acknowledge(await websocket.receive_text())
        self._register(socket, live=False)

    def _register(self, socket: _Socket, *, live: bool) -> None:
        with self._changed:
            self._sockets = [other for other in self._sockets if other is not socket] + ([socket] if live else [])
            self._open.set() if self._sockets else self._open.clear()
            self._changed.notify_all()

    def _acknowledge(self, text: str) -> None:
        with suppress(ValueError, AttributeError):
            future = self._waiting.pop(json.loads(text).get("envelope_id"), None)
            if future is not None and not future.done():
                future.set_result(None)

    async def _envelope(self, dispatch: Dispatch, number: int) -> bool:
        """Send an envelope over the next socket; whether it was acknowledged in time. Without a socket it waits for one."""
        await self._open.wait()
        self._turn += 1
        socket = self._sockets[self._turn % len(self._sockets)]
        envelope_id = str(uuid.uuid4())
        envelope = {
            "envelope_id": envelope_id,
            "type": dispatch.kind,
            "payload": dispatch.payload,
            "accepts_response_payload": dispatch.kind == "slash_commands",
            **(
                {"retry_attempt": number, "retry_reason": "timeout" if number else ""}
                if dispatch.kind == "events_api"
                else {}
            ),
        }
        future = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        if not socket.deaf:
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.websocket.send_text(json.dumps(envelope))
        try:
            await asyncio.wait_for(future, self.ack_s)
        except TimeoutError:
            return False
        return True

    @property
    def sockets(self) -> int:
        """How many connections are open, as the server believes."""
        return len(self._sockets)

    def deafen(self) -> None:
        """Make every open socket half-open: nothing said on it is heard any more, on either side."""

        def silence() -> None:
            for socket in self._sockets:
                socket.deaf = True
                socket.websocket.scope["transport"].pause_reading()

        self._in_loop(silence)

    def cut(self) -> None:
        """Break every open socket without a word."""

        def abort() -> None:
            for socket in self._sockets:
                socket.websocket.scope["transport"].abort()

        self._in_loop(abort)

    def disconnect(self, reason: str) -> None:
        """Say on every open socket that it is about to be closed: "warning", "refresh_requested" or "link_disabled"."""
        frame = json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "stand-in"}})

        def say() -> None:
            for socket in self._sockets:
                task = asyncio.ensure_future(_quietly(socket.websocket.send_text(frame)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        self._in_loop(say)

    def _in_loop(self, function: Any) -> None:
        done = threading.Event()

        def run() -> None:
            function()
            done.set()

        assert self.loop is not None, "start the stand-in first"
        self.loop.call_soon_threadsafe(run)
        done.wait(5)


async def _quietly(sending: Any) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await sending
