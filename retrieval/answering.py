"""Whether what came first answers at all.

Does: turn how far the first document stands out, and how near it is in meaning, into a probability; and tell strangers.
Does not: order documents.
"""

from __future__ import annotations

import math

#: Logistic weights of the fused score and of the cosine above the embedder's floor, and the constant. Fitted on 1,608 real
#: queries with their answers in the index and taken out of it; on sources left out of the fit, the surest 80 % have the right
#: document first in 91 % of cases and among five in 99 % (learning/LOG.md).
_FUSED, _NEAR, _CONSTANT = 1.42, 2.58, -4.71
#: From this probability on, a search has an answer: four in five of those real queries reach it.
ANSWERS = 0.45


def is_related(closeness: float, floor: float, shared: frozenset[str]) -> bool:
    """Whether a document has to do with a question at all: near enough in meaning, or a name of several parts in common."""
    return closeness >= floor or bool(shared)


def likelihood(score: float, closeness: float, floor: float) -> float:
    """The probability that a document, if it comes first, answers.

    Args:
        score: fused, as in `retrieval.fusion.Standing.score`, with the signals.
        closeness: cosine between the question and its best section.
        floor: the cosine below which two texts are strangers to that embedder.
    """
    logit = _FUSED * score + _NEAR * (closeness - floor) + _CONSTANT
    return 1 / (1 + math.exp(-max(-30.0, min(logit, 30.0))))
