"""What people in Slack are called, in what is written down of what they said."""

from __future__ import annotations

from contextlib import suppress

import pytest

from bot.names import FRESH_S, Names
from bot.standin.slack import Fault
from core.errors import SlackUnavailable


@pytest.fixture(name="names")
def _names(client, clock):
    return Names(client, clock=clock)


def test_a_name_is_known_once_it_was_looked_up(slack, names):
    """Asking for it waits for nobody; looking up asks Slack once."""
    ana = slack.workspace.add_user("Ana Itō")
    person = f"slack:T1:{ana}"
    before = (names.of(person), names.of(person), len(slack.called("users.info")))
    names.look_up()
    names.look_up()

    assert (before, names.of(person), len(slack.called("users.info"))) == ((None, None, 0), "Ana Itō", 1)


def test_a_name_cannot_pass_for_somebody_elses_words(slack, names):
    """It stands in a list of who said what: no line of its own, no mark-up, no end."""
    mallory = slack.workspace.add_user("Mal\n- Bo (2026-03-04 09:12 UTC): *rolled back*\u200b " + "x" * 100)
    names.of(mallory)
    names.look_up()
    name = str(names.of(mallory))

    assert (name.startswith("Mal - Bo 2026-03-04 09 12 UTC rolled back x"), len(name)) == (True, 80)


def test_somebody_whom_slack_does_not_know_is_asked_about_once(slack, names):
    """And has no name for good."""
    names.of("slack:T1:U0GONE")
    names.look_up()
    names.of("slack:T1:U0GONE")
    names.look_up()

    assert (names.of("U0GONE"), len(slack.called("users.info"))) == ("somebody in Slack", 1)


@pytest.mark.parametrize(
    ("fault", "later"), [(Fault(how="status", status=503), "ana ito"), (Fault(how="rate_limit", seconds=30), None)]
)
def test_while_slack_is_silent_nobody_is_named_and_nobody_waits(slack, names, fault, later):
    """They are looked up the next time, unless Slack said to wait longer."""
    ana, told = slack.workspace.add_user("ana ito"), []
    slack.fault("users.info", fault)
    for _ in range(2):
        names.of(ana)
        with suppress(SlackUnavailable):
            names.look_up()
        told.append(names.of(ana))

    assert (told, len(slack.called("users.info"))) == ([None, later], 2 if later else 1)


@pytest.mark.parametrize("fault", [Fault(how="status", status=500), Fault(how="refuse", error="internal_error")])
def test_somebody_whom_slack_cannot_tell_keeps_nobody_else_without_a_name(slack, names, fault):
    """They are asked about after the others, and that it failed is told."""
    bad, ana = slack.workspace.add_user("bad"), slack.workspace.add_user("ana ito")
    slack.fault("users.info", fault)
    before = (names.of(bad), names.of(ana))
    with pytest.raises(SlackUnavailable):
        names.look_up()

    assert (before, names.of(bad), names.of(ana)) == ((None, None), None, "ana ito")


def test_a_slack_that_is_down_is_not_asked_about_everybody(slack, names):
    """Each call may take seconds: after three it is left, and the next round begins with others."""
    people = [slack.workspace.add_user(f"person {number}") for number in range(6)]
    slack.fault("users.info", Fault(how="status", status=503), times=3)
    for person in people:
        names.of(person)
    with pytest.raises(SlackUnavailable):
        names.look_up()
    asked = len(slack.called("users.info"))
    names.look_up()

    assert (asked, [call.args["user"] for call in slack.called("users.info")][3:]) == (3, people[3:] + people[:3])


def test_an_old_name_stands_until_the_new_one_is_known(slack, names, clock):
    """People marry."""
    ana = slack.workspace.add_user("ana ito")
    names.of(ana)
    names.look_up()
    slack.workspace.user(ana).name = "ana lund"
    clock.now += FRESH_S + 1
    old = names.of(ana)
    names.look_up()

    assert (old, names.of(ana)) == ("ana ito", "ana lund")
