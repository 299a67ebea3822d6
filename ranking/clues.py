"""What an incident names: identifiers, files, stack frames, error texts, hosts.

Does: find them in free text of any origin: alerts, logs, tracebacks of common languages, people's words.
Does not: know any repository; whether a name exists in one is for the features to see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ranking.text import terms

#: The first this many characters of an incident are read; a pasted log may be megabytes.
READ_LIMIT = 20_000
_NAMES_LIMIT = 60

_PATH = re.compile(r"(?<![\w/.])(?:[\w.@+-]+/)+[\w.@+-]*\w|(?<![\w/])/(?:[\w.@+-]+/)+[\w.@+-]*\w")
_FILE = re.compile(r"(?<![\w/])[\w@+-][\w.@+-]*\.[A-Za-z][A-Za-z0-9]{0,9}\b")
_IDENTIFIER = re.compile(r"[$@]?\b[A-Za-z_][\w]*(?:(?:::|->|\.|#|-)[A-Za-z_]\w*)*(?:\(\))?")
_DOTTED = re.compile(r"\w+(?:\.\w+)+")
_ACRONYM = re.compile(r"[A-Z][A-Z0-9]{2,}")
_QUOTED = re.compile(r"`([^`\n]{3,120})`|\"([^\"\n]{3,120})\"|(?<!\w)'([^'\n]{3,120})'(?!\w)|“([^”\n]{3,120})”")
_ERROR = re.compile(
    r"\b\w*(?:Error|Exception|Fault|Warning|Panic)\b:?\s+([^\n]{8,160})|(?i:\b(?:fatal|error|panic|exception)):\s*([^\n]{8,160})"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+")


@dataclass(frozen=True, kw_only=True)
class Clues:
    """What was found, as the incident spells it; each once, in order of appearance."""

    #: Names that only code would spell so: camelCase, snake_case, dotted, with digits, called with ().
    identifiers: tuple[str, ...]
    #: Paths, leading "/" kept, and bare file names.
    paths: tuple[str, ...]
    #: Quoted texts and what follows "Error:", for a search in the changed lines.
    phrases: tuple[str, ...]


def find_clues(text: str) -> Clues:
    """The clues in an incident's words; only the first `READ_LIMIT` characters are read."""
    text = _URL.sub(" ", text[:READ_LIMIT])
    paths = _unique([*_PATH.findall(text), *_FILE.findall(text)])
    identifiers = _unique(name.strip("()") for name in _IDENTIFIER.findall(text) if _looks_like_code(name))
    quoted = ["".join(groups).strip() for groups in _QUOTED.findall(text)]
    errors = ["".join(groups).strip() for groups in _ERROR.findall(text)]
    phrases = _unique(phrase for phrase in (*quoted, *errors) if len(terms(phrase)) >= 2)
    return Clues(identifiers=identifiers, paths=paths, phrases=phrases)


def _looks_like_code(name: str) -> bool:
    bare = name.strip("()$@")
    if len(bare) < 3:
        return False
    if name.endswith("()") or name[0] in "$@" or any(mark in bare for mark in ("_", "::", "->", "#")):
        return True
    if re.search(r"[a-z][A-Z]|[A-Z]{2,}[a-z]|[A-Za-z]\d|\d[A-Za-z]", bare):
        return True
    return bool(_DOTTED.fullmatch(bare) or _ACRONYM.fullmatch(bare))


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))[:_NAMES_LIMIT]
