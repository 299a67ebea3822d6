"""What the card says of the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.model import Evidence, Section, Sentence, Tier
from retrieval.ending import Ending
from retrieval.recall import alike_words, ordinal, recall, recurrence_words
from retrieval.similar import PastIncident, Recurrence, Similar

NOW = datetime(2026, 8, 20, 9, 30, tzinfo=UTC)
MARCH = datetime(2026, 3, 4, 9, 12, tzinfo=UTC)


def ending(text: str, **changes: Any) -> Ending:
    return Ending(**({"text": text, "author": "Anna Ito", "at": MARCH, "mitigated": True, "evidence": "p1"} | changes))


def past(*, at: datetime | None = MARCH, **changes: Any) -> PastIncident:
    found = (Evidence(id="p1", tier=Tier.PAST_INCIDENT, title="T", text="x"),)
    facts: dict[str, Any] = {"title": "Checkout answers 500", "alike": ("same alert", "same service"), "ending": None, "evidence": found, "score": 9.5}  # fmt: skip
    return PastIncident(at=at, **(facts | changes))


def again(times: int, since: datetime, *, at_least: bool = False, **last: Any) -> Recurrence:
    return Recurrence(times=times, at_least=at_least, since=since, first=past(**last), last=past(**last))


@pytest.mark.parametrize(
    ("recurrence", "told"),
    [
        (
            again(2, MARCH, ending=ending("rolled back 3f2c1ab, errors fall")),
            'Third time since March; last time mitigated by: "rolled back 3f2c1ab, errors fall" (Anna Ito, 2026-03-04).',
        ),
        (again(1, MARCH), "Second time since March; the last was on 2026-03-04."),
        (again(1, NOW - timedelta(days=3)), "Second time this month; the last was on 2026-03-04."),
        (again(1, NOW.replace(year=2025)), "Second time since August 2025; the last was on 2026-03-04."),
        (
            again(12, datetime(2025, 12, 31, 23, 30, tzinfo=UTC), ending=ending("thanks all", mitigated=False)),
            '13th time since December 2025; the last word then was: "thanks all" (Anna Ito, 2026-03-04).',
        ),
        (
            again(99, MARCH, at_least=True, ending=ending("restarted it", author=None, at=None)),
            'Happened at least 99 times before, as far back as March; one of them was mitigated by: "restarted it" (2026-03-04).',
        ),
        (
            again(40, NOW - timedelta(days=3), at_least=True),
            "Happened at least 40 times before, this month alone; one of them was on 2026-03-04.",
        ),
        (
            again(2, NOW.replace(year=2025), at_least=True, ending=ending("thanks all", mitigated=False)),
            "Happened at least twice before, as far back as August 2025; the last word on one of them was: "
            '"thanks all" (Anna Ito, 2026-03-04).',
        ),
    ],
)
def test_how_often_is_told_as_nobody_can_mistake_it(recurrence: Recurrence, told: str):
    """This one included; a year is named where it is another; a number that may be too small says so."""
    assert recurrence_words(recurrence, NOW) == told


@pytest.mark.parametrize(
    ("number", "word"), [(2, "second"), (12, "twelfth"), (13, "13th"), (21, "21st"), (22, "22nd"), (103, "103rd"), (111, "111th")]
)  # fmt: skip
def test_numbers_have_their_endings(number: int, word: str):
    """Words up to twelve."""
    assert ordinal(number) == word


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (past(), '"Checkout answers 500" of 2026-03-04: same alert, same service.'),
        (past(at=None, alike=()), '"Checkout answers 500": reads alike.'),
        (past(title="two\nlines"), '"two lines" of 2026-03-04: same alert, same service.'),
    ],
)
def test_a_likeness_is_told_in_words_to_check(found: PastIncident, told: str):
    """And where there are none, that it only reads alike."""
    assert alike_words(found) == told


def test_the_card_gets_sentences_with_their_evidence():
    """The recurrence first; the same way out told once; nothing that rests on evidence which is not at hand."""
    quoted, other = ending("rolled back 3f2c1ab"), ending("Restarted it")
    first, second, third, lost = (
        past(ending=quoted),
        past(ending=other, at=MARCH - timedelta(days=9)),
        past(ending=ending("restarted  it", at=MARCH), at=MARCH - timedelta(days=10)),
        past(evidence=(Evidence(id="gone", tier=Tier.PAST_INCIDENT, title="T", text="x"),), ending=ending("raised it", evidence="gone")),
    )  # fmt: skip
    similar = Similar(
        incidents=(first, second, third, lost),
        recurrence=Recurrence(times=3, at_least=False, since=MARCH, first=second, last=first),
    )
    alike = tuple(Sentence(text=alike_words(item), evidence=("E3",)) for item in (first, second, third))

    assert recall(similar, NOW, {"p1": "E3"}) == (
        Section(
            heading="Seen before",
            sentences=(Sentence(text=recurrence_words(again(3, MARCH, ending=quoted), NOW), evidence=("E3",)), *alike),
        ),
        Section(
            heading="What worked last time",
            sentences=(Sentence(text='On 2026-02-23: "Restarted it" (Anna Ito, 2026-03-04); the same on 2026-02-22.', evidence=("E3",)),),
        ),
    )  # fmt: skip


def test_nothing_found_says_nothing():
    """No heading without a sentence."""
    assert recall(Similar(), NOW, {}) == ()


def test_a_count_rests_on_its_first_and_its_last():
    """Both are cited, so that whoever may not read one is not told the count; without either nothing is counted."""
    far = past(evidence=(Evidence(id="p2", tier=Tier.PAST_INCIDENT, title="T", text="x"),), at=MARCH)
    similar = Similar(recurrence=Recurrence(times=2, at_least=False, since=MARCH, first=far, last=past()))

    cited = [
        [item.evidence for part in recall(similar, NOW, ids) for item in part.sentences]
        for ids in ({"p1": "E1", "p2": "E2"}, {"p1": "E1"}, {"p2": "E2"})
    ]

    assert cited == [[("E1", "E2")], [], []]
