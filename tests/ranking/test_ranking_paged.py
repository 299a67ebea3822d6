"""Incidents told as a page tells them, and as their repair was told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ranking_repos import NOON, Change

from core.model import Incident
from ranking import outside, paged
from ranking.history import open_history
from ranking.outside import told_outside
from ranking.paged import told_as_page
from ranking.ranker import Ranker
from ranking.word_odds import read_words

PAGES = [
    "High error rate on checkout",
    "API down",
    "[FIRING:2] KubePodCrashLooping (payments prod)",
    "p99 of search over 4 s since 14:02, CPU of all pods at 95 %",
    "Customers in Spain cannot pay, nothing was deployed today as far as I know",
    "504s for a third of requests since noon, all regions",
]
REPAIRS = [
    "This breaks the build when the header is not found, as the check for it should be done before",
    "The function returned an error code which the caller did not check, causing a use after free",
    "Fix a regression: the test that used the old name of the variable was not changed",
    "The patch should have used the new macro, so that it does not warn with older compilers",
]
TITLE = "504s for a third of requests since noon, users see a blank page"


@pytest.fixture(name="history")
def _history(make_repo, home):
    changes = [Change(hours=hours, message=f"Change {hours}", files={f"{hours}.py": "1\n"}) for hours in (9, 5, 2)]
    log = Change(hours=1, message="Log each request", files={"log.py": "1\n"})
    return open_history(make_repo("shop", [*changes, log])[0], home=home)


def test_pages_are_told_from_repairs():
    """None of these texts was learned from."""
    assert [text for text in PAGES if told_as_page(text) < 0.75] == []
    assert [text for text in REPAIRS if told_as_page(text) > 0] == []


@pytest.mark.parametrize("text", ["", "0x7f3a 500 503", "\u304a\u5e97\u306f\u9589\u307e\u3063\u3066\u3044\u307e\u3059"])
def test_what_nobody_knows_is_a_page(text):
    """Labels are in English, pages in any language. Of what caused it an unknown word says nothing."""
    assert (told_as_page(text), told_outside(text)) == (1.0, 0.0)


def test_the_notes_say_how_well_it_does():
    """On projects and trades whose texts it had not seen, as `benchmarks.fit_words` prints it."""
    notes = {file.stem: read_words(file).notes for file in (paged.SHIPPED, outside.SHIPPED)}

    assert {name: float(str(told["held_out_area"])) > 0.9 for name, told in notes.items()} == {
        "paged": True,
        "outside": True,
    }
    assert int(str(notes["paged"]["texts"])) > int(str(notes["outside"]["texts"])) > 3000


@pytest.mark.parametrize(
    ("title", "service", "window_commits", "told"),
    [
        (TITLE, None, None, 1.0),
        (TITLE, None, 10, 0.0),
        (REPAIRS[0], None, None, 0.0),
        (REPAIRS[0], "shop", None, 1.0),
    ],
)
def test_a_known_service_makes_it_a_page(title, service, window_commits, told, history):
    """As its words do. What was asked about a project's last commits is none, however it is told."""
    incident = Incident(id="local:5", title=title, created_at=NOON, service=service)
    columns = Ranker([history]).survey(incident, window_commits=window_commits).table.columns

    assert set(columns["paged"]) == {told}
    assert columns.get("bystander", [0.0] * 4) == [told, 0.0, 0.0, 0.0]


def test_what_a_pager_tells_is_a_page_however_it_is_told(history):
    """An alert's title may be a line of a program's own."""
    told = Incident(id="pd:Q1", title=REPAIRS[0], created_at=NOON)

    assert set(Ranker([history]).survey(told).table.columns["paged"]) == {1.0}


def test_before_a_page_it_matters_when_a_commit_came(history):
    """Of two that say nothing of the incident, that of two hours ago is likelier than that of nine, though words count less."""
    page = Incident(id="local:5", title=TITLE, created_at=NOON)

    scores = {culprit.commit.subject: culprit.score for culprit in Ranker([history]).rank(page).culprits}

    assert scores["Change 2"] > scores["Change 9"] + 0.5


def test_before_a_page_who_watches_stands_behind(history):
    """The newest only logs; told as a repair, it may have been what was repaired."""
    page = Incident(id="local:5", title=TITLE, created_at=NOON)
    first = [
        Ranker([history]).rank(incident).culprits[0].commit.subject
        for incident in (page, replace(page, title=REPAIRS[0]))
    ]

    assert first == ["Change 2", "Log each request"]
