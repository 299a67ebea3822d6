"""The embedded engine's folder: locks, kills and damage."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from retrieval_world import EMBEDDER, SPACE, fill, piece, with_vectors

from core.access import PUBLIC, Audience
from core.errors import IndexUnavailable
from retrieval.chunk import Scope, View
from retrieval.index import EdgeIndex
from retrieval.sparse import encode_query

DISK = [View(by="words", vector=encode_query("disk"))]
EVERYONE = Scope(audience=PUBLIC)


def run_python(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Another process, with this test's helpers and the index's path as its argument."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_folder_another_process_holds_is_named_in_the_refusal(tmp_path: Path):
    """Until that process lets go; then it opens."""
    holder = EdgeIndex(tmp_path / "index")
    fill(holder, piece("a.md", "disk"))
    late = EdgeIndex(tmp_path / "index")

    with pytest.raises(IndexUnavailable, match=rf"{tmp_path}/index.*locked.*another process.*RUNDOWN_QDRANT_URL"):
        late.count()
    holder.close()

    assert late.count() == 1
    late.close()


def test_the_lock_holds_between_processes(tmp_path: Path):
    """The same refusal from a process of its own."""
    holder = EdgeIndex(tmp_path / "index")
    fill(holder, piece("a.md", "disk"))
    code = "import sys, pathlib; from retrieval.index import EdgeIndex; EdgeIndex(pathlib.Path(sys.argv[1])).count()"

    other = run_python(code, tmp_path / "index")
    holder.close()

    assert (other.returncode, "locked" in other.stderr) == (1, True)


def test_what_was_stored_survives_a_kill(tmp_path: Path):
    """A process that is killed right after storing lost nothing, and its lock is gone with it."""
    code = (
        "import sys, os, pathlib, signal\n"
        "from retrieval.index import EdgeIndex\nfrom retrieval_world import fill, piece\n"
        "fill(EdgeIndex(pathlib.Path(sys.argv[1])), *(piece(f'{n}.md', 'disk') for n in range(300)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    killed = run_python(code, tmp_path / "index")
    index = EdgeIndex(tmp_path / "index")

    assert (killed.returncode, killed.stderr, index.count(), [len(found) for found in index.search(DISK, EVERYONE, limit=500)]) == (
        -9, "", 300, [300],
    )  # fmt: skip
    index.close()


def test_a_folder_that_appears_later_is_found(tmp_path: Path):
    """A server that started before the first ingest sees what another process stored since."""
    early = EdgeIndex(tmp_path / "index")
    before = early.count()
    writer = EdgeIndex(tmp_path / "index")
    fill(writer, piece("a.md", "disk"))
    writer.close()

    assert (before, early.count()) == (0, 1)
    early.close()


def test_opening_makes_no_folder(tmp_path: Path):
    """Looking leaves no trace."""
    index = EdgeIndex(tmp_path / "index")
    index.search(DISK, EVERYONE, limit=1)
    index.close()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["edge_config.json", "segments/*/vector_storage-meaning/vectors/status.dat"])
def test_damage_is_told_apart_from_being_empty(tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]):
    """A file cut short refuses with a way out; the engine's panic does not end the thread."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, piece("a.md", "disk"))
    index.close()
    (hurt,) = (tmp_path / "index").glob(damage)
    hurt.write_bytes(hurt.read_bytes()[: hurt.stat().st_size // 2])

    with pytest.raises(IndexUnavailable, match="rundown ingest"):
        EdgeIndex(tmp_path / "index").search(DISK, EVERYONE, limit=1)


def test_a_preparation_cut_short_is_done_over(tmp_path: Path):
    """Killed after the folder was made and before anything was stored: preparing again, even for other vectors, works."""
    index = EdgeIndex(tmp_path / "index")
    index.prepare("other/3", 3)
    index.close()
    again = EdgeIndex(tmp_path / "index")
    again.prepare(SPACE, EMBEDDER.dimension)

    assert (again.count(), again.space()) == (0, None)
    again.close()


def test_a_closed_index_says_so(tmp_path: Path):
    """And does not take the folder again behind its owner's back."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, piece("a.md", "disk"))
    index.close()

    with pytest.raises(IndexUnavailable, match="was closed"):
        index.count()


def test_threads_share_one_index(tmp_path: Path):
    """Four write while four search: nothing is lost and nobody fails."""
    index = EdgeIndex(tmp_path / "index")
    index.prepare(SPACE, EMBEDDER.dimension)
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for step in range(10):
                if number % 2:
                    index.search(DISK, EVERYONE, limit=10)
                else:
                    fill(index, piece(f"{number}-{step}.md", "disk"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failures, index.count()) == ([], 40)
    index.close()


def test_warming_changes_nothing_that_is_found(tmp_path: Path):
    """Which document a piece belongs to is the same, read beforehand, by the search, or for what was stored since."""
    index = EdgeIndex(tmp_path / "index")
    fill(index, *(piece(f"{number}.md", "disk", source=f"folder:/{number % 2}") for number in range(5)))
    cold = index.search(DISK, EVERYONE)
    index.close()
    again = EdgeIndex(tmp_path / "index")
    again.warm()
    warm = again.search(DISK, EVERYONE)
    fill(again, piece("late.md", "disk"))
    late = {item.document for item in again.search(DISK, EVERYONE)[0]}
    again.close()

    assert (warm, late) == (cold, {*((f"folder:/{number % 2}", f"{number}.md") for number in range(5)), ("folder:/docs", "late.md")})  # fmt: skip


def test_readers_that_come_while_the_lists_are_read_are_seen(tmp_path: Path):
    """A search that read the lists of readers just before one was written does not keep the old ones."""
    stored = piece("late.md", "disk", readers=("group:late",))

    class Overtaken(EdgeIndex):
        """While the lists are on their way to whoever asked, somebody writes."""

        writer: threading.Thread | None = None

        def _ask(self, question: Callable[[Any], Any], nothing: Any) -> Any:
            answer = super()._ask(question, nothing)
            if self.writer is None and answer == ["*"]:
                self.writer = threading.Thread(target=self.put, args=([with_vectors(stored)],))
                self.writer.start()
                self.writer.join(0.3)
            return answer

    index = Overtaken(tmp_path / "index")
    fill(index, piece("a.md", "disk"))
    late = Scope(audience=Audience.of(["group:late"]))
    index.search(DISK, late)
    assert index.writer is not None
    index.writer.join()
    (seen,) = index.search(DISK, late)
    index.close()

    assert sorted(item.doc_id for item in seen) == ["a.md", "late.md"]


def test_a_settled_index_finds_the_same_and_what_comes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After the graph is built nothing is lost, changed or hidden; writes and a reload go on as before."""
    monkeypatch.setattr("retrieval.edge.SETTLED", 100)
    index = EdgeIndex(tmp_path / "index")
    fill(
        index,
        *(
            piece(f"{n}.md", f"note {n} about disk {n % 7}", readers=("*",) if n % 2 else ("group:x",))
            for n in range(400)
        ),
    )
    views = [View(by="meaning", vector=tuple(EMBEDDER.embed_query("note 41 about disk 6")))]
    before = [item.doc_id for item in index.search(views, EVERYONE, limit=10)[0]]

    index.settle()
    after = [item.doc_id for item in index.search(views, EVERYONE, limit=10)[0]]
    fill(index, piece("late.md", "note 41 about disk 6 again"))
    index.close()
    again = EdgeIndex(tmp_path / "index")
    late = [item.doc_id for item in again.search(views, EVERYONE, limit=10)[0]]
    held = again.count()
    again.close()

    assert (after[0], set(after) == set(before), "late.md" in late, held) == (before[0], True, True, 401)
