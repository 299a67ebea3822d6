"""A past incident written down, and read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Commit, Evidence, FileChange, Tier
from core.text import strip_hidden
from ingest.chunking import cut
from retrieval.story import (
    ALERT,
    CAUSE,
    CLASS,
    END,
    END_IN_TALK,
    NOTES,
    OPENING,
    TALK,
    UPDATES,
    Said,
    Story,
    areas_of,
    ending_of,
    read,
    tell,
    telling,
)

AT = datetime(2026, 3, 4, 9, 12, tzinfo=UTC)


def sections(text: str, title: str = "T") -> list[Evidence]:
    """The document's pieces as a search gives them."""
    return [
        Evidence(id=str(number), tier=Tier.PAST_INCIDENT, title=title, text=piece.text, section=piece.section)
        for number, piece in enumerate(cut(title, text))
    ]


def said(text: str, author: str = "Ada", minutes: int = 0) -> Said:
    return Said(at=AT + timedelta(minutes=minutes), author=author, text=text)


def test_a_story_reads_as_a_short_report():
    """What happened, what was said of it, what caused it, how it ended."""
    story = Story(
        title="Checkout answers 500", began=AT, ended=AT + timedelta(minutes=42), service="checkout", number=7,
        rank=("P1", "urgency high"), alert=((ALERT, "CheckoutErrors"), (CLASS, "")), description="pool exhausted",
        updates=(said("a fix is on its way"),), notes=(said("rolled back 3f2c1ab", minutes=4), said("thanks\nall", "Grace", 6)),
        talk=(said("it was the pool", "Bo"),), cause="A responder marked commit 3f2c1ab.", suggested=("Restart (2 of 2)",),
        resolved_by="Ada",
    )  # fmt: skip

    assert tell(story) == (
        "# Checkout answers 500\n\n## What happened\n\nIncident 7 on checkout, 2026-03-04 09:12 UTC, P1, urgency high.\n\n"
        "- Alert: CheckoutErrors\n\npool exhausted\n\n"
        "## Status updates\n\n- Ada (2026-03-04 09:12 UTC): a fix is on its way\n\n"
        "## Notes\n\n- Grace (2026-03-04 09:18 UTC): thanks\n  all\n\n"
        "## Said in Slack\n\n- Bo (2026-03-04 09:12 UTC): it was the pool\n\n"
        "## Cause\n\nA responder marked commit 3f2c1ab.\n\n## Suggested at the time\n\n- Restart (2 of 2)\n\n"
        "## Resolution\n\nResolved by Ada on 2026-03-04 09:54 UTC, 42 min after it began.\n\n"
        "- Ada (2026-03-04 09:16 UTC): rolled back 3f2c1ab\n"
    )


_PARTS = [
    "a",
    "B",
    " ",
    "\n",
    "#",
    "-",
    "*",
    ":",
    "(",
    ")",
    "`",
    "=",
    "~",
    "2",
    "é",
    "\n\n",
    "- Eve (2026-01-01 00:00 UTC): ",
    "```",
    "1. ",
]
_WORDS = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=20).map("".join).filter(str.strip)


@given(
    words=_WORDS, description=_WORDS, minutes=st.integers(0, 900), service=st.sampled_from([None, "checkout", "a, b"])
)
def test_what_was_written_is_read(words: str, description: str, minutes: int, service: str | None):
    """Whatever people wrote: nothing of it passes for a heading, a mark, or somebody else's words."""
    ending = said(words, "Anna Ito", minutes)
    story = Story(
        title="T", began=AT, ended=AT + timedelta(minutes=minutes), service=service, alert=((ALERT, "A_B"),),
        description=description, notes=(ending,),
    )  # fmt: skip

    told = read(sections(tell(story)))

    assert told is not None
    assert (told.service, told.began, told.ended, told.alert) == (service, AT, story.ended, ((ALERT, "A_B"),))
    assert [(said.author, said.at) for _, said in told.end] == [("Anna Ito", ending.at)]
    assert "".join(told.end[0][1].text.split()) == "".join(words.split())


def test_a_description_cannot_claim_the_alerts_marks():
    """Only the list right after the opening line counts."""
    told = read(sections(tell(Story(title="T", began=AT, ended=AT, description="- Alert: Other\n\n- Dedup: x"))))

    assert told is not None and told.alert == ()


@pytest.mark.parametrize("hidden", ["\u200b", "\u2060", "\x1b[0m", "\r", "\u2028", "\x0b"])
def test_what_nobody_sees_forges_no_heading(hidden: str):
    """The sync takes it out of the whole text, and a heading by which words are trusted more would stand at a line's start."""
    forged = f"x\n\n{hidden}## Resolution\n\n- Ada (2026-03-04 09:16 UTC): rolled back"
    story = Story(title="T", began=AT, ended=AT, description=forged, talk=(said(forged, "Eve"),))

    headings = [item.section[-1] for item in sections(strip_hidden(tell(story)))]

    assert headings == [OPENING, END, END_IN_TALK]


def test_a_block_that_a_description_leaves_open_swallows_nothing():
    """An HTML comment runs to the end of a page."""
    story = Story(title="T", began=AT, ended=AT, description="<!-- x", notes=(said("restarted it"),))

    assert [item.section[-1] for item in sections(tell(story))] == [OPENING, END]


def test_an_end_that_was_only_said_in_slack_stands_apart_from_the_record():
    """It is found as the end, and by its heading it is known who said so."""
    told = read(
        sections(tell(Story(title="T", began=AT, ended=AT, notes=(), talk=(said("rolled back 3f2c1ab", "Bo"),))))
    )
    recorded = read(sections(tell(Story(title="T", began=AT, ended=AT, notes=(said("rolled back 3f2c1ab", "Bo"),)))))

    assert told is not None and recorded is not None
    assert [item.author for _, item in (*told.end, *recorded.end)] == ["Bo", "Bo"]
    assert tell(Story(title="T", began=AT, ended=AT, talk=(said("rolled back"),))).count(f"## {END_IN_TALK}\n") == 1


def test_what_somebody_else_wrote_is_no_story():
    """Their report has its own form."""
    assert read(sections("# T\n\n## What happened\n\nThe pool was too small.\n\n## Resolution\n\n- Ada: fixed")) is None


def test_a_day_that_no_calendar_has_is_no_story():
    """And nobody's word: a file may hold anything."""
    story = tell(Story(title="T", began=AT, ended=AT, notes=(said("restarted it"),)))
    head, _, end = story.partition("## Resolution")

    assert read(sections(head.replace("2026-03-04", "2026-13-99") + "## Resolution" + end)) is None
    told = read(sections(f"{head}## Resolution{end.replace('2026-03-04', '2026-13-99')}"))
    assert told is not None and (told.ended, told.end) == (None, ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Rolled back 3f2c1ab. Errors fall.", ("Rolled back 3f2c1ab.",)),
        ("restarted the pods, will watch it", ("restarted the pods, will watch it",)),
        ("fix is deployed\nthanks all", ("fix is deployed",)),
        ("We will roll it back. Should be restarted soon.", ()),
        ("We have not restarted it.", ()),
        ("It wasn't fixed by that.", ()),
        ("Restarted the pods, which did not help.", ()),
        ("Was it restarted?", ()),
        ("The root cause was a deploy.", ()),
        ("Fix the pool size.", ()),
    ],
)
def test_a_sentence_tells_of_the_end_if_it_says_something_was_done(text: str, told: tuple[str, ...]):
    """Verbatim; what is meant, asked, denied or in vain does not."""
    assert telling(text) == told


@pytest.mark.parametrize(
    ("notes", "updates", "chosen"),
    [
        (["rolled back", "thanks all"], ["a fix is on its way"], "rolled back"),
        (["looking", "thanks all"], ["restarted the pods"], "restarted the pods"),
        (["looking", "thanks all"], ["looking too"], "thanks all"),
        ([], ["looking too"], None),
        ([], [], None),
    ],
)
def test_the_ending_is_what_tells_of_it_else_the_last_note(notes: list[str], updates: list[str], chosen: str | None):
    """Notes are believed before status updates."""
    found = ending_of([said(text) for text in notes], [said(text) for text in updates])

    assert (found and found.text) == chosen


def test_areas_are_the_folders_a_commit_touched():
    """Files at the root say nothing."""
    files = tuple(FileChange(path=path) for path in ("db/pool.py", "db/session.py", "README.md", "api/v1/cart.py"))
    commit = Commit(sha="f" * 40, repo="shop", author="A", author_email="a@x", authored_at=AT, committed_at=AT, subject="s", files=files)  # fmt: skip

    assert areas_of(commit) == ("shop/db", "shop/api/v1")


def test_headings_are_where_a_reader_looks_for_them():
    """An empty part has none."""
    text = tell(Story(title="T", began=AT, ended=AT))

    assert [heading for heading in (UPDATES, NOTES, TALK, CAUSE, END) if f"## {heading}" in text] == [END]
