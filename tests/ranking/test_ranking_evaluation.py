"""Figures of rankings, worked out by hand."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from ranking_repos import NOON

from core.errors import UsageError
from core.model import Commit, Confidence, Culprit, Ranking
from ranking.baselines import BM25_RECENCY, Pool, newest_first
from ranking.charts import draw_methods, draw_reliability
from ranking.evaluation import (
    METRICS,
    Evaluation,
    Outcome,
    interval,
    judge,
    judge_scores,
    paired_difference,
    place_of,
    share_interval,
)


def commit(name: str, hours: float = 1.0, subject: str = "") -> Commit:
    at = NOON - timedelta(hours=hours)
    return Commit(
        sha=name * 40, repo="shop", author="a", author_email="a@x", authored_at=at, committed_at=at, subject=subject
    )


def ranking(*names: str, chance: float = 0.9, abstained: bool = False) -> Ranking:
    confidence = Confidence.INCONCLUSIVE if abstained else Confidence.LIKELY
    culprits = tuple(
        Culprit(commit=commit(name, place), score=-place, confidence=chance) for place, name in enumerate(names)
    )
    return Ranking(
        culprits=culprits,
        confidence=confidence,
        considered=len(names),
        repos=("shop",),
        window_from=NOON,
        window_to=NOON,
        seconds=0.5,
    )


#: Places 1, 3, 1 and never, as sure as .9, .7, .85 and .95; the third abstained, the last is a wrong answer.
FOUR = Evaluation(
    (
        Outcome(place=1, confidence=0.9, seconds=1.0),
        Outcome(place=3, confidence=0.7, seconds=3.0),
        Outcome(place=1, confidence=0.85, abstained=True, seconds=2.0),
        Outcome(place=math.inf, confidence=0.95, seconds=9.0),
    )
)


def test_a_ranking_is_judged_by_its_first_true_culprit():
    """Repeated commits count once; several culprits count by the best; absent is never."""
    found = judge({"b" * 40, "c" * 40}, ranking("a", "a", "b", "c"))

    assert found == Outcome(place=2, confidence=0.9, abstained=False, answered=True, seconds=0.5)
    assert place_of({"x"}, ["a", "b"]) == math.inf
    assert judge({"a"}, ranking()) == Outcome(place=math.inf, confidence=None, answered=False, seconds=0.5)


def test_equal_scores_count_against_a_method():
    """So no order of the input flatters it."""
    found = judge_scores({"b"}, ["b", "a", "c", "d"], [1.0, 1.0, 2.0, 0.5], seconds=0.0)

    assert (found.place, judge_scores({"x"}, ["a"], [1.0], seconds=0.0).place) == (3, math.inf)


def test_top_k_and_mrr():
    """Of places 1, 3, 1 and never."""
    values = {metric: FOUR.value(metric) for metric in METRICS}

    assert values == {
        "top1": 0.5,
        "top3": 0.75,
        "top5": 0.75,
        "top10": 0.75,
        "top20": 0.75,
        "mrr": pytest.approx(7 / 12),
    }


def test_calibration_by_hand():
    """.9 and .95 share a bin, once right: off by .925 - .5 for two; .7 wrong: off by .7; .85 right: off by .15."""
    filled = {round(held.low, 1): (held.count, held.right) for held in FOUR.bins if held.count}

    assert pytest.approx((2 * 0.425 + 0.7 + 0.15) / 4) == FOUR.ece
    assert filled == {0.7: (1, 0.0), 0.8: (1, 1.0), 0.9: (2, 0.5)}


@pytest.mark.parametrize(
    ("outcome", "miss"),
    [
        (Outcome(place=1, confidence=0.9), 0.01),
        (Outcome(place=2, confidence=0.9), 0.81),
        (Outcome(place=1, confidence=0.0), 1.0),
        (Outcome(place=math.inf), 0.0),
    ],
)
def test_a_confidence_misses_by_its_distance_from_the_truth(outcome, miss):
    """Squared; whoever ranked nothing claimed nothing."""
    assert outcome.mark("miss") == pytest.approx(miss)


def test_coverage_puts_what_abstained_last():
    """Sure order: never, first, third place, and then the right one that abstained."""
    assert FOUR.coverage == {25: 0.0, 50: 0.5, 75: pytest.approx(1 / 3), 100: 0.5}


def test_abstaining_and_seconds():
    """One of four abstained; of the three answers one was right."""
    assert (FOUR.abstained, FOUR.answered_top1, FOUR.seconds) == (0.25, pytest.approx(1 / 3), (2.5, 9.0))


def test_incidents_without_a_culprit_are_told_apart():
    """They change no figure of the others; naming nothing is right."""
    quiet = Outcome(place=math.inf, confidence=0.1, abstained=True, caused=False)
    loud = Outcome(place=math.inf, confidence=0.8, caused=False)
    mixed = Evaluation((*FOUR.outcomes, quiet, loud, quiet, Outcome(place=math.inf, answered=False, caused=False)))

    assert (mixed.n, mixed.value("top1"), mixed.ece, mixed.abstained) == (4, 0.5, FOUR.ece, 0.25)
    assert (mixed.blameless.n, mixed.blameless.inconclusive, mixed.blameless.named) == (4, 0.75, 0.25)
    assert (FOUR.blameless, judge((), ranking("a")).caused) == (None, False)


def test_nothing_to_judge_gives_no_figures():
    """Rather than an exception or a perfect score."""
    empty = Evaluation(())

    assert (
        empty.value("mrr"),
        empty.interval("mrr"),
        empty.ece,
        empty.coverage,
        empty.answered_top1,
        empty.seconds,
    ) == (0.0, (0.0, 0.0), None, {}, None, None)


def test_chance_is_what_is_to_be_expected():
    """Among four: Top-1 1/4, Top-3 3/4, all of more, MRR (1 + 1/2 + 1/3 + 1/4) / 4."""
    chance = Evaluation((Outcome(place=math.inf, by_chance_among=4),))

    assert [chance.value(metric) for metric in METRICS] == [0.25, 0.75, 1.0, 1.0, 1.0, pytest.approx(25 / 48)]


def test_an_interval_holds_the_mean_and_narrows_with_cases():
    """The same seed gives the same one; cases all alike give a point."""
    few, many = interval([0.0, 1.0] * 10), interval([0.0, 1.0] * 1000)

    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    assert (interval([0.0, 1.0] * 10), interval([1.0] * 9)) == (few, (1.0, 1.0))
    assert few == pytest.approx((0.3, 0.7), abs=0.06)


def test_pairing_sees_what_two_intervals_hide():
    """Ours gains a little on every case, though the cases differ much."""
    theirs = Evaluation(tuple(Outcome(place=place) for place in (2, 4, 6, 8, 20) * 8))
    ours = Evaluation(tuple(Outcome(place=outcome.place - 1) for outcome in theirs.outcomes))
    found = paired_difference(ours, theirs, "mrr")

    assert ours.interval("mrr")[0] < theirs.interval("mrr")[1]
    assert found.certain and 0 < found.low < found.mean < found.high
    assert not paired_difference(ours, ours, "mrr").certain


def test_methods_of_different_incidents_are_not_compared():
    """A pair needs both."""
    with pytest.raises(ValueError, match="shorter"):
        paired_difference(FOUR, Evaluation(FOUR.outcomes[:3]), "top1")


@pytest.mark.parametrize(
    ("right", "count", "expected"), [(0, 0, (0.0, 1.0)), (5, 10, (0.237, 0.763)), (10, 10, (0.722, 1.0))]
)
def test_a_share_of_few_is_told_with_its_doubt(right, count, expected):
    """Ten of ten does not prove always (Wilson)."""
    assert share_interval(right, count) == pytest.approx(expected, abs=0.001)


def test_plain_methods_rank_the_same_candidates():
    """By time, by words, by both; a culprit that is no candidate is found by none, chance included."""
    given = ranking("a", "b", "c")
    pool = Pool([commit("a", 1, "paint"), commit("b", 2, "pool timeout"), commit("c", 3, "pool")])
    found = pool.judge_all("timeout of the pool", "", {"b" * 40})
    absent = pool.judge_all("timeout of the pool", "", {"f" * 40})

    assert [c.sha[0] for c in newest_first(given)] == ["a", "b", "c"]
    assert {name: outcome.place for name, outcome in found.items()} == {
        "random": math.inf,
        "recency": 2,
        "BM25": 1,
        BM25_RECENCY: 1,
    }
    assert [outcome.mark("mrr") for outcome in absent.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_charts_are_drawn_in_the_format_the_name_says(ending, tmp_path):
    """An image, with as many bars as there is something to say; nothing global is touched."""
    import matplotlib

    before = dict(matplotlib.rcParams)
    confidence, methods = tmp_path / "deep" / f"a{ending}", tmp_path / f"b{ending}"

    draw_reliability(confidence, FOUR.bins, title="four incidents", ece=FOUR.ece)
    draw_methods(methods, {"recency": {"MRR": (0.2, 0.1, 0.3)}, "Rundown": {"MRR": (0.7, 0.6, 0.8)}}, title="four")

    start = {".png": b"\x89PNG", ".svg": b"<?xml"}[ending]
    assert [path.read_bytes()[:4] == start[:4] for path in (confidence, methods)] == [True, True]
    assert dict(matplotlib.rcParams) == before


def test_a_chart_of_an_unknown_format_is_refused(tmp_path):
    """With a name that works."""
    with pytest.raises(UsageError, match=r"chart\.png' or 'chart\.svg"):
        draw_reliability(tmp_path / "chart.gif", FOUR.bins, title="", ece=None)
