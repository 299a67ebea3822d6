"""A postmortem's first draft without a model."""

from __future__ import annotations

from dataclasses import replace

from prompt_world import EVENTS, EVIDENCE, INCIDENT, INCONCLUSIVE, RANKING, REMARKS, RESOLVED, START, said

from core.model import Note, Reason
from prompts.drafter import Drafter

DRAFTER = Drafter(None)


def test_every_section_holds_what_the_record_says_and_nothing_else():
    """Facts, timeline in order, candidate by confidence, remarks word for word; nobody is blamed."""
    assert said(DRAFTER.postmortem(RESOLVED, EVENTS, EVIDENCE, RANKING, REMARKS)) == {
        "Summary": [
            ('"Checkout 5xx above 2%" fired for checkout at 2026-08-01 03:02 UTC (P1, high urgency); resolved by Ana Lima after 38 min.', ("I",)),
            ("41% of POST /api/checkout requests fail with HTTP 503.", ("I",)),
            ('It resembles "Payments pool exhausted" of 2026-05-03: The cause was a lowered acquire timeout on payments connections.', ("E2",)),
        ],
        "Impact": [
            ("The incident for checkout was open for 38 min, from 2026-08-01 03:02 UTC to 2026-08-01 03:40 UTC.", ("I",)),
            ('A responder wrote at 2026-08-01 03:11 UTC: "About 1,200 orders failed so far."', ("R1",)),
        ],
        "Timeline": [
            ('2026-08-01 02:48 UTC: 9fceb02d0a "Lower the payments pool timeout to 200 ms" in shop was committed.', ("C1",)),
            ("2026-08-01 03:02 UTC: incident triggered.", ("T1",)),
            ("2026-08-01 03:04 UTC: acknowledged by Ana Lima.", ("T2",)),
            ("2026-08-01 03:11 UTC: Lee Wong wrote: About 1,200 orders failed so far.", ("R1",)),
            ("2026-08-01 03:33 UTC: note by Ana Lima: Rolled back checkout, errors are gone.", ("T3",)),
            ("2026-08-01 03:40 UTC: resolved by Ana Lima.", ("T4",)),
            ("2026-08-01 03:42 UTC: Ana Lima wrote: We should alert on pool saturation.", ("R3",)),
        ],
        "Root cause": [
            ('The likely cause is 9fceb02d0a "Lower the payments pool timeout to 200 ms" in shop, committed 2026-08-01 02:48 UTC: it touches checkout/pool.py, named in the alert\'s service; it landed 14 minutes before the incident.', ("C1",)),
        ],
        "What helped": [
            ('A responder wrote at 2026-08-01 03:33 UTC: "Rolled back checkout, errors are gone."', ("T3",)),
            ("On 2026-05-03: Rolling back the pool settings ended the checkout errors within four minutes.", ("E2",)),
        ],
        "Follow-ups": [
            ('A responder wrote at 2026-08-01 03:42 UTC: "We should alert on pool saturation."', ("R3",)),
        ],
    }  # fmt: skip


def test_what_is_not_known_is_left_an_open_question():
    """A heading without a sentence, never a filler."""
    draft = DRAFTER.postmortem(INCIDENT, EVENTS[:2], (), INCONCLUSIVE, ())

    assert [section.heading for section in draft.sections if not section.sentences] == [
        "Impact",
        "Root cause",
        "What helped",
        "Follow-ups",
    ]


def test_a_reason_that_names_the_author_is_left_out_of_the_cause():
    """Systems and changes, not people."""
    first = replace(
        RANKING.culprits[0], reasons=(Reason(feature="owner", text="Dana Reyes owns pool.py.", weight=1.0),)
    )
    draft = DRAFTER.postmortem(RESOLVED, EVENTS, (), replace(RANKING, culprits=(first,)), ())

    assert said(draft)["Root cause"] == [
        ('The likely cause is 9fceb02d0a "Lower the payments pool timeout to 200 ms" in shop.', ("C1",))
    ]


def test_a_remark_with_a_link_a_mention_or_a_command_is_not_repeated():
    """Whoever can write in the thread writes no postmortem for everybody."""
    texts = [
        "Fixed, see https://evil.example now",
        "Fixed, thanks @channel",
        "Fixed by sudo rm -rf /data",
        "Fixed for all.",
    ]
    remarks = [Note(at=START, author="Eve", text=text) for text in texts]
    told = said(DRAFTER.postmortem(INCIDENT, (), (), None, remarks))

    assert [text for text, _ in told["What helped"]] == ['A responder wrote at 2026-08-01 03:02 UTC: "Fixed for all."']
