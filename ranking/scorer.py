"""From measured features to scores, probabilities and the one word the card shows, by weights anyone can read.

Does: add up weight times feature, turn the sums into probabilities, count in a model's votes, decide the word.
Does not: measure anything (`ranking.features`), word reasons (`ranking.reasons`), or call a commit the culprit without a
link to the incident's words, names, files or service: being recent alone is never enough.

The model is a conditional logit: P(candidate) = exp(score / temperature) / sum over the window. `ranking.fit` fitted the
weights; data, folds and numbers are in `learning/LOG.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.model import Confidence
from ranking.features import Table

#: Names the weights below: a ranking's release begins with it.
RELEASE = "features-1"

WEIGHTS: dict[str, float] = {
    "already_reverted": -1.317,
    "changed_again": -0.309,
    "file": 1.707,
    "files": -0.173,
    "folder": 1.005,
    "hunk": 2.008,
    "kind_dependency": 0.394,
    "kind_docs": -2.171,
    "kind_empty": -2.223,
    "kind_fix": -0.820,
    "kind_reland": 0.379,
    "kind_revert": -3.679,
    "kind_robot": -0.675,
    "kind_tests": -1.384,
    "kind_translation": -0.687,
    "message_and_lines": 2.493,
    "name_lines": 1.251,
    "name_message": 0.515,
    "newer_in_repo": 0.386,
    "owns_files": -0.563,
    "paths": 0.770,
    "phrase": 1.983,
    "recent": 0.275,
    "repo_named": 0.734,
    "repo_words": 0.101,
    "reverts_here": 0.255,
    "subject": 1.380,
    "within_hour": 1.042,
    "words_place": 0.322,
}

#: Set by hand. No public label has services or deploys: an explicit map to the service outweighs a day of age, a commit
#: that went live minutes before stands out, and one that had not gone live cannot have done it. Configuration, flags
#: and migrations mean something else in the C projects of the training cases than in production, so they are set to
#: two thirds of what the production cases alone gave them.
BY_HAND = {
    "service": 1.5,
    "went_live": 2.5,
    "not_live": -6.0,
    "switched": 2.5,
    "kind_config": 0.2,
    "kind_flag": 0.3,
    "kind_migration": 0.3,
}

TEMPERATURE = 1.0
#: How much one unit of a model's log-probability counts in a score.
MODEL_WEIGHT = 0.5

#: The first candidate's probability from which it is called likely, and below which nothing is named.
LIKELY_FROM, POSSIBLE_FROM = 0.6, 0.2
#: The share of the incident's words a candidate must hold to be linked by words alone.
_LINK_OVERLAP = 0.1
_LINK_FEATURES = ("file", "phrase", "name_lines", "name_message", "folder", "service", "repo_named", "switched")


def weights() -> dict[str, float]:
    """The weight of every feature."""
    return {**WEIGHTS, **BY_HAND}


def scores(table: Table, weighing: Mapping[str, float]) -> list[float]:
    """Each candidate's sum of weight times feature; a feature that was not measured counts nothing."""
    sums = [0.0] * len(table.commits)
    for feature, weight in weighing.items():
        for index, value in enumerate(table.columns.get(feature, ())):
            sums[index] += weight * value
    return sums


def chances(found: Sequence[float], temperature: float = TEMPERATURE) -> list[float]:
    """Scores as probabilities over the window, in the same order."""
    top = max(found, default=0.0)
    exponents = [math.exp((score - top) / temperature) for score in found]
    total = sum(exponents) or 1.0
    return [exponent / total for exponent in exponents]


def with_votes(found: Sequence[float], voters: Sequence[int], votes: Sequence[float]) -> list[float]:
    """Scores after a model's vote on some candidates.

    Args:
        found: the features' scores.
        voters: indexes of the candidates voted on.
        votes: their log-probabilities. Only differences count, so the group as a whole neither rises nor falls.
    """
    mean = sum(votes) / len(votes)
    changed = list(found)
    for index, vote in zip(voters, votes, strict=True):
        changed[index] += MODEL_WEIGHT * (vote - mean)
    return changed


def linked(table: Table, index: int) -> bool:
    """Whether anything but time, size and kind ties a candidate to the incident."""
    if any(table.columns.get(feature, [0.0] * (index + 1))[index] > 0 for feature in _LINK_FEATURES):
        return True
    return table.columns["overlap"][index] >= _LINK_OVERLAP


def decide(table: Table, best: int, chance: float) -> Confidence:
    """The word for a ranking whose first candidate is `best`, with its probability."""
    if chance < POSSIBLE_FROM or not linked(table, best):
        return Confidence.INCONCLUSIVE
    return Confidence.LIKELY if chance >= LIKELY_FROM else Confidence.POSSIBLE
