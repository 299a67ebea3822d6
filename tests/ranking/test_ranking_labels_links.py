"""Which commits a message blames."""

from __future__ import annotations

import pytest

from ranking.labels.links import Claim, find_claims

SHA = "0123abc4567890def0123abc4567890def012345"
SHORT = "0123abc456"
CHANGE = "I0123abc4567890def0123abc4567890def012345"


@pytest.mark.parametrize(
    ("subject", "body", "kind", "name"),
    [
        ('Revert "Tidy the pool"', f"This reverts commit {SHA}.", "revert", SHA),
        ('Revert "Tidy the pool"', f"This reverts {SHORT}, it broke checkout", "revert", SHORT),
        ("Back out the pool", f"Backing out changeset {SHORT}", "revert", SHORT),
        ('Revert "Tidy the pool"', f"This reverts change {CHANGE}.", "revert", CHANGE),
        ("pool: fix leak", f'Connections leak.\n\nFixes: {SHORT} ("pool: tidy")', "fix", SHORT),
        ("pool: fix leak", f"Connections leak.\n\nFixes: commit {SHORT}", "fix", SHORT),
        ("pool: fix leak", f"Introduced-by: {SHORT}", "fix", SHORT),
        ("pool: fix leak", f"This was broken by {SHORT}.", "prose", SHORT),
        ("pool: fix leak", f"The leak was introduced in commit\n{SHORT}", "prose", SHORT),
        ("pool: fix leak", f"Regression from {SHORT} shipped in 8.1", "prose", SHORT),
        ("pool: fix leak", f"Since commit {SHORT} every request leaks.", "prose", SHORT),
        ("pool: fix leak", f"Commit {SHORT} (pool: tidy) accidentally broke this.", "prose", SHORT),
        ("pool: fix leak", f"Caused by https://github.com/o/shop/commit/{SHORT}", "prose", SHORT),
        ("pool: fix leak", f"Broken since {CHANGE[:9]}", "prose", CHANGE[:9]),
        (f"pool: fix regression in {SHORT}", "", "prose", SHORT),
    ],
)
def test_a_message_that_blames_a_commit_makes_a_claim(subject, body, kind, name):
    """In the words that people and tools use for it."""
    claims = find_claims(subject, body)

    assert [(claim.kind, claim.name) for claim in claims] == [(kind, name)]


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Tidy the pool", "As in commit 0123abc456, but for reads."),
        ("Tidy the pool", "(cherry picked from commit 0123abc4567890def0123abc4567890def012345)"),
        ("Tidy the pool", "Message-Id: <20240101-0123abc456@host>\nSigned-off-by: Ada <ada@example.org>"),
        ("pool: fix leak", "Fixes: #1234"),
        ("Fix the error", "The failure was introduced by a colleague who added defaced images."),
        ("Upgrade to 20240101", "Version 20240101 broke nothing."),
    ],
)
def test_a_message_that_only_mentions_one_makes_none(subject, body):
    """Copies, likenesses, mail ids and numbers are not blame."""
    assert [claim for claim in find_claims(subject, body) if not claim.name.isdigit()] == []


def test_a_forge_s_revert_names_only_the_subject():
    """Its button writes no id; where an id stands too, the id counts."""
    named = Claim(kind="revert", name="Tidy the pool (#12)", by="subject", pull="#12.")

    assert find_claims('Revert "Tidy the pool (#12)" (#13)', "Reverts o/shop#12") == (named,)
    assert [claim.by for claim in find_claims('Revert "Tidy the pool"', f"This reverts commit {SHA}.")] == ["sha"]


def test_the_strongest_claim_comes_first_and_each_commit_once():
    """A revert outranks a trailer, a trailer prose."""
    body = f"This reverts commit {SHORT}.\nIt was broken by {SHORT}. A regression from aaaabbbb1.\n\nFixes: ccccdddd2"

    assert [(claim.kind, claim.name) for claim in find_claims("x", body)] == [
        ("revert", SHORT),
        ("fix", "ccccdddd2"),
        ("prose", "aaaabbbb1"),
    ]
