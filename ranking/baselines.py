"""Plain ways to rank the same candidates, for a measure of what ours is worth.

Does: order a window by chance, by time, by BM25 over messages and paths, and by BM25 and time together.
Does not: read diffs, or take part in any ranking that a person is shown.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from core.model import Commit, Ranking
from ranking.evaluation import Outcome, judge_scores
from ranking.text import Bm25, count_terms

#: What all others are compared with: the strongest that needs no learning.
BM25_RECENCY = "BM25 + recency"
#: Reciprocal places, BM25's twice as heavy: constants fixed beforehand (the cases' README).
_DAMPING, _RECENCY_SHARE = 20, 0.5


def newest_first(ranking: Ranking) -> list[Commit]:
    """All candidates of a ranking by time."""
    return sorted((culprit.commit for culprit in ranking.culprits), key=lambda c: (-c.committed_at.timestamp(), c.sha))


class Pool:
    """One incident's candidates, their words counted once.

    Args:
        commits: newest first.
    """

    def __init__(self, commits: Sequence[Commit]) -> None:
        started = time.monotonic()
        self._commits, self.shas = commits, [commit.sha for commit in commits]
        self._bm25 = Bm25([count_terms(document(commit, subjects=2)) for commit in commits])
        self._counting_s = time.monotonic() - started

    def word_scores(self, title: str, description: str) -> list[float]:
        """Each candidate's BM25 score for an incident's words, the title's counted twice."""
        wanted = count_terms(f"{title}\n{title}\n{description}")
        rarity = self._bm25.rarity(wanted)
        return self._bm25.scores({term: rarity[term] * count for term, count in wanted.items()})

    def judge_words(self, title: str, description: str, culprits: Collection[str]) -> Outcome:
        """What BM25 makes of an incident."""
        started = time.monotonic()
        scores = self.word_scores(title, description)
        return judge_scores(culprits, self.shas, scores, seconds=self._counting_s + time.monotonic() - started)

    def judge_all(self, title: str, description: str, culprits: Collection[str]) -> dict[str, Outcome]:
        """What each plain method makes of an incident, by its name."""
        count, caused = len(self.shas), bool(culprits)
        started = time.monotonic()
        words = self.word_scores(title, description)
        both = with_recency(words)
        spent = self._counting_s + time.monotonic() - started
        recency = [-float(place) for place in range(count)]
        # Chance is granted a culprit that is among the candidates only when it is.
        among = count if set(culprits) & set(self.shas) else 0
        return {
            "random": Outcome(place=float("inf"), by_chance_among=among, answered=count > 0, caused=caused),
            "recency": judge_scores(culprits, self.shas, recency, seconds=0.0),
            "BM25": judge_scores(culprits, self.shas, words, seconds=spent),
            BM25_RECENCY: judge_scores(culprits, self.shas, both, seconds=spent),
        }


def document(commit: Commit, *, subjects: int = 1) -> str:
    """A commit as plain text: its subject so many times, its body and its paths."""
    return " ".join((*[commit.subject] * subjects, commit.body, *(change.path for change in commit.files)))


def with_recency(words: Sequence[float]) -> list[float]:
    """Scores by the reciprocals of both places, from 0.

    Args:
        words: of each candidate, newest first; the higher, the more of the incident's words it has.
    """
    scores = [_RECENCY_SHARE / (_DAMPING + place) for place in range(len(words))]
    for place, index in enumerate(sorted(range(len(words)), key=lambda index: -words[index])):
        scores[index] += 1 / (_DAMPING + place)
    return scores
