"""A folder of documents, with everything a real one holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DocumentError
from core.model import Document, Tier
from ingest.folder import FolderSource
from ingest.sources import Held, Skipped


@pytest.fixture(name="docs")
def _docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


def put(folder: Path, name: str, text: str | bytes = "# Title\n\nwords") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def listed(folder: Path) -> dict[str, str]:
    """Id to title, or to the reason it was skipped."""
    return {
        item.doc_id if isinstance(item, Skipped) else item.id: item.reason if isinstance(item, Skipped) else item.title
        for item in FolderSource(folder).documents()
        if not isinstance(item, Held)
    }


def test_every_document_below_is_listed_once_in_order(docs: Path):
    """By its path, whatever its format; other files are no documents."""
    for name in ("b.md", "a/z.adoc", "a/b/c.html", "a/notes.txt"):
        put(docs, name)
    for name in ("code.py", "picture.png", ".hidden.md", ".git/x.md", "node_modules/x.md", "Makefile"):
        put(docs, name)

    found = list(FolderSource(docs, docs_url="https://wiki/d").documents())

    assert [(item.id, item.url, item.source) for item in found if isinstance(item, Document)] == [
        (name, f"https://wiki/d/{name}", f"folder:{docs}") for name in ("a/b/c.html", "a/notes.txt", "a/z.adoc", "b.md")
    ]


def test_the_folders_own_name_tells_the_tier_where_none_below_does(tmp_path: Path):
    """`rundown ingest /srv/runbooks` are runbooks."""
    put(tmp_path / "runbooks", "disk.md")
    put(tmp_path / "runbooks", "incidents/2024-05-01.md")

    found = [item for item in FolderSource(tmp_path / "runbooks").documents() if isinstance(item, Document)]

    assert [item.tier for item in found] == [Tier.RUNBOOK, Tier.PAST_INCIDENT]


def test_the_time_on_disk_is_not_when_it_was_written(docs: Path):
    """A clone or a copy sets it to now, and the past would have no documents."""
    put(docs, "a.md")

    (found,) = FolderSource(docs).documents()

    assert isinstance(found, Document)
    assert found.updated_at is None


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(docs: Path):
    """Empty, binary, too big, not UTF-8 by name, not a file at all."""
    put(docs, "a.md")
    put(docs, "binary.md", b"\x00\x01")
    put(docs, "empty.md", "\n")
    put(docs, "huge.txt", b"x" * 2_000_001)
    put(docs, "folder.md/inner.md")
    os.mkfifo(docs / "pipe.md")
    (Path(os.fsdecode(os.fsencode(docs) + b"/\xff.md"))).write_text("x")

    assert listed(docs) == {
        "a.md": "Title",
        "binary.md": "not text",
        "empty.md": "empty",
        "folder.md/inner.md": "Title",
        "huge.txt": "2.0 MB, more than 2",
        "pipe.md": "not a regular file",
        "\\udcff.md": "its name is not UTF-8",
    }


def test_links_are_followed_inside_the_folder_only(docs: Path, tmp_path: Path):
    """Never in circles, never out, never to the same document twice."""
    put(docs, "a.md")
    put(docs, ".data/mounted.md", "# Mounted\n\nx")
    put(tmp_path, "outside/secret.md")
    (docs / "again.md").symlink_to("a.md")
    (docs / "mounted.md").symlink_to(".data/mounted.md")
    (docs / "loop").symlink_to(docs, target_is_directory=True)
    (docs / "self.md").symlink_to("self.md")
    (docs / "gone.md").symlink_to("nowhere.md")
    (docs / "out.md").symlink_to(tmp_path / "outside" / "secret.md")
    (docs / "outdir").symlink_to(tmp_path / "outside", target_is_directory=True)

    found = listed(docs)

    assert {name: reason.split(":")[0] for name, reason in found.items()} == {
        "a.md": "Title",
        "mounted.md": "Mounted",
        "gone.md": "a link that leads nowhere",
        "self.md": "a link that leads nowhere",
        "out.md": "a link that leads out of the folder",
        "outdir": "a link that leads out of the folder",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_this_user_may_not_read_is_told_apart(docs: Path):
    """So that what is indexed of it stays."""
    put(docs, "a.md")
    put(docs, "locked.md").chmod(0)
    put(docs, "closed/x.md").parent.chmod(0)

    found = {item.doc_id: item.unreadable for item in FolderSource(docs).documents() if isinstance(item, Skipped)}
    (docs / "closed").chmod(0o700)

    assert found == {"locked.md": True, "closed/": True}


def test_a_folder_that_is_gone_is_a_failure_not_an_empty_list(docs: Path):
    """Nothing may be concluded from a mount that is not there."""
    source = FolderSource(docs)
    docs.rmdir()

    with pytest.raises(DocumentError, match=r"docs.*not there.*stays as it is"):
        list(source.documents())


def later(folder: Path, *, docs_url: str | None = None) -> FolderSource:
    """The folder's source, as it is read when everything in it has been there for a minute."""
    return FolderSource(folder, docs_url=docs_url, clock_ns=lambda: time.time_ns() + 60_000_000_000)


def versions(source: FolderSource) -> dict[str, str]:
    return {item.id: item.version for item in source.documents() if isinstance(item, Document) and item.version}


def held(source: FolderSource, known: dict[str, str]) -> list[str]:
    return [item.doc_id for item in source.documents(known) if isinstance(item, Held)]


def grown(path: Path) -> None:
    path.write_text("# Title\n\nmore words")


def of_the_same_length(path: Path) -> None:
    path.write_text("# Title\n\nWORDS")


def of_the_same_length_and_time(path: Path) -> None:
    """What `cp -p` and `rsync -t` do."""
    before = path.stat()
    of_the_same_length(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_rename(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other.tmp")
    other.write_text("# Title\n\nWORDS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def test_a_file_that_is_as_it_was_is_not_opened(docs: Path):
    """A look at its size and times is enough. Those that are no documents are looked at again."""
    put(docs, "a.md")
    put(docs, "empty.md", "")
    path = put(docs, "b.md")
    known = versions(later(docs))
    os.rename(path, docs / "c.md")

    assert (sorted(known), held(later(docs), known)) == (["a.md", "b.md"], ["a.md"])


@pytest.mark.parametrize("change", [grown, of_the_same_length, of_the_same_length_and_time, replaced_by_a_rename])
def test_a_changed_file_is_read_however_it_was_changed(docs: Path, change: Callable[[Path], None]):
    """By its size, its time, the time of its last change, or its inode."""
    path = put(docs, "a.md")
    put(docs, "b.md")
    known = versions(later(docs))
    time.sleep(0.02)  # a file system's clock ticks every few milliseconds
    change(path)

    assert held(later(docs), known) == ["b.md"]


def test_a_file_changed_just_now_is_read_again_next_time(docs: Path):
    """It could change once more without its time telling."""
    put(docs, "a.md")

    assert versions(FolderSource(docs)) == {}


def test_another_address_reads_everything_again(docs: Path):
    """It stands in every document."""
    put(docs, "a.md")

    assert held(later(docs, docs_url="https://wiki/d"), versions(later(docs))) == []


def test_a_linked_document_is_held_like_any_other(docs: Path):
    """By the file that the link leads to."""
    target = put(docs, ".data/mounted.md")
    (docs / "mounted.md").symlink_to(".data/mounted.md")
    known = versions(later(docs))
    before = held(later(docs), known)
    grown(target)

    assert (before, held(later(docs), known)) == (["mounted.md"], [])
