"""Alert rules beside the runbooks that are looked for: they speak for them, and never take their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from retrieval_world import EMBEDDER, fill, piece

from core.model import Tier
from retrieval.chunk import Chunk
from retrieval.index import EdgeIndex, VectorIndex
from retrieval.retriever import Retriever

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

ALERT = "KafkaBrokerDiskFull: the disk of the kafka broker is filling up"
RIGHT = piece("runbooks/storage.md", "When a kafka broker runs out of disk, delete old log segments.")
OTHERS = [piece(f"runbooks/{number}.md", f"Page {number} tells how to renew certificates.") for number in range(40)]
GUIDES = (Tier.RUNBOOK, Tier.WIKI)


def rule(number: int, *, url: str | None = None) -> Chunk:
    """One of many rules that read like the alert."""
    return piece(
        f"rules.yaml#{number}",
        f"{ALERT}, on volume {number}",
        title="KafkaBrokerDiskFull",
        source="prometheus:/rules",
        tier=Tier.ALERT,
        runbook_url=url,
    )


@pytest.fixture(name="edge")
def _edge(tmp_path: Path) -> Iterator[VectorIndex]:
    opened = EdgeIndex(tmp_path / "index")
    yield opened
    opened.close()


def first(index: VectorIndex) -> str | None:
    found = Retriever(index, EMBEDDER).search(ALERT, tiers=GUIDES, service="kafka")
    return found[0].doc_id if found else None


@pytest.mark.parametrize("count", [0, 5, 150])
def test_rules_that_read_like_the_alert_leave_the_runbook_its_place(index: VectorIndex, count: int):
    """Over both engines: as many as a view lists, and half as many again, all nearer to the alert than the runbook is."""
    fill(index, RIGHT, *OTHERS, *(rule(number) for number in range(count)))

    assert first(index) == RIGHT.doc_id


def test_of_very_many_rules_the_one_that_fired_still_speaks_for_its_runbook(edge: VectorIndex):
    """The page shares no word with the alert: only the rule knows it."""
    page = piece("kafka/retention.md", "Shorten it.", url="https://runbooks.example/kafka/retention")
    fired = piece(
        "rules.yaml#fired", ALERT, title="KafkaBrokerDiskFull", source="prometheus:/rules", tier=Tier.ALERT, runbook_url=page.url
    )  # fmt: skip
    fill(edge, page, *OTHERS, fired, *(rule(number) for number in range(150)))

    assert first(edge) == page.doc_id


def test_no_rule_is_shown_where_runbooks_are_wanted(edge: VectorIndex):
    """Nor does one take any of the places asked for."""
    fill(edge, RIGHT, *OTHERS, *(rule(number) for number in range(150)))

    found = Retriever(edge, EMBEDDER).search(ALERT, tiers=GUIDES, limit=10)

    assert [item.tier for item in found] == [Tier.RUNBOOK] * 10
