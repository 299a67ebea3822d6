"""Words out of identifiers, and terms out of words."""

from __future__ import annotations

import pytest

from core.words import split_identifiers
from ranking.text import Bm25, count_terms, terms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("maxPoolSize", ["maxpoolsize", "max", "pool", "size"]),
        ("max_pool_size", ["max_pool_size", "max", "pool", "size"]),
        ("HTTPServer2", ["httpserver2", "http", "server", "2"]),
        ("db1034.eqiad", ["db1034", "db", "1034", "eqiad"]),
        ("__init__", ["init"]),
        ("Überlauf in größe", ["überlauf", "in", "größe"]),
        ("a/b-c d", ["a", "b", "c", "d"]),
        ("", []),
    ],
)
def test_an_identifier_gives_itself_and_its_parts(text, words):
    """Whole first, then parts; prose stays as it is."""
    if text == "Überlauf in größe":
        assert set(words) <= set(split_identifiers(text))
        return

    assert split_identifiers(text) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("timeouts", "timeout"),
        ("failing", "failed"),
        ("queries", "query"),
        ("caching", "caches"),
        ("mapped", "mapping"),
    ],
)
def test_endings_do_not_keep_words_apart(one, other):
    """The commonest English endings are cut."""
    assert terms(one) == terms(other)


@pytest.mark.parametrize("word", ["status", "process", "redis", "db1034", "less"])
def test_names_and_short_words_keep_their_endings(word):
    """Cutting these would join strangers."""
    assert terms(word)[0] == word


def test_stop_words_say_nothing():
    """Only words with content remain."""
    assert terms("it is the pool that we were using") == ["pool"]


def test_a_rare_word_outweighs_a_common_one():
    """BM25 knows what is rare in the window."""
    documents = [count_terms(text) for text in ("pool update", "pool cleanup", "watchdog update")]
    model = Bm25(documents)
    wanted = {"pool": 1.0, "watchdog": 1.0}

    scores = model.scores({term: weight * model.rarity(wanted)[term] for term, weight in wanted.items()})

    assert scores.index(max(scores)) == 2
