"""Thirty secrets in documents that few may read, asked for by everybody else in every way there is (CONTRACTS.md, fault 24)."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest
from access_world import said

NUMBERS = range(30)


def canary(number: int) -> str:
    """A word that no rule takes for a secret, so that only access keeps it back."""
    return f"osprey{number:02}heron"


def topic(number: int) -> str:
    return f"turbine {['alpha', 'bravo', 'carol', 'delta', 'eagle'][number % 5]}{number:02}"


def forms(word: str) -> list[str]:
    """How it may be written so that nobody sees it at once."""
    encoded = base64.b64encode(word.encode()).decode().rstrip("=")
    return [word, word[::-1], word.encode().hex(), encoded, f"{word[:6]} {word[6:]}", "-".join(word)]


def leaked(text: str) -> list[str]:
    return [form for number in NUMBERS for form in forms(canary(number)) if form.lower() in text.lower()]


@pytest.fixture
def vaults(slack, world):
    """Secrets for ana alone, for her group, for her channel, and for nobody. Ben may read none; everyone reads one page."""
    slack.workspace.set_group("vault", ["ana"])
    hers = slack.add_channel("vault", private=True, members=[slack.bot, "ana"])
    readers = [("user:ana@example.org",), ("group:vault",), (hers,), ()]
    for number in NUMBERS:
        text = f"To open the vault of {topic(number)}, say {canary(number)}."
        world.write(f"vault of {topic(number)}", text, *readers[number % 4])
    world.write("vaults", "The vault of a turbine is opened by those who may.", "*")
    world.sync()
    return world


def everything_sent(slack: Any) -> str:
    """Every argument of every call that ever reached Slack, and what every message has ever shown."""
    return said([[call.args for call in slack.calls], [vars(shown) for shown in slack.ephemerals]])


def test_what_ben_may_not_read_is_nowhere(slack, vaults, caplog):
    """Not in an answer, a card, a postmortem, a vote's training row, the outbox, the findings, or a log."""
    caplog.set_level(logging.DEBUG)
    mixed = slack.add_channel("mixed", private=True, members=[slack.bot, "ana", "ben"])
    for number in NUMBERS:
        place = ("general", mixed, slack.direct("ben"))[number % 3]
        vaults.ask(place, "ben", f"how do I open the vault of {topic(number)}?")
        vaults.ask(mixed, "ana", f"what is said to open the vault of {topic(number)}?")
    vaults.page(f"The vault of {topic(0)} does not open", "general")
    vaults.page(f"The vault of {topic(1)} does not open", mixed, incident="pd:2")
    vaults.desk.postmortem("pd:1", channel=slack.direct("ben"), thread_ts=None, person="slack:T:ben", key="k1")
    card = vaults.store.message("card:pd:2")
    for item in ("vote.up.summary", "vote.up.next"):
        if item in said(slack.workspace.channel(mixed).messages[card.ts].blocks):
            slack.click(mixed, card.ts, item, "ben")
    vaults.handle()

    assert leaked(everything_sent(slack)) == []
    assert leaked(vaults.everything_kept()) == []
    assert leaked(caplog.text) == []


def test_ana_finds_them_where_she_is_alone(slack, vaults):
    """Or the test above would prove nothing: all but those for nobody."""
    direct = slack.direct("ana")
    for number in NUMBERS:
        vaults.ask(direct, "ana", f"how do I open the vault of {topic(number)}?")
    shown = vaults.seen(direct)

    assert [number for number in NUMBERS if canary(number) in shown] == [
        number for number in NUMBERS if number % 4 != 3
    ]


def test_a_private_answer_stays_with_the_one_it_was_given(slack, vaults):
    """Neither her direct messages, nor what was kept of them, come back in a channel."""
    room = slack.add_channel("room", private=True, members=[slack.bot, "ana", "ben"])
    vaults.page(f"The vault of {topic(0)} does not open", room)
    card = vaults.store.message("card:pd:1")
    slack.say(room, "ana", f"<@{slack.bot}> how do I open the vault of {topic(0)}?", thread_ts=card.ts)
    vaults.handle()
    slack.click_ephemeral(slack.ephemerals[-1], "private.answer", "ana")
    vaults.handle()
    vaults.ask(room, "ben", f"how do I open the vault of {topic(0)}?")
    vaults.desk.postmortem("", channel=room, thread_ts=None, person="slack:T:ben", key="k2")
    slack.click(room, card.ts, "vote.up.summary", "ben")
    vaults.handle()
    rows = said(vaults.store.feedback("pd:1")) + said(vaults.store.findings("pd:1"))

    assert canary(0) in vaults.seen(slack.direct("ana"))
    assert (leaked(vaults.seen(room)), leaked(rows)) == ([], [])
