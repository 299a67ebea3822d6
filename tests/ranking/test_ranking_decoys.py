"""Commits that say what the alert says, and cannot have done it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from ranking_repos import NOON, Change

from core.model import Incident
from ranking.diffs import read_diffs
from ranking.events import ChangeEvent
from ranking.history import open_history
from ranking.ranker import Ranker

ERROR = "deadlock detected on reservation_lines"
INCIDENT = Incident(id="local:1", title=f"stock: ERROR: {ERROR}", created_at=NOON, service="stock")
CULPRIT = Change(hours=6, message="Reserve in the order they come", files={"stock/reserve.py": "for line in lines:\n"})
DECOYS = {
    "documentation": {"stock/docs/runbook.md": f"{ERROR}: restart the worker\n"},
    "tests": {"stock/tests/test_reserve.py": f"ERROR = '{ERROR}'\n"},
    "both": {"stock/README.md": f"{ERROR}\n", "stock/tests/test_reserve.py": f"ERROR = '{ERROR}'\n"},
    "comments": {"stock/reserve.py": f"# {ERROR}: see the runbook\n\nfor line in lines:\n"},
    "program": {"stock/retry.py": f"RETRY_ON = '{ERROR}'\n"},
    "data": {"stock/errors.txt": f"{ERROR}\n"},
}


def decoyed(make_repo, decoy):
    """A repository with a culprit and a commit that quotes the alert."""
    return make_repo(
        "shop",
        [
            Change(hours=99, message="Begin", files={"services.yaml": "stock: [stock/]\n", "stock/a.py": "1\n"}),
            CULPRIT,
            Change(hours=5, message=f"What to do on '{ERROR}'", files=DECOYS[decoy]),
        ],
    )


@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize("decoy", DECOYS)
def test_what_never_runs_is_no_culprit(decoy, deployed, make_repo, home):
    """However much it says of the alert. That only comments were changed is believed where deploys are told."""
    path, shas = decoyed(make_repo, decoy)
    event = ChangeEvent(kind="deploy", at=NOON - timedelta(minutes=20), service="stock", sha=shas[2])
    ranking = Ranker([open_history(path, home=home)]).rank(INCIDENT, events=[event] if deployed else [])
    runs = decoy in ("program", "data") or (decoy == "comments" and not deployed)
    told = [reason.text for culprit in ranking.culprits for reason in culprit.reasons if reason.feature == "idle"]

    assert ranking.culprits[0].commit.sha == shas[2 if runs else 1]
    assert bool(told) is not runs


@pytest.mark.parametrize(
    ("decoy", "title"),
    [
        ("tests", "stock: test_reserve fails"),
        ("tests", "CI red: stock"),
        ("documentation", "stock: the docs say nothing of ERROR"),
    ],
)
def test_what_the_page_itself_speaks_of_may_have_failed(decoy, title, make_repo, home):
    """A page about tests may be of a commit that changed nothing else."""
    path, shas = decoyed(make_repo, decoy)
    page = Incident(id="local:2", title=title, description=ERROR, created_at=NOON)
    ranking = Ranker([open_history(path, home=home)]).rank(page)

    assert ranking.culprits[0].commit.sha == shas[2]


@pytest.mark.parametrize(
    ("service", "deployed", "page"), [(None, False, False), ("stock", False, True), (None, True, True)]
)
def test_a_projects_history_finds_defects_in_tests_too(service, deployed, page, make_repo, home):
    """Whoever asks about the last commits alone asks about everything a project holds; with a service or a deploy it is a page."""
    path, shas = decoyed(make_repo, "tests")
    incident = replace(INCIDENT, service=service)
    event = ChangeEvent(kind="deploy", at=NOON - timedelta(minutes=20), service="stock", sha=shas[2])
    ranking = Ranker([open_history(path, home=home)]).rank(
        incident, window_commits=10, events=[event] if deployed else []
    )
    told = {reason.feature for culprit in ranking.culprits for reason in culprit.reasons}

    assert ("idle" in told) is page
    assert (sum(culprit.confidence for culprit in ranking.culprits) < 0.999) is page


def test_documentation_never_runs_wherever_it_lies(make_repo, home):
    """Also in a repository of which no deploy was told: one told deploy says that the page is of production."""
    path, shas = make_repo(
        "shop",
        [Change(hours=99, message="Begin", files={"services.yaml": "stock: [stock/]\n", "stock/a.py": "1\n"}), CULPRIT],
    )
    told = f"What to do on '{ERROR}'"
    wiki, _ = make_repo("handbook", [Change(hours=5, message=told, files={"stock/alerts.md": f"{ERROR}: restart\n"})])
    event = ChangeEvent(kind="deploy", at=NOON - timedelta(minutes=20), service="stock", sha=shas[1])
    ranker = Ranker([open_history(repo, home=home) for repo in (path, wiki)])

    assert ranker.rank(INCIDENT, events=[event]).culprits[0].commit.sha == shas[1]


@pytest.mark.parametrize(
    ("subject", "path", "feature"),
    [
        ("Log each deadlock of stock", "stock/say.py", "bystander"),
        (f"Shorter pool, for '{ERROR}'", "k8s/envs/staging/stock.yaml", "idle"),
    ],
)
def test_what_watches_or_is_not_production_stands_behind(subject, path, feature, make_repo, home):
    """It says what the alert says, newer than the culprit, and the card says what speaks against it."""
    begun = Change(hours=99, message="Begin", files={"services.yaml": "stock: [stock/, k8s/]\n", "stock/a.py": "1\n"})
    repo, shas = make_repo("shop", [begun, CULPRIT, Change(hours=5, message=subject, files={path: "a: deadlock\n"})])
    event = ChangeEvent(kind="deploy", at=NOON - timedelta(minutes=20), service="stock", sha=shas[2])
    ranked = {
        culprit.commit.sha: culprit
        for culprit in Ranker([open_history(repo, home=home)]).rank(INCIDENT, events=[event]).culprits
    }

    assert next(iter(ranked)) == shas[1]
    assert feature in {reason.feature for reason in ranked[shas[2]].reasons if reason.weight < 0}


@pytest.mark.parametrize(
    ("before", "after", "remarks"),
    [
        ("a = 1\n", "a = 1  # why\n", False),
        ("a = 1\n", "# why\n\na = 1\n", True),
        ("a = 1\n", "a = 1\n\n", False),
        ("int a;\n", "// why\n/* or\n * not\n */\nint a;\n", True),
        ("int *a;\n", "int *a;\n*a = 1;\n", False),
        ("#include <a>\n", "#include <b>\n", False),
        ("#!/bin/sh\n", "#!/bin/bash\n", False),
        ("a { }\n", "a { }\n#id { }\n", False),
        ("x\n", "-- why\nx\n", True),
        ("x\n", "--force\nx\n", False),
    ],
)
def test_comments_are_told_from_statements(before, after, remarks, make_repo, home):
    """By how the line begins; a line that does anything is none."""
    path, shas = make_repo(
        "shop", [Change(hours=2, message="a", files={"a": before}), Change(hours=1, message="b", files={"a": after})]
    )
    history = open_history(path, home=home)

    assert read_diffs(history.repository, [shas[1]])[shas[1]].only_comments is remarks


@pytest.mark.parametrize("deployed", [True, False])
def test_what_went_live_just_before_counts_more_than_words(deployed, make_repo, home):
    """A commit that speaks of the alert and went live days ago, beside one that went live with the last deploy."""
    path, shas = make_repo(
        "shop",
        [
            Change(hours=99, message="Begin", files={"services.yaml": "stock: [stock/]\n", "stock/a.py": "1\n"}),
            Change(hours=90, message=f"Tell lines apart in '{ERROR}'", files={"stock/say.py": f"SAY = '{ERROR}'\n"}),
            CULPRIT,
        ],
    )
    events = [
        ChangeEvent(kind="deploy", at=NOON - timedelta(hours=hours), service="stock", sha=shas[place])
        for hours, place in ((98, 0), (80, 1), (0.5, 2))
    ]
    ranking = Ranker([open_history(path, home=home)]).rank(INCIDENT, events=events if deployed else [])

    assert ranking.culprits[0].commit.sha == shas[2 if deployed else 1]
