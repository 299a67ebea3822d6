"""Words that stand side by side in an incident and in a commit."""

from __future__ import annotations

import pytest
from ranking_repos import NOON, Change

from core.model import Incident
from ranking.history import open_history
from ranking.lexicon import Lexicon, Pairs
from ranking.ranker import Ranker
from ranking.text import neighbours, terms, terms_and_ends

#: The same words in all but one, everywhere but in that one far apart; each brings a word of its own.
WORLD = [
    Change(hours=9, message="Tune the pool", files={"a.py": "storage = 1\n\nremote = 2\n"}),
    Change(hours=8, message="Tune the pool", files={"b.py": "remote storage\n"}),
    Change(hours=7, message="Tune the pool\n\nNo remote here.\n\nStorage stays.", files={"c.py": "1\n"}),
    Change(hours=6, message="Tune the pool for the remote storage", files={"d.py": "1\n"}),
    Change(hours=5, message="Tune the pool", files={"remote/storage.py": "1\n"}),
    Change(hours=4, message="Tune the pool", files={"e.py": "1\n"}),
]


@pytest.fixture(name="survey")
def _survey(make_repo, home):
    path, ids = make_repo("shop", WORLD)
    ranker = Ranker([open_history(path, home=home)])

    def ask(title: str) -> dict[str, tuple[float, str]]:
        survey = ranker.survey(Incident(id="1", title=title, created_at=NOON))
        column, notes = survey.table.column("side_by_side"), survey.table.notes
        rows = {commit.sha: row for row, commit in enumerate(survey.commits)}
        return {
            name: (column[rows[sha]], notes.get(("side_by_side", rows[sha]), ""))
            for name, sha in zip("abcdef", ids, strict=True)
        }

    return ask


def test_words_count_where_they_stand_side_by_side(survey):
    """In a changed line, a sentence or a path; not across lines or paragraphs, nor with other words between."""
    found = survey("errors in remote storage")

    assert [name for name, (worth, _) in found.items() if worth > 0] == ["b", "d", "e"]
    assert {note for _, note in found.values() if note} == {"remote storage"}


def test_the_order_of_the_two_words_counts(survey):
    """ "storage remote" is another thing."""
    assert all(worth == 0 for worth, _ in survey("storage remote").values())


def test_a_sentence_of_the_incident_ends_a_pair(survey):
    """What is only brought together by a full stop is no pair."""
    assert all(worth == 0 for worth, _ in survey("we lost remote. Storage is fine").values())


def test_an_identifier_is_told_as_itself(survey):
    """It and its first part are no two words."""
    assert survey("remote_storage fails")["b"][1] == "remote storage"
    assert survey("StorageRemote fails")["b"] == (0.0, "")


def test_rarer_pairs_are_worth_more(make_repo, home):
    """A pair that one candidate holds outweighs one that all hold."""
    path, ids = make_repo(
        "shop", [Change(hours=9 - n, message="update the build", files={"x": str(n)}) for n in range(5)]
    )
    rare, _ = make_repo("api", [Change(hours=2, message="lost the queue", files={"y": "1"})])
    ranker = Ranker([open_history(path, home=home), open_history(rare, home=home)])

    survey = ranker.survey(Incident(id="1", title="lost queue after update build", created_at=NOON))

    worth = {commit.repo: survey.table.column("side_by_side")[row] for row, commit in enumerate(survey.commits)}
    assert worth["api"] > 2 * worth["shop"] > 0, (worth, len(ids))


def test_the_card_says_which(make_repo, home):
    """The reason names the words as the incident spells them, where few have them."""
    others = [Change(hours=3 - n / 9, message="Tune the pool", files={f"{n}.py": "1\n"}) for n in range(9)]
    path, ids = make_repo("shop", [*WORLD, *others])
    ranking = Ranker([open_history(path, home=home)]).rank(
        Incident(id="1", title="Remote Storage answers nothing", created_at=NOON), window_commits=30
    )

    told = {culprit.commit.sha: [reason.text for reason in culprit.reasons] for culprit in ranking.culprits}
    assert "says “Remote Storage”, as the incident does" in told[ids[3]]


def test_pairs_are_those_of_neighbours():
    """Every pair is found again, none that is not there or reaches across an end, however many."""
    stretches = [terms("max pool size is too small for the remote storage"), terms("remote pool")]
    pairs = Pairs([*stretches[0], "", *stretches[1]])

    assert all(pair in pairs for pair in neighbours(stretches))
    assert [pair in pairs for pair in (("pool", "max"), ("storag", "remot"), ("small", "pool"))] == [False] * 3
    assert ("pool", "size") not in Pairs([])


def test_places_that_changed_apart_are_no_neighbours(make_repo, home):
    """The last word of one place and the function that the next is in stand in no line together."""
    rest = "".join(f"    keep({number})\n" for number in range(9))
    before = f"first = 1\nremote\ndef storage(size):\n{rest}    last = 1\n"
    after = before.replace("first = 1", "first = 2").replace("last = 1", "last = 2")
    path, (_, sha) = make_repo(
        "shop",
        [
            Change(hours=9, message="Begin", files={"a.py": before}),
            Change(hours=8, message="Tune", files={"a.py": after}),
        ],
    )
    history = open_history(path, home=home)
    history.refresh()
    found, gaps = Lexicon().lines(history, history.last_commits_before(NOON, 1), stop_after_s=9)

    assert ([len(found[sha].hunks), gaps], {"remot", "def"} <= found[sha].whole.keys()) == ([2, []], True)
    assert [pair in found[sha].pairs for pair in (("remot", "def"), ("def", "storag"))] == [False, True]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "maxPoolSize = 4\n\n# the_end of it\r\n\tretry()", "db1034\n\n", "one line", "Straße\u2028ends\n"],
)
def test_terms_of_many_lines_are_those_of_each(text):
    """Read in one go, with an empty term at each end, they are what they are line by line."""
    lines: list[list[str]] = [[]]
    for term in terms_and_ends(text):
        if term:
            lines[-1].append(term)
        else:
            lines.append([])

    assert lines == [terms(line) for line in text.split("\n")]
