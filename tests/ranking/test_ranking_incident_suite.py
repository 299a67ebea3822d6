"""The synthetic incident suite is what it says: repeatable, of every kind, without a culprit's words or the future."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from benchmarks.incident_suite import print_table, rank, said
from benchmarks.incident_templates import DOMAINS
from benchmarks.incident_world import DAY, KINDS, World, build, shared_run
from core.model import from_unix
from ranking.bulk import Case
from ranking.history import open_histories

SMALL = tuple(replace(domain, commits=60) for domain in DOMAINS if domain.name in ("bazaar", "clinic"))


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """One domain of one repository, one of many."""
    return build(tmp_path_factory.mktemp("suite"), 1, SMALL)


def test_a_seed_gives_the_same_suite(suite, tmp_path):
    """To the last commit id."""
    assert build(tmp_path, 1, SMALL)[1] == suite[1]


def test_every_kind_of_incident_is_there(suite):
    """As often as told, in each domain; each line a case."""
    _, cases = suite

    assert Counter(case["kind"] for case in cases) == Counter({kind: 2 * count for kind, count in KINDS.items()})
    assert [Case.model_validate(case).id for case in cases] == [case["id"] for case in cases]


def test_the_answers_are_commits_of_before(suite, home):
    """Each culprit is in a repository the case names, earlier than the incident; only flags reach back past the window."""
    repos, cases = suite
    histories, _ = open_histories([f"{name}={path}" for name, path in repos.items()], home=home)
    for history in histories:
        history.refresh()
    wrong = []
    for case in cases:
        at = from_unix(case["created_at"])
        found = {sha: c for history in histories for sha, c in history.find(case["culprits"], at).items()}
        ages = [(at - commit.committed_at).total_seconds() / DAY for commit in found.values()]
        named = {commit.repo for commit in found.values()} <= set(case["repos"])
        kept = all((age > 14) is (case["kind"] == "flag") for age in ages)
        wrong += (
            []
            if named and kept and len(found) == len(case["culprits"]) == (case["kind"] != "no commit")
            else [case["id"]]
        )

    assert wrong == []


def test_no_incident_quotes_its_culprit_or_the_future(suite, home):
    """No three words of the subject in a row; no event at the incident's time or later."""
    repos, cases = suite
    histories, _ = open_histories([f"{name}={path}" for name, path in repos.items()], home=home)
    subjects = {}
    for history in histories:
        history.refresh()
        subjects |= {commit.sha: commit.subject for commit in history.commits_between(from_unix(0), from_unix(2e9))}
    text = {case["id"]: f"{case['title']}\n{case['description']}" for case in cases}

    assert [
        case["id"] for case in cases for sha in case["culprits"] if shared_run(subjects[sha], text[case["id"]])
    ] == []
    assert [case["id"] for case in cases for event in case["events"] if event["at"] >= case["created_at"]] == []


def test_the_table_has_a_line_for_each_kind(suite, home, capsys):
    """And says what was left open."""
    repos, cases = suite
    some = list({case["kind"]: case for case in cases}.values())
    rankings = rank(repos, some, home)
    print_table(some, rankings)
    printed = capsys.readouterr().out

    assert [kind for kind in KINDS if kind != "no commit" and f"{kind} " not in printed] == []
    assert "no commit did it: 1 incidents" in printed
    assert json.loads(json.dumps(said(some[0], rankings[0])))["id"] == some[0]["id"]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_a_decoy_in_another_service_is_in_one_that_has_nothing_to_do_with_it(domain):
    """Not what the affected one depends on nor what depends on it, through others either: that could have done it."""
    world = World(domain, 1)
    calls = {name: set(told) for name, (_, told) in domain.services.items()}
    for _ in range(len(calls)):
        calls = {name: told.union(*(calls[other] for other in told)) for name, told in calls.items()}
    both = {name: {name} | told | {other for other in calls if name in calls[other]} for name, told in calls.items()}

    assert {name: world._related(name) for name in calls} == both
    assert all(set(calls) - related for related in both.values())
