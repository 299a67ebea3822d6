"""What the tests of the index share: three runbooks, and the library over them on either engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from index_world import Kept, open_hash

from bot.library import LiveLibrary
from core.settings import Settings, read_settings
from core.store import Store, open_store
from retrieval.generations import EdgeShelf, ServerShelf, Shelf


@pytest.fixture(name="docs")
def _docs(tmp_path: Path) -> Path:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    for name in ("disk", "memory", "network"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nWhat to do when the {name} is full.\n")
    return folder


@pytest.fixture(name="settings")
def _settings(docs: Path, home: Path) -> Settings:
    return read_settings(docs=(str(docs),), embedding_model="hash-32")


@pytest.fixture(name="store")
def _store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings.store_url)
    yield opened
    opened.close()


@pytest.fixture(name="shelf", params=["edge", "server"])
def _shelf(request: pytest.FixtureRequest, home: Path) -> Shelf:
    client = Kept(":memory:")
    return EdgeShelf(home / "index") if request.param == "edge" else ServerShelf(lambda: client, "rundown")


@pytest.fixture(name="live")
def _live(settings: Settings, store: Store, shelf: Shelf) -> Iterator[LiveLibrary]:
    """What a serving process has open."""
    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf, grace_s=0) as opened:
        yield opened
