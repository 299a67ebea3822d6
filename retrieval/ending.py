"""How a past incident ended, in the words of those who were there.

Does: find the sentences of one document that tell it, with who said so, where they stand.
Does not: tell as an ending what was tried in vain, is still to be done, or was learnt; choose between documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.model import Evidence, Tier
from core.vain import tried_in_vain
from retrieval.story import Told, telling

_LONGEST = 300
#: With fewer words an ending says that it ended, not how.
_MEAGRE = 4
_END_HEADING = re.compile(
    r"resol|mitigat|\bfix|recover|remed|action taken|what (?:worked|helped)|restor", re.IGNORECASE
)
#: What a report says should be done, or was learnt.
_AFTERWARDS = re.compile(
    r"lesson|action item|follow[- ]?up|prevent|future|todo|next step|improve|needs? work", re.IGNORECASE
)
_LEAD = re.compile(r"^\s*(?:[-*+]|\d{1,2}[.)]|>)\s+")
_SPEAKER = re.compile(r"^(?P<author>[A-Z][\w'’-]+(?: [A-Z][\w.'’-]*){1,3}): (?P<text>.+)$", re.DOTALL)
_NO_SPEAKER = re.compile(
    r"cause|resol|mitigat|fix|action|update|impact|summary|status|note|lesson|step|timeline", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a past incident ended, in the words of those who were there."""

    #: Sentences, verbatim.
    text: str
    #: Who said so and when, where the document tells.
    author: str | None
    at: datetime | None
    #: Whether they tell of a mitigation; else they are the last that was said.
    mitigated: bool
    #: The id of the evidence that holds them, and how far that is trusted.
    evidence: str
    tier: Tier = Tier.PAST_INCIDENT

    @property
    def recorded(self) -> bool:
        """Whether it stands in a report or in the incident's own record; else it was only said in passing."""
        return self.tier is Tier.PAST_INCIDENT


def endings(told: Told | None, sections: Sequence[Evidence]) -> Iterable[Ending]:
    """What one document says of how its incident ended, the surest first.

    Args:
        told: what it tells, if it is in our own form; else it is a report that somebody wrote.
        sections: all its pieces, in reading order.
    """
    tiers = {item.id: item.tier for item in sections}
    if told is not None:
        for evidence_id, said in told.end:
            sentences = telling(said.text)
            text = " ".join(sentences[:2] or said.text.split("\n")[:1])
            if sentences and len(text.split()) < _MEAGRE:
                text = " ".join(said.text.split())  # "Resolved." says nothing without what stands before it
            yield Ending(
                text=_short(text),
                author=said.author,
                at=said.at,
                mitigated=bool(sentences),
                evidence=evidence_id,
                tier=tiers[evidence_id],
            )
        return
    past = [
        item for item in sections if not any(_AFTERWARDS.search(name) or tried_in_vain(name) for name in item.section)
    ]
    headed = [item for item in past if any(_END_HEADING.search(name) for name in item.section[-1:])]
    for item in (*headed, *reversed(past)):
        whole = [
            sentence for sentence in telling(item.text) if len(sentence) <= _LONGEST and not set("|`") & set(sentence)
        ]
        if whole:
            author, text = _spoken(_LEAD.sub("", whole[0]))
            yield Ending(text=text, author=author, at=None, mitigated=True, evidence=item.id, tier=item.tier)


def _spoken(sentence: str) -> tuple[str | None, str]:
    """A sentence's speaker, where it opens with a name: "Anna Ito: rolled back the pool size"."""
    match = _SPEAKER.match(sentence)
    if match is None or _NO_SPEAKER.search(match["author"]):
        return None, sentence
    return match["author"], match["text"]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
