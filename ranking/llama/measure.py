"""How well a Llama elects: its votes on held-out lists, counted.

Does: ask for a vote on each list and sum up who came first and how sure it was; share the lists among processes.
Does not: choose the lists, or rank commits (`benchmarks.ranking` measures the ranker as a whole).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ranking.llama.examples import Example
from ranking.llama.voter import LlamaVoter

#: A vote that takes longer than this is a broken machine, not a slow one.
_BUDGET_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What an election got right on held-out lists."""

    #: Lists with a culprit, and lists without one.
    lists: int
    without: int
    #: The share of lists with a culprit in which it came first, and what guessing would give.
    first: float
    guessing: float
    #: Mean of minus the log-probability of the culprit, nats, and what guessing would give.
    nats: float
    guessing_nats: float
    #: How well "none of these" tells the two kinds of lists apart: area under the curve, .5 is not at all. None without both.
    none_area: float | None


def measure(voter: LlamaVoter, examples: Sequence[Example], *, share: tuple[int, int] = (0, 1)) -> list[list[float]]:
    """A vote on each list of this process's share.

    Args:
        share: the number of this process, and how many there are.

    Returns:
        For each list: 1 if it has a culprit, 1 if that came first, its log-probability, how many candidates there were,
        the log-probability of none.

    Raises:
        ModelUnavailable: the model cannot be loaded or failed.
    """
    rows = []
    for example in examples[share[0] :: share[1]]:
        poll = voter.poll(example.incident, example.candidates, budget_s=_BUDGET_S)
        culprit = example.culprit
        own = poll.votes[culprit] if culprit is not None else 0.0
        # A tie counts against the model.
        first = culprit is not None and sum(vote >= own for vote in poll.votes) == 1
        rows.append([float(culprit is not None), float(first), own, float(len(example.candidates)), poll.none])
    return rows


def sum_up(rows: Sequence[Sequence[float]]) -> Numbers | None:
    """Numbers of the rows of all processes; None when no list has a culprit."""
    with_one = [row for row in rows if row[0]]
    without = [row for row in rows if not row[0]]
    if not with_one:
        return None
    pairs = [(a[4] > b[4]) + (a[4] == b[4]) / 2 for a in without for b in with_one]
    count = len(with_one)
    return Numbers(
        lists=count,
        without=len(without),
        first=sum(row[1] for row in with_one) / count,
        guessing=sum(1 / row[3] for row in with_one) / count,
        nats=-sum(row[2] for row in with_one) / count,
        guessing_nats=sum(math.log(row[3]) for row in with_one) / count,
        none_area=sum(pairs) / len(pairs) if pairs else None,
    )
