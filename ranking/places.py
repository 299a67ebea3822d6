"""Where in a team's repositories an incident's words are at home: in which repository, in which files.

Does: compare the words with what each repository's commits of the last two years talked about, and with the latest
commits of each file a candidate touches. A commit that says nothing of "login" may touch the file that is all about it.
Does not: read diffs, or any commit that was not made before the incident.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from core.model import Commit
from ranking.vocabulary import WordCounts

#: Commits of a file that are looked at, and files of a commit.
DEPTH, PATHS = 15, 8
#: So many commits' worth of the pool's own word counts are mixed into each repository's, so that a young one is not
#: ruled out by a word it has not used yet (Zhai and Lafferty, "A Study of Smoothing Methods", 2004: Dirichlet prior).
_PRIOR = 20.0
#: A word in half of a file's commits more says little more: its count is saturated like BM25's.
_HALF = 1.5


def repository_chances(wanted: Mapping[str, int], counts: Mapping[str, WordCounts]) -> dict[str, float]:
    """The logarithm of each repository's share in what speaks for it, by the incident's words alone.

    Args:
        wanted: how often each term occurs in the incident.
        counts: by repository, of these terms.
    """
    pool = _pooled(wanted, counts)
    total = sum(found.commits for found in counts.values()) + 1
    likeness: dict[str, float] = {}
    for repo, found in counts.items():
        worth = 0.0
        for term, times in wanted.items():
            share = (pool[term] + 0.5) / total
            worth += times * math.log((found.counts.get(term, 0) + _PRIOR * share) / (found.commits + _PRIOR) / share)
        # The words of one text are not independent: the root of their number is nearer to what they are worth together.
        likeness[repo] = worth / math.sqrt(1 + sum(wanted.values()))
    top = max(likeness.values(), default=0.0)
    together = top + math.log(sum(math.exp(value - top) for value in likeness.values()) or 1.0)
    return {repo: value - together for repo, value in likeness.items()}


def rarity(wanted: Mapping[str, int], counts: Mapping[str, WordCounts]) -> dict[str, float]:
    """Each term's inverse document frequency over the commits of all repositories in the last two years."""
    pool = _pooled(wanted, counts)
    total = sum(found.commits for found in counts.values())
    return {term: math.log(1 + max(0.5, total - pool[term] + 0.5) / (pool[term] + 0.5)) for term in wanted}


def path_likeness(
    commit: Commit, told: Mapping[str, Sequence[tuple[str, frozenset[str]]]], weights: Mapping[str, float]
) -> tuple[float, str]:
    """How much of the incident the other commits of a candidate's files talk about, and which file's do most.

    Args:
        told: the words of each path's latest commits, with their ids (`History.words_of_paths`, one more than `DEPTH`).
        weights: what each term of the incident is worth.

    Returns:
        A share of all weights, 0 to 1, and the path.
    """
    best, where = 0.0, ""
    whole = sum(weights.values()) or 1.0
    for change in commit.files[:PATHS]:
        words = Counter[str]()
        for _, found in [item for item in told.get(change.path, ()) if item[0] != commit.sha][:DEPTH]:
            words.update(found & weights.keys())
        share = sum(weights[term] * count / (count + _HALF) for term, count in words.items()) / whole
        if share > best:
            best, where = share, change.path
    return best, where


def _pooled(wanted: Mapping[str, int], counts: Mapping[str, WordCounts]) -> Counter[str]:
    pool = Counter[str]()
    for found in counts.values():
        pool.update({term: found.counts.get(term, 0) for term in wanted})
    return pool
