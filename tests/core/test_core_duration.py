"""Lengths of time in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.duration import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (18.7 * 60, "18 min"),
        (840, "14 min"),
        (3600, "1 h"),
        (119 * 60 + 59, "1 h 59 min"),
        (3 * 3600 - 0.002, "3 h"),
        (12_300, "3 h 25 min"),
        (86_400, "1 day"),
        (1_209_600, "14 days"),
        (-840, "14 min"),
    ],
)
def test_lengths_read_as_people_say_them(seconds, said):
    """At most two units; begun ones are left out: 18.7 minutes are no 19."""
    assert duration(timedelta(seconds=seconds)) == said
