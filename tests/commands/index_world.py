"""A folder of three runbooks, indexed with a fake model."""

from __future__ import annotations

from typing import Any

from qdrant_client import QdrantClient

from bot.index_admin import Rebuilt, rebuild
from bot.library import LiveLibrary
from core.settings import Settings
from core.store import Store
from retrieval.embedding import HashEmbedder
from retrieval.generations import Shelf


def open_hash(model: str | None) -> HashEmbedder:
    """The fake, of as many numbers as its name says."""
    return HashEmbedder(int((model or "hash-32").removeprefix("hash-")))


def quiet(*_: object) -> None:
    pass


class Kept(QdrantClient):
    """A client of one memory that several indexes share, which closing would forget."""

    def close(self, **_: Any) -> None:
        pass


def synced(live: LiveLibrary, settings: Settings) -> None:
    """Bring the generation that answers to what the folder holds."""
    (spec,) = settings.docs
    live.sync(spec)


def found(live: LiveLibrary, text: str) -> list[str | None]:
    return sorted(str(item.doc_id) for item in live.current().retriever.search(text))


def rebuilt(settings: Settings, store: Store, shelf: Shelf, **options: Any) -> Rebuilt:
    return rebuild(settings, store, progress=quiet, open_model=open_hash, shelf=shelf, **options)


ALL = ["disk.md", "memory.md", "network.md"]
