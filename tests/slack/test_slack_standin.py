"""The stand-in behaves as Slack documents, and our manifest grants no more than what we use."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
import yaml
from slack_sdk.errors import SlackApiError, SlackObjectFormationError
from slack_sdk.models.blocks import Block

from bot.audience import Audiences
from bot.channels import Channels
from bot.delivery import Delivery
from bot.slack import COMMAND
from bot.slack_edge import OF_PEOPLE
from bot.slack_web import Caller, SlackRefused, open_client
from bot.standin.slack import MANIFEST, Fault, SlackStandIn
from bot.standin.slack_limits import block_faults, metadata_fault
from core.model import Incident, from_unix
from core.settings import read_settings


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(**about: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("x"), "action_id": "a", **about}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


#: What Slack takes at the limit, and what it refuses just beyond. `sdk`: slack_sdk's own validators know the limit too.
LIMITS = {
    "section 3,000": (True, True, {"type": "section", "text": mrkdwn("x" * 3000)}),
    "section 3,001": (False, True, {"type": "section", "text": mrkdwn("x" * 3001)}),
    "section, empty": (False, False, {"type": "section", "text": mrkdwn("")}),
    "section without text": (False, True, {"type": "section"}),
    "section, 10 fields": (True, True, {"type": "section", "fields": [mrkdwn("x")] * 10}),
    "section, 11 fields": (False, True, {"type": "section", "fields": [mrkdwn("x")] * 11}),
    "section, field 2,001": (False, False, {"type": "section", "fields": [mrkdwn("x" * 2001)]}),
    "header 150": (True, True, {"type": "header", "text": plain("x" * 150)}),
    "header 151": (False, True, {"type": "header", "text": plain("x" * 151)}),
    "header of mrkdwn": (False, False, {"type": "header", "text": mrkdwn("x")}),
    "context 10": (True, True, {"type": "context", "elements": [mrkdwn("x")] * 10}),
    "context 11": (False, True, {"type": "context", "elements": [mrkdwn("x")] * 11}),
    "markdown 12,000": (True, True, {"type": "markdown", "text": "x" * 12_000}),
    "markdown 12,001": (False, True, {"type": "markdown", "text": "x" * 12_001}),
    "actions 25": (True, True, actions(*(button(action_id=str(number)) for number in range(25)))),
    "actions 26": (False, True, actions(*(button(action_id=str(number)) for number in range(26)))),
    "no actions": (False, False, actions()),
    "two buttons of one id": (False, False, actions(button(), button())),
    "button text 75": (True, True, actions(button(text=plain("x" * 75)))),
    "button text 76": (False, True, actions(button(text=plain("x" * 76)))),
    "button value 2,000": (True, True, actions(button(value="x" * 2000))),
    "button value 2,001": (False, True, actions(button(value="x" * 2001))),
    "button value, empty": (False, False, actions(button(value=""))),
    "button url 3,001": (False, True, actions(button(url="https://x.example/" + "x" * 3000))),
    "action id 255": (True, True, actions(button(action_id="x" * 255))),
    "action id 256": (False, True, actions(button(action_id="x" * 256))),
    "block id 256": (False, True, {"type": "divider", "block_id": "x" * 256}),
    "button style": (False, True, actions(button(style="green"))),
    "confirm text 301": (
        False,
        True,
        actions(
            button(confirm={"title": plain("x"), "text": plain("x" * 301), "confirm": plain("y"), "deny": plain("n")})
        ),
    ),
    "emoji flag on mrkdwn": (False, False, {"type": "section", "text": {**mrkdwn("x"), "emoji": True}}),
    "a code point beyond the first plane counts twice": (False, False, {"type": "header", "text": plain("🔥" * 76)}),
    "an unknown block": (False, False, {"type": "carousel"}),
    "a string": (False, False, "block"),
}


@pytest.mark.parametrize(("fine", "sdk", "block"), LIMITS.values(), ids=LIMITS)
def test_a_limit(fine, sdk, block):
    """Checked as Slack does; where its SDK checks too, both agree."""
    assert (not block_faults([block])) is fine
    if sdk:
        try:
            Block.parse(block).to_dict()
            sdk_takes_it = True
        except SlackObjectFormationError:
            sdk_takes_it = False

        assert sdk_takes_it is fine


@pytest.mark.parametrize(
    ("blocks", "fault"),
    [
        ([{"type": "divider"}] * 50, None),
        ([{"type": "divider"}] * 51, "no more than 50 items"),
        ([{"type": "divider", "block_id": "a"}] * 2, "block_id 'a' already exists [json-pointer:/blocks/1/block_id]"),
        ([{"type": "markdown", "text": "x" * 6001}] * 2, "markdown over 12000 characters in all"),
        ("[]", "must be an array"),
    ],
)
def test_the_limits_of_a_message(blocks, fault):
    """Over all of its blocks."""
    found = block_faults(blocks)

    assert (bool(found), fault or "") == (fault is not None, next((fault for text in found if fault in text), ""))


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"event_type": "x", "event_payload": {}}, None),
        ({"event_type": "", "event_payload": {}}, "invalid_metadata_format"),
        ({"event_type": "x"}, "invalid_metadata_format"),
        ({"event_type": "x", "event_payload": {"a": "x" * 9000}}, "metadata_too_large"),
    ],
)
def test_metadata(metadata, fault):
    """A name and an object, and not too much of it."""
    assert metadata_fault(metadata) == fault


# -- the Web API -------------------------------------------------------------------------------------------------


@pytest.fixture
def general(slack):
    return slack.workspace.channel("general").id


REFUSALS = {
    "no such channel": ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
    "no text": ("chat.postMessage", {"channel": "general"}, "no_text"),
    "no such thread": ("chat.postMessage", {"channel": "general", "text": "x", "thread_ts": "1.0"}, "thread_not_found"),
    "not in it": ("chat.postMessage", {"channel": "elsewhere", "text": "x"}, "not_in_channel"),
    "private": ("conversations.info", {"channel": "secret"}, "channel_not_found"),
    "private, join": ("conversations.join", {"channel": "hall"}, "method_not_supported_for_channel_type"),
    "archived": ("conversations.join", {"channel": "old"}, "is_archived"),
    "history from outside": ("conversations.history", {"channel": "elsewhere"}, "not_in_channel"),
    "a bad cursor": ("conversations.list", {"cursor": "x"}, "invalid_cursor"),
    "a limit too high": ("conversations.list", {"limit": 5000}, "invalid_limit"),
    "no such message": ("chat.update", {"channel": "general", "ts": "1.0", "text": "x"}, "message_not_found"),
    "somebody else's message": (
        "chat.update",
        {"channel": "general", "ts": "ana's", "text": "x"},
        "cant_update_message",
    ),
    "deleting somebody else's": ("chat.delete", {"channel": "general", "ts": "ana's"}, "cant_delete_message"),
    "no such user": ("chat.postEphemeral", {"channel": "general", "user": "U404", "text": "x"}, "user_not_found"),
    "not there to see it": (
        "chat.postEphemeral",
        {"channel": "hall", "user": "ben", "text": "x"},
        "user_not_in_channel",
    ),
    "name taken": ("conversations.create", {"name": "general"}, "name_taken"),
    "a name in capitals": ("conversations.create", {"name": "General"}, "invalid_name_specials"),
    "a name too long": ("conversations.create", {"name": "x" * 81}, "invalid_name_maxlength"),
    "no name": ("conversations.create", {}, "invalid_name_required"),
    "inviting oneself": ("conversations.invite", {"channel": "general", "users": "rundown"}, "cant_invite_self"),
    "a topic too long": ("conversations.setTopic", {"channel": "general", "topic": "x" * 251}, "too_long"),
    "bad blocks": ("chat.postMessage", {"channel": "general", "blocks": [{"type": "x"}]}, "invalid_blocks"),
    "bad metadata": (
        "chat.postMessage",
        {"channel": "general", "text": "x", "metadata": {"event_type": "x"}},
        "invalid_metadata_format",
    ),
    "no scope": ("team.info", {}, "missing_scope"),
    "no such person": ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
    "no direct channel with one who is gone": ("conversations.open", {"users": "gone"}, "user_disabled"),
    "no such method": ("chat.shout", {}, "unknown_method"),
}


@pytest.mark.parametrize(("method", "args", "error"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal(slack, client, method, args, error):
    """Slack's own error codes, and each is final."""
    slack.add_channel("elsewhere")
    slack.add_channel("secret", private=True)
    slack.add_channel("hall", private=True, members=[slack.bot, "ana"])
    slack.add_channel("old", archived=True)
    slack.workspace.user(slack.user("gone")).deactivated = True
    said = slack.say("general", "ana", "hm")
    with pytest.raises(SlackRefused) as caught:
        Caller(client).call(method, **{name: said if value == "ana's" else value for name, value in args.items()})

    assert (caught.value.code, caught.value.ambiguous) == (error, False)


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-wrong", "auth.test", "invalid_auth"),
        ("xapp-stand-in", "auth.test", "not_allowed_token_type"),
        ("xoxb-stand-in", "apps.connections.open", "not_allowed_token_type"),
    ],
)
def test_a_token(slack, token, method, error):
    """The bot's for the Web API, the app's for Socket Mode."""
    with pytest.raises(SlackRefused, match=error):
        Caller(open_client(token, slack.api_url)).call(method)


def test_a_form_json_and_get_mean_the_same(slack, general):
    """All three ways in which Slack takes arguments."""
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    form, as_json = f"channel={general}&text=hi".encode(), json.dumps({"channel": general, "text": "hi"}).encode()
    url = f"{slack.api_url}chat.postMessage"
    for request in (
        urllib.request.Request(url, data=form, headers=headers),
        urllib.request.Request(
            url, data=as_json, headers={**headers, "Content-Type": "application/json; charset=utf-8"}
        ),
        urllib.request.Request(f"{url}?{form.decode()}", headers=headers),
    ):
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["ok"]

    assert [message.text for message in slack.messages("general")] == ["hi"] * 3


def test_history_comes_in_pages_newest_first(slack, client, general):
    """Threads left out; metadata only when asked for."""
    for number in range(5):
        client.chat_postMessage(
            channel=general, text=str(number), metadata={"event_type": "x", "event_payload": {"n": number}}
        )
    client.chat_postMessage(channel=general, text="reply", thread_ts=slack.messages("general")[0].ts)
    first = client.conversations_history(channel=general, limit=3)
    rest = client.conversations_history(
        channel=general, limit=3, cursor=first["response_metadata"]["next_cursor"], include_all_metadata=True
    )

    assert [message["text"] for page in (first, rest) for message in page["messages"]] == ["4", "3", "2", "1", "0"]
    assert ("metadata" in first["messages"][0], rest["messages"][0]["metadata"]["event_payload"]) == (False, {"n": 1})


def test_a_text_that_is_too_long_becomes_several_messages(slack, client, general):
    """As was measured of Slack: who sends one must not find two."""
    client.chat_postMessage(channel=general, text="x" * 4041)

    assert [len(message.text) for message in slack.messages("general")] == [4040, 1]


def test_an_edit_without_blocks_takes_them_away(slack, client, general):
    """As Slack does; what it showed before is kept for the test."""
    posted = client.chat_postMessage(channel=general, text="a", blocks=[{"type": "divider"}])
    client.chat_update(channel=general, ts=posted["ts"], text="b")
    [message] = slack.messages("general")

    assert ([edit.text for edit in message.edits], message.blocks) == (["a", "b"], [])


def test_a_press_needs_a_button(slack, client, general):
    """Nobody can press what is not shown."""
    posted = client.chat_postMessage(channel=general, text="a", blocks=[actions(button())])
    with pytest.raises(LookupError, match="it shows \\['a'\\]"):
        slack.click("general", posted["ts"], "vote.up.summary", "ana")


def test_what_is_never_acknowledged_is_given_up(closed_port):
    """After the last retry, as Slack does."""
    with SlackStandIn(
        request_url=f"http://127.0.0.1:{closed_port}/", ack_s=0.1, retry_delays_s=(0.0, 0.0, 0.0)
    ) as slack:
        slack.command("general", "ana", "help")
        slack.wait_for(lambda: slack.dispatches[0].gave_up)

    assert [attempt.via for attempt in slack.dispatches[0].attempts] == [0] * 4


def test_a_fault_is_played_on_the_call_it_is_meant_for(slack, client, general):
    """The second call, and no other."""
    slack.fault("chat.postMessage", Fault(how="refuse", error="fatal_error"), nth=2)
    outcomes = []
    for number in range(3):
        try:
            client.chat_postMessage(channel=general, text=str(number))
            outcomes.append("ok")
        except SlackApiError as error:
            outcomes.append(error.response["error"])

    assert (outcomes, len(slack.messages("general"))) == (["ok", "fatal_error", "ok"], 2)


# -- the manifest ------------------------------------------------------------------------------------------------


def everything_we_call(slack, client, store):
    """All of our Web API use: find and make channels, post, edit, lose an answer in each kind of channel, ask who is there."""
    public, private, direct = (
        slack.workspace.channel("general").id,
        slack.add_channel("hall", private=True, members=[slack.bot, "ana"]),
        slack.direct("ana"),
    )
    slack.add_channel("oncall")
    channels = Channels(client, read_settings(listen_channels="oncall"), store)
    channels.join_listed()
    channels.channel_for(Incident(id="pd:1", title="x", created_at=from_unix(0), number=1))
    if "groups:read" not in slack.api.scopes and channels._known.get("hall") is None:
        raise SlackRefused("conversations.list", "missing_scope")
    delivery = Delivery(store, client, readback_s=0)
    for place in (public, private, direct):
        slack.fault("chat.postMessage", Fault(how="drop", committed=True))
        store.want_message(place, channel=place, body={"text": "x"})
        delivery.deliver(place)
    audiences = Audiences(client, read_settings())
    readers = [audiences.of_channel(place) for place in (public, private, direct)]
    if any(present.gaps for present in readers):
        raise SlackRefused("audience", "missing_scope", why=f"missing_scope, so {[here.gaps for here in readers]}")
    audiences.direct_channel(slack.user("ben"))


def manifest():
    return yaml.safe_load(MANIFEST.read_text())


def test_the_manifest_grants_what_we_use(slack, client, store):
    """The stand-in grants exactly its scopes."""
    everything_we_call(slack, client, store)

    assert "missing_scope" not in {call.outcome for call in slack.calls}


HEARING = {"app_mentions:read", "commands"}  # Slack sends mentions and commands only with these; no method needs them


@pytest.mark.parametrize("scope", sorted(set(manifest()["oauth_config"]["scopes"]["bot"]) - HEARING))
def test_the_manifest_grants_no_scope_that_we_do_not_use(slack, client, store, scope):
    """Without any one of them, something is refused."""
    slack.api.scopes = tuple(other for other in slack.api.scopes if other != scope)
    with pytest.raises(Exception, match="missing_scope"):
        everything_we_call(slack, client, store)


def test_the_manifest_listens_to_what_the_app_handles():
    """Events that the edge keeps or heeds, the command, buttons, and Socket Mode."""
    settings, features = manifest()["settings"], manifest()["features"]

    assert set(settings["event_subscriptions"]["bot_events"]) == {
        *OF_PEOPLE,
        "app_mention",
        "message.channels",
        "message.groups",
        "message.im",
        "channel_created",
        "channel_rename",
        "member_joined_channel",
        "member_left_channel",
    }
    assert (
        [command["command"] for command in features["slash_commands"]],
        settings["interactivity"]["is_enabled"],
        settings["socket_mode_enabled"],
    ) == ([COMMAND], True, True)
