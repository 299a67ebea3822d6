"""Incidents whose own words tell of a cause that is no commit: a provider's outage, a certificate that ran out, somebody's hand.

Does: weigh an incident's words, as learned from texts of both kinds (`benchmarks.fit_words`).
Does not: rule out a commit: one may fill a disk too. How much it speaks against all of them is weighed in `ranking.scorer`.
"""

from __future__ import annotations

from pathlib import Path

from ranking.word_odds import read_words

#: What ships with Rundown.
SHIPPED = Path(__file__).parent / "outside.json"
#: Log odds from which on an incident counts as telling of such a cause at all, and how far above more evidence says nothing new.
_FROM, _MOST = -0.5, 5.0
#: From where on a person is told so, on the scale of `told_outside`: of 112 such incidents in blind suites 87 were caused by no commit.
PLAIN = 1.5


def told_outside(text: str) -> float:
    """How plainly an incident's words tell of a cause that is no commit: 0 for not at all, to 5."""
    odds = read_words(SHIPPED).odds(text)
    return 0.0 if odds is None else min(_MOST, max(0.0, odds - _FROM))
