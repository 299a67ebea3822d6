"""Where an incident's words are at home: in which repository, in which files."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, git

from core.model import Incident
from ranking.history import open_history
from ranking.places import path_likeness, rarity, repository_chances
from ranking.ranker import Ranker
from ranking.vocabulary import MONTH_S, WordCounts

#: Long enough ago that their months have ended.
OLD = [
    Change(hours=2400, message="Let people log in with a password", files={"auth/session.py": "1\n"}),
    Change(hours=2300, message="Expire login cookies", files={"auth/session.py": "2\n"}),
    Change(hours=2200, message="Draw the invoice", files={"billing/pdf.py": "1\n"}, author="bob"),
]
NEW = [
    Change(hours=5, message="Rename a helper", files={"auth/session.py": "3\n"}),
    Change(hours=4, message="Rename another helper", files={"billing/pdf.py": "2\n"}, author="bob"),
]


@pytest.fixture(name="history")
def _history(make_repo, home):
    path, _ = make_repo("shop", [*OLD, *NEW])
    history = open_history(path, home=home)
    history.refresh()
    return history


def test_words_are_counted_once_for_each_commit(history):
    """Distinct terms of subject and body; every commit counts."""
    assert history.word_counts(["login", "log", "password", "nowhere"], NOON) == WordCounts(
        counts={"login": 1, "log": 1, "password": 1, "nowhere": 0}, commits=3
    )


def test_a_month_counts_only_when_it_had_ended(history):
    """The commits of the incident's own month are not counted, nor any of later."""
    assert history.word_counts(["renam"], NOON).counts == {"renam": 0}
    assert history.word_counts(["renam"], NOON + timedelta(seconds=2 * MONTH_S)).counts == {"renam": 2}
    assert history.word_counts(["password"], NOON - timedelta(hours=2400)).commits == 0


def test_words_of_a_rewritten_history_are_forgotten(make_repo, home):
    """After a forced push the counts are those of a fresh index."""
    path, ids = make_repo("shop", [*OLD, *NEW])
    history = open_history(path, home=home / "a")
    history.refresh()
    git(path, "reset", "-q", "--soft", ids[1])
    add(path, [Change(hours=2100, message="Ship by drone", files={"drone.py": "1\n"})], onto=ids[1])
    history.refresh()
    fresh = open_history(path, home=home / "b")
    fresh.refresh()
    words = ["login", "password", "invoic", "drone", "renam"]

    assert history.word_counts(words, NOON) == fresh.word_counts(words, NOON)
    assert history.words_of_paths(["auth/session.py"], NOON, 9) == fresh.words_of_paths(["auth/session.py"], NOON, 9)


def test_a_files_other_commits_speak_for_a_commit_that_says_nothing(history):
    """ "Rename a helper" touches the file whose commits are all about login; its own words are not asked."""
    commits = history.commits_between(NOON - timedelta(hours=6), NOON)
    told = history.words_of_paths(["auth/session.py", "billing/pdf.py"], NOON, 16)
    found = {c.subject: path_likeness(c, told, {"login": 2.0, "cooky": 1.0, "helper": 9.0}) for c in commits}

    # Each of two words in one of two other commits: 1 / (1 + 1.5) of its weight.
    assert found["Rename a helper"] == (pytest.approx((2.0 + 1.0) / 2.5 / 12), "auth/session.py")
    assert found["Rename another helper"] == (0.0, "")


def test_repositories_chances_are_those_of_their_words():
    """Certain together; the one whose commits use the words is likelier, and nothing is ruled out."""
    counts = {
        "site": WordCounts(counts={"css": 40, "db": 0}, commits=100),
        "store": WordCounts(counts={"css": 0, "db": 30}, commits=50),
    }
    chances = {repo: math.exp(value) for repo, value in repository_chances({"db": 2}, counts).items()}

    assert sum(chances.values()) == pytest.approx(1)
    assert chances["store"] > 0.8
    assert chances["site"] > 0


def test_rare_words_weigh_more():
    """Over all repositories together."""
    counts = {"site": WordCounts(counts={"css": 40, "db": 2}, commits=100)}
    weights = rarity({"css": 1, "db": 1, "new": 1}, counts)

    assert weights["new"] > weights["db"] > weights["css"] > 0


def test_the_ranker_tells_which_file_speaks_for_a_commit(make_repo, home):
    """A commit of no telling words comes first, for a reason that can be checked."""
    path, ids = make_repo("shop", [*OLD, *NEW])
    ranking = Ranker([open_history(path, home=home)]).rank(
        Incident(id="local:2", title="Login cookies expire at once", created_at=NOON)
    )

    assert ranking.culprits[0].commit.sha == ids[3]
    assert any("`auth/session.py`" in reason.text for reason in ranking.culprits[0].reasons)
