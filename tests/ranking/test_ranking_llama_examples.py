"""Lists to learn from: who is in them, who never is, and what is taken out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from llama_world import MAY, made_up
from ranking_repos import NOON, Change

from core.errors import CaseError
from core.model import Commit, Incident
from ranking.history import open_history
from ranking.llama.examples import (
    Example,
    RankedCase,
    digest_of_examples,
    make_examples,
    ranked_examples,
    read_examples,
    read_texts,
    write_examples,
    write_texts,
)
from ranking.llama.pretrain import commit_texts

INCIDENT = Incident(id="local:1", title="the pool is exhausted", description="password: hunter2hunter2", created_at=MAY)


def commit(number: int, *, hours: float = 1.0) -> Commit:
    at = MAY - timedelta(hours=hours)
    return Commit(
        sha=f"{number:040x}",
        repo="shop",
        author="ada",
        author_email="ada@example.org",
        authored_at=at,
        committed_at=at,
        subject=f"change {number}",
    )


def case(*, ranked: int = 60, culprits: tuple[int, ...] = (30,), late: tuple[int, ...] = ()) -> RankedCase:
    commits = tuple(commit(number, hours=-1.0 if number in late else 1.0) for number in range(ranked))
    return RankedCase(incident=INCIDENT, ranked=commits, culprits=frozenset(f"{number:040x}" for number in culprits))


def told(number: int) -> str:
    return f"shop | change {number}"


def test_every_list_holds_the_culprit_and_wrong_ones_most_of_them_hard():
    """2 to 20 candidates, each once, in any order; of the wrong ones 7 in 10 or more from the first stage's best."""
    examples = list(make_examples([case()], seed=1, lists=200, none_share=0.0))
    best = {told(number) for number in range(41)}
    wrong = [text for example in examples for text in example.candidates if text != told(30)]

    assert {example.candidates[example.culprit] for example in examples} == {told(30)}
    assert [example for example in examples if len(set(example.candidates)) != len(example.candidates)] == []
    assert {len(example.candidates) for example in examples} == set(range(2, 21))
    assert {example.culprit for example in examples} == set(range(20))
    assert 0.7 < sum(text in best for text in wrong) / len(wrong) < 0.95


def test_some_lists_leave_the_culprit_out():
    """Then none of them is the answer; no other culprit of the incident stays in."""
    examples = list(make_examples([case(culprits=(3, 5))], seed=1, lists=300, none_share=0.3))
    without = [example for example in examples if example.culprit is None]

    assert 60 < len(without) < 120
    assert {text for example in without for text in example.candidates} & {told(3), told(5)} == set()


def test_an_incident_that_no_change_caused_teaches_that():
    """All its lists have no culprit; one whose culprit is not among the candidates teaches nothing."""
    nobody = make_examples([case(culprits=())], seed=1, lists=9)
    unknown = make_examples([case(culprits=(1000,))], seed=1, lists=9)

    assert ([example.culprit for example in nobody], list(unknown)) == ([None] * 9, [])


@pytest.mark.parametrize("make", [lambda cases: make_examples(cases, seed=1, lists=50), ranked_examples])
def test_nothing_later_than_the_incident_is_ever_listed(make):
    """Not even at its very second, wherever the first stage may have put it; a culprit that is later is none."""
    late = tuple(range(0, 60, 2))
    texts = {text for example in make([case(culprits=(31,), late=late)]) for text in example.candidates}
    at_the_second = replace(case(ranked=3), ranked=tuple(commit(number, hours=0.0) for number in range(3)))

    assert texts
    assert texts & {told(number) for number in late} == set()
    assert list(make([at_the_second])) == []


def test_the_second_pass_reads_what_a_vote_reads():
    """The first 20 as ranked; a culprit the first stage missed is none of them."""
    found = list(ranked_examples([case(culprits=(7,)), case(culprits=(30,))]))

    assert [(example.candidates, example.culprit) for example in found] == [
        (tuple(told(number) for number in range(20)), 7),
        (tuple(told(number) for number in range(20)), None),
    ]


def test_the_same_seed_gives_the_same_lists_whatever_other_cases_there_are():
    """So adding one incident to a training set changes no other's lists."""
    other = replace(case(), incident=replace(INCIDENT, id="local:2"))
    alone, among = list(make_examples([case()], seed=1)), list(make_examples([other, case()], seed=1))

    assert alone == among[-len(alone) :]
    assert alone != list(make_examples([case()], seed=2))


def test_no_secret_reaches_an_example_or_a_file(tmp_path):
    """Of the incident, of a commit, and of an example made by hand."""
    leaky = replace(commit(0), body="api_key = sk_live_4eC39HqLyjWDarjtT1zdp7dc")
    examples = list(make_examples([replace(case(), ranked=(leaky, *case().ranked[1:]))], seed=1, lists=20))
    by_hand = Example(incident="token: hunter2hunter2x", at=MAY, candidates=("password=hunter2hunter2",), culprit=0)
    write_examples(tmp_path / "examples.jsonl", [*examples, by_hand])
    write_texts(tmp_path / "texts.jsonl", ["password: hunter2hunter2"])
    written = (tmp_path / "examples.jsonl").read_text() + (tmp_path / "texts.jsonl").read_text()

    assert "[redacted:" in written
    assert [secret for secret in ("hunter2", "sk_live") if secret in written + str(examples)] == []


def test_examples_come_back_from_a_file_as_they_were(tmp_path):
    """With the same digest, which another list changes."""
    examples = [*made_up(3, 1), replace(made_up(1, 2)[0], culprit=None)]
    count = write_examples(tmp_path / "deep" / "examples.jsonl", examples)
    back = read_examples(tmp_path / "deep" / "examples.jsonl")

    assert (count, back, digest_of_examples(back)) == (4, examples, digest_of_examples(examples))
    assert digest_of_examples(back[:3]) != digest_of_examples(back)


GOOD = '{"incident": "x", "at": 1, "candidates": ["a", "b"], "culprit": 1}'


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Invalid JSON"),
        ('{"incident": "private words", "at": 1, "candidates": []}', "at least 1 item"),
        (GOOD.replace("1}", "2}"), "the culprit is candidate 2 of 2"),
        (GOOD.replace("1}", '"first"}'), "valid integer"),
        (f'{{"incident": "x", "at": 1, "candidates": {["a"] * 21}}}'.replace("'", '"'), "at most 20 items"),
    ],
)
def test_a_bad_line_is_named_without_its_words(tmp_path, line, why):
    """File, line and reason; an incident may be private."""
    (tmp_path / "bad.jsonl").write_text(f"{GOOD}\n\n{line}\n")

    with pytest.raises(CaseError, match=f"cannot learn from the line at .*bad.jsonl:3: .*{why}") as refused:
        read_examples(tmp_path / "bad.jsonl")
    assert "private words" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    """For examples and for texts."""
    with pytest.raises(CaseError, match=r"cannot read '.*nothing.jsonl'"):
        read_examples(tmp_path / "nothing.jsonl")
    with pytest.raises(CaseError, match=r"cannot read '.*nothing.jsonl'"):
        list(read_texts(tmp_path / "nothing.jsonl"))


def test_commit_texts_end_before_a_moment(make_repo, home):
    """Every commit until then, however long nothing happened; none at that moment or after it."""
    path, _ = make_repo(
        "shop",
        [
            Change(hours=30_000, message="Begin\n\nWith a reason.", files={"a.py": "1\n"}),
            Change(hours=2, message="Tidy the pool", files={"db/pool.py": "2\n"}),
            Change(hours=0, message="At the very second", files={"b.py": "3\n"}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()

    assert list(commit_texts([history], before=NOON)) == [
        "shop | Tidy the pool | db/pool.py",
        "shop | Begin | a.py | With a reason.",
    ]
