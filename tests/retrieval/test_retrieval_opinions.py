"""What thumbs say of documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from retrieval.opinions import opinions


def row(vote: str, *documents: str, item: str = "next") -> dict[str, Any]:
    return {"item": item, "vote": vote, "judged": {"finding": {"documents": list(documents)}}}


def test_votes_add_up_slowly():
    """One thumb says little, twenty say nearly all; for and against cancel out."""
    votes = (
        [row("up", "liked.md")] * 20 + [row("down", "disliked.md")] + [row("up", "mixed.md"), row("down", "mixed.md")]
    )

    assert opinions(votes) == {"liked.md": 20 / 24, "disliked.md": -1 / 5, "mixed.md": 0.0}


def test_other_votes_judge_no_document():
    """A culprit, a summary, a row without documents, an older form."""
    votes = [
        row("culprit", "a.md"),
        row("up", "a.md", item="summary"),
        row("up"),
        {"item": "next", "vote": "up", "judged": None},
    ]

    assert opinions(votes) == {}


def test_a_vote_of_the_future_says_nothing():
    """Of a time, only what people had said by then counts; a row that tells no time is not trusted to be early."""
    votes = [row("up", "a.md") | {"at": at} for at in ("2026-03-01T00:00:00+00:00", "2026-03-03T00:00:00Z", "?")]

    assert opinions(votes, datetime(2026, 3, 2, tzinfo=UTC)) == {"a.md": 1 / 5}
