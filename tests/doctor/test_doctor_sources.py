"""Doctor tells of each source of documents when it was last synced, and how to mend one that is not synced any more."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.doctor.check import Check
from bot.doctor.documents import folders
from core.settings import read_settings
from core.store import open_store
from ingest.sources import open_source
from ingest.sync import Ingestor
from ingest.workers import sync_source
from retrieval.edge import EdgeIndex
from retrieval.embedding import HashEmbedder

DAY_S = 86400.0
REFUSED = "the wiki cannot be read: it answers 401"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with a page, indexed, of whose syncs nothing is known."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Restart\n\nTurn it off and on.\n")
    store = open_store(read_settings().store_url)
    store.set_indexed(open_source(docs).name, "a.md", digest="1", chunks=1)
    store.close()
    return docs


def synced(source: str, spec: str, *ago_s: float, error: str | None = None) -> None:
    """A source that was synced so many seconds ago, and has failed since."""
    store = open_store(read_settings().store_url)
    for seconds in ago_s:
        store.note_sync(source, spec=spec, began_at=time.time() - seconds)
    if error:
        store.note_sync(source, spec=spec, began_at=time.time(), error=error)
    store.close()


def checked(docs: Path) -> Check:
    (check,) = folders(read_settings(docs=(str(docs),)))
    return check


SYNCS = {
    "lately": ((90.0,), None, "ok", "last synced 1 min ago", ""),
    "failing for an hour": (
        (3600.0,),
        REFUSED,
        "warn",
        f"1 h ago; each sync since failed: {REFUSED}",
        "rundown ingest",
    ),
    "failing for a day": ((2 * DAY_S,), REFUSED, "fail", f"2 days ago; each sync since failed: {REFUSED}", "--forget"),
    "not tried for a day": ((2 * DAY_S,), None, "warn", "still answers, with the readers of then", "rundown serve"),
    "failed from the first": ((), REFUSED, "fail", f"no sync of it has ever finished: {REFUSED}", "rundown ingest"),
    "not at its end yet": ((), None, "warn", "no sync of it has ever finished", "rundown ingest"),
}


@pytest.mark.parametrize(("ago_s", "error", "state", "says", "way_out"), SYNCS.values(), ids=SYNCS)
def test_a_source_tells_when_it_was_last_synced(
    docs: Path, ago_s: tuple[float, ...], error: str | None, state: str, says: str, way_out: str
):
    """One that has failed for a day, or was never read to its end, is a finding with the command that mends it."""
    synced(open_source(docs).name, str(docs), *ago_s, error=error)
    check = checked(docs)

    assert (check.state, says in check.found, way_out in check.way_out) == (state, True, True), check
    assert bool(check.way_out) == (state != "ok")


def test_what_comes_by_itself_or_was_ingested_by_hand_is_told_of_too():
    """Past incidents are no setting; and what nobody configured still answers."""
    synced("rundown:incidents", "rundown:incidents", 3600.0, error=REFUSED)
    synced("pagerduty:api.pagerduty.com", "pagerduty:", 3 * DAY_S, error=REFUSED)
    none, *checks = folders(read_settings())

    assert none.state == "off"
    assert [(check.name, check.state, check.way_out.split("`")[1]) for check in checks] == [
        ("Documents pagerduty:api.pagerduty.com", "fail", "rundown ingest pagerduty:"),
        ("Documents rundown:incidents", "warn", "rundown serve"),
    ]


def test_the_command_that_doctor_names_mends_it(docs: Path, tmp_path: Path):
    """After a sync that goes well, nothing is found."""
    synced(open_source(docs).name, str(docs), 2 * DAY_S, error=REFUSED)
    before = checked(docs)
    store, index = open_store(read_settings().store_url), EdgeIndex(tmp_path / "index")
    sync_source(store, Ingestor(store, index, HashEmbedder()), open_source(docs), spec=str(docs))
    index.close()
    store.close()

    assert (before.state, checked(docs).state) == ("fail", "ok")
