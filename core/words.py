"""Words out of prose, code, paths and identifiers, so that "getUserName" and "user name" meet.

Does: split text into lower-case words; an identifier of several parts gives itself whole, then its parts.
Does not: drop stop words, stem, or know any language but the alphabet's letter cases.
"""

from __future__ import annotations

import functools
import re

#: Letters, digits and "_" that stand together.
RUN = re.compile(r"\w+")
#: Capitals of the Latin scripts; letters without a case count as small ones.
_UPPER = "A-ZÀ-ÖØ-Þ"
_LOWER = rf"[^\W\d_{_UPPER}]"
_PART = re.compile(rf"[{_UPPER}]+(?=[{_UPPER}]{_LOWER})|[{_UPPER}]?{_LOWER}+|[{_UPPER}]+|\d+")


def split_identifiers(text: str) -> list[str]:
    """The words of a text, in reading order.

    Args:
        text: anything; letters, digits and "_" make a run, everything else separates runs.

    Returns:
        Lower-case words. A run of several parts (camelCase, snake_case, letters beside digits) gives the whole run
        first, then each part: "maxPoolSize" gives maxpoolsize, max, pool, size; "db1034" gives db1034, db, 1034.
    """
    words: list[str] = []
    for run in RUN.findall(text):
        words += split_run(run)
    return words


@functools.lru_cache(maxsize=1 << 17)
def split_run(run: str) -> tuple[str, ...]:
    """The words of one run of a text, as `split_identifiers` gives them."""
    parts = [part.lower() for part in _PART.findall(run)]
    whole = run.lower().strip("_")
    if len(parts) < 2:
        return (whole,) if whole else ()
    return (whole, *parts)
