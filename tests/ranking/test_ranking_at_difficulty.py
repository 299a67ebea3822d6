"""Figures on other incidents of a known difficulty: what the weighing does, and when it refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from benchmarks.at_difficulty import bm25_and_recency, estimate
from benchmarks.measured import Sample, place_of
from ranking.labels.cases import Labelled


def test_where_the_baseline_gets_more_ours_gets_what_it_gets_on_such_cases():
    """Half of the cases are easy for both; on the others ours is right in every other one."""
    plain, ours = [1, 1, 9, 9], [1, 1, 1, 9]

    found = estimate(plain, ours, [0.75, 0.75], [0.8, 0.8], 100)

    assert (found.baseline.tolist(), found.ours.tolist()) == ([0.5, 0.5], [0.75, 0.75])
    assert found.there.tolist() == pytest.approx([0.875, 0.875], abs=1e-4)
    assert found.likely > 0.95
    assert found.worth == pytest.approx(1 / (2 * 0.375**2 + 2 * 0.125**2), rel=1e-3)


def test_cases_as_they_are_weigh_alike():
    """The baseline's own figures change nothing."""
    found = estimate([1, 3, 8, 20], [2, 1, 6, 1], [0.25, 0.5], [0.0, 0.0], 10)

    assert (found.there.tolist(), found.worth, found.likely) == (
        pytest.approx(found.ours.tolist()),
        pytest.approx(4.0),
        1.0,
    )


def test_cases_that_are_too_unlike_say_so():
    """Where the baseline is never first, no weights make it so."""
    with pytest.raises(ValueError, match="too unlike"):
        estimate([2, 3, 8], [1, 1, 1], [0.5, 0.9], [0.5, 0.8], 10)


def test_the_baseline_is_places_by_words_and_by_time():
    """1/(20 + place by words) + 0.5/(20 + place by time), both from 0; equals count against the culprit."""
    case = Labelled(id="1", title="t", created_at=1.0, culprits=("c",))
    sample = Sample(case=case, places={"words_place": 0}, numbers=-np.log1p(np.array([[2.0], [0.0], [1.0]])), culprit=2)

    scores = bm25_and_recency(sample)

    assert scores.tolist() == pytest.approx([1 / 22 + 0.5 / 20, 1 / 20 + 0.5 / 21, 1 / 21 + 0.5 / 22])
    assert (place_of(scores, 1), place_of(np.ones(3), 1)) == (1, 3)
