"""Labels from what people said in Slack, and how they join those from elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON

from core.model import Feedback, Vote, to_json
from ranking.labels.cases import Labelled
from ranking.labels.feedback import feedback_cases, join_cases, origin_of

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40


def said(item: str, vote: Vote, person: str = "ada", *, minute: int = 0, incident: str = "pd:Q1", **judged) -> dict:
    """A row as the store gives it; the ranking on show had ONE first, then TWO."""
    word = Feedback(
        incident_id=incident,
        item=item,
        person=person,
        vote=vote,
        at=NOON + timedelta(hours=1, minutes=minute),
        release="features-1",
    )
    told = {"title": "checkout is down", "description": "500s", "service": "shop", "created_at": NOON.timestamp()}
    finding = {"ranking": [{"sha": ONE, "repo": "shop", "score": 2.0}, {"sha": TWO, "repo": "shop", "score": 1.0}]}
    return {**to_json(word), "judged": {"incident": told, "finding": finding, **judged}}


def named(sha: str, person: str = "ada", minute: int = 0) -> dict:
    return said(f"commit:{sha}", Vote.CULPRIT, person, minute=minute)


def test_a_named_culprit_is_a_label():
    """The incident as it was told, and the commit."""
    assert feedback_cases([named(TWO)]) == [
        Labelled(
            id="feedback:pd:Q1",
            title="checkout is down",
            description="500s",
            service="shop",
            created_at=NOON.timestamp(),
            culprits=(TWO,),
        )
    ]


UP, DOWN = said("cause", Vote.UP, "bob"), said("cause", Vote.DOWN, "bob")


@pytest.mark.parametrize(
    ("rows", "culprits"),
    [
        pytest.param([named(ONE), named(TWO, "bob"), named(TWO, "eve")], [TWO], id="most people win"),
        pytest.param([named(ONE), named(TWO, "bob")], [], id="a tie is no label"),
        pytest.param([named(ONE), named(THREE, minute=5), named(ONE, "bob")], [], id="one voice a person, the last"),
        pytest.param([named(THREE, minute=5), named(ONE)], [THREE], id="the last by time, not by order"),
        pytest.param([UP], [ONE], id="a thumb up agrees with the first"),
        pytest.param([UP, named(TWO)], [TWO], id="naming one beats a thumb"),
        pytest.param([DOWN], [], id="a thumb down names nobody"),
        pytest.param([UP, said("cause", Vote.DOWN, "eve")], [], id="one up, one down: they disagree"),
        pytest.param(
            [UP, said("cause", Vote.UP, "ada"), said("cause", Vote.DOWN, "eve")], [ONE], id="two up, one down"
        ),
        pytest.param([named(TWO), said(f"commit:{TWO}", Vote.DOWN, "bob")], [], id="one names it, one says it is not"),
        pytest.param(
            [named(TWO), said("cause", Vote.DOWN, "bob")], [TWO], id="a thumb down on the first says nothing of another"
        ),
        pytest.param([named(ONE), said("cause", Vote.DOWN, "bob")], [ONE], id="naming one beats a thumb down too"),
        pytest.param(
            [said("cause", Vote.DOWN, "ada"), named(ONE)], [ONE], id="naming it is a person's last word on it"
        ),
        pytest.param([said(f"commit:{ONE}", Vote.DOWN)], [], id="nor does one on a commit"),
        pytest.param([said(f"commit:{ONE}", Vote.UP)], [], id="a thumb up on a commit is not its name"),
        pytest.param([said("summary", Vote.UP)], [], id="nor one on the summary"),
        pytest.param([said("cause", Vote.UP, finding=None)], [], id="nothing was ranked"),
        pytest.param([said("cause", Vote.UP, finding={"ranking": []})], [], id="an empty ranking"),
        pytest.param([], [], id="nobody said anything"),
    ],
)
def test_people_s_votes_make_at_most_one_label(rows, culprits):
    """Never one that they disagree on, and never of a thumb down."""
    assert [sha for case in feedback_cases(rows) for sha in case.culprits] == culprits


def test_each_incident_is_its_own_label():
    """Oldest first, whoever voted first."""
    later = said(f"commit:{TWO}", Vote.CULPRIT, incident="pd:Q2", minute=-30)
    later["judged"]["incident"] = {**later["judged"]["incident"], "created_at": NOON.timestamp() + 60}

    assert [case.id for case in feedback_cases([later, named(ONE)])] == ["feedback:pd:Q1", "feedback:pd:Q2"]


def label(name: str, sha: str = ONE, hours: float = 0.0, **more) -> Labelled:
    at = NOON.timestamp() + 3600 * hours
    return Labelled(id=name, title="it is down", created_at=at, culprits=(sha,) if sha else (), **more)


def test_one_incident_told_twice_is_learned_once():
    """The same culprit within a day is the same incident, and the first origin is believed."""
    joined = join_cases(
        [label("feedback:pd:Q1")],
        [label("own:1", TWO, -2), label("own:2", "", 1), label("own:3", "", 1)],
        [label("shop:a", ONE, 23), label("shop:b", ONE, 25), label("own:1", THREE, 3)],
    )

    assert [case.id for case in joined] == ["own:1", "feedback:pd:Q1", "own:2", "own:3", "shop:b"]


def test_a_label_says_where_it_comes_from():
    """Mined ones by their kind."""
    cases = [label("feedback:pd:Q1"), label("own:1"), label("shop:a", kind="revert")]

    assert [origin_of(case) for case in cases] == ["feedback", "given", "revert"]
