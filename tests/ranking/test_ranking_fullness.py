"""How much an incident says, and what its words and its time count by it."""

from __future__ import annotations

import math

import pytest
from ranking_repos import NOON, Change

from core.model import Incident
from ranking.history import open_history
from ranking.ranker import Ranker
from ranking.text import terms

WORLD = [
    Change(hours=30, message="Tune the pool of connections", files={"pool.py": "size = 4\n"}),
    Change(hours=3, message="Say who paid", files={"paid.py": "who\n"}),
]
#: Terms of the first change's message, path and line, so that it is the best match of both.
BRIEF, LONG = "pool size", "pool size " + " ".join(f"word{n} other{n}" for n in range(60))
#: What tells how a candidate compares with the best one of its window.
SHARES = ("subject", "paths", "hunk", "message_and_lines")


@pytest.fixture(name="survey")
def _survey(make_repo, home):
    path, _ = make_repo("shop", WORLD)
    ranker = Ranker([open_history(path, home=home)])
    return lambda title, **scope: ranker.survey(Incident(id="1", title=title, created_at=NOON), **scope).table


def test_the_best_match_for_few_words_counts_little(survey):
    """It stands out by little: as shares of what it counts for a text that says enough, the logarithm of its terms to 4."""
    brief, long = survey(BRIEF), survey(LONG)
    told = math.log1p(len(set(terms(BRIEF)))) / 4

    assert [max(long.columns[feature]) for feature in SHARES] == [1.0] * 4
    assert [max(brief.columns[feature]) for feature in SHARES] == pytest.approx([told] * 4)


@pytest.mark.parametrize(("title", "counts"), [(BRIEF, True), (LONG, False)])
def test_time_counts_for_more_where_little_is_said(survey, title, counts):
    """Among the last so many commits; of a page, time always counts."""
    table = survey(title, window_commits=9)

    newer, older = table.columns["recent_brief"]
    assert (newer > older) is counts
    assert "recent_brief" not in survey(title).columns
