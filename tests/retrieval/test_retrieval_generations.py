"""Where generations lie, and whether one holds what its manifest says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient
from retrieval_world import EMBEDDER, SPACE, fill, piece

from core.errors import IndexUnavailable
from core.settings import read_settings
from core.store import Indexed
from retrieval.generations import Difference, EdgeShelf, ServerShelf, Shelf, differences, open_shelf, wrong_vectors
from retrieval.index import EdgeIndex, VectorIndex

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
SOURCE = "folder:/docs"


class Kept(QdrantClient):
    """A client of one memory that several indexes share, which closing would forget."""

    def close(self, **_: Any) -> None:
        pass


@pytest.fixture(name="client")
def _client() -> Kept:
    return Kept(":memory:")


@pytest.fixture(name="shelf", params=["edge", "server"])
def _shelf(request: pytest.FixtureRequest, tmp_path: Path, client: Kept) -> Shelf:
    return EdgeShelf(tmp_path / "index") if request.param == "edge" else ServerShelf(lambda: client, "rundown")


@pytest.fixture(name="index")
def _index(shelf: Shelf) -> Iterator[VectorIndex]:
    opened = shelf.index(1)
    yield opened
    opened.close()


def count(shelf: Shelf, number: int) -> int:
    """How many pieces a generation holds, for somebody who opens it anew."""
    index = shelf.index(number)
    try:
        return index.count()
    finally:
        index.close()


def filled(shelf: Shelf, number: int, *names: str) -> None:
    index = shelf.index(number)
    fill(index, *(piece(name, "disk") for name in names))
    index.close()


def test_generations_share_nothing(shelf: Shelf):
    """Each is filled and dropped without the other; one that is not there is empty, and dropped twice is dropped once."""
    filled(shelf, 1, "a.md", "b.md")
    filled(shelf, 2, "a.md")

    assert [shelf.drop(1), shelf.drop(1), count(shelf, 1), count(shelf, 2)] == [True, True, 0, 1]


def test_the_next_is_filled_while_one_is_open(shelf: Shelf, index: VectorIndex):
    """Each has a lock of its own."""
    fill(index, piece("a.md", "disk"))
    filled(shelf, 2, "a.md", "b.md")

    assert (index.count(), count(shelf, 2)) == (1, 2)


def test_a_folder_that_is_held_stays(tmp_path: Path):
    """Until its holder lets go: dropping it would pull it from under a search."""
    shelf = EdgeShelf(tmp_path / "index")
    holder = shelf.index(1)
    fill(holder, piece("a.md", "disk"))
    held = shelf.drop(1)
    holder.close()

    assert (held, shelf.drop(1), list((tmp_path / "index").iterdir())) == (False, True, [])


@pytest.mark.parametrize("killed", [False, True])
def test_an_index_from_before_generations_becomes_the_first(tmp_path: Path, killed: bool):
    """Its folder moves as it is; killed between the two moves, the next start finishes."""
    old = EdgeIndex(tmp_path / "index")
    fill(old, piece("a.md", "disk"))
    old.close()
    if killed:
        (tmp_path / "index").rename(tmp_path / "index-before-generations")

    assert (count(EdgeShelf(tmp_path / "index"), 1), os.listdir(tmp_path)) == (1, ["index"])


def test_an_index_that_an_older_rundown_holds_is_not_moved(tmp_path: Path):
    """It would write on into a folder that is elsewhere."""
    old = EdgeIndex(tmp_path / "index")
    fill(old, piece("a.md", "disk"))

    with pytest.raises(IndexUnavailable, match="locked"):
        EdgeShelf(tmp_path / "index").index(1)
    old.close()


def test_the_alias_follows_the_generation_that_answers(client: Kept):
    """Not before there is something to follow; twice is once; and a search by the alias reads the new one."""
    shelf = ServerShelf(lambda: client, "rundown")
    early = shelf.publish(1)
    filled(shelf, 1, "a.md")
    filled(shelf, 2, "a.md", "b.md")
    led = []
    for number in (1, 2, 2):
        shelf.publish(number)
        led.append(client.count("rundown").count)

    assert (early, led, [item.collection_name for item in client.get_aliases().aliases]) == (
        False,
        [1, 2, 2],
        ["rundown-2"],
    )


def test_a_collection_in_the_alias_s_place_is_told_of(client: Kept):
    """It is from before generations; nobody but its owner deletes it."""
    shelf = ServerShelf(lambda: client, "rundown")
    filled(shelf, 1, "a.md")
    client.create_collection("rundown", vectors_config={})

    with pytest.raises(IndexUnavailable, match="delete that collection, or set RUNDOWN_QDRANT_COLLECTION"):
        shelf.publish(1)


def test_the_settings_choose_the_shelf(home: Path):
    """A folder below RUNDOWN_HOME, or a server that is not asked anything yet."""
    server = read_settings(qdrant_url="http://127.0.0.1:1", qdrant_replicas=2)

    assert [open_shelf(read_settings()).engine, open_shelf(server).engine] == [
        f"inside the process, in {home / 'index'}",
        "Qdrant server http://127.0.0.1:1",
    ]


def known(*names: str, digest: str = "d1", chunks: int = 1) -> dict[str, Indexed]:
    return {name: Indexed(digest=digest, chunks=chunks, version=None) for name in names}


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (known("a.md", "b.md"), []),
        (known("a.md"), [("b.md", "held, but not in the manifest", True)]),
        (known("a.md", "b.md", "c.md"), [("c.md", "not held", False)]),
        (known("a.md") | known("b.md", digest="d2"), [("b.md", "held as another version", False)]),
        (known("a.md") | known("b.md", chunks=2), [("", "1 pieces are missing", False)]),
    ],
)
def test_every_difference_from_the_manifest_is_named(
    index: VectorIndex, manifest: dict[str, Indexed], found: list[tuple[str, str, bool]]
):
    """What lacks, what is other, what is too much."""
    fill(index, piece("a.md", "disk"), piece("b.md", "disk"))

    assert [(item.doc_id, item.what, item.orphan) for item in differences(index, {SOURCE: manifest})] == found


def test_half_a_document_is_not_held_whole(index: VectorIndex):
    """A kill between two writes leaves one."""
    fill(index, piece("a.md", "disk", of=2))

    assert differences(index, {SOURCE: known("a.md", chunks=2)}) == [
        Difference(source=SOURCE, doc_id="a.md", what="not held whole")
    ]


def test_pieces_of_a_source_that_nobody_knows_are_counted(index: VectorIndex):
    """They have no manifest to miss them."""
    fill(index, piece("a.md", "disk"), piece("x.md", "disk", source="folder:/elsewhere"))

    assert differences(index, {SOURCE: known("a.md")}) == [
        Difference(source="", doc_id="", what="1 pieces of sources that nobody knows", orphan=True)
    ]


def test_vectors_have_the_length_that_the_space_names(index: VectorIndex):
    """A search with one of that length works, and what it finds has it too."""
    fill(index, piece("a.md", "disk"))
    name = SPACE.split("/")[0]

    told = [wrong_vectors(index, space) for space in (SPACE, None, f"{name}/{EMBEDDER.dimension + 1}/words-1")]

    assert told[:2] == ["", ""]
    assert told[2].startswith(f"a search for vectors of {EMBEDDER.dimension + 1} numbers fails")


@pytest.mark.parametrize("readers", [("*",), ("group:sre",), ()], ids=["everyone's", "a group's", "nobody's"])
def test_vectors_are_checked_whoever_may_read_their_pages(index: VectorIndex, readers: tuple[str, ...]):
    """Where every page is restricted, a wrong vector is as wrong."""
    fill(index, piece("a.md", "disk", readers=readers))
    longer = f"{SPACE.split('/')[0]}/{EMBEDDER.dimension + 1}/words-1"

    assert (wrong_vectors(index, SPACE), wrong_vectors(index, longer) != "") == ("", True)
