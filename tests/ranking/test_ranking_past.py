"""Who broke what before, which later commits speak of a candidate, and tags; all as of a moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add, git

from core.model import Incident
from ranking.history import Mention, open_history
from ranking.mentions import find_mentions, own_names
from ranking.ranker import Ranker
from ranking.tags import Tag

SHA = "3f9a1c2b7d" * 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"This reverts commit {SHA}.", {SHA: "revert"}),
        (f"Reverts change I{SHA}", {f"I{SHA}": "revert"}),
        (f'Fixes: {SHA[:12]} ("x")', {SHA[:12]: "fix"}),
        (f"Broken since\n{SHA[:8]}", {SHA[:8]: "fix"}),
        (f"A regression introduced in commit {SHA[:9]}.", {SHA[:9]: "fix"}),
        (f"Follow-up to {SHA[:7]}", {SHA[:7]: "mention"}),
        (f"See {SHA[:7]}.\n\nFixes: {SHA[:7]}", {SHA[:7]: "fix"}),
        (f"Change-Id: I{SHA}", {}),
        (f"Depends-On: I{SHA}", {}),
        (f"(cherry picked from commit {SHA})", {}),
        ("It broke things. 1234567 defaced deadbeef", {}),
        ("Reverts o/shop#12", {"#12.": "revert"}),
        ("<!-- x -->\nReverts: o/shop#12\nInitiated by: eve", {"#12.": "revert"}),
        ("This reverts PR #7, and reverts https://forge/o/shop/pull/8.", {"#7.": "revert", "#8.": "revert"}),
        ("Fixes #12, see o/shop#13. Never revert 14.", {}),
        ("", {}),
    ],
)
def test_a_message_speaks_of_other_commits(body, expected):
    """Reverts, blame and plain mentions; trailers that say nothing of quality, words and numbers do not count."""
    assert find_mentions("Change it", body) == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ('Revert "Keep it (#12)" (#15)', {"#12.": "revert"}),
        ('Reverts "Keep it (#12)"', {"#12.": "revert"}),
        ('Revert "Revert "Keep it (#12)" (#15)" (#16)', {"#15.": "revert"}),
        ("Keep it (#12)", {}),
    ],
)
def test_a_revert_quotes_the_pull_request_that_it_undoes(subject, expected):
    """The forge's button writes no id."""
    assert find_mentions(subject, "") == expected


def test_a_commit_carries_its_own_names():
    """The last change id, and the pull request at the end of its subject: not one that it quotes, or speaks of."""
    assert own_names("Keep it (#12)", f"x\n\nChange-Id: I{SHA}") == (f"I{SHA}", "#12.")
    assert own_names("x", f"> Change-Id: I{'a' * 40}\n\nChange-Id: I{SHA}\n") == (f"I{SHA}",)
    assert own_names('Revert "Keep it (#12)" (#15)', "") == ("#15.",)
    assert own_names('Revert "Keep it (#12)"', "See (#3)") == ()


@pytest.fixture
def story(make_repo, home):
    """A culprit, its blame and its revert, and a good commit, with their ids."""
    path, shas = make_repo(
        "shop",
        [
            Change(hours=90, message="Bad", files={"a": "1", "b": "1"}, author="eve"),
            Change(hours=80, message=f"Worse\n\nChange-Id: I{SHA}", files={"a": "2"}, author="eve"),
            Change(hours=70, message="Good", files={"b": "2", "c": "1"}, author="eve"),
        ],
    )
    shas += add(
        path,
        [
            Change(hours=40, message=f"Repair\n\nFixes: {shas[0][:10]}", files={"a": "3"}),
            Change(hours=30, message=f"Undo\n\nThis reverts change I{SHA}.", files={"a": "4"}),
            Change(hours=20, message=f"More of it\n\nContinues {shas[2][:12]}, see also {shas[0]}", files={"c": "2"}),
        ],
        onto=shas[-1],
    )
    history = open_history(path, home=home)
    history.refresh()
    return history, path, shas


@pytest.mark.parametrize(
    ("hours", "paths"),
    [(41, {}), (40, {}), (35, {"a": 1, "b": 1}), (0, {"a": 2, "b": 1}), (85, {})],
)
def test_past_culprits_are_those_known_by_then(story, hours, paths):
    """A commit becomes a culprit when it is reverted or blamed, for each path it touched."""
    history, moment = story[0], NOON - timedelta(hours=hours)

    assert history.past_culprits(["a", "b", "c", "none"], moment) == paths


def test_later_commits_speak_of_earlier_ones(story):
    """By a whole id, its beginning or the change id; between two moments."""
    history, _, shas = story
    start, end = NOON - timedelta(hours=100), NOON - timedelta(hours=20)

    def said(by: int, hours: float, kind: str) -> Mention:
        return Mention(by=shas[by], kind=kind, at=NOON - timedelta(hours=hours))

    assert history.mentions(shas, start, NOON) == {
        shas[0]: (said(3, 40, "fix"), said(5, 20, "mention")),
        shas[1]: (said(4, 30, "revert"),),
        shas[2]: (said(5, 20, "mention"),),
    }
    assert history.mentions(shas[:1], start, end) == {shas[0]: (said(3, 40, "fix"),)}
    assert history.mentions([], start, end) == {}


def test_what_was_said_of_a_candidate_since_is_measured(story):
    """Undone, repaired or named, by an id, its beginning or a change id; before the incident."""
    history, _, shas = story
    question = Incident(id="a", title="b is broken", created_at=NOON)
    survey = Ranker([history]).survey(question, candidates=shas[:3])
    columns = {c.sha: place for place, c in enumerate(survey.commits)}

    assert [
        [survey.table.columns[feature][columns[sha]] for sha in shas[:3]]
        for feature in ("already_reverted", "repaired_since", "named_since")
    ] == [[0, 1, 0], [1, 0, 0], [1, 0, 1]]


def test_a_pull_request_is_known_as_reverted_by_its_number(make_repo, home):
    """Where the forge makes one commit of it, its revert names no id; number 1 is not number 12; only before the incident."""
    told = ["Keep it (#12)", "Drop it (#1)", 'Reverts "Keep it (#12)" (#15)\n\nReverts: o/shop#12']
    changes = [Change(hours=9 - n, message=text, files={f"f{n % 2}": str(n)}) for n, text in enumerate(told)]
    path, shas = make_repo("shop", changes)
    history = open_history(path, home=home)
    history.refresh()

    assert history.mentions(shas, NOON - timedelta(hours=10), NOON) == {
        shas[0]: (Mention(by=shas[2], kind="revert", at=NOON - timedelta(hours=7)),)
    }
    assert history.mentions(shas, NOON - timedelta(hours=10), NOON - timedelta(hours=7)) == {}
    assert history.past_culprits(["f0", "f1"], NOON) == {"f0": 1}


def test_a_rewritten_history_forgets_who_was_blamed(story, home):
    """Commits taken off the branch take their blame with them; what comes later is added."""
    history, path, shas = story
    add(path, [Change(hours=10, message=f"Other\n\nFixes: {shas[2]}", files={"b": "9"})], onto=shas[2])
    history.refresh()

    assert history.past_culprits(["a", "b", "c"], NOON) == {"b": 1, "c": 1}
    assert list(history.mentions(shas[:3], NOON - timedelta(hours=100), NOON)) == [shas[2]]


def test_tags_are_those_made_before(story, monkeypatch):
    """An annotated tag counts from its own date, a plain one from its commit's; and only on commits."""
    history, path, shas = story
    git(path, "tag", "v1.0.0", shas[1])
    monkeypatch.setenv("GIT_COMMITTER_DATE", (NOON - timedelta(hours=5)).isoformat())
    git(path, "tag", "-a", "-m", "x", "checkout/v2", shas[2])
    git(path, "tag", "tree", f"{shas[0]}^{{tree}}")
    monkeypatch.setenv("GIT_COMMITTER_DATE", (NOON + timedelta(hours=1)).isoformat())
    git(path, "tag", "-a", "-m", "x", "later", shas[0])
    history.refresh()

    first = Tag(name="v1.0.0", sha=shas[1], at=NOON - timedelta(hours=80))
    second = Tag(name="checkout/v2", sha=shas[2], at=NOON - timedelta(hours=5))
    assert history.tags(NOON) == (first, second)
    assert history.tags(NOON - timedelta(hours=5)) == (first,)


def test_what_a_commit_holds_is_told_by_the_graph(story):
    """Itself and its ancestors since a moment."""
    history, _, shas = story
    held = history.held_by([shas[1], shas[3]], NOON - timedelta(hours=85))

    assert held == {shas[1]: {shas[1]}, shas[3]: set(shas[1:4])}
