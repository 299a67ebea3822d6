"""What of what was found may be shown in a channel at this moment: the second check, after the one inside the query.

Does: ask who is in the channel and what they may read of the pieces that evidence was read from; take out what they may not,
with every sentence that rests on it.
Does not: search, or render.

The index is asked each time: a page that was deleted or made private since it was found is not shown. Where it does not answer,
what it allowed to the same people within `GRACE_S` stands; beyond that, nothing is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.audience import FRESH_S, UNKNOWN, Present, Recent
from bot.card import Card
from bot.investigation import attempt
from core.access import Audience
from core.model import Draft, Evidence, Section

if TYPE_CHECKING:
    from bot.audience import Audiences
    from bot.investigation import Investigator

#: Seconds for which the index's last word stands while it does not answer.
GRACE_S = 45.0
#: Pieces whose last word is remembered.
MOST_PIECES = 20_000


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What may be shown of some evidence, and to whom."""

    present: Present
    evidence: tuple[Evidence, ...]
    #: Ids of what may not.
    withheld: frozenset[str]
    #: What is missing because of it, in words that follow "Not looked at:".
    gaps: tuple[str, ...]

    def of(self, draft: Draft, pieces: Mapping[str, str | None] | None = None) -> Draft:
        """The draft without the sentences that rest on anything withheld.

        Args:
            pieces: evidence id to the piece it named when the draft was written, if that is known: what is shown under the
                same id now may be another.
        """
        now = {item.id: item.piece for item in self.evidence}
        moved = {name for name, piece in (pieces or {}).items() if now.get(name) != piece}
        return without(draft, self.withheld | moved)


class Gate:
    """Checks evidence against a channel's audience. Safe to share between threads.

    Args:
        audiences: who is where.
        investigator: reaches the index.
        clock: seconds that never go back.
    """

    def __init__(
        self, audiences: Audiences, investigator: Investigator, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.audiences, self._investigator, self._clock = audiences, investigator, clock
        self._allowed: Recent[tuple[Audience, str], bool] = Recent(MOST_PIECES, clock)

    def present(self, channel: str | None, *, within_s: float = FRESH_S) -> Present:
        """Who sees what is shown in a channel; without one, nobody is known yet. `within_s` as for `Audiences.of_channel`."""
        return self.audiences.of_channel(channel, within_s=within_s) if channel else UNKNOWN

    def check(self, evidence: Sequence[Evidence], present: Present) -> Allowed:
        """What of the evidence all who are present may read now. Evidence that names no piece is withheld."""
        readable = self.readable([item.piece for item in evidence if item.piece], present.audience)
        kept = tuple(item for item in evidence if item.piece in readable)
        withheld = frozenset(item.id for item in evidence) - {item.id for item in kept}
        gaps = (*present.gaps, *([_withheld(evidence, withheld)] if withheld else []))
        return Allowed(present=present, evidence=kept, withheld=withheld, gaps=gaps)

    def readable(self, pieces: Collection[str], audience: Audience) -> frozenset[str]:
        """Which pieces of the index all of an audience may read now."""
        found = self.known_readable(pieces, audience)
        if found is None:
            return frozenset(piece for piece in pieces if self._allowed.get((audience, piece), GRACE_S))
        return found

    def known_readable(self, pieces: Collection[str], audience: Audience) -> frozenset[str] | None:
        """The same by the index's own word; None while it does not answer."""
        asked_at = self._clock()
        found, _ = attempt(
            "checking who may read what is shown", lambda: self._investigator.readable(list(pieces), audience)
        )
        for piece in pieces if found is not None else ():
            # Both words are kept: a denial must outlast the index, or its silence would bring back what it had closed.
            self._allowed.put((audience, piece), piece in (found or ()), at=asked_at)
        return found


def shown(card: Card, allowed: Allowed, pieces: Mapping[str, str | None]) -> Card:
    """A card with what may be shown of it, and what is missing for that in its gaps.

    Args:
        pieces: as in `Allowed.of`.
    """
    return replace(
        card,
        evidence=allowed.evidence,
        summary=allowed.of(card.summary, pieces) if card.summary else None,
        mitigation=allowed.of(card.mitigation, pieces) if card.mitigation else None,
        gaps=(*allowed.gaps, *card.gaps),
    )


def without(draft: Draft, ids: Collection[str]) -> Draft:
    """A draft without the sentences that rest on any of these. One that rests on others too may tell of them all."""
    return replace(
        draft,
        sections=tuple(
            Section(
                heading=section.heading,
                sentences=tuple(item for item in section.sentences if not set(item.evidence) & set(ids)),
            )
            for section in draft.sections
        ),
    )


def _withheld(evidence: Iterable[Evidence], ids: Collection[str]) -> str:
    count = len({item.doc_id or item.id for item in evidence if item.id in ids})
    return f"{'1 document' if count == 1 else f'{count} documents'}, taken out: gone by now, or not for everyone here"
