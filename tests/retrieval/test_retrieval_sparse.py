"""Words, names and what a question is about."""

from __future__ import annotations

import pytest

from retrieval.sparse import encode_piece, encode_query, gist, identifiers, spoken, stems


@pytest.mark.parametrize(
    ("asked", "held", "meet"),
    [
        ("kube_pod_container_status", "KubePodCrashLooping", True),
        ("maxPoolSize", "the pool size", True),
        ("db1034 is down", "DB1034", True),
        ("restarting pods", "restart the pod", True),
        ("kube_pod_status", "kube_pod_status is 1", True),
        ("the and of", "the and of", False),
        ("disk", "certificate", False),
        ("größe_des_puffers", "Puffers", True),
    ],
)
def test_identifiers_meet_in_their_parts(asked: str, held: str, meet: bool):
    """A question and a piece share a word if any part of an identifier is the same, whatever its case or ending."""
    shared = set(encode_query(asked).indices) & set(encode_piece(held).indices)

    assert bool(shared) == meet


def test_a_question_counts_each_word_once():
    """Repeating a label does not make it more wanted."""
    assert encode_query("disk disk disk") == encode_query("disk")


def test_a_rarer_mention_in_a_longer_piece_weighs_less():
    """BM25: the same word weighs less in a longer text."""
    (word,) = encode_query("disk").indices
    short, long = (
        dict(zip(found.indices, found.values, strict=True))
        for found in map(encode_piece, ("disk", "disk " + "broker " * 300))
    )

    assert short[word] > long[word]


@pytest.mark.parametrize("text", ["", "   ", "--- !!!", "the of and"])
def test_a_text_without_words_has_an_empty_vector(text: str):
    """Nothing to look for, and nothing fails."""
    assert encode_query(text).indices == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("KubePodNotReady > Meaning", "kube pod not ready > Meaning"),
        ("HTTPServer2 is down", "http server 2 is down"),
        ("Plain words stay", "Plain words stay"),
        ("snake_case and kebab-case", "snake case and kebab-case"),
        ("Größe der ÜberGabe", "Größe der über gabe"),
    ],
)
def test_identifiers_are_said_as_a_person_would(text: str, said: str):
    """Only identifiers change; prose keeps its case."""
    assert spoken(text) == said


def test_the_gist_of_an_expression_is_its_words():
    """No operators, no repeated labels, in order."""
    promql = 'sum by (job) (rate(http_requests_total{job="api",code=~"5.."}[5m])) / sum by (job) (rate(x[5m])) > 0.05'

    assert gist(promql) == "sum by job rate http requests total api code 5 m x 0 05"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("KubePodCrashLooping fires", {"kubepodcrashlooping"}),
        ("error KFK-4711 on db1034", {"kfk-4711", "db1034"}),
        ("kube_pod_status{x}", {"kube_pod_status"}),
        ("ec2 v1 plain words", set()),
    ],
)
def test_names_are_identifiers_too_particular_to_be_shared_by_chance(text: str, names: set[str]):
    """Of several parts and at least five letters."""
    assert (identifiers(text), identifiers(text, frozenset({"not-1", *sorted(names)[1:]}))) == (
        names, frozenset(sorted(names)[1:]),
    )  # fmt: skip


def test_stems_come_in_reading_order_identifiers_in_parts():
    """As `encode_query` numbers them; stop words have none, and what is said twice comes twice."""
    words = ("kube", "pod", "restarts", "disk", "pod")

    assert stems("KubePodRestarts: the disk of pods") == [encode_query(word).indices[0] for word in words]
