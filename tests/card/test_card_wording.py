"""The words a card chooses, one table a decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import card_states as states
import pytest

from bot import card as words
from bot.card import Card, Verdict
from core.model import Draft, Incident, Section, Sentence, Status

_OPEN = states.INCIDENT
_DONE = replace(_OPEN, status=Status.RESOLVED, resolved_at=states.START + timedelta(minutes=38), resolved_by="Ana")


@pytest.mark.parametrize(
    ("incident", "dot"),
    [
        (_OPEN, "🔴"),
        (replace(_OPEN, urgency="low"), "🟠"),
        (replace(_OPEN, status=Status.ACKNOWLEDGED), "🟡"),
        (_DONE, "🟢"),
    ],
)
def test_one_dot_tells_where_it_stands(incident: Incident, dot: str):
    """Red, orange, yellow, green."""
    assert words.dot(incident) == dot


@pytest.mark.parametrize(
    ("incident", "said"),
    [
        (_OPEN, "Triggered, not acknowledged yet"),
        (replace(_OPEN, status=Status.ACKNOWLEDGED), "Acknowledged"),
        (replace(_OPEN, status=Status.ACKNOWLEDGED, acknowledged_by=("Ana", "Lee")), "Acknowledged by Ana and Lee"),
        (_DONE, "Resolved by Ana after 38 min"),
        (replace(_DONE, resolved_by=None), "Resolved after 38 min"),
    ],
)
def test_the_status_names_who_holds_it(incident: Incident, said: str):
    """And how long it took, once it is over."""
    assert words.status_words(incident) == said


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.82, "about 80%"), (0.83, "about 85%"), (0.05, "about 5%"), (0.96, "about 90%")]
    + [(value, "") for value in (0.0, 0.04, 1.0, 1.7, -1.0, float("nan"), float("inf"))],
)
def test_a_number_is_said_only_where_it_means_something(probability: float, said: str):
    """In steps of 5%; a raw 0 or 1, or no number at all, is not a calibrated probability."""
    assert words.chance(probability) == said


@pytest.mark.parametrize(
    ("card", "verdict"),
    [
        (states.JUST_POSTED, Verdict(kind="working", word="Looking")),
        (states.LIKELY, Verdict(kind="likely", word="Likely", chance="about 80%")),
        (states.POSSIBLE, Verdict(kind="possible", word="Possible", chance="about 45%")),
        (states.INCONCLUSIVE, Verdict(kind="inconclusive", word="Inconclusive")),
        (states.NO_COMMITS, Verdict(kind="inconclusive", word="Inconclusive")),
        (states.CONFIRMED, Verdict(kind="confirmed", word="Confirmed")),
        (replace(states.INCONCLUSIVE, confirmed_culprit="f" * 40), Verdict(kind="confirmed", word="Confirmed")),
        (replace(states.LIKELY, ranking=None), Verdict(kind="missing", word="Not looked at")),
        (
            replace(states.LIKELY, ranking=replace(states.RANKING, culprits=())),
            Verdict(kind="inconclusive", word="Inconclusive"),
        ),
    ],
)
def test_the_verdict_is_a_persons_word_first_and_the_rankings_next(card: Card, verdict: Verdict):
    """No percentage stands beside "inconclusive"."""
    assert words.verdict(card) == verdict


@pytest.mark.parametrize(
    ("card", "places"),
    [
        (states.LIKELY, [0, 1]),  # the third stands at a twentieth of the first
        (states.INCONCLUSIVE, [0, 1, 2]),
        (states.CONFIRMED, [1]),
        (replace(states.LIKELY, confirmed_culprit="f" * 40), []),
        (states.JUST_POSTED, []),
    ],
)
def test_the_card_has_room_for_the_commits_worth_it(card: Card, places: list[int]):
    """Three at most, no stragglers, and only the one once a person has named it."""
    assert [states.CULPRITS.index(found) if found in states.CULPRITS else place for place, found in enumerate(words.leading(card))] == places  # fmt: skip


def test_a_commit_that_is_ranked_twice_is_shown_once():
    """At its better place."""
    twice = replace(states.RANKING, culprits=(*states.CULPRITS, replace(states.CULPRITS[0], confidence=0.01)))

    assert words.ranked(twice) == states.CULPRITS


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b"), "a and b"),
        (("a", "b", "c", "d"), "a, b, c and d"),
        (tuple("abcdefgh"), "a, b, c and 5 more"),
    ],
)
def test_names_are_listed_as_in_a_sentence(names: tuple[str, ...], said: str):
    """And counted when there are many."""
    assert words.listed(names) == said


def test_what_was_looked_at_is_told_in_full():
    """Number, repositories and window."""
    assert words.looked_at(states.RANKING) == "143 commits in shop and payments, from the 14 days before"


@pytest.mark.parametrize(
    ("place", "said"), [(0, "updated 41 days earlier"), (1, "97 days earlier"), (2, "not updated for 420 days")]
)
def test_a_sources_age_is_told_and_a_stale_one_named_so(place: int, said: str):
    """Seen from the incident, so that a card read later says the same."""
    assert words.age(states.EVIDENCE[place], _OPEN) == said


def test_a_source_from_after_the_incident_has_no_age():
    """Nothing from the future is dressed up as history."""
    item = replace(states.EVIDENCE[0], updated_at=states.START + timedelta(days=1))

    assert words.age(item, _OPEN) == ""


def test_only_sentences_that_rest_on_evidence_at_hand_are_shown():
    """Uncited ones, forged ids and sections left empty are dropped; real ids beside forged ones stay."""
    draft = Draft(
        task="summary",
        author="x",
        sections=(
            Section(
                heading="A",
                sentences=(
                    Sentence(text="kept", evidence=("E9", "E1", "E1", "I")),
                    Sentence(text="uncited", evidence=()),
                    Sentence(text="forged", evidence=("E9", "C7", "X1", "E1x")),
                    Sentence(text=" \u200b", evidence=("E1",)),
                    Sentence(text="of the timeline", evidence=("T1", "R2", "C1")),
                ),
            ),
            Section(heading="B", sentences=(Sentence(text="uncited", evidence=()),)),
        ),
    )

    assert words.cited(draft, states.EVIDENCE, states.RANKING) == (
        Section(
            heading="A",
            sentences=(
                Sentence(text="kept", evidence=("E1", "I")),
                Sentence(text="of the timeline", evidence=("T1", "R2", "C1")),
            ),
        ),
    )


def test_gaps_are_told_once():
    """The card's, the steps' and the ranking's, in that order."""
    card = replace(states.DEGRADED, ranking=replace(states.RANKING, gaps=("repository 'web': not found", " ")))

    assert words.all_gaps(card) == (*states.DEGRADED.gaps, "repository 'web': not found")


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        (("extractive",), "words quoted from the sources"),
        (("llama", "extractive"), "words by llama, each sentence checked against its source"),
        ((), ""),
    ],
)
def test_the_footer_tells_who_chose_the_words(authors: tuple[str, ...], said: str):
    """The sources, or a model that was checked."""
    assert words.written_by(*(Draft(task="summary", author=author, sections=()) for author in authors), None) == said
