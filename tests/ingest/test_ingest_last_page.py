"""When a source has no document left: whether it is empty or only not there, and what is told of one that fails for long."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import DocumentError
from core.model import Document, Tier
from core.store import Store
from ingest.folder import FolderSource
from ingest.git_docs import GitSource
from ingest.prometheus import PrometheusSource
from ingest.sources import ListSource
from ingest.sync import Ingestor
from ingest.workers import sync_source
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex

RULES = "groups:\n- name: disk\n  rules:\n  - alert: DiskFull\n    expr: disk_free_bytes == 0\n"


@pytest.fixture(name="ingestor")
def _ingestor(store: Store, tmp_path: Path) -> Iterator[Ingestor]:
    index = EdgeIndex(tmp_path / "index")
    yield Ingestor(store, index, HashEmbedder(32))
    index.close()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "disk.md").write_text("# Disk\n\nfull")
    return folder


def picture(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "images/disk.png").write_bytes(b"\x89PNG")


def emptied_page(folder: Path) -> None:
    (folder / "disk.md").write_text("")


def work_tree(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)


@pytest.mark.parametrize("beside", [picture, emptied_page, work_tree])
def test_the_last_page_of_a_folder_goes_where_the_folder_is_seen_to_be_there(
    ingestor: Ingestor, folder: Path, beside: Callable[[Path], None]
):
    """By another file in it, or because it is a work tree."""
    ingestor.sync(FolderSource(folder))
    (folder / "disk.md").unlink()
    beside(folder)

    assert ingestor.sync(FolderSource(folder)).deleted == 1


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a hidden file"])
def test_an_empty_folder_keeps_its_last_page(ingestor: Ingestor, folder: Path, store: Store, left: str):
    """A disk that is not mounted looks like that; the error says how to mean it."""
    ingestor.sync(FolderSource(folder))
    (folder / "disk.md").unlink()
    if left == "an empty folder":
        (folder / "runbooks").mkdir()
    elif left == "a hidden file":
        (folder / ".keep").write_text("")

    with pytest.raises(DocumentError, match=r"no document any more.*--forget"):
        ingestor.sync(FolderSource(folder))
    assert store.sources() == {f"folder:{folder}": 1}


def test_the_last_page_of_a_repository_and_the_last_rule_go(ingestor: Ingestor, folder: Path):
    """A repository whose HEAD is read is there, and so is a folder of rules that holds another file."""
    work_tree(folder)
    (folder / "disk.yaml").write_text(RULES)
    for command in (["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    sources = GitSource(folder), PrometheusSource(folder)
    for source in sources:
        ingestor.sync(source)
    subprocess.run(["git", "-C", str(folder), "rm", "-q", "disk.md", "disk.yaml"], check=True)
    (folder / "main.py").write_text("pass")
    for command in (["add", "-A"], ["commit", "-q", "-m", "two"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)

    assert [ingestor.sync(source).deleted for source in sources] == [1, 1]


@pytest.mark.parametrize(("hours", "told"), [(25, 1), (23, 0)])
def test_a_source_that_fails_for_a_day_is_told_of_aloud(
    store: Store, ingestor: Ingestor, caplog: pytest.LogCaptureFixture, hours: float, told: int
):
    """What is indexed of it still answers, with the readers of then: the line says so, and how to take it out."""
    page = Document(id="a", source="", title="a", text="disk full", tier=Tier.WIKI)
    sync_source(store, ingestor, ListSource("confluence:OPS", page), spec="confluence:OPS")
    store.note_sync("confluence:OPS", spec="confluence:OPS", began_at=time.time() - hours * 3600)

    with pytest.raises(DocumentError):
        sync_source(
            store, ingestor, ListSource("confluence:OPS", DocumentError("the token was revoked")), spec="confluence:OPS"
        )
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]

    assert [("documents: 1" in line, "--forget 'confluence:OPS'" in line) for line in lines] == [(True, True)] * told
