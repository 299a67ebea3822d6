"""The commit index of one repository: a SQLite file that answers in milliseconds what git answers in seconds.

Does: keep every non-merge commit's facts and paths, and when it came to the branch; take new commits from one streaming `git log`,
forget rewritten ones.
Does not: keep diffs, decide what is a candidate, look at anything but the history below one tip.

Many processes may read while one writes (write-ahead log); a second writer waits, then finds nothing left to do.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RepositoryError
from ranking import vocabulary
from ranking.landing import REVIEW_S, clock, landings
from ranking.mentions import find_mentions, own_names

if TYPE_CHECKING:
    from ranking.repository import Repository

#: Told (commits read, commits to read or None when not counted yet).
Progress = Callable[[int, int | None], None]

#: A format change starts the file anew: the index can always be rebuilt.
VERSION = 7
_BODY_LIMIT = 20_000
_BATCH = 2_000
_WAIT_S = 600.0
#: How far back a refresh looks again when commits came to the branch: no older one can be told another time by what is new.
_REVISED_S = 2 * REVIEW_S

_TABLES = ("meta", "commits", "paths", "changes", "mentions", "names", "blames", "branch", *vocabulary.TABLES)
_DROP = "".join(f"DROP TABLE IF EXISTS {table};" for table in (*_TABLES, "reverts", "change_ids"))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (
    id INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE, author TEXT NOT NULL, email TEXT NOT NULL,
    authored INTEGER NOT NULL, committed INTEGER NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
    landed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS paths (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS changes (
    commit_id INTEGER NOT NULL, path_id INTEGER NOT NULL, status TEXT NOT NULL, committed INTEGER NOT NULL,
    PRIMARY KEY (commit_id, path_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mentions (
    commit_id INTEGER NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (commit_id, target)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (commit_id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (commit_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blames (
    culprit_id INTEGER NOT NULL, commit_id INTEGER NOT NULL, PRIMARY KEY (culprit_id, commit_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS branch (id INTEGER PRIMARY KEY, sha TEXT NOT NULL UNIQUE, since INTEGER NOT NULL);
"""
#: Made after the first fill, which is twice as fast without them.
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS commits_by_time ON commits (committed)",
    "CREATE INDEX IF NOT EXISTS commits_by_landing ON commits (landed)",
    "CREATE INDEX IF NOT EXISTS branch_by_time ON branch (since)",
    # With its commit's time, so that the latest of a path are found without a look at each of its commits.
    "CREATE INDEX IF NOT EXISTS changes_by_path ON changes (path_id, committed)",
    "CREATE INDEX IF NOT EXISTS commits_by_email ON commits (email, committed)",
    "CREATE INDEX IF NOT EXISTS names_by_name ON names (name)",
    "CREATE INDEX IF NOT EXISTS blames_by_commit ON blames (commit_id)",
)
#: Who undid or blamed whom, found once all of a batch is there: the log tells later commits first.
_BLAME = (
    "INSERT OR IGNORE INTO blames SELECT c.id, m.commit_id FROM mentions m JOIN commits c "
    "ON c.sha >= m.target AND c.sha < m.target || 'g' WHERE m.kind != 'mention' AND m.commit_id >= ? AND c.id != m.commit_id",
    "INSERT OR IGNORE INTO blames SELECT x.commit_id, m.commit_id FROM mentions m JOIN names x "
    "ON x.name >= m.target AND x.name < m.target || 'g' "
    "WHERE m.kind != 'mention' AND m.commit_id >= ? AND x.commit_id != m.commit_id",
)

#: What `git log` is asked for each commit, NUL between; the order `Row` is read in.
FORMAT = "--format=%x00%H%x00%an%x00%ae%x00%at%x00%ct%x00%s%x00%b"
#: The same answer whatever the reader's own git settings are.
LOG = ("-c", "log.showRoot=true", "-c", "log.showSignature=false", "-c", "i18n.logOutputEncoding=UTF-8", "log")
_RAW = ("--raw", "-z", "--no-renames", "--no-abbrev", "--no-color", "--encoding=UTF-8")

#: sha, author, email, authored, committed, subject, body, ((path, status), …)
Row = tuple[str, str, str, int, int, str, str, tuple[tuple[str, str], ...]]


def read_log(repository: Repository, *what: str) -> Iterator[Row]:
    """Commits as one `git log` process tells them, in its order.

    Args:
        what: the revisions and limits to walk.

    Raises:
        RepositoryError: git failed.
    """
    from ranking.repository import fields

    with repository.stream(*LOG, FORMAT, *_RAW, *what) as output:
        tokens = fields(output)
        token = next(tokens, None)
        while token is not None:
            head = [next(tokens) for _ in range(7)]
            changes: list[tuple[str, str]] = []
            token = next(tokens, None)
            while token and token.lstrip("\n").startswith(":"):
                changes.append((next(tokens), token[-1]))
                token = next(tokens, None)
            sha, author, email, authored, committed, subject, body = head
            yield (
                sha,
                author,
                email,
                clock(authored),
                clock(committed),
                subject,
                body.strip()[:_BODY_LIMIT],
                tuple(changes),
            )


class CommitIndex:
    """The file of one repository.

    Args:
        file: where it lies; made, with its folder, when it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._own = file, threading.local()
        file.parent.mkdir(parents=True, exist_ok=True)
        with self.connect() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version != VERSION:
                db.executescript(
                    (_DROP if version else "") + _SCHEMA + vocabulary.SCHEMA + f"PRAGMA user_version = {VERSION};"
                )

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection for one piece of work: kept if it ends well, undone if not.

        Inside of another such block of the same thread it is that one's: five questions about the same files, each on a connection
        of its own, read the same pages five times.

        Raises:
            RepositoryError: the file cannot be used.
        """
        try:
            outer = getattr(self._own, "db", None)
            if outer is not None:
                yield outer
                return
            db = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                self._own.db = db
                yield db
            finally:
                self._own.db = None
                db.close()
        except sqlite3.Error as error:
            raise RepositoryError(
                f"cannot use the commit index '{self._file}'",
                why=str(error),
                way_out="delete the file: it is built again from the repository",
            ) from error

    def state(self) -> tuple[str, str]:
        """The tip it was filled from and the cut of a shallow clone; empty before the first fill."""
        with self.connect() as db:
            return _state(db)

    def refresh(self, repository: Repository, progress: Progress | None = None) -> int:
        """Take what is new below the repository's tip, and forget what a rewrite has removed.

        Args:
            progress: told every few thousand commits.

        Returns:
            How many commits are new.

        Raises:
            RepositoryError: git or SQLite failed; the index is as it was.
        """
        tip, cut = repository.tip(), repository.shallow()
        target = (tip, " ".join(sorted(cut)))
        if self.state() == target:
            return 0
        with self.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            old, old_cut = _state(db)
            if (old, old_cut) == target:
                return 0
            fresh = not old or old_cut != target[1] or not _still_there(repository, old)
            since: tuple[str, ...] = ()
            if fresh:
                _clear(db)
            else:
                since = ("--not", old)
                _forget(db, repository.run("rev-list", old, "--not", tip).split())
            first = _next_id(db)
            count = _take(db, repository, (tip, *since), cut, progress)
            _land(db, repository, tip, whole=fresh)
            for statement in _INDEXES:
                db.execute(statement)
            for statement in _BLAME:
                db.execute(statement, (first,))
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("tip", tip), ("cut", target[1])])
            db.execute("COMMIT")
        return count


def _state(db: sqlite3.Connection) -> tuple[str, str]:
    found = dict(db.execute("SELECT key, value FROM meta"))
    return found.get("tip", ""), found.get("cut", "")


def _still_there(repository: Repository, sha: str) -> bool:
    return bool(repository.run("rev-parse", "--verify", "--quiet", f"{sha}^{{commit}}", may_fail=True).strip())


def _clear(db: sqlite3.Connection) -> None:
    for table in _TABLES:
        db.execute(f"DELETE FROM {table}")  # noqa: S608 the names are ours


def _forget(db: sqlite3.Connection, shas: Iterable[str]) -> None:
    """Drop commits that a forced push or a rebase has taken off the history."""
    for sha in shas:
        db.execute("DELETE FROM branch WHERE sha = ?", (sha,))
        row = db.execute("SELECT id FROM commits WHERE sha = ?", (sha,)).fetchone()
        if row:
            vocabulary.forget_words(db, row[0])
            for table, column in _ROWS_OF_A_COMMIT:
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", row)  # noqa: S608 the names are ours


_ROWS_OF_A_COMMIT = (
    *((table, "commit_id") for table in ("changes", "mentions", "names", "blames")),
    ("blames", "culprit_id"),
    ("commits", "id"),
)


def _next_id(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COALESCE(MAX(id), 0) FROM commits").fetchone()[0]) + 1


def _take(
    db: sqlite3.Connection,
    repository: Repository,
    what: tuple[str, ...],
    cut: frozenset[str],
    progress: Progress | None,
) -> int:
    """Read the log into the tables; the number of commits read."""
    total = int(repository.run("rev-list", "--count", "--no-merges", *what)) if progress else None
    path_ids: dict[str, int] = dict(db.execute("SELECT path, id FROM paths"))
    next_id = _next_id(db)
    count = 0
    for batch in _batches(read_log(repository, "--no-merges", *what)):
        _store(db, batch, next_id, path_ids, cut)
        next_id += len(batch)
        count += len(batch)
        if progress:
            progress(count, total)
    return count


def _land(db: sqlite3.Connection, repository: Repository, tip: str, *, whole: bool) -> None:
    """Note when commits came to the branch, and its own. Of those that were known, too: a merge may bring them to it only now."""
    first = 0 if whole else max(0, clock(repository.run("rev-list", "-1", "--timestamp", tip).split()[0]) - _REVISED_S)
    found, branch = landings(repository, tip, *(() if whole else (f"--max-age={first}",)))
    db.executemany("INSERT OR IGNORE INTO branch (sha, since) VALUES (?, ?)", branch.items())
    known = db.execute("SELECT landed, sha FROM commits WHERE committed >= ?", (first,))
    wrong = [(found[sha], sha) for landed, sha in known if found.get(sha, landed) != landed]
    db.executemany("UPDATE commits SET landed = ? WHERE sha = ?", wrong)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _store(
    db: sqlite3.Connection,
    batch: list[Row],
    first_id: int,
    path_ids: dict[str, int],
    cut: frozenset[str],
) -> None:
    commits, changes, mentions, names, new_paths, words = [], [], [], [], [], []
    for number, (sha, *facts, paths) in enumerate(batch, first_id):
        commits.append((number, sha, *facts, facts[3]))
        committed, subject, body = int(str(facts[3])), str(facts[4]), str(facts[5])
        words.append((number, committed, vocabulary.words_of(subject, body)))
        mentions += [(number, target, kind) for target, kind in find_mentions(subject, body).items()]
        names += [(number, name) for name in own_names(subject, body)]
        # The first commit of a shallow clone seems to add every file; what it really changed is not known.
        for path, status in () if sha in cut else paths:
            if path not in path_ids:
                path_ids[path] = len(path_ids) + 1
                new_paths.append((path_ids[path], path))
            changes.append((number, path_ids[path], status, committed))
    db.executemany("INSERT INTO paths VALUES (?, ?)", new_paths)
    db.executemany("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", commits)
    db.executemany("INSERT OR IGNORE INTO changes VALUES (?, ?, ?, ?)", changes)
    db.executemany("INSERT OR IGNORE INTO mentions VALUES (?, ?, ?)", mentions)
    db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", names)
    vocabulary.add_words(db, words)
