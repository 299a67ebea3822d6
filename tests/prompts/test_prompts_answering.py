"""Answers without a model: facts for questions about the incident, passages for the rest, nothing below the floor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prompt_world import EVIDENCE, INCIDENT, INCONCLUSIVE, POSSIBLE, RANKING, RESOLVED, RUNBOOK, WIKI, said

from core.model import Evidence, Tier
from prompts.drafter import Drafter

DRAFTER = Drafter(None)
NAMED = '9fceb02d0a "Lower the payments pool timeout to 200 ms" in shop'
WHY = "it touches checkout/pool.py, named in the alert's service; it landed 14 minutes before the incident"


def answered(question, *, incident=INCIDENT, evidence=EVIDENCE, ranking=RANKING):
    """An answer's sentences with their evidence."""
    told = said(DRAFTER.answer(question, incident, evidence, ranking))
    return told.get("", [])


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who acknowledged this?", "Ana Lima acknowledged it at 2026-08-01 03:04 UTC."),
        ("who is on it", "Ana Lima acknowledged it at 2026-08-01 03:04 UTC."),
        ("Has anyone acked?", "Ana Lima acknowledged it at 2026-08-01 03:04 UTC."),
        ("When did the incident start?", "It started at 2026-08-01 03:02 UTC."),
        ("how long has this been going on?", "It started at 2026-08-01 03:02 UTC."),
        ("is it resolved yet?", "It is still open: acknowledged."),
        ("how bad is it?", "It has priority P1, high urgency."),
        ("Which service is affected?", "It fired for checkout."),
    ],
)
def test_questions_about_the_incident_are_answered_from_its_record(question, answer):
    """One fact, one sentence, cited to the incident."""
    assert answered(question) == [(answer, ("I",))]


@pytest.mark.parametrize(
    "question",
    [
        "Which commit is suspected and why?",
        "what's the root cause?",
        "Why is this happening?",
        "why is checkout failing",
    ],
)
def test_the_cause_is_told_with_the_rankings_confidence_and_reasons(question):
    """Likely, possible, or what was ruled out."""
    committed = "committed 2026-08-01 02:48 UTC"
    looked = "143 commits in shop, from 2026-07-18 03:02 UTC to 2026-08-01 03:02 UTC, were compared"
    against = ('Against 1d41402abc "Reword the basket page" in shop: it changes only templates.', ("C2",))

    assert [answered(question, ranking=ranking) for ranking in (RANKING, POSSIBLE, INCONCLUSIVE)] == [
        [(f"The likely cause is {NAMED}, {committed}: {WHY}.", ("C1",))],
        [(f"A possible cause is {NAMED}, {committed}: {WHY}.", ("C1",))],
        [(f"{looked}; none stands out enough to name.", ("C1", "C2")), against],
    ]  # fmt: skip


def test_what_was_ruled_out_is_told_with_what_speaks_against_it():
    """The commits compared, and the reasons against the next best."""
    assert [text for text, _ in answered("What did you rule out?")] == [
        "143 commits in shop, from 2026-07-18 03:02 UTC to 2026-08-01 03:02 UTC, were compared; the rest fit worse than the first.",
        'Against 1d41402abc "Reword the basket page" in shop: it changes only templates.',
    ]


def test_without_a_commit_in_the_window_that_is_said():
    """Cited to the incident, whose time made the window."""
    empty = replace(INCONCLUSIVE, culprits=(), considered=0)

    assert answered("which commit broke it?", ranking=empty) == [
        ("0 commits in shop, from 2026-07-18 03:02 UTC to 2026-08-01 03:02 UTC, were compared; none stands out enough to name.", ("I",))
    ]  # fmt: skip


def test_what_to_do_next_is_the_runbooks_steps():
    """The same steps as the card's, as far as there is room."""
    assert [ids for _, ids in answered("what should I do next?")] == [("E1",)] * 4


def test_whether_it_happened_before_is_told_with_its_end():
    """Which incident, why, and what ended it."""
    assert [ids for _, ids in answered("Has this happened before?")] == [("E2",), ("E2",)]


def test_whom_to_page_is_what_the_runbook_says():
    """Its escalation section, or a line that says to page a team."""
    escalation = replace(RUNBOOK, id="E5", section=("Escalation",), text="Checkout on-call, then Ines Duarte.")

    assert answered("who do I page?", evidence=[*EVIDENCE, escalation]) == [
        ("Page the payments team if errors stay above 2% for 10 minutes.", ("E1",)),
        ("Checkout on-call, then Ines Duarte.", ("E5",)),
    ]


def test_a_runbook_asked_for_is_named():
    """Its link is the citation's."""
    assert answered("is there a runbook for checkout errors?")[0] == (
        'The runbook "Checkout errors › Mitigation" is about this.',
        ("E1",),
    )


@pytest.mark.parametrize("incident", [INCIDENT, RESOLVED, None])
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many connections does the pool hold?", ("Checkout holds one pool of 40 connections to payments-db.", ("E3",))),
        ("What is the acquire timeout?", ("The acquireTimeout is 2,000 ms by default.", ("E3",))),
        ("can I restart the payments database?", ("Do not restart the payments database: it drops every open order.", ("E1",))),
        ("how do I roll back checkout?", ("If the pool is exhausted, roll back the last release of checkout:\n```\nkubectl -n shop rollout undo deploy/checkout\n```", ("E1",))),
        ("who do I page?", ("Page the payments team if errors stay above 2% for 10 minutes.", ("E1",))),
        ("who changed the pool timeout?", ('Commit 9fceb02d0a: "Lower the payments pool timeout to 200 ms".', ("C1",))),
    ],
)  # fmt: skip
def test_a_question_about_the_systems_is_answered_by_the_nearest_passage(question, answer, incident):
    """Identifiers are split, endings forgiven; the sentence is its source's own."""
    assert answered(question, incident=incident)[0] == answer


@pytest.mark.parametrize(
    "question",
    [
        "What's the capital of France?",
        "how do I rotate the TLS certificates?",
        "what is for lunch",
        "",
        "???",
        "is the",
    ],
)
def test_a_question_nothing_answers_finds_nothing(question):
    """A draft without sections: the bot says plainly that it found nothing."""
    assert DRAFTER.answer(question, INCIDENT, EVIDENCE, RANKING).sections == ()


def test_a_word_on_every_line_decides_nothing():
    """The service's name alone is no match for a question about something else."""
    lines = [
        replace(WIKI, id=f"E{place}", text=f"Checkout fact number {word}.") for place, word in enumerate("abcdefgh")
    ]

    assert answered("does checkout support Klarna?", evidence=lines, ranking=None) == []


def test_a_how_question_gets_the_steps_under_one_heading():
    """The heading holds the question's words, the steps the answer."""
    runbook = replace(
        RUNBOOK,
        title="Postgres",
        section=("Failover",),
        text="1. Stop the old primary.\n2. Promote the replica.\n3. Point the pool at it.",
    )

    assert [text for text, _ in answered("how do I do a postgres failover of the primary?", evidence=[runbook], ranking=None)] == [
        "Stop the old primary.",
        "Promote the replica.",
        "Point the pool at it.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lower", "higher"), [(Tier.ALERT, Tier.SLACK), (Tier.SLACK, Tier.PAST_INCIDENT), (Tier.PAST_INCIDENT, Tier.WIKI)]
)
def test_of_the_same_words_what_is_trusted_more_stands_first(lower: Tier, higher: Tier):
    """What another alert said comes after what people said, and that after the record."""
    evidence = [
        Evidence(id=f"E{place}", tier=tier, title="Boiler", text=f"The crimson boiler leaks at valve {place}.")
        for place, tier in enumerate((lower, higher), 1)
    ]

    assert answered("where does the crimson boiler leak?", incident=None, evidence=evidence)[0] == (
        "The crimson boiler leaks at valve 2.", ("E2",),
    )  # fmt: skip
