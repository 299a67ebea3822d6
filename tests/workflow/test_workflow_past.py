"""What the card says of the past: gathered by the real search, worded in the real draft."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.investigation import REACH, Gathered, Investigator, Ranked, by_trust
from core.access import PUBLIC
from core.model import (
    Commit,
    Confidence,
    Culprit,
    Document,
    Evidence,
    FileChange,
    Incident,
    Ranking,
    Tier,
    from_json,
    to_json,
)
from ingest.sources import ListSource
from ingest.sync import Ingestor
from retrieval.story import ALERT, Said, Story, tell

NOW = Incident(
    id="pd:Q9",
    title="CheckoutPoolExhausted",
    description="No free database connections in checkout.",
    service="checkout",
    created_at=datetime(2026, 5, 14, 3, 12, tzinfo=UTC),
)


def past(number: int, began: datetime, words: str) -> Document:
    """An earlier firing of the same alert, as PagerDuty's reader writes it down."""
    ended = began.replace(hour=began.hour + 1)
    story = Story(
        title=NOW.title,
        began=began,
        ended=ended,
        service="checkout",
        number=number,
        alert=((ALERT, NOW.title),),
        description=NOW.description,
        notes=(Said(at=ended, author="Anna Ito", text=words),),
    )
    return Document(
        id=f"Q{number}",
        source="pagerduty:test",
        title=NOW.title,
        text=tell(story),
        tier=Tier.PAST_INCIDENT,
        service="checkout",
        updated_at=ended,
        occurred_at=ended,
    )


def told(investigator: Investigator) -> tuple[Gathered, str, str]:
    """What was gathered, and the words of summary and mitigation."""
    gathered = investigator.gather(NOW, PUBLIC)
    drafted = investigator.draft(NOW, gathered, Ranked())
    return gathered, *(
        " ".join(item.text for item in draft.sentences) for draft in (drafted.summary, drafted.mitigation)
    )


def test_the_card_says_how_often_and_what_helped(library: tuple[Investigator, Ingestor]):
    """Counted, quoted, with who said so; what comes later than the incident is neither."""
    asks, ingestor = library
    ingestor.sync(
        ListSource(
            "pagerduty:test",
            past(1, datetime(2026, 3, 2, 9, tzinfo=UTC), "Widened the pool, errors fell. Resolved."),
            past(2, datetime(2026, 4, 7, 9, tzinfo=UTC), "Rolled back 3f2c1ab, errors fell. Resolved."),
            past(3, datetime(2026, 6, 7, 9, tzinfo=UTC), "Never read: resolved by a restart."),
        )
    )

    gathered, summary, mitigation = told(asks)

    assert gathered.seen_before == 2
    assert "Third time since March" in summary
    assert "Rolled back 3f2c1ab, errors fell" in summary
    assert "Anna Ito" in summary
    assert "Widened the pool" in mitigation
    assert "restart" not in summary + mitigation
    assert from_json(Gathered, to_json(gathered)) == gathered


def test_a_command_in_a_past_note_is_no_advice(library: tuple[Investigator, Ingestor]):
    """What somebody typed then is not told as a step now, nor a link or mention shown."""
    asks, ingestor = library
    ingestor.sync(
        ListSource(
            "pagerduty:test",
            past(1, datetime(2026, 3, 2, 9, tzinfo=UTC), "Resolved with kubectl delete pod checkout-1 --force."),
            past(2, datetime(2026, 3, 9, 9, tzinfo=UTC), "Mitigated, see https://evil.example/?x and ask <!channel>."),
        )
    )

    _, summary, mitigation = told(asks)

    assert [bad for bad in ("kubectl", "evil.example", "<!channel>") if bad in summary + mitigation] == []


def test_nothing_alike_is_not_made_up(library: tuple[Investigator, Ingestor]):
    """Another service's other alert is not this one's past."""
    asks, ingestor = library
    other = Document(
        id="Q7",
        source="pagerduty:test",
        title="CertificateExpired",
        text="# CertificateExpired\n\nThe edge's certificate had expired; it was renewed.",
        tier=Tier.PAST_INCIDENT,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    ingestor.sync(ListSource("pagerduty:test", other))

    gathered, summary, _ = told(asks)

    assert (gathered.seen_before, gathered.past, "time since" in summary) == (0, (), False)


REPORT = """# Checkout stood still

## What happened

No free database connections in checkout: a report read all orders.

## What did not help

Restarting the pods one by one, which we tried until it was resolved by others.

## What helped

Rolling checkout back freed the database connections within two minutes.
"""


def test_what_did_not_help_is_never_told_as_what_worked(library: tuple[Investigator, Ingestor]):
    """A report's failed attempts stay what they are, whatever words they end with."""
    asks, ingestor = library
    report = Document(
        id="incidents/checkout.md",
        source="folder:/docs",
        title=NOW.title,
        text=REPORT,
        tier=Tier.PAST_INCIDENT,
        service="checkout",
        occurred_at=datetime(2026, 1, 7, tzinfo=UTC),
    )
    ingestor.sync(ListSource("folder:/docs", report))

    gathered = asks.gather(NOW, PUBLIC)
    drafted = asks.draft(NOW, gathered, Ranked())
    worked = [
        item.text
        for part in (*gathered.past, *drafted.mitigation.sections)
        if part.heading == "What worked last time"
        for item in part.sentences
    ]

    assert [text for text in worked if "one by one" in text] == []
    assert any("Rolling checkout back freed" in text for text in worked)


def ranked(*paths: str, confidence: Confidence = Confidence.LIKELY) -> Ranked:
    """What the rank step found: one commit that touched these files of the repository shop."""
    at = datetime(2026, 5, 14, 2, 50, tzinfo=UTC)
    commit = Commit(
        sha="3f2c1ab" + "0" * 33,
        repo="shop",
        author="Bo",
        author_email="bo@example.org",
        authored_at=at,
        committed_at=at,
        subject="Pool of 5",
        files=tuple(FileChange(path=path) for path in paths),
    )
    culprits = (Culprit(commit=commit, score=1.0, confidence=0.9),)
    ranking = Ranking(
        culprits=culprits, confidence=confidence, considered=1, repos=("shop",), window_from=at, window_to=at
    )
    return Ranked(ranking=ranking)


def incident_report(doc_id: str, text: str, *readers: str) -> Document:
    """What somebody wrote of an incident of another kind."""
    return Document(
        id=doc_id,
        source="folder:/docs",
        title=f"Checkout stood still ({doc_id})",
        text=f"No free database connections in checkout. {text}",
        tier=Tier.PAST_INCIDENT,
        service="checkout",
        occurred_at=datetime(2026, 1, 7, tzinfo=UTC),
        readers=readers or ("*",),
    )


@pytest.mark.parametrize(
    ("found", "first", "told"),
    [
        (ranked("db/pool.py", "README"), "by-area", ["same culprit area shop/db"]),
        (ranked("web/page.py"), "by-words", []),
        (ranked("db/pool.py", confidence=Confidence.INCONCLUSIVE), "by-words", []),
        (Ranked(), "by-words", []),
    ],
)
def test_a_past_incident_of_the_suspected_commits_area_is_more_alike(
    library: tuple[Investigator, Ingestor], found: Ranked, first: str, told: list[str]
):
    """Known once commits are ranked; the guides keep their places, and doing it twice changes nothing."""
    asks, ingestor = library
    text = f"# {NOW.title}\n\nNo free database connections in checkout: widen the pool."
    guide = Document(id="g.md", source="", title=NOW.title, text=text, tier=Tier.RUNBOOK)
    ingestor.sync(
        ListSource(
            "folder:/docs",
            guide,
            incident_report("by-words", f"{NOW.title}: no free database connections, again."),
            incident_report("by-area", "The culprit was in shop/db."),
            incident_report("secret", "The culprit was in shop/db too.", "group:leads"),
        )
    )

    gathered = asks.gather(replace(NOW, title="No free connections"), PUBLIC)
    compared = asks.compare(replace(NOW, title="No free connections"), gathered, found, PUBLIC)
    again = asks.compare(replace(NOW, title="No free connections"), compared, found, PUBLIC)
    likenesses = [
        likeness
        for part in compared.past
        for item in part.sentences
        for likeness in item.text.rstrip(".").split(", ")
        if likeness.startswith("same culprit area")
    ]

    assert [item.doc_id for item in compared.evidence][:2] == ["g.md", first]
    assert [item.id for item in compared.evidence] == [f"E{place}" for place in range(1, len(compared.evidence) + 1)]
    assert likenesses == told
    assert (again, "secret" in str(compared)) == (compared, False)


def evidence(name: str, tier: Tier, score: float) -> Evidence:
    return Evidence(id=name, tier=tier, title=name, text=name, score=score)


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ([("wiki", Tier.WIKI, 0.8), ("book", Tier.RUNBOOK, 0.8 - REACH / 2)], "book wiki"),
        ([("wiki", Tier.WIKI, 0.8), ("book", Tier.RUNBOOK, 0.8 - 2 * REACH)], "wiki book"),
        ([("book", Tier.RUNBOOK, 0.8), ("wiki", Tier.WIKI, 0.8)], "book wiki"),
        ([("chat", Tier.SLACK, 0.5), ("old", Tier.PAST_INCIDENT, 0.5), ("wiki", Tier.WIKI, 0.5)], "wiki old chat"),
        ([("a", Tier.WIKI, 0.9), ("b", Tier.WIKI, 0.75), ("book", Tier.RUNBOOK, 0.7)], "a book b"),
        ([], ""),
    ],
)
def test_what_is_less_trusted_does_not_stand_before_what_answers_as_well(
    found: list[tuple[str, Tier, float]], order: str
):
    """Where a search can tell them apart, the better answer stays first."""
    assert " ".join(item.id for item in by_trust([evidence(*item) for item in found])) == order


def test_the_drafter_reads_the_runbook_before_a_wiki_page_that_says_as_much(
    library: tuple[Investigator, Ingestor],
):
    """Gathered in that order, whichever the search happened to put first."""
    asks, ingestor = library
    words = f"# {NOW.title}\n\nNo free database connections in checkout. "
    documents = [
        Document(id="a-wiki", source="", title=NOW.title, text=f"{words}\n\n1. Restart the pods.", tier=Tier.WIKI),
        Document(
            id="z-book",
            source="",
            title=NOW.title,
            text=f"{words}There may be many reasons for it.\n\n1. Widen the pool.",
            tier=Tier.RUNBOOK,
        ),
    ]
    ingestor.sync(ListSource("folder:/docs", *documents))

    gathered = asks.gather(NOW, PUBLIC)
    steps = [item.text for item in asks.draft(NOW, gathered, Ranked()).mitigation.sentences]

    assert [item.doc_id for item in gathered.evidence] == ["z-book", "a-wiki"]
    assert steps == ["Widen the pool."]
