"""CODEOWNERS-like patterns: which paths they cover, one by one and many at a time.

Does: match "/db/", "apps/*/api", "*.sql" and "docs" as CODEOWNERS does; find the closest or the last of many patterns
without trying each.
Does not: know what a pattern stands for.
"""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


def covers(pattern: str, path: str) -> bool:
    """Whether a CODEOWNERS-like pattern holds for a path: "/db/", "apps/*/api", "*.sql", "docs".

    A pattern with a slash at its start or inside is anchored at the root; any other may match at any depth.
    """
    return bool(_compiled(pattern).match(path))


def _compiled(pattern: str) -> re.Pattern[str]:
    anchored, bare = _read(pattern)
    if bare in ("", "*", "**"):
        return re.compile("")
    body = "".join(_WILD.get(token) or _plain(token) for token in _TOKEN.findall(bare))
    # "docs/*" is what lies in docs itself; whatever else names a folder is all that lies below it.
    below = "" if bare.endswith("/*") else "(?:/.*)?"
    return re.compile(rf"{'' if anchored else '(?:.*/)?'}{body}{below}\Z", re.DOTALL)


_TOKEN = re.compile(r"/\*\*/|^\*\*/|\*\*|\*|\?|\[!?[^]]+\]|.", re.DOTALL)
#: One star stays within a folder, two cross them, and may stand for none.
_WILD = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _plain(token: str) -> str:
    """A letter as itself; a choice of letters as fnmatch has it."""
    return fnmatch.translate(token)[4:-3] if len(token) > 1 else re.escape(token)


def _read(pattern: str) -> tuple[bool, str]:
    return "/" in pattern.rstrip("/"), pattern.strip("/").removesuffix("/**").removeprefix("./")


class Patterns(Generic[T]):
    """Many patterns, each standing for something. Plain folders and names are looked up; only wildcards are tried.

    Args:
        rules: patterns and what they stand for, in order.
    """

    def __init__(self, rules: Iterable[tuple[str, T]] = ()) -> None:
        self._count = 0
        #: Anchored folders and files, names at any depth, and the rest; each with its place in the order and its length.
        self._rooted: dict[str, list[tuple[int, int, T]]] = defaultdict(list)
        self._named: dict[str, list[tuple[int, int, T]]] = defaultdict(list)
        #: The longest text without a wildcard, the pattern, and the rule.
        self._wild: list[tuple[str, re.Pattern[str], tuple[int, int, T]]] = []
        for pattern, value in rules:
            self.add(pattern, value)

    def add(self, pattern: str, value: T) -> None:
        """One more pattern, after all others."""
        anchored, bare = _read(pattern)
        size = 0 if bare in ("", "*", "**") else len(bare)
        found = (self._count, size, value)
        self._count += 1
        if not size:
            self._rooted[""].append(found)
        elif any(mark in bare for mark in "*?["):
            # Looking for a fixed text first spares nearly every path the pattern itself.
            self._wild.append(
                (
                    max((part.strip("/") for part in re.split(r"\[[^]]*\]?|[*?]", bare)), key=len),
                    _compiled(pattern),
                    found,
                )
            )
        else:
            (self._rooted if anchored else self._named)[bare].append(found)

    def closest(self, path: str) -> list[T]:
        """What the longest pattern that covers a path stands for; several when several are as long."""
        found = self._covering(path)
        if len(found) > 1:
            longest = max(size for _, size, _ in found)
            found = sorted((item for item in found if item[1] == longest), key=lambda item: item[0])
        return [value for _, _, value in found]

    def last(self, path: str) -> T | None:
        """What the last pattern that covers a path stands for, as CODEOWNERS has it."""
        found = max(self._covering(path), key=lambda item: item[0], default=None)
        return found[2] if found else None

    def _covering(self, path: str) -> list[tuple[int, int, T]]:
        found = list(self._rooted.get("", ()))
        end = path.find("/") if self._rooted else -1
        while end >= 0:
            found += self._rooted.get(path[:end], ())
            end = path.find("/", end + 1)
        found += self._rooted.get(path, ())
        for part in set(path.split("/")) if self._named else ():
            found += self._named.get(part, ())
        found += [rule for fixed, pattern, rule in self._wild if fixed in path and pattern.match(path)]
        return found
