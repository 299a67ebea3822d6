"""What a question is made of: the several ways in which one text can be looked for.

Does: tell an alert's expression from prose, and say an expression in words (its metrics, the values it asks for, and what its
functions mean); find error strings. Does not: embed or search.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Longer texts are cut: an alert may hold a megabyte.
_MAX_CHARS = 20_000
#: PromQL's own words (Prometheus' documentation, "Operators" and "Functions"): they are in every expression.
_PROMQL_WORDS = (
    "sum avg min max count by without on ignoring group_left group_right group stddev stdvar count_values bottomk topk "
    "quantile abs absent absent_over_time ceil changes clamp clamp_max clamp_min day_of_month day_of_week day_of_year "
    "days_in_month delta deriv exp floor histogram_avg histogram_count histogram_sum histogram_fraction "
    "histogram_quantile holt_winters double_exponential_smoothing hour idelta increase irate label_join label_replace "
    "ln log2 log10 minute month predict_linear rate resets round scalar sgn sort sort_desc sqrt time timestamp vector "
    "year avg_over_time min_over_time max_over_time sum_over_time count_over_time quantile_over_time "
    "stddev_over_time stdvar_over_time last_over_time present_over_time and or unless bool offset inf nan le"
)
_PROMQL = frozenset(_PROMQL_WORDS.split())
#: What a function or comparison means when it fires, in the words a runbook would use.
_MEANS = (
    (re.compile(r"\babsent(?:_over_time)?\s*\("), "missing disappeared down"),
    (re.compile(r"\bup\b(?:\{[^}]*\})?\s*\)?\s*(?:==\s*0|<\s*1|!=\s*1)"), "down unreachable"),
    (re.compile(r"\bpredict_linear\s*\("), "predicted to fill up run out soon"),
    (re.compile(r"\bhistogram_quantile\s*\("), "latency slow"),
    (re.compile(r"\b(?:changes|resets)\s*\("), "flapping restarting"),
    (re.compile(r"\btime\(\)\s*-"), "old late has not run recently"),
)
_LOOKS_QUERIED = re.compile(r"\b[a-zA-Z_:][\w:]*\s*(?:\{[^}\n]*\}|\[\w+(?::\w*)?\]|\()")
_LOOKS_COMPUTED = re.compile(
    r"[<>=!]=|[<>]\s*[\d(]|\b(?:rate|sum|avg|max|min|count|increase|absent|by)\b\s*\(|\[\d+[smhdwy]\]"
)
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_VALUE = re.compile(r"=~?\s*\"([^\"]*)\"|=~?\s*'([^']*)'")
_ERROR = re.compile(
    r"(?<!\w)\"([^\"\n]{8,160})\"(?!\w)|(?<!\w)'([^'\n]{8,160})'(?!\w)|`([^`\n]{4,160})`|\b(\w*(?:Error|Exception|Fault)\b[^\n]{0,120})"
    r"|\b(?i:error|fatal|panic|failed|exception)\s*:\s*([^\n]{4,160})"
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A text taken apart. What is not there is empty."""

    text: str
    #: The text where it has no expression: an expression's order is its syntax, and says nothing.
    prose: str
    #: The expression in words: metric names, label values, what its functions mean.
    expression: str
    #: What the machine said: quoted text, exceptions, what follows "error:".
    errors: str


def take_apart(text: str) -> Question:
    """The parts of a question; linear in the text, of which the first 20,000 characters count."""
    text = text[:_MAX_CHARS]
    expression = _in_words(text) if _is_expression(text) else ""
    if expression:
        return Question(text=text, prose="", expression=expression, errors="")
    return Question(text=text, prose=text, expression="", errors=_errors(text))


def _is_expression(text: str) -> bool:
    """Whether it holds a PromQL expression, not just brackets."""
    return bool(_LOOKS_QUERIED.search(text) and _LOOKS_COMPUTED.search(text))


def _in_words(text: str) -> str:
    bare = _GROUPING.sub(" ", text)
    values = [
        word for match in _VALUE.finditer(bare) for word in re.findall(r"[A-Za-z][\w-]{2,}", match[1] or match[2] or "")
    ]
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|'[^']*'|\[[^\]]*\]", " ", bare)
    names = [name for name in re.findall(r"[a-zA-Z_:][\w:]*", bare) if name.lower() not in _PROMQL and len(name) > 2]
    meant = [words for pattern, words in _MEANS if pattern.search(text)]
    return " ".join(dict.fromkeys((*names, *values, *meant)))


def _errors(text: str) -> str:
    found = (next(filter(None, match.groups())) for match in _ERROR.finditer(text))
    return "\n".join(dict.fromkeys(" ".join(part.split()) for part in found))
