"""Who is in a channel, as readers: from Slack's own words, and nothing where Slack says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from access_world import World

from bot.audience import BULK, FRESH_S, INFO_PER_MIN, PAGES_PER_MIN, STALE_S
from bot.standin.slack import Fault

SLACK_IS_DOWN = Fault(how="status", status=503)


def private(slack: Any, *people: str) -> str:
    """A private channel with these people and the bot."""
    return str(slack.add_channel("war-room", private=True, members=[slack.bot, *people]))


def reads(world: World, channel: str, *readers: str) -> bool:
    """Whether everyone in the channel may read what these may."""
    return world.audiences.of_channel(channel).audience.may_read(readers)


def account(slack: Any, name: str) -> Any:
    return slack.workspace.user(slack.user(name))


def test_a_private_channel_is_its_people(slack, world):
    """What all of them may read: their channel's, their group's, what names each of them, and what is for everyone."""
    room = private(slack, "ana", "ben")
    slack.workspace.set_group("sre", ["ana", "ben"])
    slack.workspace.set_group("dba", ["ana"])
    ana, ben = "user:ana@example.org", "user:ben@example.org"

    assert [
        reads(world, room, *readers)
        for readers in [("*",), (room,), ("group:sre",), (ana, ben), (ana, "group:sre"), ("group:dba",), (ana,), ()]
    ] == [True, True, True, True, True, False, False, False]


def test_a_public_channel_is_everyone_in_the_company(slack, world):
    """Nobody needs to join it to read it."""
    slack.workspace.set_group("sre", ["ana", "ben"])
    general = slack.workspace.channel("general").id

    assert [reads(world, general, *readers) for readers in [("*",), (general,), ("group:sre",)]] == [True, True, False]


def test_a_direct_channel_is_one_person(slack, world):
    """All that they may read, wherever they are."""
    room, direct = private(slack, "ana"), slack.direct("ana")

    assert [reads(world, direct, *readers) for readers in [("user:ana@example.org",), (room,), (direct,)]] == [
        True,
        True,
        False,
    ]


def test_groups_that_slack_does_not_know_come_from_the_settings(slack, make):
    """They win over a group of Slack's of the same name; * is everyone in the company, guests not among them."""
    world = make(groups={"SRE": ["Ana@Example.org"], "staff": ["*"]})
    slack.workspace.set_group("sre", ["ben"])
    room, general = private(slack, "ana"), slack.workspace.channel("general").id
    account(slack, "ben").guest = "multi"
    beside = slack.add_channel("beside", private=True, members=[slack.bot, "ben"])

    assert [
        reads(world, room, "group:sre"),
        reads(world, room, "group:staff"),
        reads(world, general, "group:staff"),
    ] == [
        True,
        True,
        False,  # ben, a guest, is in it
    ]
    assert [reads(world, beside, "group:sre"), reads(world, beside, "group:staff")] == [False, False]


GUESTS = {
    "a guest": (lambda slack: setattr(account(slack, "ben"), "guest", "multi"), "a guest in this channel"),
    "a guest of one channel": (lambda slack: setattr(account(slack, "ben"), "guest", "single"), "a guest"),
    "somebody of another company": (lambda slack: setattr(account(slack, "ben"), "team", "T0OTHER"), "another company"),
    "a channel shared with a company": (
        lambda slack: setattr(slack.workspace.channel("war-room"), "ext_shared", True),
        "another company",
    ),
}


@pytest.mark.parametrize(("happens", "said"), GUESTS.values(), ids=GUESTS)
@pytest.mark.parametrize("share", [False, True])
def test_whoever_is_not_of_the_company_reads_nothing_that_is_for_everyone_in_it(slack, make, happens, said, share):
    """Unless the settings say so; what is left out is said."""
    world, room = make(share_with_guests=share), private(slack, "ana", "ben")
    happens(slack)
    present = world.audiences.of_channel(room)

    assert present.audience.may_read(["*"]) is share
    assert any(said in gap for gap in present.gaps) is not share


def test_a_guest_reads_what_names_them_and_a_stranger_does_not(slack, make):
    """By e-mail, group or channel, a guest was let in; a stranger's address is not ours to trust."""
    world, room = make(share_with_guests=True), private(slack, "ben")
    slack.workspace.set_group("partners", ["ben"])
    named = [("user:ben@example.org",), ("group:partners",), (room,)]
    account(slack, "ben").guest = "multi"
    guest = [reads(world, room, *readers) for readers in named]
    account(slack, "ben").team = "T0OTHER"
    world.pass_time(FRESH_S + 1)

    assert (guest, [reads(world, room, *readers) for readers in named]) == ([True] * 3, [False] * 3)


def test_bots_and_closed_accounts_are_nobody(slack, world):
    """They need nobody's leave, and an empty room reads nothing."""
    robot = slack.workspace.add_user("jenkins", is_bot=True)
    room = private(slack, "ana", robot, "ben")
    account(slack, "ben").deactivated = True
    empty = slack.add_channel("empty", private=True, members=[slack.bot, robot])

    assert (reads(world, room, "user:ana@example.org"), reads(world, empty, "*")) == (True, False)


@pytest.mark.parametrize(("what", "value"), [("email", None), ("email", "nonsense"), ("confirmed", False)])
def test_an_address_that_is_hidden_or_not_proved_grants_nothing(slack, world, what, value):
    """Neither does the lack of it take away what is for everyone; what is left out is said."""
    room = private(slack, "ana")
    setattr(account(slack, "ana"), what, value)
    present = world.audiences.of_channel(room)

    assert [present.audience.may_read([one]) for one in ("*", "user:ana@example.org")] == [True, False]
    assert "e-mail" in present.gaps[0]


DOWN = {
    "the members": ("conversations.members", SLACK_IS_DOWN, "does not say who"),
    "our channels": ("users.conversations", SLACK_IS_DOWN, "does not say who"),
    "a person": ("users.info", SLACK_IS_DOWN, "does not say who"),
    "the scope": ("users.info", Fault(how="refuse", error="missing_scope"), "does not say who"),
    "a closed window": ("conversations.members", Fault(how="rate_limit", seconds=60), "does not say who"),
    "one account": ("users.info", Fault(how="refuse", error="user_is_odd"), "does not say who"),
    "an account that we may not see": ("users.info", Fault(how="refuse", error="user_not_visible"), "another company"),
}


@pytest.mark.parametrize(("method", "fault", "said"), DOWN.values(), ids=DOWN)
def test_what_slack_does_not_say_denies(slack, world, method, fault, said):
    """And is asked again the next time."""
    room = private(slack, "ana")
    slack.fault(method, fault, times=1)
    present = world.audiences.of_channel(room)

    assert (present.audience.may_read(["*"]), present.gaps[0].find(said) > 0) == (False, True)


def test_groups_that_cannot_be_read_are_nobodys(slack, world):
    """What is for everyone stays."""
    room = private(slack, "ana")
    slack.workspace.set_group("sre", ["ana"])
    slack.fault("usergroups.list", SLACK_IS_DOWN)
    present = world.audiences.of_channel(room)

    assert [present.audience.may_read([one]) for one in ("*", "group:sre")] == [True, False]
    assert present.gaps == ("documents for groups, because Slack does not tell its user groups",)


def test_a_plan_without_groups_lacks_nothing(slack, world):
    """It is no gap that a workspace has none."""
    room = private(slack, "ana")
    slack.fault("usergroups.list", Fault(how="refuse", error="plan_upgrade_required"))

    assert world.audiences.of_channel(room).gaps == ()


def test_what_was_known_stands_for_a_moment_when_slack_falls_silent(slack, world):
    """And not a moment longer."""
    room = private(slack, "ana")
    answers = [reads(world, room, "*")]
    slack.fault("conversations.members", SLACK_IS_DOWN, times=9)
    for seconds in (FRESH_S + 1, STALE_S - FRESH_S):
        world.pass_time(seconds)
        answers.append(reads(world, room, "*"))

    assert answers == [True, True, False]


CHANGES = {
    "somebody joins": (("ana",), lambda slack, room: slack.join(room, "ben"), True, False),
    "somebody leaves": (("ana", "ben"), lambda slack, room: slack.leave(room, "ben"), False, True),
    "the channel is made public": (("ana",), lambda slack, room: slack.publish(room), True, False),
    "the channel is shared": (
        ("ana",),
        lambda slack, room: setattr(slack.workspace.channel(room), "ext_shared", True),
        True,
        False,
    ),
    "a group loses somebody": (("ana",), lambda slack, room: slack.workspace.set_group("sre", []), True, False),
    "somebody changes company": (
        ("ana",),
        lambda slack, room: setattr(account(slack, "ana"), "team", "T0"),
        True,
        False,
    ),
}


@pytest.mark.parametrize(("people", "happens", "before", "after"), CHANGES.values(), ids=CHANGES)
def test_a_change_counts_within_a_minute_though_no_event_told_of_it(slack, world, people, happens, before, after):
    """What Slack said is asked again after seconds."""
    slack.workspace.set_group("sre", ["ana"])
    room = private(slack, *people)
    first = reads(world, room, "group:sre")
    happens(slack, room)
    world.pass_time(FRESH_S + 1)

    assert (first, reads(world, room, "group:sre")) == (before, after)


@pytest.mark.parametrize(("people", "act"), [(("ana",), "join"), (("ana", "ben"), "leave")])
def test_an_event_counts_at_once(slack, world, people, act):
    """Slack tells of who joins and leaves the channels that the bot is in."""
    room = private(slack, *people)
    first = reads(world, room, "user:ana@example.org")
    getattr(slack, act)(room, "ben")
    world.handle()

    assert (first, reads(world, room, "user:ana@example.org")) == (act == "join", act == "leave")


def test_a_question_a_minute_asks_slack_little(slack, world):
    """A channel within its seconds costs no call; one after them costs a few, and one a person."""
    room = private(slack, "ana", "ben")
    world.audiences.of_channel(room)
    slack.calls.clear()
    world.audiences.of_channel(room)
    nothing = len(slack.calls)
    world.pass_time(FRESH_S + 1)
    world.audiences.of_channel(room)

    assert (nothing, sorted(call.method for call in slack.calls)) == (
        0,
        ["conversations.members", "usergroups.list", "users.conversations", "users.info", "users.info"],
    )


def test_many_channels_cost_a_call_each(slack, world):
    """What kind each is, is told of all of them at once."""
    rooms = [slack.add_channel(f"inc-{n}", private=True, members=[slack.bot, "ana"]) for n in range(30)]
    slack.calls.clear()
    for room in rooms:
        world.audiences.of_channel(room)

    assert (len(slack.called("users.conversations")), len(slack.called("conversations.members"))) == (1, 30)
    assert slack.called("conversations.info") == []


def test_a_large_channel_is_read_by_pages(slack, world):
    """Not by a call for each person; strangers to the directory are asked one by one."""
    people = [f"p{number}" for number in range(BULK + 5)]
    for name in people:
        slack.user(name)
    account(slack, "p3").team = "T0OTHER"
    room = private(slack, *people)
    present = world.audiences.of_channel(room)

    assert (len(present.people), present.audience.may_read(["*"])) == (len(people), False)
    assert (len(slack.called("users.list")), len(slack.called("users.info"))) == (1, 1)


def test_only_a_public_channel_of_the_company_alone_is_public(slack, world):
    """What one says to its members, or where others read along, is not for everyone. Unknown is no."""
    shared = slack.workspace.channel(slack.add_channel("shared", members=[slack.bot]))
    shared.ext_shared = True
    places = [slack.workspace.channel("general").id, private(slack, "ana"), shared.id, "C0NOWHERE1"]

    assert [world.audiences.is_public(place) for place in places] == [True, False, False, False]


PEOPLE = {
    "becomes a guest": {"guest": "multi"},
    "changes their address": {"email": "ana@elsewhere.example"},
    "no longer has it confirmed": {"confirmed": False},
}


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("changed", PEOPLE.values(), ids=PEOPLE)
def test_what_somebody_is_counts_at_once_by_its_event_and_soon_without(slack, world, changed, heard):
    """A guest is not everyone in the company, and an address that is no longer theirs names somebody else."""
    room, reader = private(slack, "ana"), "*" if "guest" in changed else "user:ana@example.org"
    first = reads(world, room, reader)
    slack.workspace.set_account("ana", **changed)
    if heard:
        world.handle()
    else:
        slack.dispatches.clear()
        world.pass_time(FRESH_S + 1)

    assert (first, reads(world, room, reader)) == (True, False)


def test_who_left_a_group_is_not_of_it_at_once_by_the_event(slack, world):
    """Also in a channel that was asked about this very second."""
    slack.workspace.set_group("sre", ["ana"])
    room = private(slack, "ana")
    first = reads(world, room, "group:sre")
    slack.workspace.set_group("sre", ["ben"])
    world.handle()

    assert (first, reads(world, room, "group:sre")) == (True, False)


def test_an_event_of_a_stranger_costs_nothing(slack, world):
    """Profiles of a large company change all day."""
    room = private(slack, "ana")
    world.handle()
    world.audiences.of_channel(room)
    slack.calls.clear()
    slack.workspace.set_account("ben", email="ben@elsewhere.example")
    world.handle()
    world.audiences.of_channel(room)

    assert slack.calls == []


def test_no_word_of_slacks_is_older_than_a_minute_when_it_falls_silent(slack, world):
    """A channel asked about on the last second of a person's word stands no longer than that word may."""
    room = private(slack, "ana")
    world.audiences.of_person(slack.user("ana"))
    world.pass_time(FRESH_S - 1)
    answers = [reads(world, room, "*")]
    for method in ("conversations.members", "users.info", "users.list", "users.conversations"):
        slack.fault(method, SLACK_IS_DOWN, times=99)
    for seconds in (STALE_S - FRESH_S, 2):
        world.pass_time(seconds)
        answers.append(reads(world, room, "*"))

    assert answers == [True, True, False]


def test_many_small_channels_do_not_ask_about_each_person(slack, world):
    """Past what Slack allows in a minute the directory is read instead, once for all of them."""
    rooms = []
    for number in range(12):
        people = [f"p{number}-{one}" for one in range(10)]
        rooms.append(slack.add_channel(f"inc-{number}", private=True, members=[slack.bot, *people]))
    for _ in range(3):
        slack.calls.clear()
        for room in rooms:
            assert reads(world, room, "*")
        world.pass_time(FRESH_S + 1)

    assert (len(slack.called("users.info")) <= INFO_PER_MIN, len(slack.called("users.list"))) == (True, 1)


def test_a_long_directory_is_read_no_more_often_than_slack_allows(slack, world, monkeypatch):
    """People of many channels are then asked about less often; those of one small channel as ever."""
    monkeypatch.setattr("bot.audience.PAGE", 5)
    people = [f"p{number}" for number in range(BULK + 5)]
    large = private(slack, *people)
    small = slack.add_channel("small", private=True, members=[slack.bot, "ana"])
    pages = 1 + len(slack.workspace.users) // 5
    world.audiences.of_channel(large)
    world.pass_time(FRESH_S + 1)
    slack.calls.clear()
    world.audiences.of_channel(large)
    again = len(slack.called("users.list"))
    world.audiences.of_channel(small)
    world.pass_time(pages * 60 / PAGES_PER_MIN)
    world.audiences.of_channel(large)

    assert (again, len(slack.called("users.list")) > 0, len(slack.called("users.info"))) == (0, True, 1)
