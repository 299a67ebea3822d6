"""What was tried and did not help, by the words people use for it: it must never be told as what worked.

Does: know such words, in a heading ("What did not help") or a sentence.
Does not: judge whether what somebody wrote is true.
"""

from __future__ import annotations

import re

_IN_VAIN = re.compile(
    r"\b(?:not|n't|no) (?:help|work|fix|effect(?! on))|\b(?:didn|doesn)['’]?t (?:help|work)|in vain|without success|failed attempts?",
    re.IGNORECASE,
)


def tried_in_vain(words: str) -> bool:
    """Whether words say that something was tried and did not help."""
    return _IN_VAIN.search(words) is not None
