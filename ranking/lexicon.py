"""The words of commits, kept for a while: candidates of one incident are mostly those of the next.

Does: count the terms of a commit's subject, body, paths and changed lines, and note which stand side by side, once each, in memory.
Does not: keep anything on disk, or know what is looked for.
"""

from __future__ import annotations

import functools
from array import array
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Generic, TypeVar

from core.errors import RepositoryError
from core.model import Commit
from ranking.diffs import FILES_LIMIT, Diff, read_diffs
from ranking.history import History
from ranking.kinds import kinds
from ranking.text import terms, terms_and_ends

#: Longer messages are quoted logs and merge lists; paths past these are imports.
_BODY_LIMIT, _PATHS_LIMIT = 4_000, 200
_MESSAGES, _DIFFS = 20_000, 2_500
#: Hunks of a commit whose changed lines are kept as they are written.
_HUNKS = 40

V = TypeVar("V")


class Pairs:
    """Which terms stand side by side in a text, eight bytes each: a large diff has thousands.

    Args:
        said: terms in reading order, with an empty one where a sentence, a paragraph or a line ends. Pairs with that one, and of a
            term with itself, are held too: nobody asks for them.
    """

    def __init__(self, said: Iterable[str]) -> None:
        # Python's own hash differs from process to process, and these never leave one.
        self._hashes = array("q", sorted(set(map(hash, pairwise(said)))))

    def __contains__(self, pair: tuple[str, str]) -> bool:
        wanted = hash(pair)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


@dataclass(frozen=True)
class Message:
    """What a commit says without its diff. The counts must not be changed."""

    subject: Counter[str]
    paths: Counter[str]
    #: Subject twice, body and paths together: what BM25 reads.
    whole: Counter[str]
    kinds: frozenset[str]


@dataclass(frozen=True)
class Lines:
    """What a commit changed. The counts must not be changed."""

    #: Path and terms of each hunk.
    hunks: tuple[tuple[str, Counter[str]], ...]
    whole: Counter[str]
    #: The changed lines in lower case, to look for a text in.
    text: str
    #: Of each line.
    pairs: Pairs
    #: Whether nothing but comments was changed.
    only_comments: bool = False
    #: What the first `_HUNKS` hunks add and remove, with signs, in the order of `hunks`.
    changes: tuple[str, ...] = ()


class Lexicon:
    """Counted words by commit; those counted first are forgotten first."""

    def __init__(self) -> None:
        self._messages: _Recent[Message] = _Recent(_MESSAGES)
        self._pairs: _Recent[Pairs] = _Recent(_DIFFS)
        self._lines: _Recent[Lines] = _Recent(_DIFFS)

    def message(self, commit: Commit) -> Message:
        """The words of a commit's message and paths."""
        return self._messages.get((commit.repo, commit.sha), lambda: _message(commit))

    def pairs(self, commit: Commit) -> Pairs:
        """Which words of its message and paths stand side by side. Asked of a few hundred candidates, not of all."""
        return self._pairs.get((commit.repo, commit.sha), lambda: Pairs(_with_ends(chain(*_stretches(commit)))))

    def lines(
        self, history: History, commits: Sequence[Commit], *, stop_after_s: float
    ) -> tuple[dict[str, Lines], list[str]]:
        """The words of changed lines, by commit id, and what could not be read, in words.

        Commits of more than `FILES_LIMIT` files are passed over.
        """
        small = [commit for commit in commits if 0 < len(commit.files) <= FILES_LIMIT]
        found = {c.sha: kept for c in small if (kept := self._lines.peek((history.name, c.sha)))}
        wanted = [commit.sha for commit in small if commit.sha not in found]
        gaps: list[str] = []
        try:
            read = read_diffs(history.repository, wanted, stop_after_s=stop_after_s)
        except RepositoryError as error:
            read, gaps = {}, [f"repository '{history.name}': the changed lines could not be read ({error.why})"]
        for sha, diff in read.items():
            found[sha] = self._lines.get((history.name, sha), lambda diff=diff: _lines(diff))  # type: ignore[misc]
        missing = len(wanted) - len(read)
        if missing and not gaps:
            count = "1 candidate" if missing == 1 else f"{missing} candidates"
            gaps = [f"repository '{history.name}': the changed lines of {count} could not be read"]
        return found, gaps


class _Recent(Generic[V]):
    """A dictionary that forgets what it has held longest, asked for or not: the window moves on, and the first to come is the
    first to leave it. Safe to share between threads: each step is atomic."""

    def __init__(self, size: int) -> None:
        self._size, self._kept = size, OrderedDict[tuple[str, str], V]()

    def peek(self, key: tuple[str, str]) -> V | None:
        return self._kept.get(key)

    def get(self, key: tuple[str, str], make: Callable[[], V]) -> V:
        value = self._kept.get(key)
        if value is None:
            value = self._kept[key] = make()
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value


def _message(commit: Commit) -> Message:
    (subject, *body), paths = _stretches(commit)
    whole = Counter(chain(subject, subject, *body, *paths))
    return Message(Counter(subject), Counter(chain(*paths)), whole, kinds(commit))


def _stretches(commit: Commit) -> tuple[list[list[str]], list[tuple[str, ...]]]:
    """The terms of its subject and paragraphs, and of its paths."""
    said = [terms(part) for part in (commit.subject, *commit.body[:_BODY_LIMIT].split("\n\n"))]
    return said, [_of_a_path(change.path) for change in commit.files[:_PATHS_LIMIT]]


@functools.lru_cache(maxsize=1 << 14)
def _of_a_path(path: str) -> tuple[str, ...]:
    """Kept, as commits touch the same files again and again."""
    return tuple(terms(path))


def _lines(diff: Diff) -> Lines:
    said = [terms_and_ends(f"{hunk.text}\n") for hunk in diff.hunks]
    hunks = tuple((hunk.path, _counted(part)) for hunk, part in zip(diff.hunks, said, strict=True))
    whole = list(chain.from_iterable(said))
    text = "\n".join(hunk.text for hunk in diff.hunks).lower()
    changes = tuple(hunk.changes for hunk in diff.hunks[:_HUNKS])
    return Lines(hunks, _counted(whole), text, Pairs(whole), diff.only_comments, changes)


def _counted(said: Iterable[str]) -> Counter[str]:
    counts = Counter(said)
    counts.pop("", None)
    return counts


def _with_ends(stretches: Iterable[Sequence[str]]) -> Iterator[str]:
    for stretch in stretches:
        yield from stretch
        yield ""
