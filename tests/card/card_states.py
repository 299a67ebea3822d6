"""Every state a card can be in, as fixtures; run it to look at them.

    python tests/card/card_states.py OUT_DIR [--shots]

writes one page a state and, with `--shots`, a picture of each by headless Chromium. Does not: assert anything.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot import blocks
from bot.card import Card, Step
from core.model import (
    Commit,
    Confidence,
    Culprit,
    Draft,
    Evidence,
    Incident,
    Link,
    Note,
    Ranking,
    Reason,
    Section,
    Sentence,
    Status,
    Tier,
)

START = datetime(2026, 6, 16, 3, 2, tzinfo=UTC)

INCIDENT = Incident(
    id="pd:Q2K8VX1",
    title="Checkout returns 500 for card payments",
    description="HTTP 5xx on POST /api/checkout is 41% (threshold 2%) for 5 minutes. Payments pool: timeout acquiring connection.",
    created_at=START,
    service="checkout",
    urgency="high",
    priority="P1",
    number=4211,
    url="https://acme.pagerduty.com/incidents/Q2K8VX1",
    runbook_url="https://wiki.acme.dev/runbooks/checkout",
    links=(Link(title="Checkout dashboard", url="https://grafana.acme.dev/d/checkout?from=now-1h"),),
)

EVIDENCE = (
    Evidence(
        id="E1",
        tier=Tier.RUNBOOK,
        title="Checkout",
        section=("Checkout", "Connection pool exhausted"),
        text="If requests wait for a database connection, check `pool_timeout_ms` and the number of open connections before "
        "restarting anything. Rolling back the last release of checkout is safe at any time.",
        doc_id="runbooks/checkout.md",
        url="https://wiki.acme.dev/runbooks/checkout#connection-pool-exhausted",
        score=0.81,
        updated_at=START - timedelta(days=41),
    ),
    Evidence(
        id="E2",
        tier=Tier.PAST_INCIDENT,
        title="INC-311 Payments pool exhausted after config change",
        section=("Resolution",),
        text="Rolled back the pool settings; error rate fell to normal within four minutes.",
        doc_id="incidents/311.md",
        url="https://wiki.acme.dev/incidents/311",
        score=0.74,
        occurred_at=START - timedelta(days=97),
    ),
    Evidence(
        id="E3",
        tier=Tier.WIKI,
        title="Payments architecture",
        section=("Connection pools",),
        text="Checkout holds one pool of 40 connections to payments-db; the acquire timeout is 2,000 ms.",
        doc_id="wiki/payments.md",
        score=0.52,
        updated_at=START - timedelta(days=420),
    ),
)


def commit(number: int, subject: str, author: str, minutes: float, **more: Any) -> Commit:
    """A commit of the shop repository, so many minutes before the incident."""
    sha = hashlib.sha1(str(number).encode()).hexdigest()
    at = START - timedelta(minutes=minutes)
    return Commit(
        **{
            "sha": sha,
            "repo": "shop",
            "author": author,
            "author_email": "x@acme.dev",
            "authored_at": at,
            "committed_at": at,
            "subject": subject,
            "url": f"https://github.com/acme/shop/commit/{sha}",
            **more,
        }
    )


CULPRITS = (
    Culprit(
        commit=commit(0x9F1C2B, "Lower payments pool timeout from 2000 to 200 ms", "Dana Reyes", 14),
        score=4.1,
        confidence=0.82,
        reasons=(
            Reason(
                feature="path", text="Changes `payments/pool.py`, and the alert names the payments pool", weight=1.9
            ),
            Reason(feature="text", text="Its message and the alert share “pool” and “timeout”", weight=1.2),
            Reason(feature="time", text="Landed 14 minutes before the first error", weight=0.8),
            Reason(feature="size", text="Only 3 lines", weight=-0.2),
        ),
    ),
    Culprit(
        commit=commit(0x4B77E0, "Retry card authorisation twice on 5xx", "Lee Park", 205),
        score=2.0,
        confidence=0.11,
        reasons=(
            Reason(feature="service", text="Touches the checkout service", weight=0.9),
            Reason(feature="time", text="Live for 3 h 25 min without errors", weight=-0.4),
        ),
    ),
    *(
        Culprit(
            commit=commit(0x100000 + place, subject, author, 600 * place),
            score=1.0 / place,
            confidence=0.04 / place,
            reasons=(Reason(feature="service", text="Touches the checkout service", weight=0.5),),
        )
        for place, (subject, author) in enumerate(
            [
                ("Bump requests from 2.32.3 to 2.32.4", "renovate"),
                ("Translate receipts to Dutch", "Mila Vos"),
                ("Cache product images for a day", "Sam Okoro"),
                ("Log the cart id with every payment", "Dana Reyes"),
            ],
            start=1,
        )
    ),
)

RANKING = Ranking(
    culprits=CULPRITS,
    confidence=Confidence.LIKELY,
    considered=143,
    repos=("shop", "payments"),
    window_from=START - timedelta(days=14),
    window_to=START,
    release="features-1",
    seconds=0.4,
)


def said(text: str, *ids: str) -> Sentence:
    """A sentence and what it rests on."""
    return Sentence(text=text, evidence=ids)


SUMMARY = Draft(
    task="summary",
    author="extractive",
    sections=(
        Section(
            heading="What's going on",
            sentences=(
                said("41% of POST /api/checkout requests fail with HTTP 5xx since 03:02 UTC.", "I"),
                said("Requests time out waiting for a connection from the payments pool.", "I", "E1"),
                said(
                    "Checkout holds one pool of 40 connections to payments-db; the acquire timeout is 2,000 ms.", "E3"
                ),
            ),
        ),
    ),
)

MITIGATION = Draft(
    task="mitigation",
    author="extractive",
    sections=(
        Section(
            heading="Steps to take",
            sentences=(
                said("Check `pool_timeout_ms` and the number of open connections before restarting anything.", "E1"),
                said(
                    "Roll back the last release of checkout:\n```\nkubectl -n shop rollout undo deploy/checkout\n```",
                    "E1",
                ),
            ),
        ),
        Section(
            heading="What worked last time",
            sentences=(
                said("Rolling back the pool settings; the error rate fell to normal within four minutes.", "E2"),
            ),
        ),
    ),
)

DONE = (Step(name="gather", state="done"), Step(name="rank", state="done"), Step(name="draft", state="done"))

JUST_POSTED = Card(
    incident=INCIDENT, steps=(Step(name="gather", state="running"), Step(name="rank"), Step(name="draft"))
)
FILLING = Card(
    incident=INCIDENT,
    steps=(
        Step(name="gather", state="done"),
        Step(name="rank", state="running", note="12,031 commits in 2 repositories"),
        Step(name="draft"),
    ),
    evidence=EVIDENCE,
)
LIKELY = Card(
    incident=replace(
        INCIDENT,
        status=Status.ACKNOWLEDGED,
        acknowledged_by=("Ana Lima",),
        acknowledged_at=START + timedelta(minutes=2),
    ),
    steps=DONE,
    evidence=EVIDENCE,
    ranking=RANKING,
    summary=SUMMARY,
    mitigation=MITIGATION,
    votes={"summary": (2, 0), "cause": (1, 1)},
    release="features-1",
)
POSSIBLE = replace(
    LIKELY,
    ranking=replace(
        RANKING,
        confidence=Confidence.POSSIBLE,
        culprits=(replace(CULPRITS[0], confidence=0.44), replace(CULPRITS[1], confidence=0.31), *CULPRITS[2:]),
    ),
)
INCONCLUSIVE = replace(
    LIKELY,
    ranking=replace(
        RANKING,
        confidence=Confidence.INCONCLUSIVE,
        culprits=tuple(replace(culprit, confidence=0.06, reasons=culprit.reasons[-2:]) for culprit in CULPRITS),
    ),
    votes={},
)
NO_COMMITS = replace(LIKELY, ranking=replace(RANKING, culprits=(), considered=0, confidence=Confidence.INCONCLUSIVE))
DEGRADED = replace(
    LIKELY,
    steps=(
        Step(
            name="gather",
            state="degraded",
            note="Document search is unavailable: Qdrant does not answer at 127.0.0.1:6333",
        ),
        *DONE[1:],
    ),
    evidence=(),
    summary=Draft(
        task="summary",
        author="extractive",
        sections=(
            Section(
                heading="",
                sentences=(said("HTTP 5xx on POST /api/checkout is 41% (threshold 2%) for 5 minutes.", "I"),),
            ),
        ),
    ),
    mitigation=Draft(task="mitigation", author="extractive", sections=()),
    gaps=(
        "Document search is unavailable: Qdrant does not answer at 127.0.0.1:6333",
        "Repository payments is a shallow clone: commits before 12 June are missing",
    ),
)
MOVED = replace(LIKELY, meant_for=("C0OLDROOM", "it is archived"))
CONFIRMED = replace(
    LIKELY, confirmed_culprit=CULPRITS[1].commit.sha, votes={f"commit:{CULPRITS[1].commit.sha}": (1, 0)}
)
RESOLVED = replace(
    LIKELY,
    incident=replace(
        LIKELY.incident,
        status=Status.RESOLVED,
        resolved_at=START + timedelta(minutes=38),
        resolved_by="Ana Lima",
        notes=(
            Note(
                at=START + timedelta(minutes=31),
                author="Ana Lima",
                text="Rolled back checkout to v812, errors gone. Dana will follow up on the timeout.",
            ),
        ),
    ),
    confirmed_culprit=CULPRITS[0].commit.sha,
)
RESOLVED_BARE = Card(
    incident=replace(
        INCIDENT, status=Status.RESOLVED, resolved_at=START + timedelta(minutes=3), resolved_by=None, description=""
    ),
)

_NASTY = "*bold* _it_ ~no~ `code` ```\nfence``` <!channel> <!here> <@U123> <#C1|x> <https://evil.example/?s=1|click> @here :fire: & > \u202egnp.exe\u200b \x1b[31mred \U000e0041"
HOSTILE = replace(
    LIKELY,
    incident=replace(
        LIKELY.incident,
        title=_NASTY * 3,
        description=_NASTY * 50,
        service=_NASTY,
        acknowledged_by=(_NASTY, "<!everyone>"),
        links=(
            Link(title=_NASTY, url="javascript:alert(1)"),
            Link(title="x|y>z", url="https://ok.example/a?b=<c>|d&e=1"),
        ),
        runbook_url="https://acme.dev@evil.example/runbook",
        url="https://acme.pagerduty.com/incidents/Q2\n<!channel>",
    ),
    evidence=tuple(
        replace(item, title=_NASTY, section=(_NASTY,), text=_NASTY * 20, url="https://evil.example/<!here>|x")
        for item in EVIDENCE
    ),
    ranking=replace(
        RANKING,
        culprits=tuple(
            replace(
                culprit,
                commit=replace(
                    culprit.commit, subject=_NASTY * 3, author=_NASTY, repo=_NASTY, url="https://git.example/a b"
                ),
                reasons=tuple(replace(reason, text=_NASTY) for reason in culprit.reasons),
            )
            for culprit in CULPRITS
        ),
    ),
    summary=Draft(
        task="summary", author=_NASTY, sections=(Section(heading=_NASTY, sentences=(said(_NASTY, "E1"),) * 6),)
    ),
    mitigation=Draft(
        task="mitigation",
        author=_NASTY,
        sections=(
            Section(heading=_NASTY, sentences=(said(_NASTY, "E2"), said("Uncited: rm -rf /"), said("Forged", "E99"))),
        )
        * 2,
    ),
    gaps=(_NASTY,) * 9,
    release=_NASTY,
)

ANSWER = Draft(
    task="answer",
    author="llama-3.1-8b",
    sections=(
        Section(
            heading="",
            sentences=(
                said("The acquire timeout of the payments pool is 2,000 ms, and the pool holds 40 connections.", "E3"),
                said("Dana Reyes lowered it to 200 ms 14 minutes before this incident.", "C1"),
                said("Rolling back the last release of checkout is safe at any time.", "E1"),
            ),
        ),
    ),
)
NOTHING = Draft(task="answer", author="extractive", sections=())
POSTMORTEM = Draft(
    task="postmortem",
    author="extractive",
    sections=(
        Section(
            heading="Summary",
            sentences=(
                said("Checkout failed for 41% of card payments for 38 minutes.", "I"),
                said("The commit ranked first lowered the payments pool timeout from 2000 to 200 ms.", "C1"),
            ),
        ),
        Section(
            heading="Timeline",
            sentences=(
                said("03:02 UTC: PagerDuty triggered the incident.", "T1"),
                said("03:04 UTC: Ana Lima acknowledged it.", "T2"),
                said("03:33 UTC: Ana Lima noted: Rolled back checkout to v812, errors gone.", "R1"),
                said("03:40 UTC: Ana Lima resolved it.", "T3"),
            ),
        ),
        Section(heading="What helped", sentences=(said("Rolling back the pool settings.", "E2"),)),
        Section(heading="Follow-ups", sentences=()),
    ),
)

CARDS = {
    "just-posted": JUST_POSTED,
    "filling-in": FILLING,
    "likely": LIKELY,
    "possible": POSSIBLE,
    "inconclusive": INCONCLUSIVE,
    "no-commits": NO_COMMITS,
    "degraded": DEGRADED,
    "confirmed": CONFIRMED,
    "moved": MOVED,
    "resolved": RESOLVED,
    "resolved-bare": RESOLVED_BARE,
    "hostile": HOSTILE,
}


def replies() -> dict[str, list[dict[str, Any]]]:
    """Every message beside the card, by name."""
    shared: dict[str, Any] = {"evidence": EVIDENCE, "ranking": RANKING}
    return {
        "detail": [blocks.detail_message(LIKELY)],
        "more": [blocks.more_message(EVIDENCE, INCIDENT)],
        "answer": [
            blocks.answer_message(
                "what is the pool timeout?", ANSWER, **shared, incident=LIKELY.incident, key="k1", votes=(1, 0)
            )
        ],
        "nothing-found": [
            blocks.answer_message("who owns billing?", NOTHING, **shared, incident=INCIDENT, key="k2", searched=214)
        ],
        "no-search": [
            blocks.answer_message(
                "who owns billing?",
                NOTHING,
                evidence=(),
                ranking=None,
                incident=INCIDENT,
                key="k3",
                gaps=("Document search is unavailable: Qdrant does not answer",),
            )
        ],
        "postmortem": blocks.postmortem_messages(RESOLVED.incident, POSTMORTEM, **shared),
        "help": [blocks.help_message()],
        "status": [
            blocks.status_message(
                [LIKELY.incident, INCIDENT], {"Slack": "ok, connected", "Index": "down: Qdrant does not answer"}
            )
        ],
        "failure": [
            blocks.failure_message(
                "I could not draft the postmortem",
                "the model gave no answer within 20 s",
                "Ask again, or unset `RUNDOWN_LLM_URL` to have it quoted from the sources.",
            )
        ],
    }


def pages() -> dict[str, str]:
    """One HTML page a state."""
    from bot.preview import page

    question = {"user": "U1", "text": "<@UBOT> what is the pool timeout?", "ts": "1781578980.0"}
    people = {"U1": "Ana Lima", "UBOT": "Rundown"}
    drawn = {}
    for name, card in CARDS.items():
        root = {"user": "Rundown", "ts": "1781578921.0", **blocks.card_message(card)}
        thread = [{"user": "Rundown", "ts": "1781578925.0", **blocks.detail_message(card)}] if card.ranking else []
        drawn[name] = page("inc-4211-checkout", [{**root, "thread": thread}], people=people)
    for name, messages in replies().items():
        shown = [
            {"user": "Rundown", "ts": f"17815789{index + 81}.0", **message} for index, message in enumerate(messages)
        ]
        drawn[name] = page("inc-4211-checkout", [question, *shown], people=people)
    return drawn


def main(out: Path, *, shots: bool) -> None:
    """Write the pages, and pictures of them."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = out / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        if shots:
            _picture(path)


def _picture(path: Path) -> None:
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet,
                f"--user-data-dir={profile}", f"--screenshot={path.with_suffix('.png')}",
                "--window-size=1400,1250", path.resolve().as_uri(),
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), shots="--shots" in sys.argv)
