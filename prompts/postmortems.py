"""A postmortem's first draft that needs no model: what the record itself says, section by section.

Does: put the facts, the timeline, the ranking's candidate and people's own remarks under their headings, each sentence with its
source; leave a heading empty where nothing is known, as an open question for people.
Does not: conclude, name a person as a cause, or repeat a remark that does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from core.model import Draft, Evidence, Incident, IncidentEvent, Note, Ranking, Sentence
from prompts.about_incident import cause
from prompts.checks import blames, names_command, unfit
from prompts.extractive import commit_name, how_it_came, last_time, recurrence, summary, symptoms
from prompts.passages import sentences
from prompts.quoting import draft_of, field, full_stop, line
from prompts.sources import clean, event_line, sources_of, span, utc
from prompts.tasks import LONGEST_SENTENCE, PARTS

_HELPED = re.compile(
    r"\b(?:roll(?:ed|ing) (?:it |them |\w+ )?back|revert\w*|restart\w*|mitigat\w+|fixed|resolved|recover\w*|restored|fail(?:ed|ing) over|scal(?:ed|ing)"
    r"|disabl\w+|switch(?:ed|ing)|drain\w*|gone|back to normal|healthy|green|dropp(?:ed|ing)|helped|worked)\b",
    re.I,
)
_IMPACT = re.compile(
    r"\b(?:customers?|users?|clients?|requests?|orders?|payments?|checkouts?|revenue|traffic|affected|impact\w*|lost|unavailable|down"
    r"|degraded|errors?|latency|fail(?:ed|ing|ures?)?)\b",
    re.I,
)
_AMOUNT = re.compile(r"\d|\b(?:all|every|most|half|some|no|none)\b", re.I)
_FOLLOW_UP = re.compile(
    r"\b(?:to-?do|follow[- ]?ups?|action items?|tickets?|next week|tomorrow|later|we should|should (?:add|have|alert|raise|test|document|fix|be)"
    r"|needs? (?:a|an|to)|need to|must (?:add|fix)|let's|will (?:add|fix|write|open|raise|follow))\b",
    re.I,
)
_WHY = re.compile(r"\b(?:root cause|caused|cause was|because|due to|turned out|culprit|led to|triggered by)\b", re.I)
#: Remarks quoted in one section.
_QUOTES = 3


def postmortem(
    incident: Incident,
    events: Sequence[IncidentEvent],
    evidence: Sequence[Evidence],
    ranking: Ranking | None,
    remarks: Sequence[Note],
) -> Draft:
    """The sections of a postmortem, in order; one without a sentence is an open question.

    Args:
        events: the timeline, cited as "T1"… in this order.
        remarks: what people wrote in the thread, cited as "R1"… in this order.
    """
    people = people_of(incident, events, ranking, remarks)
    said = list(_remarks(remarks, events, people))
    sources = sources_of(incident=incident, evidence=evidence, ranking=ranking).values()
    told = {
        "Summary": [*summary(incident, ()).sentences, *recurrence(incident, sources)[:1]],
        "Impact": [*_lasted(incident), *_quotes(said, _IMPACT, and_also=_AMOUNT)],
        "Timeline": _timeline(events, ranking, remarks, people),
        "Root cause": [*_candidate(ranking, people), *_quotes(said, _WHY)],
        "What helped": [*_quotes(said, _HELPED), *last_time(symptoms(incident), sources)],
        "Follow-ups": _quotes(said, _FOLLOW_UP),
    }
    parts = PARTS["postmortem"]
    return draft_of("postmortem", [(part.heading, told[part.heading][: part.most]) for part in parts], keep_empty=True)


def people_of(
    incident: Incident, events: Sequence[IncidentEvent], ranking: Ranking | None, remarks: Sequence[Note]
) -> frozenset[str]:
    """Everybody the record names: none of them is a cause."""
    return frozenset(
        name
        for name in (
            *incident.acknowledged_by,
            incident.resolved_by,
            *(note.author for note in (*incident.notes, *remarks)),
            *(event.agent for event in events),
            *(culprit.commit.author for culprit in (ranking.culprits if ranking else ())),
        )
        if name
    )


def _lasted(incident: Incident) -> list[Sentence]:
    if incident.resolved_at is None:
        return []
    service = field(" for ", incident.service)
    lasted = span(incident.created_at, incident.resolved_at)
    text = (
        f"The incident{service} was open for {lasted}, from {utc(incident.created_at)} to {utc(incident.resolved_at)}."
    )
    return [Sentence(text=text, evidence=("I",))]


def _timeline(
    events: Sequence[IncidentEvent], ranking: Ranking | None, remarks: Sequence[Note], people: frozenset[str]
) -> list[Sentence]:
    """Every event, remark and the named commit, by time."""
    rows = [(event.occurred_at, f"T{place}", clean(event_line(event))) for place, event in enumerate(events, 1)]
    rows += [
        (remark.at, f"R{place}", f"{utc(remark.at)}: {line(remark.author)} wrote: {line(remark.text)}")
        for place, remark in enumerate(remarks, 1)
    ]
    if ranking is not None and ranking.culprits and not ranking.abstained:
        commit = ranking.culprits[0].commit
        told = f"{utc(commit.landed_at)}: {commit_name(ranking)} was {how_it_came(commit)}"
        rows.append((commit.landed_at, "C1", told))
    shown = [(at, name, _bounded(text)) for at, name, text in sorted(rows, key=lambda row: row[0])]
    return [
        Sentence(text=full_stop(text), evidence=(name,))
        for _, name, text in shown
        if not unfit(text) and not blames(text, people)
    ]


def _candidate(ranking: Ranking | None, people: frozenset[str]) -> list[Sentence]:
    """The ranking's candidate without reasons that name its author."""
    told = cause(ranking)
    named = any(name.casefold() in sentence.text.casefold() for sentence in told for name in people)
    return cause(ranking, brief=True) if named else told


def _remarks(
    remarks: Sequence[Note], events: Sequence[IncidentEvent], people: frozenset[str]
) -> Iterator[tuple[str, str, str]]:
    """Each sentence people wrote: its source's id, when, and its words; without those that blame, link or command."""
    written = [(f"R{place}", remark.at, remark.text) for place, remark in enumerate(remarks, 1)]
    written += [
        (f"T{place}", event.occurred_at, str(event.changes["note"]))
        for place, event in enumerate(events, 1)
        if event.changes.get("note")
    ]
    for name, at, text in sorted(written, key=lambda row: row[1]):
        for sentence in sentences(line(text)):
            if not unfit(sentence) and not blames(sentence, people) and not names_command(sentence):
                yield name, utc(at), sentence


def _quotes(
    said: Sequence[tuple[str, str, str]], cue: re.Pattern[str], *, and_also: re.Pattern[str] | None = None
) -> list[Sentence]:
    """Remarks that speak of something, word for word and without their author: what was said counts, not who."""
    return [
        Sentence(text=f'A responder wrote at {at}: "{_bounded(text).rstrip(".")}."', evidence=(name,))
        for name, at, text in said
        if cue.search(text) and (and_also is None or and_also.search(text))
    ][:_QUOTES]


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - 1].rsplit(' ', 1)[0]}…"
