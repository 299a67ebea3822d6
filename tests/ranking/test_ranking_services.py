"""Which commits belong to a service, and when they went live."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ranking_repos import NOON, Change, add

from ranking.history import open_history
from ranking.patterns import Patterns
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
        ("/apps/*/api", "apps/shop/old/api/x.py", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/deep/a.md", False),
        ("**/logs", "logs/x", True),
        ("**/logs", "deep/er/logs/x", True),
        ("/src/**/*.py", "src/x.py", True),
        ("/src/**/*.py", "src/a/b/x.py", True),
        ("/src/**/*.py", "lib/src/x.py", False),
        ("a/**/b", "a/b/x", True),
        ("a/**/b", "ab/x", False),
        ("v?.py", "v1.py", True),
        ("v?.py", "v/.py", False),
        ("*.min.*", "web/a.min.js", True),
    ],
)
def test_a_pattern_covers_paths_as_codeowners_has_it(pattern, path, expected):
    """Anchored when a slash says so; one star stays within a folder. Many patterns at a time say the same."""
    assert covers(pattern, path) is expected
    assert Patterns([(pattern, True)]).last(path) is (expected or None)


def test_codeowners_is_read_rule_by_rule():
    """Comments are passed over; a rule without owners takes back; "\\ " and "\\#" are a path's own."""
    text = (
        "# who\n*  @acme/all\n/db/ @acme/dba ada@example.org # the best\n/free/\nmy\\ docs/ @x\n\\#tmp @y\n[ab].py @z\n"
    )

    assert code_owners(text) == [
        ("*", ("@acme/all",)),
        ("/db/", ("@acme/dba", "ada@example.org")),
        ("/free/", ()),
        ("my docs/", ("@x",)),
        ("#tmp", ("@y",)),
        ("[ab].py", ("@z",)),
    ]


def test_a_section_s_owners_are_those_of_its_rules():
    """GitLab's: where a rule names none of its own; an exclusion takes back."""
    text = "a/ @a\n[Data base][2] @dba @ada\n/db/\n/db/x.sql @eve\n!/db/old/\n^[Optional]\nb/\n"

    assert code_owners(text) == [
        ("a/", ("@a",)),
        ("/db/", ("@dba", "@ada")),
        ("/db/x.sql", ("@eve",)),
        ("/db/old/", ()),
        ("b/", ()),
    ]


def test_of_several_codeowners_the_forge_s_own_counts(make_repo, home):
    """GitHub looks in .github, then at the root, then in docs; only the first counts."""
    told = {"docs/CODEOWNERS": "alpha", "CODEOWNERS": "beta", ".github/CODEOWNERS": "gamma"}
    changes = [
        Change(hours=9 - n, message=place, files={place: f"/lib/ @acme/{team}\n", "lib/a.py": team})
        for n, (place, team) in enumerate(told.items())
    ]
    history = open_history(make_repo("shop", changes)[0], home=home)
    history.refresh()

    def owners(moment):
        (commit, *_) = history.suspects_between(NOON - timedelta(hours=10), moment)
        return [team for team in told.values() if map_service(team, [history], {}, moment).match(commit).strength]

    assert [owners(NOON - timedelta(hours=hours)) for hours in (8.5, 7.5, 6.5)] == [["alpha"], ["beta"], ["gamma"]]


def test_a_star_at_the_end_of_a_service_s_path_is_its_folder(make_repo, home):
    """People write apps/checkout/* in services.yaml and mean all of it."""
    files = {"services.yaml": "checkout: [apps/checkout/*]\n", "apps/checkout/deep/pay.py": "1\n"}
    history = open_history(make_repo("shop", [Change(hours=2, message="Begin", files=files)])[0], home=home)
    history.refresh()
    (commit,) = history.last_commits_before(NOON, 1)

    assert map_service("checkout", [history], {}, NOON).match(commit).strength == 1.0


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


@pytest.mark.parametrize(
    ("repo", "service", "title", "foreign"),
    [
        ("billing", "billing", "", 0.0),
        ("acme-web", "billing", "", 0.4),
        ("acme-web", None, "billing: off by cents", 0.24),
        ("acme-web", "billing", "off by cents, seen on `web`", 0.0),
        ("terraform", "billing", "", 0.0),
        ("acme-web", "elsewhere", "", 0.0),
        ("acme-web", None, "off by cents", 0.0),
    ],
)
def test_without_a_map_repositories_are_those_of_the_services_they_are_named_like(
    repo, service, title, foreign, make_repo, home
):
    """Of services that events name; one that is named like none, or that the incident names too, may have to do with it."""
    histories = []
    for name in ("billing", "acme-web", "terraform"):
        history = open_history(make_repo(name, [Change(hours=2, message="One", files={"a": "1\n"})])[0], home=home)
        history.refresh()
        histories.append(history)
    (commit,) = next(history for history in histories if history.name == repo).last_commits_before(NOON, 1)
    found = map_service(service, histories, {}, NOON, title=title, text=title, names={"billing", "web"})

    worth, why = found.foreign(commit)
    assert round(worth, 2) == foreign
    assert why == ("in `acme-web`, named like web, not like billing" if foreign else "")
