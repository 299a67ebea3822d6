"""What the card says of the past: how often, since when, how it is alike, and what ended it last time.

Does: word what `retrieval.similar` found as sentences, each with its evidence. Times are told in UTC.
Does not: search, or know a surface. Quotations are verbatim: whoever shows them checks that they may be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from core.model import Section, Sentence
from retrieval.ending import Ending
from retrieval.similar import PastIncident, Recurrence, Similar

#: Headings of the two parts.
BEFORE, WORKED = "Seen before", "What worked last time"

_ORDINAL_WORDS = "second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINALS = tuple(_ORDINAL_WORDS.split())


def recall(similar: Similar, at: datetime, ids: Mapping[str, str]) -> tuple[Section, ...]:
    """The past as sentences.

    Args:
        similar: what was found.
        at: when this incident began.
        ids: the search's evidence ids to those that sentences cite ("E3"); a sentence left without any is not told.

    Returns:
        "Seen before": the recurrence first, then each incident; "What worked last time": how the nearest ones ended, without
        what the recurrence already quotes or was only said in Slack. Either is left out where it would be empty.
    """
    again = similar.recurrence
    before = [Sentence(text=alike_words(past), evidence=_cited(past, ids)) for past in similar.incidents]
    if again is not None:
        before.insert(0, Sentence(text=recurrence_words(again, at), evidence=_both(again, ids)))
    worked = list(_worked(similar, ids))
    parts = ((BEFORE, before), (WORKED, worked))
    kept = ((heading, tuple(item for item in told if item.evidence)) for heading, told in parts)
    return tuple(Section(heading=heading, sentences=told) for heading, told in kept if told)


def _worked(similar: Similar, ids: Mapping[str, str]) -> Iterable[Sentence]:
    """What ended the incidents, each way once, without the one that the recurrence quotes."""
    quoted = similar.recurrence and similar.recurrence.last.ending
    ways: dict[str, list[tuple[PastIncident, Ending]]] = {}
    for past in similar.incidents:
        if past.ending is not None and past.ending.mitigated and past.ending.recorded:
            ways.setdefault(" ".join(past.ending.text.casefold().split()), []).append((past, past.ending))
    for way, told in ways.items():
        if quoted and way == " ".join(quoted.text.casefold().split()):
            continue
        (past, ending), *others = told
        again = ", ".join(_day(other.at) for other, _ in others if other.at)
        text = f"{_ended_words(past, ending)}{f'; the same on {again}' if again else ''}."
        yield Sentence(text=text, evidence=_known([item.evidence for _, item in told], ids))


def recurrence_words(again: Recurrence, at: datetime) -> str:
    """How often, since when, and the last time: 'Third time since March; last time mitigated by: "…" (Ada, 2026-03-04).'

    Where not all of them were looked at, neither the first nor the last is known, and none is called so.
    """
    ending = again.last.ending
    if again.at_least:
        counted = f"Happened at least {_times(again.times)} before, {_back_to(again.since, at)}"
        on, mitigated, said = "one of them was on", "one of them was mitigated by", "the last word on one of them was"
        in_slack = "of one of them somebody said in Slack"
    else:
        counted = f"{ordinal(again.times + 1).capitalize()} time {since(again.since, at)}"
        on, mitigated, said = "the last was on", "last time mitigated by", "the last word then was"
        in_slack = "of the last one somebody said in Slack"
    if ending is None:
        return f"{counted}; {on} {_day(again.last.at)}."
    led = in_slack if not ending.recorded else mitigated if ending.mitigated else said
    return f"{counted}; {led}: {_quoted(ending, again.last.at)}."


def alike_words(past: PastIncident) -> str:
    """One past incident and how it is alike."""
    when = f" of {_day(past.at)}" if past.at else ""
    return f'"{" ".join(past.title.split())}"{when}: {", ".join(past.alike) or "reads alike"}.'


def ordinal(number: int) -> str:
    """ "second" to "twelfth", then "13th"."""
    if 2 <= number < 2 + len(_ORDINALS):
        return _ORDINALS[number - 2]
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def since(first: datetime, at: datetime) -> str:
    """From when, as nobody can mistake it: "this month", "since March" of the same year, "since March 2025"."""
    first, at = first.astimezone(UTC), at.astimezone(UTC)
    if (first.year, first.month) == (at.year, at.month):
        return "this month"
    return f"since {first:%B}" if first.year == at.year else f"since {first:%B %Y}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _back_to(first: datetime, at: datetime) -> str:
    """ "this month alone", "as far back as March"."""
    month = since(first, at)
    return f"as far back as {month.removeprefix('since ')}" if month.startswith("since ") else f"{month} alone"


def _ended_words(past: PastIncident, ending: Ending) -> str:
    when = f"On {_day(past.at)}: " if past.at and (ending.at is None or _day(ending.at) != _day(past.at)) else ""
    return f"{when}{_quoted(ending, past.at)}"


def _quoted(ending: Ending, at: datetime | None) -> str:
    said_at = ending.at or at
    source = ", ".join(part for part in (ending.author, _day(said_at) if said_at else None) if part)
    return f'"{" ".join(ending.text.split())}"{f" ({source})" if source else ""}'


def _day(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}" if at else "an unknown day"


def _both(again: Recurrence, ids: Mapping[str, str]) -> tuple[str, ...]:
    """What a count rests on. Without either end of it there is nothing to count from."""
    ends = [_cited(past, ids) for past in (again.last, again.first)]
    return tuple(dict.fromkeys(item for end in ends for item in end)) if all(ends) else ()


def _cited(past: PastIncident, ids: Mapping[str, str]) -> tuple[str, ...]:
    return _known([item.id for item in past.evidence], ids)


def _known(evidence: Iterable[str], ids: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids[item] for item in evidence if item in ids))
