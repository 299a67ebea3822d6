"""Fits the ranker's weights and temperature to incidents whose culprit is known.

Does: maximise the conditional logit's likelihood with a ridge, by Newton's method; then one temperature, so that the
probabilities mean what they say.
Does not: mine labels, measure features, choose folds or write weights anywhere: what it gives is pasted into
`ranking.scorer` by a person, with a line in `learning/LOG.md`.

McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).
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


def fit_weights(lessons: Sequence[Lesson], *, ridge: float = 10.0) -> NDArray[np.float64]:
    """The weight of each feature that makes the culprits likeliest.

    Args:
        lessons: at least one, all with the same features.
        ridge: strength of the pull to zero, on features scaled to unit variance.
    """
    import numpy as np

    stacked = np.concatenate([lesson.features for lesson in lessons])
    scale = stacked.std(axis=0)
    scale[scale == 0] = np.inf  # a feature that never varies gets weight zero
    rows = [lesson.features / scale for lesson in lessons]

    def likelihood(weights: NDArray[np.float64]) -> float:
        chosen = (
            lesson.weight * np.log(_softmax(features @ weights)[lesson.culprit] + 1e-300)
            for lesson, features in zip(lessons, rows, strict=True)
        )
        return float(sum(chosen) - ridge * weights @ weights / 2)

    weights = np.zeros(stacked.shape[1])
    best = likelihood(weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(*_slopes(lessons, rows, weights, ridge))
        # A full step may overshoot where the curve is flat: it is halved until it gains.
        while (found := likelihood(weights + step)) < best and np.abs(step).max() > 1e-9:
            step /= 2
        weights, gain, best = weights + step, found - best, found
        if gain < 1e-6:
            break
    fitted: NDArray[np.float64] = weights / scale
    return fitted


def _slopes(
    lessons: Sequence[Lesson], rows: Sequence[NDArray[np.float64]], weights: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The likelihood's curvature, negated, and its gradient."""
    import numpy as np

    gradient, curvature = -ridge * weights, ridge * np.eye(len(weights))
    for lesson, features in zip(lessons, rows, strict=True):
        chances = _softmax(features @ weights)
        mean = chances @ features
        gradient += lesson.weight * (features[lesson.culprit] - mean)
        centred = features - mean
        curvature += lesson.weight * (centred * chances[:, None]).T @ centred
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
