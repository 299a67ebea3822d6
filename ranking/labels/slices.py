"""Parts of a set of labelled cases: "lag>1", "kind=revert", "repo=curl".

Does: read an expression into a test of one case.
Does not: let a ranker see what it tests: all of it but the repository is part of the answer.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from core.errors import UsageError
from ranking.labels.cases import Labelled

_SLICE = re.compile(r"\s*(\w+)\s*(>=|<=|!=|=|>|<)\s*([^=<>]+?)\s*")
_HOURS = re.compile(r"\d+(\.\d+)?")
_FIELDS = {
    "lag": "lag_hours",
    "lag_hours": "lag_hours",
    "kind": "kind",
    "same_author": "same_author",
    "hindsight": "hindsight",
    "repo": "repos",
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}


def slice_test(expression: str) -> Callable[[Labelled], bool]:
    """ "lag>1" as a test of one case. A case without the field is in no slice of it.

    Raises:
        UsageError: it cannot be read.
    """
    match = _SLICE.fullmatch(expression)
    name, sign, text = match.groups() if match else ("", "", "")
    field = _FIELDS.get(name, "")
    if not field or (not _HOURS.fullmatch(text) if field == "lag_hours" else sign not in ("=", "!=")):
        raise UsageError(
            f"cannot read --slice {expression!r}",
            why=f"a slice is one of {', '.join(sorted(_FIELDS))}, then = or != and a value, or for lag also > and < and hours",
            way_out="write for example lag>1 or kind=revert",
        )

    def test(case: Labelled) -> bool:
        value = getattr(case, field)
        if value is None:
            return False
        if field == "lag_hours":
            return _COMPARE[sign](value, float(text))
        same = text in value if isinstance(value, tuple) else str(value).lower() == text.lower()
        return same == (sign == "=")

    return test
