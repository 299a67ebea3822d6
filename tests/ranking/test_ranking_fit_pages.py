"""What suites of pages teach: it carries over to other suites, leaves alone what follows from its meaning, and knows what it does not."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are scripts beside the packages

from ranking_repos import NOON, Change

from benchmarks import fit_pages
from benchmarks.fit_pages import fit_all, fitted_without_each, read_suites
from core.errors import CaseError, UsageError
from ranking.evaluation import Evaluation
from ranking.labels.cases import Labelled
from ranking.scorer import Weighing
from ranking.training import Measured, evaluate

#: Labels taught that words count much and time little; before these pages it is the other way round.
SHIPPED = Weighing(
    release="labels",
    weights={"hunk": 2.0, "recent": 0.2},
    by_hand={"not_live": -4.0},
    told_odds={"constant": 0.0, "chance": 1.0, "closeness": 0.0},
    doubt={"constant": -3.0},
    doubt_by_hand={"outside_words": 0.0},
)


def suites(names, each=120, seed=5, paged=1.0):
    """Each page's culprit is drawn by what was recent; a fifth have none, and of those the words tell."""
    draw = random.Random(seed)
    return {
        name: [_page(draw, f"{name}-{number}", paged, none=number % 5 == 0) for number in range(each)] for name in names
    }


def _page(draw, name, paged, *, none):
    columns = {feature: [draw.gauss(0, 1) for _ in range(12)] for feature in ("hunk", "recent", "closeness")}
    columns |= {
        "paged": [paged] * 12,
        "overlap": [0.3] * 12,
        "not_live": [float(draw.random() < 0.2) for _ in range(12)],
    }
    did, shas = (
        draw.choices(range(12), [2.718 ** (2.0 * value) for value in columns["recent"]])[0],
        [*map(str, range(12))],
    )
    return Measured(
        case=Labelled(
            id=name,
            title="outage at our cloud provider" if none else "slow",
            created_at=int(NOON.timestamp()),
            culprits=() if none else (shas[did],),
        ),
        shas=tuple(shas),
        columns={feature: np.array(column) for feature, column in columns.items()},
        rows=() if none else (did,),
        repo="shop",
        gaps=(),
    )


@pytest.fixture(name="taught", scope="module")
def _taught():
    """Three suites, and for each what the two others teach."""
    told = suites("abc")
    return told, fitted_without_each(told, SHIPPED)


def test_what_two_suites_teach_holds_in_the_third(taught):
    """Better ranked, and more closely as sure as it may be."""
    told, others = taught
    before, after = (
        Evaluation(tuple(outcome for name in told for outcome in evaluate(told[name], of[name]).outcomes))
        for of in (dict.fromkeys(told, SHIPPED), others)
    )

    assert after.value("mrr") > before.value("mrr") + 0.15
    assert after.value("miss") < before.value("miss") - 0.04
    assert after.blameless.inconclusive > before.blameless.inconclusive


def test_labels_and_what_rules_a_commit_out_stay_as_they_were(taught):
    """Only what is added before a page is fitted, and nothing to what follows from its meaning."""
    told, _ = taught
    found = fit_all(told, SHIPPED)

    assert (found.weights, found.by_hand, found.doubt) == (SHIPPED.weights, SHIPPED.by_hand, SHIPPED.doubt)
    assert found.told.keys() & {*fit_pages.RULING, "paged"} == set()
    assert found.told["recent"] > 1.0 > 0.0 > -1.0 > found.told["hunk"]
    assert found.doubt_by_hand["outside_words"] > 0.5


def test_fitted_twice_the_same_comes_out(taught):
    """It does not start from what it found before."""
    told, _ = taught
    once = fit_all(told, SHIPPED)

    assert fit_all(told, once) == once


def test_texts_that_are_no_pages_add_nothing_to_a_weight():
    """A repair's words are the labels' business."""
    found = fit_all(suites("ab", paged=0.0), SHIPPED)

    assert set(found.told.values()) == {0.0}


# -- reading suites ----------------------------------------------------------------------------------------------


@pytest.fixture(name="suite")
def _suite(make_repo, tmp_path):
    """A folder with one repository and two cases, one of them before all commits."""
    _, shas = make_repo("shop", [Change(hours=2, message="Raise the limit", files={"a.py": "1\n"})])
    lines = [
        {"id": "1", "title": "slow", "created_at": int(NOON.timestamp()), "culprits": shas},
        {"id": "2", "title": "slow", "created_at": int(NOON.timestamp()) - 9000, "culprits": []},
    ]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.mark.parametrize("listed", [False, True])
def test_a_suite_is_a_folder_of_cases_and_repositories(listed, suite, home):
    """Repositories lie in it, or elsewhere as its list says; a case without any candidate is left out."""
    if listed:
        (suite / "repos").rename(suite / "elsewhere")
        (suite / "repos.txt").write_text(f"shop={suite / 'elsewhere' / 'shop'}\n")

    ((name, (page,)),) = read_suites([suite], home).items()

    assert (name, page.case.id, page.rows, len(page.shas)) == (suite.name, "1", (0,), 1)


@pytest.mark.parametrize(
    ("missing", "error", "said"),
    [("repos", UsageError, "no repositories in"), ("cases.jsonl", CaseError, r"cases\.jsonl")],
)
def test_what_is_no_suite_is_refused_by_name(missing, error, said, suite, home):
    """No repositories, or no cases."""
    (suite / missing).rename(suite / "moved")

    with pytest.raises(error, match=said):
        read_suites([suite], home)


@pytest.mark.parametrize(
    ("given", "said"),
    [(["--suite", "a"], "two suites or more"), (["--suite", "a", "--suite", "b", "--write"], "--release")],
)
def test_wrong_usage_is_told_before_anything_is_read(given, said, monkeypatch, capsys):
    """A suite alone could only be judged by itself."""
    monkeypatch.setattr(sys, "argv", ["fit_pages", *given])

    with pytest.raises(SystemExit):
        fit_pages.main()

    assert said in capsys.readouterr().err
