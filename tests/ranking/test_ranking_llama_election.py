"""Elections of more candidates than one prompt holds."""

from __future__ import annotations

import math
import random

import pytest
from llama_world import make_llama

from core.errors import ModelUnavailable
from ranking.llama import ELECTION_SIZE, LlamaVoter, WordModel, elect
from ranking.llama.election import log_softmax

INCIDENT = "cache of checkout is broken"


class Strong:
    """A model to which each candidate has the strength of its number; it notes who met, and with what budget."""

    name = "strong"

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], float]] = []

    def vote(self, incident, candidates, *, budget_s):
        self.asked.append((list(candidates), budget_s))
        return log_softmax([float(text.split()[-1]) / 10 for text in candidates])


def numbered(count: int) -> list[str]:
    return [f"change {number}" for number in range(count)]


@pytest.mark.parametrize(("count", "votes"), [(0, 1), (1, 1), (20, 1), (21, 3), (100, 8), (400, 28)])
def test_winners_of_rounds_meet(count, votes):
    """No round is larger than an election; the strongest comes out first, and the order is that of their strength."""
    model = Strong()
    found = elect(model, INCIDENT, numbered(count), budget_s=60)

    assert len(model.asked) == votes
    assert max(len(group) for group, _ in model.asked) <= ELECTION_SIZE
    assert sum(map(math.exp, found)) == pytest.approx(1 if count else 0)
    assert max(range(count), key=found.__getitem__, default=None) == (count - 1 if count else None)


def test_strengths_that_agree_in_every_round_come_out_as_they_are():
    """By Luce's axiom an election in rounds gives what one great prompt would."""
    found = elect(Strong(), INCIDENT, numbered(90), budget_s=60)

    assert found == pytest.approx(log_softmax([number / 10 for number in range(90)]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", ["words", "llama"])
def test_the_order_of_candidates_changes_no_election(seed, model, request):
    """Each keeps its probability to the last digit, wherever it stands."""
    voter = WordModel() if model == "words" else request.getfixturevalue("llama")
    candidates = [f"shop | change the {word} {number}" for number, word in enumerate(["cache", "font", "page"] * 15)]
    other = random.Random(seed).sample(candidates, len(candidates))
    expected = dict(zip(candidates, elect(voter, INCIDENT, candidates, budget_s=60), strict=True))

    assert dict(zip(other, elect(voter, INCIDENT, other, budget_s=60), strict=True)) == expected


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> LlamaVoter:
    return LlamaVoter(make_llama(tmp_path_factory.mktemp("llama"), context=1024, hidden=32), arrangements=1)


def test_who_leaves_stands_below_all_who_beat_it():
    """Whatever the rounds say of each other."""

    class Fickle(Strong):
        """Turns its mind when few are left."""

        def vote(self, incident, candidates, *, budget_s):
            votes = super().vote(incident, candidates, budget_s=budget_s)
            return votes if len(self.asked) < 3 else votes[::-1]

    model = Fickle()
    candidates = numbered(40)
    found = dict(zip(candidates, elect(model, INCIDENT, candidates, budget_s=60), strict=True))
    finalists = model.asked[-1][0]

    assert max(found[text] for text in candidates if text not in finalists) <= min(found[text] for text in finalists)


def test_a_small_election_is_one_vote():
    """The same numbers as `vote`."""
    candidates = ["the cache of checkout", "a font", "a cache"]

    assert elect(WordModel(), INCIDENT, candidates, budget_s=60) == pytest.approx(
        WordModel().vote(INCIDENT, candidates, budget_s=60)
    )


def test_equal_candidates_share_theirs():
    """Each copy gets its part, wherever it stands."""
    found = elect(Strong(), INCIDENT, ["change 1", "change 9", "change 1"], budget_s=60)

    assert found[0] == found[2]
    assert [math.exp(value) for value in found] == pytest.approx(
        [
            math.exp(0.1) / 2 / (math.exp(0.1) + math.exp(0.9)),
            math.exp(0.9) / (math.exp(0.1) + math.exp(0.9)),
            math.exp(found[0]),
        ]
    )


def test_each_vote_gets_its_share_of_the_time():
    """So the first ones cannot use up what the last ones need."""
    model = Strong()
    elect(model, INCIDENT, numbered(100), budget_s=80)

    assert [round(budget) for _, budget in model.asked] == [10, 11, 13, 16, 20, 27, 40, 80]


def test_an_election_without_time_is_none(llama):
    """Half an election would be unfair."""
    with pytest.raises(ModelUnavailable, match="gave no vote"):
        elect(llama, INCIDENT, numbered(30), budget_s=0.0)
