"""The library that answers, against what happens beside it: it is closed, or a rebuild cannot catch up with the syncs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from index_world import ALL, found, open_hash, rebuilt, synced

from bot.index_admin import verify
from bot.library import LiveLibrary
from core.errors import IndexUnavailable
from core.settings import Settings
from core.store import Store
from retrieval.edge import EdgeIndex
from retrieval.generations import EdgeShelf

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


def test_a_sync_that_outlives_the_library_leaves_the_index_to_others(settings: Settings, store: Store, home: Path):
    """It ends with an error, opens nothing anew, and what it stored is there."""
    shelf = EdgeShelf(home / "index")
    live = LiveLibrary(settings, store, open_model=open_hash, shelf=shelf)
    with pytest.raises(IndexUnavailable, match="was closed"):
        live.sync(settings.docs[0], progress=lambda done: live.close())
    with pytest.raises(IndexUnavailable, match="was closed"):
        live.current()
    next_one = shelf.index(1)
    held = next_one.count()
    next_one.close()

    assert (held, verify(settings, store, shelf=shelf).sound) == (3, True)


def test_a_sync_that_is_overtaken_again_and_again_ends(settings: Settings, store: Store, home: Path, docs: Path):
    """After the second round; the next sync does the rest."""
    shelf, rounds = EdgeShelf(home / "index"), []

    def overtake(done: int) -> None:
        rounds.append(store.live_generation("hash-32").number)
        rebuilt(settings, store, shelf)
        (docs / "disk.md").write_text(f"# disk\n\nfull, {len(rounds)}")  # so that the next round tells that it goes on

    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf) as live:
        live.sync(settings.docs[0], progress=overtake)

    assert rounds == [1, 2]


def change_nothing(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    synced(live, settings)


def close_a_page(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    (docs / "disk.md").unlink(missing_ok=True)
    synced(live, settings)


def close_a_page_to_some(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    (docs / "disk.md").write_text("---\nreaders: [group:dba]\n---\n# disk\n\nfull")
    synced(live, settings)


def forget_the_source(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    with live.filling() as (store, ingestor):
        ingestor.forget(f"folder:{docs}")
        store.forget_sync(f"folder:{docs}")


@pytest.mark.parametrize("model", ["hash-32", "hash-64"])
@pytest.mark.parametrize(
    ("act", "left"),
    [(change_nothing, ALL), (close_a_page, ALL[1:]), (close_a_page_to_some, ALL[1:]), (forget_the_source, [])],
)
def test_a_rebuild_that_never_catches_up_takes_away_what_was_closed(
    settings: Settings,
    store: Store,
    home: Path,
    docs: Path,
    act: Callable[[LiveLibrary, Settings, Path], None],
    left: list[str],
    model: str,
    monkeypatch: pytest.MonkeyPatch,
):
    """A sync falls into every round, the last one's too: what is closed in that one does not answer, all else does."""
    monkeypatch.setattr("ingest.folder._UNSETTLED_NS", 0)  # a file of this second would have no version yet
    shelf, real, settled = EdgeShelf(home / "index"), EdgeIndex.settle, []
    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf, grace_s=0) as live:
        synced(live, settings)

        def settle(index: EdgeIndex) -> None:
            real(index)
            settled.append(True)
            if len(settled) < 4:
                synced(live, settings)
            else:
                act(live, settings, docs)

        monkeypatch.setattr(EdgeIndex, "settle", settle)
        done = rebuilt(settings.model_copy(update={"docs": ()}), store, shelf, model=model)
        live.refresh()
        answers = found(live, "full")

    assert (len(settled), answers, done.documents, done.pieces) == (4, left, len(left), len(left))
    assert (verify(settings, store, shelf=shelf).sound, f"folder:{docs}" in store.syncs()) == (True, bool(left))
