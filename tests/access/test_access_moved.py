"""A card that Slack refuses in its channel goes to another one, says why, and shows what those there may read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
from access_world import BEGAN, World

from bot.delivery import Delivery
from bot.metrics import Metrics
from bot.slack_web import SlackRefused
from bot.standin.slack import Fault
from bot.steps import LiveSteps
from core.model import IncidentEvent
from core.store import Message, MessageState, Store, open_store

READ_ONLY = Fault(how="refuse", error="restricted_action_read_only_channel")
STEP = "Drain the blue reservoir before restarting the turbine."


def archived(slack: Any) -> None:
    slack.workspace.channel("oncall").archived = True


def left(slack: Any) -> None:
    slack.workspace.channel("oncall").members.discard(slack.bot)


def read_only(slack: Any) -> None:
    slack.fault("chat.postMessage", READ_ONLY)


@pytest.fixture(name="oncall")
def _oncall(slack: Any) -> str:
    """A private channel with ana."""
    return str(slack.add_channel("oncall", private=True, members=[slack.bot, "ana"]))


@pytest.mark.parametrize(
    ("close", "why"),
    [
        (archived, "it is archived"),
        (read_only, "only some people may post there"),
        (left, "it is gone, or private without me"),
    ],
)
def test_it_goes_to_the_default_channel_and_says_why(slack, make, oncall, close, why):
    """Card and thread; the refusal is told once, and stays told."""
    world: World = make(default_channel="general")
    world.write("TurbineStalls", f"# TurbineStalls\n\n## Mitigation\n\n1. {STEP}\n", "*")
    world.sync()
    close(slack)
    world.page("TurbineStalls", "oncall")
    seen = world.seen("general")

    assert (world.store.channel_of("pd:1"), world.store.message("card:pd:1").state) == (
        slack.workspace.channel("general").id,
        MessageState.SENT,
    )
    assert f"Meant for <#{oncall}>, where I cannot post: {why}" in seen
    assert STEP in seen
    assert world.store.message("detail:pd:1").state is MessageState.SENT
    assert world.store.unsent_messages() == []


def test_without_a_default_channel_it_gets_one_of_its_own(slack, make, oncall):
    """As an incident without a configured channel does."""
    archived(slack)
    world: World = make()
    world.page("TurbineStalls", "oncall")
    home = slack.workspace.channel(world.store.channel_of("pd:1"))

    assert (home.name.startswith("inc-2024-05-14-turbinestalls"), len(home.messages) > 0) == (True, True)


def test_what_only_the_first_channel_may_read_is_not_shown_in_the_other(slack, make, oncall):
    """What was gathered for ana alone is checked against whoever is there."""
    world: World = make(default_channel="general")
    world.write("TurbineStalls", f"# TurbineStalls\n\n## Mitigation\n\n1. {STEP}\n", oncall)
    world.sync()
    slack.fault("chat.postMessage", READ_ONLY, times=1)
    world.page("TurbineStalls", "oncall")

    assert ("Meant for" in world.seen("general"), STEP in world.seen("general")) == (True, False)


def test_one_that_is_refused_everywhere_gives_up(slack, make, oncall):
    """It says so in the log, and asks Slack no more."""
    slack.fault("chat.postMessage", READ_ONLY, times=1000)
    world: World = make(default_channel="general")
    world.page("TurbineStalls", "oncall")
    asked = len(slack.called("chat.postMessage"))
    world.steps.resend()

    assert (world.store.message("card:pd:1").state, len(slack.called("chat.postMessage"))) == (
        MessageState.FAILED,
        asked,
    )
    assert len(world.store.findings("pd:1")["refused"]) == 3


@pytest.mark.parametrize("closed", [1, 2, 3])
def test_one_show_is_enough_however_many_channels_refuse(slack, make, oncall, closed):
    """What is given up in one of them, no sweep would try again."""
    slack.fault("chat.postMessage", READ_ONLY, times=closed)
    world: World = make(default_channel="general")
    world.store.record_events([paged("pd:1")])
    world.store.set_channel("pd:1", oncall)
    world.steps.show("pd:1")
    card = world.store.message("card:pd:1")

    assert (card.state, len(world.store.findings("pd:1")["refused"])) == (MessageState.SENT, closed)
    assert slack.workspace.channel(card.channel).name.startswith("general" if closed == 1 else "inc-2024-05-14-")


class Meanwhile:
    """A delivery whose first refusal arrives late: something else happened since."""

    def __init__(self, delivery: Delivery, act: Callable[[], object]) -> None:
        self.delivery, self.late = delivery, [act]

    def deliver(self, key: str) -> Message:
        try:
            return self.delivery.deliver(key)
        except SlackRefused:
            while self.late:
                self.late.pop()()
            raise


def test_a_refusal_that_arrives_late_moves_it_no_further(slack, make, oncall):
    """Another process on the same outbox has moved it for the same refusal, and its new channel never refused anything."""
    archived(slack)
    world: World = make(default_channel="general")
    world.store.record_events([paged("pd:1")])
    world.store.set_channel("pd:1", oncall)
    general = slack.workspace.channel("general").id
    delivery: Any = Meanwhile(
        Delivery(world.store, world.client, channel_interval_s=0.0, readback_s=0.0),
        lambda: world.store.move_card("card:pd:1", general, before=oncall),
    )
    channels: Any = None  # it is not asked for yet another one
    steps = LiveSteps(
        store=world.store,
        investigator=world.investigator,
        channels=channels,
        delivery=delivery,
        gate=world.gate,
        metrics=Metrics(),
    )
    steps.show("pd:1")

    assert (world.store.channel_of("pd:1"), world.store.message("card:pd:1").channel) == (general, general)
    assert world.store.message("card:pd:1").state is MessageState.SENT


def test_two_processes_on_one_outbox_move_it_once(slack, postgres_url, oncall, tmp_path):
    """Both show it at the same moment, and neither waits for the other for ever."""
    archived(slack)
    with ExitStack() as stack:
        worlds = []
        for name in ("one", "two"):
            store = stack.enter_context(closing(open_store(postgres_url)))
            worlds.append(stack.enter_context(closing(World(slack, store, tmp_path / name, default_channel="general"))))
        worlds[0].store.record_events([paged("pd:1")])
        worlds[0].store.set_channel("pd:1", oncall)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda world: world.steps.show("pd:1"), worlds))
        refused = worlds[0].store.findings("pd:1")["refused"]

    general = slack.workspace.channel("general")
    assert (refused, len(general.messages)) == ({oncall: "is_archived"}, 1)


def test_of_two_moves_out_of_one_channel_the_first_counts(any_store: Store):
    """Whoever comes second finds it gone."""
    outbox(any_store)
    moves = [any_store.move_card("card:pd:1", channel, before="C1") for channel in ("C2", "C3")]

    assert (moves, any_store.channel_of("pd:1")) == ([True, False], "C2")
    assert [(message.channel, message.state) for message in any_store.messages("pd:1")] == [
        ("C2", MessageState.PENDING)
    ] * 2


@pytest.mark.parametrize("state", [MessageState.SENDING, MessageState.AMBIGUOUS])
def test_a_card_that_may_be_in_slack_already_is_not_moved(any_store: Store, state: MessageState):
    """Else it would be there twice; its thread stays with it."""
    outbox(any_store)
    any_store.mark_message("card:pd:1", state)

    assert (any_store.move_card("card:pd:1", "C2", before="C1"), any_store.channel_of("pd:1")) == (False, "C1")
    assert {message.channel for message in any_store.messages("pd:1")} == {"C1"}


def outbox(store: Store) -> None:
    """A card that C1 refused, and its thread."""
    store.record_events([paged("pd:1")])
    store.set_channel("pd:1", "C1")
    store.want_message("card:pd:1", channel="C1", body={}, incident_id="pd:1")
    store.want_message("detail:pd:1", channel="C1", body={}, incident_id="pd:1", parent="card:pd:1")
    store.mark_message("card:pd:1", MessageState.FAILED, error="is_archived")


def test_while_slack_is_silent_about_other_channels_it_waits(slack, make, oncall):
    """The sweep brings it there once Slack answers."""
    archived(slack)
    world: World = make(default_channel="general")
    world.store.record_events([paged("pd:1")])
    world.store.set_channel("pd:1", oncall)
    slack.fault("conversations.list", Fault(how="status", status=503), times=1)
    world.steps.show("pd:1")
    before = (world.store.channel_of("pd:1"), world.store.message("card:pd:1").state)
    world.steps.resend()

    assert before == (oncall, MessageState.PENDING)
    assert "Meant for" in world.seen("general")


def test_what_somebody_asked_for_in_a_channel_goes_nowhere_else(slack, make, oncall):
    """They are told that we cannot post there."""
    archived(slack)
    world: World = make(default_channel="general")
    world.page("TurbineStalls", "oncall", incident="slack:1")

    assert (world.store.channel_of("slack:1"), "TurbineStalls" in world.seen("general")) == (oncall, False)


def test_a_card_that_was_shown_once_stays_where_it_is(slack, make, oncall):
    """Its thread is there; that a channel is archived later ends its edits."""
    world: World = make(default_channel="general")
    world.page("TurbineStalls", "oncall")
    archived(slack)
    world.store.record_events([paged("pd:1", kind="acknowledged", number=2)])
    world.steps.show("pd:1")

    assert (world.store.channel_of("pd:1"), "Turbine" in world.seen("general")) == (oncall, False)


def paged(incident: str, *, kind: str = "triggered", number: int = 1) -> IncidentEvent:
    changes = {"title": "TurbineStalls", "created_at": BEGAN.isoformat()} if kind == "triggered" else {"status": kind}
    return IncidentEvent(
        incident_id=incident, event_id=f"{incident}:{number}", kind=kind, occurred_at=BEGAN, changes=changes
    )
