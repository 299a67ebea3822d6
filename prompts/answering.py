"""Answers that need no model: the incident's own facts for questions about it, else the passages that hold the question's words.

Does: search the evidence by words, identifiers split, with a floor below which nothing was found.
Does not: guess, paraphrase, or join what two sources say into one sentence.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.model import Draft, Evidence, Incident, Ranking, Sentence, Tier
from prompts.about_incident import Asked, of_incident
from prompts.checks import advises, names_command, unfit
from prompts.extractive import STEPS_ALONE
from prompts.passages import Passage, passages
from prompts.quoting import draft_of, full_stop, quoted, showable
from prompts.sources import GUIDING, Source, clean, sources_of
from prompts.terms import holds, terms

#: The share of a question's weight that one passage, with its headings at half, must hold. Below it, nothing was found.
FLOOR = 0.6
#: Passages an answer shows, and how near the best one a further one must come.
_MOST, _NEAR = 3, 0.8
#: From here on one passage answers the whole question.
_FULL = 0.9
#: Words that ask and that no answer repeats.
_ASKING = frozenset(terms("change changed describe explain give happen help know look mean need show tell want work"))
_PERSON = re.compile(r"\s*(?:who|whom|whose)\b", re.I)
_SOMEBODY = re.compile(
    r"\b(?:teams?|on[- ]?call|own(?:er|ed|s)|engineers?|leads?|managers?|support)\b|[a-z,] [A-Z]\w+ [A-Z]\w+"
)
_HOW = re.compile(r"\s*(?:how|what (?:are|is) the (?:steps|command|procedure))\b", re.I)


def answer(question: str, incident: Incident | None, evidence: Sequence[Evidence], ranking: Ranking | None) -> Draft:
    """Answer a question, or return a draft without sections: nothing was found."""
    sources = tuple(sources_of(incident=incident, evidence=evidence, ranking=ranking).values())
    told = of_incident(Asked(question=question, incident=incident, ranking=ranking, sources=sources))
    return draft_of("answer", [("", told or search(question, _searchable(incident, sources)))])


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """A passage with the words it holds and those of its headings."""

    source: Source
    item: Passage
    words: frozenset[str]
    around: frozenset[str]


def search(question: str, sources: Iterable[Source]) -> list[Sentence]:
    """The passages that hold what a question asks for, nearest first; none below the floor.

    A word weighs as much as it is rare among the passages (log(1 + N / n), as in Robertson's IDF), so that a service's name on
    every line decides nothing; a word that stands only in the headings counts half.
    """
    wanted = [word for word in dict.fromkeys(terms(question)) if word not in _ASKING]
    units = [unit for source in sources for unit in _units(source)]
    if _PERSON.match(question):
        units = [unit for unit in units if unit.source.tier is Tier.COMMIT or _SOMEBODY.search(unit.item.text)]
    if not wanted or not units:
        return []
    weights = _weights(wanted, units)
    scored = [(_held(unit, weights), unit) for unit in units]
    ranked = sorted(
        ((held, unit) for held, unit in scored if held >= FLOOR),
        key=lambda pair: -pair[0] * _trust(pair[1].source),
    )
    if not ranked:
        return []
    best, first = ranked[0]
    if (
        _HOW.match(question)
        and not (best >= _FULL and (first.item.commands or "`" in first.item.text))
        and (steps := _siblings(units, first))
    ):
        return steps
    enough = _NEAR * best * _trust(first.source)
    chosen = [unit for held, unit in ranked[:_MOST] if held * _trust(unit.source) >= enough]
    said = [Sentence(text=quoted(unit.item), evidence=(unit.source.id,)) for unit in chosen]
    return list({sentence.text: sentence for sentence in reversed(said)}.values())[::-1]


def _searchable(incident: Incident | None, sources: Iterable[Source]) -> Iterator[Source]:
    """The sources as texts to search: of the incident, what people wrote; its other facts are asked for by name."""
    for source in sources:
        if source.id != "I" or incident is None:
            yield source
            continue
        for text in (incident.description, *(note.text for note in incident.notes)):
            yield replace(source, title="", text=clean(text).replace("\n", "\n\n"))


def _units(source: Source) -> Iterator[_Unit]:
    if source.tier is Tier.COMMIT:
        yield from _commit_unit(source)
        return
    for item in passages(source.text, source.section):
        # However near, what nobody reviewed tells nobody what to do.
        if showable(item) and (source.tier in GUIDING or not (item.commands or advises(item.text))):
            around = frozenset(terms(" ".join((source.title, *item.section))))
            words = frozenset(terms(" ".join((item.text, *item.commands))))
            yield _Unit(source=source, item=item, words=words, around=around)


def _commit_unit(source: Source) -> Iterator[_Unit]:
    """A commit as one passage: its subject says it, all of it is searched."""
    subject = next((row for row in source.text.split("\n") if row.startswith("Subject: ")), "")
    short = re.search(r"\(([0-9a-f]{7,10})\)", source.text)
    author = next((row for row in source.text.split("\n") if row.startswith("Author: ")), "")
    if not subject or unfit(subject) or names_command(subject):
        return
    told = f'Commit {short[1]}: "{subject.removeprefix("Subject: ")}"' if short else subject
    item = Passage(text=full_stop(told), section=())
    yield _Unit(
        source=source, item=item, words=frozenset(terms(f"{subject} {author}")), around=frozenset(terms(source.text))
    )


def _weights(wanted: Sequence[str], units: Sequence[_Unit]) -> dict[str, float]:
    seen = Counter(word for unit in units for word in wanted if holds(unit.words, word))
    return {word: math.log(1 + len(units) / max(1, seen[word])) for word in wanted}


#: Between passages that hold the same words, the better reviewed one stands first; a commit, and what another alert said, only
#: beside nothing nearer.
_TRUST = {
    Tier.RUNBOOK: 1.0,
    Tier.WIKI: 1.0,
    Tier.PAST_INCIDENT: 0.98,
    Tier.SLACK: 0.9,
    Tier.COMMIT: 0.79,
    Tier.ALERT: 0.78,
}
#: What is written of the incident that is asked about: of all alerts its own is the one that is meant.
_OWN_WORDS = 0.95


def _trust(source: Source) -> float:
    return _OWN_WORDS if source.id == "I" else _TRUST[source.tier]


def _held(unit: _Unit, weights: dict[str, float]) -> float:
    """The share of a question's weight that a passage holds, in [0, 1]."""
    own = {word for word in weights if holds(unit.words, word)}
    if not own:
        return 0.0
    near = {word for word in weights if word not in own and holds(unit.around, word)}
    held = sum(weights[word] for word in own) + sum(weights[word] for word in near) / 2
    return held / sum(weights.values())


def _siblings(units: Sequence[_Unit], best: _Unit) -> list[Sentence]:
    """The steps that stand under one heading with the best passage of a reviewed source, in their order."""
    if best.source.tier not in GUIDING:
        return []
    same = [
        unit
        for unit in units
        if unit.source.id == best.source.id
        and unit.item.section == best.item.section
        and (unit.item.kind == "step" or unit.item.commands)
    ]
    if best.item.kind != "step" and not best.item.commands and not best.item.text.endswith(":"):
        return []
    return (
        [Sentence(text=quoted(unit.item), evidence=(unit.source.id,)) for unit in same[:STEPS_ALONE]]
        if len(same) > 1
        else []
    )
