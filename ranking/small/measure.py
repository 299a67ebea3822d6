"""How well a small model tells culprits from other commits, on repositories it has not learned from.

Does: ask each held-out incident among the culprits of incidents near in time and commits made shortly before.
Does not: rank an incident's real candidates: that is `benchmarks.ranking`, which decides what ships.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ranking.llama.election import log_softmax
from ranking.small.draws import Draw, labelled_batch
from ranking.small.model import COMMIT_TOKENS, INCIDENT_TOKENS, SCALE
from ranking.small.pairs import RepositoryTexts

#: Unit vectors of texts, of each of which so many tokens are read.
Reader = Callable[[Sequence[str], int], Sequence[Any]]

#: Incidents asked together, wrong commits beside their culprits, and the most incidents asked of one repository.
_TOGETHER, _WRONG, _MOST = 40, 24, 400


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Means over held-out incidents."""

    incidents: int
    #: How often the culprit was closest, and how often a guess would be right.
    first: float
    guessing: float
    #: What the culprit's probability costs, in nats, and what a guess does.
    nats: float
    guessing_nats: float


def measure(read: Reader, repositories: Sequence[RepositoryTexts]) -> Numbers | None:
    """In-batch accuracy; None when there is no incident. The same incidents each time, in the same company."""
    rows: list[tuple[float, float, int]] = []
    for part in repositories:
        chunks = [part.pairs[start : start + _TOGETHER] for start in range(0, len(part.pairs), _TOGETHER)]
        for pairs in chunks[:: math.ceil(len(part.pairs) / _MOST)] if chunks else []:
            asked = [pair.incident for pair in pairs]
            rng = random.Random(f"{part.name}:{pairs[0].culprit.sha}")
            rows += _asked(read, labelled_batch(pairs, asked, part.commits, _WRONG, rng))
    if not rows:
        return None
    return Numbers(
        incidents=len(rows),
        first=sum(row[0] for row in rows) / len(rows),
        guessing=sum(1 / row[2] for row in rows) / len(rows),
        nats=sum(row[1] for row in rows) / len(rows),
        guessing_nats=sum(math.log(row[2]) for row in rows) / len(rows),
    )


def _asked(read: Reader, draw: Draw) -> list[tuple[float, float, int]]:
    """For each question: whether its culprit came first, its nats, and among how many."""
    documents, found = read(draw.documents, COMMIT_TOKENS), []
    for place, vector in enumerate(read(draw.questions, INCIDENT_TOKENS)):
        own = draw.shas[place]
        others = [SCALE * float(vector @ documents[i]) for i, sha in enumerate(draw.shas) if sha != own]
        culprit = SCALE * float(vector @ documents[place])
        cost = -log_softmax([culprit, *others])[0]
        found.append((float(all(culprit > other for other in others)), cost, 1 + len(others)))
    return found
