"""One repository's history, read as it stood before a moment: what candidates and their features are made of.

Does: open a repository, keep its commit index fresh, answer questions about commits, owners, past culprits, mentions and
tags before a time.
Does not: read diffs (`ranking.diffs`), score anything, or show a question at time t anything committed at t or later.

The history read is the one below HEAD. Merges are left out of the index: what they bring is there commit by commit.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import starmap
from pathlib import Path

from core.errors import RepositoryError, UsageError
from core.model import Commit, FileChange, from_unix
from ranking.index import CommitIndex, Progress, Row, read_log
from ranking.mentions import MentionKind
from ranking.repository import Repository, commit_page, default_name
from ranking.tags import Tag, read_tags
from ranking.vocabulary import WordCounts, count_words, words_of_paths

_COLUMNS = "c.id, c.landed, c.sha, c.author, c.email, c.authored, c.committed, c.subject, c.body"
#: SQLite's limit on variables is higher; this keeps statements short.
_SLICE = 500
_SHA = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, kw_only=True)
class Mention:
    """A later commit's word on an earlier one."""

    #: The later commit's id.
    by: str
    kind: MentionKind
    at: datetime


def open_history(path: Path | str, *, name: str | None = None, home: Path) -> History:
    """The history of the repository at `path`; nothing is indexed until `refresh`.

    Args:
        path: a work tree, a bare repository or a git folder.
        name: what to call it; by default its folder's name (see `ranking.repository.default_name`).
        home: Rundown's home folder; the index lies under `home/git`.

    Raises:
        RepositoryError: it is missing, not a repository, empty, or git does not trust its owner.
    """
    repository = Repository(Path(path))
    name = name or default_name(repository.path)
    digest = hashlib.sha256(str(repository.git_dir.resolve()).encode()).hexdigest()[:10]
    safe = re.sub(r"[^\w.-]", "-", name)
    return History(repository, CommitIndex(home / "git" / f"{safe}-{digest}.sqlite"), name=name)


def open_histories(repos: Sequence[Path | str], *, home: Path) -> tuple[list[History], tuple[str, ...]]:
    """The histories of several repositories, and for those that cannot be opened, why, in words.

    Args:
        repos: paths, or "NAME=PATH" to name one.

    Raises:
        RepositoryError: none can be opened; the first refusal.
        UsageError: two have the same name.
    """
    histories: list[History] = []
    refused: list[RepositoryError] = []
    for spec in repos:
        name, path = split_name(spec)
        try:
            histories.append(open_history(path, name=name, home=home))
        except RepositoryError as error:
            refused.append(error)
    if refused and not histories:
        raise refused[0]
    twice = [name for name, count in Counter(history.name for history in histories).items() if count > 1]
    if twice:
        raise UsageError(
            f"two repositories are called '{twice[0]}'",
            why="commits are told apart by their repository's name",
            way_out=f"name one yourself: other={histories[0].repository.path}",
        )
    return histories, tuple(str(error) for error in refused)


def split_name(spec: Path | str) -> tuple[str | None, Path]:
    """ "NAME=PATH" as name and path; a path alone, even with "=" in it, has no name."""
    name, equals, path = str(spec).partition("=")
    if not equals or not name or "/" in name or Path(spec).exists():
        return None, Path(spec)
    return name, Path(path)


class History:
    """Commits of one repository, by time.

    Args:
        repository: where diffs and old files are read.
        index: its commit index.
        name: what commits of it carry as `Commit.repo`.
    """

    def __init__(self, repository: Repository, index: CommitIndex, *, name: str) -> None:
        self.repository, self.name = repository, name
        self._index = index
        #: Looked up once between two refreshes.
        self._tags: tuple[Tag, ...] | None = None
        self._named: dict[frozenset[str], list[str]] = {}
        self._page = commit_page(repository.remote_url())

    @property
    def indexed(self) -> bool:
        """Whether `refresh` has ever filled the index."""
        return bool(self._index.state()[0])

    def connected(self) -> AbstractContextManager[object]:
        """One connection to the index for all that this thread asks in the block."""
        return self._index.connect()

    @property
    def gaps(self) -> tuple[str, ...]:
        """What this history cannot show, in words; empty for a whole one."""
        if not self.repository.shallow():
            return ()
        return (
            f"repository '{self.name}' is a shallow clone: commits before its cut are not seen. "
            "Run `git fetch --unshallow` in it.",
        )

    def refresh(self, progress: Progress | None = None) -> int:
        """Index what is new; the number of new commits.

        Raises:
            RepositoryError: git failed; the index is as it was.
        """
        count = self._index.refresh(self.repository, progress)
        # Only now: another thread may look something up while the index is filled.
        self._tags, self._named = None, {}
        return count

    def commits_between(self, start: datetime, end: datetime) -> list[Commit]:
        """Non-merge commits with `start` <= committed_at < `end`, newest first."""
        return self._commits("c.committed >= ? AND c.committed < ?", (start.timestamp(), end.timestamp()), end)

    def suspects_between(self, start: datetime, end: datetime) -> list[Commit]:
        """What may have broken something in [`start`, `end`): made then, or merged then after a review; newest first."""
        chosen = "(c.committed >= ? AND c.committed < ?) OR (c.landed >= ? AND c.landed < ?)"
        return self._commits(chosen, (start.timestamp(), end.timestamp()) * 2, end)

    def last_commits_before(self, moment: datetime, count: int) -> list[Commit]:
        """The last `count` non-merge commits with committed_at < `moment`, newest first."""
        chosen = "c.id IN (SELECT id FROM commits WHERE committed < ? ORDER BY committed DESC, sha LIMIT ?)"
        return self._commits(chosen, (moment.timestamp(), count), moment)

    def last_times_before(self, moment: datetime, count: int) -> dict[str, int]:
        """When the last `count` non-merge commits with committed_at < `moment` were committed, in unix seconds, by id.

        Who wants the last of several histories asks for these first, and then `find` for those.
        """
        sql = "SELECT sha, committed FROM commits WHERE committed < ? ORDER BY committed DESC, sha LIMIT ?"
        with self._index.connect() as db:
            return dict(db.execute(sql, (moment.timestamp(), count)).fetchall())

    def find(self, shas: Iterable[str], before: datetime) -> dict[str, Commit]:
        """Indexed commits by their ids.

        Args:
            shas: full ids, or prefixes of at least four digits; an ambiguous or unknown one is left out.
            before: a commit committed then or later is left out too.

        Returns:
            The commits found, by the id they were asked by.
        """
        asked = [sha for sha in dict.fromkeys(shas) if _SHA.fullmatch(sha)]
        chosen = "SELECT sha FROM commits WHERE sha >= ? AND sha < ? AND committed < ? LIMIT 2"
        full: dict[str, str] = {}
        with self._index.connect() as db:
            for sha in asked:
                matches = db.execute(chosen, (sha, sha + "g", before.timestamp())).fetchall()
                if len(matches) == 1:
                    full[sha] = matches[0][0]
        by_sha: dict[str, Commit] = {}
        for group in _groups(full.values()):
            asked_for = f"c.sha IN ({_marks(group)})"
            by_sha |= {commit.sha: commit for commit in self._commits(asked_for, tuple(group), before)}
        return {sha: by_sha[name] for sha, name in full.items()}

    def find_elsewhere(self, shas: Iterable[str], before: datetime) -> dict[str, Commit]:
        """Commits that the index does not hold: merges, read as their change to their first parent, and other branches.

        Args, returns: as `find`.

        Raises:
            RepositoryError: git failed.
        """
        asked = {f"{sha}^{{commit}}": sha for sha in shas if _SHA.fullmatch(sha)}
        full = {asked[name]: found for name, found in self.repository.resolve(asked).items()}
        if not full:
            return {}
        rows = read_log(self.repository, "--no-walk=unsorted", "--diff-merges=first-parent", *set(full.values()))
        by_sha = {row[0]: self._commit(row) for row in rows}
        return {sha: by_sha[name] for sha, name in full.items() if by_sha[name].committed_at < before}

    def owners(self, paths: Iterable[str], before: datetime) -> dict[str, dict[str, int]]:
        """How often each author, by e-mail, had changed each path before a moment.

        Returns:
            path -> {e-mail: commits}; paths nobody had changed are left out.
        """
        found: dict[str, dict[str, int]] = defaultdict(dict)
        sql = (
            "SELECT p.path, c.email, COUNT(*) FROM paths p JOIN changes h ON h.path_id = p.id "
            "JOIN commits c ON c.id = h.commit_id WHERE p.path IN ({}) AND h.committed < ? GROUP BY p.path, c.email"
        )
        with self._index.connect() as db:
            for group in _groups(paths):
                for path, email, count in db.execute(sql.format(_marks(group)), (*group, before.timestamp())):
                    found[path][email] = count
        return dict(found)

    def reverts_of(self, paths: Iterable[str], before: datetime) -> dict[str, int]:
        """How many commits before a moment reverted something in each path; paths without one are left out."""
        found: dict[str, int] = {}
        sql = (
            "SELECT p.path, COUNT(DISTINCT h.commit_id) FROM paths p JOIN changes h ON h.path_id = p.id "
            "JOIN mentions m ON m.commit_id = h.commit_id AND m.kind = 'revert' "
            "WHERE p.path IN ({}) AND h.committed < ? GROUP BY p.path"
        )
        with self._index.connect() as db:
            for group in _groups(paths):
                found.update(db.execute(sql.format(_marks(group)), (*group, before.timestamp())).fetchall())
        return found

    def past_culprits(self, paths: Iterable[str], before: datetime) -> dict[str, int]:
        """How many commits that changed each path had, before a moment, been reverted or named as what broke something.

        Returns:
            path -> culprits; paths without one are left out.
        """
        found: dict[str, int] = {}
        sql = (
            "SELECT p.path, COUNT(DISTINCT b.culprit_id) FROM paths p JOIN changes h ON h.path_id = p.id "
            "JOIN blames b ON b.culprit_id = h.commit_id JOIN commits c ON c.id = b.commit_id "
            "WHERE p.path IN ({}) AND c.committed < ? GROUP BY p.path"
        )
        with self._index.connect() as db:
            for group in _groups(paths):
                found.update(db.execute(sql.format(_marks(group)), (*group, before.timestamp())).fetchall())
        return found

    def mentions(self, shas: Iterable[str], start: datetime, before: datetime) -> dict[str, tuple[Mention, ...]]:
        """What commits in [`start`, `before`) say of these commits, whom they name by id, its beginning, change id or pull request.

        Args:
            shas: full ids, of this history.

        Returns:
            id -> mentions, oldest first; commits nobody mentions are left out.
        """
        said = (
            "SELECT m.target, m.kind, c.sha, c.committed FROM commits c JOIN mentions m ON m.commit_id = c.id "
            "WHERE c.committed >= ? AND c.committed < ? ORDER BY c.committed, c.sha"
        )
        own = "SELECT x.name, c.sha FROM commits c JOIN names x ON x.commit_id = c.id WHERE c.sha IN ({})"
        with self._index.connect() as db:
            rows = db.execute(said, (start.timestamp(), before.timestamp())).fetchall()
            groups = _groups(shas) if rows else []
            names = [(str(sha), str(sha)) for group in groups for sha in group]
            for group in groups:
                names += db.execute(own.format(_marks(group)), group).fetchall()
        by_start: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, sha in names:
            by_start[name[:7]].append((name, sha))
        found: dict[str, list[Mention]] = defaultdict(list)
        for target, kind, by, committed in rows:
            for name, sha in by_start.get(target[:7], ()):
                if name.startswith(target) and by != sha:
                    found[sha].append(Mention(by=by, kind=kind, at=from_unix(committed)))
        return {sha: tuple(mentions) for sha, mentions in found.items()}

    def word_counts(self, words: Iterable[str], before: datetime) -> WordCounts:
        """In how many commits of the last two years before a moment each word occurs; only months that had ended count."""
        with self._index.connect() as db:
            return count_words(db, words, before.timestamp())

    def words_of_paths(
        self, paths: Iterable[str], before: datetime, limit: int
    ) -> dict[str, list[tuple[str, frozenset[str]]]]:
        """The words of the last `limit` commits of each path before a moment, newest first, with the commits' ids."""
        with self._index.connect() as db:
            return words_of_paths(db, paths, before.timestamp(), limit)

    def tags(self, before: datetime) -> tuple[Tag, ...]:
        """The tags on commits made before a moment, oldest first.

        An annotated tag counts from its own date. A plain one has none: it counts from its commit's.

        Raises:
            RepositoryError: git failed.
        """
        tags = self._tags
        if tags is None:
            tags = self._tags = tuple(read_tags(self.repository))
        return tuple(tag for tag in tags if tag.at < before)

    def held_by(self, heads: Iterable[str], start: datetime) -> dict[str, frozenset[str]]:
        """What each of some commits holds: itself and its ancestors, merges among them, committed at `start` or later.

        Args:
            heads: full ids.

        Raises:
            RepositoryError: git failed, for example because a head is not in this copy.
        """
        wanted = list(dict.fromkeys(heads))
        if not wanted:
            return {}
        since = f"--max-age={max(0, int(start.timestamp()))}"  # `--since` takes few digits for a date of another kind
        # A later commit below another head may not cut the walk short: all heads, then each followed by its parents.
        listed = self.repository.run("rev-list", "--parents", since, *wanted).splitlines()
        parents = {sha: rest for sha, *rest in (line.split() for line in listed)}
        return {head: _ancestors(head, parents) for head in wanted}

    def branch_at(self, moment: datetime) -> str | None:
        """The commit the branch stood on before a moment, merges among them: whose files were the team's then.

        The last commit by time may be another branch's, merged only later.
        """
        with self._index.connect() as db:
            row = db.execute(
                "SELECT sha FROM branch WHERE since < ? ORDER BY since DESC, id DESC LIMIT 1", (moment.timestamp(),)
            ).fetchone()
        return row[0] if row else None

    def paths_named(self, names: Iterable[str]) -> list[str]:
        """Every path, of now or ever, whose file has one of these names."""
        files = frozenset(names)
        found = self._named.get(files)
        if found is None:
            marks = " OR ".join("path LIKE ?" for _ in files)
            with self._index.connect() as db:
                rows = db.execute(f"SELECT path FROM paths WHERE {marks}", [f"%{name}" for name in files]).fetchall()  # noqa: S608
            found = self._named[files] = sorted(path for (path,) in rows if path.rpartition("/")[2] in files)
        return found

    def files_before(self, paths: Iterable[str], moment: datetime, limit: int = 200_000) -> dict[str, str]:
        """Those of these files that existed on the branch before a moment, by path, at most `limit` bytes of each.

        Raises:
            RepositoryError: git failed.
        """
        stood = self.branch_at(moment)
        names = {f"{stood}:{path}": path for path in paths} if stood else {}
        return {names[name]: text for name, text in self.repository.read_files(names, limit).items()}

    def _commits(self, where: str, values: tuple[object, ...], before: datetime) -> list[Commit]:
        """Those of the index that a condition chooses, newest first, as they stood before a moment."""
        with self._index.connect() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM commits c WHERE {where} ORDER BY c.committed DESC, c.sha",  # noqa: S608
                values,
            ).fetchall()
            changes = _changes(db, [row[0] for row in rows])
        return [self._commit((*row[2:], tuple(changes.get(row[0], ()))), row[1], before) for row in rows]

    def _commit(self, row: Row, landed: int | None = None, before: datetime | None = None) -> Commit:
        sha, author, email, authored, committed, subject, body, changes = row
        there = landed is None or before is None or landed < before.timestamp()
        return Commit(
            sha=sha,
            repo=self.name,
            author=author,
            author_email=email,
            authored_at=from_unix(authored),
            committed_at=from_unix(committed),
            subject=subject,
            body=body,
            files=tuple(starmap(_file_change, changes)),
            url=f"{self._page}{sha}" if self._page else None,
            merged_at=from_unix(landed) if landed is not None and there and landed > committed else None,
            landed=there,
        )


@lru_cache(maxsize=1 << 14)
def _file_change(path: str, status: str) -> FileChange:
    """Kept, as commits touch the same files again and again."""
    return FileChange(path=path, status=status)


def _changes(db: sqlite3.Connection, ids: list[int]) -> Mapping[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    sql = (
        "SELECT h.commit_id, p.path, h.status FROM changes h JOIN paths p ON p.id = h.path_id "
        "WHERE h.commit_id IN ({}) ORDER BY h.commit_id, p.path"
    )
    for group in _groups(ids):
        for commit_id, path, status in db.execute(sql.format(_marks(group)), group):
            found[commit_id].append((path, status))
    return found


def _ancestors(head: str, parents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """A commit and what it stands on, as far as its parents are told."""
    seen = {head}
    waiting = [head]
    while waiting:
        for parent in parents.get(waiting.pop(), ()):
            if parent not in seen and parent in parents:
                seen.add(parent)
                waiting.append(parent)
    return frozenset(seen)


def _groups(values: Iterable[object]) -> list[list[object]]:
    unique = list(dict.fromkeys(values))
    return [unique[start : start + _SLICE] for start in range(0, len(unique), _SLICE)]


def _marks(group: list[object]) -> str:
    return ",".join("?" * len(group))
