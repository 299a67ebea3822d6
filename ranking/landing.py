"""When commits came to the branch that is read.

Does: walk the branch from merge to merge, and tell of each commit which of them brought it.
Does not: keep anything (`ranking.index` does), or know what was deployed when (`ranking.deploys`).

A change under review is committed days before it is merged. What it may break, it breaks from the merge on: the committer time of
the first-parent commit below which it was first reachable. Which line is the branch, git does not keep: where somebody pulled and
pushed the merge, the others' commits seem to come with it, hours or days late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ranking.repository import Repository

#: Seconds a change may wait for its merge. One that waited longer came with a whole history from elsewhere, or the branch was
#: another one then: its own time says more.
REVIEW_S = 90 * 86_400
#: The last second of the year 9999: no calendar goes further.
_LAST_S = 253_402_300_799


def clock(told: str) -> int:
    """Unix seconds as git tells a commit's time, within what a calendar holds: a clock that lies must not stop the reading.

    Before 1970, or no time at all, counts as 1970; past the year 9999 as its end.
    """
    return min(max(0, int(told or 0)), _LAST_S)


def landings(repository: Repository, *what: str) -> tuple[dict[str, int], dict[str, int]]:
    """When each commit came to the branch, merges among them; and the branch itself.

    Args:
        what: the branch's tip, and what bounds the walk, as `git rev-list` takes it. Commits out of bounds came before.

    Returns:
        Id -> unix seconds at which it came; and of what the branch stood on, oldest first, id -> unix seconds from which it did.

    Raises:
        RepositoryError: git failed.
    """
    times: dict[str, int] = {}
    parents: dict[str, list[str]] = {}
    branch: list[str] = []
    with repository.stream("rev-list", "--parents", "--timestamp", *what) as output:
        for line in output:
            seconds, sha, *rest = line.decode().split()
            times[sha], parents[sha] = clock(seconds), rest
    sha = next(iter(times), "")
    while sha in times:
        branch.append(sha)
        sha = parents[sha][0] if parents[sha] else ""
    found: dict[str, int] = {}
    for sha in reversed(branch):
        waiting = [sha]
        while waiting:
            brought = waiting.pop()
            if brought in times and brought not in found:
                # A clock that went wrong must not make it land before it was made.
                waited = max(0, times[sha] - times[brought])
                found[brought] = times[brought] + (waited if waited <= REVIEW_S else 0)
                waiting += parents[brought]
    return found, {sha: times[sha] for sha in reversed(branch)}
