"""What thumbs say of documents."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from retrieval_world import EMBEDDER, fill, piece

from bot.app import make_retriever
from core.model import Feedback, Vote
from core.settings import read_settings
from core.store import open_store
from retrieval.index import EdgeIndex
from retrieval.opinions import Opinions, opinions, votes_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def row(vote: str, *documents: str, item: str = "next") -> dict[str, Any]:
    return {"item": item, "vote": vote, "judged": {"finding": {"documents": list(documents)}}}


def test_votes_add_up_slowly():
    """One thumb says little, twenty say nearly all; for and against cancel out."""
    votes = (
        [row("up", "liked.md")] * 20 + [row("down", "disliked.md")] + [row("up", "mixed.md"), row("down", "mixed.md")]
    )

    assert opinions(votes_of(votes)) == {"liked.md": 20 / 24, "disliked.md": -1 / 5, "mixed.md": 0.0}


def test_other_votes_judge_no_document():
    """A culprit, a summary, a row without documents, an older form."""
    votes = [
        row("culprit", "a.md"),
        row("up", "a.md", item="summary"),
        row("up"),
        {"item": "next", "vote": "up", "judged": None},
    ]

    assert opinions(votes_of(votes)) == {}


def test_a_vote_of_the_future_says_nothing():
    """Of a time, only what people had said by then counts; a row that tells no time is not trusted to be early."""
    votes = [row("up", "a.md") | {"at": at} for at in ("2026-03-01T00:00:00+00:00", "2026-03-03T00:00:00Z", "?")]

    assert opinions(votes_of(votes), datetime(2026, 3, 2, tzinfo=UTC)) == {"a.md": 1 / 5}


def test_votes_are_read_again_only_when_there_may_be_others():
    """After one was stored here, and after a minute for those of other processes."""
    rows, reads, stored, clock = [row("up", "a.md")], [0], [0], [0.0]

    def read() -> list[dict[str, Any]]:
        reads[0] += 1
        return rows

    asked = Opinions(read, lambda: stored[0], lambda: clock[0])
    told = []
    for now, here in ((0.0, 0), (59.0, 0), (59.5, 1), (100.0, 1), (119.0, 1), (119.6, 1)):
        clock[0], stored[0] = now, here
        told.append((asked(None)["a.md"], reads[0]))
        rows.append(row("up", "a.md"))

    assert told == [(1 / 5, 1), (1 / 5, 1), (3 / 7, 2), (3 / 7, 2), (3 / 7, 2), (6 / 10, 3)]


def test_a_thumb_counts_from_the_next_search_on(tmp_path: Path):
    """Stored in this process, it counts at once; what others store, within the minute."""
    settings = read_settings(home=tmp_path)
    store, index = open_store(settings.store_url), EdgeIndex(tmp_path / "docs")
    fill(index, piece("a.md", "disk"))
    retriever = make_retriever(settings, store, index, EMBEDDER)
    told = []
    for number in range(3):
        told.append([signal.weight for item in retriever.look("disk") for signal in item.signals])
        word = Feedback(incident_id=f"pd:{number}", item="next", person="slack:T:U", vote=Vote.UP, at=NOW, release="1")
        store.record_feedback(word, training_row={"finding": {"documents": ["a.md"]}})
    index.close()
    store.close()

    assert told == [[], [0.6 * 1 / 5], [0.6 * 2 / 6]]


@pytest.mark.parametrize(
    ("told", "counts"), [("2026-03-01T00:00:00", False), ("2026-03-01T00:00:00+00:00", True), (None, False)]
)
def test_a_time_without_a_zone_is_no_time(told: str | None, counts: bool):
    """Nobody knows whether it was before."""
    votes = votes_of([row("up", "a.md") | {"at": told}])

    assert opinions(votes, datetime(2026, 3, 2, tzinfo=UTC)) == ({"a.md": 1 / 5} if counts else {})
