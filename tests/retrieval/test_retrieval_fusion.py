"""Many lists of pieces into one order of documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.chunk import DEPTH, Seen, View
from retrieval.fusion import LOWEST, also_heard, fuse
from retrieval.sparse import Sparse

NOTHING = Sparse(indices=(), values=())


def view(by: str = "words", weight: float = 1.0) -> View:
    return View(by=by, vector=NOTHING, label=by, weight=weight)  # type: ignore[arg-type]


def seen(*scores: tuple[str, float]) -> list[Seen]:
    """Pieces named document/number, best first."""
    return [Seen(name, ("s", name.split("/")[0]), score) for name, score in scores]


def order(*lists: list[Seen]) -> list[str]:
    return [item.doc_id for item in fuse([view() for _ in lists], lists)]


def test_what_stands_out_in_one_list_beats_what_leads_narrowly_in_two():
    """Distances count, not only places: a clear first by words outweighs a hair's breadth by meaning."""
    by_words = seen(("clear", 20.0), ("near", 5.0), ("c", 4.9), ("d", 4.8))
    by_meaning = seen(("near", 0.501), ("clear", 0.5), ("c", 0.499), ("d", 0.498))

    assert order(by_words, by_meaning)[0] == "clear"


def test_equals_share_a_place_and_the_name_breaks_the_tie():
    """The same input gives the same order, however the engine orders equals."""
    found = fuse([view()], [seen(("b", 1.0), ("a", 1.0), ("c", 0.5))])

    assert [(item.doc_id, item.voices[0].place) for item in found] == [("a", 1), ("b", 1), ("c", 3)]


def test_a_long_document_counts_by_its_best_piece():
    """Forty good sections are one document, shown by the one that all views together like best."""
    by_words = seen(("long/7", 9.0), *((f"long/{number}", 5.0) for number in range(20, 60)), ("short/0", 6.0))
    by_meaning = seen(("long/7", 0.9), ("long/3", 0.91), ("short/0", 0.2))

    (long, short) = fuse([view(), view("meaning")], [by_words, by_meaning])

    assert (long.piece, long.doc_id, short.doc_id, len(long.voices)) == ("long/7", "long", "short", 2)


def test_a_name_does_not_choose_the_section():
    """It is held by the first piece alone, and says nothing about which section answers."""
    found = fuse([view("name"), view("words")], [seen(("a/0", 9.0)), seen(("a/3", 2.0), ("a/0", 1.0))])

    assert [item.piece for item in found] == ["a/3"]


def test_in_a_list_of_three_nobody_stands_out_by_much():
    """A list that ended is measured against strangers: first of three beats nobody, but is far above them."""
    few = fuse([view()], [seen(("a", 3.0), ("b", 2.9), ("c", 2.8))])

    assert [item.score > 0 for item in few] == [True] * 3
    assert few[0].score - few[-1].score < 1


def test_a_view_counts_by_its_weight():
    """Two views that disagree: the heavier decides."""
    lists = [seen(("a", 2.0), ("b", 1.0)), seen(("b", 2.0), ("a", 1.0))]

    found = [fuse([view(weight=one), view(weight=other)], lists)[0].doc_id for one, other in ((2.0, 1.0), (1.0, 2.0))]

    assert found == ["a", "b"]


def test_so_many_as_are_asked_for_are_the_first_of_all():
    """Cutting off changes nothing about those that stay."""
    lists = [seen(*((f"{name}/0", score) for name, score in zip("abcdef", (9.0, 7.0, 7.0, 3.0, 2.0, 1.0), strict=True))), seen(("f/1", 2.0), ("b/0", 1.5))]  # fmt: skip

    assert fuse([view(), view()], lists, 3) == fuse([view(), view()], lists)[:3]


@pytest.mark.parametrize("lists", [[], [[]], [[], []]])
def test_nothing_makes_nothing(lists: list[list[Seen]]):
    """No view, or views that found nothing."""
    assert fuse([view() for _ in lists], lists) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 100)), max_size=DEPTH + 20))
def test_any_list_is_ordered_within_its_bounds(items: list[tuple[int, float]]):
    """Each document once, best first, never below the lowest."""
    listed = sorted((Seen(f"{doc}/{n}", ("s", str(doc)), score) for n, (doc, score) in enumerate(items)), key=lambda item: -item.score)  # fmt: skip

    found = fuse([view()], [listed])

    scores = [item.score for item in found]
    assert (scores == sorted(scores, reverse=True), all(score >= LOWEST for score in scores), len(found)) == (
        True, True, len({doc for doc, _ in items}),
    )  # fmt: skip


SCORED = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 30.0), min_size=1)


@given(st.lists(SCORED, min_size=1, max_size=3), st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 30.0)))
def test_a_view_heard_later_counts_as_if_it_had_been_there(lists: list[dict[str, float]], late: dict[str, float]):
    """The same scores, voices and order; a silent one counts too."""
    found = [seen(*sorted(scores.items(), key=lambda item: -item[1])) for scores in lists]
    known = {item.doc_id for item in fuse([view() for _ in found], found)}
    last = seen(*((name, score) for name, score in sorted(late.items(), key=lambda item: -item[1]) if name in known))
    views, one = [view() for _ in found], view(weight=0.5)

    later = also_heard(fuse(views, found), views, one, last)
    whole = fuse([*views, one], [*found, last])

    assert {item.doc_id: item.voices for item in later} == {item.doc_id: item.voices for item in whole}
    assert {item.doc_id: item.score for item in later} == pytest.approx({item.doc_id: item.score for item in whole})
    assert [item.score for item in later] == sorted((item.score for item in later), reverse=True)


def test_guests_take_no_place_and_are_few():
    """Of what is only listened to, the first so many stay, in their order among the rest."""
    view = View(by="words", vector=(), label="words")
    seen = [Seen(f"p{n}", ("s", f"{kind}{n}"), 9.0 - n) for n, kind in enumerate("grgrg")]
    guests = {item.document for item in seen if item.doc_id.startswith("g")}

    told = [item.doc_id for item in fuse([view], [seen], 1, guests=guests, most_guests=2)]

    assert told == ["g0", "r1", "g2"]
