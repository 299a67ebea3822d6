"""Incidents whose own words tell of a cause that is no commit: a provider's outage, a certificate that ran out, somebody's hand.

Does: weigh an incident's words, and pairs of them, as learned from texts of both kinds (`benchmarks.fit_outside`).
Does not: rule out a commit: one may fill a disk too. How much it speaks against all of them is weighed in `ranking.scorer`.

A logistic regression on tf-idf weighted words (Salton and Buckley, "Term-weighting approaches in automatic text retrieval", 1988),
in English: words that it never met say nothing.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict

#: What ships with Rundown.
SHIPPED = Path(__file__).parent / "outside.json"
#: Characters of an incident that are looked at: behind them are logs, where words stand by chance.
_READ = 4_000
#: Words, with what stands inside of them; numbers say nothing, but that there are per cents does.
_WORD = re.compile(r"\b[^\W\d_][\w'-]*\b|%")
#: Log odds from which on an incident counts as telling of such a cause at all, and how far above more evidence says nothing new.
_FROM, _MOST = -0.5, 5.0
#: From where on a person is told so, on the scale of `told_outside`: of 112 such incidents in blind suites 87 were caused by no commit.
PLAIN = 1.5
#: The least length that a text's terms are divided by, that of some twenty words: the one known word of "API down" is no whole story.
LEAST_LENGTH = 20.0


class OutsideWords(BaseModel):
    """What every word or pair of words says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant: float
    #: Term -> (how rare it is, the log odds it adds).
    terms: dict[str, tuple[float, float]]
    #: What it was learned from and how well it did, for people.
    notes: dict[str, object]

    def odds(self, text: str) -> float:
        """The log odds that an incident of these words was caused by no commit, if half of all incidents were."""
        counts = {term: count for term, count in Counter(terms(text)).items() if term in self.terms}
        if not counts:
            return _FROM
        values = {term: (1 + math.log(count)) * self.terms[term][0] for term, count in counts.items()}
        length = max(LEAST_LENGTH, math.sqrt(math.fsum(value * value for value in values.values())))
        return self.constant + math.fsum(value * self.terms[term][1] for term, value in values.items()) / length


def terms(text: str) -> list[str]:
    """The words of a text in small letters, and its pairs of neighbouring words."""
    words = _WORD.findall(text[:_READ].lower())
    return [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words))]


@functools.cache
def read_words(path: Path = SHIPPED) -> OutsideWords:
    """What was learned, from a file that ships."""
    return OutsideWords.model_validate_json(path.read_text(encoding="utf8"))


def told_outside(text: str) -> float:
    """How plainly an incident's words tell of a cause that is no commit: 0 for not at all, to 5."""
    return min(_MOST, max(0.0, read_words().odds(text) - _FROM))
