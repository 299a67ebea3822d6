"""How far the parts of a past incident are trusted, from the store or a folder to the card: a remark stays a remark."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.investigation import Gathered, Investigator, Ranked
from core.access import EVERYONE, Audience
from core.llm import ScriptedModel
from core.model import Evidence, Incident, IncidentEvent, Tier
from core.store import Store
from ingest.folder import FolderSource
from ingest.own_incidents import OwnIncidents
from ingest.sync import Ingestor
from prompts.drafter import Drafter

BEGAN = datetime(2026, 3, 4, 9, 12, tzinfo=UTC)
FIX = "Rolled back the pool settings, checkout errors are gone."
NOW = Incident(
    id="pd:Q9",
    title="CheckoutPoolExhausted",
    description="No free database connections in checkout.",
    service="checkout",
    created_at=BEGAN + timedelta(days=70),
)
POSTMORTEM = f"""---
tier: incident
---
# 2026-03-04: CheckoutPoolExhausted in checkout

No free database connections in checkout.

## What worked

{FIX}
"""
Library = tuple[Investigator, Ingestor]


def _own(said: str, *, store: Store, **_: object) -> OwnIncidents:
    """An incident of ours in which the fix was told in a note, in Slack, or by the alert."""
    words = {"note": "looking into it", "remark": "who is on it?", "alert": NOW.description} | {said: FIX}
    happened = [
        ("triggered", 0, {"title": NOW.title, "service": "checkout", "description": words["alert"]}),
        ("annotated", 5, {"note": words["note"]}),
        ("remark", 6, {"text": words["remark"]}),
        ("resolved", 42, {}),
    ]
    store.record_events(
        IncidentEvent(
            incident_id="pd:Q1",
            event_id=kind,
            kind=kind,
            occurred_at=BEGAN + timedelta(minutes=minutes),
            agent=None if kind == "triggered" else "Anna Ito",
            changes=changes,
        )
        for kind, minutes, changes in happened
    )
    store.set_channel("pd:Q1", "C1")
    return OwnIncidents(store, slack_text=True, is_public=lambda channel: True, clock=lambda: NOW.created_at)


def _report(_: str, *, folder: Path, **__: object) -> FolderSource:
    """A postmortem that somebody wrote."""
    (folder / "report.md").write_text(POSTMORTEM)
    return FolderSource(folder)


WHERE: dict[str, Callable[..., OwnIncidents | FolderSource]] = {
    "note": _own,
    "remark": _own,
    "alert": _own,
    "postmortem": _report,
}


@pytest.fixture
def gathered(request: pytest.FixtureRequest, library: Library, store: Store, tmp_path: Path) -> Gathered:
    """What is gathered of the past where the fix was told in such a place."""
    investigator, ingestor = library
    folder = tmp_path / "docs"
    folder.mkdir()
    ingestor.sync(WHERE[request.param](request.param, store=store, folder=folder))
    return investigator.gather(NOW, Audience.of((EVERYONE,)))


def holding(gathered: Gathered) -> Evidence:
    """The evidence that tells of the fix."""
    return next(item for item in gathered.evidence if FIX in item.text)


TIERS = {"note": Tier.PAST_INCIDENT, "remark": Tier.SLACK, "alert": Tier.ALERT, "postmortem": Tier.PAST_INCIDENT}


@pytest.mark.parametrize(("gathered", "tier"), TIERS.items(), indirect=["gathered"])
def test_words_are_trusted_by_who_said_them_and_found_as_a_past_incident(gathered: Gathered, tier: Tier):
    """A note and a report as the past incident they tell of; a remark as Slack's, the alert's own text as the alert's."""
    told = holding(gathered)

    assert (told.tier, told.kind) == (tier, Tier.PAST_INCIDENT)


@pytest.mark.parametrize(
    ("gathered", "worked"), [(where, TIERS[where] is Tier.PAST_INCIDENT) for where in TIERS], indirect=["gathered"]
)
def test_only_the_record_tells_what_worked_and_nothing_of_the_past_is_a_step(
    library: Library, gathered: Gathered, worked: bool
):
    """What was only said in Slack is told as that, beside the count."""
    drafted = library[0].draft(NOW, gathered, Ranked())
    plan, summary = (" ".join(item.text for item in draft.sentences) for draft in (drafted.mitigation, drafted.summary))

    assert "Steps to take" not in [section.heading for section in drafted.mitigation.sections]
    assert "Resolved by" not in plan
    assert (FIX[:-1] in plan or f'mitigated by: "{FIX}"' in summary) == worked
    assert (f'somebody said in Slack: "{FIX}"' in summary) == (holding(gathered).tier is Tier.SLACK)


@pytest.mark.parametrize(("gathered", "tier"), TIERS.items(), indirect=["gathered"])
@pytest.mark.parametrize("field", ["steps", "last_time"])
def test_a_models_plan_rests_no_step_on_it(gathered: Gathered, tier: Tier, field: str):
    """However it words it; of the record it may tell what ended it, as past."""
    item = {"text": FIX, "evidence": [holding(gathered).id]}
    raw = json.dumps({"steps": [], "last_time": []} | {field: [item]})

    plan = Drafter(ScriptedModel(raw, raw)).mitigation(NOW, gathered.evidence, None)

    assert (plan.author == "scripted") == (field == "last_time" and tier is Tier.PAST_INCIDENT), plan.rejected
