"""What people read on the card, in each state it can be in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import card_states as states
import pytest
from card_validator import buttons, links, spoken

from bot import blocks
from bot.card import Card, Step
from core.model import Culprit, Draft, Reason, Section, Sentence, Status


def _card(card: Card) -> str:
    return spoken(blocks.card_message(card))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "just-posted",
            [
                "🔴 P1 · Checkout returns 500 for card payments",
                "checkout · Triggered, not acknowledged yet · started 2026-06-16 03:02 UTC · PagerDuty #4211",
                "Runbook: wiki.acme.dev/runbooks/checkout · Checkout dashboard (grafana.acme.dev)",
                "What's going on",
                "HTTP 5xx on POST /api/checkout is 41% (threshold 2%) for 5 minutes. Payments pool: timeout acquiring connection. [PagerDuty]",
                "◐ Searching runbooks and past incidents · ○ Rank commits · ○ Draft the card",
            ],
        ),
        (
            "likely",
            [
                "🟡 P1 · Checkout returns 500 for card payments",
                "checkout · Acknowledged by Ana Lima · started 2026-06-16 03:02 UTC · PagerDuty #4211",
                "Runbook: wiki.acme.dev/runbooks/checkout · Checkout dashboard (grafana.acme.dev)",
                "Likely cause, about 80%: Lower payments pool timeout from 2000 to 200 ms, 14 min before",
                "What's going on",
                "41% of POST /api/checkout requests fail with HTTP 5xx since 03:02 UTC. [PagerDuty]",
                "Requests time out waiting for a connection from the payments pool. [PagerDuty] [E1]",
                "Checkout holds one pool of 40 connections to payments-db; the acquire timeout is 2,000 ms. [E3 wiki page: Payments architecture › Connection pools]",
                "Similar past incident: INC-311 Payments pool exhausted after config change, 97 days earlier",
                "👍 2",
                "👎",
                "What likely caused it · Likely, about 80%",
                "1. Lower payments pool timeout from 2000 to 200 ms",
                "8587643e35 · Dana Reyes · 14 min before · shop",
                "• Changes payments/pool.py, and the alert names the payments pool",
                "• Its message and the alert share “pool” and “timeout”",
                "• Landed 14 minutes before the first error",
                "This is the culprit",
                "2. Retry card authorisation twice on 5xx",
                "3cc45be5c0 · Lee Park · 3 h 25 min before · shop",
                "• Touches the checkout service",
                "• Against: Live for 3 h 25 min without errors",
                "This is the culprit",
                "👍 1",
                "👎 1",
                "What to do next",
                "1. Check pool_timeout_ms and the number of open connections before restarting anything. [E1 runbook: Checkout › Connection pool exhausted]",
                "2. Roll back the last release of checkout: [E1]",
                "kubectl -n shop rollout undo deploy/checkout",
                "What worked last time",
                "• Rolling back the pool settings; the error rate fell to normal within four minutes. [E2 past incident: INC-311 Payments pool exhausted after config change › Resolution]",
                "👍",
                "👎",
                "What else may I read?",
                "3 sources · 143 commits in shop and payments, from the 14 days before · words quoted from the sources · release features-1 · details in the thread",
            ],
        ),
        (
            "resolved",
            [
                "🟢 P1 · Checkout returns 500 for card payments",
                "checkout · Resolved by Ana Lima after 38 min · started 2026-06-16 03:02 UTC · PagerDuty #4211",
                "Runbook: wiki.acme.dev/runbooks/checkout · Checkout dashboard (grafana.acme.dev)",
                "What happened: 41% of POST /api/checkout requests fail with HTTP 5xx since 03:02 UTC. [PagerDuty]",
                "Last note: Ana Lima: Rolled back checkout to v812, errors gone. Dana will follow up on the timeout.",
                "Cause: confirmed",
                "Lower payments pool timeout from 2000 to 200 ms",
                "8587643e35 · Dana Reyes · 14 min before · shop",
                "• Changes payments/pool.py, and the alert names the payments pool",
                "• Its message and the alert share “pool” and “timeout”",
                "• Landed 14 minutes before the first error",
                "✓ The culprit",
                "👍 1",
                "👎 1",
                "3 sources · 143 commits in shop and payments, from the 14 days before · words quoted from the sources · release features-1 · details in the thread",
            ],
        ),
    ],
)
def test_the_card_reads_from_the_verdict_down(name: str, lines: list[str]):
    """The whole of it, line by line, as a reader sees it."""
    assert _card(states.CARDS[name]).split("\n") == lines


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("filling-in", "✓ Evidence gathered · ◐ Ranking commits: 12,031 commits in 2 repositories · ○ Draft the card"),
        ("possible", "Possible cause, about 45%: Lower payments pool timeout"),
        ("inconclusive", "Cause inconclusive"),
        (
            "inconclusive",
            "Looked at 143 commits in shop and payments, from the 14 days before. None stands out enough to name. The other 140 fit worse than these:",
        ),
        ("no-commits", "No commit landed in shop and payments in the time looked at, so there is none to suspect."),
        ("degraded", "No step to offer: not all documents could be searched."),
        (
            "degraded",
            "△ Not looked at: Document search is unavailable: Qdrant does not answer at 127.0.0.1:6333 · Repository payments is a shallow clone",
        ),
        ("confirmed", "What caused it · Confirmed by a responder"),
        ("confirmed", "✓ The culprit · 1"),
        ("resolved-bare", "Resolved after 3 min"),
        ("resolved-bare", "What fixed it: nobody has written it down."),
    ],
)
def test_each_state_says_plainly_what_it_is(name: str, said: str):
    """Working, undecided, degraded, confirmed, over."""
    assert said in _card(states.CARDS[name])


@pytest.mark.parametrize("elsewhere", [True, False])
def test_words_that_tell_of_no_commit_are_given_as_the_reason(elsewhere: bool):
    """Whoever reads "inconclusive" learns why, where the incident's words say it."""
    card = replace(states.INCONCLUSIVE, ranking=replace(states.INCONCLUSIVE.ranking, elsewhere=elsewhere))

    assert ("own words point to a cause other than a commit. The other 140" in _card(card)) is elsewhere


@pytest.mark.parametrize("name", ["just-posted", "inconclusive", "no-commits", "resolved-bare"])
def test_what_is_not_known_gets_no_number(name: str):
    """No percentage where the ranking abstains or has not spoken, however sure one of its numbers looks."""
    card = states.CARDS[name]
    sure = tuple(replace(culprit, confidence=0.9) for culprit in card.ranking.culprits) if card.ranking else ()

    said = _card(replace(card, ranking=card.ranking and replace(card.ranking, culprits=sure)))

    assert "about" not in said


def test_every_citation_leads_to_its_own_source():
    """Each link on the card is the incident's, the evidence's or the commit's own address."""
    message = blocks.card_message(states.LIKELY)

    assert links(message) == {
        states.INCIDENT.url,
        states.INCIDENT.runbook_url,
        states.INCIDENT.links[0].url,
        *(item.url for item in states.EVIDENCE if item.url),
        *(culprit.commit.url for culprit in states.CULPRITS[:2]),
    }


def test_the_buttons_carry_their_item_and_incident():
    """The contract with `bot/slack.py`."""
    shown = buttons(blocks.card_message(states.LIKELY))

    votes = [f"vote.{way}.{item}" for item in ("summary", "cause", "next") for way in ("up", "down")]
    culprits = [f"vote.culprit.commit:{culprit.commit.sha}" for culprit in states.CULPRITS[:2]]
    assert sorted(shown) == sorted(["private.more", *votes, *culprits])
    assert {button["value"] for button in shown.values()} == {states.INCIDENT.id}
    assert shown["vote.up.cause"]["accessibility_label"] == "Thumbs up for the likely cause"


def test_whoever_looks_at_an_open_card_may_ask_what_else_they_may_read():
    """Whatever was found, as soon as the search is over; not on a resolved card, nor where there is no Slack to answer in."""
    local = replace(states.LIKELY, incident=replace(states.INCIDENT, id="local:1"))
    shown = {name for name, card in states.CARDS.items() if "private.more" in buttons(blocks.card_message(card))}

    assert states.CARDS.keys() - shown == {"just-posted", "filling-in", "resolved", "resolved-bare"}
    assert "private.more" not in buttons(blocks.card_message(local))


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("just-posted", set()),
        ("filling-in", set()),
        ("no-commits", {"summary", "cause", "next"}),
        ("resolved", {"cause"}),
        ("resolved-bare", set()),
    ],
)
def test_only_what_was_said_can_be_judged(name: str, items: set[str]):
    """No thumbs under a part that is still empty."""
    shown = buttons(blocks.card_message(states.CARDS[name]))

    assert {action.removeprefix("vote.up.") for action in shown if action.startswith("vote.up.")} == items


def test_a_commit_a_responder_marked_is_shown_even_if_nobody_ranked_it():
    """By its id alone."""
    said = _card(replace(states.LIKELY, confirmed_culprit="f" * 40))

    assert "Commit ffffffffff, which was not among the candidates." in said


def test_reasons_are_the_weightiest_with_those_against_last():
    """A reason against is said, not hidden, when it weighs enough."""
    reasons = tuple(
        Reason(feature=text, text=text, weight=weight)
        for text, weight in [("small for", 0.1), ("strong against", -2.0), ("best for", 1.0), ("good for", 0.9)]
    )
    card = replace(
        states.LIKELY,
        mitigation=None,
        ranking=replace(states.RANKING, culprits=(replace(states.CULPRITS[0], reasons=reasons),)),
    )

    lines = [line for line in _card(card).split("\n") if line.startswith("•")]
    assert lines == ["• best for", "• good for", "• Against: strong against"]


def test_steps_beyond_the_cards_room_are_counted_and_told_in_the_thread():
    """Nothing of a plan is lost, and its numbers go on."""
    steps = tuple(Sentence(text=f"Do thing {place}.", evidence=("E1",)) for place in range(1, 13))
    plan = Draft(task="mitigation", author="extractive", sections=(Section(heading="", sentences=steps),))
    card = replace(states.LIKELY, mitigation=plan)

    assert "3 more in the thread" in _card(card)
    assert "10. Do thing 10. [E1]\n11. Do thing 11. [E1]\n12. Do thing 12. [E1]" in spoken(blocks.detail_message(card))


def test_the_thread_holds_all_evidence_ten_candidates_and_what_was_ruled_out():
    """With the age of each source and a button on each commit."""
    culprits = tuple(
        Culprit(commit=states.commit(place, f"Change {place}", "Lee", place), score=1, confidence=0.05)
        for place in range(1, 14)
    )
    message = blocks.detail_message(
        replace(states.DEGRADED, evidence=states.EVIDENCE, ranking=replace(states.RANKING, culprits=culprits))
    )

    said = spoken(message)
    assert "E1 runbook: Checkout › Connection pool exhausted · updated 41 days earlier" in said
    assert "E3 wiki page: Payments architecture › Connection pools · not updated for 420 days" in said
    assert "10. Change 10" in said
    assert "Ruled out: the other 133, which fit worse." in said
    assert "△ Not looked at: Document search is unavailable" in said
    assert list(buttons(message)) == [f"vote.culprit.commit:{culprit.commit.sha}" for culprit in culprits[:10]]


def test_a_card_without_evidence_says_so_in_its_thread():
    """And tells "found nothing" from "could not look"."""
    assert "No document fits this incident." in spoken(blocks.detail_message(replace(states.LIKELY, evidence=())))
    assert "Not all documents could be searched." in spoken(blocks.detail_message(states.DEGRADED))


@pytest.mark.parametrize(
    ("card", "text"),
    [
        (
            states.LIKELY,
            "🟡 P1 · Checkout returns 500 for card payments (checkout). Acknowledged by Ana Lima. Likely cause: 8587643e35 "
            "Lower payments pool timeout from 2000 to 200 ms, 14 min before. Next: Check 'pool_timeout_ms' and the number of "
            "open connections before restarting anything.",
        ),
        (
            states.NO_COMMITS,
            "🟡 P1 · Checkout returns 500 for card payments (checkout). Acknowledged by Ana Lima. Cause inconclusive. Next: Check "
            "'pool_timeout_ms' and the number of open connections before restarting anything.",
        ),
        (
            states.JUST_POSTED,
            "🔴 P1 · Checkout returns 500 for card payments (checkout). Triggered, not acknowledged yet.",
        ),
        (
            states.RESOLVED_BARE,
            "🟢 P1 · Checkout returns 500 for card payments (checkout). Resolved after 3 min.",
        ),
    ],
)
def test_the_notification_tells_the_story_in_a_breath(card: Card, text: str):
    """What a lock screen or a screen reader gives."""
    assert blocks.card_message(card)["text"] == text


def test_the_same_card_always_gives_the_same_message():
    """So that showing it again changes nothing in Slack."""
    assert blocks.card_message(states.LIKELY) == blocks.card_message(states.LIKELY)


def test_a_resolved_incident_without_a_named_commit_offers_none():
    """The nearest of an inconclusive ranking is not put under "Cause"."""
    incident = replace(states.INCIDENT, status=Status.RESOLVED, resolved_at=states.START + timedelta(hours=1))
    message = blocks.card_message(replace(states.INCONCLUSIVE, incident=incident))

    assert "Cause: inconclusive. If you know the commit, mark it in the thread." in spoken(message)
    assert buttons(message) == {}


def test_a_degraded_step_is_marked_while_others_go_on():
    """One part failing is visible before the card is complete."""
    steps = (Step(name="gather", state="degraded", note="x"), Step(name="rank", state="running"), Step(name="draft"))

    said = _card(replace(states.FILLING, steps=steps))
    assert "△ Evidence gathered, in part · ◐ Ranking commits · ○ Draft the card" in said


def _reply(name: str) -> dict[str, Any]:
    return states.replies()[name][0]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "answer",
            [
                "Re: what is the pool timeout?",
                "The acquire timeout of the payments pool is 2,000 ms, and the pool holds 40 connections. [E3]",
                "Dana Reyes lowered it to 200 ms 14 minutes before this incident. [8587643e35]",
                "Rolling back the last release of checkout is safe at any time. [E1]",
                "Sources: E1 runbook: Checkout › Connection pool exhausted · E3 wiki page: Payments architecture › Connection pools",
                "👍 1",
                "👎",
            ],
        ),
        (
            "nothing-found",
            [
                "Re: who owns billing?",
                "I found nothing on this in 214 documents.",
                "Nearest pages, none of which answers it:",
                "• runbook: Checkout",
                "• past incident: INC-311 Payments pool exhausted after config change",
                "• wiki page: Payments architecture",
            ],
        ),
        (
            "no-search",
            [
                "Re: who owns billing?",
                "I could not search for this, so I have no answer. Ask again in a minute.",
                "△ Not searched: Document search is unavailable: Qdrant does not answer",
            ],
        ),
        (
            "failure",
            [
                "I could not draft the postmortem.",
                "The model gave no answer within 20 s.",
                "Ask again, or unset RUNDOWN_LLM_URL to have it quoted from the sources.",
            ],
        ),
        (
            "status",
            [
                "2 open incidents",
                "🟡 P1 · Checkout returns 500 for card payments · checkout · Acknowledged by Ana Lima · 2026-06-16 03:02 UTC",
                "🔴 P1 · Checkout returns 500 for card payments · checkout · Triggered, not acknowledged yet · 2026-06-16 03:02 UTC",
                "How I am",
                "🟢 Slack: ok, connected",
                "🟡 Index: down: Qdrant does not answer",
            ],
        ),
    ],
)
def test_replies_answer_or_say_why_not(name: str, lines: list[str]):
    """Never silence, never a guess."""
    assert spoken(_reply(name)).split("\n") == lines


def test_an_answer_is_judged_under_its_own_key():
    """One item per answer."""
    assert set(buttons(_reply("answer"))) == {"vote.up.answer:k1", "vote.down.answer:k1"}


def test_an_answer_outside_an_incident_offers_no_thumbs():
    """There is nothing a vote could be kept under."""
    message = blocks.answer_message(
        "q", states.ANSWER, evidence=states.EVIDENCE, ranking=states.RANKING, incident=None, key="k"
    )

    assert buttons(message) == {}


def test_an_answer_that_cites_only_what_was_not_found_is_no_answer():
    """A model's forged citations do not make a fact."""
    forged = replace(
        states.ANSWER, sections=(Section(heading="", sentences=(Sentence(text="Sure.", evidence=("E42",)),)),)
    )
    message = blocks.answer_message("q", forged, evidence=(), ranking=None, incident=None, key="k", searched=1)

    assert spoken(message).split("\n")[-1] == "I found nothing on this in 1 document."


def test_a_postmortem_draft_says_that_it_is_one():
    """Nothing is published, and every line shows its source."""
    said = spoken(_reply("postmortem"))

    assert said.startswith("Postmortem draft: Checkout returns 500 for card payments\ncheckout · started 2026-06-16 03:02 UTC · lasted 38 min · PagerDuty")  # fmt: skip
    assert "nothing has been published" in said
    assert "03:33 UTC: Ana Lima noted: Rolled back checkout to v812, errors gone. [R1]" in said
    assert "Follow-ups\nThe record holds nothing on this: yours to write." in said


def test_help_names_every_command():
    """Each with what it does."""
    said = spoken(_reply("help"))

    assert all(f"/rundown {command}" in said for command in ("help", "investigate", "postmortem", "status"))
