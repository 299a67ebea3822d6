"""Fits the ranker's weights and temperature to incidents whose culprit is known.

Does: maximise the conditional logit's likelihood with a ridge, around zero or around weights that are already known, by
Newton's method; then one temperature, so that the probabilities mean what they say.
Does not: mine labels, measure features, choose folds or write weights anywhere (`ranking.training` does).

McFadden, "Conditional logit analysis of qualitative choice behavior" (1974). The ridge around known weights is the maximum
a posteriori under a Gaussian: Chelba and Acero, "Adaptation of maximum entropy capitalizer" (2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One incident to learn from: its candidates' features, and which candidate did it."""

    #: candidates x features.
    features: NDArray[np.float64]
    #: Row of the culprit.
    culprit: int
    #: How much the incident counts.
    weight: float = 1.0
    #: What is in each candidate's score already and is not fitted: one number a candidate; None is nothing.
    offset: NDArray[np.float64] | None = None


def fit_weights(
    lessons: Sequence[Lesson],
    *,
    ridge: float = 10.0,
    prior: NDArray[np.float64] | None = None,
    least_scale: float = 0.0,
) -> NDArray[np.float64]:
    """The weight of each feature that makes the culprits likeliest.

    Args:
        lessons: all with the same features; at least one, unless there is a `prior`.
        ridge: strength of the pull to `prior`, on features scaled to unit variance.
        prior: the weights to stay near as far as the lessons allow; zero by default. With no lesson they come back as
            they are, and so does the weight of a feature that never varies.
        least_scale: a feature that varies less than this counts as varying so much. Without it one that is rare in the
            lessons would be pulled to `prior` hardly at all, and a single candidate could turn it round.
    """
    import numpy as np

    start = np.zeros(lessons[0].features.shape[1]) if prior is None else prior
    if not lessons:
        return np.array(start)
    spread = np.concatenate([lesson.features for lesson in lessons]).std(axis=0)
    scale = np.maximum(spread, least_scale)
    scale[spread == 0] = np.inf  # a feature that never varies is not moved
    choices = [
        _Choice(
            rows=lesson.features / scale,
            base=lesson.features @ start + (0.0 if lesson.offset is None else lesson.offset),
            culprit=lesson.culprit,
            weight=lesson.weight,
        )
        for lesson in lessons
    ]
    fitted: NDArray[np.float64] = start + _climb(choices, ridge) / scale
    return fitted


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A lesson as the climb sees it: what is fitted is how far the scaled weights move from where they start."""

    rows: NDArray[np.float64]
    #: The scores at the start.
    base: NDArray[np.float64]
    culprit: int
    weight: float

    def chances(self, moved: NDArray[np.float64]) -> NDArray[np.float64]:
        return _softmax(self.base + self.rows @ moved)


def _climb(choices: Sequence[_Choice], ridge: float) -> NDArray[np.float64]:
    """How far the scaled weights move to where the likelihood less the ridge is highest."""
    import numpy as np

    def likelihood(moved: NDArray[np.float64]) -> float:
        chosen = (choice.weight * np.log(choice.chances(moved)[choice.culprit] + 1e-300) for choice in choices)
        return float(sum(chosen) - ridge * moved @ moved / 2)

    moved = np.zeros(choices[0].rows.shape[1])
    best = likelihood(moved)
    for _ in range(_STEPS):
        step = np.linalg.solve(*_slopes(choices, moved, ridge))
        # A full step may overshoot where the curve is flat: it is halved until it gains.
        while (found := likelihood(moved + step)) < best and np.abs(step).max() > 1e-9:
            step /= 2
        moved, gain, best = moved + step, found - best, found
        if gain < 1e-6:
            break
    return moved


def _slopes(
    choices: Sequence[_Choice], moved: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The likelihood's curvature, negated, and its gradient."""
    import numpy as np

    gradient, curvature = -ridge * moved, ridge * np.eye(len(moved))
    for choice in choices:
        chances = choice.chances(moved)
        mean = chances @ choice.rows
        gradient += choice.weight * (choice.rows[choice.culprit] - mean)
        centred = choice.rows - mean
        curvature += choice.weight * (centred * chances[:, None]).T @ centred
    return curvature, gradient


def fit_temperature(scores: Sequence[NDArray[np.float64]], culprits: Sequence[int]) -> float:
    """The temperature at which exp(score / temperature) is likeliest to have chosen the culprits.

    Args:
        scores: each incident's scores, of incidents the weights were not fitted to.
        culprits: the index of each incident's culprit.
    """
    import numpy as np

    def loss(temperature: float) -> float:
        return float(
            -sum(
                np.log(_softmax(s / temperature)[culprit] + 1e-300) for s, culprit in zip(scores, culprits, strict=True)
            )
        )

    low, high = 0.2, 10.0
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-3:
        first, second = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    return (low + high) / 2


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    exponents = np.exp(scores - scores.max())
    chances: NDArray[np.float64] = exponents / exponents.sum()
    return chances
