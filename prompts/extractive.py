"""The drafter that needs no model: the card's summary and next steps, quoted from their sources.

Does: word the incident's own facts, take steps and commands from the best runbook section to the letter, say what ended a
similar incident, and point at a commit only where the ranking does.
Does not: write a sentence without its source, paraphrase, or know a model. Answers and postmortems are its sisters,
`prompts.answering` and `prompts.postmortems`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.model import Commit, Confidence, Draft, Evidence, Incident, Ranking, Sentence, Status, Tier
from core.vain import tried_in_vain
from prompts.checks import advises, names_command, unfit
from prompts.orders import asks
from prompts.passages import Passage, passages
from prompts.quoting import draft_of, field, full_stop, quoted, showable
from prompts.sources import GUIDING, Source, clean, day, sources_of, span, utc
from prompts.terms import negated, shared, terms

#: Steps taken from a runbook: alone, and where a past incident or a commit follows (the card shows five in all).
STEPS_ALONE, STEPS_BESIDE = 5, 3
#: Steps with which a section needs no other beside it.
_ENOUGH = 3
#: Words an incident and a past one must share before they are called alike.
_ALIKE = 2


# -- summary ---------------------------------------------------------------------------------------------------------


def summary(incident: Incident, evidence: Sequence[Evidence]) -> Draft:
    """What fired, for whom and since when; what the alert measured; and whether it happened before."""
    sources = sources_of(incident=incident, evidence=evidence)
    sentences = [
        Sentence(text=_fired(incident), evidence=("I",)),
        *_measured(incident),
        *recurrence(incident, sources.values())[:1],
    ]
    return draft_of("summary", [("What's going on", sentences)])


def _fired(incident: Incident) -> str:
    rank = [field("", incident.priority), field("", incident.urgency, " urgency")]
    facts = ", ".join(part for part in rank if part)
    service = field(" for ", incident.service)
    return f"{title_of(incident)} fired{service} at {utc(incident.created_at)}{f' ({facts})' if facts else ''}{f'; {standing(incident)}' if incident.paged else ''}."


def title_of(incident: Incident) -> str:
    """The incident's title in quotes, or a stand-in for one that may not be shown."""
    return field('"', incident.title, '"') or "An alert"


def standing(incident: Incident) -> str:
    """Where it stands and who holds it, as the end of a sentence."""
    if incident.status is Status.RESOLVED and incident.resolved_at:
        by = field(" by ", incident.resolved_by)
        return f"resolved{by} after {span(incident.created_at, incident.resolved_at)}"
    if incident.status is Status.RESOLVED:
        return "resolved"
    if not incident.acknowledged_by or incident.status is Status.TRIGGERED:
        return "nobody holds it now" if incident.acknowledged_by else "nobody has acknowledged it yet"
    after = f" after {span(incident.created_at, incident.acknowledged_at)}" if incident.acknowledged_at else ""
    return f"{names(incident.acknowledged_by)} acknowledged it{after}"


def names(people: Sequence[str]) -> str:
    """People as a sentence lists them."""
    shown = [name for name in (field("", name) for name in people) if name] or ["somebody"]
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)


_LABEL = re.compile(r"^(?:description|summary|message|details?)\s*[:=]\s*", re.I)


def _measured(incident: Incident) -> list[Sentence]:
    """The first sentence of the alert's description that says more than its title, one with a number before others."""
    known = frozenset(terms(incident.title))
    told = [
        _LABEL.sub("", item.text)
        for item in passages(clean(incident.description).replace("\n", "\n\n"))
        if showable(item) and not advises(item.text) and len(set(terms(item.text)) - known) >= 2
    ]
    told.sort(key=lambda text: not re.search(r"\d", text))
    return [Sentence(text=full_stop(text), evidence=("I",)) for text in told[:1]]


def symptoms(incident: Incident) -> str:
    """The incident in words without its service's name, which every incident of the service shares."""
    service = set(terms(incident.service or ""))
    return " ".join(word for word in terms(incident.text) if word not in service)


def recurrence(incident: Incident, sources: Iterable[Source]) -> list[Sentence]:
    """The past incidents that are alike, nearest first, each with what was said of its cause."""
    told = []
    for parts in alike(symptoms(incident), sources):
        when = f" of {day(parts[0].occurred_at)}" if parts[0].occurred_at else ""
        cause = next((found for found in _told(parts, _CAUSE, _CAUSE_HEADING) if not found[2]), None)
        because = f": {cause[1]}" if cause else "."
        ids = dict.fromkeys((parts[0].id, cause[0] if cause else parts[0].id))
        told.append(Sentence(text=f'It resembles "{parts[0].title}"{when}{because}', evidence=tuple(ids)))
    return told


# -- mitigation ------------------------------------------------------------------------------------------------------


def mitigation(incident: Incident, evidence: Sequence[Evidence], ranking: Ranking | None) -> Draft:
    """Steps of the best runbook, what worked last time, and whether a commit's revert is worth a look."""
    sources = sources_of(incident=incident, evidence=evidence, ranking=ranking)
    wanted, commit = symptoms(incident), worth_checking(ranking)
    past = last_time(wanted, sources.values())
    vain = last_time(wanted, sources.values(), in_vain=True)
    steps = next_steps(incident.text, sources.values(), most=STEPS_BESIDE if past or commit else STEPS_ALONE)
    return draft_of(
        "mitigation",
        [
            ("Steps to take", steps),
            ("What worked last time", past),
            ("What did not help last time", vain),
            ("Worth checking", commit),
        ],
    )


def next_steps(wanted: str, sources: Iterable[Source], *, most: int) -> list[Sentence]:
    """The steps that a runbook or wiki page gives for what is wanted.

    Args:
        wanted: the incident or question in words.
        sources: best first; only reviewed ones are read.
        most: steps to take.

    Returns:
        Steps in their document's order; none if no reviewed source gives any.
    """
    blocks = list(_blocks(wanted, sources))
    if not blocks:
        return []
    best = max(blocks, key=lambda block: block.score)
    same = [
        block
        for block in blocks
        if (block.source.doc_id, block.source.title) == (best.source.doc_id, best.source.title)
    ]
    worth: dict[tuple[str, ...], float] = {}
    for block in same:
        worth[block.section] = max(block.score, worth.get(block.section, block.score))
    steps: list[Sentence] = []
    # Stable: parts of one section keep the order they came in.
    for block in sorted(same, key=lambda block: -worth[block.section]):
        if block.section == best.section or (len(steps) < _ENOUGH and worth[block.section] > 1):
            steps += _taken(block, terms(wanted), most - len(steps), steps)
    return steps


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Passages under one heading of one source, and how much they promise."""

    source: Source
    section: tuple[str, ...]
    passages: tuple[Passage, ...]
    score: float


_ACT = re.compile(
    r"mitigat|remed|resol|fix|recover|action|steps?\b|procedure|how to|what to do|roll ?back|restart|workaround|response|instruct"
    r"|runbook|playbook|solution|repair|restor|fail ?over|first aid|immediate",
    re.I,
)
_LOOK = re.compile(r"diagnos|investigat|debug|check|verif|triage|troubleshoot|symptom|confirm|inspect", re.I)
_ASIDE = re.compile(
    r"impact|meaning|overview|background|summary|about|context|reference|see also|links?\b|contacts?|escalat|owner|further"
    r"|history|changelog|metadata|severity|definition|introduction|purpose|dashboards?|prevent|related",
    re.I,
)


def _blocks(wanted: str, sources: Iterable[Source]) -> Iterable[_Block]:
    words = terms(wanted)
    for place, source in enumerate(source for source in sources if source.tier in GUIDING):
        groups: dict[tuple[str, ...], list[Passage]] = {}
        for item in passages(source.text, source.section):
            groups.setdefault(item.section, []).append(item)
        for section, items in groups.items():
            steps = tuple(item for item in items if _is_step(item) and showable(item))
            if steps:
                idle = 0.0 if any(item.commands or item.ordered or asks(item.text) for item in steps) else 2.0
                held = frozenset(terms(" ".join((source.title, *section, *(item.text for item in items)))))
                trust = 0.5 if source.tier is Tier.RUNBOOK else 0.0
                score = _promise(section) + 2 * shared(words, held) + trust + 1.5 / (1 + place) - idle
                yield _Block(source=source, section=section, passages=steps, score=score)


def _promise(section: Sequence[str]) -> float:
    """What a heading path promises, its innermost telling heading deciding."""
    for heading in reversed(section):
        for pattern, worth in ((_ACT, 2.0), (_LOOK, 1.5), (_ASIDE, -1.5)):
            if pattern.search(heading):
                return worth
    return 0.5


#: A pointer whose link is not shown, or advice that only says to work.
_POINTER = re.compile(
    r"^(?:please )?(?:see|refer to|read)\b|\bsee (?:the )?(?:following|below|above)|\b(?:identify|find|determine) the root cause and (?:resolve|fix)",
    re.I,
)


_WARNING = re.compile(r"(?:\W|warning|caution|note|important)*(?:do not|don['’]t|never|avoid|must not)\b", re.I)


def _is_step(item: Passage) -> bool:
    # A numbered list is a procedure: leaving one of its steps out makes a wrong one of it.
    if item.commands or item.ordered:
        return True
    if _POINTER.search(item.text) or item.text.endswith(":"):
        return False
    return asks(item.text) or (item.kind == "step" and len(item.text.split()) > 3)


def _taken(block: _Block, wanted: Sequence[str], most: int, already: Sequence[Sentence]) -> list[Sentence]:
    """Steps of one block in their order: the first of a numbered list, else those that ask for something, nearest first."""
    known = {sentence.text for sentence in already}
    fresh = [item for item in block.passages if quoted(item) not in known]
    asking = [item for item in fresh if item.commands or item.ordered or asks(item.text)]
    fresh = asking or fresh
    if len(fresh) > most and not any(item.ordered for item in fresh):
        nearest = sorted(fresh, key=lambda item: -shared(wanted, frozenset(terms(item.text))) - bool(item.commands))[
            :most
        ]
        fresh = [item for item in fresh if any(item is other for other in nearest)]
    taken = fresh[:most]
    # A warning costs a line and may save the night: it is never cut off with the steps it belongs to.
    taken += [item for item in block.passages if _WARNING.match(item.text) and item not in taken][:1]
    told = [Sentence(text=quoted(item), evidence=(block.source.id,)) for item in taken]
    left = sum(item.ordered and item not in taken for item in fresh)
    if left:
        told.append(
            Sentence(
                text=f"{left} more {'step follows' if left == 1 else 'steps follow'} in the document.",
                evidence=(block.source.id,),
            )
        )
    return told


# -- what worked last time, and the commit ---------------------------------------------------------------------------

_ENDED = re.compile(
    r"\b(?:roll(?:ed|ing) (?:it |them )?back|revert(?:ed|ing)|restart(?:ed|ing)|mitigat(?:ed|ing)|resolved|fixed|recovered|restored"
    r"|fail(?:ed|ing) over|switch(?:ed|ing)|disabl(?:ed|ing)|rais(?:ed|ing)|scal(?:ed|ing)|increas(?:ed|ing)|undid|drain(?:ed|ing)|rebooted|flushed)\b",
    re.I,
)
#: The line with which our own stories close: who called it over, and when, tells nobody what ended it.
_CLOSING = re.compile(r"^Resolved(?: by .{1,200}?)? on \d{4}-\d\d-\d\d \d\d:\d\d UTC, ")
_ENDED_HEADING = re.compile(r"resol|mitigat|fix|\b(?:worked|helped|ended)\b|recover|remed|action taken", re.I)
_CAUSE = re.compile(r"\b(?:caus(?:e[ds]?|ing)|because|due to|led to|triggered by|as a result of|stemmed)\b", re.I)
_CAUSE_HEADING = re.compile(r"cause|trigger|what happened|why|contribut", re.I)


def last_time(wanted: str, sources: Iterable[Source], *, in_vain: bool = False) -> list[Sentence]:
    """How the nearest incident that is alike ended, or what was tried in vain, told as past.

    Args:
        wanted: the incident in words.
        sources: best first; what reads as advice or as a command is none, and is left out.
        in_vain: what did not help, instead of what did.
    """
    for parts in alike(wanted, sources)[:1]:
        for source_id, text, vain in _told(parts, _ENDED, _ENDED_HEADING):
            if vain == in_vain:
                at = parts[0].occurred_at
                when = f"{'Did not help on' if vain else 'On'} {day(at)}: " if at else "Did not help: " if vain else ""
                return [Sentence(text=f"{when}{text}", evidence=(source_id,))]
    return []


def alike(wanted: str, sources: Iterable[Source]) -> list[list[Source]]:
    """The past incidents that share enough words with what is wanted, in the order they came."""
    words = set(terms(wanted))
    documents = past_incidents(sources)
    return [
        parts
        for parts in documents
        if len(words & set().union(*(terms(part.everything) for part in parts))) >= _ALIKE and not unfit(parts[0].title)
    ]


def past_incidents(sources: Iterable[Source]) -> list[list[Source]]:
    """The parts of each past incident together, in the order they came, whoever speaks in them."""
    found: dict[str, list[Source]] = {}
    for source in sources:
        if Tier.PAST_INCIDENT in (source.tier, source.within):
            found.setdefault(source.doc_id or source.title, []).append(source)
    return list(found.values())


def _told(parts: Sequence[Source], cue: re.Pattern[str], heading: re.Pattern[str]) -> list[tuple[str, str, bool]]:
    """Sentences of a past incident that tell of something, the surest first, each with its source's id and whether it was in vain.

    What was only said in Slack or by the alert makes it alike, and tells neither its cause nor its end.
    """
    scored: list[tuple[float, str, str, bool]] = []
    for part in (part for part in parts if part.tier is Tier.PAST_INCIDENT):
        for item in passages(part.text, part.section):
            vain = any(tried_in_vain(words) for words in (*item.section, item.text))
            under = vain or any(heading.search(name) for name in item.section)
            worth = 2 * under + bool(cue.search(item.text)) - (0.5 if len(item.text.split()) < 4 else 0)
            fit = item.kind != "row" and showable(item) and not advises(item.text) and not _CLOSING.match(item.text)
            if worth >= 1 and fit and (vain or not negated(item.text)):
                scored.append((worth, part.id, full_stop(item.text), vain))
    return [(source_id, text, vain) for _, source_id, text, vain in sorted(scored, key=lambda item: -item[0])]


def worth_checking(ranking: Ranking | None) -> list[Sentence]:
    """A revert worth a look: only for a commit the ranking names, and only as something to check."""
    if ranking is None or ranking.abstained or not ranking.culprits:
        return []
    word = "the likely" if ranking.confidence is Confidence.LIKELY else "a possible"
    text = f"Check whether reverting {commit_name(ranking)} is safe: it is {word} cause."
    return [Sentence(text=text, evidence=("C1",))]


def how_it_came(commit: Commit) -> str:
    """The word for what brought a commit to its branch at `Commit.landed_at`."""
    return "merged" if commit.merged_at else "committed"


def commit_name(ranking: Ranking, place: int = 0) -> str:
    """A candidate as a sentence names it: short id, subject, repository. A subject that is a command is not repeated."""
    commit = ranking.culprits[place].commit
    subject = "" if names_command(commit.subject) else field(' "', commit.subject, '"')
    return commit.short + subject + field(" in ", commit.repo)
