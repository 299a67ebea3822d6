"""Which commits belong to a service, and when they went live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add

from ranking.history import open_history
from ranking.services import code_owners, covers, map_service


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*", "a/b.py", True),
        ("*.sql", "db/x.sql", True),
        ("/db/", "db/x.sql", True),
        ("/db/", "src/db/x.sql", False),
        ("db/", "src/db/x.sql", True),
        ("db/", "src/dbx/x.sql", False),
        ("docs", "docs/a.md", True),
        ("apps/*/api", "apps/shop/api/x.py", True),
        ("apps/**", "apps/shop/x.py", True),
        ("apps/shop", "apps/shopping/x.py", False),
    ],
)
def test_a_pattern_covers_paths_as_codeowners_has_it(pattern, path, expected):
    """Anchored when a slash says so."""
    assert covers(pattern, path) is expected


def test_codeowners_is_read_rule_by_rule():
    """Comments and sections are passed over; a rule without owners takes back."""
    text = "# who\n*  @acme/all\n[Section] @x\n/db/ @acme/dba ada@example.org # the best\n/free/\n"

    assert code_owners(text) == [("*", ("@acme/all",)), ("/db/", ("@acme/dba", "ada@example.org")), ("/free/", ())]


SERVICES = "services:\n  checkout:\n    paths: [apps/checkout/, lib/pool.py]\n"


@pytest.mark.parametrize(
    ("first", "touched", "service", "why"),
    [
        (
            {"services.yaml": SERVICES},
            "lib/pool.py",
            "Checkout",
            "touches `lib/pool.py`, which services.yaml gives to Checkout",
        ),
        (
            {"CODEOWNERS": "/lib/ @acme/checkout-team\n"},
            "lib/a.py",
            "checkout",
            "touches `lib/a.py`, which CODEOWNERS gives to checkout",
        ),
        ({}, "apps/check_out/a.py", "check-out", "touches `apps/check_out/a.py`, named like the service check-out"),
        ({}, "lib/a.py", "the-shop-service", "in `shop`, named like the service the-shop-service"),
        ({}, "lib/a.py", "checkout", ""),
        ({}, "service/app.py", "service", ""),
        ({"services.yaml": "{broken"}, "lib/a.py", "checkout", ""),
        ({"services.yaml": "- just\n- a list\n"}, "lib/a.py", "checkout", ""),
    ],
)
def test_a_service_is_found_by_every_map_there_is(first, touched, service, why, make_repo, home):
    """services.yaml, CODEOWNERS, names of folders and repositories; broken maps say nothing."""
    path, _ = make_repo(
        "shop",
        [
            Change(hours=9, message="Map", files={**first, "x": "x"}),
            Change(hours=1, message="Go", files={touched: "x\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    (commit,) = history.last_commits_before(NOON, 1)

    assert map_service(service, [history], {}, NOON).match(commit).why == why


@pytest.mark.parametrize("written", [{"CODEOWNERS": "/lib/ @acme/checkout\n"}, {"services.yaml": "checkout: [lib]\n"}])
def test_a_map_written_after_the_incident_says_nothing(written, make_repo, home):
    """CODEOWNERS and services.yaml count as they stood."""
    path, shas = make_repo("shop", [Change(hours=1, message="Go", files={"lib/a.py": "x\n"})])
    add(path, [Change(hours=-1, message="Own", files=written)], onto=shas[0])
    history = open_history(path, home=home)
    history.refresh()
    (commit,) = history.last_commits_before(NOON, 1)

    assert map_service("checkout", [history], {}, NOON).match(commit).strength == 0
    later = NOON + timedelta(days=1)
    assert map_service("checkout", [history], {}, later).match(commit).strength == 1
