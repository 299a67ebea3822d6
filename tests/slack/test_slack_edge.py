"""Slack's HTTP edge over a real socket: nothing unsigned reaches a parser, nothing kept is lost, nothing answers 500."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import shutil
import time
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from bot.intake import Intake
from bot.metrics import Metrics
from bot.slack_edge import SlackEndpoint, Unreadable, read, unpack
from bot.standin.slack import SlackStandIn
from bot.standin.slack_dispatch import http_body, sign
from bot.web import WebServer
from core.errors import SettingsError, StoreError
from core.store import open_store

SECRET, NOW = "8f742231b10e8888abcd99yyyzzz85a5", 1_790_000_000
EVENT = json.dumps(
    {
        "type": "event_callback",
        "event_id": "Ev1",
        "team_id": "T1",
        "event": {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.000001", "text": "<@B> why?"},
    }
).encode()


class Edge:
    """The endpoint on a port, with what it kept."""

    def __init__(self, store) -> None:
        self.store, self.metrics, self.down = store, Metrics(), False
        self.woken: list[int] = []
        self.endpoint = SlackEndpoint(self, signing_secret=SECRET, metrics=self.metrics, clock=lambda: NOW)
        self.heeded: list[dict] = []
        self._intake = Intake(store, self.woken.append, self.heeded.append)
        self.heed = self._intake.heed

        async def events(request):
            return await self.endpoint(request)

        self.server = WebServer(Starlette(routes=[Route("/slack/events", events, methods=["POST"])]))

    def accept(self, **about):
        if self.down:
            raise StoreError("the store refused", why="disk full")
        return self._intake.accept(**about)

    def post(self, body=EVENT, headers=(), *, content_type="application/json"):
        """The status and text of a raw request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        connection.putrequest("POST", "/slack/events")
        for name, value in [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def post_signed(self, body=EVENT, *, content_type="application/json"):
        """As Slack would."""
        return self.post(body, signed(body), content_type=content_type)

    def kept(self):
        return [self.store.inbox_row(row_id) for row_id in self.store.unfinished_inbox()]


@pytest.fixture
def edge(store):
    made = Edge(store)
    with made.server:
        yield made


def signed(body, *, ts=str(NOW), secret=SECRET):
    return [("X-Slack-Request-Timestamp", ts), ("X-Slack-Signature", sign(secret, ts, body))]


def mac(text):
    return hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


TS, GOOD = str(NOW), sign(SECRET, str(NOW), EVENT)
STAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
OK, NO = 200, 401

#: The forty rows of CONTRACTS.md 5, fault 17: the headers sent, and the answer.
MATRIX = {
    "right": (OK, [(STAMP, TS), (SIGNATURE, GOOD)]),
    "header names in capitals": (OK, [(STAMP.upper(), TS), (SIGNATURE.upper(), GOOD)]),
    "header names in lower case": (OK, [(STAMP.lower(), TS), (SIGNATURE.lower(), GOOD)]),
    "299 s old": (OK, signed(EVENT, ts=str(NOW - 299))),
    "300 s old": (OK, signed(EVENT, ts=str(NOW - 300))),
    "299 s ahead": (OK, signed(EVENT, ts=str(NOW + 299))),
    "a space around the timestamp, which HTTP strips": (OK, [(STAMP, f" {TS} "), (SIGNATURE, GOOD)]),
    "a space around the signature, which HTTP strips": (OK, [(STAMP, TS), (SIGNATURE, f" {GOOD} ")]),
    "301 s old": (NO, signed(EVENT, ts=str(NOW - 301))),
    "301 s ahead": (NO, signed(EVENT, ts=str(NOW + 301))),
    "a day old": (NO, signed(EVENT, ts=str(NOW - 86_400))),
    "a year ahead": (NO, signed(EVENT, ts=str(NOW + 31_536_000))),
    "at the epoch": (NO, signed(EVENT, ts="0")),
    "no header at all": (NO, []),
    "no timestamp": (NO, [(SIGNATURE, GOOD)]),
    "no signature": (NO, [(STAMP, TS)]),
    "an empty timestamp": (NO, [(STAMP, ""), (SIGNATURE, GOOD)]),
    "an empty signature": (NO, [(STAMP, TS), (SIGNATURE, "")]),
    "letters for a timestamp": (NO, signed(EVENT, ts="abc")),
    "a negative timestamp": (NO, signed(EVENT, ts=f"-{TS}")),
    "a plus sign": (NO, signed(EVENT, ts=f"+{TS}")),
    "a fraction": (NO, signed(EVENT, ts=f"{TS}.0")),
    "an exponent": (NO, signed(EVENT, ts="1.79e9")),
    "underscores, which int() takes": (NO, signed(EVENT, ts="1_790_000_000")),
    "a space inside": (NO, signed(EVENT, ts="1790 000000")),
    "a tab inside": (NO, signed(EVENT, ts="1790\t000000")),
    "milliseconds": (NO, signed(EVENT, ts=f"{TS}000")),
    "5,000 digits": (NO, signed(EVENT, ts="1" * 5000)),
    "superscript digits": (NO, [(STAMP, "¹²³".encode("latin-1")), (SIGNATURE, GOOD)]),
    "non-ASCII bytes for a timestamp": (NO, [(STAMP, b"\xff\xfe\xfd"), (SIGNATURE, GOOD)]),
    "a non-ASCII signature": (NO, [(STAMP, TS), (SIGNATURE, b"v0=\xe9" + b"a" * 63)]),
    "version v1": (NO, [(STAMP, TS), (SIGNATURE, GOOD.replace("v0=", "v1="))]),
    "no version": (NO, [(STAMP, TS), (SIGNATURE, GOOD.removeprefix("v0="))]),
    "the version in capitals": (NO, [(STAMP, TS), (SIGNATURE, GOOD.replace("v0", "V0"))]),
    "hex in capitals": (NO, [(STAMP, TS), (SIGNATURE, "v0=" + GOOD[3:].upper())]),
    "one digit changed": (NO, [(STAMP, TS), (SIGNATURE, GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1"))]),
    "one digit short": (NO, [(STAMP, TS), (SIGNATURE, GOOD[:-1])]),
    "two signatures in one header": (NO, [(STAMP, TS), (SIGNATURE, f"{GOOD},{GOOD}")]),
    "the signature header twice": (NO, [(STAMP, TS), (SIGNATURE, "v0=" + "0" * 64), (SIGNATURE, GOOD)]),
    "the timestamp header twice": (NO, [(STAMP, TS), (STAMP, str(NOW - 1)), (SIGNATURE, GOOD)]),
    "another secret": (NO, signed(EVENT, secret="another")),
    "no secret": (NO, signed(EVENT, secret="")),
    "the body of another request": (NO, signed(EVENT + b" ")),
    "another timestamp than signed": (NO, [(STAMP, str(NOW - 1)), (SIGNATURE, GOOD)]),
    "the body signed without its timestamp": (NO, [(STAMP, TS), (SIGNATURE, "v0=" + mac(EVENT))]),
    "the version missing from what is signed": (NO, [(STAMP, TS), (SIGNATURE, "v0=" + mac(f"{TS}:".encode() + EVENT))]),
    "PagerDuty's header": (NO, [("X-PagerDuty-Signature", "v1=" + mac(EVENT))]),
}


@pytest.fixture(scope="module")
def door(_migrated, tmp_path_factory):
    """One edge for tables of requests."""
    path = tmp_path_factory.mktemp("door") / "rundown.sqlite"
    shutil.copy(_migrated, path)
    store = open_store(f"sqlite:///{path}")
    made = Edge(store)
    with made.server:
        yield made
    store.close()


@pytest.mark.parametrize(("status", "headers"), MATRIX.values(), ids=MATRIX)
def test_a_signature(door, status, headers):
    """Only Slack's own, and only for five minutes."""
    assert status == door.post(EVENT, headers)[0]


@pytest.mark.parametrize(
    "body",
    [EVENT.replace(b'", "', b'","'), EVENT + b"\n", EVENT.decode().encode("utf-16"), b"\xef\xbb\xbf" + EVENT, b""],
    ids=["spaces taken out", "a newline", "utf-16", "a byte order mark", "emptied"],
)
def test_a_body_that_was_re_encoded_on_the_way_is_refused(door, body):
    """The signature covers bytes, not meaning."""
    assert door.post(body, signed(EVENT))[0] == 401


def test_an_empty_secret_is_refused_at_once(store):
    """Or anybody could sign."""
    with pytest.raises(SettingsError, match="RUNDOWN_SLACK_SIGNING_SECRET is empty"):
        SlackEndpoint(Intake(store, lambda _row: None), signing_secret=" ")


# -- what is kept ------------------------------------------------------------------------------------------------


def test_a_request_is_kept_to_the_byte_before_it_is_acknowledged(edge):
    """The body comes back out of the store as it came in, and a worker was told."""
    status, _ = edge.post_signed()
    [row] = edge.kept()

    assert (200, "slack", "Ev1", "event_callback", [row.id]) == (status, row.source, row.event_id, row.kind, edge.woken)
    assert unpack(row.raw).body.encode() == EVENT


def test_a_repeat_is_acknowledged_and_kept_once(edge):
    """Slack's retries, and replays within five minutes."""
    assert [edge.post_signed() for _ in range(5)] == [(200, "")] * 5
    assert len(edge.kept()) == 1


CLICK = {
    "type": "block_actions",
    "trigger_id": "12.34.ab",
    "user": {"id": "U1"},
    "actions": [{"action_id": "vote.up.summary"}],
}


@pytest.mark.parametrize(
    ("kind", "payload", "key"),
    [
        ("interactive", CLICK, ("block_actions", "12.34.ab")),
        (
            "slash_commands",
            {"command": "/rundown", "text": "help & <b>", "trigger_id": "12.35.ab"},
            ("slash_command", "12.35.ab"),
        ),
        ("slash_commands", {"command": "/rundown", "trigger_id": "x" * 500}, ("slash_command", "sha256:")),
        ("slash_commands", {"command": "/rundown", "trigger_id": "a\x00b"}, ("slash_command", "sha256:")),
        (
            "interactive",
            {name: value for name, value in CLICK.items() if name != "trigger_id"},
            ("block_actions", "sha256:"),
        ),
    ],
)
def test_interactions_and_commands_are_known_by_their_gesture(edge, kind, payload, key):
    """One click is one row; without a usable id, one body is."""
    body, content_type = http_body(kind, payload)
    statuses = {edge.post_signed(body, content_type=content_type)[0] for _ in range(2)}
    [row] = edge.kept()

    assert ({200}, key) == (statuses, (row.kind, row.event_id[: len(key[1])]))
    assert payload == unpack(row.raw).payload


def test_the_url_is_verified(edge):
    """Slack's challenge comes back; nothing is kept."""
    body = b'{"type":"url_verification","challenge":"3eZbrw1a"}'

    assert (edge.post_signed(body), edge.kept()) == ((200, "3eZbrw1a"), [])


def event(**about):
    said = {"type": "message", "user": "U1", "channel": "C1", "ts": "1.000001", "text": "hi", **about}
    return json.dumps(
        {"type": "event_callback", "event_id": "Ev9", "event": {k: v for k, v in said.items() if v}}
    ).encode()


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (event(), True),
        (event(subtype="file_share"), True),
        (event(type="app_mention"), True),
        (event(bot_id="B1"), False),
        (event(bot_id="B1", type="app_mention"), False),
        (event(subtype="message_changed"), False),
        (event(subtype="message_deleted"), False),
        (event(subtype="thread_broadcast"), False),
        (event(subtype="something_new"), False),
        (event(edited={"ts": "2"}), False),
        (event(hidden=True), False),
        (event(user=None), False),
        (event(user="USLACKBOT"), False),
        (event(type="reaction_added"), False),
        (
            json.dumps(
                {"type": "event_callback", "event_id": "Ev9", "event": {"type": "channel_created", "channel": {}}}
            ).encode(),
            True,
        ),
        (b'{"type":"view_submission","trigger_id":"1"}', False),
        (b'{"type":"app_rate_limited"}', False),
    ],
)
def test_what_nobody_listens_to_is_acknowledged_and_not_kept(edge, body, kept):
    """Only what people say themselves is stored."""
    assert (200, kept) == (edge.post_signed(body)[0], bool(edge.kept()))


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (b"{", "application/json", "the JSON cannot be read"),
        (b"", "application/json", "the JSON cannot be read"),
        (b"[1]", "application/json", "it is a list, not an object"),
        (b"null", "application/json", "it is a NoneType, not an object"),
        (b"[" * 100_000, "application/json", "nested too deeply"),
        (b'{"a":' * 50_000, "application/json", "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "application/json", "the JSON cannot be read"),
        (b"\xff\xfe", "application/json", "byte 0 is not UTF-8"),
        (b'{"type":1}', "application/json", "its type is not a string"),
        (b'{"type":"event_callback","event_id":"E"}', "application/json", "event.type is missing"),
        (b'{"type":"event_callback","event":[]}', "application/json", "event.type is missing"),
        (b'{"type":"event_callback","event":{"type":{}}}', "application/json", "event.type is missing"),
        (b"payload=%7B", "application/x-www-form-urlencoded", "the JSON cannot be read"),
        (b"payload=%5B%5D", "application/x-www-form-urlencoded", "it is a list, not an object"),
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "application/x-www-form-urlencoded", "it names no action"),
        (b"a=b", "application/x-www-form-urlencoded", "neither payload nor command"),
        (b"", "application/x-www-form-urlencoded", "neither payload nor command"),
        (EVENT, "text/plain", "its type is 'text/plain'"),
        (EVENT, "", "its type is ''"),
    ],
)
def test_a_signed_request_that_cannot_be_read_says_why(door, body, content_type, why):
    """400 with a reason, and never 500."""
    status, text = door.post_signed(body, content_type=content_type)

    assert (status, why in text) == (400, True), text


def test_unsigned_bytes_reach_no_parser(door):
    """What would break a parser is refused for its signature."""
    assert [door.post(body)[0] for body in (b"[" * 100_000, b"{", b"\xff")] == [401] * 3


def test_a_body_over_a_mebibyte_is_refused(door):
    """Announced or sent."""
    body = b'{"a":"' + b"x" * 1024 * 1024 + b'"}'

    assert door.post_signed(body)[0] == 413


def test_a_store_that_is_down_is_not_acknowledged(edge):
    """Slack sends it again, and then it is kept."""
    edge.down = True
    refused = edge.post_signed()[0]
    edge.down = False

    assert (refused, edge.post_signed()[0], len(edge.kept())) == (503, 200, 1)


def test_outcomes_are_counted(edge):
    """An operator sees forgeries and repeats."""
    edge.post()
    edge.post_signed()
    edge.post_signed()
    page = edge.metrics.page()[0].decode()

    assert all(
        f'rundown_slack_requests_total{{outcome="{outcome}"}} 1.0' in page
        for outcome in ("unsigned", "accepted", "repeated")
    )


def test_what_was_not_packed_here_is_a_clear_error():
    """A row of another making."""
    with pytest.raises(Unreadable, match="cannot read a stored Slack request"):
        unpack(b"{}")


@pytest.mark.parametrize("kind", ["events_api", "interactive", "slash_commands"])
def test_both_transports_share_one_form(kind):
    """What is read of a socket's payload and of its HTTP twin is the same, under the same key."""
    payload = {
        "events_api": json.loads(EVENT),
        "interactive": CLICK,
        "slash_commands": {"command": "/rundown", "trigger_id": "1.2.a"},
    }[kind]
    over_http, over_socket = read(*http_body(kind, payload)), read(json.dumps(payload).encode(), "application/json")

    assert (over_http.payload, over_http.kind, over_http.event_id) == (
        over_socket.payload,
        over_socket.kind,
        over_socket.event_id,
    )


# -- fuzz --------------------------------------------------------------------------------------------------------

JSONISH = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["event_callback", "block_actions", "message"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "event",
                    "event_id",
                    "actions",
                    "user",
                    "channel",
                    "ts",
                    "command",
                    "trigger_id",
                    "challenge",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSONISH.map(lambda value: json.dumps(value).encode()),
    JSONISH.map(lambda value: urlencode({"payload": json.dumps(value)}).encode()),
    st.dictionaries(st.sampled_from(["command", "payload", "trigger_id", "text"]), st.text(max_size=9)).map(
        lambda form: urlencode(form, errors="replace").encode()
    ),
)


@given(
    body=BODIES,
    sign_it=st.booleans(),
    content_type=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/html"]),
)
@hypothesis_settings(max_examples=250)
def test_no_bytes_make_the_edge_stumble(door, body, sign_it, content_type):
    """Any body, signed or not: one of the answers of the module's docstring, and never 500."""
    status = door.post(body, signed(body) if sign_it else [], content_type=content_type)[0]

    assert status in ((200, 400) if sign_it else (401,))


@given(
    # HTTP lets no control character but the tab through: the server itself refuses the others, and hangs up.
    value=st.binary(max_size=40).map(lambda value: bytes(byte for byte in value if byte == 9 or 32 <= byte != 127)),
    name=st.sampled_from([STAMP, SIGNATURE]),
)
@hypothesis_settings(max_examples=80)
def test_no_header_makes_the_edge_stumble(door, name, value):
    """Any bytes HTTP lets through for one of the two headers."""
    others = [header for header in signed(EVENT) if header[0] != name]

    assert door.post(EVENT, [*others, (name, value)])[0] in (400, 401)


# -- with Slack at the other end ---------------------------------------------------------------------------------


def test_the_stand_in_delivers_over_http_until_acknowledged(edge):
    """Our own joining, a mention, a click and a command arrive signed; what met a full disk comes again with Slack's retry headers."""
    edge.endpoint._clock = time.time
    edge.down = True
    with SlackStandIn(
        request_url=f"{edge.server.url}/slack/events", signing_secret=SECRET, retry_delays_s=(0.1,) * 20
    ) as slack:
        slack.join("general", slack.bot)
        posted = slack.workspace.post(
            slack.workspace.channel("general"),
            slack.bot,
            "card",
            blocks=[
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "action_id": "vote.up.summary",
                            "value": "pd:1",
                            "text": {"type": "plain_text", "text": "👍"},
                        }
                    ],
                }
            ],
        )
        slack.say("general", "ana", "@rundown what changed?")
        slack.click("general", posted.ts, "vote.up.summary", "ana")
        slack.command("general", "ben", "status")
        slack.wait_for(
            lambda: any(attempt.via == 503 for dispatch in slack.dispatches for attempt in dispatch.attempts)
        )
        edge.down = False
        slack.wait_for(lambda: all(dispatch.acked for dispatch in slack.dispatches))

    assert sorted(row.kind for row in edge.kept()) == [
        "block_actions",
        "event_callback",
        "event_callback",
        "event_callback",
        "slash_command",
    ]


@pytest.mark.parametrize("kind", ["user_guest_status_changed", "user_profile_changed", "subteam_members_changed"])
def test_that_an_account_changed_is_heeded_and_not_kept(edge, kind):
    """A large company's profiles change all day, and whoever is told asks Slack anyway."""
    event = {"type": kind, "user": {"id": "U1"}}
    body = json.dumps({"type": "event_callback", "event_id": "Ev2", "team_id": "T1", "event": event}).encode()

    assert (edge.post_signed(body)[0], edge.post(body)[0]) == (200, 401)
    assert (edge.heeded, edge.kept()) == ([event], [])


def test_who_heeds_an_event_cannot_fail_the_request(edge):
    """Slack would send it again, three times."""
    edge._intake = Intake(edge.store, edge.woken.append, lambda event: event["nothing"])
    edge.heed = edge._intake.heed
    body = json.dumps({"type": "event_callback", "event_id": "Ev3", "event": {"type": "subteam_updated"}}).encode()

    assert edge.post_signed(body)[0] == 200
