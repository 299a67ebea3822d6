"""Which texts hold a question's words side by side.

Does: count in each text the skip-bigrams of a question, two of its words one beside the other or with one between them, and weigh
them by BM25 among the texts given.
Does not: look for texts, or keep pairs: an index of them took more memory than all the words (learning/LOG.md).

Of two texts that hold the same words, the one that holds them together as the question does is more often meant: the ordered
feature of the sequential dependence model (Metzler and Croft 2005, "A Markov random field model for term dependencies").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from retrieval.sparse import stems

#: Mean number of stems of a piece: identifiers in parts alone, no stop words; over 1,480 operations documents.
_PIECE_STEMS = 61.4
#: BM25's constants, as Qdrant's encoder has them for the words themselves.
_K1, _B = 1.2, 0.75
#: How far the words of a skip-bigram may stand apart.
_DISTANCES = (1, 2)

#: Two stems, in reading order.
Pair = tuple[int, int]


def skip_bigrams(text: str) -> frozenset[Pair]:
    """The words of a question that stand side by side in one of its lines: the end of a field says nothing with the next."""
    return frozenset(pair for line in text.split("\n") for pair in _pairs(stems(line)))


def side_by_side(asked: frozenset[Pair], texts: Sequence[str]) -> list[float]:
    """For each text the sum of the BM25 weights of the pairs asked for; a pair that few of the texts hold weighs more.

    Args:
        asked: what `skip_bigrams` gave.
        texts: pieces, with title and heading path.
    """
    firsts = frozenset(first for first, _ in asked)
    counted = [_counted(asked, firsts, stems(text)) for text in texts]
    holding = Counter(pair for held, _ in counted for pair in held)
    rarity = {pair: math.log1p((len(texts) - count + 0.5) / (count + 0.5)) for pair, count in holding.items()}
    return [
        math.fsum(rarity[pair] * count * (_K1 + 1) / (count + longer) for pair, count in held.items())
        for held, longer in counted
    ]


def _counted(asked: frozenset[Pair], firsts: frozenset[int], held: Sequence[int]) -> tuple[Counter[Pair], float]:
    """How often a text of these stems holds each pair, and what its length takes off."""
    # Most stems begin no pair: they are passed over at the price of one look.
    begins = [place for place, stem in enumerate(held) if stem in firsts]
    near = ((held[place], stem) for place in begins for stem in held[place + 1 : place + 1 + len(_DISTANCES)])
    return Counter(pair for pair in near if pair in asked), _K1 * (1 - _B + _B * len(held) / _PIECE_STEMS)


def _pairs(held: Sequence[int]) -> Iterator[Pair]:
    """Each two different stems that stand that near."""
    for distance in _DISTANCES:
        for pair in zip(held, held[distance:], strict=False):
            if pair[0] != pair[1]:
                yield pair
