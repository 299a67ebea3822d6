"""A large Llama's vote on a ranking: who stands for election, whatever the order, and what a vote is worth."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from ranking_repos import NOON, Change

from core.errors import ModelUnavailable
from core.model import Commit, Incident
from ranking.history import open_history
from ranking.labels.cases import Labelled
from ranking.llama import ELECTION_SIZE, WordModel, log_softmax
from ranking.llama.examples import RankedCase
from ranking.ranker import Ranker
from ranking.scorer import Weighing, read_weighing
from ranking.training import Measured
from ranking.votes import VOTED, Ballot, fit_vote, hold_votes, vote

INCIDENT = Incident(id="local:1", title="the walnut cannot be opened", created_at=NOON)
NUTS = ("walnut", "hazel", "cashew", "pecan", "almond")


def commits(count: int) -> list[Commit]:
    return [
        Commit(
            sha=f"{number:040x}",
            repo="shop",
            author="ada",
            author_email="ada@example.org",
            committed_at=NOON - timedelta(hours=number + 1),
            authored_at=NOON - timedelta(hours=number + 1),
            subject=f"Open the {NUTS[number % 5]} of tree {number}",
            body="",
            files=(),
        )
        for number in range(count)
    ]


def ballots(count: int, worth: float, seed: int = 3) -> list[Ballot]:
    """Incidents of 30 candidates, ten of them voted on, whose culprits are drawn as features and votes of such worth say."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        scores, votes = draw.normal(size=30), draw.normal(scale=2.0, size=10)
        truth = scores.copy()
        truth[:10] += worth * (votes - votes.mean())
        chances = np.exp(truth) / np.exp(truth).sum()
        culprit = int(draw.choice(30, p=chances))
        found.append(Ballot(scores=scores, votes=dict(enumerate(votes.tolist())), culprit=culprit))
    return found


class Swayed(WordModel):
    """One whose opinion of each hangs on who else stands, as a language model's does."""

    def vote(self, incident, candidates, *, budget_s):
        super().vote(incident, candidates, budget_s=budget_s)
        company = random.Random(" ".join(sorted(candidates))).random()
        return log_softmax([8 * random.Random(f"{company} {candidate}").random() for candidate in candidates])


class Hurried(WordModel):
    """One that cannot vote in less than three seconds."""

    def vote(self, incident, candidates, *, budget_s):
        found = super().vote(incident, candidates, budget_s=budget_s)
        if budget_s < 3.0:
            raise ModelUnavailable("the ranking model words gave no vote")
        return found


# -- who is voted on ---------------------------------------------------------------------------------------------


def test_the_first_forty_stand_in_rounds_that_one_prompt_holds():
    """Two rounds of twenty, and their winners meet."""
    model = WordModel()
    votes = vote(model, INCIDENT, commits(VOTED + 9), budget_s=9.0)

    assert (len(votes), [len(group) for _, group in model.asked]) == (VOTED, [20, 20, 10])


def test_any_order_of_candidates_gives_the_same_votes():
    """To the last digit, though they meet in rounds."""
    listed = commits(VOTED)
    plain = dict(zip([c.sha for c in listed], vote(Swayed(), INCIDENT, listed, budget_s=9.0), strict=True))
    for seed in range(5):
        mixed = random.Random(seed).sample(listed, len(listed))
        assert dict(zip([c.sha for c in mixed], vote(Swayed(), INCIDENT, mixed, budget_s=9.0), strict=True)) == plain


def test_a_model_too_slow_for_all_votes_on_the_first_twenty():
    """With the time that is left; what fails then is a failure."""
    listed = commits(VOTED)

    assert len(vote(Hurried(), INCIDENT, listed, budget_s=8.0)) == ELECTION_SIZE
    with pytest.raises(ModelUnavailable):
        vote(Hurried(), INCIDENT, listed, budget_s=2.5)


def test_a_long_ranking_is_the_same_in_any_order_of_candidates_and_repositories(make_repo, home):
    """More than twenty, of two repositories, given in any order: the same commits with the same scores."""
    paths, shas = [], []
    for name in ("shop", "mail"):
        changes = [
            Change(hours=60 - n, message=f"Open the {NUTS[n % 5]} {name} {n}", files={f"{n}.py": f"{n}\n"})
            for n in range(18)
        ]
        path, own = make_repo(name, changes)
        paths.append(path)
        shas += own
    found, model = [], Swayed()
    for seed in range(3):
        given, order = random.Random(seed).sample(shas, len(shas)), paths[:: 1 if seed % 2 else -1]
        ranker = Ranker([open_history(path, home=home) for path in order], model=model)
        ranking = ranker.rank(INCIDENT, candidates=given, limit=len(shas))
        found.append([(c.commit.sha, c.score, c.confidence) for c in ranking.culprits])

    assert (len(found[0]), found[1], found[2]) == (36, found[0], found[0])
    assert [len(group) for _, group in model.asked] == [18, 18, 10] * 3


# -- what a vote is worth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("worth", [0.3, 0.8])
def test_a_vote_s_weight_is_found_with_its_interval(worth):
    """The truth that drew the culprits is inside, and that the vote helps is certain."""
    found = fit_vote(ballots(100, worth), 1.0, rounds=40)

    assert found.low < worth < found.high
    assert (found.certain, found.incidents, found.weight) == (True, 100, pytest.approx(worth, abs=0.2))


def test_a_vote_against_the_culprits_counts_nothing():
    """A model that is worse than silence is not turned round: its weight is none."""
    found = fit_vote(ballots(60, -0.8), 1.0, rounds=40)

    assert (found.weight, found.low, found.certain) == (0.0, 0.0, False)


def test_few_incidents_leave_a_vote_in_doubt():
    """Nothing is learned from none, and of a vote that says nothing no certainty from a dozen."""
    assert (fit_vote([], 1.0), fit_vote(ballots(12, 0.0), 1.0, rounds=40).certain) == (None, False)


def test_a_weight_means_what_the_ranking_makes_of_it():
    """The softmax is over scores by temperature: twice of all three is the same."""
    plain = ballots(60, 0.8)
    doubled = [
        replace(one, scores=2 * one.scores, votes={voter: 2 * value for voter, value in one.votes.items()})
        for one in plain
    ]

    assert fit_vote(doubled, 2.0, rounds=1).weight == fit_vote(plain, 1.0, rounds=1).weight


def test_votes_are_held_on_what_the_weights_put_first():
    """On incidents whose culprit is among the candidates, each vote at its candidate's own place."""
    listed = commits(30)
    shas = tuple(commit.sha for commit in listed)
    case = Labelled(id="a", title=INCIDENT.title, created_at=NOON.timestamp(), culprits=(shas[5],))
    one = Measured(
        case=case, shas=shas, columns={"hunk": np.arange(30) / 30}, rows=(5,), repo="shop", gaps=()
    )  # the last is first
    ranked = RankedCase(incident=INCIDENT, ranked=tuple(listed[::-1]), culprits=frozenset(case.culprits))
    weighing, model = Weighing(release="a", weights={"hunk": 1.0}), WordModel()
    found = hold_votes(model, [(one, ranked), (replace(one, rows=()), ranked)], weighing, budget_s=60.0)
    best = max(found[0].votes.values())

    assert (len(found), found[0].culprit, sorted(found[0].votes)) == (1, 5, list(range(30)))
    assert sorted(place for place, value in found[0].votes.items() if value == best) == [0, 5, 10, 15, 20, 25]


def test_the_ranker_counts_a_vote_as_its_weights_say(make_repo, home):
    """Twice the weight moves a score twice as far; none moves nothing."""
    changes = [Change(hours=9 - n, message=f"Open the {NUTS[n]}", files={f"{n}.py": "1\n"}) for n in range(5)]
    path, _ = make_repo("shop", changes)

    def score(weight):
        weighing = read_weighing().model_copy(update={"model_weight": weight})
        ranker = Ranker([open_history(path, home=home)], model=WordModel(), weighing=weighing)
        return {c.commit.sha: c.score for c in ranker.rank(INCIDENT).culprits}

    none, once, twice = score(0.0), score(0.4), score(0.8)
    assert {sha: twice[sha] - none[sha] for sha in none} == pytest.approx(
        {sha: 2 * (once[sha] - none[sha]) for sha in none}
    )
    assert once != none
