"""Where the generations of an index lie: one whole index each, so that the next is built while one answers.

Does: open a generation's index, drop it, tell its size, and on a server keep an alias on the one that answers. Compare what a
generation holds with its manifest.
Does not: decide which one answers (`core.store.manifest`), or fill one.

In this process, a generation is a folder, and each folder has its own lock: one process may build the next while another
answers from its own. On a server it is a collection. We open collections by their own names, so that a search never meets
vectors of another model; the alias is for other readers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.access import Audience
from core.errors import IndexUnavailable
from core.settings import Settings
from retrieval.chunk import Scope, View
from retrieval.edge import EdgeIndex
from retrieval.server import Layout, ServerIndex, connect, speaking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.store import Indexed
    from retrieval.index import VectorIndex


class Shelf(Protocol):
    """Where generations lie."""

    @property
    def engine(self) -> str:
        """What and where it is, in words."""
        ...

    def index(self, number: int) -> VectorIndex:
        """The index of a generation, for the caller to close. Nothing is opened or asked before its first use."""
        ...

    def drop(self, number: int) -> bool:
        """Remove a generation; False when another process still has it open, and it stays for now."""
        ...

    def publish(self, number: int) -> bool:
        """Lead other readers to that generation, in one step; whether they are led there now. Done twice, it changes nothing."""
        ...

    def size(self, number: int) -> int | None:
        """Bytes on disk; None where that cannot be asked."""
        ...


def open_shelf(settings: Settings) -> Shelf:
    """The shelf that the settings name: a Qdrant server's, or a folder of this machine."""
    if not settings.qdrant_url:
        return EdgeShelf(settings.home / "index")
    url, timeout_s = settings.qdrant_url, settings.qdrant_timeout_s
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    return ServerShelf(
        lambda: connect(url, api_key=key, timeout_s=timeout_s),
        settings.qdrant_collection,
        layout=Layout(
            shards=settings.qdrant_shards,
            replicas=settings.qdrant_replicas,
            quantization=settings.qdrant_quantization,
        ),
        url=url,
    )


class EdgeShelf:
    """Generations as folders, by number.

    Args:
        root: the folder that holds them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.engine = f"inside the process, in {root}"

    def index(self, number: int) -> EdgeIndex:
        """The index in that generation's folder."""
        self._adopt()
        return EdgeIndex(self._root / str(number))

    def drop(self, number: int) -> bool:
        """Remove the folder, unless another process holds it."""
        folder = self._root / str(number)
        index = EdgeIndex(folder)
        try:
            index.reset()
        except IndexUnavailable as error:
            if "locked" in error.what:
                return False
        finally:
            index.close()
        shutil.rmtree(folder, ignore_errors=True)
        return True

    def publish(self, number: int) -> bool:
        """Nobody else reads these folders."""
        return True

    def size(self, number: int) -> int | None:
        """Bytes of its files as the disk counts them: the engine's log reserves more than it fills."""
        found = 0
        for path in (self._root / str(number)).rglob("*"):
            try:
                found += path.stat().st_blocks * 512
            except OSError:  # gone since it was listed
                continue
        return found

    def _adopt(self) -> None:
        """Make an index from before there were generations the first one. Killed midway, the next call goes on.

        Raises:
            IndexUnavailable: a process of that time still holds it.
        """
        aside = self._root.with_name(f"{self._root.name}-before-generations")
        if (self._root / "edge_config.json").exists():
            old = EdgeIndex(self._root)
            try:
                old.count()
            finally:
                old.close()
            self._root.rename(aside)
        if aside.exists():
            self._root.mkdir(exist_ok=True)
            aside.rename(self._root / "1")


class ServerShelf:
    """Generations as collections of a Qdrant server: `<name>-<number>`, and an alias `<name>` on the one that answers.

    Args:
        client: makes a client; each index has its own to close.
        name: the alias, and what collections' names begin with.
        layout: how collections lie in a cluster.
        url: the server's address, to be told.
    """

    def __init__(self, client: Callable[[], Any], name: str, *, layout: Layout | None = None, url: str = "") -> None:
        self._client, self._name, self._layout = client, name, layout
        self.engine = f"Qdrant server {url}".strip()

    def index(self, number: int) -> ServerIndex:
        """The index in that generation's collection."""
        return ServerIndex(self._client(), self._collection(number), self._layout)

    def drop(self, number: int) -> bool:
        """Delete the collection. Who still searches it is told that it is gone."""
        with self._asked() as client:
            client.delete_collection(self._collection(number))
        return True

    def publish(self, number: int) -> bool:
        """Move the alias: the server does both halves in one step. Not before the collection is there.

        Raises:
            IndexUnavailable: the server does not answer, or a collection has the alias's name.
        """
        from qdrant_client import models as m

        with self._asked() as client:
            held = {item.alias_name: item.collection_name for item in client.get_aliases().aliases}
            if held.get(self._name) == self._collection(number):
                return True
            existing = {item.name for item in client.get_collections().collections}
            if self._name in existing:
                raise IndexUnavailable(
                    f"cannot name the collection that answers {self._name!r}",
                    why="a collection of that name is there, from before Rundown kept generations",
                    way_out="delete that collection, or set RUNDOWN_QDRANT_COLLECTION to another name",
                )
            if self._collection(number) not in existing:
                return False
            create = m.CreateAlias(collection_name=self._collection(number), alias_name=self._name)
            moves: list[Any] = [m.CreateAliasOperation(create_alias=create)]
            if self._name in held:
                moves.insert(0, m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name=self._name)))
            client.update_collection_aliases(moves)
            return True

    def size(self, number: int) -> int | None:
        """Not to be asked of a server."""
        return None

    def _collection(self, number: int) -> str:
        return f"{self._name}-{number}"

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        client = self._client()
        try:
            with speaking():
                yield client
        finally:
            client.close()


# -- what a generation holds, against its manifest ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that the index holds otherwise than the manifest says."""

    #: Empty where no source can be named.
    source: str
    doc_id: str
    #: In words.
    what: str
    #: Whether the index holds something that it should not, rather than lacking something.
    orphan: bool = False


def differences(index: VectorIndex, manifests: Mapping[str, Mapping[str, Indexed]]) -> list[Difference]:
    """Where the index and its manifest disagree: every document held whole with its digest, and nothing beside.

    Args:
        manifests: source to its manifest, for every source that anything may be held of.

    Raises:
        IndexUnavailable: the index does not answer.
    """
    found: list[Difference] = []
    for source, manifest in sorted(manifests.items()):
        found += _of_source(source, manifest, index.digests(source))
    surplus = index.count() - sum(item.chunks for manifest in manifests.values() for item in manifest.values())
    if surplus and not found:
        what = f"{abs(surplus)} pieces {'of sources that nobody knows' if surplus > 0 else 'are missing'}"
        found.append(Difference(source="", doc_id="", what=what, orphan=surplus > 0))
    return found


def _of_source(source: str, manifest: Mapping[str, Indexed], held: Mapping[str, str]) -> Iterable[Difference]:
    for doc_id in sorted(manifest.keys() | held.keys()):
        wanted, digest = manifest.get(doc_id), held.get(doc_id)
        if wanted is None:
            yield Difference(source=source, doc_id=doc_id, what="held, but not in the manifest", orphan=True)
        elif digest is None:
            yield Difference(source=source, doc_id=doc_id, what="not held")
        elif digest != wanted.digest:
            what = "held as another version" if digest else "not held whole"
            yield Difference(source=source, doc_id=doc_id, what=what)


class _Whoever(Audience):
    """Reads all that is held, so that a check covers it. For the check alone: nothing of a text may leave it."""

    def may_read(self, readers: Iterable[str]) -> bool:
        return True


def wrong_vectors(index: VectorIndex, space: str | None) -> str:
    """Why the vectors are not of the length that the space names, by a search and a sample of what it finds; "" if they are.

    Whoever may read them: where all pages are restricted, vectors can be as wrong. Only their lengths are told.

    Args:
        space: as `retrieval.chunk.space_of` writes it; None while nothing is held.
    """
    if space is None:
        return ""
    dimension = int(space.rsplit("/", 2)[1])
    any_vector = (1.0, *([0.0] * (dimension - 1)))
    scope = Scope(audience=_Whoever(people=frozenset()))
    try:
        (seen,) = index.search([View(by="meaning", vector=any_vector)], scope, limit=20)
        sample = index.meanings([item.piece for item in seen])
    except IndexUnavailable as error:
        return f"a search for vectors of {dimension} numbers fails: {error}"
    lengths = {len(vector) for vector in sample.values()} - {dimension}
    return f"vectors of {sorted(lengths)} numbers, not {dimension}" if lengths else ""
