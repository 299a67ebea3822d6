"""Nothing that names the culprit survives the scrubbing, whatever stands around it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import Commit
from ranking.labels.scrub import scrub

SHA = "0123abc4567890def0123abc4567890def012345"
CHANGE = "I9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"
LANDED = datetime(2024, 5, 1, tzinfo=UTC)


def commit(
    subject="pool: keep idle connections for reuse", author="Ada Lovelace", email="alovelace@example.org", body=""
):
    return Commit(
        sha=SHA,
        repo="shop",
        author=author,
        author_email=email,
        authored_at=LANDED,
        committed_at=LANDED,
        subject=subject,
        body=body,
    )


def left(message: str, culprit: Commit | None = None) -> str:
    subject, _, body = message.partition("\n")
    return "\n".join(part for part in scrub(subject, body, culprit or commit()) if part)


SYMPTOM = "Checkout answers 500 for every second customer since noon."


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f'Revert "pool: keep idle connections for reuse"\n\nThis reverts commit {SHA}.\n\n{SYMPTOM}', SYMPTOM),
        (f"Revert it\n\nThis reverts commit {SHA}, {SYMPTOM}", f"Revert it\n{SYMPTOM}"),
        (
            f"Reverts: o/shop#12\nInitiated by: bob\nReason for reverting: {SYMPTOM}\nOriginal PR Author: ada\nReviewed By: {{eve}}",
            SYMPTOM,
        ),
        (f"<!-- start_revert_reason -->\n{SYMPTOM}\n<!-- end\nof it -->\nPiperOrigin-RevId: 123", SYMPTOM),
        (f"Reason for revert: {SYMPTOM}\n\nFailure Link: ci/7\n\nReview URL: codereview/5", SYMPTOM),
        (
            f"This reverts commit {SHA}, reversing\nchanges made to 0123abc456789.\n\n{SYMPTOM}",
            SYMPTOM,
        ),
        (
            f"{SYMPTOM}\n\nReason for revert: carts broken\n\nOriginal change's description:\n> keep idle\n> {SHA}",
            f"{SYMPTOM}\ncarts broken",
        ),
        (
            f'{SYMPTOM}\n\nFixes: 0123abc45678 ("pool: keep idle\nconnections for reuse")\nSigned-off-by: Bob <b@x.org>',
            SYMPTOM,
        ),
        (f"{SYMPTOM}\n\nThis was introduced by 0123abc456.", SYMPTOM),
        (f"{SYMPTOM}\n\nSince commit 0123abc456 (pool: keep idle), sockets pile up.", f"{SYMPTOM}\nsockets pile up."),
        (f"{SYMPTOM}\n\nThe offending patch is known.", SYMPTOM),
        (f"{SYMPTOM}\n\nIdle connections were kept in the pool for reuse.", SYMPTOM),
        (f"{SYMPTOM}\n\nCc: stable@vger.example.org\nThis should be backported to 4.2.", SYMPTOM),
        (f"{SYMPTOM}\n\nSee https://tickets.example.org/SHOP-12 and SHOP-12, bug 4711, #99, T123456.", SYMPTOM),
        (f"{SYMPTOM}\n\nAda Lovelace saw the pager first, thanks Ada.", f"{SYMPTOM}\nsaw the pager first, thanks."),
    ],
)
def test_what_names_the_culprit_goes_and_the_symptom_stays(message, expected):
    """One way of naming it a row."""
    assert left(message) == expected


@pytest.mark.parametrize("clue", ["UTF-8", "SHA-256", "4294967295", "0x7f3a12b9", "db1034", "max_conns=20", "HTTP/2"])
def test_clues_that_look_like_names_stay(clue):
    """Standards, sizes, addresses and hosts are what an alert is made of."""
    assert left(f"Encoding {clue} makes the worker crash at once, every time.") == (
        f"Encoding {clue} makes the worker crash at once, every time."
    )


def test_a_wrapped_paragraph_becomes_whole_sentences():
    """And lists and logs keep their lines."""
    body = "Checkout answers 500 for every second customer since\nnoon. It recovers by itself.\n\n  error: no pool\n  error: no db"

    assert scrub("", body, commit()) == (
        "Checkout answers 500 for every second customer since noon.",
        "It recovers by itself.\nerror: no pool\nerror: no db",
    )


def test_a_long_first_sentence_goes_on_below_the_title():
    """A title stays a title."""
    title, rest = scrub("word " * 80, "", commit())

    assert (len(title) <= 200, f"{title} {rest}".split()) == (True, ["word"] * 80)


WORDS = st.sampled_from(
    [
        "the",
        "pool",
        "leaks",
        "idle",
        "sockets",
        "when",
        "broken",
        "by",
        "load",
        "and",
        "keep",
        "connections",
        "for",
        "reuse",
        "after",
        "deploy",
        "fails",
    ]
)
PROSE = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
GLUE = st.sampled_from([" ", "\n", ". ", ", ", " (", ") ", '"', "\n\n", "\n> ", ": ", "; ", " - ", "\n  "])
SUBJECTS = st.lists(WORDS, min_size=2, max_size=14, unique=True).map(" ".join)
NAMES = st.sampled_from(["Ada Lovelace", "Jean-Luc Ünal", "hashar", "O'Neil Mary", "C. Babbage"])


@st.composite
def leaky_messages(draw):
    """A culprit, and a message that names it in every way, in any order, glued together anyhow."""
    subject, author = draw(SUBJECTS), draw(NAMES)
    length = draw(st.integers(7, 40))
    own = subject.split()
    start = draw(st.integers(0, max(0, len(own) - 5)))
    run = own[start : start + 5]
    leaks = [
        SHA,
        SHA[:length],
        f"commit {SHA[:length]}",
        f'{SHA[:length]} ("{subject}")',
        f"g{SHA[:length]}" if draw(st.booleans()) else f"v1.2-3-g{SHA[:length]}",
        CHANGE,
        f"Change-Id: {CHANGE}",
        subject,
        subject.upper(),
        " ".join(run),
        " ".join((*run[:2], SHA[:length], *run[2:])),
        " ".join((*run[:3], "SHOP-123", *run[3:])),
        " ".join((*run[:2], author, *run[2:])),
        author,
        f"Signed-off-by: {author} <alovelace@example.org>",
        "SHOP-123",
        "bug 4711",
        "#99",
        "T123456",
        f"https://example.org/commit/{SHA}",
        f"This reverts commit {SHA}.",
    ]
    pieces = draw(st.lists(st.one_of(st.sampled_from(leaks), PROSE), min_size=2, max_size=9))
    return commit(subject=subject, author=author), "".join(piece + draw(GLUE) for piece in pieces)


def words(text: str) -> list[str]:
    return [word.lower() for word in re.findall(r"\w+", text)]


def holds_run(text: str, run: list[str]) -> bool:
    own = words(text)
    return any(own[at : at + len(run)] == run for at in range(len(own) - len(run) + 1))


@settings(max_examples=150, deadline=None)
@given(leaky_messages())
def test_no_id_ticket_subject_or_author_survives(leaky):
    """However they are mixed: what is removed must not bring two halves of a leak together either."""
    culprit, message = leaky
    text = left(message, culprit)
    own = words(culprit.subject)
    runs = [own[at : at + 5] for at in range(max(1, len(own) - 4))]
    tickets = [ticket for ticket in ("SHOP-123", "bug 4711", "#99", "T123456", "example.org") if ticket in text]

    assert SHA[:7] not in text.lower()
    assert CHANGE[:9].lower() not in text.lower()
    assert tickets == []
    assert [run for run in runs if holds_run(text, run)] == []
    assert culprit.author not in text
    assert [
        part for part in re.split(r"[\s.]+", culprit.author) if len(part) > 2 and part in re.findall(r"[\w'-]+", text)
    ] == []


@pytest.mark.parametrize(
    "between", [SHA[:9], "SHOP-12", "Ada Lovelace", "https://example.org/x", "\nThis was introduced by a bad merge.\n"]
)
def test_what_is_removed_brings_no_two_halves_together(between):
    """Five words of a long subject with something between them that goes as well."""
    culprit = commit(subject="keep idle connections in the pool and close them only after an hour of rest")
    text = left(f"{SYMPTOM}\nconnections in {between} the pool and", culprit)

    assert not holds_run(text, ["connections", "in", "the", "pool", "and"])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_scrubbed(text):
    """Messages of any origin, hidden characters and all."""
    title, rest = scrub(text.partition("\n")[0], text, commit())

    assert "\x00" not in title + rest
