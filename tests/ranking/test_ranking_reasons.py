"""How reasons are worded."""

from __future__ import annotations

import pytest

from ranking.reasons import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (18.7 * 60, "18 minutes"),
        (119 * 60 + 59, "119 minutes"),
        (3 * 3600 - 0.002, "3 hours"),
        (47.9 * 3600, "47 hours"),
        (71 * 3600, "2 days"),
    ],
)
def test_an_age_leaves_begun_units_out(seconds, said):
    """As the card counts on the same line: 18.7 minutes are no 19."""
    assert span(seconds) == said
