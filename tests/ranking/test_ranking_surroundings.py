"""What surrounds an incident is looked up once, as of its time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.model import Incident
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.ranker import _find
from ranking.services import MapCache
from ranking.surroundings import Surroundings, look_around

DAY = 24


def event(kind: str, hours: float, **more: str) -> ChangeEvent:
    return ChangeEvent(kind=kind, at=NOON - timedelta(hours=hours), service="checkout", **more)


@pytest.fixture
def shop(make_repo, home):
    path, shas = make_repo(
        "shop",
        [
            Change(hours=60 * DAY, message="Map", files={"services.yaml": "checkout: [cart/]\n"}),
            Change(hours=50 * DAY, message="Bring", files={"cart/a": "if on('slow_lane')\n"}),
            Change(hours=9, message="One", files={"cart/b": "1\n"}),
            Change(hours=3, message="Two", files={"cart/c": "1\n"}),
            Change(hours=1, message="Three", files={"cart/d": "1\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    return history, shas


def around(shop, events, **more) -> Surroundings:
    incident = Incident(id="local:1", title="Checkout is slow", created_at=NOON, **more)
    start = NOON - timedelta(days=14)
    return look_around(incident, [shop[0]], events, start=start, find=_find, service_repos={}, cache=MapCache())


def test_a_commit_matters_from_when_it_went_live(shop):
    """By its deploy, by the switch it is behind; else from when it was made; not at all while it is not live."""
    history, shas = shop
    events = [event("deploy", 8, sha=shas[2]), event("deploy", 2, sha=shas[3]), event("flag", 0.5, name="slow-lane")]
    context = around(shop, events, service="checkout")
    commits = history.commits_between(NOON - timedelta(days=90), NOON)[::-1]
    since = [context.since(commit) for commit in commits]
    hours = [moment and (NOON - moment).total_seconds() / 3600 for moment in since]

    assert hours == [60 * DAY, 0.5, 9, 2, None]
    assert list(context.flagged) == [shas[1]]


def test_the_service_may_be_in_the_words_only(shop):
    """Its name is then known, and counts as a guess."""
    commit = shop[0].last_commits_before(NOON, 1)[0]
    guessed, given = around(shop, []), around(shop, [], service="checkout")

    assert (guessed.services.match(commit).strength, given.services.match(commit).strength) == (0.6, 1.0)
    assert guessed.services.words == given.services.words == {"checkout"}


def test_a_service_that_only_events_tell_of_may_be_in_the_words(make_repo, home):
    """Then folders named like it are its."""
    path, _ = make_repo("mono", [Change(hours=9, message="One", files={"apps/checkout/a": "1\n"})])
    history = open_history(path, home=home)
    history.refresh()
    (commit,) = history.last_commits_before(NOON, 1)
    strengths = [
        round(around((history, []), events).services.match(commit).strength, 2)
        for events in ([], [event("deploy", 1)], [event("deploy", -1)])
    ]

    assert strengths == [0, 0.36, 0]


def test_nothing_of_the_incident_s_time_or_later_is_looked_at(shop):
    """Deploys and switches that come later change nothing."""
    late = [event("deploy", 0, sha=shop[1][3]), event("flag", -1, name="slow-lane")]
    context = around(shop, late, service="checkout")
    commits = shop[0].commits_between(NOON - timedelta(days=90), NOON)

    assert ([context.deploys.standing(commit) for commit in commits], context.switches, context.flagged) == (
        [None] * 5,
        (),
        {},
    )


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("checkout: [cart/]\n", True),
        ("", True),
        ("checkout: {cart/\n", False),
        ("services: {checkout: {a: b}}\n", False),
    ],
)
def test_a_map_that_is_not_understood_is_told(text, understood, make_repo, home):
    """Its team believes that it counts."""
    path, _ = make_repo("shop", [Change(hours=9, message="Map", files={"services.yaml": text, "a": "1\n"})])
    history = open_history(path, home=home)
    history.refresh()

    told = [gap.startswith("services.yaml of repository 'shop': ") for gap in around((history, []), []).gaps]
    assert told == ([] if understood else [True])
