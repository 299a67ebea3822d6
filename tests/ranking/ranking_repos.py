"""Real git repositories, made in one `git fast-import` each."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: When the incidents of these tests begin.
NOON = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A commit to make: `hours` before NOON (negative is after it)."""

    hours: float
    message: str
    files: dict[str, str | None] = field(default_factory=dict)
    author: str = "ada"


def add(path: Path, changes: Sequence[Change], onto: str = "") -> list[str]:
    """Add changes on top of a commit (nothing for the first ones) and move main there; the new ids."""
    lines: list[bytes] = []
    for number, change in enumerate(changes, 1):
        stamp = f"{change.author} <{change.author}@example.org> {int((NOON - timedelta(hours=change.hours)).timestamp())} +0000"
        message = change.message.encode()
        lines.append(
            f"commit refs/heads/main\nmark :{number}\nauthor {stamp}\ncommitter {stamp}\ndata {len(message)}\n".encode()
            + message
            + b"\n"
        )
        if number == 1 and onto:
            lines.append(f"from {onto}\n".encode())
        for file, content in change.files.items():
            if content is None:
                lines.append(f'D "{file}"\n'.encode())
            else:
                lines.append(
                    f'M 100644 inline "{file}"\ndata {len(content.encode())}\n'.encode() + content.encode() + b"\n"
                )
    marks = path.parent / f"{path.name}.marks"
    git(path, "fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=b"".join(lines))
    by_mark = dict(line.split() for line in marks.read_text().splitlines())
    return [by_mark[f":{number}"] for number in range(1, len(changes) + 1)]


def merge(path: Path, hours: float, *parents: str, message: str = "Merge a change") -> str:
    """Merge commits into the first of them, `hours` before NOON, taking the files of the last, and move main there; the new id."""
    stamp = str(int((NOON - timedelta(hours=hours)).timestamp()))
    lines = [f"tree {git(path, 'rev-parse', f'{parents[-1]}^{{tree}}')}", *(f"parent {sha}" for sha in parents)]
    lines += [f"{role} ada <ada@example.org> {stamp} +0000" for role in ("author", "committer")]
    made = git(path, "hash-object", "-t", "commit", "-w", "--stdin", stdin="\n".join([*lines, "", message]).encode())
    git(path, "update-ref", "refs/heads/main", made)
    return made


def commit_with_times(path: Path, authored: str, committed: str, message: str) -> str:
    """A commit with HEAD's files on top of it, whatever its clock said, as git would never make it; main moves there; the new id."""
    lines = [f"tree {git(path, 'rev-parse', 'HEAD^{tree}')}", f"parent {git(path, 'rev-parse', 'HEAD')}"]
    lines += [f"author ada <ada@example.org> {authored} +0000", f"committer ada <ada@example.org> {committed} +0000"]
    text = "\n".join([*lines, "", message]).encode()
    made = git(path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)
    git(path, "update-ref", "refs/heads/main", made)
    return made


def git(where: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git in a folder; what it printed."""
    done = subprocess.run(["git", "-C", str(where), *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()
