"""Delivery against the stand-in: whatever gets lost, Slack shows each message once and as last wanted."""

from __future__ import annotations

import threading
import time

import pytest

from bot.delivery import Delivery, make_client
from bot.slack_web import open_client
from bot.standin.slack import Fault
from core.errors import RundownError, SettingsError, SlackUnavailable
from core.settings import read_settings
from core.store import MessageState, open_store

CARD = {
    "text": "checkout answers 500",
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*checkout*"}}],
}


@pytest.fixture
def general(slack):
    return slack.workspace.channel("general").id


@pytest.fixture
def delivery(store, client, clock):
    return Delivery(store, client, sleep=clock.sleep, clock=clock)


@pytest.fixture
def card(store, general):
    store.want_message("card:1", channel=general, body=CARD, incident_id="pd:1")
    return "card:1"


def texts(slack):
    return [message.text for message in slack.messages("general")]


# -- the plain way -----------------------------------------------------------------------------------------------


def test_a_message_is_posted_and_remembered(slack, store, delivery, card):
    """The outbox knows where Slack shows it."""
    delivered = delivery.deliver(card)

    assert (MessageState.SENT, slack.messages("general")[0].ts, 1) == (
        delivered.state,
        delivered.ts,
        delivered.sent_version,
    )
    assert slack.messages("general")[0].blocks == CARD["blocks"]


def test_delivering_again_does_nothing(slack, delivery, card):
    """A step that runs twice posts once."""
    delivery.deliver(card)
    before = len(slack.calls)
    delivery.deliver(card)

    assert before == len(slack.calls)


def test_previews_are_off_and_only_an_opaque_id_is_attached(slack, store, delivery, card):
    """Slack fetches no link of ours, and nobody in the workspace reads more than a token."""
    delivery.deliver(card)
    args = slack.called("chat.postMessage")[0].args

    assert (args["unfurl_links"], args["unfurl_media"]) == ("0", "0")
    assert slack.messages("general")[0].metadata == {
        "event_type": "rundown_message",
        "event_payload": {"token": store.message(card).token},
    }


def test_a_new_version_is_an_edit_in_place(slack, store, delivery, card, general):
    """One message a card, however often it changes."""
    delivery.deliver(card)
    store.want_message(card, channel=general, body={"text": "resolved"})
    delivery.deliver(card)

    assert texts(slack) == ["resolved"]
    assert [edit.text for edit in slack.messages("general")[0].edits] == ["checkout answers 500", "resolved"]


def test_several_wanted_versions_become_one_edit(slack, store, delivery, card, general):
    """Always the latest is sent, and only it."""
    delivery.deliver(card)
    for text in ("one", "two", "three"):
        store.want_message(card, channel=general, body={"text": text})
    delivery.deliver(card)

    assert [edit.text for edit in slack.messages("general")[0].edits] == ["checkout answers 500", "three"]


def test_what_is_wanted_while_sending_is_shown_too(slack, store, delivery, card, general, monkeypatch):
    """A version wanted between the post and its answer is not forgotten."""
    slack.fault("chat.postMessage", Fault(how="slow", seconds=0.2))
    sending = threading.Thread(target=delivery.deliver, args=(card,))
    sending.start()
    slack_busy = time.monotonic() + 0.1
    while time.monotonic() < slack_busy:
        time.sleep(0.01)
    store.want_message(card, channel=general, body={"text": "newer"})
    sending.join()

    assert texts(slack) == ["newer"]


def test_a_reply_waits_for_its_parent(slack, store, delivery, card, general):
    """Delivering a reply first delivers the card, and then goes into its thread."""
    store.want_message("detail:1", channel=general, body={"text": "detail"}, parent=card)
    delivery.deliver("detail:1")

    assert (
        texts(slack),
        [reply.text for reply in slack.thread("general", store.message(card).ts)],
    ) == (["checkout answers 500"], ["detail"])


def test_an_answer_goes_into_a_thread_that_is_not_ours(slack, store, delivery, general):
    """Somebody asked in a thread of their own."""
    ts = slack.say("general", "ana", "what is going on?")
    store.want_message("answer:1", channel=general, body={"text": "this"}, thread_ts=ts)
    delivery.deliver("answer:1")

    assert [reply.text for reply in slack.thread("general", ts)] == ["this"]


def test_an_unknown_key_is_a_clear_error(delivery):
    """Nothing to deliver is a mistake of ours."""
    with pytest.raises(RundownError, match="no such message in the outbox"):
        delivery.deliver("nothing")


# -- lost answers ------------------------------------------------------------------------------------------------

LOST = {
    "the connection drops": Fault(how="drop", committed=True),
    "internal_error": Fault(how="refuse", committed=True, error="internal_error"),
    "fatal_error": Fault(how="refuse", committed=True, error="fatal_error"),
    "HTTP 500": Fault(how="status", committed=True),
    "a page of HTML, status 200": Fault(how="html", committed=True, status=200),
    "a page of HTML, status 502": Fault(how="html", committed=True, status=502),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_message_whose_answer_is_lost_is_found_and_not_posted_again(slack, delivery, card, fault):
    """Slack committed, we never heard: the read-back finds it by its token."""
    slack.fault("chat.postMessage", fault)
    delivered = delivery.deliver(card)

    assert (texts(slack), delivered.state) == (["checkout answers 500"], MessageState.SENT)
    assert len(slack.called("chat.postMessage")) == 1


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_reply_whose_answer_is_lost_is_found_in_its_thread(slack, store, delivery, card, general, fault):
    """Threads are read back by their replies."""
    store.want_message("detail:1", channel=general, body={"text": "detail"}, parent=card)
    slack.fault("chat.postMessage", fault, nth=2)
    delivery.deliver("detail:1")

    assert [reply.text for reply in slack.thread("general", store.message(card).ts)] == ["detail"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(how="drop"),
        Fault(how="refuse", error="internal_error"),
        Fault(how="status"),
        Fault(how="html", status=503),
    ],
    ids=["drop", "internal_error", "500", "html"],
)
def test_a_message_that_never_arrived_is_sent_again_after_two_looks(slack, delivery, card, clock, fault):
    """Not there, and five seconds later still not there: only then a second post."""
    slack.fault("chat.postMessage", fault)
    delivery.deliver(card)

    assert (
        texts(slack),
        len(slack.called("chat.postMessage")),
        len(slack.called("conversations.history")),
        max(clock.slept),
    ) == (["checkout answers 500"], 2, 2, 5.0)


def test_a_message_that_shows_late_is_found_by_the_second_look(slack, store, client, card):
    """Slack's history may lag behind its own commit."""
    slack.api.lag_s = 0.3
    slack.fault("chat.postMessage", Fault(how="drop", committed=True))
    Delivery(store, client, readback_s=0.4).deliver(card)

    assert (texts(slack), len(slack.called("conversations.history"))) == (["checkout answers 500"], 2)


def test_a_lost_answer_is_found_behind_much_talk(slack, store, delivery, card):
    """The channel is read back page by page."""
    slack.fault("chat.postMessage", Fault(how="drop", committed=True))
    slack.fault("conversations.history", Fault(how="drop"), times=1)
    with pytest.raises(SlackUnavailable):
        delivery.deliver(card)
    for number in range(450):
        slack.say("general", "ana", f"noise {number}")
    delivery.deliver(card)

    assert texts(slack).count("checkout answers 500") == 1
    assert len(slack.called("conversations.history")) == 1 + 3


def test_a_slow_slack_is_given_up_and_read_back(slack, store, client, card):
    """Time-outs are lost answers too."""
    client.timeout = 0.2
    slack.fault("chat.postMessage", Fault(how="slow", committed=True, seconds=0.6))
    Delivery(store, client, readback_s=0.05).deliver(card)

    assert texts(slack) == ["checkout answers 500"]


def test_while_nobody_knows_nothing_is_sent(slack, store, delivery, card):
    """Slack down after a lost answer leaves the message AMBIGUOUS, and the next call settles it."""
    slack.fault("chat.postMessage", Fault(how="drop", committed=True))
    slack.fault("conversations.history", Fault(how="status"))
    with pytest.raises(SlackUnavailable) as caught:
        delivery.deliver(card)
    state = store.message(card).state
    delivery.deliver(card)

    assert (caught.value.ambiguous, state, texts(slack)) == (True, MessageState.AMBIGUOUS, ["checkout answers 500"])


def test_a_slack_that_never_answers_clearly_is_left_for_later(slack, store, delivery, card):
    """Three tries, each read back twice; then the outbox keeps it."""
    slack.fault("chat.postMessage", Fault(how="status"), times=99)
    with pytest.raises(SlackUnavailable) as caught:
        delivery.deliver(card)

    assert (
        caught.value.ambiguous,
        store.message(card).state,
        len(slack.called("chat.postMessage")),
        texts(slack),
    ) == (True, MessageState.AMBIGUOUS, 3, [])
    assert store.unsent_messages() == [card]


@pytest.mark.parametrize("arrived", [True, False])
def test_a_process_killed_while_sending_leaves_one_message(slack, store, client, clock, card, general, arrived):
    """SENDING without a ts: the next process looks first. What has changed meanwhile is shown as well."""
    store.mark_message(card, MessageState.SENDING)
    if arrived:
        token = store.message(card).token
        client.chat_postMessage(
            channel=general, text="old", metadata={"event_type": "rundown_message", "event_payload": {"token": token}}
        )
    delivered = Delivery(store, client, sleep=clock.sleep, clock=clock).deliver(card)

    assert (texts(slack), delivered.sent_version) == (["checkout answers 500"], 1)


def test_another_message_with_a_token_of_its_own_is_not_taken_for_ours(slack, store, delivery, client, card, general):
    """Other incidents' messages, people's, and broken metadata are passed over."""
    store.mark_message(card, MessageState.SENDING)
    client.chat_postMessage(
        channel=general, text="other", metadata={"event_type": "rundown_message", "event_payload": {"token": "other"}}
    )
    client.chat_postMessage(
        channel=general,
        text="alien",
        metadata={"event_type": "alien", "event_payload": {"token": store.message(card).token}},
    )
    delivery.deliver(card)

    assert texts(slack) == ["other", "alien", "checkout answers 500"]


def test_an_older_version_that_shows_up_late_is_brought_up_to_date(slack, store, client, card, general):
    """Two posts lost: the first had arrived, the second not. What is found is edited, not taken for the second."""
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if seconds == 5.0:
            store.want_message(card, channel=general, body={"text": "newer"})
        slack.api.lag_s = 0.0 if looks.count(0.0) == 2 else 60.0

    slack.fault("chat.postMessage", Fault(how="drop", committed=True))
    slack.fault("chat.postMessage", Fault(how="drop"), nth=2)
    Delivery(store, client, sleep=sleep).deliver(card)

    assert texts(slack) == ["newer"]


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_an_edit_whose_answer_is_lost_is_repeated(slack, store, delivery, card, general, fault):
    """Edits may be repeated, so nothing is read back."""
    delivery.deliver(card)
    store.want_message(card, channel=general, body={"text": "resolved"})
    slack.fault("chat.update", fault)
    delivered = delivery.deliver(card)

    assert (texts(slack), delivered.sent_version, len(slack.called("conversations.history"))) == (["resolved"], 2, 0)


def test_an_edit_that_stays_lost_is_left_for_later(slack, store, delivery, card, general):
    """The message stays SENT at its old version, which the sweep finds."""
    delivery.deliver(card)
    store.want_message(card, channel=general, body={"text": "resolved"})
    slack.fault("chat.update", Fault(how="status"), times=99)
    with pytest.raises(SlackUnavailable):
        delivery.deliver(card)

    assert (MessageState.SENT, [card]) == (store.message(card).state, store.unsent_messages())


# -- refusals ----------------------------------------------------------------------------------------------------


def test_a_channel_we_are_not_in_is_joined(slack, store, delivery):
    """Public channels can be joined on the spot."""
    channel = slack.add_channel("checkout-oncall")
    store.want_message("card:2", channel=channel, body=CARD)
    delivery.deliver("card:2")

    assert [call.method for call in slack.calls] == ["chat.postMessage", "conversations.join", "chat.postMessage"]
    assert len(slack.messages("checkout-oncall")) == 1


@pytest.mark.parametrize(
    ("place", "body", "why"),
    [
        ("CNOWHERE99", CARD, "channel_not_found"),
        ("archived", CARD, "is_archived"),
        ("private", CARD, "channel_not_found"),
        ("general", {"text": ""}, "no_text"),
        ("general", {"text": "x" * 40_001}, "msg_too_long"),
        ("general", {"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ],
)
def test_a_clear_refusal_fails_for_good(slack, store, delivery, place, body, why):
    """The reason is kept and raised, nothing is read back, and the sweep leaves it alone."""
    slack.add_channel("archived", members=[slack.bot], archived=True)
    slack.add_channel("private", private=True)
    channel = slack.workspace.channel(place).id if place != "CNOWHERE99" else place
    store.want_message("card:2", channel=channel, body=body)
    with pytest.raises(SlackUnavailable, match=why) as caught:
        delivery.deliver("card:2")
    message = store.message("card:2")

    assert (caught.value.ambiguous, message.state, store.unsent_messages()) == (False, MessageState.FAILED, [])
    assert why in message.error


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "missing_scope", "team_added_to_org"])
def test_a_refusal_that_is_not_about_the_message_keeps_it(slack, store, delivery, card, code):
    """A token that is renewed later finds the message still waiting."""
    slack.fault("chat.postMessage", Fault(how="refuse", error=code))
    with pytest.raises(SlackUnavailable, match=code):
        delivery.deliver(card)
    kept = store.message(card).state, store.unsent_messages()
    delivery.deliver(card)

    assert ((MessageState.PENDING, [card]), ["checkout answers 500"]) == (kept, texts(slack))


def test_a_slack_out_of_reach_is_no_lost_answer(store, clock, closed_port):
    """A connection that was refused carried nothing: the message waits, and nothing is read back."""
    client = open_client("xoxb-x", f"http://127.0.0.1:{closed_port}/api/")
    store.want_message("card:1", channel="C1", body=CARD)
    with pytest.raises(SlackUnavailable) as caught:
        Delivery(store, client, sleep=clock.sleep, clock=clock).deliver("card:1")

    assert (caught.value.ambiguous, store.message("card:1").state) == (False, MessageState.PENDING)


def test_a_failed_message_is_tried_afresh_when_asked(slack, store, delivery, card):
    """Somebody unarchived the channel and the step ran again."""
    slack.workspace.channel("general").archived = True
    with pytest.raises(SlackUnavailable):
        delivery.deliver(card)
    slack.workspace.channel("general").archived = False
    delivery.deliver(card)

    assert texts(slack) == ["checkout answers 500"]


def test_a_reply_fails_with_its_parent(slack, store, delivery, card, general):
    """A card that Slack refused has no thread."""
    store.want_message("detail:1", channel=general, body={"text": "detail"}, parent=card)
    slack.workspace.channel("general").archived = True
    with pytest.raises(SlackUnavailable, match="is_archived"):
        delivery.deliver("detail:1")

    assert (store.message("detail:1").state, store.unsent_messages()) == (MessageState.FAILED, [])


def test_a_message_that_people_deleted_stays_deleted(slack, store, delivery, card, general):
    """An edit never brings it back."""
    delivery.deliver(card)
    slack.delete("general", store.message(card).ts)
    store.want_message(card, channel=general, body={"text": "resolved"})
    with pytest.raises(SlackUnavailable, match="message_not_found"):
        delivery.deliver(card)

    assert (texts(slack), store.message(card).state) == ([], MessageState.FAILED)


# -- pace --------------------------------------------------------------------------------------------------------


def test_no_call_is_made_in_a_window_that_slack_closed(slack, store, client, card):
    """429 with Retry-After: the next call of the method comes when it is over."""
    slack.fault("chat.postMessage", Fault(how="rate_limit", seconds=1))
    Delivery(store, client).deliver(card)
    first, second = slack.called("chat.postMessage")

    assert ([first.outcome, second.outcome], second.at - first.at >= 1.0) == (["rate_limit", "ok"], True)


def test_a_closed_window_holds_for_every_thread(slack, store, client, general):
    """What one call is told, all heed."""
    delivery = Delivery(store, client)
    slack.fault("chat.postMessage", Fault(how="rate_limit", seconds=1))
    for number in range(3):
        store.want_message(f"card:{number}", channel=general, body={"text": str(number)})
    delivery.deliver("card:0")
    threads = [threading.Thread(target=delivery.deliver, args=(f"card:{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [call.outcome for call in slack.called("chat.postMessage")].count("rate_limit") == 1
    assert sorted(texts(slack)) == ["0", "1", "2"]


def test_a_window_too_long_is_left_for_later(slack, store, client, clock, card):
    """Nobody holds a worker for an hour."""
    slack.fault("chat.postMessage", Fault(how="rate_limit", seconds=3600))
    with pytest.raises(SlackUnavailable) as caught:
        Delivery(store, client, sleep=clock.sleep, clock=clock).deliver(card)

    assert (
        caught.value.retry_after_s,
        caught.value.ambiguous,
        store.message(card).state,
        clock.slept,
    ) == (3600.0, False, MessageState.PENDING, [])


def test_a_channel_gets_about_a_post_a_second(slack, store, client, clock, general):
    """Three at once after a pause, then one a second; other channels do not wait."""
    other = slack.add_channel("other", members=[slack.bot])
    delivery = Delivery(store, client, sleep=clock.sleep, clock=clock)
    for number in range(6):
        store.want_message(f"card:{number}", channel=general, body={"text": str(number)})
        delivery.deliver(f"card:{number}")
    waited = list(clock.slept)
    store.want_message("card:other", channel=other, body={"text": "other"})
    delivery.deliver("card:other")

    assert ([1.0, 1.0, 1.0], waited) == (waited, clock.slept)


# -- many at once ------------------------------------------------------------------------------------------------


def test_one_message_from_many_threads(slack, store, client, card):
    """The workflow and the sweep may both find it unsent."""
    delivery = Delivery(store, client)
    threads = [threading.Thread(target=delivery.deliver, args=(card,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (texts(slack), len(slack.called("chat.postMessage"))) == (["checkout answers 500"], 1)


def test_one_message_from_two_processes_on_one_postgres(slack, client, postgres_url, general):
    """Each process has its own locks; the database's holds between them."""
    stores = [open_store(postgres_url) for _ in range(4)]
    stores[0].want_message("card:1", channel=general, body=CARD)
    slack.fault("chat.postMessage", Fault(how="slow", seconds=0.2))
    threads = [threading.Thread(target=Delivery(store, client).deliver, args=("card:1",)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()

    assert (texts(slack), len(slack.called("chat.postMessage"))) == (["checkout answers 500"], 1)


def test_a_hundred_messages_with_a_tenth_of_the_answers_lost(slack, store, client, clock, general):
    """Exactly a hundred messages, each once."""
    for nth in range(3, 100, 10):
        slack.fault("chat.postMessage", Fault(how="drop", committed=nth % 20 == 3), nth=nth)
    delivery = Delivery(store, client, sleep=clock.sleep, clock=clock)
    for number in range(100):
        store.want_message(f"card:{number}", channel=general, body={"text": str(number)})
        delivery.deliver(f"card:{number}")

    assert sorted(texts(slack)) == sorted(str(number) for number in range(100))


# -- the client --------------------------------------------------------------------------------------------------


def test_a_client_needs_a_token():
    """Said before anything is tried."""
    with pytest.raises(SettingsError, match="RUNDOWN_SLACK_BOT_TOKEN"):
        make_client(read_settings())


def test_the_client_calls_once_and_knows_no_proxy_for_loopback(monkeypatch):
    """The SDK's own retries post twice; a proxy of the environment has no way to a stand-in."""
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:3128")
    client = make_client(read_settings(slack_bot_token="xoxb-1", slack_api_url="http://127.0.0.1:9/api/"))

    assert (client.retry_handlers, client.proxy, client.timeout) == ([], None, 10)
