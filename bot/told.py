"""Answers and postmortem drafts as they were given, and as they may be shown now.

Does: keep what each says and rests on, beside the findings; make its message anew from that, checked again, whenever it is sent,
edited, or found to wait in the outbox.
Does not: search, draft or post. What was told in one place is kept under that place, and never read for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from bot import blocks
from bot.audience import Present, Recent
from bot.gate import Gate
from bot.investigation import Gathered, Ranked, clean
from core.model import Draft, Evidence, Incident, Ranking, from_json, to_json
from core.redaction import redact_json
from core.store import Message, Store

Body = dict[str, Any]
#: Messages that are made from what was told: answers in a channel, answers to one person, postmortem drafts.
ANSWER, PRIVATE, POSTMORTEM = "answer:", "private:", "postmortem:"
#: The step under which a postmortem's sources are kept; its draft is the step "postmortem".
SOURCES = "postmortem:sources"
#: Commits whose order is kept with what cites them.
CULPRITS = 20
#: Seconds for which the pieces that something rests on are taken as known, unless this process changes them; and of how much.
PIECES_S, MOST_SUBJECTS = 300.0, 5_000
_TAKEN_OUT = "This part of the draft was taken out: what it rested on is gone by now, or not for everyone here."


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was said, and everything it rests on."""

    draft: Draft
    evidence: tuple[Evidence, ...] = ()
    #: The commits that "C1"… meant.
    culprits: tuple[str, ...] = ()
    question: str = ""
    gaps: tuple[str, ...] = ()
    #: Where, by its Slack id.
    channel: str = ""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a postmortem draft rests on."""

    evidence: tuple[Evidence, ...] = ()
    culprits: tuple[str, ...] = ()


class Retelling:
    """Makes messages of what was told.

    Args:
        store: where it is kept.
        gate: checks it each time.
        clock: seconds that never go back.
    """

    def __init__(self, store: Store, gate: Gate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._gate, self._clock = store, gate, clock
        self._pieces: Recent[str, frozenset[str]] = Recent(MOST_SUBJECTS, clock)

    def keep(self, step: str, told: Told, incident: Incident | None) -> None:
        """Remember what is said under a key, for the place where it is said."""
        subject = _subject(incident.id if incident else None, told.channel)
        self._store.save_finding(subject, step, to_json(told))
        self.forget_pieces(subject)

    def keep_postmortem(self, incident_id: str, draft: Draft, sources: Sources) -> None:
        """Remember an incident's postmortem draft, and what it rests on."""
        self._store.save_finding(incident_id, "postmortem", to_json(draft))
        self._store.save_finding(incident_id, SOURCES, to_json(sources))
        self.forget_pieces(incident_id)

    def answer(self, step: str, *, incident: Incident | None, channel: str) -> Body | None:
        """The message of an answer that was kept, as it may be shown in its channel now."""
        told = self.told(step, incident, channel)
        if told is None:
            return None
        body = blocks.answer_message(
            told.question,
            told.draft,
            evidence=told.evidence,
            ranking=_as_told(self._store.findings(incident.id), told.culprits) if incident else None,
            incident=incident,
            key=step.partition(":")[2],
            gaps=told.gaps,
        )
        return cast(Body, redact_json(body))

    def told(self, step: str, incident: Incident | None, channel: str) -> Told | None:
        """What was said under a key, with only what may be read in its channel now."""
        found = self._store.findings(_subject(incident.id if incident else None, channel))
        if step not in found:
            return None
        told = from_json(Told, found[step])
        allowed = self._gate.check(told.evidence, self._gate.present(channel))
        return replace(told, draft=allowed.of(told.draft), evidence=allowed.evidence, gaps=(*told.gaps, *allowed.gaps))

    def postmortem(self, incident: Incident, channel: str) -> list[Body]:
        """The messages of a postmortem draft that was kept, as they may be shown in a channel now."""
        found = self._store.findings(incident.id)
        if "postmortem" not in found or SOURCES not in found:
            return []
        sources = from_json(Sources, found[SOURCES])
        allowed = self._gate.check(sources.evidence, self._gate.present(channel))
        draft = allowed.of(from_json(Draft, found["postmortem"]))
        ranking = _as_told(found, sources.culprits)
        pages = blocks.postmortem_messages(clean(incident), draft, evidence=allowed.evidence, ranking=ranking)
        return [redact_json(page) for page in pages]

    def renew(self, message: Message) -> bool:
        """Want a message as it may be shown now; whether that differs from what was wanted."""
        body = self._body(message)
        if body is None or body == message.body:
            return False
        self._store.want_message(message.key, channel=message.channel, body=body)
        return True

    def _body(self, message: Message) -> Body | None:
        incident = self._store.incident(message.incident_id) if message.incident_id else None
        if message.key.startswith((ANSWER, PRIVATE)):
            return self.answer(message.key, incident=incident, channel=message.channel)
        if message.key.startswith(POSTMORTEM) and incident is not None:
            pages, place = self.postmortem(incident, message.channel), int(message.key.rpartition(":")[2])
            return (pages[place] if place < len(pages) else {"text": _TAKEN_OUT, "blocks": []}) if pages else None
        return None

    def verdict(self, incident_id: str, present: Present) -> tuple[frozenset[str], tuple[str, ...]]:
        """All that decides what an incident's messages show: the pieces that those present may read, and what is missing."""
        return self._gate.readable(self._read_pieces(incident_id), present.audience), present.gaps

    def pieces(self, subject: str) -> frozenset[str]:
        """The pieces of the index that anything rests on which was said of an incident, or in a place outside of any.

        Args:
            subject: the incident's id, or `place_of` a channel. What another process keeps of it is seen within `PIECES_S`.
        """
        known = self._pieces.get(subject, PIECES_S)
        if known is None:
            read_at = self._clock()
            known = self._read_pieces(subject)
            self._pieces.put(subject, known, at=read_at)
        return known

    def forget_pieces(self, subject: str) -> None:
        """What was said of it has changed."""
        self._pieces.drop(subject)

    def _read_pieces(self, subject: str) -> frozenset[str]:
        found = self._store.findings(subject)
        gathered = from_json(Gathered, found["gather"]).evidence if "gather" in found else ()
        kept = from_json(Sources, found[SOURCES]).evidence if SOURCES in found else ()
        answers = [from_json(Told, body).evidence for step, body in found.items() if step.startswith((ANSWER, PRIVATE))]
        return frozenset(item.piece for items in (gathered, kept, *answers) for item in items if item.piece)


def culprits_of(ranking: Ranking | None) -> tuple[str, ...]:
    """The commits that "C1"… mean in what is told by this ranking."""
    return tuple(culprit.commit.sha for culprit in ranking.culprits[:CULPRITS]) if ranking else ()


def _subject(incident_id: str | None, channel: str) -> str:
    """What findings are kept under: the incident, or the place where somebody asked."""
    return incident_id or place_of(channel)


def place_of(channel: str) -> str:
    """What answers outside of any incident are kept under."""
    return f"channel:{channel}"


def _as_told(found: Mapping[str, Any], culprits: Sequence[str]) -> Ranking | None:
    """The incident's ranking with its commits in the order that citations were made by; None if they are no longer in it."""
    ranking = from_json(Ranked, found["rank"]).ranking if "rank" in found else None
    if ranking is None:
        return None
    known = {culprit.commit.sha: culprit for culprit in ranking.culprits}
    if any(sha not in known for sha in culprits):
        return None
    return replace(ranking, culprits=tuple(known[sha] for sha in culprits))
