"""One git repository, spoken to through git itself: the only place in `ranking` that starts a process.

Does: open work trees, bare repositories and plain git folders; run and stream read-only commands; turn git's refusals
into RepositoryError; make commit pages of a remote's address.
Does not: write to the repository, fetch from a network, run hooks, filters or external diff programs, keep anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from core.errors import RepositoryError

if TYPE_CHECKING:
    from git.cmd import Git

#: A partial clone must not reach for its remote, and nothing may wait for a password or take a lock.
_ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_CHUNK = 1 << 20


#: Seconds after which a git command that prints a little is ended: a repository on a disk that hangs must not hold up a page.
RUN_S = 60


class Repository:
    """A repository that exists and holds at least one commit.

    Args:
        path: a work tree, a folder inside one, a bare repository, or a git folder without a work tree.

    Raises:
        RepositoryError: the path is missing, holds no repository, no commit, belongs to someone git does not trust,
            or git is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        git_dir, common = self.run("rev-parse", "--absolute-git-dir", "--git-common-dir").split("\n")
        self.git_dir = Path(git_dir)
        self._shallow = self.path / common / "shallow"
        self.tip()

    def tip(self) -> str:
        """The commit HEAD stands on: the end of the history that is read.

        Raises:
            RepositoryError: HEAD stands on no commit.
        """
        found = self.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", may_fail=True).strip()
        if found:
            return found
        branches = self.run("for-each-ref", "--count=5", "--format=%(refname:short)", "refs/heads").split()
        if branches:
            raise self._error(
                "HEAD names a branch that has no commits",
                f"point it at one that has: `git symbolic-ref HEAD refs/heads/{branches[0]}`",
            )
        raise self._error("it is empty, there is no commit to rank", "commit or fetch into it first")

    def shallow(self) -> frozenset[str]:
        """The commits at which a shallow clone was cut off; empty for a whole one."""
        return frozenset(self._shallow.read_text().split()) if self._shallow.is_file() else frozenset()

    def remote_url(self) -> str | None:
        """The address of `origin`, or of the first remote there is."""
        names = self.run("remote").split()
        if not names:
            return None
        name = "origin" if "origin" in names else names[0]
        return self.run("config", "--get", f"remote.{name}.url", may_fail=True).strip() or None

    def run(self, *arguments: str, may_fail: bool = False) -> str:
        """What a git command printed.

        Args:
            may_fail: give what it printed even if it failed.

        Raises:
            RepositoryError: it failed, with git's own words.
        """
        status, out, complaint = self._open().execute(
            ["git", *arguments],
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            kill_after_timeout=RUN_S,
        )
        if status and not may_fail:
            raise self._refused(_text(complaint))
        return _text(out)

    @contextmanager
    def stream(self, *arguments: str, stop_after_s: float | None = None) -> Iterator[BinaryIO]:
        """The output of one git process as it comes; the process ends when the block does.

        Args:
            stop_after_s: seconds after which the process is ended and its output simply stops.

        Raises:
            RepositoryError: on leaving the block, when the process failed by itself.
        """
        process: Any = self._open().execute(["git", *arguments], as_process=True)
        complaints: list[bytes] = []
        drain = threading.Thread(target=lambda: complaints.append(process.stderr.read()), daemon=True)
        drain.start()
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            process.proc.kill()

        timer = threading.Timer(stop_after_s, stop) if stop_after_s else None
        if timer:
            timer.daemon = True
            timer.start()
        finished = False
        try:
            yield process.stdout
            finished = True
        finally:
            if timer:
                timer.cancel()
            status = self._end(process, wait=finished)
            drain.join()
            process.proc.stderr.close()
        if status and not stopped.is_set():
            raise self._refused(_text(b"".join(complaints)))

    @staticmethod
    def _end(process: Any, *, wait: bool) -> int:
        """The exit status; a reader that left early leaves a process that must be ended first."""
        if not wait or process.proc.stdout.read(1):
            process.proc.kill()
            process.proc.stdout.close()
            process.proc.wait()
            return 0
        process.proc.stdout.close()
        return int(process.proc.wait())

    def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """The full ids of objects, from one process, by what they were asked by.

        Args:
            names: ids, prefixes, or git's other ways to name an object ("<id>^{commit}", "<id>:<path>"). What is
                unknown, ambiguous or not in this copy is left out.
        """
        found: dict[str, str] = {}
        with self._batch() as batch:
            for name in names:
                with contextlib.suppress(ValueError):
                    found[name] = _text(batch.get_object_header(name)[0])
        return found

    def read_files(self, names: Iterable[str], limit: int) -> dict[str, str]:
        """The texts of files, from one process, by their names ("<id>:<path>"); what is not there is left out.

        Args:
            limit: bytes of one file that are kept.
        """
        found: dict[str, str] = {}
        with self._batch() as batch:
            for name in names:
                with contextlib.suppress(ValueError):
                    _, kind, _, content = batch.get_object_data(name)
                    if _text(kind) == "blob":
                        found[name] = content[:limit].decode("utf-8", "replace")
        return found

    @contextmanager
    def _batch(self) -> Iterator[Git]:
        """A `git cat-file --batch` of our own, so that threads do not read each other's answers."""
        batch = self._open()
        try:
            yield batch
        finally:
            batch.clear_cache()

    def _open(self) -> Git:
        """git, standing in the repository. Looked at each time: in a folder that is gone, git would read its caller's."""
        if not self.path.exists():
            raise RepositoryError(
                f"cannot read repository '{self.path}'", why="there is no such path", way_out="check the path"
            )
        if not self.path.is_dir():
            raise self._error("it is a file", "give the folder that holds the repository")
        if os.environ.get("GIT_DIR"):
            raise self._error("GIT_DIR is set, so git would read another repository", "unset GIT_DIR and try again")
        try:
            from git.cmd import Git
        except ImportError as error:
            raise self._error("git cannot be run", "install git and put it on PATH") from error
        found = Git(str(self.path))
        found.update_environment(**_ENVIRONMENT)
        return found

    def _error(self, why: str, way_out: str) -> RepositoryError:
        return RepositoryError(f"cannot read repository '{self.path}'", why=why, way_out=way_out)

    def _refused(self, complaint: str) -> RepositoryError:
        """git's refusal in our words; what is not known is passed on in git's."""
        if "dubious ownership" in complaint:
            return self._error(
                "git does not trust its owner",
                f"if you do, run: git config --global --add safe.directory '{self.path}'",
            )
        if "not a git repository" in complaint:
            return self._error(
                "there is no git repository there", "give a work tree, a bare repository or a .git folder"
            )
        if "promisor remote" in complaint or "lazy fetching disabled" in complaint:
            return self._error(
                "it is a partial clone that lacks what is asked for, and Rundown fetches nothing",
                "clone it whole, or with --filter=blob:none",
            )
        first = next((line for line in complaint.splitlines() if line.startswith(("fatal:", "error:"))), complaint)
        return self._error(first.strip() or "git failed", "run `git fsck` in it; a fresh clone may help")


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """A stream's bytes, a megabyte at a time."""
    while chunk := stream.read(_CHUNK):
        yield chunk


def fields(stream: BinaryIO) -> Iterator[str]:
    """The NUL-separated fields of a stream as text; bytes that are no UTF-8 become U+FFFD."""
    rest = b""
    for chunk in chunks(stream):
        *whole, rest = (rest + chunk).split(b"\0")
        for item in whole:
            yield item.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def default_name(path: Path) -> str:
    """What to call a repository that was given no name: its folder's, without ".git".

    "/srv/shop", "/srv/shop.git" and "/srv/shop/.git" are "shop"; so are "shop/repo" and a mirror's "owner+shop/repo".
    """
    path = path.expanduser().absolute()
    if path.name in (".git", "repo"):
        path = path.parent
    return path.name.removesuffix(".git").rpartition("+")[2] or "repository"


_SCP = re.compile(r"^(?:[\w.~-]+@)?(?P<host>[\w.-]+):(?P<path>(?!/{2})[\w./~+-]+)$")
_PATH = re.compile(r"[\w.~/+-]+")


def commit_page(remote: str | None) -> str | None:
    """The address of a commit's page, up to and including what comes before the id.

    Args:
        remote: a remote's address: https, ssh or scp-like. User names, passwords and tokens in it are dropped.

    Returns:
        "https://github.com/o/r/commit/" and the like for GitHub, GitLab, Gitea, Bitbucket and Gerrit (Gitiles), told
        by the host's name; None for any other host, and for local paths.
    """
    if not remote:
        return None
    scp = _SCP.match(remote)
    if scp and "://" not in remote:
        host, path, port, web_port = scp["host"], scp["path"], None, ""
    else:
        try:
            parts = urlsplit(remote)
            host, path, port = parts.hostname or "", parts.path, parts.port
        except ValueError:
            return None
        if parts.scheme not in ("https", "http", "ssh", "git"):
            return None
        web_port = f":{port}" if port and parts.scheme in ("https", "http") else ""
    path = path.strip("/").removesuffix(".git")
    if not path or not _PATH.fullmatch(path) or ".." in path:
        return None
    return _forge(host.lower(), web_port, path, gerrit=port == 29418)


def _forge(host: str, web_port: str, path: str, *, gerrit: bool) -> str | None:
    base = f"https://{host}{web_port}"
    if host.endswith(".googlesource.com"):
        return f"{base}/{path}/+/"
    if gerrit or "gerrit" in host.split("."):
        return f"{base}/r/plugins/gitiles/{path.removeprefix('r/').removeprefix('a/')}/+/"
    if "gitlab" in host:
        return f"{base}/{path}/-/commit/"
    if "bitbucket" in host:
        return f"{base}/{path}/commits/"
    if any(name in host for name in ("github", "gitea", "forgejo", "codeberg")):
        return f"{base}/{path}/commit/"
    return None


def _text(value: object) -> str:
    """Text of what git answered; GitPython gives bytes in places where its annotations say str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
