"""Socket Mode against the stand-in: kept, then acknowledged; every kind of broken socket is replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bot.intake import Intake
from bot.slack_edge import OF_PEOPLE, unpack
from bot.socket_mode import SocketEdge
from bot.standin.slack import Fault
from core.errors import StoreError


class Guarded(Intake):
    """The real intake, over a store that can be taken away."""

    def __init__(self, store) -> None:
        self.heeded: list[str] = []
        super().__init__(store, lambda _row: None, lambda event: self.heeded.append(event["type"]))
        self.store, self.down, self.refusals = store, False, 0

    def accept(self, **about):
        if self.down:
            self.refusals += 1
            raise StoreError("the store refused", why="disk full")
        return super().accept(**about)

    def kept(self):
        return [self.store.inbox_row(row_id) for row_id in self.store.unfinished_inbox()]

    def texts(self):
        return [unpack(row.raw).payload["event"]["text"] for row in self.kept()]


@pytest.fixture
def intake(store) -> Guarded:
    return Guarded(store)


@pytest.fixture
def connect(slack, intake) -> Iterator:
    """Opens an edge on the stand-in, and waits until all its sockets are greeted."""
    opened = []

    def open_edge(*, connections=2, **how):
        edge = SocketEdge(slack.app_token, slack.api_url, intake, connections, **{"ping_s": 0.1, **how})
        opened.append(edge)
        edge.start()
        slack.wait_for(lambda: edge.connected() == connections)
        return edge

    yield open_edge
    for edge in opened:
        edge.close()
    slack.dispatcher.cut()


def test_what_people_do_is_kept_and_acknowledged(slack, intake, connect):
    """A mention, a click and a command, each one row under Slack's own id."""
    connect()
    slack.say("general", "ana", "@rundown what changed?")
    trigger = slack.command("general", "ben", "status")
    slack.wait_for(lambda: all(dispatch.acked for dispatch in slack.dispatches))
    rows = intake.kept()

    assert sorted(row.kind for row in rows) == ["event_callback", "event_callback", "slash_command"]
    assert trigger in {row.event_id for row in rows}
    assert all(len(dispatch.attempts) == 1 for dispatch in slack.dispatches)


def test_each_envelope_delivered_several_times_is_one_row(slack, intake, connect):
    """Over both sockets, in any order."""
    connect()
    slack.dispatcher.copies = 9
    for number in range(10):
        slack.say("general", "ana", f"remark {number}")
    slack.wait_for(lambda: all(len(dispatch.attempts) == 10 for dispatch in slack.dispatches))

    assert sorted(intake.texts()) == [f"remark {number}" for number in range(10)]
    assert all(attempt.acked for dispatch in slack.dispatches for attempt in dispatch.attempts)


def test_a_store_that_refuses_is_not_acknowledged(slack, intake, connect):
    """Slack sends it again, and then it is kept."""
    connect()
    slack.dispatcher.ack_s = 0.2
    intake.down = True
    slack.say("general", "ana", "important")
    slack.wait_for(lambda: intake.refusals)
    intake.down = False
    slack.wait_for(lambda: slack.dispatches[-1].acked)

    assert (intake.texts(), slack.dispatches[-1].attempts[0].acked) == (["important"], False)


def test_what_nobody_listens_to_is_acknowledged_and_not_kept(slack, intake, connect, client):
    """Our own messages and their edits come back to us by the dozen."""
    connect()
    posted = client.chat_postMessage(channel=slack.workspace.channel("general").id, text="card")
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="card, edited")
    slack.wait_for(lambda: len(slack.dispatches) == 2 and all(dispatch.acked for dispatch in slack.dispatches))

    assert intake.kept() == []


def test_that_somebodys_account_changed_is_heeded_acknowledged_and_not_kept(slack, intake, connect):
    """Of the app's subscriptions, and so of its manifest, each kind that tells of people."""
    connect()
    slack.workspace.set_group("sre", ["ana"])
    slack.workspace.set_group("sre", [])
    slack.workspace.set_account("ana", guest="multi")
    slack.workspace.set_account("ana", email="ana@elsewhere.example")
    slack.wait_for(lambda: len(slack.dispatches) == 4 and all(dispatch.acked for dispatch in slack.dispatches))

    assert (sorted(set(intake.heeded)), intake.kept()) == (sorted(OF_PEOPLE), [])


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_socket_told_to_go_has_a_successor_before_it_goes(slack, intake, connect, reason):
    """All sockets at once are told; what is said meanwhile arrives."""
    connect()
    slack.dispatcher.disconnect(reason)
    for number in range(20):
        slack.say("general", "ana", f"remark {number}")
    slack.wait_for(lambda: len(slack.called("apps.connections.open")) == 4)
    slack.wait_for(lambda: all(dispatch.acked for dispatch in slack.dispatches))

    assert sorted(intake.texts()) == sorted(f"remark {number}" for number in range(20))
    assert all(len(dispatch.attempts) == 1 for dispatch in slack.dispatches)


def test_broken_sockets_are_replaced(slack, intake, connect):
    """A connection reset on all of them at once loses nothing."""
    edge = connect()
    slack.dispatcher.cut()
    slack.say("general", "ana", "still there?")
    slack.wait_for(lambda: intake.texts() == ["still there?"])
    slack.wait_for(lambda: edge.connected() == 2)

    assert len(slack.called("apps.connections.open")) == 4


def test_a_deaf_socket_is_noticed_and_replaced(slack, intake, connect):
    """Open, silent, answering no ping: as dead as one that was cut."""
    edge = connect(deaf_after_s=1.0)
    slack.dispatcher.ack_s = 0.5
    slack.dispatcher.deafen()
    slack.say("general", "ana", "can you hear me?")
    slack.wait_for(lambda: edge.connected() == 0)
    slack.wait_for(lambda: intake.texts() == ["can you hear me?"])
    slack.wait_for(lambda: edge.connected() == 2)

    assert edge.last_heard() < 1.0


def test_a_quiet_socket_that_answers_pings_is_left_alone(slack, connect):
    """Nights without an incident are no fault."""
    edge = connect(deaf_after_s=1.5)
    time.sleep(2.0)

    assert (edge.connected(), len(slack.called("apps.connections.open"))) == (2, 2)


def test_sockets_are_renewed_in_time(slack, connect):
    """One that answers pings may still be told nothing: none is trusted for ever."""
    edge = connect(renew_after_s=0.2)
    slack.wait_for(lambda: len(slack.called("apps.connections.open")) >= 5)

    assert edge.connected() == 2


def test_a_slack_that_is_down_at_first_is_waited_for(slack, intake):
    """Starting needs no Slack; being ready does."""
    slack.fault("apps.connections.open", Fault(how="status"), times=2)
    edge = SocketEdge(slack.app_token, slack.api_url, intake, 1)
    before = edge.connected(), edge.last_heard()
    edge.start()
    slack.wait_for(lambda: edge.connected() == 1)
    edge.close()
    slack.dispatcher.cut()

    assert (before, len(slack.called("apps.connections.open"))) == ((0, float("inf")), 3)


def test_a_wrong_token_is_told_and_tried_again(slack, intake, caplog):
    """The log says what to do."""
    edge = SocketEdge("xapp-wrong", slack.api_url, intake, 1)
    edge.start()
    slack.wait_for(lambda: len(slack.called("apps.connections.open")) >= 2)
    edge.close()

    assert "invalid_auth" in caplog.text


def test_socket_mode_switched_off_is_told(slack, connect, caplog):
    """`link_disabled` is for an operator to mend."""
    connect(connections=1)
    slack.dispatcher.disconnect("link_disabled")
    slack.wait_for(lambda: len(slack.called("apps.connections.open")) >= 2)

    assert "switch it on under Settings > Socket Mode" in caplog.text


@pytest.mark.parametrize(
    "payload",
    [None, [], "text", {}, {"type": "event_callback"}, {"type": 7}, {"type": "event_callback", "event": []}],
)
def test_an_envelope_that_cannot_be_read_is_acknowledged_and_dropped(slack, intake, connect, payload):
    """Sending it again would not mend it; the next one is taken as ever."""
    connect(connections=1)
    slack.dispatcher.send("events_api", payload)
    slack.say("general", "ana", "and now?")
    slack.wait_for(lambda: all(dispatch.acked for dispatch in slack.dispatches))

    assert intake.texts() == ["and now?"]


def test_a_frame_of_two_megabytes_is_taken(slack, intake, connect):
    """Slack's own client loses it, and all that follows."""
    connect(connections=1)
    slack.say("general", "ana", "x" * 2_000_000)
    slack.say("general", "ana", "and now?")
    slack.wait_for(lambda: all(dispatch.acked for dispatch in slack.dispatches))

    assert [len(text) for text in intake.texts()] == [2_000_000, 8]


def test_closing_is_quick_and_closes_every_socket(slack, connect):
    """Slack is told, and no thread stays."""
    edge = connect(connections=3)
    edge.close()
    slack.wait_for(lambda: slack.dispatcher.sockets == 0)

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("socket-mode")] == []
