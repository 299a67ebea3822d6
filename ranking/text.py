"""Words of incidents and commits, and how well they match.

Does: turn text into terms (identifiers split, stop words dropped, endings cut), tell which stand side by side, weigh terms by rarity,
score by BM25.
Does not: know commits, read diffs, or keep an index: a window's candidates are scored from scratch in milliseconds.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.words import RUN, split_run

#: What stands together, or the end of a line.
_RUN_OR_END = re.compile(rf"{RUN.pattern}|\n")

#: Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009): the usual constants.
K1, B = 1.2, 0.75

_STOP_WORDS = """
    a about after again all also always am an and another any are as at be because been before being but by can cannot
    could did do does doing don done each even every few for from get gets getting got had has have having he her here him http https his
    how i if in instead into is it its itself just ll let like made make makes making many may me might more most much must my
    need needs no nor not now of off ok on once one only or other our out over own per please re s same see seems she should
    since so some still such t than that the their them then there these they thing this those though through to too under
    until up us use used uses using ve very via was way we well were what when where whether which while who whole why will
    with without won would www yet you your
"""
_STOP = frozenset(_STOP_WORDS.split())


def terms(text: str) -> list[str]:
    """The terms of a text, in reading order: at least two characters, no stop words, endings cut."""
    return list(itertools.chain.from_iterable(map(_terms_of, RUN.findall(text))))


def terms_and_ends(text: str) -> list[str]:
    """The terms of a text of many lines as `terms` gives them, with an empty one where a line ends: faster than line by line."""
    return list(itertools.chain.from_iterable(map(_terms_of, _RUN_OR_END.findall(text))))


def neighbours(stretches: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Each two different terms that stand side by side, in reading order (Metzler and Croft, "A Markov random field model for term
    dependencies", 2005: sequential dependence).

    Args:
        stretches: the terms of sentences, paragraphs or lines of code, at whose ends nothing goes on.
    """
    for stretch in stretches:
        yield from (pair for pair in itertools.pairwise(stretch) if pair[0] != pair[1])


@functools.lru_cache(maxsize=1 << 17)
def _terms_of(run: str) -> tuple[str, ...]:
    """The terms of what stands together, an empty one for the end of a line. Kept, as commits use the same names again and again."""
    if run == "\n":
        return ("",)
    return tuple(term for word in split_run(run) if (term := _term(word)))


def _term(word: str) -> str:
    """A word as it is compared; empty for one that says nothing."""
    if len(word) < 2 or word in _STOP:
        return ""
    return stem(word)


def stem(word: str) -> str:
    """A word without its commonest English endings: "timeouts" and "timeout", "failing", "failed" and "fail" meet."""
    if len(word) < 5 or not word.isalpha():
        return word
    for ending, kept in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and not word.endswith(("ss", "us", "is")) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + kept
            break
    if word[-1] == "e" and len(word) > 4:
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "lsz" else word


class Bm25:
    """BM25 over a few thousand short documents.

    Args:
        documents: each document's terms, counted.
    """

    def __init__(self, documents: Sequence[Mapping[str, int]]) -> None:
        self._documents = documents
        self._lengths = [sum(document.values()) for document in documents]
        self._mean = sum(self._lengths) / max(1, len(documents)) or 1.0

    def rarity(self, wanted: Iterable[str]) -> dict[str, float]:
        """Each term's inverse document frequency here: ln(1 + (N - n + 0.5) / (n + 0.5))."""
        count = len(self._documents)
        found = {}
        for term in wanted:
            found[term] = inverse_frequency(sum(term in document for document in self._documents), count)
        return found

    def scores(self, query: Mapping[str, float]) -> list[float]:
        """Each document's score for weighted terms (weight = rarity times count in the query)."""
        wanted = list(query.items())
        return [
            self._score(wanted, document, length)
            for document, length in zip(self._documents, self._lengths, strict=True)
        ]

    def _score(self, wanted: list[tuple[str, float]], document: Mapping[str, int], length: int) -> float:
        damping = K1 * (1 - B + B * length / self._mean)
        return sum(weight * saturated(count, damping) for term, weight in wanted if (count := document.get(term)))


def inverse_frequency(having: int, count: int) -> float:
    """What a find is worth that `having` of `count` documents hold: ln(1 + (count - having + 0.5) / (having + 0.5))."""
    return math.log(1 + (count - having + 0.5) / (having + 0.5))


def saturated(count: float, damping: float) -> float:
    """BM25's count of a term in a document: grows with repeats, never past K1 + 1."""
    return count * (K1 + 1) / (count + damping)


def count_terms(text: str) -> Counter[str]:
    """The terms of a text, counted."""
    return Counter(terms(text))
