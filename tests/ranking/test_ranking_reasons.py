"""How reasons are worded."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.model import Commit, FileChange, Incident
from ranking.features import Table
from ranking.history import open_history
from ranking.ranker import Ranker
from ranking.reasons import explain


def said(
    weights: dict[str, float], values: dict[str, float], *, notes: dict[str, str] | None = None, status: str = "M"
) -> list[str]:
    """What is said of a commit that has these features, beside one that has none; without its time."""
    commit = Commit(
        sha="1" * 40,
        repo="shop",
        author="ada",
        author_email="ada@example.org",
        authored_at=NOON - timedelta(hours=1),
        committed_at=NOON - timedelta(hours=1),
        subject="Change",
        files=(FileChange(path="pool.py", status=status),),
    )
    table = Table(
        commits=[commit],
        columns={feature: [values.get(feature, 0.0)] for feature in weights},
        notes={(feature, 0): note for feature, note in (notes or {}).items()},
    )
    means = {feature: 0.0 if feature in values else 1.0 for feature in weights}
    return [reason.text for reason in explain(table, 0, weights, means, NOON) if reason.feature != "time"]


REVERTS, CULPRITS = {"reverts_here": "pool.py\n2"}, {"culprits_here": "pool.py\n1"}


@pytest.mark.parametrize(
    ("weights", "values", "more", "expected"),
    [
        (
            {"culprits_here": 1.0},
            {"culprits_here": 0.7},
            {"notes": CULPRITS},
            ["1 change to `pool.py` had been reverted or blamed before"],
        ),
        (
            {"reverts_here": 1.0, "culprits_here": 1.0},
            {"culprits_here": 0.7, "reverts_here": 1.1},
            {"notes": {**REVERTS, **CULPRITS}},
            ["`pool.py` has had changes reverted 2 times before"],
        ),
        ({"already_reverted": -1.0}, {"already_reverted": 1.0}, {}, ["was already reverted before the incident"]),
        ({"already_reverted": 1.0}, {}, {}, []),
        (
            {"owns_files": -1.0},
            {"owns_files": 0.75},
            {},
            ["its author had made 75% of all changes to its files by then"],
        ),
        ({"owns_files": -1.0}, {"owns_files": 1.0}, {"status": "A"}, []),
        ({"kind_flag": 1.0}, {"kind_flag": 1.0}, {}, ["its subject speaks of a flag or of switching something"]),
        ({"kind_migration": 1.0}, {"kind_migration": 1.0}, {}, ["touches SQL or a migration"]),
    ],
)
def test_a_reason_says_what_was_measured_and_no_more(weights, values, more, expected):
    """Whatever the sign of a team's own weights; a new file has no earlier owners."""
    assert said(weights, values, **more) == expected


def test_words_shared_by_changed_lines_alone_are_not_denied(make_repo, home):
    """Its message has no word of the incident's, its lines have: the sentence is about message and paths."""
    path, (_, quiet, *_) = make_repo(
        "shop",
        [
            Change(hours=9, message="Exhausted connection pool", files={"a.py": "exhausted connection pool\n"}),
            Change(hours=3, message="Tidy up", files={"b.py": "connection = 5\n"}),
            *(Change(hours=2 - n / 9, message=f"Pool connection {n}", files={f"c{n}.py": "pool\n"}) for n in range(9)),
        ],
    )
    # In the words of a repair, in which a subject counts most.
    incident = Incident(id="1", title="this exhausted the connection pool, as it should be", created_at=NOON)
    ranking = Ranker([open_history(path, home=home)]).rank(incident)
    texts = next([r.text for r in c.reasons] for c in ranking.culprits if c.commit.sha == quiet)

    assert "shares no word with the incident" not in texts
    assert "its message and paths share no telling word with the incident" in texts
