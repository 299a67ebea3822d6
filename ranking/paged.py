"""Incidents that are told as a page tells them, by a symptom, and those that are told as their repair was: by what was wrong in the code.

Does: weigh an incident's words, as learned from pages and from messages of repairs (`benchmarks.fit_words`).
Does not: say what follows for a candidate (`ranking.live`, `ranking.scorer`).

What ranks culprits was fitted to the public labels there are: the words of reverts and fixes, whose writer knew the culprit, at the
time of the repair. The more an incident is told otherwise, the less its words say, and the more what came just before it.
"""

from __future__ import annotations

from pathlib import Path

from ranking.word_odds import read_words

#: What ships with Rundown.
SHIPPED = Path(__file__).parent / "paged.json"
#: Log odds up to which an incident is told wholly as a repair, and from which on wholly as a page.
_REPAIR, _PAGE = 1.0, 3.0


def told_as_page(text: str) -> float:
    """How far an incident's words are those of a page and not of a repair: 0 to 1; 1 where none of them is known."""
    odds = read_words(SHIPPED).odds(text)
    return 1.0 if odds is None else min(1.0, max(0.0, (odds - _REPAIR) / (_PAGE - _REPAIR)))
