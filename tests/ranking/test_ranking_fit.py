"""Fitting weights to known culprits, and the decisions made of scores."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from core.model import Confidence
from ranking import scorer
from ranking.features import Table
from ranking.fit import Lesson, fit_temperature, fit_weights


@pytest.fixture(name="lessons", scope="module")
def _lessons():
    """Choices made with the weights 2, -1, 0 and a fourth feature that never varies."""
    draw = np.random.default_rng(7)
    lessons = []
    for _ in range(800):
        rows = np.column_stack([draw.normal(size=(12, 3)), np.ones(12)])
        chances = np.exp(rows @ [2.0, -1.0, 0.0, 0.0])
        lessons.append(Lesson(features=rows, culprit=int(draw.choice(12, p=chances / chances.sum()))))
    return lessons


def test_the_weights_that_chose_are_found(lessons):
    """Enough choices give away what they were made by."""
    assert fit_weights(lessons, ridge=0.1) == pytest.approx([2.0, -1.0, 0.0, 0.0], abs=0.15)


def test_a_ridge_pulls_to_zero(lessons):
    """Few cases must not give large weights."""
    few = lessons[:10]

    assert abs(fit_weights(few, ridge=50)).sum() < abs(fit_weights(few, ridge=1)).sum()


def test_a_heavy_lesson_counts_for_many(lessons):
    """A weight of three is the same as three copies."""
    heavy = [Lesson(features=lesson.features, culprit=lesson.culprit, weight=3.0) for lesson in lessons[:20]]

    assert fit_weights(heavy) == pytest.approx(fit_weights(lessons[:20] * 3), abs=1e-3)


# -- around weights that are known -------------------------------------------------------------------------------

PRIOR = np.array([1.0, 1.0, -3.0, 5.0])


def test_without_a_lesson_the_known_weights_come_back():
    """A team without labels ranks as shipped."""
    assert fit_weights([], prior=PRIOR).tolist() == PRIOR.tolist()


def test_many_lessons_outweigh_what_was_known(lessons):
    """They find what they find without a ridge; only a feature that never varies stays as it was known."""
    free = fit_weights(lessons, ridge=1e-6)
    many = [replace(lesson, weight=20.0) for lesson in lessons]

    assert fit_weights(many, ridge=10, prior=PRIOR)[:3] == pytest.approx(free[:3], abs=0.02)
    assert fit_weights(lessons, prior=PRIOR)[3] == PRIOR[3]


def test_the_fewer_the_lessons_the_nearer_to_what_was_known(lessons):
    """Each tenfold moves the weights on."""
    moved = [np.abs(fit_weights(lessons[:count], ridge=30, prior=PRIOR) - PRIOR).sum() for count in (3, 30, 300)]

    assert 0 < moved[0] < moved[1] < moved[2]
    assert moved[0] < 0.15 * np.abs(fit_weights(lessons, ridge=1e-6) - PRIOR)[:3].sum()


def test_known_weights_are_the_same_as_scores_already_there(lessons):
    """Staying near weights is fitting what is missing from their scores."""
    few = lessons[:40]
    offset = [replace(lesson, offset=lesson.features @ PRIOR) for lesson in few]

    assert fit_weights(few, prior=PRIOR) == pytest.approx(PRIOR + fit_weights(offset), abs=1e-6)


def test_a_feature_may_be_in_any_unit(lessons):
    """Minutes instead of hours, with weights to match, change no score."""
    unit = np.array([60.0, 1.0, 0.01, 1.0])
    few = lessons[:40]
    other = [replace(lesson, features=lesson.features * unit) for lesson in few]

    assert fit_weights(other, prior=PRIOR / unit) * unit == pytest.approx(fit_weights(few, prior=PRIOR), abs=1e-6)


def test_one_candidate_does_not_turn_a_rare_feature_round(lessons):
    """A feature that one candidate of hundreds has is held like any other."""
    features = [np.column_stack([lesson.features[:, :2], np.zeros(12)]) for lesson in lessons[:60]]
    features[0][lessons[0].culprit, 2] = 1.0
    rare = [Lesson(features=f, culprit=lesson.culprit) for f, lesson in zip(features, lessons[:60], strict=True)]
    prior = np.array([2.0, -1.0, -2.0])
    loose, held = (fit_weights(rare, ridge=10, prior=prior, least_scale=least)[2] for least in (0.0, 0.25))

    assert -2.0 < held < 0 < loose


# -- temperature and decisions -----------------------------------------------------------------------------------


def test_scores_far_too_sure_are_cooled_down(lessons):
    """Scores four times too large need a temperature of four."""
    scores = [4 * lesson.features @ [2.0, -1.0, 0.0, 0.0] for lesson in lessons]

    assert fit_temperature(scores, [lesson.culprit for lesson in lessons]) == pytest.approx(4.0, abs=0.4)


def test_every_feature_that_is_weighed_has_one_weight():
    """Fitted or by hand, not both."""
    shipped = scorer.read_weighing()

    assert set(shipped.weights) & set(shipped.by_hand) == set()


def test_chances_are_those_of_the_softmax():
    """They keep the order and add up to one, for scores of any size."""
    scores = [random.Random(3).uniform(-2000, 2000) for _ in range(50)]
    chances = scorer.chances(scores)

    assert sum(chances) == pytest.approx(1)
    assert chances.index(max(chances)) == scores.index(max(scores))


@pytest.mark.parametrize(
    ("chance", "columns", "word"),
    [
        (0.9, {"overlap": [0.5]}, Confidence.LIKELY),
        (0.9, {"overlap": [0.0], "file": [0.4]}, Confidence.LIKELY),
        (0.9, {"overlap": [0.0], "service": [1.0]}, Confidence.INCONCLUSIVE),
        (0.9, {"overlap": [0.0], "service": [1.0], "went_live": [0.5]}, Confidence.LIKELY),
        (0.9, {"overlap": [0.05]}, Confidence.INCONCLUSIVE),
        (0.4, {"overlap": [0.5]}, Confidence.POSSIBLE),
        (0.1, {"overlap": [0.5], "file": [1.0]}, Confidence.INCONCLUSIVE),
    ],
)
def test_the_word_needs_both_a_chance_and_a_link(chance, columns, word):
    """Sure but unrelated names nobody; related but unsure is only possible."""
    table = Table(commits=[None], columns=columns)

    assert scorer.decide(table, 0, chance) is word


@pytest.mark.parametrize(
    ("doubt", "word"), [(0.0, "possible"), (0.2, "possible"), (0.3, "inconclusive"), (0.4, "inconclusive")]
)
def test_what_is_hardly_likelier_than_no_commit_is_not_named(doubt, word):
    """It must be half as likely again."""
    table = Table(commits=[None], columns={"overlap": [0.5]})

    assert scorer.decide(table, 0, 0.4, doubt).value == word


def test_a_vote_moves_candidates_against_each_other_only():
    """The voters as a group keep their place against the rest."""
    changed = scorer.with_votes([3.0, 2.0, 1.0], [0, 1], [-3.0, -1.0], 0.5)

    assert changed == [2.5, 2.5, 1.0]
