"""Stored requests through slack-bolt to a desk: who asked what, where, and what they were told."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bot.channels import Channels
from bot.intake import Intake
from bot.replies import offer_message
from bot.slack import build_slack
from bot.slack_edge import FORM, JSON, Unreadable, keep, read
from bot.standin.slack import Fault, SlackStandIn
from bot.standin.slack_dispatch import http_body
from core.errors import IndexUnavailable, SlackUnavailable
from core.model import Vote
from core.settings import read_settings

BUTTONS = [
    {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": action_id, "value": "pd:1", "text": {"type": "plain_text", "text": "x"}}
            for action_id in (
                "vote.up.summary",
                "vote.down.cause",
                "vote.up.next",
                "vote.up.answer:C1-1.5",
                f"vote.culprit.commit:{'a' * 40}",
                "vote.up.nonsense",
                "open.pagerduty",
                "private.more",
            )
        ],
    }
]


class Clerk:
    """A desk that writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.failure: Exception | None = None
        self.reply = "noted"

    def _note(self, name, *args, **about):
        self.asked.append((name, *args, about))
        if self.failure is not None:
            raise self.failure
        return self.reply

    def __getattr__(self, name):
        return lambda *args, **about: self._note(name, *args, **about)


class Office:
    """The stand-in, an intake over HTTP's or the socket's form, and the app over a clerk."""

    def __init__(self, slack, client, store) -> None:
        self.slack, self.store, self.clerk = slack, store, Clerk()
        self.app = build_slack(client, self.clerk, store, Channels(client, read_settings(), store))
        self.intake = Intake(store, lambda _row: None)
        self.form = "http"

    def rows(self):
        """What Slack told us since the last time, kept as the edge would."""
        for dispatch in self.slack.dispatches:
            body, content_type = (
                http_body(dispatch.kind, dispatch.payload)
                if self.form == "http"
                else (json.dumps(dispatch.payload).encode(), JSON)
            )
            received = read(body, content_type)
            if received.wanted:
                keep(self.intake, received)
        self.slack.dispatches.clear()
        return [self.store.inbox_row(row_id) for row_id in self.store.unfinished_inbox()]

    def work(self):
        """Handle all that is waiting; what the clerk was asked."""
        for row in self.rows():
            self.app.handle(row)
            self.store.finish_inbox(row.id)
        return self.clerk.asked


@pytest.fixture(params=["http", "socket"])
def office(request, slack, client, store):
    made = Office(slack, client, store)
    made.form = request.param
    made.slack.dispatches.clear()
    return made


def person(slack, name):
    return f"slack:{slack.workspace.team}:{slack.user(name)}"


@pytest.fixture
def general(slack):
    return slack.workspace.channel("general").id


@pytest.fixture
def card(slack, client, general):
    posted = client.chat_postMessage(channel=general, text="card", blocks=BUTTONS)
    return posted["ts"]


# -- who comes and goes, and what they may read ------------------------------------------------------------------


def test_who_joins_or_leaves_is_told_to_the_desk(slack, office, general):
    """So that what the channel shows is looked at again at once."""
    slack.join("general", "carol")
    slack.leave("general", "carol")

    assert office.work() == [("people_changed", general, {})] * 2


def test_what_the_asker_alone_may_know_is_shown_to_them_alone(slack, office):
    """Beside the answer, which is the desk's to send."""
    slack.say("general", "ana", f"<@{slack.bot}> what changed?")
    office.work()

    assert [(shown.user, shown.text, shown.by) for shown in slack.ephemerals] == [
        (slack.user("ana"), "noted", "chat.postEphemeral")
    ]


def test_an_aside_that_gets_lost_leaves_the_question_answered(slack, office):
    """Slack promises nothing of ephemeral messages; the answer went out before it."""
    slack.fault("chat.postEphemeral", Fault(how="status", status=503))
    slack.say("general", "ana", f"<@{slack.bot}> what changed?")

    assert [name for name, *_ in office.work()] == ["answer"]


def test_a_press_on_the_private_button_names_the_question(slack, office, client, general):
    """By the key that the button carries, and who pressed; not by whom it was shown to."""
    message = offer_message(2, "C1-1.5")
    slack.say("general", "ana", f"<@{slack.bot}> what changed?")
    office.clerk.reply = message
    office.work()
    office.clerk.asked.clear()
    office.clerk.reply = "sent"
    slack.click_ephemeral(slack.ephemerals[-1], "private.answer", "ben")

    assert office.work() == [("answer_privately", "C1-1.5", {"person": person(slack, "ben")})]
    assert (slack.ephemerals[-1].user, slack.ephemerals[-1].text) == (slack.user("ben"), "sent")


def test_a_press_on_the_cards_button_names_the_incident_and_is_answered_to_who_pressed(slack, office, card):
    """By their own id; nobody else sees what they are told."""
    slack.click("general", card, "private.more", "ben")

    assert office.work() == [("more", "pd:1", {"person": person(slack, "ben")})]
    assert [(shown.user, shown.text) for shown in slack.ephemerals] == [(slack.user("ben"), "noted")]


# -- questions and remarks ---------------------------------------------------------------------------------------


def test_a_mention_is_a_question(slack, office, general):
    """Answered in a thread under it, under a key of its own place."""
    ts = slack.say("general", "ana", f"<@{slack.bot}>  what changed &amp; when?")

    assert office.work() == [
        (
            "answer",
            "what changed & when?",
            {"channel": general, "thread_ts": ts, "person": person(slack, "ana"), "key": f"{general}-{ts}"},
        )
    ]


def test_a_mention_in_a_thread_is_answered_there(slack, office, general, card):
    """Under the card, say."""
    ts = slack.say("general", "ben", "@rundown and the database?", thread_ts=card)

    assert office.work() == [
        (
            "answer",
            "and the database?",
            {"channel": general, "thread_ts": card, "person": person(slack, "ben"), "key": f"{general}-{ts}"},
        )
    ]


def test_a_bare_mention_is_shown_what_can_be_asked(slack, office, card):
    """Only its author sees the help, where they called."""
    slack.say("general", "ana", "@rundown", thread_ts=card)

    assert office.work() == [("help", {})]
    assert [(whisper.user, whisper.thread_ts, whisper.text) for whisper in slack.ephemerals] == [
        (slack.user("ana"), card, "noted")
    ]


def test_a_direct_message_is_a_question(slack, office):
    """No mention needed."""
    channel = slack.direct("ana")
    ts = slack.say(channel, "ana", "is checkout down?")

    assert office.work() == [
        (
            "answer",
            "is checkout down?",
            {"channel": channel, "thread_ts": ts, "person": person(slack, "ana"), "key": f"{channel}-{ts}"},
        )
    ]


def test_what_people_say_to_each_other_is_a_remark(slack, office, general, card):
    """With its time; links and mentions read as words."""
    ts = slack.say("general", "ana", "rolled back <https://ci.example/7|build 7>, <@U9|ben> &lt;3", thread_ts=card)

    assert office.work() == [
        (
            "remark",
            "rolled back build 7 (https://ci.example/7), @ben <3",
            {
                "channel": general,
                "thread_ts": card,
                "person": person(slack, "ana"),
                "at": datetime.fromtimestamp(float(ts), UTC),
            },
        )
    ]


def test_our_own_words_and_other_changes_ask_nothing(slack, office, client, general, card):
    """Our posts, edits to mention us, deletions: none of them is a question."""
    client.chat_postMessage(channel=general, text=f"<@{slack.bot}> talking to myself")
    ts = slack.say("general", "ana", "hm")
    office.work()
    office.clerk.asked.clear()
    slack.edit("general", ts, f"<@{slack.bot}> approve")
    slack.delete("general", ts)

    assert office.work() == []


def stored(office, event):
    """An event as if an older version had kept it: the edge's own filter is not the only one."""
    body = json.dumps({"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": event}).encode()
    keep(office.intake, read(body, JSON))


@pytest.mark.parametrize(
    "about",
    [
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "thread_broadcast"},
        {"subtype": "bot_message"},
        {"subtype": "unheard_of"},
        {"bot_id": "B9"},
        {"edited": {"ts": "2.0"}},
        {"type": "app_mention", "bot_id": "B9"},
        {"type": "app_mention", "subtype": "thread_broadcast"},
        {"type": "app_mention", "user": None},
    ],
)
@pytest.mark.parametrize("channel_type", ["im", "channel"])
def test_no_subtype_or_bot_can_ask(office, about, channel_type):
    """CONTRACTS.md 3.1: each of these got past somebody's sender check once. Nor are they anybody's remarks."""
    said = {
        "type": "message",
        "channel_type": channel_type,
        "user": "U1",
        "channel": "D1",
        "ts": "1.0",
        "text": "do it",
    }
    stored(office, {**said, **about})

    assert office.work() == []


def test_a_person_of_a_shared_channel_keeps_their_own_team(office):
    """Ids are only unique within a team."""
    stored(
        office,
        {
            "type": "app_mention",
            "user": "U1",
            "user_team": "T_OTHER",
            "team": "T1",
            "channel": "C1",
            "ts": "1.0",
            "text": "hi",
        },
    )

    assert office.work()[0][2]["person"] == "slack:T_OTHER:U1"


def test_events_of_no_concern_are_let_go(office):
    """Nothing listens, nothing fails."""
    stored(office, {"type": "team_join", "user": {"id": "U1"}})

    assert office.work() == []


# -- thumbs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action_id", "item", "vote"),
    [
        ("vote.up.summary", "summary", Vote.UP),
        ("vote.down.cause", "cause", Vote.DOWN),
        ("vote.up.next", "next", Vote.UP),
        ("vote.up.answer:C1-1.5", "answer:C1-1.5", Vote.UP),
        (f"vote.culprit.commit:{'a' * 40}", f"commit:{'a' * 40}", Vote.CULPRIT),
    ],
)
def test_a_press_is_a_vote_and_is_thanked_for(slack, office, general, card, action_id, item, vote):
    """Only the one who pressed sees it; the card stays."""
    slack.click("general", card, action_id, "ana")
    asked = office.work()
    [thanks] = slack.ephemerals

    assert asked == [
        (
            "judge",
            {
                "incident_id": "pd:1",
                "item": item,
                "vote": vote,
                "person": person(slack, "ana"),
                "channel": general,
                "message_ts": card,
            },
        )
    ]
    assert (thanks.user, thanks.text, thanks.by) == (slack.user("ana"), "noted", "response_url")
    assert [message.text for message in slack.messages("general")] == ["card"]


def test_a_button_of_another_version_is_answered_plainly(slack, office, card):
    """Never silently."""
    slack.click("general", card, "vote.up.nonsense", "ana")

    assert (office.work(), "I do not know this button" in slack.ephemerals[0].text) == ([], True)


def test_a_link_button_asks_nothing(slack, office, card):
    """Slack tells of those as well."""
    slack.click("general", card, "open.pagerduty", "ana")

    assert (office.work(), slack.ephemerals) == ([], [])


def test_a_thank_you_in_a_thread_stays_there(slack, office, client, general, card):
    """Thumbs of an answer are pressed in its thread."""
    reply = client.chat_postMessage(channel=general, thread_ts=card, text="answer", blocks=BUTTONS)
    slack.click("general", reply["ts"], "vote.up.summary", "ana")
    office.work()

    assert slack.ephemerals[0].thread_ts == card


def test_an_empty_reply_says_nothing(slack, office, card):
    """The desk may have nothing to add."""
    office.clerk.reply = ""
    slack.click("general", card, "vote.up.summary", "ana")
    office.work()

    assert slack.ephemerals == []


@pytest.mark.parametrize(
    "fault",
    [Fault(how="drop"), Fault(how="status"), Fault(how="refuse", error="x", status=404)],
    ids=["drop", "500", "no"],
)
def test_a_response_url_that_fails_gives_way_to_an_ephemeral(slack, office, card, fault):
    """It works five times and for half an hour; a queue may be slower."""
    slack.fault("response_url", Fault(how="status", status=404) if fault.how == "refuse" else fault)
    slack.click("general", card, "vote.up.summary", "ana")
    office.work()

    assert [(whisper.by, whisper.text) for whisper in slack.ephemerals] == [("chat.postEphemeral", "noted")]


def test_a_response_url_elsewhere_is_not_called(slack, office, card):
    """What we say goes to Slack and nowhere else."""
    slack.click("general", card, "vote.up.summary", "ana")
    with SlackStandIn() as elsewhere:
        payload = slack.dispatches[-1].payload
        payload["response_url"] = payload["response_url"].replace(slack.url, elsewhere.url)
        office.work()

    assert (elsewhere.calls, [whisper.by for whisper in slack.ephemerals]) == ([], ["chat.postEphemeral"])


# -- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("help", ("help", {})),
        ("", ("help", {})),
        ("dance", ("help", {})),
        ("STATUS", ("status", {"channel": "general"})),
        (
            "investigate  checkout answers 500 &amp; more",
            ("investigate", "checkout answers 500 & more", {"channel": "general", "person": "ana", "key": "trigger"}),
        ),
        ("investigate", ("investigate", "", {"channel": "general", "person": "ana", "key": "trigger"})),
        (
            "postmortem 42",
            ("postmortem", "42", {"channel": "general", "thread_ts": None, "person": "ana", "key": "trigger"}),
        ),
    ],
)
def test_a_command_is_answered_to_the_one_who_typed_it(slack, office, general, text, asked):
    """Where they typed it, to them alone."""
    trigger = slack.command("general", "ana", text)
    names = {"general": general, "ana": person(slack, "ana"), "trigger": trigger}
    *words, about = asked

    assert office.work() == [(*words, {name: names.get(value, value) for name, value in about.items()})]
    assert [(whisper.user, whisper.text) for whisper in slack.ephemerals] == [(slack.user("ana"), "noted")]


def test_a_command_works_where_the_bot_is_not(slack, office):
    """Slash commands work in every channel."""
    slack.add_channel("elsewhere", members=["ana"])
    slack.command("elsewhere", "ana", "status")
    office.work()

    assert [whisper.text for whisper in slack.ephemerals] == ["noted"]


def test_a_reply_may_be_a_whole_message(slack, office):
    """Help and status come with blocks."""
    office.clerk.reply = {"text": "help", "blocks": [{"type": "divider"}]}
    slack.command("general", "ana", "help")
    office.work()

    assert [(whisper.text, whisper.blocks) for whisper in slack.ephemerals] == [("help", [{"type": "divider"}])]


# -- channels ----------------------------------------------------------------------------------------------------


def test_a_new_incident_channel_is_joined(slack, office):
    """Made, or renamed to the prefix."""
    made, other = slack.add_channel("inc-7"), slack.add_channel("random")
    renamed = slack.add_channel("draft")
    slack.workspace.rename(slack.workspace.channel(renamed), "inc-8")
    office.work()

    assert [slack.bot in slack.workspace.channel(channel).members for channel in (made, renamed, other)] == [
        True,
        True,
        False,
    ]


# -- failures ----------------------------------------------------------------------------------------------------


def test_a_failure_is_raised_and_the_row_can_be_handled_again(slack, office, card):
    """The workflow sees it as it was; nothing was acknowledged to the person."""
    office.clerk.failure = IndexUnavailable("the index does not answer")
    slack.click("general", card, "vote.up.summary", "ana")
    [row] = office.rows()
    with pytest.raises(IndexUnavailable):
        office.app.handle(row)
    office.clerk.failure = None
    office.app.handle(row)

    assert (len(office.clerk.asked), [whisper.text for whisper in slack.ephemerals]) == (2, ["noted"])


def test_handling_twice_asks_under_one_key(slack, office):
    """A worker was killed in between: the desk sees the same question."""
    slack.say("general", "ana", "@rundown why?")
    row = office.rows()[-1]
    office.app.handle(row)
    office.app.handle(row)
    first, second = office.clerk.asked

    assert first == second


def test_slack_being_down_is_raised(slack, office):
    """Not knowing who we are, we cannot tell our own words."""
    slack.fault("auth.test", Fault(how="status"))
    slack.say("general", "ana", "@rundown why?")
    row = office.rows()[-1]
    with pytest.raises(SlackUnavailable):
        office.app.handle(row)
    office.app.handle(row)

    assert len(office.clerk.asked) == 1


def test_a_question_that_failed_gets_an_apology_in_its_thread_once(slack, office, general):
    """Through the outbox: silence is worse than errors, and so is saying sorry twice."""
    ts = slack.say("general", "ana", "@rundown why?")
    row = office.rows()[-1]
    office.app.apologise(row, "the index does not answer <!channel>")
    office.app.apologise(row, "the index does not answer <!channel>")
    [key] = office.store.unsent_messages()
    message = office.store.message(key)

    assert (message.channel, message.thread_ts) == (general, ts)
    assert message.body["text"].startswith("I could not do that. The index does not answer &lt;!channel&gt;")


@pytest.mark.parametrize("gesture", ["click", "command"])
def test_a_gesture_that_failed_gets_an_apology_for_its_maker(slack, office, card, gesture):
    """Only they were waiting."""
    slack.click("general", card, "vote.up.summary", "ana") if gesture == "click" else slack.command(
        "general", "ana", "status"
    )
    [row] = office.rows()
    office.app.apologise(row, "the index does not answer")

    assert [whisper.text for whisper in slack.ephemerals] == ["I could not do that. The index does not answer."]
    assert office.store.unsent_messages() == []


def test_nobody_is_told_that_a_remark_was_not_kept(slack, office):
    """They asked for nothing."""
    slack.say("general", "ana", "hm")
    [row] = office.rows()
    office.app.apologise(row, "disk full")

    assert (office.store.unsent_messages(), slack.ephemerals) == ([], [])


def test_a_row_of_another_making_is_a_clear_error(office):
    """Not Bolt's JSONDecodeError."""
    office.store.receive(source="slack", event_id="x", kind="x", raw=b"[]")
    [row] = office.rows()
    with pytest.raises(Unreadable):
        office.app.handle(row)


def test_building_the_app_calls_nobody(client, store, closed_port):
    """The network is touched by the first request, not by wiring."""
    client.base_url = f"http://127.0.0.1:{closed_port}/api/"
    build_slack(client, Clerk(), store)

    assert read(b"command=%2Frundown", FORM).kind == "slash_command"
