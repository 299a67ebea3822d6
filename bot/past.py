"""The past in a card's words: how often it happened, and what ended it.

Does: put what `retrieval.recall` counted and quoted in the place of a drafter's own guess at it.
Does not: word anything; sentences that may not be shown as they stand are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.model import Draft, Evidence, Section, Sentence, Tier
from prompts.checks import names_command, unfit
from retrieval.recall import BEFORE, WORKED

#: Sentences of what worked last time that a card has room for.
_MOST = 2


def with_recurrence(summary: Draft, past: Sequence[Section], evidence: Sequence[Evidence], *, counted: bool) -> Draft:
    """The summary, with the count of earlier incidents instead of what the drafter says of one of them.

    Args:
        past: what is told of incidents like this one.
        counted: whether the same alert fired for the same service before; else the drafter's words stand.
    """
    told = _fit(past, BEFORE)
    if not counted or not told or not summary.sections:
        return summary
    of_the_past = {item.id for item in evidence if item.kind is Tier.PAST_INCIDENT}
    first, *rest = summary.sections
    kept = tuple(item for item in first.sentences if not set(item.evidence) <= of_the_past)
    return replace(summary, sections=(replace(first, sentences=(*kept, told[0])), *rest))


def with_endings(mitigation: Draft, past: Sequence[Section], *, counted: bool) -> Draft:
    """The mitigation, with how the incidents of the same alert ended and who said so.

    Args:
        past, counted: as in `with_recurrence`: what ended something that is only alike is left to the drafter's care.
    """
    told = _fit(past, WORKED)[:_MOST]
    if not counted or not told:
        return mitigation
    section = Section(heading=WORKED, sentences=tuple(told))
    if any(item.heading == WORKED for item in mitigation.sections):
        return replace(
            mitigation, sections=tuple(section if item.heading == WORKED else item for item in mitigation.sections)
        )
    first, rest = mitigation.sections[:1], mitigation.sections[1:]
    return replace(mitigation, sections=(*first, section, *rest))


def _fit(past: Sequence[Section], heading: str) -> list[Sentence]:
    """The sentences under a heading that quote nothing which may not be shown, and no command: told as past, never as advice."""
    return [
        item
        for section in past
        if section.heading == heading
        for item in section.sentences
        if not unfit(item.text) and not names_command(item.text)
    ]
