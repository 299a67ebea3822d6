"""What stands in Slack follows who may read it: checked when it is shown, and again while its incident is open."""

from __future__ import annotations

from typing import Any

import pytest
from access_world import BEGAN, SOURCE, World, said

from bot import recheck
from bot.audience import FRESH_S
from bot.gate import GRACE_S
from bot.investigation import Ranked
from bot.standin.slack import Fault
from core.errors import IndexUnavailable
from core.model import Commit, Confidence, Culprit, FileChange, Ranking, Tier, to_json

SLACK_IS_DOWN = Fault(how="status", status=503)
STEP = "Drain the blue reservoir before restarting the turbine."
TAKEN_OUT = "1 document, taken out: gone by now, or not for everyone here"


@pytest.fixture
def room(slack: Any) -> str:
    """A private channel with ana, who is in the group sre."""
    slack.workspace.set_group("sre", ["ana"])
    return str(slack.add_channel("war-room", private=True, members=[slack.bot, "ana"]))


@pytest.fixture
def open_incident(world: World, room: str) -> World:
    """An incident whose card in the room rests on a runbook for the group sre."""
    world.write("TurbineStalls", f"# TurbineStalls\n\n## Mitigation\n\n1. {STEP}\n", "group:sre")
    world.write("Coffee", "Beans are in the kitchen.", "*")
    world.sync()
    world.page("TurbineStalls", room)
    return world


def rewrite(world: World, *readers: str) -> None:
    world.write("TurbineStalls", world.shelf.held["TurbineStalls"].text, *readers)
    world.sync()


def without_event(act: Any) -> Any:
    """Let something happen that Slack tells nobody of, or that was not heard."""

    def happen(world: World, slack: Any, room: str) -> None:
        act(world, slack, room)
        slack.dispatches.clear()
        world.pass_time(FRESH_S + 1)
        world.steps.recheck()

    return happen


REVOKED = {
    "somebody joins": lambda world, slack, room: (slack.join(room, "ben"), world.handle()),
    "somebody joins unheard": without_event(lambda world, slack, room: slack.join(room, "ben")),
    "the channel is made public": without_event(lambda world, slack, room: slack.publish(room)),
    "the channel is shared with a company": without_event(
        lambda world, slack, room: setattr(slack.workspace.channel(room), "ext_shared", True)
    ),
    "ana leaves the group": without_event(lambda world, slack, room: slack.workspace.set_group("sre", [])),
    "the page becomes private": without_event(lambda world, slack, room: rewrite(world, "group:leads")),
    "the page's readers are not known any more": without_event(lambda world, slack, room: rewrite(world)),
    "the page is deleted": without_event(
        lambda world, slack, room: (world.shelf.held.pop("TurbineStalls"), world.sync())
    ),
    "the source is forgotten": without_event(lambda world, slack, room: world.ingestor.forget(SOURCE)),
}


@pytest.mark.parametrize("happens", REVOKED.values(), ids=REVOKED)
def test_what_is_revoked_goes_from_an_open_incidents_card(slack, open_incident, room, happens):
    """Its words, its name and its address, from card and thread; a plain line says that something is missing."""
    before = open_incident.seen(room)
    happens(open_incident, slack, room)
    after = open_incident.seen(room)

    assert [STEP in before, "runbook: TurbineStalls" in before] == [True, True]
    assert [STEP in after, "runbook: TurbineStalls" in after, TAKEN_OUT in after] == [False, False, True]


def test_what_is_allowed_again_comes_back(slack, open_incident, room):
    """Ben left: nobody is in the room who may not read it."""
    slack.join(room, "ben")
    open_incident.handle()
    gone = STEP in open_incident.seen(room)
    slack.leave(room, "ben")
    open_incident.handle()

    assert (gone, STEP in open_incident.seen(room), TAKEN_OUT in open_incident.seen(room)) == (False, True, False)


def test_answers_and_postmortems_of_an_open_incident_follow_too(slack, open_incident, room):
    """Everything in its thread."""
    card = open_incident.store.message("card:pd:1")
    slack.say(room, "ana", f"<@{slack.bot}> how do I restart the turbine reservoir?", thread_ts=card.ts)
    open_incident.handle()
    open_incident.desk.postmortem("", channel=room, thread_ts=None, person="slack:T:ana", key="k")
    thread = [message.to_json() for message in slack.thread(room, card.ts)[1:] if message.user == slack.bot]
    slack.join(room, "ben")
    open_incident.handle()

    assert (len(thread), said(thread).count("blue reservoir") > 0) == (2, True)
    assert "blue reservoir" not in open_incident.seen(room)


def test_looking_again_costs_nothing_when_nothing_changed(slack, open_incident, room):
    """No edit, and no call beyond who is there."""
    open_incident.steps.recheck()
    slack.calls.clear()
    for _ in range(3):
        open_incident.steps.recheck()

    assert slack.calls == []


def test_with_many_open_incidents_each_is_asked_about_less_often(slack, world, monkeypatch):
    """So that Slack's limit is kept; one of which an event tells is looked at at once."""
    world.write("TurbineStalls", STEP, "group:sre")
    world.sync()
    slack.workspace.set_group("sre", ["ana"])
    monkeypatch.setattr(recheck, "ASKED_PER_MIN", 3)
    rooms = [slack.add_channel(f"inc-{n}", private=True, members=[slack.bot, "ana"]) for n in range(3)]
    for number, room in enumerate(rooms):
        world.page("TurbineStalls", room, incident=f"pd:{number}")
    world.steps.recheck()
    slack.calls.clear()
    world.pass_time(FRESH_S + 1)
    world.steps.recheck()
    asked = len(slack.called("conversations.members"))
    slack.join(rooms[0], "ben")
    world.handle()

    assert (asked, STEP in world.seen(rooms[0]), STEP in world.seen(rooms[1])) == (0, False, True)


def test_a_join_elsewhere_looks_at_nothing_here(slack, open_incident):
    """An event is about its own channel."""
    slack.calls.clear()
    slack.join("general", "carol")
    open_incident.handle()

    assert [call.method for call in slack.calls if call.method.startswith("chat")] == []


def test_what_waited_in_the_outbox_is_checked_when_it_is_sent(slack, open_incident, room):
    """Slack was down when the answer was written; by the time it is back, the page is private."""
    slack.fault("chat.postMessage", Fault(how="refuse", error="invalid_auth"))
    open_incident.ask(room, "ana", "how do I restart the turbine reservoir?")
    waiting = [key for key in open_incident.store.unsent_messages() if key.startswith("answer:")]
    rewrite(open_incident, "group:leads")
    open_incident.steps.resend()

    (answer,) = [
        message for message in slack.workspace.channel(room).messages.values() if "Re: " in said(message.blocks)
    ]

    assert (len(waiting), open_incident.store.unsent_messages()) == (1, [])
    assert "blue reservoir" not in said([answer.text, answer.blocks])


def test_a_card_that_waited_in_the_outbox_is_checked_too(slack, open_incident, room):
    """Its edit could not be sent; what is sent later is what may be shown then."""
    slack.fault("chat.update", Fault(how="refuse", error="invalid_auth"), times=2)
    slack.join(room, "ben")
    open_incident.handle()
    still = STEP in open_incident.seen(room)
    open_incident.steps.resend()

    assert (still, STEP in open_incident.seen(room)) == (True, False)


def test_evidence_that_names_no_piece_is_not_shown_until_it_is_found_again(open_incident, room):
    """Nobody can tell who may read what an older release found; an open incident's is looked for anew."""
    found = open_incident.store.findings("pd:1")["gather"]
    for item in found["evidence"]:
        del item["piece"]
    open_incident.store.save_finding("pd:1", "gather", found)
    open_incident.steps.show("pd:1")
    shown = STEP in open_incident.seen(room)
    open_incident.steps.recheck()

    assert (shown, STEP in open_incident.seen(room)) == (False, True)


def test_a_draft_is_about_the_pieces_it_was_drawn_from(open_incident, room):
    """Gathered again, E1 is another page: sentences that quote the old one under that name are not shown."""
    open_incident.write("Other", "Another turbine page.", "group:sre")
    open_incident.sync()
    found = open_incident.store.findings("pd:1")["gather"]
    other, _, _ = open_incident.investigator.search(
        "Other turbine page", None, limit=5, audience=open_incident.gate.present(room).audience
    )
    piece = next(item.piece for item in other if item.doc_id == "Other")
    found["evidence"] = [{**item, "piece": piece, "text": "", "title": "Other"} for item in found["evidence"]]
    open_incident.store.save_finding("pd:1", "gather", found)
    open_incident.steps.show("pd:1")

    assert STEP not in open_incident.seen(room)


def test_an_index_that_is_silent_keeps_what_it_allowed_for_a_moment(open_incident, room, monkeypatch):
    """And hides it after: nobody can tell any more who may read it."""
    open_incident.steps.show("pd:1")

    def silent(*_: Any) -> Any:
        raise IndexUnavailable("the index does not answer")

    monkeypatch.setattr(open_incident.investigator, "_documents", silent)
    open_incident.pass_time(GRACE_S - 1)
    open_incident.steps.show("pd:1")
    first = STEP in open_incident.seen(room)
    open_incident.pass_time(2)
    open_incident.steps.show("pd:1")

    assert (first, STEP in open_incident.seen(room)) == (True, False)


def test_an_incident_gathered_while_slack_was_silent_is_gathered_again(slack, world, room):
    """Nobody known, nothing looked for, and the card says so; the next look finds the people, and the page."""
    world.write("TurbineStalls", f"# TurbineStalls\n\n## Mitigation\n\n1. {STEP}\n", "group:sre")
    world.sync()
    slack.fault("conversations.members", SLACK_IS_DOWN, times=20)
    world.page("TurbineStalls", room)
    world.steps.recheck()
    before = world.seen(room)
    slack._planned.clear()
    world.steps.recheck()

    assert (STEP in before, "Slack does not say who is in this channel" in before) == (False, True)
    assert STEP in world.seen(room)


def test_a_shared_channel_is_told_why_it_sees_no_documents(slack, world, room):
    """Never silently."""
    slack.workspace.channel(room).ext_shared = True
    world.write("TurbineStalls", STEP, "*")
    world.sync()
    world.page("TurbineStalls", room)
    world.ask(room, "ana", "how do I restart the turbine reservoir?")

    assert STEP not in world.seen(room)
    assert world.seen(room).count("shared with another company") >= 2


def test_no_drafter_is_given_what_was_revoked(slack, open_incident, room):
    """Nobody looked at the card since the page was made private: what the card was drawn from is checked again first."""
    given: list[Any] = []
    drafter = open_incident.investigator.drafter

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: (
                given.append(said([to_json(item) for item in args if item])) or getattr(drafter, name)(*args)
            )

    open_incident.investigator.drafter = Recorder()
    card = open_incident.store.message("card:pd:1")
    asks = f"<@{slack.bot}> how do I restart the turbine reservoir?"
    for readers in (("group:sre",), ("group:leads",)):
        rewrite(open_incident, *readers)
        slack.say(room, "ana", asks, thread_ts=card.ts)
        open_incident.handle()
        open_incident.desk.postmortem("", channel=room, thread_ts=None, person="slack:T:ana", key="k")
        open_incident.steps.draft("pd:1")

    assert ["blue reservoir" in words for words in given] == [True] * 4 + [False] * 4


@pytest.mark.parametrize(("readers", "told"), [("group:sre", True), ("group:leads", False)])
def test_the_card_compares_the_past_by_the_suspected_commit(world, room, readers, told):
    """Once commits are ranked, and only with what everyone there may read."""
    text = "The night nothing turned, a valve stuck. The culprit was in plant/valves."
    world.write("Long ago", text, readers, tier=Tier.PAST_INCIDENT)
    world.sync()
    world.page("TurbineStalls", room)
    before = world.store.findings("pd:1")["gather"]["past"]
    world.store.save_finding("pd:1", "rank", to_json(Ranked(ranking=suspecting("valves/main.py"))))
    world.steps.draft("pd:1")
    after = world.store.findings("pd:1")["gather"]

    assert ("plant/valves" in said(before), "same culprit area plant/valves" in said(after["past"])) == (False, told)
    assert ("Long ago" in said(after["evidence"])) == told


def suspecting(path: str) -> Ranking:
    """A ranking whose first commit touched a file of the repository plant."""
    commit = Commit(
        sha="3f2c1ab" + "0" * 33,
        repo="plant",
        author="Bo",
        author_email="bo@example.org",
        authored_at=BEGAN,
        committed_at=BEGAN,
        subject="New valve",
        files=(FileChange(path=path),),
    )
    return Ranking(
        culprits=(Culprit(commit=commit, score=1.0, confidence=0.9),),
        confidence=Confidence.LIKELY,
        considered=1,
        repos=("plant",),
        window_from=BEGAN,
        window_to=BEGAN,
    )


def test_a_training_row_holds_what_its_channel_may_read(slack, open_incident, room):
    """A vote given after a page was made private teaches nothing of it."""
    card = open_incident.store.message("card:pd:1")
    slack.click(room, card.ts, "vote.up.next", "ana")
    open_incident.handle()
    (before,) = open_incident.store.feedback("pd:1")
    rewrite(open_incident, "group:leads")
    slack.click(room, card.ts, "vote.down.next", "ana")
    open_incident.handle()
    (after,) = open_incident.store.feedback("pd:1")

    assert ("blue reservoir" in said(before), before["judged"]["channel"]) == (True, room)
    assert "blue reservoir" not in said(after)


def test_status_names_no_incident_of_another_private_channel(slack, open_incident, room):
    """Its own channel's, and those of public channels."""
    open_incident.page("Boiler leaks", "general", incident="pd:2")
    general = slack.workspace.channel("general").id
    told = [said(open_incident.desk.status(channel=place)) for place in (room, general)]

    assert [("TurbineStalls" in words, "Boiler leaks" in words) for words in told] == [(True, True), (False, True)]
