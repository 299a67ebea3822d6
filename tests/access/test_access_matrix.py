"""Twenty people, fifty documents, ten channels, and a thousand questions while people come and go (CONTRACTS.md, fault 25)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from access_world import World

from bot.audience import FRESH_S

PEOPLE, DOCUMENTS, CHANNELS, QUESTIONS = 20, 50, 10, 1_000
GROUPS = ("sre", "dba", "network", "staff", "leads")
#: "staff" and "leads" are in the settings, the others in Slack.
IN_SETTINGS = ("staff", "leads")


class Truth:
    """Who may read what, worked out from the facts alone: one person and one document at a time."""

    def __init__(self, slack: Any, chance: random.Random) -> None:
        self.slack, self.chance = slack, chance
        self.names = [f"p{number:02}" for number in range(PEOPLE)]
        self.standing = dict.fromkeys(self.names, "own") | {"p17": "guest", "p18": "hidden", "p19": "outsider"}
        for name in self.names:
            account = slack.workspace.user(slack.user(name))
            account.guest = "multi" if self.standing[name] == "guest" else ""
            account.team = "T0OTHER" if self.standing[name] == "outsider" else account.team
            account.email = None if self.standing[name] == "hidden" else account.email
        self.groups = {name: set(chance.sample(self.names, 8)) for name in GROUPS}
        for name in set(GROUPS) - set(IN_SETTINGS):
            slack.workspace.set_group(name, sorted(self.groups[name]))
        insiders = [*self.names[:17], "p18"]
        self.channels = [
            slack.add_channel(
                f"room-{number}", private=number >= 3, members=[slack.bot, *chance.sample(insiders, 2 + number // 2)]
            )
            for number in range(CHANNELS)
        ]
        self.readers = {f"doc-{number:02}": self._some_readers(number) for number in range(DOCUMENTS)}

    def _some_readers(self, number: int) -> tuple[str, ...]:
        if number < 10:
            return ("*",)
        if number < 12:
            return ()
        possible = [f"user:{name}@example.org" for name in self.names] + [f"group:{name}" for name in GROUPS] * 4
        return tuple(self.chance.sample([*possible, *self.channels], 1 + number % 4))

    def settings(self) -> dict[str, list[str]]:
        return {name: [f"{person}@example.org" for person in sorted(self.groups[name])] for name in IN_SETTINGS}

    def person_may(self, name: str, document: str, channel: str) -> bool:
        standing, readers = self.standing[name], self.readers[document]
        if standing == "outsider":
            return False
        known = standing != "hidden"
        return (
            ("*" in readers and standing != "guest")
            or channel in readers
            or (known and f"user:{name}@example.org" in readers)
            or any(
                f"group:{group}" in readers and name in self.groups[group] and (known or group not in IN_SETTINGS)
                for group in GROUPS
            )
        )

    def channel_may(self, channel: str, document: str) -> bool:
        place = self.slack.workspace.channel(channel)
        names = [self.slack.workspace.users[one].name for one in place.members if one != self.slack.bot]
        anybody = {"*", channel} & set(self.readers[document])
        if place.kind == "channel" and not anybody:
            return False
        return (bool(names) or place.kind == "channel") and all(
            self.person_may(name, document, channel) for name in names
        )


@pytest.fixture
def peopled(slack, make):
    """The world with its truth, its documents indexed; the dice fall the same every time."""
    truth = Truth(slack, random.Random(25))
    world = make(groups=truth.settings())
    for name, readers in truth.readers.items():
        world.write(name, f"How to repair the {name} turbine: turn valve {name} twice.", *readers)
    world.sync()
    return world, truth


def happen(world: World, truth: Truth) -> None:
    """Somebody comes or goes, a group or a document changes; half of the time Slack tells of it, else time passes."""
    chance, slack = truth.chance, truth.slack
    channel, name = chance.choice(truth.channels), chance.choice(truth.names)
    what = chance.choice(["join", "leave", "leave", "group", "publish", "readers"])
    if what == "join" and len(slack.workspace.channel(channel).members) < 6:
        slack.join(channel, name)
    elif what in ("join", "leave"):
        slack.leave(channel, name)
    elif what == "group":
        group = chance.choice(["sre", "dba", "network"])
        truth.groups[group] ^= {name}
        slack.workspace.set_group(group, sorted(truth.groups[group]))
    elif what == "publish" and chance.random() < 0.05:
        slack.publish(channel)
    elif what == "readers":
        document = f"doc-{chance.randrange(12, DOCUMENTS):02}"
        truth.readers[document] = truth._some_readers(chance.randrange(DOCUMENTS))
        world.write(document, world.shelf.held[document].text, *truth.readers[document])
        world.sync()
    if what in ("join", "leave") and chance.random() < 0.5:
        world.handle()
    else:
        world.pass_time(FRESH_S + 1)


def test_no_question_finds_what_not_everyone_may_read(peopled):
    """And each finds what everyone may; the dice make sure that both happen often."""
    world, truth = peopled
    unauthorised, missed, found, denied = [], [], 0, 0
    for number in range(QUESTIONS):
        if number % 5 == 0:
            happen(world, truth)
        channel, document = truth.chance.choice(truth.channels), f"doc-{truth.chance.randrange(DOCUMENTS):02}"
        audience = world.gate.present(channel).audience
        passages, _, _ = world.investigator.search(f"{document} turbine", None, limit=6, audience=audience)
        names = [passage.doc_id for passage in passages]
        # The check on showing agrees with the one inside the query.
        pieces = frozenset(str(passage.piece) for passage in passages)
        assert world.gate.readable(pieces, audience) == pieces
        unauthorised += [(channel, name) for name in names if not truth.channel_may(channel, name)]
        if truth.channel_may(channel, document):
            missed += [(channel, document)] if document not in names else []
            found += document in names
        else:
            denied += 1

    assert (unauthorised, missed) == ([], [])
    assert min(found, denied) > QUESTIONS // 5
