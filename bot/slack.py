"""What people do in Slack, brought to the desk: mentions, direct messages, remarks, thumbs, commands, new channels.

Does: run each stored request through slack-bolt's dispatch, call the desk, and tell the person what came of it. Whatever fails
is raised: the row stays undone, and `apologise` says so plainly.
Does not: verify requests (`slack_edge.py`, `socket_mode.py`), decide or search anything (`desk.py`), render (`replies.py`).

A request may be handled twice, when a worker was killed in between: the desk works under one key, and what is said to one person
only (a thank-you, a command's answer) may then be read twice, which harms nobody.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bot.blocks import MORE_ACTION
from bot.replies import PRIVATE_ACTION, failure_message
from bot.slack_edge import Received, said_by_person, unpack
from bot.slack_text import mentions, words
from bot.slack_web import Caller
from core.errors import SlackUnavailable
from core.model import Vote, from_unix
from core.redaction import redact_json

if TYPE_CHECKING:
    from datetime import datetime

    from slack_bolt import App
    from slack_bolt.context import BoltContext
    from slack_sdk import WebClient

    from bot.channels import Channels
    from core.store import InboxRow, Store

log = logging.getLogger(__name__)

#: What the desk answers with: a sentence, or a whole message {"text", "blocks"}.
Reply = str | dict[str, Any]
Json = dict[str, Any]

COMMAND = "/rundown"
#: The button contract of `bot/kit.py`: action_id says what is judged and how, the value names the incident.
_VOTE = re.compile(r"vote\.(up|down|culprit)\.(summary|cause|next|answer:[\w.:-]{1,200}|commit:[0-9a-f]{7,64})")
#: Hosts a response_url may name beside the configured API's own.
_SLACK_HOST = re.compile(r"([a-z0-9-]+\.)*slack(-gov)?\.com")


class Desk(Protocol):
    """What can be asked of Rundown. `person` is "slack:<team>:<user>"; `key` is the same when a request is handled again."""

    def answer(self, question: str, *, channel: str, thread_ts: str, person: str, key: str) -> Reply:
        """Answer a question in its thread; what to tell the person alone, "" for nothing."""
        ...

    def answer_privately(self, key: str, *, person: str) -> Reply:
        """Send somebody the answer they were offered; what to tell them."""
        ...

    def more(self, incident_id: str, *, person: str) -> Reply:
        """What somebody may read about an incident beside its card; what to tell them."""
        ...

    def people_changed(self, channel: str) -> None:
        """Take note that somebody joined a channel or left it."""
        ...

    def investigate(self, text: str, *, channel: str, person: str, key: str) -> Reply:
        """Open an investigation; what to tell the person."""
        ...

    def postmortem(self, argument: str, *, channel: str, thread_ts: str | None, person: str, key: str) -> Reply:
        """Draft a postmortem; what to tell the person."""
        ...

    def status(self, *, channel: str) -> Reply:
        """What is open, and how we are."""
        ...

    def help(self) -> Reply:
        """What can be asked."""
        ...

    def judge(self, *, incident_id: str, item: str, vote: Vote, person: str, channel: str, message_ts: str) -> Reply:
        """Keep somebody's word on an item; what to tell them."""
        ...

    def remark(self, text: str, *, channel: str, thread_ts: str | None, person: str, at: datetime) -> None:
        """Take note of what people say to each other."""
        ...


class SlackApp:
    """Handles stored requests. Safe to share between threads; nothing goes over the network until the first one.

    Args:
        client: from `bot.delivery.make_client`.
        desk: does what is asked.
        store: its outbox carries apologies.
        channels: joins new incident channels at once; without it they wait for the next `Channels.join_listed`.
    """

    def __init__(self, client: WebClient, desk: Desk, store: Store, channels: Channels | None = None) -> None:
        self._slack, self._desk, self._store, self._channels = Caller(client), desk, store, channels
        self._identity: Json = {}
        self._identifying = threading.Lock()
        self._bolt = self._make_bolt(client)

    def handle(self, row: InboxRow) -> None:
        """Do what a stored request asks.

        Raises:
            Exception: whatever kept it from being done; it may be handled again.
        """
        from slack_bolt import BoltRequest

        received = unpack(row.raw)
        self._identify()
        context = {"received": received, "key": row.event_id}
        self._bolt.dispatch(
            BoltRequest(body=received.body, headers={"content-type": received.content_type}, context=context)
        )

    def apologise(self, row: InboxRow, reason: str) -> None:
        """Tell whoever asked that it could not be done, where they asked it.

        A question gets its apology through the outbox, once, for all in the thread to see; a click or command, to the person.

        Raises:
            SlackUnavailable: a click's or command's apology could not be sent.
        """
        received = unpack(row.raw)
        message = failure_message("I could not do that", reason, "Please try again in a while.")
        if received.kind != "event_callback":
            self._tell(received.payload, message)
            return
        event = received.payload["event"]
        if not said_by_person(event) or not self._is_question(event):
            return  # nobody asked anything
        self._store.want_message(
            f"apology:{row.event_id}",
            channel=event["channel"],
            thread_ts=event.get("thread_ts") or event["ts"],
            body=message,
        )

    # -- who we are ----------------------------------------------------------------------------------------------

    def _identify(self) -> Json:
        """Our own ids, asked once."""
        with self._identifying:
            if not self._identity:
                self._identity = self._slack.call("auth.test")
            return self._identity

    @property
    def _bot(self) -> str:
        return str(self._identify()["user_id"])

    def _is_question(self, event: Json) -> bool:
        return event["type"] == "app_mention" or event.get("channel_type") == "im"

    # -- listeners -----------------------------------------------------------------------------------------------

    def _make_bolt(self, client: WebClient) -> App:
        """Bolt, with every check of its own off that the edge has made already, and no acknowledgement that could come too soon."""
        from slack_bolt import App
        from slack_bolt.authorization import AuthorizeResult

        quiet = logging.getLogger("bot.slack.bolt")
        quiet.setLevel(logging.CRITICAL)  # it logs bodies; failures are raised

        def authorize(context: BoltContext) -> AuthorizeResult:
            answer: Any = self._identify()
            return AuthorizeResult.from_auth_test_response(bot_token=client.token, auth_test_response=answer)

        app = App(
            name="rundown",
            logger=quiet,
            client=client,
            authorize=authorize,
            token_verification_enabled=False,
            request_verification_enabled=False,
            process_before_response=True,
        )
        app.event("app_mention")(self._on_question)
        app.event("message")(self._on_message)
        app.event(re.compile("^channel_(created|rename)$"))(self._on_channel)
        app.event(re.compile("^member_(joined|left)_channel$"))(self._on_member)
        app.action(PRIVATE_ACTION)(self._on_private)
        app.action(MORE_ACTION)(self._on_more)
        app.action(re.compile(r"^vote\."))(self._on_vote)
        app.command(COMMAND)(self._on_command)
        app.error(_raise)
        return app

    def _on_question(self, event: Json, context: BoltContext) -> None:
        """Somebody asks us: by mention, or in a direct message. A bare mention asks what can be asked."""
        if not said_by_person(event):
            return
        question, thread_ts = words(event.get("text") or "", bot=self._bot), event.get("thread_ts")
        place = {"channel_id": event["channel"], "user_id": event["user"], "container": {"thread_ts": thread_ts}}
        if not question:
            self._tell(place, self._desk.help())
            return
        aside = self._desk.answer(
            question,
            channel=event["channel"],
            thread_ts=thread_ts or event["ts"],
            person=_person(context["received"]),
            key=f"{event['channel']}-{event['ts']}",
        )
        try:
            self._tell(place, aside)
        except SlackUnavailable as error:  # the answer stands; what was offered beside it can be asked for again
            log.warning("could not tell somebody what they may read beside the answer: %s", error)

    def _on_message(self, event: Json, context: BoltContext) -> None:
        """Somebody says something: to us in a direct message, to each other elsewhere."""
        if not said_by_person(event):
            return
        if self._is_question(event):
            self._on_question(event, context)
            return
        text = event.get("text") or ""
        if mentions(text, self._bot):
            return  # it comes a second time, as app_mention
        self._desk.remark(
            words(text),
            channel=event["channel"],
            thread_ts=event.get("thread_ts"),
            person=_person(context["received"]),
            at=from_unix(float(event["ts"])),
        )

    def _on_channel(self, event: Json) -> None:
        """A channel was made or renamed."""
        channel = event.get("channel")
        if self._channels is not None and isinstance(channel, dict):
            self._channels.join_new(str(channel.get("id", "")), str(channel.get("name", "")))

    def _on_member(self, event: Json) -> None:
        """Somebody joined a channel or left it."""
        self._desk.people_changed(str(event.get("channel", "")))

    def _on_private(self, ack: Callable[[], Any], body: Json, action: Json, context: BoltContext) -> None:
        """Somebody wants the answer that not everyone in the channel may read."""
        ack()
        reply = self._desk.answer_privately(str(action.get("value", "")), person=_person(context["received"]))
        self._tell(body, reply)

    def _on_more(self, ack: Callable[[], Any], body: Json, action: Json, context: BoltContext) -> None:
        """Somebody wants to see what they may read beside the card."""
        ack()
        self._tell(body, self._desk.more(str(action.get("value", "")), person=_person(context["received"])))

    def _on_vote(self, ack: Callable[[], Any], body: Json, action: Json, context: BoltContext) -> None:
        """Somebody presses a thumb, or "this is the culprit"."""
        ack()
        found = _VOTE.fullmatch(str(action.get("action_id")))
        place = body.get("container") or {}
        if found is None or not action.get("value"):
            self._tell(body, "I do not know this button any more, so nothing was kept. A newer message has newer ones.")
            return
        reply = self._desk.judge(
            incident_id=str(action["value"]),
            item=found[2],
            vote=Vote(found[1]),
            person=_person(context["received"]),
            channel=str(place.get("channel_id") or (body.get("channel") or {}).get("id", "")),
            message_ts=str(place.get("message_ts", "")),
        )
        self._tell(body, reply)

    def _on_command(self, ack: Callable[[], Any], body: Json, context: BoltContext) -> None:
        """Somebody types `/rundown …`."""
        ack()
        name, _, argument = words(str(body.get("text") or "")).partition(" ")
        person, channel, key = _person(context["received"]), str(body.get("channel_id", "")), str(context["key"])
        match name.lower():
            case "investigate":
                reply = self._desk.investigate(argument.strip(), channel=channel, person=person, key=key)
            case "postmortem":
                reply = self._desk.postmortem(argument.strip(), channel=channel, thread_ts=None, person=person, key=key)
            case "status":
                reply = self._desk.status(channel=channel)
            case _:
                reply = self._desk.help()
        self._tell(body, reply)

    # -- answering one person ------------------------------------------------------------------------------------

    def _tell(self, payload: Json, reply: Reply) -> None:
        """Show a reply to the person who clicked or typed, and to nobody else.

        The gesture's response_url works wherever it was made, but only for 30 minutes and five times; after that the person is
        told in the channel, which works where the bot is.
        """
        message = redact_json({"text": reply} if isinstance(reply, str) else reply)
        if not message.get("text") and not message.get("blocks"):
            return
        if self._respond(payload, message):
            return
        container = payload.get("container") or {}
        self._slack.call(
            "chat.postEphemeral",
            channel=payload.get("channel_id") or (payload.get("channel") or {}).get("id"),
            user=payload.get("user_id") or (payload.get("user") or {}).get("id"),
            thread_ts=container.get("thread_ts"),
            **message,
        )

    def _respond(self, payload: Json, message: Json) -> bool:
        """Use the gesture's response_url; whether Slack took it."""
        from slack_sdk.webhook import WebhookClient

        url = payload.get("response_url")
        if not isinstance(url, str) or not self._is_slack(url):
            return False
        quiet = logging.getLogger("bot.slack.response_url")
        quiet.setLevel(logging.CRITICAL)
        webhook = WebhookClient(url, timeout=self._slack.client.timeout, retry_handlers=[], logger=quiet)
        webhook.proxy = self._slack.client.proxy
        thread_ts = (payload.get("container") or {}).get("thread_ts")
        place = {"thread_ts": thread_ts} if thread_ts else {}
        try:
            answer = webhook.send_dict({"response_type": "ephemeral", "replace_original": False, **place, **message})
        except Exception as error:
            log.info("a response_url did not answer: %s", error)
            return False
        return answer.status_code == 200

    def _is_slack(self, url: str) -> bool:
        """Whether an address is Slack's, or the stand-in's that we are pointed at."""
        asked, ours = urlsplit(url), urlsplit(self._slack.client.base_url)
        if (asked.scheme, asked.netloc) == (ours.scheme, ours.netloc):
            return True
        return asked.scheme == "https" and _SLACK_HOST.fullmatch(asked.hostname or "") is not None


def build_slack(client: WebClient, desk: Desk, store: Store, channels: Channels | None = None) -> SlackApp:
    """The app that `bot/workflow.py` hands stored requests to. See `SlackApp`."""
    return SlackApp(client, desk, store, channels)


def _raise(error: Exception) -> None:
    """Bolt's error listener: let the failure through to whoever called `handle`."""
    raise error


def _person(received: Received) -> str:
    """Who did it, as "slack:<team>:<user>": their own team, also when the channel is shared with ours."""
    payload = received.payload
    event: Json = payload.get("event") or payload
    who, team = event.get("user") or event.get("user_id"), event.get("user_team") or event.get("team")
    if isinstance(who, dict):  # an interaction
        team = who.get("team_id") or (team.get("id") if isinstance(team, dict) else team)
        who = who.get("id")
    return f"slack:{team or payload.get('team_id') or 'unknown'}:{who or 'unknown'}"
