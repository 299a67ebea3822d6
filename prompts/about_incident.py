"""Questions about the incident itself, answered from its record.

Does: recognise what is asked (who, since when, how bad, which commit and why, what was ruled out, what to do, which runbook) and
word the facts, confidence always the ranking's.
Does not: search; what it does not recognise goes to `prompts.answering`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from core.model import Confidence, Culprit, Incident, Ranking, Sentence, Status, Tier
from prompts.checks import unfit
from prompts.extractive import (
    STEPS_ALONE,
    commit_name,
    how_it_came,
    last_time,
    names,
    next_steps,
    past_incidents,
    recurrence,
    symptoms,
)
from prompts.passages import passages
from prompts.quoting import field, line, quoted, showable
from prompts.sources import GUIDING, Source, span, utc
from prompts.terms import terms

#: Reasons given for a commit, and candidates named as less likely.
_REASONS, _OTHERS = 3, 3
#: Lines that say whom to call.
_CONTACTS = 2


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question and everything that may answer it."""

    question: str
    incident: Incident | None
    ranking: Ranking | None
    sources: Sequence[Source]

    @property
    def of(self) -> Incident:
        """The incident asked about; questions about one are only answered where there is one."""
        assert self.incident is not None, f"no incident to answer {self.question!r} about"
        return self.incident


def of_incident(asked: Asked) -> list[Sentence]:
    """What the record answers; nothing where it does not, or where no incident is asked about."""
    if asked.incident is None:
        return _runbooks(asked)
    return next((tell(asked) for applies, tell in _INTENTS if applies(asked)), [])


def _acknowledged(asked: Asked) -> list[Sentence]:
    incident = asked.of
    if not incident.acknowledged_by:
        return _fact("Nobody has acknowledged it yet.")
    when = f" at {utc(incident.acknowledged_at)}" if incident.acknowledged_at else ""
    return _fact(f"{names(incident.acknowledged_by)} acknowledged it{when}.")


def _started(asked: Asked) -> list[Sentence]:
    incident = asked.of
    lasted = (
        f" It was resolved after {span(incident.created_at, incident.resolved_at)}." if incident.resolved_at else ""
    )
    return _fact(f"It started at {utc(incident.created_at)}.{lasted}")


def _status(asked: Asked) -> list[Sentence]:
    incident = asked.of
    if incident.status is Status.RESOLVED:
        by = field(" by ", incident.resolved_by)
        at = f" at {utc(incident.resolved_at)}" if incident.resolved_at else ""
        return _fact(f"It was resolved{by}{at}.")
    return _fact(f"It is still open: {incident.status.value}.")


def _severity(asked: Asked) -> list[Sentence]:
    incident = asked.of
    facts = [
        field("priority ", incident.priority),
        field("", incident.urgency, " urgency"),
    ]
    told = ", ".join(fact for fact in facts if fact)
    return _fact(f"It has {told}.") if told else []


def _service(asked: Asked) -> list[Sentence]:
    told = field("It fired for ", asked.of.service, ".")
    return _fact(told) if told else []


def _cause(asked: Asked) -> list[Sentence]:
    return cause(asked.ranking) or _ruled_out(asked)


def _ruled_out(asked: Asked) -> list[Sentence]:
    ranking = asked.ranking
    if ranking is None:
        return []
    ids = tuple(f"C{place}" for place in range(1, min(len(ranking.culprits), _OTHERS) + 1)) or ("I",)
    where, window = field(" in ", ", ".join(ranking.repos)), (utc(ranking.window_from), utc(ranking.window_to))
    looked = f"{ranking.considered:,} commits{where}, from {window[0]} to {window[1]}, were compared"
    verdict = "none stands out enough to name" if ranking.abstained else "the rest fit worse than the first"
    return [Sentence(text=f"{looked}; {verdict}.", evidence=ids), *_against(ranking)]


def _against(ranking: Ranking) -> Iterator[Sentence]:
    """Why the other candidates, or all of them when none is named, are less likely."""
    first = 0 if ranking.abstained else 1
    for place, culprit in enumerate(ranking.culprits[first : first + _OTHERS], first):
        against = _reasons(culprit, against=True)[:2]
        if against:
            yield Sentence(
                text=f"Against {commit_name(ranking, place)}: {'; '.join(against)}.", evidence=(f"C{place + 1}",)
            )


def _next(asked: Asked) -> list[Sentence]:
    return next_steps(f"{asked.question}\n{asked.of.text}", asked.sources, most=STEPS_ALONE)


def _before(asked: Asked) -> list[Sentence]:
    """The past incident nearest to the question: what it was, what ended it, what did not."""
    words = set(terms(asked.question))
    documents = past_incidents(asked.sources)
    nearest = sorted(
        documents, key=lambda parts: -len(words & {word for part in parts for word in terms(part.everything)})
    )
    sources = [source for parts in nearest[:1] for source in parts]
    wanted = symptoms(asked.of)
    return [*recurrence(asked.of, sources), *last_time(wanted, sources), *last_time(wanted, sources, in_vain=True)]


def _contacts(asked: Asked) -> list[Sentence]:
    """Whom reviewed documents name to call, of those nearest to the incident first."""
    return [
        Sentence(text=quoted(item), evidence=(source.id,))
        for source in asked.sources
        if source.tier in GUIDING
        for item in passages(source.text, source.section)
        if showable(item) and (_CALLS.search(item.text) or any(_CONTACT.search(name) for name in item.section))
    ][:_CONTACTS]


_CONTACT = re.compile(r"escalat|contact|on[- ]?call|who to (?:call|page|ask)|owner", re.I)
_CALLS = re.compile(
    r"\b(?:page|call|contact|escalate to|wake|ask)\b.{0,40}\b(?:teams?|on[- ]?call|owners?|engineers?|leads?)\b", re.I
)


def _runbooks(asked: Asked) -> list[Sentence]:
    """Reviewed documents by name, where a question asks for one; the citation links to it."""
    if not _DOCUMENT.search(asked.question):
        return []
    wanted = set(terms(_DOCUMENT.sub(" ", asked.question)))
    near: dict[str, Source] = {}
    for source in asked.sources:
        if source.tier in GUIDING and unfit(source.name) is None and wanted & set(terms(source.everything)):
            near.setdefault(source.doc_id or source.title, source)
    kind = {Tier.RUNBOOK: "runbook", Tier.WIKI: "wiki page"}
    return [
        Sentence(text=f'The {kind[source.tier]} "{source.name}" is about this.', evidence=(source.id,))
        for source in list(near.values())[:2]
    ]


_DOCUMENT = re.compile(
    r"\b(?:is|are) there (?:a|an|any)\b.*\b(?:runbooks?|playbooks?|docs?|documentation|wiki(?: page)?s?)\b"
    r"|\b(?:which|what|where(?:'s| is| are)?|link(?: to)?|find|show)\b.{0,20}\b(?:runbooks?|playbooks?|docs?|documentation|wiki(?: page)?s?)\b",
    re.I,
)
_FAILING = frozenset(
    terms("fail down broken slow break error crash happening alert fire firing page wrong 500 503 5xx outage incident")
)


def _asks_why(asked: Asked) -> bool:
    """Whether a question wants the reason of this incident, and of nothing it does not speak of."""
    if not re.search(r"\bwhy\b", asked.question, re.I):
        return False
    return set(terms(asked.question)) <= _FAILING | set(terms(asked.of.text)) | set(terms(asked.of.service or ""))


def _like(pattern: str) -> Callable[[Asked], bool]:
    compiled = re.compile(pattern, re.I)
    return lambda asked: compiled.search(asked.question) is not None


_INTENTS: tuple[tuple[Callable[[Asked], bool], Callable[[Asked], list[Sentence]]], ...] = (
    (_like(r"\bwho(?:'s| is| has| did)?\b.*\b(?:ack\w*|on (?:it|this)|own(?:s|ing)?|took|taken|handling|responding)\b"), _acknowledged),
    (_like(r"\b(?:is|has|was) (?:it|this|anyone|anybody|someone)\b.*\back\w*"), _acknowledged),
    (_like(r"\bwho(?:m)?\b.*\b(?:page|call|contact|escalate|wake|reach|ask)\b|\bescalat\w+"), _contacts),
    (_like(r"\bwhen\b.*\b(?:it|this|incident|alert|page|outage)\b.*\b(?:start\w*|beg[aiu]n|fir\w+|open\w*)"), _started),
    (_like(r"\bsince when\b|\bhow long\b.*\b(?:it|this|incident|going)\b"), _started),
    (_like(r"\bwho\b.*\bresolved\b|\b(?:is|was) (?:it|this|the incident)\b.*\b(?:over|fixed|resolved|open|ongoing|done)\b"), _status),
    (_like(r"\bstatus\b.*\b(?:it|this|incident)\b|^\s*status\s*\??$"), _status),
    (_like(r"\brul(?:e|ed|ing)\b.{0,20}\bout\b|\bexcluded?\b|\bother (?:commits?|candidates?|suspects?|causes?)\b"), _ruled_out),
    (_like(r"\b(?:which|what) (?:commit|change|deploy\w*|release)\b|\bculprits?\b|\bsuspect\w*|\broot cause\b|\bwh(?:at|o) broke\b"), _cause),
    (_like(r"\bwhat (?:likely |probably )?caused (?:it|this|the (?:incident|outage|alert|page))|\bwhy (?:is|did|are|has|does|was) (?:it|this)\b"), _cause),
    (_asks_why, _cause),
    (_like(r"\bhow (?:bad|severe|urgent|serious)\b|\b(?:what|which)\b.*\b(?:priority|urgency|severity)\b"), _severity),
    (_like(r"\b(?:which|what) services?\b.*\b(?:affected|this|it|fir\w+|hit|down)\b"), _service),
    (_like(r"\b(?:happened|seen|had|occurred)\b.*\bbefore\b|\blast time\b|\bsimilar\b|\bpast incidents?\b|\brecurr\w*"), _before),
    (_like(r"\bwhat (?:should|do|can|must) (?:i|we)\b.*\b(?:do|try|check)\b|\bnext steps?\b|\bwhat(?:'s| is) next\b"), _next),
    (_like(r"\bhow (?:do|can|should|to)\b.{0,12}\b(?:fix|mitigate|resolve|stop) (?:it|this|the (?:incident|outage|alert))\b"), _next),
    (lambda asked: bool(_DOCUMENT.search(asked.question)), _runbooks),
)  # fmt: skip


def _fact(text: str) -> list[Sentence]:
    return [Sentence(text=text, evidence=("I",))]


def cause(ranking: Ranking | None, *, brief: bool = False) -> list[Sentence]:
    """The commit the ranking names, worded by its confidence, with its weightiest reasons; nothing where it names none.

    Args:
        brief: its name alone, without when it came and why it is named.
    """
    if ranking is None or ranking.abstained or not ranking.culprits:
        return []
    first = ranking.culprits[0]
    word = "The likely" if ranking.confidence is Confidence.LIKELY else "A possible"
    reasons = _reasons(first, against=False)[:_REASONS]
    why = f": {'; '.join(reasons)}" if reasons else ""
    came = f", {how_it_came(first.commit)} {utc(first.commit.landed_at)}{why}"
    text = f"{word} cause is {commit_name(ranking)}{'' if brief else came}."
    return [Sentence(text=text, evidence=("C1",))]


def _reasons(culprit: Culprit, *, against: bool) -> list[str]:
    """A commit's reasons on one side, weightiest first, as parts of a sentence."""
    wanted = [reason for reason in culprit.reasons if (reason.weight < 0) == against]
    told = [_clause(line(reason.text)) for reason in sorted(wanted, key=lambda reason: -abs(reason.weight))]
    return [text for text in told if text and unfit(text) is None]


def _clause(sentence: str) -> str:
    """A sentence as part of another: no full stop, and a small letter where the word is no name."""
    return re.sub(r"^(It|Its|The|This|That|A|An|No|There)\b", lambda word: word[0].lower(), sentence.rstrip(". "))
