"""A stand-in Slack workspace on loopback: Web API, Socket Mode, signed HTTP, and the faults of CONTRACTS.md at the turn of a switch.

Does: install the app from `bot/slack_manifest.yaml` (only its scopes are granted and only its events sent), behave as Slack
documents, keep every call, edit and acknowledgement for inspection, and let a test or the demo act as people do.
Does not: render messages, know files, modals or enterprise grids, or leave 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from bot.standin import slack_limits, slack_payloads
from bot.standin.slack_api import Ephemeral, WebApi
from bot.standin.slack_dispatch import Dispatch, Dispatcher
from bot.standin.slack_workspace import Channel, Json, Posted, Refusal, Workspace
from bot.web import Served, WebServer

T = TypeVar("T")

MANIFEST = Path(__file__).parents[1] / "slack_manifest.yaml"
#: A response_url works this often, for this long (CONTRACTS.md 1.3).
RESPONSE_URL_USES, RESPONSE_URL_S = 5, 30 * 60
HTML = "<!DOCTYPE html><html><head><title>Slack</title></head><body>Something went wrong.</body></html>"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How a call goes wrong.

    Args:
        how: "drop" the connection without an answer, "refuse" with `ok: false`, answer with a "status" or "html", ask to wait
            with "rate_limit", or be "slow".
        committed: whether the call takes effect all the same.
        error: the code of "refuse".
        status: the HTTP status of "status" and "html".
        seconds: how long "slow" takes, or what Retry-After says.
    """

    how: Literal["drop", "refuse", "status", "html", "rate_limit", "slow"]
    committed: bool = False
    error: str = "internal_error"
    status: int = 500
    seconds: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the Web API. `outcome` is "ok", Slack's error code, or the fault played."""

    method: str
    args: Json
    at: float
    outcome: str


@dataclass
class _Planned:
    fault: Fault
    first: int
    last: int
    seen: int = 0

    def counts(self) -> bool:
        """Count a call; whether the fault is meant for it."""
        self.seen += 1
        return self.first <= self.seen <= self.last


@dataclass
class _ResponseUrl:
    channel: str
    user: str
    message_ts: str | None
    made_at: float
    uses: int = 0


class SlackStandIn(Served):
    """A workspace, up inside a `with` block.

    Args:
        users: names of people to begin with.
        channels: names of public channels to begin with; everybody but the bot is in them.
        request_url: where to POST events, for HTTP mode; None for Socket Mode.
        ack_s: seconds an acknowledgement may take.
        retry_delays_s: seconds before each further delivery of what was not acknowledged.
        port: 0 lets the system choose.
        signing_secret: signs what goes over HTTP.
    """

    def __init__(
        self,
        *,
        users: Sequence[str] = ("ana", "ben"),
        channels: Sequence[str] = ("general",),
        request_url: str | None = None,
        ack_s: float = 3.0,
        retry_delays_s: tuple[float, ...] = (0.1, 1.0, 5.0),
        port: int = 0,
        signing_secret: str = "stand-in-signing-secret",  # noqa: S107 it opens nothing
    ) -> None:
        self.bot_token, self.app_token, self.signing_secret = "xoxb-stand-in", "xapp-stand-in", signing_secret
        self._users, self._channels, self._request_url = tuple(users), tuple(channels), request_url
        self._ack_s, self._retry_delays_s = ack_s, retry_delays_s
        self._scopes, self._subscribed = _installed()
        self._changed = threading.Condition(threading.RLock())
        routes = [
            Route("/api/{method}", self._call, methods=["GET", "POST"]),
            Route("/response/{ticket}", self._respond, methods=["POST"]),
            WebSocketRoute("/link", self._link),
        ]
        self._server = WebServer(_with_transport(Starlette(routes=routes)), port=port)
        self.url, self.api_url = self._server.url, f"{self._server.url}/api/"
        self._begin()

    def reset(self) -> None:
        """Begin again with the people and channels given at first: quicker than another stand-in."""
        self.dispatcher.stop()
        self._begin()

    def _begin(self) -> None:
        self.dispatcher = Dispatcher(
            changed=self._changed,
            signing_secret=self.signing_secret,
            request_url=self._request_url,
            ack_s=self._ack_s,
            retry_delays_s=self._retry_delays_s,
        )
        self.workspace = Workspace(self._changed, self._notify)
        self.api = WebApi(self.workspace, self._scopes)
        self.calls: list[Call] = []
        self._planned: dict[str, list[_Planned]] = {}
        self._closed_until: dict[str, float] = {}
        self._responses: dict[str, _ResponseUrl] = {}
        people = [self.workspace.add_user(name) for name in self._users]
        for name in self._channels:
            self.workspace.add_channel(name, members=people)
        self.dispatcher.loop = self._server.loop  # from here on the app is told

    def __enter__(self) -> Self:
        super().__enter__()
        self.dispatcher.loop = self._server.loop
        return self

    # -- what people do ------------------------------------------------------------------------------------------

    @property
    def bot(self) -> str:
        """The bot's user id: `<@…>` of it is a mention."""
        return self.workspace.bot

    def user(self, name: str) -> str:
        """A person's id; they are made if nobody has the name."""
        try:
            return self.workspace.user(name).id
        except Refusal:
            return self.workspace.add_user(name)

    def add_channel(
        self, name: str, *, members: Iterable[str] = (), private: bool = False, archived: bool = False
    ) -> str:
        """A channel somebody made; its id."""
        people = [self.user(person) if person != self.bot else person for person in members]
        return self.workspace.add_channel(
            name, kind="group" if private else "channel", members=people, archived=archived
        ).id

    def direct(self, user: str) -> str:
        """The id of somebody's direct channel with the bot."""
        return self.workspace.direct(self.user(user)).id

    def join(self, channel: str, user: str) -> None:
        """Somebody joins a channel, or brings the bot in."""
        self.workspace.join(self.workspace.channel(channel), user if user == self.bot else self.user(user))

    def leave(self, channel: str, user: str) -> None:
        """Somebody leaves a channel, or is made to."""
        self.workspace.leave(self.workspace.channel(channel), user if user == self.bot else self.user(user))

    def publish(self, channel: str) -> None:
        """A private channel becomes a public one. Slack sends no event of it."""
        with self._changed:
            self.workspace.channel(channel).kind = "channel"

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> str:
        """Somebody writes; "@rundown" becomes a mention. Returns the message's ts."""
        text = text.replace("@rundown", f"<@{self.bot}>")
        return self.workspace.post(self.workspace.channel(channel), self.user(user), text, thread_ts=thread_ts).ts

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Somebody edits a message."""
        self.workspace.edit(self.workspace.message(self.workspace.channel(channel), ts), text=text)

    def delete(self, channel: str, ts: str) -> None:
        """Somebody deletes a message."""
        self.workspace.delete(self.workspace.message(self.workspace.channel(channel), ts))

    def click(self, channel: str, ts: str, action_id: str, user: str) -> str:
        """Somebody presses a button; the gesture's trigger_id.

        Raises:
            LookupError: the message shows no such button.
        """
        place, person = self.workspace.channel(channel), self.workspace.user(self.user(user))
        message = self.workspace.message(place, ts)
        payload = slack_payloads.click(
            self.workspace, place, message, action_id, person, self._response_url(place, person.id, ts)
        )
        self.dispatcher.send("interactive", payload)
        return str(payload["trigger_id"])

    def click_ephemeral(self, message: Ephemeral, action_id: str, user: str) -> str:
        """Somebody presses a button that one person was shown; the gesture's trigger_id.

        Raises:
            LookupError: the message shows no such button.
        """
        place, person = self.workspace.channel(message.channel), self.workspace.user(self.user(user))
        shown = Posted(
            ts=self.workspace.next_ts(),
            channel=place.id,
            user=self.bot,
            text=message.text,
            blocks=message.blocks,
            thread_ts=message.thread_ts,
        )
        response_url = self._response_url(place, person.id, None)
        payload = slack_payloads.click(self.workspace, place, shown, action_id, person, response_url, ephemeral=True)
        self.dispatcher.send("interactive", payload)
        return str(payload["trigger_id"])

    def command(self, channel: str, user: str, text: str, *, command: str = "/rundown") -> str:
        """Somebody types a slash command; the gesture's trigger_id."""
        place, person = self.workspace.channel(channel), self.workspace.user(self.user(user))
        payload = slack_payloads.command(
            self.workspace, place, person, command, text, self._response_url(place, person.id, None)
        )
        self.dispatcher.send("slash_commands", payload)
        return str(payload["trigger_id"])

    # -- what can be seen ----------------------------------------------------------------------------------------

    def messages(self, channel: str) -> list[Posted]:
        """A channel's messages, threads left out, oldest first."""
        return self.workspace.shown(self.workspace.channel(channel))

    def thread(self, channel: str, ts: str) -> list[Posted]:
        """The replies to a message, oldest first."""
        return self.workspace.thread(self.workspace.channel(channel), ts)[1:]

    @property
    def ephemerals(self) -> list[Ephemeral]:
        """What single people were shown."""
        return self.api.ephemerals

    @property
    def dispatches(self) -> list[Dispatch]:
        """Everything the app was told, with each attempt."""
        return self.dispatcher.dispatches

    def called(self, method: str) -> list[Call]:
        """The calls of one method."""
        return [call for call in self.calls if call.method == method]

    def wait_for(self, seen: Callable[[], T], *, timeout_s: float = 10.0) -> T:
        """Wait until something can be seen, and return it.

        Raises:
            TimeoutError: it was not seen in time.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (found := seen()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nothing to be seen within {timeout_s:g} s")
                self._changed.wait(0.05)
            return found

    # -- what goes wrong -----------------------------------------------------------------------------------------

    def fault(self, method: str, fault: Fault, *, nth: int = 1, times: int = 1) -> None:
        """Let the nth call of a method from now on, and the following `times` - 1, go wrong."""
        with self._changed:
            self._planned.setdefault(method, []).append(_Planned(fault=fault, first=nth, last=nth + times - 1))

    def _take_fault(self, method: str) -> Fault | None:
        """The fault planned for this call, if any; of several, the one planned first."""
        with self._changed:
            due = [plan.fault for plan in self._planned.get(method, ()) if plan.counts()]
            return due[0] if due else None

    # -- the wire ------------------------------------------------------------------------------------------------

    def _notify(self, event: Json) -> None:
        kinds = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}
        name = kinds[event["channel_type"]] if event["type"] == "message" else event["type"]
        if name in self._subscribed:
            self.dispatcher.send("events_api", slack_payloads.event_wrapper(self.workspace, event))

    async def _link(self, websocket: WebSocket) -> None:
        await self.dispatcher.serve(websocket)

    async def _call(self, request: Request) -> Response:
        method, args, calls = request.path_params["method"], await _arguments(request), self.calls
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or args.pop("token", "")
        closed_s = self._closed_until.get(method, 0.0) - time.monotonic()
        fault = self._take_fault(method) if closed_s <= 0 else Fault(how="rate_limit", seconds=closed_s)
        if fault is not None and fault.how == "slow" and not fault.committed:
            await asyncio.sleep(fault.seconds)
        answer = self._answer(method, args, token) if fault is None or fault.committed or fault.how == "slow" else {}
        if fault is not None and fault.how == "slow" and fault.committed:
            await asyncio.sleep(fault.seconds)
        outcome = "ok" if answer.get("ok") else str(answer.get("error", ""))
        played = fault.how if fault is not None and fault.how != "slow" else outcome
        with self._changed:
            calls.append(Call(method=method, args=args, at=time.time(), outcome=played))
            self._changed.notify_all()
        if fault is not None and fault.how != "slow":
            return await self._play(fault, method, request)
        return JSONResponse(answer, headers={"x-oauth-scopes": ",".join(self._scopes)})

    def _answer(self, method: str, args: Json, token: str) -> Json:
        wanted = self.app_token if method == "apps.connections.open" else self.bot_token
        if token != wanted:
            return {
                "ok": False,
                "error": "not_authed"
                if not token
                else "not_allowed_token_type"
                if token in (self.app_token, self.bot_token)
                else "invalid_auth",
            }
        if method == "apps.connections.open":
            return {
                "ok": True,
                "url": f"ws://127.0.0.1:{self._server.port}/link?ticket={secrets.token_hex(8)}&app_id={self.workspace.app_id}",
            }
        try:
            return self.api.call(method, args)
        except Refusal as refusal:
            return {"ok": False, "error": refusal.error, **refusal.extra}

    async def _play(self, fault: Fault, method: str, request: Request) -> Response:
        if fault.how == "drop":
            request.scope["transport"].abort()
            await asyncio.sleep(0.01)  # let the loop notice, or the server would report a missing answer
            return PlainTextResponse("")
        if fault.how == "rate_limit":
            self._closed_until[method] = time.monotonic() + fault.seconds
            wait = {"Retry-After": str(math.ceil(fault.seconds))}
            return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers=wait)
        if fault.how == "html":
            return Response(HTML, status_code=fault.status, media_type="text/html")
        if fault.how == "status":
            return PlainTextResponse("upstream connect error", status_code=fault.status)
        return JSONResponse({"ok": False, "error": fault.error})

    # -- response_url --------------------------------------------------------------------------------------------

    def _response_url(self, channel: Channel, user: str, message_ts: str | None) -> str:
        ticket = secrets.token_urlsafe(16)
        self._responses[ticket] = _ResponseUrl(
            channel=channel.id, user=user, message_ts=message_ts, made_at=time.time()
        )
        return f"{self.url}/response/{ticket}"

    async def _respond(self, request: Request) -> Response:
        known, args = self._responses.get(request.path_params["ticket"]), await _arguments(request)
        with self._changed:
            self.calls.append(Call(method="response_url", args=args, at=time.time(), outcome="ok"))
        fault = self._take_fault("response_url")
        if fault is not None:
            return await self._play(fault, "response_url", request)
        if known is None or time.time() - known.made_at > RESPONSE_URL_S:
            return JSONResponse({"ok": False, "error": "expired_url"}, status_code=404)
        known.uses += 1
        if known.uses > RESPONSE_URL_USES:
            return JSONResponse({"ok": False, "error": "used_url"}, status_code=404)
        text, blocks = args.get("text") or "", args.get("blocks") or []
        if slack_limits.block_faults(blocks) or not (text or blocks):
            return PlainTextResponse("invalid_blocks" if blocks else "no_text", status_code=400)
        channel = self.workspace.channel(known.channel)
        if args.get("replace_original") and known.message_ts:
            self.workspace.edit(self.workspace.message(channel, known.message_ts), text=text, blocks=blocks)
        elif args.get("response_type") == "in_channel":
            self.workspace.post(channel, self.bot, text, blocks=blocks, thread_ts=args.get("thread_ts") or None)
        else:
            self.api.whisper(
                Ephemeral(
                    channel=known.channel,
                    user=known.user,
                    text=text,
                    blocks=blocks,
                    thread_ts=args.get("thread_ts") or None,
                    by="response_url",
                )
            )
        return PlainTextResponse("ok")


def _installed() -> tuple[tuple[str, ...], frozenset[str]]:
    """The scopes and events of our own manifest."""
    import yaml

    manifest = yaml.safe_load(MANIFEST.read_text())
    return tuple(manifest["oauth_config"]["scopes"]["bot"]), frozenset(
        manifest["settings"]["event_subscriptions"]["bot_events"]
    )


async def _arguments(request: Request) -> Json:
    """A call's arguments from the query, a form or JSON."""
    args: Json = dict(request.query_params)
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        with suppress(ValueError):
            parsed = json.loads(body or b"{}")
            return args | (parsed if isinstance(parsed, dict) else {})
    return args | dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _with_transport(app: Any) -> Any:
    """The app, with the connection's transport in reach, so that it can be broken or silenced."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        scope["transport"] = send.__self__.transport
        await app(scope, receive, send)

    return call
