"""A large Llama's vote on a ranking's first candidates: who is voted on, and what a vote is worth.

Does: hold the election, however many candidates stand; fit the weight of a model's votes to incidents whose culprit is known
and that it was not trained on, with the interval.
Does not: know a Llama (`ranking.llama`), or rank (`ranking.ranker`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ModelUnavailable
from core.model import Commit, Incident
from ranking import scorer
from ranking.fit import Lesson, fit_weights
from ranking.llama import ELECTION_SIZE, CulpritModel, describe, elect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ranking.llama.examples import RankedCase
    from ranking.scorer import Weighing
    from ranking.training import Measured

#: Candidates that stand for election: two rounds of 20 and the meeting of their winners.
VOTED = 40
#: The share of the time that the election of all may take. What is left is for the first 20 alone, if it was too much.
_LONG_SHARE = 0.6
#: How firmly a vote is held worth nothing until incidents say otherwise, and how often these are drawn for the interval.
_RIDGE, _ROUNDS = 1.0, 200


def vote(model: CulpritModel, incident: Incident, best_first: Sequence[Commit], *, budget_s: float) -> list[float]:
    """The votes on the first `VOTED` of these, fewer when time was too short for so many.

    Args:
        best_first: candidates as the features rank them.
        budget_s: seconds for all of it.

    Returns:
        A log-probability for each of the first candidates, in their order.

    Raises:
        ModelUnavailable: the model failed, or gave no vote in time.
    """
    end = time.monotonic() + budget_s
    described = [describe(commit) for commit in best_first[:VOTED]]
    if len(described) > ELECTION_SIZE:
        try:
            return elect(model, incident.text, described, budget_s=_LONG_SHARE * budget_s)
        except ModelUnavailable:
            described = described[:ELECTION_SIZE]
    return elect(model, incident.text, described, budget_s=max(0.0, end - time.monotonic()))


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """One incident's candidates as they stand without a vote, the votes, and who did it."""

    #: The features' scores.
    scores: NDArray[np.float64]
    #: Candidate's index -> its vote's log-probability.
    votes: Mapping[int, float]
    #: The culprit's index.
    culprit: int


@dataclass(frozen=True, kw_only=True)
class VoteWeight:
    """What one unit of a vote's log-probability counts in a score, and its 95 % interval (bootstrap over incidents)."""

    weight: float
    low: float
    high: float
    #: Of how many incidents.
    incidents: int

    @property
    def certain(self) -> bool:
        """Whether the vote surely helps."""
        return self.low > 0


def hold_votes(
    model: CulpritModel, cases: Iterable[tuple[Measured, RankedCase]], weighing: Weighing, *, budget_s: float
) -> list[Ballot]:
    """A vote on each incident whose culprit is among its candidates.

    Args:
        cases: incidents as they were measured, and as `ranking.training.ranked_cases` ranks them by these weights.
        weighing: the features' weights.
        budget_s: seconds for each incident.

    Raises:
        ModelUnavailable: the model cannot be loaded, failed, or was too slow.
    """
    found = []
    for one, case in cases:
        known = {commit.sha: commit for commit in case.ranked}
        order = [index for index in one.order(weighing) if one.shas[index] in known][:VOTED]
        if one.rows and len(order) > 1:
            votes = vote(model, case.incident, [known[one.shas[index]] for index in order], budget_s=budget_s)
            # A vote on fewer is on the first of them.
            told = dict(zip(order, votes, strict=False))
            found.append(Ballot(scores=one.scored(weighing), votes=told, culprit=one.rows[0]))
    return found


def fit_vote(
    ballots: Sequence[Ballot], temperature: float, *, rounds: int = _ROUNDS, seed: int = 0
) -> VoteWeight | None:
    """The weight at which votes and features together make the culprits likeliest, never below nothing; None without a ballot.

    Args:
        ballots: of incidents that neither the model nor the features' weights have learned from.
        temperature: that of the weights.
        rounds: how often the incidents are drawn again for the interval.
        seed: the same seed gives the same interval.
    """
    import numpy as np

    if not ballots:
        return None
    lessons = [_lesson(ballot, temperature) for ballot in ballots]
    draw = np.random.default_rng(seed)
    drawn = draw.integers(len(lessons), size=(rounds, len(lessons)))
    found = sorted(_weight([lessons[index] for index in row]) for row in drawn)
    return VoteWeight(
        weight=round(_weight(lessons), 4),
        low=round(found[int(0.025 * rounds)], 4),
        high=round(found[int(0.975 * rounds)], 4),
        incidents=len(lessons),
    )


def _lesson(ballot: Ballot, temperature: float) -> Lesson:
    import numpy as np

    # What a weight of one adds to each score, exactly as the ranker does it.
    voters = list(ballot.votes)
    none = [0.0] * len(ballot.scores)
    added = scorer.with_votes(none, voters, [ballot.votes[voter] for voter in voters], 1.0)
    return Lesson(
        features=np.array(added)[:, None] / temperature, culprit=ballot.culprit, offset=ballot.scores / temperature
    )


def _weight(lessons: Sequence[Lesson]) -> float:
    return max(0.0, float(fit_weights(lessons, ridge=_RIDGE)[0]))
