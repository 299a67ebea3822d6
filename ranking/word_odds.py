"""What the words of an incident say of it, as learned from texts of two kinds: the log odds that it is of the one and not the other.

Does: keep what every word and pair of words adds, and add it up for a text. Does not: learn it (`benchmarks.fit_words`), or know what
the two kinds are (`ranking.outside`, `ranking.paged`).

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

#: Characters of an incident that are looked at: behind them are logs, where words stand by chance.
_READ = 4_000
#: Words, with what stands inside of them; numbers say nothing, but that there are per cents does.
_WORD = re.compile(r"\b[^\W\d_][\w'-]*\b|%")
#: The least length that a text's terms are divided by, that of some twenty words: the one known word of "API down" is no whole story.
LEAST_LENGTH = 20.0


class WordOdds(BaseModel):
    """What every word or pair of words says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant: float
    #: Term -> (how rare it is, the log odds it adds).
    terms: dict[str, tuple[float, float]]
    #: What it was learned from and how well it did, for people.
    notes: dict[str, object]

    def odds(self, text: str) -> float | None:
        """The log odds that a text is of the first kind, if half of all were; None where no word of it is known."""
        counts = {term: count for term, count in Counter(terms(text)).items() if term in self.terms}
        if not counts:
            return None
        values = {term: (1 + math.log(count)) * self.terms[term][0] for term, count in counts.items()}
        length = max(LEAST_LENGTH, math.sqrt(math.fsum(value * value for value in values.values())))
        return self.constant + math.fsum(value * self.terms[term][1] for term, value in values.items()) / length


def terms(text: str) -> list[str]:
    """The words of a text in small letters, and its pairs of neighbouring words."""
    words = _WORD.findall(text[:_READ].lower())
    return [*words, *(f"{first} {second}" for first, second in itertools.pairwise(words))]


@functools.cache
def read_words(path: Path) -> WordOdds:
    """What was learned, from a file that ships."""
    return WordOdds.model_validate_json(path.read_text(encoding="utf8"))
