"""What the asker may read and the channel may not: offered to them alone, sent to them alone, to nobody else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from access_world import World

from bot.standin.slack import Fault

ASKED = "how do I bleed the crimson boiler?"
SECRET = "Bleed the crimson boiler by the hidden tap."


@pytest.fixture
def boiler(slack: Any, world: World) -> World:
    """A page for the group sre, where ana is; and one for everyone."""
    slack.workspace.set_group("sre", ["ana"])
    world.write("CrimsonBoiler", SECRET, "group:sre")
    world.write("Boilers", "A crimson boiler is bled by those who know how.", "*")
    world.sync()
    return world


def click(world: World, slack: Any, person: str) -> str:
    """Somebody presses the button of the last offer; what they are told."""
    offer = next(shown for shown in reversed(slack.ephemerals) if "everyone here" in shown.text)
    slack.click_ephemeral(offer, "private.answer", person)
    world.handle()
    return str(slack.ephemerals[-1].text)


def test_there_is_more_for_the_one_who_asked(slack, boiler):
    """They are told how many documents; the channel is not told that there are any."""
    boiler.ask("general", "ana", ASKED)
    (offer,) = slack.ephemerals

    assert (offer.user, offer.text) == (
        slack.user("ana"),
        "1 more document that you can read, but not everyone here.",
    )
    assert [word for word in ("hidden tap", "CrimsonBoiler", "more document") if word in boiler.seen("general")] == []


@pytest.mark.parametrize(
    ("place", "person"), [("general", "ben"), ("vault", "ana"), ("direct", "ana"), ("direct", "ben")]
)
def test_nothing_is_offered_where_there_is_nothing_more(slack, boiler, place, person):
    """To somebody who may read no more, or where everyone may read it."""
    slack.add_channel("vault", private=True, members=[slack.bot, "ana"])
    boiler.ask(slack.direct(person) if place == "direct" else place, person, ASKED)

    assert slack.ephemerals == []


def test_the_private_answer_comes_as_a_direct_message(slack, boiler):
    """From all that they may read, and once, however often they press."""
    boiler.ask("general", "ana", ASKED)
    told = [click(boiler, slack, "ana"), click(boiler, slack, "ana")]
    messages = slack.messages(slack.direct("ana"))

    assert told == ["I have sent you what you may read, in a direct message."] * 2
    assert (len(messages), SECRET in boiler.seen(slack.direct("ana"))) == (1, True)
    assert "hidden tap" not in boiler.seen("general")


REFUSED = {
    "somebody else presses": (lambda slack, world: None, "ben", "offered to somebody else"),
    "they left the channel": (lambda slack, world: slack.leave("general", "ana"), "ana", "no longer in the channel"),
    "their account was closed": (
        lambda slack, world: setattr(slack.workspace.user("ana"), "deactivated", True),
        "ana",
        "does not say|no longer",
    ),
    "Slack is silent": (
        lambda slack, world: slack.fault("conversations.members", Fault(how="status", status=503)),
        "ana",
        "does not say just now",
    ),
    "the question is gone": (
        lambda slack, world: world.store.save_finding(f"offer:{_key(world)}", "offer", None),
        "ana",
        "no longer know this question",
    ),
}


def _key(world: World) -> str:
    return str(world.slack.ephemerals[0].blocks[1]["elements"][0]["value"])


@pytest.mark.parametrize(("happens", "person", "told"), REFUSED.values(), ids=REFUSED)
def test_who_presses_is_looked_at_when_they_do(slack, boiler, happens, person, told):
    """The offer was made to one person, under what held then."""
    boiler.ask("general", "ana", ASKED)
    happens(slack, boiler)
    answer = click(boiler, slack, person)

    assert re.search(told, answer)
    assert slack.called("conversations.open") == []


def test_a_right_that_was_lost_since_counts(slack, boiler):
    """Ana is out of the group by the time she presses, and became a guest: she gets an answer, without the page."""
    boiler.ask("general", "ana", ASKED)
    slack.workspace.set_group("sre", [])
    slack.workspace.user("ana").guest = "multi"
    boiler.pass_time(60)
    click(boiler, slack, "ana")

    assert (len(slack.messages(slack.direct("ana"))), "hidden tap" in boiler.seen(slack.direct("ana"))) == (1, False)


def test_a_private_answer_survives_slack_being_down(slack, boiler):
    """It is in the outbox, and goes out when Slack is back; so the page it rests on is looked at again."""
    boiler.ask("general", "ana", ASKED)
    slack.fault("chat.postMessage", Fault(how="refuse", error="invalid_auth"))
    click(boiler, slack, "ana")
    waiting = boiler.store.unsent_messages()
    boiler.steps.resend()

    assert (len(waiting), waiting[0].startswith("private:")) == (1, True)
    assert SECRET in boiler.seen(slack.direct("ana"))


def test_an_offer_that_cannot_be_made_costs_no_answer(slack, boiler):
    """An ephemeral message is lost now and then; the answer stands."""
    slack.fault("chat.postEphemeral", Fault(how="status", status=500))
    boiler.ask("general", "ana", ASKED)

    assert ("Re: how do I bleed" in boiler.seen("general"), slack.ephemerals) == (True, [])
