"""Whatever a card is made of, Slack takes it, and nothing in it acts: no mention, no foreign link, no markup of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import card_states as states
import pytest
from card_validator import buttons, check, links
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot import blocks
from bot.card import Card, Step
from core.model import (
    Commit,
    Confidence,
    Culprit,
    Draft,
    Evidence,
    Incident,
    Link,
    Note,
    Ranking,
    Reason,
    Section,
    Sentence,
    Status,
    Tier,
)

_PIECES = [
    "*", "_", "~", "`", "```", ">", "&gt; ", "<", "|", "&", "\n", "\n\n", " ", "\t", "<!channel>", "<!here|x>", "<@U123>",
    "<#C1|general>", "<!subteam^S1>", "@here", "@channel", "<https://evil.example/?q=1|safe>", "https://evil.example/x", ":fire:",
    ":+1:", "<!date^1^{date}|x>", "\u202e", "\u200b", "\u2066", "\ufeff", "\x1b[31m", "\x1b]8;;https://evil.example\x07", "\x00",
    "\U000e0041", "e\u0301", "\u0301" * 9, "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "🇳🇱", "\u2028", "\u3164", "word", "snake_case", "a.b/c-d", "](", "**bold**",
    "[x](https://evil.example)", "1. ", "• ", "# ",
]  # fmt: skip
#: A whole card takes minutes to shrink, and reads no better for it.
_QUICKLY = (Phase.explicit, Phase.generate)
_MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def _texts(most: int = 12) -> st.SearchStrategy[str]:
    pieces = st.lists(st.sampled_from(_PIECES) | st.text(max_size=12), max_size=most).map("".join)
    return pieces | st.tuples(pieces, st.integers(1, 4000)).map(lambda pair: (pair[0] * pair[1])[:5_000])


_URLS = st.none() | st.sampled_from(
    [
        "https://ok.example/a?b=1&c=<d>|e",
        "http://wiki.local/page",
        "javascript:alert(1)",
        "https://user@evil.example/",
        "https://ok.example/" + "&" * 380,
        "https://ok.example/" + "x" * 5000,
        "//x",
        "https://",
        "https://ok.example:99999/",
        "https://ok.example/\n<!here>",
        "https://ok.example/*b*_i_",
    ]
)
_IDS = st.sampled_from(["E1", "E2", "E9", "C1", "C3", "C99", "I", "T1", "R2", "x", "<!here>", "I" * 500])
_SENTENCES = st.builds(Sentence, text=_texts(), evidence=st.lists(_IDS, max_size=6).map(tuple))
_DRAFTS = st.none() | st.builds(
    Draft,
    task=st.just("summary"),
    author=st.just("extractive") | _texts(3),
    sections=st.lists(
        st.builds(Section, heading=_texts(3), sentences=st.lists(_SENTENCES, max_size=9).map(tuple)), max_size=4
    ).map(tuple),
)
_INCIDENTS = st.builds(
    Incident,
    id=st.sampled_from(["pd:Q1", "local:x", "", "pd:" + "x" * 3000, "slack:<!here>"]),
    title=_texts(),
    created_at=_MOMENTS,
    description=_texts(),
    service=st.none() | _texts(3),
    status=st.sampled_from(Status),
    urgency=st.none() | _texts(2),
    priority=st.none() | _texts(2),
    url=_URLS,
    number=st.none() | st.integers(0, 10**30),
    runbook_url=_URLS,
    links=st.lists(st.builds(Link, title=_texts(3), url=_URLS.map(str)), max_size=6).map(tuple),
    notes=st.lists(st.builds(Note, at=_MOMENTS, author=_texts(2), text=_texts()), max_size=3).map(tuple),
    acknowledged_by=st.lists(_texts(2), max_size=9).map(tuple),
    resolved_at=st.none() | _MOMENTS,
    resolved_by=st.none() | _texts(2),
)
_EVIDENCE = st.builds(
    Evidence,
    id=st.sampled_from(["E1", "E2", "E3"]) | _texts(1),
    tier=st.sampled_from(Tier),
    title=_texts(),
    text=_texts(),
    section=st.lists(_texts(2), max_size=3).map(tuple),
    doc_id=st.none() | _texts(2),
    url=_URLS,
    updated_at=st.none() | _MOMENTS,
    occurred_at=st.none() | _MOMENTS,
)
_COMMITS = st.builds(
    Commit,
    sha=st.sampled_from(["a" * 40, "b" * 40, "c" * 64, "", "d" * 400, "<!here>"]),
    repo=_texts(2),
    author=_texts(2),
    author_email=_texts(1),
    authored_at=_MOMENTS,
    committed_at=_MOMENTS,
    subject=_texts(),
    url=_URLS,
)
_REASONS = st.builds(Reason, feature=st.just("x"), text=_texts(), weight=st.floats(-9, 9))
_RANKINGS = st.none() | st.builds(
    Ranking,
    culprits=st.lists(
        st.builds(
            Culprit,
            commit=_COMMITS,
            score=st.floats(-9, 9),
            confidence=st.floats(0, 1),
            reasons=st.lists(_REASONS, max_size=6).map(tuple),
        ),
        max_size=14,
    ).map(tuple),
    confidence=st.sampled_from(Confidence),
    considered=st.integers(0, 10**7),
    repos=st.lists(_texts(2), max_size=9).map(tuple),
    window_from=_MOMENTS,
    window_to=_MOMENTS,
    gaps=st.lists(_texts(), max_size=9).map(tuple),
)
_STEPS = st.sampled_from(["waiting", "running", "done", "degraded"])
_CARDS = st.builds(
    Card,
    incident=_INCIDENTS,
    steps=st.tuples(
        *(st.builds(Step, name=st.just(name), state=_STEPS, note=_texts()) for name in ("gather", "rank", "draft"))
    ),
    evidence=st.lists(_EVIDENCE, max_size=16).map(tuple),
    ranking=_RANKINGS,
    summary=_DRAFTS,
    mitigation=_DRAFTS,
    gaps=st.lists(_texts(), max_size=9).map(tuple),
    votes=st.dictionaries(
        st.sampled_from(["summary", "cause", "next", "commit:" + "a" * 40]),
        st.tuples(st.integers(0, 10**9), st.just(2)),
    ),
    confirmed_culprit=st.none() | st.sampled_from(["a" * 40, "f" * 40, "<!here>"]),
    release=_texts(2),
)


def _every_message(card: Card) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {"evidence": card.evidence, "ranking": card.ranking}
    draft = card.summary or Draft(task="postmortem", author="extractive", sections=())
    title = card.incident.title
    return [
        blocks.card_message(card),
        blocks.detail_message(card),
        blocks.more_message(card.evidence, card.incident),
        blocks.answer_message(
            title, card.summary, **shared, incident=card.incident, key="k", gaps=card.gaps, searched=len(card.gaps)
        ),
        blocks.answer_message(title, card.mitigation, **shared, incident=None, key="k"),
        *blocks.postmortem_messages(card.incident, draft, **shared),
        blocks.status_message([card.incident] * 30, dict.fromkeys([title, "index", *card.gaps], title)),
        blocks.failure_message(title, card.incident.description, card.release),
        blocks.help_message(),
    ]


@settings(max_examples=60, phases=_QUICKLY)
@given(_CARDS)
def test_slack_takes_every_message_of_any_card(card: Card):
    """No input makes a message that Slack would refuse, or one that mentions, formats or links on its own."""
    for message in _every_message(card):
        check(message)


@settings(max_examples=25, phases=_QUICKLY)
@given(_CARDS)
def test_links_lead_only_where_sources_themselves_live(card: Card):
    """Every address offered is one the incident, the evidence or a commit carries as its own."""
    commits = card.ranking.culprits if card.ranking else ()
    own = [card.incident.url, card.incident.runbook_url, *(link.url for link in card.incident.links)]
    own += [item.url for item in card.evidence] + [culprit.commit.url for culprit in commits]
    hosts = {re.match(r"\w+://([^/?#]*)", url)[1] for url in own if url and re.match(r"\w+://", url)}

    offered = {url for message in _every_message(card)[:-1] for url in links(message)}

    assert {re.match(r"\w+://([^/?#]*)", url)[1] for url in offered} <= hosts
    assert not [url for url in offered if "evil.example" in url]


@pytest.mark.parametrize("name", states.CARDS)
def test_slack_takes_the_states_we_look_at(name: str):
    """The fixtures that are looked at in the browser pass the same checks."""
    for message in _every_message(states.CARDS[name]):
        check(message)


@pytest.mark.parametrize("name", states.replies())
def test_slack_takes_the_replies_we_look_at(name: str):
    """So do the replies."""
    for message in states.replies()[name]:
        check(message)


def test_a_card_of_the_largest_parts_keeps_its_three_answers_and_its_buttons():
    """At its tightest, a card still says what happens, what caused it and what to do, and every part can be judged."""
    huge = "word & <tag> " * 5_000
    wide = "https://wiki.acme.dev/" + "p" * 370
    card = replace(
        states.LIKELY,
        incident=replace(
            states.LIKELY.incident, title=huge, description=huge, service=huge, url=wide, runbook_url=wide
        ),
        evidence=tuple(replace(item, title=huge, text=huge, url=wide) for item in states.EVIDENCE * 6),
        ranking=replace(
            states.RANKING,
            culprits=tuple(
                replace(
                    culprit,
                    confidence=0.4,
                    commit=replace(culprit.commit, subject=huge, author=huge, repo=huge, url=wide),
                    reasons=(Reason(feature="x", text=huge, weight=1.0),) * 9,
                )
                for culprit in states.CULPRITS * 3
            ),
        ),
        summary=Draft(task="summary", author=huge, sections=(Section(heading=huge, sentences=(_said(huge),) * 40),)),
        mitigation=Draft(
            task="mitigation", author=huge, sections=(Section(heading=huge, sentences=(_said(huge),) * 40),)
        ),
        gaps=(huge,) * 20,
    )

    message = blocks.card_message(card)

    check(message)
    shown = buttons(message)
    assert {"vote.up.summary", "vote.down.cause", "vote.up.next"} <= set(shown)
    assert sum(action.startswith("vote.culprit.commit:") for action in shown) == 3


def _said(text: str) -> Sentence:
    return Sentence(text=text, evidence=("E1", "E2", "E3", "C1"))


def test_a_long_postmortem_is_spread_over_messages_and_loses_nothing():
    """Every sentence of a long draft arrives, in order, each message within the limits."""
    sentences = tuple(Sentence(text=f"Step {place} happened. " + "x" * 200, evidence=("T1",)) for place in range(39))
    draft = Draft(
        task="postmortem",
        author="extractive",
        sections=tuple(Section(heading=f"Part {part}", sentences=sentences) for part in range(6)),
    )

    pages = blocks.postmortem_messages(states.INCIDENT, draft, evidence=(), ranking=None)

    for page in pages:
        check(page)
    text = "\n".join(str(page["blocks"]) for page in pages)
    assert [int(found) for found in re.findall(r"Step (\d+) happened", text)] == [*range(39)] * 6
    assert [block["type"] for page in pages for block in page["blocks"]].count("header") == 1
    assert pages[0]["text"].endswith(f"(1 of {len(pages)})")


def test_time_can_run_either_way():
    """A commit dated after the incident is said to be so, not shown as a negative time."""
    late = replace(
        states.CULPRITS[0], commit=replace(states.CULPRITS[0].commit, committed_at=states.START + timedelta(hours=2))
    )
    message = blocks.card_message(replace(states.LIKELY, ranking=replace(states.RANKING, culprits=(late,))))

    assert "2 h after" in str(message["blocks"])
