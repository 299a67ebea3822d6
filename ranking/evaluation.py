"""How good rankings are: where the true commit stands, and whether the confidence can be believed.

Does: pure arithmetic over outcomes: Top-k, MRR, bootstrap intervals, paired differences, calibration, coverage, abstention;
incidents that no commit caused are counted apart.
Does not: rank, read files or draw. `ranking.charts` draws what this gives.

The numbers are those of the usual definitions: MRR counts a culprit that is absent as never found; ECE after Guo et al.,
"On Calibration of Modern Neural Networks" (2017), ten equal bins; intervals by the percentile bootstrap (Efron 1979).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from core.model import Ranking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOP = (1, 3, 5, 10, 20)
#: What a method is judged by, a number in [0, 1] for each case.
METRICS = (*(f"top{k}" for k in TOP), "mrr")
SHARES = (25, 50, 75, 100)
BINS, ROUNDS = 10, 1_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one incident."""

    #: The place of the first true culprit, from 1; infinity when it is not in the ranking.
    place: float
    #: How sure the ranking was of its first commit, in [0, 1]; None when it does not say, or ranked nothing.
    confidence: float | None = None
    abstained: bool = False
    #: Whether anything was ranked at all.
    answered: bool = True
    seconds: float | None = None
    #: Whether some commit did it. An incident without a culprit counts in none of the figures of those with one.
    caused: bool = True
    #: For a ranking by chance: among how many. Its marks are then what is to be expected, and `place` says nothing.
    by_chance_among: int = 0

    @property
    def miss(self) -> float:
        """By how much its confidence missed, squared (Brier 1950): 0 is sure and right, 1 is sure and wrong; less is better."""
        return ((self.confidence or 0.0) - (self.place == 1)) ** 2

    def mark(self, metric: str) -> float:
        """One of `METRICS` for this incident alone, or "miss"."""
        if metric == "miss":
            return self.miss
        if self.by_chance_among:
            return _chance(metric, self.by_chance_among)
        return 1 / self.place if metric == "mrr" else float(self.place <= int(metric.removeprefix("top")))


def _chance(metric: str, among: int) -> float:
    if metric == "mrr":
        return math.fsum(1 / place for place in range(1, among + 1)) / among
    return min(1.0, int(metric.removeprefix("top")) / among)


def place_of(culprits: Collection[str], order: Iterable[str]) -> float:
    """The place of the first true culprit in a list, repeated commits counted once; infinity when it holds none."""
    return next((place for place, sha in enumerate(dict.fromkeys(order), 1) if sha in culprits), math.inf)


def judge(culprits: Collection[str], ranking: Ranking) -> Outcome:
    """What came of an incident whose culprits are known; none means that no commit did it."""
    first = ranking.culprits[0].confidence if ranking.culprits else None
    return Outcome(
        place=place_of(culprits, (culprit.commit.sha for culprit in ranking.culprits)),
        confidence=first,
        abstained=ranking.abstained,
        answered=bool(ranking.culprits),
        seconds=ranking.seconds,
        caused=bool(culprits),
    )


def judge_scores(culprits: Collection[str], shas: Sequence[str], scores: Sequence[float], *, seconds: float) -> Outcome:
    """The same for a method that only scores: equal scores count against it, so that no order of the input helps."""
    own = [score for sha, score in zip(shas, scores, strict=True) if sha in culprits]
    place = float(sum(score >= max(own) for score in scores)) if own else math.inf
    return Outcome(place=place, answered=bool(shas), seconds=seconds, caused=bool(culprits))


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The answers whose confidence fell between two bounds."""

    low: float
    high: float
    count: int
    #: Their mean confidence, and the share of them that was right; 0 when there are none.
    confidence: float
    right: float
    #: 95 % interval of the share that was right: few answers prove little.
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Blameless:
    """What was said of incidents that no commit caused."""

    n: int
    #: The share for which no commit was named, as it should be, and the share for which one was.
    inconclusive: float
    named: float


@dataclass(frozen=True)
class Evaluation:
    """The figures of one method over some incidents. Shares are of the incidents that some commit caused.

    Args:
        outcomes: in any order; all figures are made of them when they are asked for.
    """

    outcomes: tuple[Outcome, ...]

    @cached_property
    def caused(self) -> tuple[Outcome, ...]:
        """The outcomes of incidents that some commit caused."""
        return tuple(outcome for outcome in self.outcomes if outcome.caused)

    @property
    def n(self) -> int:
        """How many incidents the figures are of."""
        return len(self.caused)

    def value(self, metric: str) -> float:
        """One of `METRICS`, or "miss"; 0 without any incident."""
        return statistics.fmean(self.marks(metric)) if self.n else 0.0

    def marks(self, metric: str) -> list[float]:
        """One of `METRICS`, or "miss", incident by incident."""
        return [outcome.mark(metric) for outcome in self.caused]

    def interval(self, metric: str, *, rounds: int = ROUNDS, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of one of `METRICS`, or of "miss"."""
        return interval(self.marks(metric), rounds=rounds, seed=seed)

    @cached_property
    def _sure(self) -> list[tuple[float, bool]]:
        return [(o.confidence, o.place == 1) for o in self.caused if o.confidence is not None]

    @property
    def calibrated(self) -> int:
        """How many rankings said how sure they were."""
        return len(self._sure)

    @property
    def ece(self) -> float | None:
        """Expected calibration error: by how much, on average, the confidence missed the share that was right."""
        if not self._sure:
            return None
        return sum(abs(b.confidence - b.right) * b.count for b in self.bins) / len(self._sure)

    @cached_property
    def bins(self) -> tuple[Bin, ...]:
        """The reliability diagram's ten bins."""
        held: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
        for confidence, right in self._sure:
            held[min(BINS - 1, max(0, int(confidence * BINS)))].append((confidence, right))
        return tuple(_bin(place, pairs) for place, pairs in enumerate(held))

    @property
    def coverage(self) -> dict[int, float]:
        """Top-1 of the most confident 25, 50, 75 and 100 %; those without a named commit come last."""
        if not self._sure:
            return {}
        order = sorted(self.caused, key=lambda o: 1.0 if o.abstained else -(o.confidence or 0.0))
        counts = {share: math.ceil(len(order) * share / 100) for share in SHARES}
        return {share: sum(o.place == 1 for o in order[:count]) / count for share, count in counts.items()}

    @property
    def abstained(self) -> float:
        """The share of incidents for which no commit was named."""
        return sum(outcome.abstained for outcome in self.caused) / self.n if self.n else 0.0

    @property
    def answered_top1(self) -> float | None:
        """Top-1 of the incidents for which a commit was named."""
        named = [outcome for outcome in self.caused if outcome.answered and not outcome.abstained]
        return sum(outcome.place == 1 for outcome in named) / len(named) if named else None

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Median and 95th percentile of the seconds a ranking took, over all outcomes."""
        spent = sorted(outcome.seconds for outcome in self.outcomes if outcome.seconds is not None)
        return (statistics.median(spent), spent[math.ceil(0.95 * len(spent)) - 1]) if spent else None

    @property
    def blameless(self) -> Blameless | None:
        """What was said of incidents that no commit caused; None without any."""
        without = [outcome for outcome in self.outcomes if not outcome.caused]
        if not without:
            return None
        quiet = sum(outcome.abstained or not outcome.answered for outcome in without) / len(without)
        return Blameless(n=len(without), inconclusive=quiet, named=1 - quiet)


def _bin(place: int, pairs: Sequence[tuple[float, bool]]) -> Bin:
    right = sum(pair[1] for pair in pairs)
    return Bin(
        low=place / BINS,
        high=(place + 1) / BINS,
        count=len(pairs),
        confidence=statistics.fmean(pair[0] for pair in pairs) if pairs else 0.0,
        right=right / len(pairs) if pairs else 0.0,
        interval=share_interval(right, len(pairs)),
    )


def share_interval(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson's score (1927): true to few answers, where the bootstrap of all right is a point."""
    if not count:
        return 0.0, 1.0
    z = 1.96
    share, spread = right / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def interval(values: Sequence[float], *, rounds: int = ROUNDS, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean.

    Args:
        values: one a case; without any the interval is (0, 0).
        rounds: how often the cases are drawn again.
        seed: the same seed gives the same interval.
    """
    if not values:
        return 0.0, 0.0
    return _middle(_means(values, rounds, seed))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much one method is better than another on the same incidents."""

    mean: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_difference(
    ours: Evaluation, theirs: Evaluation, metric: str, *, rounds: int = ROUNDS, seed: int = 0
) -> Difference:
    """Ours minus theirs, with the 95 % interval of the paired bootstrap: incidents are drawn, both methods' marks with them.

    Args:
        ours, theirs: outcomes of the same incidents in the same order.

    Raises:
        ValueError: they are not of equally many incidents.
    """
    gains = [mine - other for mine, other in zip(ours.marks(metric), theirs.marks(metric), strict=True)]
    low, high = interval(gains, rounds=rounds, seed=seed)
    return Difference(mean=statistics.fmean(gains) if gains else 0.0, low=low, high=high)


def _means(values: Sequence[float], rounds: int, seed: int) -> NDArray[np.float64]:
    """Means of cases drawn again, in order. A round at a time: ten thousand cases drawn at once would fill the memory."""
    import numpy as np

    draw, held = np.random.default_rng(seed), np.asarray(values, dtype=np.float64)
    return np.sort([held[draw.integers(len(held), size=len(held))].mean() for _ in range(rounds)])


def _middle(means: NDArray[np.float64]) -> tuple[float, float]:
    return float(means[int(0.025 * len(means))]), float(means[int(0.975 * len(means))])
