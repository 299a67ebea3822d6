"""What an incident card knows, and the words it chooses.

Does: hold everything one card shows; decide dot, headline, status, verdict and which parts may be shown. Pure functions:
the same card always says the same, whatever the time.
Does not: know blocks or markup (`bot/blocks.py`), fetch anything, or judge a commit: confidence comes from `ranking`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from core.duration import duration
from core.model import Confidence, Culprit, Draft, Evidence, Incident, Ranking, Section, Sentence, Status, Tier
from core.text import strip_hidden

StepName = Literal["gather", "rank", "draft"]
StepState = Literal["waiting", "running", "done", "degraded"]

#: A document untouched for longer than this is shown as such.
STALE = timedelta(days=180)
#: Timeline events, remarks and the incident's own facts: cited in a postmortem, with no page of their own.
_UNLINKED = re.compile(r"I|[TR]\d{1,4}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the investigation and how it stands."""

    name: StepName
    state: StepState = "waiting"
    #: What it is doing or why it fell short, in words for people.
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything the card of one incident shows."""

    incident: Incident
    steps: tuple[Step, ...] = (Step(name="gather"), Step(name="rank"), Step(name="draft"))
    #: Ids "E1"… as sentences cite them.
    evidence: tuple[Evidence, ...] = ()
    #: Its culprits are cited as "C1"… in order.
    ranking: Ranking | None = None
    summary: Draft | None = None
    mitigation: Draft | None = None
    #: What could not be looked at, in words: "Runbook search is unavailable: …".
    gaps: tuple[str, ...] = ()
    #: Item ("summary", "cause", "next", "commit:<sha>") to thumbs up and down.
    votes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    #: The commit a responder marked as the culprit.
    confirmed_culprit: str | None = None
    release: str = ""
    #: The channel that it was meant for and that took no post of ours, and why not, in words.
    meant_for: tuple[str, str] | None = None

    @property
    def working(self) -> bool:
        """Whether any step is still to come."""
        return any(step.state in ("waiting", "running") for step in self.steps)

    def step(self, name: StepName) -> Step:
        """How one step stands; a step the card was not told of counts as done."""
        return next((step for step in self.steps if step.name == name), Step(name=name, state="done"))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the card says of the cause, before any detail."""

    kind: Literal["confirmed", "likely", "possible", "inconclusive", "working", "missing"]
    #: The word people read: "Likely".
    word: str
    #: "about 80%", or "" where a number would say more than is known.
    chance: str = ""


# -- the incident ------------------------------------------------------------------------------------------------


def dot(incident: Incident) -> str:
    """Red for an open incident, orange for an open one of low urgency, yellow once acknowledged, green once resolved."""
    if incident.status is Status.RESOLVED:
        return "🟢"
    if incident.status is Status.ACKNOWLEDGED:
        return "🟡"
    return "🟠" if incident.urgency == "low" else "🔴"


def headline(incident: Incident) -> str:
    """The incident's title, its priority first."""
    return " · ".join(
        part for part in (incident.priority, incident.title.strip() or "Incident without a title") if part
    )


def status_words(incident: Incident) -> str:
    """Where it stands and who holds it: "Acknowledged by Dana and Lee"."""
    if incident.status is Status.RESOLVED:
        by = f" by {incident.resolved_by}" if incident.resolved_by else ""
        after = f" after {duration(incident.resolved_at - incident.created_at)}" if incident.resolved_at else ""
        return f"Resolved{by}{after}"
    if incident.status is Status.ACKNOWLEDGED:
        return f"Acknowledged by {listed(incident.acknowledged_by)}" if incident.acknowledged_by else "Acknowledged"
    return "Triggered, not acknowledged yet" if incident.paged else "Investigated on request"


def relative(moment: datetime, incident: Incident) -> str:
    """When something happened, seen from the incident: "14 min before"."""
    return f"{duration(moment - incident.created_at)} {'after' if moment > incident.created_at else 'before'}"


def age(item: Evidence, incident: Incident) -> str:
    """How old a source was at the incident: "97 days earlier", "updated 41 days earlier", "not updated for 420 days"."""
    moment = item.occurred_at if item.kind is Tier.PAST_INCIDENT else item.updated_at
    if moment is None or moment > incident.created_at:
        return ""
    span = duration(moment - incident.created_at)
    if item.kind is Tier.PAST_INCIDENT:
        return f"{span} earlier"
    return f"not updated for {span}" if incident.created_at - moment > STALE else f"updated {span} earlier"


def fixing_note(incident: Incident) -> str | None:
    """The last remark a responder left: the nearest thing there is to "what fixed it"."""
    return f"{incident.notes[-1].author}: {incident.notes[-1].text}" if incident.notes else None


# -- the cause ---------------------------------------------------------------------------------------------------


def verdict(card: Card) -> Verdict:
    """What may be said of the cause. A person's word comes first, then the ranking's; never a guess of ours."""
    if card.confirmed_culprit:
        return Verdict(kind="confirmed", word="Confirmed")
    if card.ranking is None:
        if card.step("rank").state in ("waiting", "running"):
            return Verdict(kind="working", word="Looking")
        return Verdict(kind="missing", word="Not looked at")
    if card.ranking.abstained or not card.ranking.culprits:
        return Verdict(kind="inconclusive", word="Inconclusive")
    likely = card.ranking.confidence is Confidence.LIKELY
    return Verdict(
        kind="likely" if likely else "possible",
        word="Likely" if likely else "Possible",
        chance=chance(card.ranking.culprits[0].confidence),
    )


#: Held out, the surest quarter of the rankings is right nine times in ten (learning/LOG.md): more is never promised.
SUREST = 0.9


def chance(probability: float) -> str:
    """A probability as people may take it, in steps of 5%; "" where the number is no calibrated probability."""
    if not 0.05 <= probability < 1:
        return ""
    return f"about {round(min(probability, SUREST) * 20) * 5}%"


def leading(card: Card, limit: int = 3) -> tuple[Culprit, ...]:
    """The commits worth a place on the card: a confirmed one first, then the best, without stragglers.

    A straggler stands at under a tenth of the first one's probability; when nothing is named, all are shown alike.
    """
    found = ranked(card.ranking)
    if not found:
        return ()
    if card.confirmed_culprit:
        first = [culprit for culprit in found if culprit.commit.sha == card.confirmed_culprit]
        return tuple(first[:1])
    if card.ranking is None or card.ranking.abstained:
        return found[:limit]
    return tuple(culprit for culprit in found[:limit] if culprit.confidence >= found[0].confidence / 10)


def ranked(ranking: Ranking | None) -> tuple[Culprit, ...]:
    """The candidates best first, each commit once."""
    unique: dict[str, Culprit] = {}
    for culprit in ranking.culprits if ranking else ():
        unique.setdefault(culprit.commit.sha, culprit)
    return tuple(unique.values())


def looked_at(ranking: Ranking) -> str:
    """What was searched: "143 commits in payments and shop, from the 14 days before"."""
    commits = "1 commit" if ranking.considered == 1 else f"{ranking.considered:,} commits"
    where = f" in {listed(ranking.repos)}" if ranking.repos else ""
    return f"{commits}{where}, from the {duration(ranking.window_to - ranking.window_from)} before"


# -- evidence and words ------------------------------------------------------------------------------------------


def cited(
    draft: Draft | None, evidence: Sequence[Evidence], ranking: Ranking | None, *, keep_empty: bool = False
) -> tuple[Section, ...]:
    """A draft's sections with only what rests on evidence at hand: the rest is never shown.

    Ids that name nothing are dropped; a sentence left with none, and a section left with no sentence, are dropped too.

    Args:
        keep_empty: whether a section left with no sentence stays, as an open question.
    """
    known = {item.id for item in evidence} | {
        f"C{place}" for place in range(1, len(ranking.culprits if ranking else ()) + 1)
    }
    sections = []
    for section in draft.sections if draft else ():
        kept = []
        for sentence in section.sentences:
            ids = tuple(dict.fromkeys(item for item in sentence.evidence if item in known or _UNLINKED.fullmatch(item)))
            if ids and strip_hidden(sentence.text).strip():
                kept.append(Sentence(text=sentence.text, evidence=ids))
        if kept or keep_empty:
            sections.append(Section(heading=section.heading, sentences=tuple(kept)))
    return tuple(sections)


def past_incidents(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The past incidents that look like this one, nearest first, each document once."""
    found: dict[str, Evidence] = {}
    for item in evidence:
        if item.kind is Tier.PAST_INCIDENT:
            found.setdefault(item.doc_id or item.title, item)
    return tuple(found.values())


def all_gaps(card: Card) -> tuple[str, ...]:
    """Everything that could not be looked at, each once: the card's, the degraded steps' and the ranking's."""
    notes = [step.note for step in card.steps if step.state == "degraded"]
    ranking = card.ranking.gaps if card.ranking else ()
    return tuple(dict.fromkeys(gap.strip() for gap in (*card.gaps, *notes, *ranking) if gap.strip()))


def source_kind(tier: Tier) -> str:
    """What a reader calls a source of this tier."""
    return {
        Tier.RUNBOOK: "runbook",
        Tier.WIKI: "wiki page",
        Tier.PAST_INCIDENT: "past incident",
        Tier.SLACK: "Slack message",
        Tier.COMMIT: "commit",
        Tier.ALERT: "alert",
    }[tier]


def written_by(*drafts: Draft | None) -> str:
    """Who chose the words: nobody but the sources, or a model whose every sentence was checked."""
    models = dict.fromkeys(draft.author for draft in drafts if draft and draft.author != "extractive")
    if models:
        return f"words by {listed(tuple(models))}, each sentence checked against its source"
    return "words quoted from the sources" if any(drafts) else ""


def listed(items: Sequence[str], limit: int = 4) -> str:
    """Names as a sentence lists them: "a, b and c", "a, b, c and 7 more"."""
    shown = [item for item in items if item.strip()]
    if len(shown) > limit:
        shown = [*shown[: limit - 1], f"{len(shown) - limit + 1} more"]
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)
