"""A git repository of documents, read at its HEAD.

Does: list Markdown, AsciiDoc, HTML and text files of the last commit, work tree or bare, each with the time it last
changed on the main line; read only those whose content, time or address differs from when they were last stored.
Does not: fetch, check out, or look at uncommitted files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from core.errors import RepositoryError
from core.model import Document, from_unix
from core.once import Once
from core.settings import Settings
from ingest import files
from ingest.files import MAX_BYTES, SUFFIXES, address_of, is_document, make_document
from ingest.folder import READING, folder_at
from ingest.sources import NOTHING, Held, Listed, Skipped

if TYPE_CHECKING:
    from git import Repo

_LFS = b"version https://git-lfs.github.com/spec/"
USAGE = "git:PATH"
READS = files.READS


def open(rest: str, settings: Settings) -> GitSource:
    """The documents of "git:PATH".

    Raises:
        UsageError, DocumentError: as `ingest.folder.folder_at`.
    """
    return GitSource(folder_at(rest), docs_url=settings.docs_url)


def is_repository(path: Path) -> bool:
    """Whether a folder is a work tree's root or a bare repository."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A file of the last commit, as `git ls-tree` tells it."""

    path: str
    mode: str
    sha: str
    size: int


class GitSource:
    """The documents of a repository's last commit; the id of each is its path in the repository.

    Args:
        path: a work tree's root or a bare repository.
        docs_url: address that paths are relative to; unset, the page at a known forge that `origin` names, if it does.
    """

    def __init__(self, path: Path, *, docs_url: str | None = None) -> None:
        self._path, self._docs_url = path.absolute(), docs_url

    @property
    def name(self) -> str:
        """ "git:" and the absolute path."""
        return f"git:{self._path}"

    def documents(self, held: Mapping[str, str] = NOTHING) -> Iterator[Listed]:
        """Every document of the last commit; of one that is as it was when it was stored, only that it is.

        Raises:
            RepositoryError: the repository cannot be read.
        """
        with self._opened() as repo:
            base, times = self._docs_url or forge_page(repo), _Times(repo, held)
            for entry in _entries(repo):
                if (misnamed := _misnamed(entry.path)) is not None:
                    yield misnamed
                    continue
                content = " ".join((READING, entry.mode, entry.sha, base or "-"))
                if times.holds(entry.path, content):
                    yield Held(doc_id=entry.path)
                    continue
                made = self._read(repo, entry, base)
                if isinstance(made, Document):
                    at = times.changed_at(entry.path)
                    made = replace(made, updated_at=at or made.updated_at, version=times.version(content, at))
                yield made

    @contextmanager
    def _opened(self) -> Iterator[Repo]:
        """The repository; whatever git says against it while it is open becomes a RepositoryError."""
        try:
            import git
        except ImportError as error:  # GitPython refuses to be imported without the git program
            raise RepositoryError(
                "cannot run git", why=str(error).split("\n")[0], way_out="install git and see that PATH finds it"
            ) from error
        try:
            with git.Repo(self._path) as repo:
                repo.head.commit  # noqa: B018 -- an unborn HEAD raises here, with a reason
                yield repo
        except (git.exc.GitError, ValueError, OSError) as error:
            raise RepositoryError(
                f"cannot read repository {str(self._path)!r}",
                why=_reason(error),
                way_out="check that it is a git repository with a commit, and that this user may read it",
            ) from error

    def _read(self, repo: Repo, entry: _Entry, base: str | None) -> Document | Skipped:
        if entry.mode == "120000":
            return Skipped(doc_id=entry.path, reason="a symbolic link")
        if entry.size > MAX_BYTES:
            return Skipped(doc_id=entry.path, reason=f"{entry.size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:g}")
        data: bytes = repo.odb.stream(bytes.fromhex(entry.sha)).read()
        if data.startswith(_LFS):
            return Skipped(doc_id=entry.path, reason="a Git LFS pointer; its content is not in the repository")
        return make_document(
            entry.path,
            data,
            source=self.name,
            root=self._path.name.removesuffix(".git"),
            url=address_of(base, entry.path),
        )


class _Times:
    """When each path last changed. Reads only the commits that are new since what is held was stored.

    Args:
        held: path to version: what the document is made of, its time, and the commit that was HEAD.
    """

    def __init__(self, repo: Repo, held: Mapping[str, str]) -> None:
        self._repo, self._head = repo, repo.head.commit.hexsha
        parsed = {path: version.rsplit(" ", 2) for path, version in held.items() if version.count(" ") >= 2}
        heads = {head for _, _, head in parsed.values()}
        oldest, reachable = self._oldest(heads)
        #: Path to what it was made of and when it had last changed, as of a commit that HEAD stands on.
        self._known = {path: (made, at) for path, (made, at, head) in parsed.items() if head in reachable}
        self._recent = {} if oldest in (None, self._head) else _changed_at(repo, f"{oldest}..HEAD")
        self._all = Once(lambda: _changed_at(repo, "HEAD"))

    def _oldest(self, heads: set[str]) -> tuple[str | None, set[str]]:
        """The one furthest back on the main line, and all that are on it: a rewritten history leaves none."""
        if heads <= {self._head}:
            return next(iter(heads), None), heads
        listed: Any = self._repo.git.rev_list("HEAD", first_parent=True)
        line = [sha for sha in listed.split() if sha in heads]
        return (line[-1] if line else None), set(line)

    def holds(self, path: str, content: str) -> bool:
        """Whether it is stored as it is: of that content, and not touched since."""
        made, at = self._known.get(path, ("", ""))
        return made == content and (path not in self._recent or _seconds(self._recent[path]) == at)

    def changed_at(self, path: str) -> datetime | None:
        """The time of the last commit that touched it."""
        if path in self._recent:
            return self._recent[path]
        _, at = self._known.get(path, ("", ""))
        return from_unix(float(at)) if at.isdecimal() else self._all().get(path)

    def version(self, content: str, at: datetime | None) -> str:
        """What changes when the document would, and the commit as of which it is true."""
        return f"{content} {_seconds(at)} {self._head}"


def _seconds(at: datetime | None) -> str:
    return "-" if at is None else f"{at.timestamp():.0f}"


def forge_page(repo: Repo) -> str | None:
    """The address that paths are relative to at GitHub or GitLab, if `origin` is there; else None."""
    if "origin" not in [remote.name for remote in repo.remotes]:
        return None
    match = re.fullmatch(
        r"(?:https?://|ssh://|git://)?(?:[^@/]+@)?([\w.-]+)(?::\d+(?=/))?[:/](.+?)(?:\.git)?/?", repo.remotes.origin.url
    )
    if not match or not re.search(r"(^|\.)(github|gitlab)\.", match[1]):
        return None
    branch = "HEAD" if repo.head.is_detached else repo.active_branch.name
    blob = "blob" if "github" in match[1] else "-/blob"
    return f"https://{match[1]}/{match[2]}/{blob}/{quote(branch)}"


def _entries(repo: Repo) -> Iterator[_Entry]:
    """The documents of HEAD, in order of path."""
    listing: Any = repo.git.ls_tree("HEAD", r=True, z=True, long=True, full_tree=True)
    for line in filter(None, listing.split("\0")):
        facts, path = line.split("\t", 1)
        mode, kind, sha, size = facts.split()
        hidden = any(part.startswith(".") or part == "node_modules" for part in path.split("/"))
        if kind == "blob" and is_document(path) and not hidden:
            yield _Entry(path=path, mode=mode, sha=sha, size=int(size))


def _misnamed(path: str) -> Skipped | None:
    """Why a file cannot have an id: git keeps names as bytes, and these are no text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        printable = path.encode(errors="backslashreplace").decode()
        return Skipped(doc_id=printable, reason="its name is not UTF-8")
    return None


def _changed_at(repo: Repo, commits: str) -> dict[str, datetime]:
    """Path to the time of the last of these commits that touched it, seen along the main line, where a merge is one step."""
    found: dict[str, datetime] = {}
    log: Any = repo.git.log(
        *(commits, "--first-parent", "-m", "--no-renames", "--name-only", "-z", "--format=%x01%ct"),
        *("--", *(f":(icase)*{suffix}" for suffix in sorted(SUFFIXES))),
    )
    for commit in log.split("\x01")[1:]:
        seconds, _, names = commit.partition("\n")
        at = from_unix(float(seconds.strip("\0")))
        for path in names.strip("\n").split("\0"):
            if path and is_document(path):
                found.setdefault(path, at)
    return found


def _reason(error: Exception) -> str:
    """What git said, without the command line it was said to."""
    import git

    if isinstance(error, git.exc.NoSuchPathError):
        return "it does not exist"
    if isinstance(error, git.exc.InvalidGitRepositoryError):
        return "it is not a git repository"
    if isinstance(error, ValueError) and "does not exist" in str(error):
        return "it has no commit yet"
    said = str(getattr(error, "stderr", "") or error).strip().removeprefix("stderr: ").strip("'\n ")
    return said.split("\n")[0] or type(error).__name__
