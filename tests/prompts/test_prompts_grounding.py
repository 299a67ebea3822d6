"""Whether a sentence says no more than its evidence."""

from __future__ import annotations

import pytest

from prompts.grounding import forbidden_by, ungrounded

EVIDENCE = [
    "Checkout holds one pool of 40 connections to payments-db. The acquireTimeout is 2,000 ms.\n"
    "Run `kubectl -n shop rollout undo deploy/checkout` when Redis or /api/checkout fails at 03:02 UTC. Do not restart the database.",
]


@pytest.mark.parametrize(
    "sentence",
    [
        "The pool holds 40 connections.",
        "The acquireTimeout is 2000 ms.",
        "Checkout fails at /api/checkout since 03:02 UTC.",
        "Undo the rollout with `kubectl -n shop rollout undo deploy/checkout`.",
        "Redis connections fail.",
        "The database is not to be restarted.",
    ],
)
def test_a_sentence_made_of_its_evidence_stands(sentence):
    """Reordered and reworded with connecting prose, thousands separators or endings changed."""
    assert ungrounded(sentence, EVIDENCE) is None


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("The pool holds 400 connections.", "'400' is not in its evidence"),
        ("The pool holds 4 connections.", "'4' is not in its evidence"),
        ("The pool holds twelve connections.", "'twelve' is not in its evidence"),
        ("The pool timed out at 03:05 UTC.", "'03:05' is not in its evidence"),
        ("Checkout connections to /api/orders fail.", "'/api/orders' is not in its evidence"),
        ("The releaseTimeout of the pool is 2,000 ms.", "'releaseTimeout' is not in its evidence"),
        ("Checkout connections to Kafka fail.", "'Kafka' is not in its evidence"),
        ("Run `kubectl -n prod rollout undo deploy/checkout`.", "`kubectl -n prod rollout undo deploy/checkout` is not in its evidence"),
        ("Customers lost money during an overnight migration of servers.", "most of it is not in its evidence"),
    ],
)  # fmt: skip
def test_what_the_evidence_does_not_say_is_named(sentence, reason):
    """Numbers, times, paths, identifiers, names and code must stand there word for word."""
    assert ungrounded(sentence, EVIDENCE) == reason


def test_a_denial_needs_one_to_rest_on():
    """A model may not turn its source around."""
    assert ungrounded("The pool does not hold connections.", ["The pool holds connections."]) == (
        "it denies what its evidence does not"
    )


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("Restart the payments database.", "Never restart the payments database by hand."),
        ("Do not restart the payments database.", None),
        ("Restart the checkout pods.", None),
    ],
)
def test_a_step_its_source_warns_of_is_found(step, line):
    """Dropping the "never" of a runbook is the worst edit a model can make."""
    evidence = ["Restart the checkout pods. Never restart the payments database by hand."]

    assert forbidden_by(step, evidence) == line
