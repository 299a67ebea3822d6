"""Whether a sentence says no more than the evidence it cites.

Does: compare words. Everything exact (numbers, ids, paths, flags, hostnames, names, code) must stand in the cited evidence as it
stands in the sentence; of the other content words at most a third may be new; a denial needs a denial to rest on, and a step
that its source forbids is refused.
Does not: understand. A sentence that recombines its evidence's own words wrongly passes, which is why every sentence is
shown with its source, and why confidence and causes are worded by code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prompts.terms import negated, shared, terms

_CODE = re.compile(r"`([^`]*)`")
_TOKEN = re.compile(r"[^\s\"“”'’‘(){}\[\]<>,;!?…]+")
_IDENTIFIER = re.compile(r"[a-z][A-Z]|\w_\w|[\w-]/[\w-]|\w\.\w|^--?\w|^[A-Z]{2,}$|\w:\w|=|\\")
_NAME = re.compile(r"^[A-Z][a-z]+")
_COUNTED = "two three four five six seven eight nine ten eleven twelve"
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTED.split(), 2)} | {
    "twice": "2",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "half": "50%",
    "dozen": "12",
}
#: Written on code's side of every line of evidence, or the grammar's own.
_FREE = frozenset({"UTC", "I"})
#: The share of content words that must stand in the evidence; the rest is connecting prose, not facts.
_HELD_WORDS = 2 / 3
_FORBIDS = re.compile(r"\b(?:do not|don't|never|must not|mustn't|should not|shouldn't|avoid|cannot|can't)\b", re.I)


def ungrounded(sentence: str, evidence: Sequence[str]) -> str | None:
    """Why a sentence does not rest on its evidence, or None if it does.

    Args:
        sentence: plain text, code in backticks.
        evidence: the full texts it cites.
    """
    held = "\n".join(evidence)
    flat = _flat(held)
    for code in _CODE.findall(sentence):
        if _flat(code) not in flat:
            return f"`{code}` is not in its evidence"
    prose = _CODE.sub(" ", sentence)
    missing = _missing_exact(prose, flat, held)
    if missing:
        return f"{missing!r} is not in its evidence"
    if shared(terms(prose), frozenset(terms(held))) < _HELD_WORDS and terms(prose):
        return "most of it is not in its evidence"
    if negated(prose) and not negated(held):
        return "it denies what its evidence does not"
    return None


def forbids(text: str) -> bool:
    """Whether a text says what not to do."""
    return _FORBIDS.search(text) is not None


def forbidden_by(step: str, evidence: Sequence[str]) -> str | None:
    """The line of evidence that forbids what a step asks for, if the closest line does."""
    if forbids(step):
        return None
    wanted = terms(step)
    lines = [line for text in evidence for line in re.split(r"\n|(?<=[.!?])\s", text) if line.strip()]
    closest = max(lines, key=lambda line: shared(wanted, frozenset(terms(line))), default="")
    return closest.strip() if forbids(closest) and shared(wanted, frozenset(terms(closest))) >= 0.5 else None


def _missing_exact(prose: str, flat: str, held: str) -> str | None:
    names = {word.casefold() for word in re.findall(r"[^\W\d_]+", held)}
    for place, found in enumerate(_TOKEN.finditer(prose)):
        token = found[0].lstrip("*_").rstrip(".:*_-–—/").removesuffix("'s")
        if not re.search(r"\w", token) or token in _FREE:
            continue
        if any(char.isdigit() for char in token) or _IDENTIFIER.search(token):
            if not _stands_in(token, flat):
                return token
        elif token.lower() in _NUMBER_WORDS:
            if token.lower() not in names and not _stands_in(_NUMBER_WORDS[token.lower()], flat):
                return token
        elif place and _NAME.match(token) and not _opens(prose, found.start()) and token.casefold() not in names:
            return token
    return None


def _opens(prose: str, start: int) -> bool:
    """Whether a word begins a sentence or a quotation, where any word is capitalised."""
    before = prose[:start].rstrip(" \"“'(")
    return not before or before[-1] in ".!?:–—"


def _stands_in(token: str, flat: str) -> bool:
    wanted = re.escape(token.casefold().replace(",", ""))
    return re.search(rf"(?<![\w.]){wanted}(?![\w]|\.\d)", flat) is not None


def _flat(text: str) -> str:
    """Case and the blanks and thousands separators that do not change meaning, taken off."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", " ".join(text.split())).casefold()
