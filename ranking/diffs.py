"""What candidate commits changed, line by line, read in one go and within limits.

Does: read many commits' diffs from one git process, cut each at a size and the whole at a time, pass over binary and
huge files, and over commits whose files a partial copy lacks.
Does not: read diffs of commits nobody asked for, follow renames, run external diff programs, keep anything on disk.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from core.errors import RepositoryError
from ranking.index import LOG

if TYPE_CHECKING:
    from ranking.repository import Repository

#: Characters of one commit's diff that are kept: nine of ten commits fit whole.
COMMIT_LIMIT = 40_000
#: Characters of one hunk's changed lines that are kept with their signs, for who reads what a change does.
CHANGES_LIMIT = 600
#: A line longer than this is generated text; its head is enough.
_LINE_LIMIT = 400
#: Commits touching more files are imports and reformattings: reading them costs seconds and tells nothing.
FILES_LIMIT = 300
_BATCH = 400
_OPTIONS = (
    *("-p", "-U1", "--inter-hunk-context=0", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color"),
    *("--submodule=short", "--src-prefix=a/", "--dst-prefix=b/", "--diff-merges=first-parent", "--no-walk=unsorted"),
)
#: Larger files count as binary, which saves git from diffing dumps and minified bundles.
_BIG_FILE = ("-c", "core.bigFileThreshold=1m", "-c", "core.quotePath=false")
_HEAD = re.compile(rb"^\0([0-9a-f]{40,64})\n$")
#: A line that is blank or a comment in one of the usual languages, by its beginning.
_REMARK = re.compile(r"\s*($|# |#$|//|/\*|\*/|\* |\*$|-- |<!--|\{#|; |;;|\"\"\"[^\"]*\"\"\"$)")


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """One stretch of changed lines."""

    path: str
    #: Added and removed lines with a line around them, without their signs, and the function git names.
    text: str
    #: The first of its added and removed lines alone, with their signs, at most `CHANGES_LIMIT` characters.
    changes: str = ""


@dataclass(frozen=True, kw_only=True)
class Diff:
    """What one commit changed."""

    hunks: tuple[Hunk, ...]
    added: int
    removed: int
    #: Whether the end was cut off, so that the counts are lower bounds.
    cut: bool = False
    #: Whether every changed line is a comment or blank, some line being a comment.
    only_comments: bool = False


def read_diffs(repository: Repository, shas: Sequence[str], *, stop_after_s: float = 5.0) -> dict[str, Diff]:
    """The diffs of commits; a merge's is against its first parent.

    Args:
        shas: full ids.
        stop_after_s: seconds after which whatever has been read is given back.

    Returns:
        Diffs by id. Missing: commits whose files are not in this copy, and those not reached in time.

    Raises:
        RepositoryError: git failed for another reason than missing files.
    """
    end = time.monotonic() + stop_after_s
    found: dict[str, Diff] = {}
    for start in range(0, len(shas), _BATCH):
        _read(repository, shas[start : start + _BATCH], end, found)
    return found


def _read(repository: Repository, shas: Sequence[str], end: float, found: dict[str, Diff]) -> None:
    left = end - time.monotonic()
    if not shas or left <= 0:
        return
    command = [*_BIG_FILE, *LOG, "--format=%x00%H", *_OPTIONS, *shas]
    last = ""
    try:
        with repository.stream(*command, stop_after_s=left) as output:
            for last, lines in _commits(output):
                found[last] = _parse(lines)
        if time.monotonic() >= end:
            found.pop(last, None)  # ended in the middle of it
    except RepositoryError:
        # git stops in the middle of a commit that lacks a file; the others can be read without such commits.
        found.pop(last, None)
        rest = [sha for sha in shas if sha not in found]
        whole = _with_files(repository, rest)
        if len(whole) == len(rest):
            raise
        _read(repository, whole, end, found)


def _with_files(repository: Repository, shas: Sequence[str]) -> list[str]:
    """Those commits whose changed files are all in this copy."""
    blobs: dict[str, set[str]] = {}
    sha = ""
    options = ("--format=%H", "--raw", "--no-abbrev", "--no-renames", "--diff-merges=first-parent")
    for line in repository.run(*LOG, *options, "--no-walk=unsorted", *shas).splitlines():
        if not line.startswith(":"):
            sha = line or sha
        else:
            modes, names = line.split()[:2], line.split()[2:4]
            # Mode 160000 is a submodule: its commit is never here.
            blobs.setdefault(sha, set()).update(
                name for mode, name in zip(modes, names, strict=True) if name.strip("0") and not mode.endswith("160000")
            )
    present = repository.resolve(frozenset().union(*blobs.values())).keys()
    return [sha for sha in shas if blobs.get(sha, set()) <= present]


def _commits(output: BinaryIO) -> Iterator[tuple[str, Iterable[str]]]:
    """Each commit's id and the lines of its diff, as far as the limits let them."""
    sha, size = "", 0
    lines: list[str] = []
    for raw in output:
        head = _HEAD.match(raw)
        if head:
            if sha:
                yield sha, lines
            sha, lines, size = head[1].decode(), [], 0
        elif size <= COMMIT_LIMIT:
            lines.append(raw[:_LINE_LIMIT].decode("utf-8", "replace").rstrip("\n"))
            size += len(lines[-1])
    if sha:
        yield sha, lines


def _parse(lines: Iterable[str]) -> Diff:
    hunks: list[Hunk] = []
    texts: list[str] = []
    signed: list[str] = []
    path = old_path = ""
    added = removed = size = 0
    in_hunk = False
    remarks = statements = 0

    def close() -> None:
        if texts:
            changes = "\n".join(signed)[:CHANGES_LIMIT]
            hunks.append(Hunk(path=path, text="\n".join(texts), changes=changes))
            texts.clear()
            signed.clear()

    for line in lines:
        size += len(line)
        if line.startswith("@@ "):
            close()
            in_hunk = True
            texts.append(line.split("@@", 2)[-1].strip())
        elif line.startswith("diff --git "):
            close()
            in_hunk = False
        elif in_hunk:
            added += line.startswith("+")
            removed += line.startswith("-")
            if line.startswith(("+", "-")) and line[1:].strip():
                signed.append(line)
                # One statement is enough to know: the lines after it are not looked at.
                if not statements:
                    remark = bool(_REMARK.match(line[1:]))
                    remarks, statements = remarks + remark, statements + (not remark)
            texts.append(line[1:])
        elif line.startswith("--- "):
            old_path = _name(line, "a/")
        elif line.startswith("+++ "):
            new_path = _name(line, "b/")
            path = old_path if new_path == "/dev/null" else new_path
    close()
    cut = size > COMMIT_LIMIT
    said = remarks > 0 and statements == 0 and not cut
    return Diff(hunks=tuple(hunks), added=added, removed=removed, cut=cut, only_comments=said)


def _name(line: str, side: str) -> str:
    """The path of a "--- " or "+++ " line: git quotes odd names, and ends names with spaces in a tab."""
    return line[4:].rstrip("\t").strip('"').removeprefix(side)
