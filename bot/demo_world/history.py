"""The shop's history: sixty commits told in YAML, written as a real git repository.

Does: read the story, apply each commit's edits to the files as they then stood, and hand all of it to `git fast-import`.
Does not: use the machine's git configuration, identity or clock: the same moment gives the same commit ids.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from core.errors import RepositoryError

#: Who wrote it, by the name the story uses.
PEOPLE = {
    "bot": ("Dependency Bot", "dependency-bot@shop.example"),
    "ines": ("Inês Duarte", "ines.duarte@shop.example"),
    "kofi": ("Kofi Mensah", "kofi.mensah@shop.example"),
    "marta": ("Marta Kowalska", "marta.kowalska@shop.example"),
    "priya": ("Priya Nair", "priya.nair@shop.example"),
    "tomas": ("Tomas Lindqvist", "tomas.lindqvist@shop.example"),
    "yuki": ("Yuki Tanaka", "yuki.tanaka@shop.example"),
}
_BEFORE = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")
_EARLIER_SHA = re.compile(r"\{sha:([^}]+)\}")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One commit of the story."""

    #: How long before the alert it was made.
    before: timedelta
    by: str
    subject: str
    body: str = ""
    #: Whole files; (path, passage, replacement); files that go.
    write: Mapping[str, str] = field(default_factory=dict)
    edit: Sequence[tuple[str, str, str]] = ()
    delete: Sequence[str] = ()
    culprit: bool = False
    tempts: bool = False


def read_story() -> list[Change]:
    """Every commit, oldest first."""
    import yaml

    folder = files("bot.demo_world").joinpath("story")
    parts = sorted((part for part in folder.iterdir() if part.name.endswith(".yaml")), key=lambda part: part.name)
    entries = [entry for part in parts for entry in yaml.safe_load(part.read_text(encoding="utf-8"))]
    return [_change(entry) for entry in entries]


def _change(entry: dict[str, Any]) -> Change:
    edits = [(edit["path"], edit["old"], edit["new"]) for edit in entry.pop("edit", [])]
    return Change(before=_ago(entry.pop("before")), edit=edits, **entry)


def _ago(text: str) -> timedelta:
    match = _BEFORE.fullmatch(text)
    assert match, f"{text!r} is not like 3d04h20m"
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def write_repository(path: Path, story: Sequence[Change], *, now: datetime) -> list[str]:
    """Write the story as a git repository with a work tree on branch `main`.

    Args:
        path: a folder that is not there yet.
        now: the moment the story counts back from; whole seconds of it are used.

    Returns:
        The commits' ids, in the story's order.

    Raises:
        RepositoryError: git is missing or refused.
    """
    path.mkdir(parents=True)
    _git(path, "init", "--quiet", "--template=")
    _git(path, "symbolic-ref", "HEAD", "refs/heads/main")
    tree: dict[str, str] = {}
    shas: dict[str, str] = {}
    # A message may name an earlier commit's id, which is known only once that commit is written: import up to there.
    for batch in _batches(story):
        parents = ["refs/heads/main^0" if shas else None, *[None] * len(batch)]
        stream = [
            _commit(change, tree, shas, now=now, parent=parent) for change, parent in zip(batch, parents, strict=False)
        ]
        _git(path, "fast-import", "--quiet", stdin=b"".join(stream))
        log = _git(path, "log", f"-{len(batch)}", "--reverse", "--format=%H", "main").decode().split()
        shas.update({change.subject: sha for change, sha in zip(batch, log, strict=True)})
    _git(path, "reset", "--quiet", "--hard")
    return [shas[change.subject] for change in story]


def _batches(story: Sequence[Change]) -> list[list[Change]]:
    batches: list[list[Change]] = [[]]
    for change in story:
        if _EARLIER_SHA.search(change.body):
            batches.append([])
        batches[-1].append(change)
    return batches


def _commit(
    change: Change, tree: dict[str, str], shas: Mapping[str, str], *, now: datetime, parent: str | None
) -> bytes:
    """One commit in git's fast-import format; `tree` is brought to the state after it.

    Args:
        parent: named for the first commit of an import that continues a branch; git knows the others itself.

    Source: https://git-scm.com/docs/git-fast-import
    """
    name, email = PEOPLE[change.by]
    person = f"{name} <{email}> {int((now - change.before).timestamp())} +0000"
    body = _EARLIER_SHA.sub(lambda match: shas[match[1]], change.body.strip())
    lines = [
        f"commit refs/heads/main\nauthor {person}\ncommitter {person}\n".encode(),
        _data(f"{change.subject}\n\n{body}".strip() + "\n"),
        f"from {parent}\n".encode() if parent else b"",
    ]
    for path, text in _apply(change, tree).items():
        lines.append(f"D {path}\n".encode() if text is None else f"M 100644 inline {path}\n".encode() + _data(text))
    return b"".join(lines)


def _data(text: str) -> bytes:
    raw = text.encode()
    return b"data %d\n%s\n" % (len(raw), raw)


def _apply(change: Change, tree: dict[str, str]) -> dict[str, str | None]:
    """The files a commit leaves changed: path to new text, or None where it goes."""
    touched: dict[str, str | None] = dict(change.write)
    for path, old, new in change.edit:
        text = touched.get(path) or tree[path]
        assert text.count(old) == 1, (
            f"{change.subject!r} wants to replace what stands {text.count(old)} times in {path}: {old!r}"
        )
        touched[path] = text.replace(old, new)
    touched |= dict.fromkeys(change.delete)
    for path, after in touched.items():
        if after is None:
            del tree[path]
        else:
            tree[path] = after
    return touched


def _git(path: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        done = subprocess.run(  # noqa: S603  (fixed arguments, no shell)
            ["git", *arguments],  # noqa: S607  (the one on the path)
            cwd=path,
            env=environment,
            input=stdin,
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise RepositoryError(
            "cannot build the demo's repository", why="git is not installed", way_out="install git"
        ) from error
    except subprocess.CalledProcessError as error:
        raise RepositoryError(
            f"cannot build the demo's repository in {str(path)!r}",
            why=error.stderr.decode(errors="replace").strip(),
            way_out="give an empty folder",
        ) from error
    return done.stdout
