"""From features to probabilities: the weights' file, and the doubt whether any commit did it."""

from __future__ import annotations

import json
import math

import pytest
from ranking_repos import NOON, Change

from core.errors import UsageError
from core.model import Confidence, Incident
from ranking import scorer
from ranking.features import Table
from ranking.history import open_history
from ranking.ranker import Ranker
from ranking.scorer import Weighing, read_weighing

INCIDENT = Incident(id="local:4", title="guests cannot pay in the shop", created_at=NOON)
CHANGES = [
    Change(hours=3, message="Let guests pay later", files={"shop/pay.py": "1\n"}),
    Change(hours=2, message="Paint the door", files={"door.py": "1\n"}),
]
#: No commit, surely.
NEVER = {"constant": 30.0}


@pytest.fixture(name="history")
def _history(make_repo, home):
    return open_history(make_repo("shop", CHANGES)[0], home=home)


def test_what_ships_can_be_read_and_says_what_it_was_fitted_to():
    """Every weight is finite; a person can look up the data."""
    shipped = read_weighing()

    assert all(abs(weight) < 100 for weight in shipped.weights.values())
    assert shipped.notes


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"release": "x"}', '{"release": "x", "weights": {"hunk": "much"}}', '{"weights": {}, "more": 1}'],
)
def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path, content):
    """The message says which file, and how to get a good one."""
    path = tmp_path / "weights.json"
    path.write_text(content)

    with pytest.raises(UsageError, match=r"weights\.json.*rundown train ranker"):
        read_weighing(path)


def test_weights_survive_being_written(tmp_path):
    """What is read is what was there."""
    path = tmp_path / "weights.json"
    weighing = Weighing(release="a", weights={"hunk": 1.5}, by_hand={"service": 2.0}, doubt={"constant": -2.0})
    path.write_text(json.dumps(weighing.model_dump()))

    assert read_weighing(path) == weighing


@pytest.mark.parametrize(
    ("columns", "share"),
    [({"paged": [1.0, 1.0]}, 0.5), ({"paged": [0.25, 0.25]}, 0.875), ({}, 1.0), ({"paged": []}, 1.0)],
)
def test_words_say_less_the_more_an_incident_is_told_as_a_page(columns, share):
    """What was fitted to words counts a share of itself there; what was set by hand counts whole."""
    weighing = Weighing(release="a", weights={"hunk": 2.0}, by_hand={"service": 1.5}, told_share=0.5)

    assert weighing.of({"hunk": [1.0, 0.5], **columns}) == {"hunk": 2.0 * share, "service": 1.5}


@pytest.mark.parametrize(("paged", "more"), [(1.0, 1.0), (0.25, 0.25), (0.0, 0.0)])
def test_what_pages_taught_is_added_the_more_an_incident_is_told_as_one(paged, more):
    """To weights of either kind, and to what no label weighs."""
    told = {"hunk": -0.4, "service": 0.8, "overlap": 0.2}
    weighing = Weighing(release="a", weights={"hunk": 2.0}, by_hand={"service": 1.5}, told=told)

    found = weighing.of({"paged": [paged]})

    assert found == pytest.approx({"hunk": 2.0 - 0.4 * more, "service": 1.5 + 0.8 * more, "overlap": 0.2 * more})


def test_weights_of_an_earlier_release_count_as_they_did():
    """A team's own file has what is added before a page beside what was set by hand."""
    before = {"release": "a", "weights": {"recent": 0.2}, "by_hand": {"service": 1.0, "recent_told": 0.4}}
    weighing = Weighing.model_validate(before)

    assert weighing.of({"paged": [0.5]}) == pytest.approx({"recent": 0.4, "service": 1.0})
    assert Weighing.model_validate(weighing.model_dump()) == weighing


def test_weights_that_know_no_doubt_have_none():
    """Probabilities are then those of the softmax alone."""
    assert scorer.doubted(Table(commits=[], columns={}), [1.0], {}) == 0.0


@pytest.mark.parametrize(("sign", "weak", "strong"), [("overlap", 0.1, 0.9), ("closeness", 0.2, 0.8)])
def test_weak_signs_make_doubt(sign, weak, strong):
    """With a negative weight, more of a sign is less doubt."""

    def doubt(value):
        table = Table(commits=[None], columns={sign: [value]})
        return scorer.doubted(table, [0.0], {"constant": 1.0, sign: -5.0})

    assert doubt(weak) > doubt(strong)


@pytest.mark.parametrize(
    ("found", "spread", "ahead"),
    [
        ([2.0, 2.0, 2.0, 2.0], math.log(4), 0.0),
        ([40.0, 0.0, 0.0, 0.0], 0.0, math.sqrt(3)),
        ([1.0], 0.0, 0.0),
        ([], 0.0, 0.0),
    ],
)
def test_how_the_scores_lie_is_a_sign(found, spread, ahead):
    """Over how many the probability spreads, and how far the first stands out; all alike is no sign of anyone."""
    signs = scorer.signs(Table(commits=[None] * len(found)), found)

    assert (signs["spread"], signs["ahead"]) == (pytest.approx(spread, abs=1e-9), pytest.approx(ahead))


def test_every_sign_that_ships_is_measured():
    """A doubt in a sign nobody measures would count nothing, silently; of earlier releases' signs all are but "loose"."""
    measured = scorer.signs(Table(commits=[]), [])

    assert sorted({*read_weighing().all_doubt, "score", "outside"} - measured.keys()) == []


def confidences(found, doubt=0.0, **columns):
    """By what ships, for three candidates."""
    table = Table(commits=[], columns={"closeness": [0.38] * len(found), **columns})
    return scorer.confidences(table, found, read_weighing(), doubt)


@pytest.mark.parametrize("found", [[3.0, 1.0, 0.0], [0.2, 0.1, 0.0], [9.0, 8.9, -3.0], [2.0, 2.0, 0.0]])
@pytest.mark.parametrize("doubt", [0.0, 0.3, 0.9])
def test_what_a_lead_is_worth_changes_no_order(found, doubt):
    """Chances stay in the order of the scores and add up to what the doubt leaves, whatever the first one's becomes."""
    told = confidences(found, doubt, paged=[1.0] * 3, closeness=[0.7, 0.2, 0.2])

    assert sorted(told, reverse=True) == told
    assert math.fsum(told) == pytest.approx(1 - doubt)


def test_a_lead_by_meaning_is_believed_less_the_more_it_is_a_page():
    """A page's symptom is what bystanders speak of. Told as a repair, the lead was fitted to such, and stands."""
    told = [confidences([3.0, 1.0, 0.0], paged=[paged] * 3, closeness=[0.7, 0.2, 0.2])[0] for paged in (0.0, 0.5, 1.0)]
    far = confidences([3.0, 1.0, 0.0], paged=[1.0] * 3, closeness=[0.2, 0.2, 0.2])[0]

    assert sorted(told, reverse=True) == told
    assert told[0] == confidences([3.0, 1.0, 0.0])[0]
    assert told[2] < far


def test_doubt_takes_its_part_of_every_chance_and_one_more_hopeless_candidate_next_to_nothing():
    """What a lead is worth is its share among the candidates: whether any did it is another question."""
    paged, near = [1.0] * 4, [0.5, 0.2, 0.2, 0.2]
    plain, doubted = (confidences([3.0, 2.0, 1.0, -9.0], doubt, paged=paged, closeness=near) for doubt in (0.0, 0.4))
    surely = confidences([3.0, 2.0, 1.0, -9.0], 1.0, paged=paged, closeness=near)

    assert doubted == pytest.approx([0.6 * chance for chance in plain])
    assert surely == [0.0] * 4
    assert plain[3] < 0.01


def test_without_the_small_llama_a_lead_is_worth_the_usual():
    """Its column is missing then: as if it had said what it says on average."""
    found, paged = [3.0, 1.0, 0.0], [1.0] * 3
    table = Table(commits=[], columns={"paged": paged})
    usual = confidences(found, paged=paged, closeness=[0.4, 0.0, 0.0])

    assert scorer.confidences(table, found, read_weighing(), 0.0) == pytest.approx(usual)


def test_a_lead_is_worth_more_the_better_its_change_would_explain_the_page():
    """As it was read beside it, and the more it is said of it than of any other; where nothing was read nothing is added."""
    found, paged = [3.0, 1.0, 0.0], [1.0] * 3
    told = [confidences(found, paged=paged, cause=[odds, -4.0, -4.0])[0] for odds in (-4.0, 0.0, 4.0)]

    assert sorted(told) == told
    assert confidences(found, paged=paged, cause=[0.0] * 3) == confidences(found, paged=paged)


def test_what_would_explain_a_page_is_linked_to_it_without_a_word_in_common():
    """Whoever lowers a limit says nothing of what runs into it."""
    bare = {"overlap": [0.0, 0.0]}

    assert scorer.linked(Table(commits=[], columns={**bare, "cause": [2.0, -1.0]}), 0)
    assert not scorer.linked(Table(commits=[], columns={**bare, "cause": [2.0, -1.0]}), 1)
    assert not scorer.linked(Table(commits=[], columns=bare), 0)


def test_the_doubt_is_less_where_a_change_would_explain_a_page():
    """Unless that change is ruled out: what was rolled back before explains nothing."""
    columns = {"cause": [3.0, -2.0], "rolled_back": [0.0, 0.0]}
    out = {"cause": [3.0, -2.0], "rolled_back": [1.0, 0.0]}
    told, ruled_out = (scorer.signs(Table(commits=[None] * 2, columns=c), [1.0, 0.0])["cause"] for c in (columns, out))

    assert (told, ruled_out, read_weighing().all_doubt["cause"] < 0) == (3.0, -2.0, True)


def test_weights_that_do_not_know_what_a_lead_is_worth_believe_it():
    """As those that a team trained with an earlier release."""
    table = Table(commits=[], columns={"paged": [1.0, 1.0], "closeness": [0.9, 0.0]})

    assert scorer.confidences(table, [2.0, 0.0], Weighing(release="old", weights={}), 0.1) == pytest.approx(
        [0.9 * chance for chance in scorer.chances([2.0, 0.0])]
    )


def test_a_doubted_ranking_names_nobody(history):
    """The order stays; the confidence goes, and with it the word."""
    sure = Weighing(release="s", weights=read_weighing().weights)
    doubting = sure.model_copy(update={"doubt": NEVER})
    before, after = (Ranker([history], weighing=weighing).rank(INCIDENT) for weighing in (sure, doubting))

    assert [c.commit.sha for c in after.culprits] == [c.commit.sha for c in before.culprits]
    assert (after.confidence, round(after.culprits[0].confidence, 6)) == (Confidence.INCONCLUSIVE, 0.0)


def test_whoever_asks_about_the_last_commits_knows_that_one_did_it(history):
    """A window of commits, as a bisecting person gives it, is not doubted."""
    weighing = Weighing(release="s", weights=read_weighing().weights, doubt=NEVER)
    ranking = Ranker([history], weighing=weighing).rank(INCIDENT, window_commits=2)

    assert sum(culprit.confidence for culprit in ranking.culprits) == pytest.approx(1)
