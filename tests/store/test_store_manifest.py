"""The manifest of the index: one for each generation, of which one answers."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from core.errors import StoreError
from core.store import GenerationState, Indexed, Store, Synced, open_engine, open_store
from core.store.migrate import migrate


def states(store: Store) -> dict[int, str]:
    return {item.number: item.state.value for item in store.generations()}


def test_the_first_generation_is_made_with_the_configured_model(any_store: Store):
    """Asked again with another setting, it is still the same."""
    made = any_store.live_generation("m1")
    again = any_store.live_generation("m2")

    assert (made, again.number, again.state, again.model) == (again, 1, GenerationState.LIVE, "m1")


def test_what_was_indexed_before_there_were_generations_is_the_first(any_store_url: str):
    """Nothing is read again after the upgrade; its model is the one that is configured then."""
    engine = open_engine(any_store_url)
    migrate(engine, "0002")
    row = (
        "INSERT INTO documents (source, doc_id, digest, chunks, indexed_at, version) VALUES ('s', 'd', 'x', 3, 1, 'v')"
    )
    with engine.begin() as connection:
        connection.execute(sa.text(row))
    engine.dispose()
    store = open_store(any_store_url)

    assert (store.live_generation("m").model, store.manifest("s")) == (
        "m",
        {"d": Indexed(digest="x", chunks=3, version="v")},
    )
    store.close()


def test_the_next_generation_has_a_manifest_of_its_own(any_store: Store):
    """What is built is not seen until it answers; a sync that began before the swap goes on in the old one."""
    live = any_store.of_generation(any_store.live_generation(None).number)
    live.set_indexed("s", "old.md", digest="1", chunks=1)
    new = any_store.begin_generation(model="m", space="m/3/w", cut="c")
    any_store.of_generation(new.number).set_indexed("s", "new.md", digest="2", chunks=1)
    before = list(any_store.manifest("s"))
    any_store.make_live(new.number)
    live.set_indexed("s", "late.md", digest="3", chunks=1)

    assert (before, list(any_store.manifest("s")), sorted(live.manifest("s")), states(any_store)) == (
        ["old.md"], ["new.md"], ["late.md", "old.md"], {1: "old", 2: "live"},
    )  # fmt: skip


@pytest.mark.parametrize("why", ["forgotten", "live already"])
def test_only_what_is_being_built_becomes_live(any_store: Store, why: str):
    """Two rebuilds cannot both swap, and what fails changes nothing."""
    any_store.live_generation(None)
    number = any_store.begin_generation(model=None, space="s", cut="c").number
    if why == "forgotten":
        any_store.forget_generation(number)
    else:
        any_store.make_live(number)
    before = states(any_store)

    with pytest.raises(StoreError, match="another rebuild"):
        any_store.make_live(number)
    assert states(any_store) == before


def test_the_generation_that_answers_is_never_forgotten(any_store: Store):
    """Another is, with all that was in it."""
    any_store.live_generation(None)
    any_store.set_indexed("s", "d", digest="1", chunks=1)
    number = any_store.begin_generation(model=None, space="s", cut="c").number
    new = any_store.of_generation(number)
    new.set_indexed("s", "d", digest="1", chunks=1)
    new.note_sync("s", spec="s", began_at=1.0)
    for each in (1, number):
        any_store.forget_generation(each)

    assert (states(any_store), any_store.sources(), new.sources(), new.syncs()) == ({1: "live"}, {"s": 1}, {}, {})


def test_a_sync_that_failed_keeps_the_time_of_the_last_that_did_not(any_store: Store):
    """And the next that succeeds takes the reason away."""
    any_store.note_sync("s", spec="p", began_at=0.0)
    any_store.note_sync("s", spec="p", began_at=60.0, error="down")
    (failed,) = any_store.syncs().values()
    any_store.note_sync("s", spec="p", began_at=120.0)
    (mended,) = any_store.syncs().values()
    any_store.forget_sync("s")

    assert isinstance(failed, Synced)
    assert [(item.synced_at and item.synced_at.timestamp(), item.error) for item in (failed, mended)] == [
        (0.0, "down"),
        (120.0, None),
    ]
    assert any_store.syncs() == {}
