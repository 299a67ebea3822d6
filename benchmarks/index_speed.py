"""What indexing a history costs: ours beside plain `git log --raw` and beside GitPython's walk over objects.

Does: run each in a process of its own, on a bare copy that shares the objects, and print seconds and peak memory.
Does not: touch the repository, or keep the index it builds. `python -m benchmarks.ranking --speed PATH` calls it.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apart import apart, peak_mb

#: GitPython asks git once a commit; so many are measured and the rest is reckoned from them.
_WALKED = 2_000


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one way cost."""

    commits: int
    seconds: float
    #: Peak resident memory of the process, and of the largest process it started, in MB.
    own_mb: float
    child_mb: float


def print_speed(repository: Path) -> None:
    """Measure all ways and print a line each.

    Raises:
        RepositoryError: it cannot be read.
    """
    from ranking.repository import Repository

    Repository(repository)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", "--shared", str(repository), str(copy)], check=True)
        first = apart(_index, copy, Path(folder) / "home")
        again = apart(_index, copy, Path(folder) / "home")
        plain = apart(_log, copy, Path(folder))
        walked = apart(_walk, copy, Path(folder))
    _print("our index, from nothing", first)
    _print("our index, nothing new", again)
    _print("git log --raw, thrown away", plain)
    _print("GitPython, commit by commit", walked)
    if walked.commits < first.commits:
        whole = walked.seconds * first.commits / walked.commits
        print(f"{'':28s} {first.commits:8d} commits {whole:9.1f} s reckoned from {walked.commits}, not measured")


def _print(what: str, cost: Cost) -> None:
    print(
        f"{what:28s} {cost.commits:8d} commits {cost.seconds:9.2f} s"
        f"   peak {cost.own_mb:6.0f} MB, its git {cost.child_mb:6.0f} MB"
    )


def _index(copy: Path, home: Path) -> Cost:
    from ranking.history import open_history

    history = open_history(copy, name="copy", home=home)
    started = time.monotonic()
    return _cost(history.refresh(), started)


def _log(copy: Path, _: Path) -> Cost:
    started = time.monotonic()
    command = ["git", "-C", str(copy), "log", "--no-merges", "--raw", "-z", "--no-renames", "--no-abbrev"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    spent = _cost(0, started)
    count = subprocess.run(
        [*command[:3], "rev-list", "--count", "--no-merges", "HEAD"], capture_output=True, check=True
    )
    return Cost(commits=int(count.stdout), seconds=spent.seconds, own_mb=spent.own_mb, child_mb=spent.child_mb)


def _walk(copy: Path, _: Path) -> Cost:
    import git

    started = time.monotonic()
    count = 0
    with git.Repo(copy) as repo:
        for commit in itertools.islice(repo.iter_commits(no_merges=True), _WALKED):
            count += bool(commit.message is not None and commit.stats.files is not None)
    return _cost(count, started)


def _cost(commits: int, started: float) -> Cost:
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Cost(commits=commits, seconds=time.monotonic() - started, own_mb=peak_mb(), child_mb=child)
