"""Fitting the ranker to a team's own incidents: what is learned, from what, and what stays as it was."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import numpy as np
import pytest
from ranking_repos import NOON
from team_world import LAG, PARTS, add_incidents, make_team

from core.errors import RundownError, UsageError
from core.model import from_unix
from ranking.backtest import find_labels
from ranking.bulk import rank_case
from ranking.evaluation import Difference, judge, paired_difference
from ranking.history import open_history
from ranking.labels.cases import Labelled
from ranking.ranker import Ranker
from ranking.scorer import Weighing, read_weighing
from ranking.training import (
    CHOSEN_FROM,
    Measured,
    Verdict,
    evaluate,
    fit,
    learn,
    measure,
    ranked_cases,
    split_by_time,
    write_weighing,
)

SHIPPED = Weighing(
    release="features-7",
    weights={"words": 1.0, "recent": 0.5, "unseen": 3.0},
    by_hand={"service": 2.0},
    temperature=1.5,
    model_weight=0.7,
    doubt={"constant": -9.0},
)


def made_up(count: int, truth: dict[str, float], seed: int = 5) -> list[Measured]:
    """Incidents of ten candidates, whose culprits are drawn as these weights say."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        columns = {name: draw.normal(size=10) for name in ("words", "recent", "service")} | {
            "overlap": np.ones(10),
            "paged": np.ones(10),
        }
        chances = np.exp(sum((weight * columns[name] for name, weight in truth.items()), np.zeros(10)))
        row = int(draw.choice(10, p=chances / chances.sum()))
        shas = tuple(f"{number:04d}{place:036d}" for place in range(10))
        at = NOON.timestamp() + 3600 * number
        case = Labelled(id=f"case-{number}", title="it is down", created_at=at, culprits=(shas[row],))
        found.append(Measured(case=case, shas=shas, columns=columns, rows=(row,), repo="shop", gaps=()))
    return found


@pytest.fixture(name="team")
def _team(make_repo, home):
    path, culprits = make_team(make_repo)
    history = open_history(path, home=home)
    history.refresh()
    return history, culprits


def labels_of(history, before=NOON):
    return find_labels([history], since=from_unix(0), before=before, window_days=14.0).cases


# -- fitting -----------------------------------------------------------------------------------------------------


def test_a_team_that_is_like_the_others_keeps_what_ships():
    """Their weights are hardly moved by incidents that the weights that ship explain."""
    found = fit(made_up(80, {"words": 1.0, "recent": 0.5, "service": 2.0}), SHIPPED, release="own")

    assert found.weights == pytest.approx(SHIPPED.weights, abs=0.2)


def test_a_team_of_its_own_kind_gets_its_own_weights():
    """Enough incidents turn a weight round; held-out ones are then ranked better, and as surely as they should be."""
    cases = made_up(300, {"words": -1.5, "recent": 0.5, "service": 2.0})
    found = fit(cases[:200], SHIPPED, release="own")
    before, after = evaluate(cases[200:], SHIPPED), evaluate(cases[200:], found)

    assert -1.6 < found.weights["words"] < -0.9
    assert found.weights["unseen"] == SHIPPED.weights["unseen"]
    assert after.value("mrr") > before.value("mrr") + 0.15
    assert after.ece < before.ece


def test_what_incidents_with_deploys_teach_is_not_counted_twice():
    """Where words count a share, twice the weight is learned from them, and they count what they were seen to be worth."""
    truth = {"words": -1.0, "recent": 0.5, "service": 2.0}
    halved = SHIPPED.model_copy(update={"told_share": 0.5})
    whole, half = (fit(made_up(300, truth), shipped, release="own") for shipped in (SHIPPED, halved))

    assert half.told_share == 0.5
    assert 0.5 * half.weights["words"] == pytest.approx(whole.weights["words"], abs=0.15)


def test_what_was_set_by_hand_and_the_rest_stays():
    """Only what labels speak of is fitted."""
    found = fit(made_up(80, {"words": 0.2}), SHIPPED, release="own")

    assert (found.by_hand, found.doubt, found.model_weight) == (SHIPPED.by_hand, SHIPPED.doubt, SHIPPED.model_weight)
    assert found.by_hand["service"] == 2.0


@pytest.mark.parametrize(("count", "own"), [(CHOSEN_FROM - 1, False), (CHOSEN_FROM, True)])
def test_how_sure_to_be_needs_enough_incidents(count, own):
    """With fewer, a temperature of their own would be noise."""
    assert (fit(made_up(count, {"words": 4.0}), SHIPPED, release="own").temperature != 1.5) is own


def test_an_incident_of_two_culprits_counts_once():
    """Each is a lesson of half the weight, so that naming both alike says nothing of one against the other."""
    one = made_up(1, {})[0]
    both = dataclasses.replace(
        one, rows=(0, 1), columns={"words": np.array([1.0, -1.0, *[0.0] * 8]), "recent": np.eye(10)[0]}
    )
    found = fit([both], Weighing(release="a", weights={"words": 0.0}), release="own")

    assert found.weights == {"words": 0.0}


def test_the_newest_are_held_out_and_no_culprit_is_on_both_sides():
    """Three in ten; an older incident of a held-out culprit is left out of both the fit and the comparison."""
    cases = made_up(10, {})
    cases[2] = dataclasses.replace(cases[2], case=cases[2].case.model_copy(update={"culprits": cases[9].case.culprits}))
    older, newest = split_by_time(cases)

    assert ([one.case.id for one in older], [one.case.id for one in newest]) == (
        [f"case-{number}" for number in (0, 1, 3, 4, 5, 6)],
        ["case-7", "case-8", "case-9"],
    )


@pytest.mark.parametrize(
    ("ranking", "miss", "better"),
    [
        ((0.04, 0.01, 0.07), (0.05, 0.01, 0.09), True),
        ((-0.04, -0.07, -0.01), (-0.05, -0.09, -0.01), False),
        ((-0.01, -0.04, 0.02), (-0.05, -0.09, -0.01), True),
        ((0.01, -0.02, 0.04), (0.05, 0.01, 0.09), False),
        ((-0.01, -0.04, 0.02), (-0.05, -0.11, 0.01), False),
        ((0.01, -0.02, 0.04), (0.01, -0.03, 0.05), True),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), True),
    ],
)
def test_what_is_certain_decides_the_order_first(ranking, miss, better):
    """A better order; else, at the same order beyond chance, a better confidence; else an order that is no worse."""
    told = {
        name: Difference(mean=mean, low=low, high=high)
        for name, (mean, low, high) in (("ranking", ranking), ("miss", miss))
    }

    assert Verdict(**told).better is better


def test_weights_that_only_know_better_when_they_are_right_are_kept():
    """The same order and a surer mind: what an overconfident team's temperature brings."""
    cases = made_up(120, {"words": 0.3, "recent": 0.15, "service": 0.6})
    sober = SHIPPED.model_copy(update={"temperature": 5.0})
    before, after = evaluate(cases, SHIPPED), evaluate(cases, sober)
    verdict = Verdict(ranking=paired_difference(after, before, "mrr"), miss=paired_difference(after, before, "miss"))

    assert (verdict.ranking.mean, verdict.miss.certain, verdict.better) == (0.0, True, True)


# -- on a repository ---------------------------------------------------------------------------------------------


def test_it_learns_from_the_older_and_is_judged_on_the_newest(team):
    """All is told: from what, how, what came of it; nobody's words are in it."""
    history, _ = team
    shipped, told = read_weighing(), []
    learned = learn(Ranker([history]), labels_of(history), progress=lambda *said: told.append(said))
    notes = learned.weighing.notes

    assert (len(learned.fitted), len(learned.held_out), learned.before.n, learned.lost) == (21, 9, 9, 0)
    assert max(m.case.created_at for m in learned.fitted) < min(m.case.created_at for m in learned.held_out)
    assert learned.weighing.release.startswith(f"{shipped.release}+team-")
    assert (notes["data"]["kinds"], notes["data"]["repositories"]) == ({"revert": 30}, {"shop": 30})
    assert (notes["data"]["from"], notes["data"]["to"]) == ("2024-05-04", "2024-05-14")
    assert sorted(notes["held_out"]) == ["after", "before", "fitted_to", "incidents", "miss_change", "mrr_gain"]
    assert notes["held_out"]["before"]["mrr"][0] == round(learned.before.value("mrr"), 4)
    assert [part for part in PARTS if part in json.dumps(notes)] == []
    assert told[-1] == ("measuring past incidents", 30, 30)
    assert [move.worth for move in learned.moves] == sorted((m.worth for m in learned.moves), key=lambda w: -abs(w))


def test_what_is_compared_is_what_would_have_been_said(team):
    """An incident's place, sureness and word are those of the ranking itself."""
    history, _ = team
    doubting = {**read_weighing().model_dump(), "temperature": 1.7, "doubt": {"constant": -1.0, "sureness": 0.5}}
    ranker, cases = Ranker([history], weighing=Weighing(**doubting)), labels_of(history)[:6]
    said = [judge(case.culprits, rank_case(ranker, case)) for case in cases]

    assert list(evaluate(measure(ranker, cases), ranker.weighing).outcomes) == [
        dataclasses.replace(outcome, seconds=None, confidence=pytest.approx(outcome.confidence)) for outcome in said
    ]


def test_nothing_from_the_future_is_learned(team):
    """Commits and labels after the newest incident change no weight."""
    history, _ = team
    first = learn(Ranker([history]), labels_of(history)).weighing
    add_incidents(history.repository.path, [f"late_{part}" for part in PARTS[:5]], last_hours=-LAG * 12)
    history.refresh()
    later = NOON + timedelta(days=30)

    assert len(labels_of(history, before=later)) > len(PARTS)
    assert learn(Ranker([history]), labels_of(history)).weighing == first


def test_a_culprit_that_is_no_candidate_is_counted(team):
    """It teaches nothing and counts as not found; an incident without a culprit counts apart."""
    history, _ = team
    cases = list(labels_of(history))
    for place, culprits in ((-1, ("f" * 40,)), (-2, ())):
        cases[place] = cases[place].model_copy(update={"culprits": culprits})
    learned = learn(Ranker([history]), cases)
    data = learned.weighing.notes["data"]

    assert (learned.lost, data["culprit_not_among_candidates"], data["without_culprit"]) == (1, 1, 1)
    assert (learned.after.n, learned.after.value("top20"), learned.after.blameless.n) == (8, 7 / 8, 1)


@pytest.mark.parametrize(
    ("count", "lost", "why"),
    [(19, 0, "19 with a known culprit, and it takes 20"), (22, 3, "of 3 more the culprit is not among the candidates")],
)
def test_too_few_are_refused_with_a_way_out(team, count, lost, why):
    """Whether few were found, or few of the culprits are among the candidates."""
    history, _ = team
    cases = [
        case.model_copy(update={"culprits": ("f" * 40,)}) if place < lost else case
        for place, case in enumerate(labels_of(history)[:count])
    ]

    with pytest.raises(RundownError, match=why) as refusal:
        learn(Ranker([history]), cases)
    assert ("--window-days" in refusal.value.way_out, "--cases" in refusal.value.way_out) == (lost > 0, True)


def test_a_llama_is_given_the_best_candidates_and_the_culprit(team):
    """As the weights rank them; none from after the incident."""
    history, culprits = team
    measured = measure(Ranker([history]), labels_of(history)[-2:])
    cases = list(ranked_cases(measured, read_weighing(), [history]))

    assert [case.ranked[0].sha for case in cases] == [one.shas[one.order(read_weighing())[0]] for one in measured]
    assert [case.culprits for case in cases] == [{sha} for sha in culprits[-2:]]
    assert all({c.sha for c in case.ranked} >= case.culprits for case in cases)
    assert all(c.committed_at < case.incident.created_at for case in cases for c in case.ranked)


# -- the file ----------------------------------------------------------------------------------------------------


def test_written_weights_are_read_as_they_were(tmp_path):
    """The folder is made, what lay there is replaced, and nothing else is left."""
    path = tmp_path / "ranker" / "weights.json"
    for weighing in (SHIPPED, SHIPPED.model_copy(update={"release": "other"})):
        write_weighing(path, weighing)

    assert read_weighing(path).release == "other"
    assert [file.name for file in path.parent.iterdir()] == ["weights.json"]


def test_a_file_that_holds_something_else_says_what_to_do(tmp_path):
    """It is never ranked with."""
    path = tmp_path / "weights.json"
    path.write_text('{"release": "x"')

    with pytest.raises(UsageError, match=r"make them again with `rundown train ranker`, or delete the file"):
        read_weighing(path)
