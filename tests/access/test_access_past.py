"""What was shown of incidents that are over, and answered outside of any, follows who may read it too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from access_world import BEGAN, World

from bot import recheck
from bot.audience import FRESH_S, STALE_S
from bot.standin.slack import Fault
from core.errors import IndexUnavailable
from core.model import IncidentEvent, Vote

SLACK_IS_DOWN = Fault(how="status", status=503)
STEP = "Drain the blue reservoir before restarting the turbine."
ASKS = "how do I restart the turbine reservoir?"
#: Days that hold the incidents of these tests.
ALL = (datetime.now(UTC) - BEGAN) / timedelta(days=1) + 1


@pytest.fixture
def room(slack: Any) -> str:
    """A private channel with ana, who is in the group sre."""
    slack.workspace.set_group("sre", ["ana"])
    return str(slack.add_channel("war-room", private=True, members=[slack.bot, "ana"]))


def close(world: World, incident: str = "pd:1") -> None:
    """It is resolved, and shown so."""
    over = IncidentEvent(incident_id=incident, event_id=f"{incident}:2", kind="resolved", occurred_at=BEGAN, changes={})
    world.store.record_events([over])
    world.steps.show(incident)


def closed(world: World, room: str, *, incident: str = "pd:1") -> World:
    """An incident that is over, whose card, answer and postmortem in the room rest on a runbook for the group sre."""
    world.write("TurbineStalls", f"# TurbineStalls\n\n## Mitigation\n\n1. {STEP}\n", "group:sre")
    world.write("Coffee", "Beans are in the kitchen.", "*")
    world.sync()
    world.page("TurbineStalls", room, incident=incident)
    world.steps.recheck()
    card = world.store.message(f"card:{incident}")
    world.slack.say(room, "ana", f"<@{world.slack.bot}> {ASKS}", thread_ts=card.ts)
    world.handle()
    world.desk.postmortem("", channel=room, thread_ts=None, person="slack:T:ana", key="k")
    close(world, incident)
    world.steps.recheck()
    return world


def rewrite(world: World, *readers: str) -> None:
    world.write("TurbineStalls", world.shelf.held["TurbineStalls"].text, *readers)
    world.sync()


def later(world: World) -> None:
    """What happened was told by no event, and is noticed by looking."""
    world.slack.dispatches.clear()
    world.pass_time(FRESH_S + 1)
    world.steps.recheck()


REVOKED = {
    "the page becomes private": lambda world, room: (rewrite(world, "group:leads"), later(world)),
    "the page is deleted": lambda world, room: (
        world.shelf.held.pop("TurbineStalls"),
        world.sync(),
        later(world),
    ),
    "somebody joins": lambda world, room: (world.slack.join(room, "ben"), world.handle()),
    "somebody joins unheard": lambda world, room: (world.slack.join(room, "ben"), later(world)),
    "ana leaves the group": lambda world, room: (world.slack.workspace.set_group("sre", []), later(world)),
}


@pytest.mark.parametrize("happens", REVOKED.values(), ids=REVOKED)
def test_what_is_revoked_goes_from_all_that_a_past_incident_shows(slack, make, room, happens):
    """Card, answer and postmortem."""
    world = closed(make(recheck_days=ALL), room)
    before = world.seen(room).count("blue reservoir")
    happens(world, room)

    assert (before >= 3, "blue reservoir" in world.seen(room)) == (True, False)


def test_it_goes_after_a_restart_too(slack, make, room):
    """A new process remembers no verdict, and what was revoked meanwhile shows too much."""
    world = closed(make(recheck_days=ALL), room)
    rewrite(world, "group:leads")
    world.steps.rechecking._verdicts.clear()
    later(world)

    assert "blue reservoir" not in world.seen(room)


def test_what_is_allowed_again_comes_back(slack, make, room):
    """As on an open incident's card."""
    world = closed(make(recheck_days=ALL), room)
    for readers in (("group:leads",), ("group:sre",)):
        rewrite(world, *readers)
        later(world)

    assert "blue reservoir" in world.seen(room)


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_revoked_goes_from_an_answer_outside_of_any_incident(slack, make, alone):
    """In a channel, and in a direct message."""
    world = make()
    place = slack.direct("ana") if alone else str(slack.add_channel("talk", private=True, members=[slack.bot, "ana"]))
    world.write("TurbineStalls", STEP, "user:ana@example.org")
    world.sync()
    world.ask(place, "ana", ASKS)
    world.steps.recheck()
    before = "blue reservoir" in world.seen(place)
    rewrite(world, "group:leads")
    later(world)

    assert (before, "blue reservoir" in world.seen(place)) == (True, False)


def test_what_was_sent_privately_goes_too(slack, make):
    """It was for one person, who may not read it any more."""
    world, general = make(), slack.workspace.channel("general").id
    world.write("TurbineStalls", STEP, "user:ana@example.org")
    world.sync()
    world.ask(general, "ana", ASKS)
    slack.click_ephemeral(slack.ephemerals[-1], "private.answer", "ana")
    world.handle()
    direct = slack.direct("ana")
    before = "blue reservoir" in world.seen(direct)
    rewrite(world, "group:leads")
    later(world)

    assert (before, "blue reservoir" in world.seen(direct)) == (True, False)


TURNS = {
    "asks": lambda world, room, card: world.slack.say(
        room, "ana", f"<@{world.slack.bot}> what changed?", thread_ts=card.ts
    ),
    "votes": lambda world, room, card: world.desk.judge(
        incident_id="pd:1", item="next", vote=Vote.UP, person="slack:T:ana", channel=room, message_ts=card.ts
    ),
}


@pytest.mark.parametrize("turns", TURNS.values(), ids=TURNS)
def test_an_older_incident_is_looked_at_when_somebody_turns_to_it(slack, make, room, turns):
    """And from then on; nobody looks at it before."""
    world = closed(make(recheck_days=1), room)
    world.steps.rechecking._turned_to.clear()
    card = world.store.message("card:pd:1")
    rewrite(world, "group:leads")
    later(world)
    before = "blue reservoir" in world.seen(room)
    turns(world, room, card)
    world.handle()
    after = "blue reservoir" in world.seen(room)
    rewrite(world, "group:sre")
    later(world)

    assert (before, after, "blue reservoir" in world.seen(room)) == (True, False, True)


def test_what_slack_does_not_say_changes_no_past_card(slack, make, room):
    """An outage must not edit a month of cards and back; the last known people count, and the page's own readers."""
    world = closed(make(recheck_days=ALL), room)
    slack.fault("conversations.members", SLACK_IS_DOWN, times=99)
    world.pass_time(1000)
    world.steps.recheck()
    during = "blue reservoir" in world.seen(room)
    rewrite(world, "group:leads")
    world.steps.recheck()
    after = "blue reservoir" in world.seen(room)
    slack._planned.clear()
    rewrite(world, "group:sre")
    world.pass_time(recheck.GONE_S + 1)
    world.steps.recheck()

    assert (during, after, "blue reservoir" in world.seen(room)) == (True, False, True)


def test_what_the_index_does_not_say_changes_no_past_card(slack, make, room, monkeypatch):
    """It is looked at when it answers again."""
    world = closed(make(recheck_days=ALL), room)
    rewrite(world, "group:leads")

    def silent(*_: Any) -> Any:
        raise IndexUnavailable("the index does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(world.investigator, "_documents", silent)
        later(world)
        during = "blue reservoir" in world.seen(room)
    later(world)

    assert (during, "blue reservoir" in world.seen(room)) == (True, False)


def test_looking_back_costs_nothing_when_nothing_changed(slack, make, room):
    """No edit, no call, and no finding read anew."""
    world = closed(make(recheck_days=ALL), room)
    slack.calls.clear()
    read: list[str] = []
    findings = world.store.findings
    world.store.findings = lambda subject: read.append(subject) or findings(subject)
    for _ in range(3):
        world.steps.recheck()

    assert (slack.calls, read) == ([], [])


def test_members_of_many_past_channels_are_asked_for_slowly(slack, make, room, monkeypatch):
    """A page that is closed counts at once all the same."""
    world = make(recheck_days=ALL)
    monkeypatch.setattr(recheck, "PAST_PER_MIN", 1)
    rooms = [str(slack.add_channel(f"inc-{n}", private=True, members=[slack.bot, "ana"])) for n in range(2)]
    for number, place in enumerate(rooms):
        closed(world, place, incident=f"pd:{number}")
    slack.calls.clear()
    rewrite(world, "group:leads")
    later(world)

    assert len(slack.called("conversations.members")) == 0
    assert ["blue reservoir" in world.seen(place) for place in rooms] == [False, False]


def test_a_channel_that_is_gone_is_not_asked_about_all_the_time(slack, make, room):
    """Nothing in it can be edited, and Slack counts every call."""
    world = closed(make(recheck_days=ALL), room)
    slack.leave(room, slack.bot)
    world.pass_time(STALE_S)
    later(world)
    slack.calls.clear()
    later(world)
    soon = [call.method for call in slack.calls if call.args.get("channel") == room]
    world.pass_time(recheck.GONE_S)
    world.steps.recheck()

    assert (soon, any(call.args.get("channel") == room for call in slack.calls)) == ([], True)
