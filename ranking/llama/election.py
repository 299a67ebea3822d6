"""Elections: who votes, in what order candidates stand, and how many of them are voted on in rounds.

Does: name what a model must answer (`CulpritModel`), with its fake; arrange candidates by what they say; let the winners
of rounds of at most 20 meet.
Does not: know a Llama (`ranking.llama.voter`), or how much a vote counts (`ranking.scorer`).

Rounds of 20 whose first five go on: "Leveraging AI for efficient incident response", engineering.fb.com, June 2024.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from core.errors import ModelUnavailable

#: Candidates that fit one prompt.
ELECTION_SIZE = 20
#: Arrangements of the candidates that are averaged; each costs one reading of the list.
ARRANGEMENTS = 4
#: Of each round, how many go on to the next.
WINNERS = 5


class CulpritModel(Protocol):
    """Anything that can say how likely each of a few candidates is the culprit."""

    @property
    def name(self) -> str:
        """What to call it in a release and in a reason."""
        ...

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """The log-probability of each candidate, in the order given; their probabilities add up to one.

        Args:
            incident: the incident's words.
            candidates: one text each, `ELECTION_SIZE` at most; the same whatever their order.
            budget_s: seconds after which to stop; an average over fewer arrangements is given if one was finished.

        Raises:
            ModelUnavailable: it cannot be loaded, failed, or finished nothing within the budget.
        """
        ...


class WordModel:
    """The fake: the more words of the incident a candidate holds, the likelier. Deterministic, instant, no weights.

    Args:
        failure: raised instead of an answer.
    """

    name = "words"

    def __init__(self, failure: ModelUnavailable | None = None) -> None:
        self._failure = failure
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def vote(self, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
        """See `CulpritModel.vote`."""
        check_size(candidates)
        self.asked.append((incident, tuple(candidates)))
        if self._failure:
            raise self._failure
        wanted = set(incident.lower().split())
        return log_softmax([float(len(wanted & set(candidate.lower().split()))) for candidate in candidates])


def elect(model: CulpritModel, incident: str, candidates: Sequence[str], *, budget_s: float) -> list[float]:
    """A vote on any number of candidates: in rounds of `ELECTION_SIZE` whose first `WINNERS` meet in the next.

    Who meets whom is decided by what the candidates say, so their order changes nothing. A candidate that leaves stands
    below every one that beat it, by as much as in their round (Luce's choice axiom: the odds of two candidates do not
    depend on who else stands). Each vote gets an equal share of the time that is left.

    Args:
        incident: the incident's words.
        candidates: one text each, as many as there are; equal texts share what is theirs.
        budget_s: seconds for all votes together.

    Returns:
        The log-probability of each candidate, in the order given; their probabilities add up to one.

    Raises:
        ModelUnavailable: a vote failed, or had no time: half an election is none.
    """
    end = time.monotonic() + budget_s
    standing = sorted(dict.fromkeys(candidates), key=_hash)
    left = _votes_needed(len(standing))
    rounds: list[tuple[dict[str, float], list[str]]] = []
    while len(standing) > ELECTION_SIZE:
        winners: list[str] = []
        for group in _groups(standing):
            votes = model.vote(incident, group, budget_s=max(0.0, end - time.monotonic()) / left)
            left -= 1
            found = dict(zip(group, votes, strict=True))
            first = sorted(group, key=lambda text: (-found[text], _hash(text)))[:WINNERS]
            rounds.append((found, first))
            winners += first
        standing = sorted(winners, key=_hash)
    last = model.vote(incident, standing, budget_s=max(0.0, end - time.monotonic()))
    strength = dict(zip(standing, last, strict=True))
    for found, first in reversed(rounds):
        floor, weakest = min(strength[text] for text in first), min(found[text] for text in first)
        strength |= {text: floor + vote - weakest for text, vote in found.items() if text not in first}
    return shared_out(candidates, strength)


def _groups(texts: Sequence[str]) -> list[list[str]]:
    """As few groups of at most `ELECTION_SIZE` as there can be, as even as they can be."""
    count = math.ceil(len(texts) / ELECTION_SIZE)
    return [list(texts[start::count]) for start in range(count)]


def _votes_needed(count: int) -> int:
    """How many votes an election of so many different candidates takes."""
    if count <= ELECTION_SIZE:
        return 1
    groups = math.ceil(count / ELECTION_SIZE)
    return groups + _votes_needed(groups * WINNERS)


def shared_out(candidates: Sequence[str], strength: dict[str, float]) -> list[float]:
    """Log-probabilities of candidates by their texts' strength; equal texts divide theirs among them."""
    copies = Counter(candidates)
    return log_softmax([strength[text] - math.log(copies[text]) for text in candidates])


def arrangements(candidates: Sequence[str], count: int) -> list[list[int]]:
    """Orders of the candidates that depend on what they say, not on how they come in.

    They are sorted by a hash of their text; each further arrangement turns that circle on, so that every candidate
    stands in `count` places spread evenly over the list.
    """
    circle = sorted(range(len(candidates)), key=lambda index: _hash(candidates[index]))
    count = max(1, min(count, len(circle)))
    turns = (len(circle) * turn // count for turn in range(count))
    return [circle[turn:] + circle[:turn] for turn in turns]


def log_softmax(values: Sequence[float]) -> list[float]:
    """Scores as log-probabilities that add up to one; the same to the last digit in any order."""
    top = max(values, default=0.0)
    total = top + math.log(math.fsum(math.exp(value - top) for value in values)) if values else 0.0
    return [value - total for value in values]


def check_size(candidates: Sequence[str]) -> None:
    """Refuse more candidates than one election holds.

    Raises:
        ValueError: the caller's mistake; `elect` takes any number.
    """
    if len(candidates) > ELECTION_SIZE:
        raise ValueError(f"{len(candidates)} candidates in one election; the first stage must choose {ELECTION_SIZE}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
