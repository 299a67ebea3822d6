"""Which texts hold a question's words side by side."""

from __future__ import annotations

import math

import pytest

from retrieval.beside import side_by_side, skip_bigrams


@pytest.mark.parametrize(
    ("asked", "held", "meet"),
    [
        ("disk full", "the disk is full", True),
        ("disk full", "disk nearly full", True),
        ("disk full", "disk of the broker nearly full", False),
        ("disk full", "full disk", False),
        ("pods restarting", "PodRestarts", True),
        ("kube_pod_status", "Kube: pod", True),
        ("disk full", "disk\nfull", True),
        ("disk\nfull", "disk full", False),
        ("disk", "disk full", False),
        ("disk disk", "disk disk", False),
    ],
)
def test_words_side_by_side_meet_in_their_order(asked: str, held: str, meet: bool):
    """Stemmed, stop words passed over, one word between at most; across the lines of a piece, not of a question."""
    (worth,) = side_by_side(skip_bigrams(asked), [held])

    assert (worth > 0) == meet


@pytest.mark.parametrize("text", ["", "   ", "--- !!!", "the of and", "disk"])
def test_a_text_without_two_words_asks_for_nothing(text: str):
    """And a text without words holds nothing."""
    assert (skip_bigrams(text), side_by_side(skip_bigrams("disk full"), [text])) == (frozenset(), [0.0])


@pytest.mark.parametrize(
    ("text", "count", "stems"),
    [("disk full", 1, 2), ("disk full disk full", 2, 4), ("disk full " + "broker " * 300, 1, 302)],
)
def test_they_weigh_by_bm25(text: str, count: int, stems: int):
    """More often weighs more, in a longer text less."""
    (worth, _) = side_by_side(skip_bigrams("disk full"), [text, "something else"])

    weight = count * 2.2 / (count + 1.2 * (0.25 + 0.75 * stems / 61.4))
    assert worth == pytest.approx(math.log(1 + 1.5 / 1.5) * weight)


def test_what_few_of_the_texts_hold_weighs_more():
    """Among pages that all say "high latency", it is the other pair that tells them apart."""
    texts = ["high latency", "high latency", "etcd leader"]

    first, second, rare = side_by_side(skip_bigrams("high latency\netcd leader"), texts)

    assert first == second < rare
