"""What candidates mean counts too: the reader's part in a ranking."""

from __future__ import annotations

import gc
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.errors import ModelUnavailable
from core.model import Incident
from ranking.history import open_history
from ranking.meaning import MiniLMReader, Readers
from ranking.ranker import Ranker
from ranking.scorer import Weighing, read_weighing
from ranking.small import WordReader

INCIDENT = Incident(id="local:3", title="guests cannot pay", created_at=NOON)
CHANGES = [
    Change(hours=3, message="guests pay later", files={"a.py": "guests = 1\n"}),
    Change(hours=2, message="other words", files={"b.py": "1\n"}),
    Change(hours=1, message="nothing shared", files={"c.py": "1\n"}),
]
#: Closeness alone.
CLOSE = Weighing(release="close", weights={"closeness": 10.0})


@pytest.fixture(name="histories")
def _histories(make_repo, home):
    return [open_history(make_repo("shop", CHANGES)[0], home=home)]


def _all(history):
    history.refresh()
    return history.last_commits_before(NOON, 9)


def test_the_closest_in_meaning_comes_first_and_says_so(histories):
    """It is told among how many."""
    first = (
        Ranker(histories, readers=Readers(meaning={"closeness": WordReader()}), weighing=CLOSE)
        .rank(INCIDENT)
        .culprits[0]
    )

    assert first.commit.subject == "guests pay later"
    assert "the closest to the incident in meaning of 3 changes compared" in [reason.text for reason in first.reasons]


def test_a_reader_that_fails_is_a_gap(histories):
    """The ranking is the one without a reader, and says what is missing."""
    failure = ModelUnavailable("no weights", why="the disk is full", way_out="make room")
    ranking = Ranker(histories, readers=Readers(meaning={"closeness": WordReader(failure)})).rank(INCIDENT)
    alone = Ranker(histories).rank(INCIDENT)

    assert [c.score for c in ranking.culprits] == [c.score for c in alone.culprits]
    assert any("ranked without words" in gap and "the disk is full" in gap for gap in ranking.gaps)


def test_each_reader_compares_half_as_many_of_the_best_by_then(histories, monkeypatch):
    """Of three compared by the first, the second is asked about the one that the first brought to the top."""
    monkeypatch.setattr("ranking.ranker.COMPARED", 3)
    asked = []

    class Spy(WordReader):
        def closeness(self, incident, commits):
            asked.append([commit.subject for commit in commits])
            return super().closeness(incident, commits)

    Ranker(histories, readers=Readers(meaning={"closeness": Spy(), "likeness": Spy()}), weighing=CLOSE).survey(INCIDENT)

    assert [len(asked[0]), asked[1]] == [3, ["guests pay later"]]


def test_one_reader_that_fails_leaves_the_other(histories):
    """Its feature is not measured; the other's is."""
    failure = ModelUnavailable("no weights", why="the disk is full", way_out="make room")
    ranker = Ranker(histories, readers=Readers(meaning={"likeness": WordReader(failure), "closeness": WordReader()}))
    survey = ranker.survey(INCIDENT)

    assert ("likeness" in survey.table.columns, max(survey.table.columns["closeness"]) > 0) == (False, True)


@pytest.mark.model
def test_minilm_tells_what_an_incident_is_like(histories):
    """No word in common with it; each commit is read once, whatever else is asked."""
    reader = MiniLMReader()
    commits = [commit for history in histories for commit in _all(history)]
    first = reader.closeness("customers cannot check out", commits)
    again = reader.closeness("customers cannot check out", commits[::-1])[::-1]

    assert (max(zip(first, commits, strict=True))[1].subject, again) == ("guests pay later", first)


def test_the_reader_is_part_of_the_release(histories):
    """A thumb must know what it judged."""
    assert (
        Ranker(histories, readers=Readers(meaning={"closeness": WordReader()})).release
        == f"{read_weighing().release}+words"
    )


def test_reading_ahead_reads_only_what_was_there(histories):
    """Of three commits two were made by then."""
    asked = []

    class Spy(WordReader):
        def closeness(self, incident, commits):
            asked.extend(commit.subject for commit in commits)
            return super().closeness(incident, commits)

    ranker = Ranker(histories, readers=Readers(meaning={"closeness": Spy()}))
    ranker.refresh()
    ranker.warm(NOON - timedelta(hours=1.5))

    assert asked == ["other words", "guests pay later"]


def test_changed_lines_that_were_read_ahead_are_there_when_the_repository_is_gone(make_repo, home):
    """They are in memory by then: an incident does not wait for git. What is new is read the next time."""
    repo, _ = make_repo("shop", CHANGES)
    twice, once, plain = (Ranker([open_history(repo, home=home)]) for _ in range(3))
    for ranker, ahead in ((twice, (1.5, 0.0)), (once, (1.5,)), (plain, ())):
        ranker.refresh()
        for hours in ahead:
            ranker.read_ahead(NOON - timedelta(hours=hours))
    repo.rename(repo.with_name("moved"))
    gaps = [" ".join(ranker.survey(INCIDENT).gaps) for ranker in (twice, once, plain)]

    assert ["changed lines" in told for told in gaps] == [False, True, True]
    assert any(twice.survey(INCIDENT).table.columns["hunk"])


def test_what_was_not_read_ahead_in_time_is_read_the_next_time(make_repo, home):
    """Nothing is given up for a slow disk."""
    repo, _ = make_repo("shop", CHANGES)
    ranker = Ranker([open_history(repo, home=home)])
    ranker.refresh()
    ranker.read_ahead(NOON, stop_after_s=0.0)
    ranker.read_ahead(NOON)
    repo.rename(repo.with_name("moved"))

    assert not any("changed lines" in gap for gap in ranker.survey(INCIDENT).gaps)


def test_no_page_waits_for_the_collector(histories):
    """While readers and words are compared nothing is collected: a full pass over all that is kept takes half a second."""
    on: list[bool] = []

    class Spy(WordReader):
        def closeness(self, incident, commits):
            on.append(gc.isenabled())
            return super().closeness(incident, commits)

    Ranker(histories, readers=Readers(meaning={"closeness": Spy()})).rank(INCIDENT)

    assert (on, gc.isenabled()) == ([False], True)
