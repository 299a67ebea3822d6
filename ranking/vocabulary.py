"""The words of a repository's messages over time: which words belong to it, and which to each of its files.

Does: keep each commit's distinct terms beside it in the commit index, count them by month, tell both as of a moment.
Does not: read changed lines, weigh words, or count a month that had not ended by the moment.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ranking.text import terms

#: A month here is thirty days, counted from 1970, so that it is the same for every reader.
MONTH_S = 30 * 86400
#: How far back a repository's words are counted: older ones may belong to what is gone.
MONTHS = 24
#: Past this a message quotes logs and merge lists.
_TEXT_LIMIT = 1_500
#: Stands for every commit of a month.
_ALL = ""

TABLES = ("words", "vocabulary")
SCHEMA = """
CREATE TABLE IF NOT EXISTS words (commit_id INTEGER PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vocabulary (
    word TEXT NOT NULL, month INTEGER NOT NULL, commits INTEGER NOT NULL, PRIMARY KEY (word, month)) WITHOUT ROWID;
"""
_ADD = "INSERT INTO vocabulary VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET commits = commits + excluded.commits"
#: The newest commits of a path before a moment, with their words: for these alone, and not for all of the path's.
_OF_A_PATH = (
    "SELECT c.sha, w.words FROM (SELECT h.commit_id, h.committed FROM paths p JOIN changes h ON h.path_id = p.id "
    "WHERE p.path = ? AND h.committed < ? ORDER BY h.committed DESC, h.commit_id DESC LIMIT ?) n "
    "JOIN commits c ON c.id = n.commit_id JOIN words w ON w.commit_id = n.commit_id ORDER BY n.committed DESC, c.sha"
)


@dataclass(frozen=True, kw_only=True)
class WordCounts:
    """In how many commits of a stretch of time each word occurs."""

    counts: Mapping[str, int]
    commits: int


def words_of(subject: str, body: str) -> str:
    """A message's distinct terms, with spaces between."""
    return " ".join(sorted(set(terms(f"{subject}\n{body[:_TEXT_LIMIT]}"))))


def add_words(db: sqlite3.Connection, rows: Sequence[tuple[int, int, str]]) -> None:
    """Store the words of new commits and count them.

    Args:
        rows: a commit's number, its committed time in unix seconds, its words.
    """
    db.executemany("INSERT INTO words VALUES (?, ?)", [(number, words) for number, _, words in rows])
    _count(db, rows, 1)


def forget_words(db: sqlite3.Connection, number: int) -> None:
    """Take a commit's words out, before the commit itself goes."""
    sql = "SELECT c.id, c.committed, w.words FROM commits c JOIN words w ON w.commit_id = c.id WHERE c.id = ?"
    _count(db, db.execute(sql, (number,)).fetchall(), -1)
    db.execute("DELETE FROM words WHERE commit_id = ?", (number,))


def _count(db: sqlite3.Connection, rows: Iterable[tuple[int, int, str]], each: int) -> None:
    counts: Counter[tuple[str, int]] = Counter()
    for _, committed, words in rows:
        counts.update((word, committed // MONTH_S) for word in (*words.split(), _ALL))
    db.executemany(_ADD, [(word, month, count * each) for (word, month), count in counts.items()])


def count_words(db: sqlite3.Connection, words: Iterable[str], moment: float) -> WordCounts:
    """In how many commits of the last `MONTHS` whole months before a moment each word occurs.

    Args:
        moment: unix seconds.
    """
    month = int(moment // MONTH_S)
    sql = "SELECT SUM(commits) FROM vocabulary WHERE word = ? AND month >= ? AND month < ?"

    def count(word: str) -> int:
        return int(db.execute(sql, (word, month - MONTHS, month)).fetchone()[0] or 0)

    return WordCounts(counts={word: count(word) for word in words}, commits=count(_ALL))


def words_of_paths(
    db: sqlite3.Connection, paths: Iterable[str], moment: float, limit: int
) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """The last `limit` commits of each path before a moment, newest first: id and words.

    Args:
        moment: unix seconds.
    """
    found = {}
    said: dict[str, frozenset[str]] = {}  # a commit of many paths is told once
    for path in dict.fromkeys(paths):
        rows = db.execute(_OF_A_PATH, (path, moment, limit)).fetchall()
        said |= {sha: frozenset(words.split()) for sha, words in rows if sha not in said}
        found[path] = [(sha, said[sha]) for sha, _ in rows]
    return found
