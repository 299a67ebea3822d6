"""The card's button "What else may I read?": the same on every card, and an answer for whoever presses it alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from access_world import World

from bot.standin.slack import Fault

SECRET = "Bleed the crimson boiler by the hidden tap."
NOTHING = "Nothing that you may read fits this incident, beside what the card shows to everyone here."


@pytest.fixture
def boiler(slack: Any, world: World) -> World:
    """A page for the group sre, where ana is and ben is not; one for everyone; and both of them in the incident's channel."""
    slack.workspace.set_group("sre", ["ana"])
    slack.join("general", "ben")
    world.write("CrimsonBoiler", SECRET, "group:sre")
    world.write("Boilers", "A crimson boiler is bled by those who know how.", "*")
    world.sync()
    world.page("crimson boiler leaks", "general")
    world.handle()
    return world


def press(world: World, slack: Any, person: str) -> str:
    """Somebody presses the button on the card; all that they are shown, as one text."""
    card = world.store.message("card:pd:1")
    assert card is not None and card.ts is not None
    before = len(slack.ephemerals)
    slack.click("general", card.ts, "private.more", person)
    world.handle()
    (shown,) = slack.ephemerals[before:]
    assert shown.user == slack.user(person)
    return json.dumps([shown.text, shown.blocks], ensure_ascii=False)


def test_whoever_presses_is_shown_what_they_may_read(slack: Any, boiler: World):
    """Ana sees the page of her group, and not again what the card has; ben is told nothing of it."""
    ana, ben = (press(boiler, slack, person) for person in ("ana", "ben"))

    assert ("For you alone" in ana, SECRET in ana, "those who know how" in ana) == (True, True, False)
    assert NOTHING in ben and [word for word in ("CrimsonBoiler", "hidden tap") if word in ben] == []


def test_nothing_of_it_is_kept_or_said_to_the_channel(slack: Any, boiler: World):
    """Neither in what is stored, nor in any message."""
    press(boiler, slack, "ana")

    assert [
        word for word in ("CrimsonBoiler", "hidden tap") if word in boiler.everything_kept() + boiler.seen("general")
    ] == []


def test_the_button_tells_nothing_by_being_there(slack: Any, boiler: World):
    """A card beside which nobody may read more has it as well, and ben's answer there is the same."""
    hidden = press(boiler, slack, "ben")
    message = boiler.store.message("card:pd:1")
    boiler.shelf.held.pop("CrimsonBoiler")
    boiler.sync()
    boiler.steps.show("pd:1")
    plain = boiler.store.message("card:pd:1")
    assert message is not None and plain is not None

    assert (plain.body, press(boiler, slack, "ben")) == (message.body, hidden)
    assert "private.more" in json.dumps(plain.body)


def _out_of_the_group(slack: Any, world: World) -> None:
    slack.workspace.set_group("sre", [])
    world.pass_time(60)


def _closed_after_the_search(slack: Any, world: World) -> None:
    gather = world.investigator.gather

    def closing(*args: Any, **kwargs: Any) -> Any:
        found = gather(*args, **kwargs)
        world.write("CrimsonBoiler", SECRET, "group:board")
        world.sync()
        return found

    world.investigator.gather = closing  # type: ignore[method-assign]


LOST = {
    "out of the group": (_out_of_the_group, NOTHING),
    "left the channel": (lambda slack, world: slack.leave("general", "ana"), "not in this incident's channel"),
    "Slack is silent": (
        lambda slack, world: slack.fault("conversations.members", Fault(how="status", status=503)),
        "does not say just now",
    ),
    "closed after the search": (_closed_after_the_search, NOTHING),
}


@pytest.mark.parametrize(("happens", "told"), LOST.values(), ids=LOST)
def test_what_holds_when_they_press_counts(slack: Any, boiler: World, happens: Any, told: str):
    """Asked of Slack anew, and of the index once more before it is shown."""
    happens(slack, boiler)
    answer = press(boiler, slack, "ana")

    assert (told in answer, "hidden tap" in answer) == (True, False)
