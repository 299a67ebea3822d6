"""Words that carry meaning, in a form that two texts can share.

Does: split identifiers, drop stop words, strip common English endings; say how much of one text another holds.
Does not: know synonyms, order or meaning. Endings are stripped alike on both sides, so a crude stem only ever has to agree with
itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from core.words import split_identifiers

_STOP_WORDS = """
    a about above after again all also am an and any anybody anyone anything are as at be because been before being below
    between both but by can cannot could did do does doing done down during each either else every few for from further get
    had has have having he her here hers him his how i if in into is it its itself just let like may me might more most much
    must my no nor not now of off on once only or other our ours out over own per please same shall she should show since so
    some such tell than that the their theirs them then there these they this those through to too under until up upon us use
    very was we were what when where which while who whom whose why will with would you your yours s t ll ve re d m don didn
    isn wasn aren won doesn couldn shouldn wouldn etc eg ie via"""
_STOP = frozenset(_STOP_WORDS.split())
_DENIALS = "not no never none nobody nothing without cannot nor neither don didn isn wasn aren won doesn"
_NEGATIONS = frozenset(_DENIALS.split())
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "edly", "ers", "ed", "ly", "es", "s", "e")
#: Shared letters from which two words count as one: "fail" and "failover".
_PREFIX = 4


def stem(word: str) -> str:
    """A word without its commonest ending; never shorter than three letters."""
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    doubled = len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouslz"
    return word[:-1] if doubled else word


def terms(text: str) -> list[str]:
    """The stems of a text's content words, in reading order, repeats kept; numbers are kept whole."""
    return [stem(word) for word in split_identifiers(text) if word not in _STOP and (len(word) > 1 or word.isdigit())]


def holds(words: Collection[str], wanted: str) -> bool:
    """Whether a word, or one it begins (or is begun by), is among stems."""
    if wanted in words:
        return True
    return len(wanted) >= _PREFIX and any(
        word.startswith(wanted) or (len(word) > _PREFIX and wanted.startswith(word)) for word in words
    )


def shared(wanted: Iterable[str], words: Collection[str]) -> float:
    """The share of distinct stems that are among others; 0 for none wanted."""
    distinct = set(wanted)
    return sum(1 for word in distinct if word in words) / len(distinct) if distinct else 0.0


def negated(text: str) -> bool:
    """Whether a text denies anything."""
    return any(word in _NEGATIONS for word in split_identifiers(text))
