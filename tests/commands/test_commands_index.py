"""`rundown index`: a new index is built, verified and swapped in while the old one answers, whatever is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from index_world import ALL, found, open_hash, quiet, rebuilt, synced
from typer.testing import CliRunner

from bot.index_admin import rebuild, repair, status, verify
from bot.index_commands import index_app
from bot.library import LiveLibrary
from core.errors import RundownError, UsageError
from core.settings import Settings
from core.store import GenerationState, Store
from ingest.chunking import open_cutter
from ingest.sources import open_source
from ingest.workers import sync_source
from retrieval.edge import EdgeIndex
from retrieval.generations import EdgeShelf, Shelf

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


def test_a_model_is_changed_without_an_outage(live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf):
    """Before the swap, after it and once the server has noticed: every search finds everything."""
    synced(live, settings)
    answers = [found(live, "full")]
    done = rebuilt(settings, store, shelf, model="hash-64")
    answers.append(found(live, "full"))
    noticed = [live.refresh(), live.refresh()]
    answers.append(found(live, "full"))

    assert answers == [ALL] * 3
    assert (done.before, done.generation, done.documents, noticed) == (1, 2, 3, [True, False])
    assert live.current().index.space() == "hash-64/64/words-1"


def test_the_configured_model_changes_nothing_by_itself(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """The index goes on with the model it was made with, and its state says what to do."""
    synced(live, settings)
    changed = settings.model_copy(update={"embedding_model": "hash-64"})
    with LiveLibrary(changed, store, open_model=open_hash, shelf=shelf) as later:
        live.close()
        answers = found(later, "full")
        told = status(changed, store, shelf=shelf)

    assert answers == ALL
    assert (told["model"], told["configured_model"]) == ("hash-32", "hash-64")


def test_the_old_index_is_kept_until_the_next_rebuild(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """Unless told otherwise."""
    synced(live, settings)
    numbers = []
    for drop_old in (False, False, True):
        rebuilt(settings, store, shelf, drop_old=drop_old)
        live.refresh()
        live.refresh()  # what was replaced at the first look is closed at the second
        numbers.append([item.number for item in store.generations()])

    # The last one was still open here when it was to be dropped: embedded it stays, on a server it goes.
    last = [3, 4] if isinstance(shelf, EdgeShelf) else [4]
    assert numbers == [[1, 2], [2, 3], last]


def test_a_sync_under_way_ends_in_the_generation_it_began_in(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """Its index stays open until it ends, and its manifest is its own."""
    synced(live, settings)
    with live.filling() as (filled, ingestor):
        rebuilt(settings, store, shelf, model="hash-64")
        swapped = [live.refresh(), live.refresh()]
        (spec,) = settings.docs
        report = sync_source(filled, ingestor, open_source(spec, settings), spec=spec)

    assert (swapped, report.unchanged, found(live, "full")) == ([True, False], 3, ALL)


def test_what_was_removed_while_it_was_built_is_not_in_it(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf, docs: Path
):
    """The serving process synced the removal into the old index: the new one goes back to that source before it answers."""
    synced(live, settings)

    def remove_once(*_: object) -> None:
        if (docs / "disk.md").exists():
            (docs / "disk.md").unlink()
            synced(live, settings)

    done = rebuild(settings, store, progress=remove_once, open_model=open_hash, shelf=shelf)
    live.refresh()

    assert (done.documents, found(live, "full")) == (2, ["memory.md", "network.md"])


def remove(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    (docs / "disk.md").unlink()
    synced(live, settings)


def add_a_source(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    other = docs.with_name("wiki")
    other.mkdir()
    (other / "new.md").write_text("# New\n\nfull")
    live.sync(str(other))


def forget_it(live: LiveLibrary, settings: Settings, docs: Path) -> None:
    with live.filling() as (store, ingestor):
        ingestor.forget(f"folder:{docs}")
        store.forget_sync(f"folder:{docs}")


@pytest.mark.parametrize(
    ("act", "named", "left"),
    [(remove, True, ["memory.md", "network.md"]), (add_a_source, True, [*ALL, "new.md"]), (forget_it, False, [])],
)
@pytest.mark.parametrize("moment", ["settle", "close"])
def test_what_is_synced_in_the_last_seconds_of_a_rebuild_is_not_lost(
    settings: Settings,
    store: Store,
    home: Path,
    docs: Path,
    moment: str,
    act: Callable[[LiveLibrary, Settings, Path], None],
    named: bool,
    left: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """While the new index is settled, or let go: it goes back to what happened before it answers."""
    shelf = EdgeShelf(home / "index")
    real, acted = getattr(EdgeIndex, moment), []
    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf, grace_s=0) as live:
        synced(live, settings)

        def act_once(index: EdgeIndex) -> None:
            real(index)
            if not acted:
                acted.append(True)
                act(live, settings, docs)

        monkeypatch.setattr(EdgeIndex, moment, act_once)
        rebuilt(settings if named else settings.model_copy(update={"docs": ()}), store, shelf)
        live.refresh()
        answers = found(live, "full")

    assert (acted, sorted(answers)) == ([True], left)


def test_a_sync_during_which_another_generation_took_over_is_done_in_that_one_too(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf, docs: Path
):
    """The rebuild read the source before it: a page that it took out must not come back."""
    synced(live, settings)
    (docs / "disk.md").rename(docs.with_name("aside.md"))

    def rebuild_once(done: int) -> None:
        if store.live_generation("hash-32").number == 1:
            (docs.with_name("aside.md")).rename(docs / "disk.md")
            rebuilt(settings, store, shelf)
            (docs / "disk.md").unlink()

    (docs / "memory.md").write_text("# memory\n\nfull and changed")  # so that the sync tells that it goes on
    live.sync(settings.docs[0], progress=rebuild_once)

    assert (store.live_generation("hash-32").number, found(live, "full")) == (2, ["memory.md", "network.md"])


class Watching(EdgeShelf):
    """Opens a generation the moment that it answers, as a serving process may."""

    opened: tuple[int, ...] = ()

    def publish(self, number: int) -> bool:
        index = self.index(number)
        self.opened += (index.count(),)
        index.close()
        return True


def test_a_new_index_can_be_opened_the_moment_it_answers(settings: Settings, store: Store, home: Path):
    """The rebuild has let go of it."""
    shelf = Watching(home / "index")
    rebuilt(settings, store, shelf)

    assert shelf.opened == (0, 3)


def test_a_source_that_was_forgotten_does_not_come_back(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf, tmp_path: Path
):
    """Known are those that were synced and not forgotten, and those of the settings."""
    other = tmp_path / "wiki"
    other.mkdir()
    (other / "a.md").write_text("# A\n\nfull")
    live.sync(str(other))
    synced(live, settings)
    first = rebuilt(settings, store, shelf)
    live.refresh()
    live.current().ingestor.forget(f"folder:{other}")
    store.forget_sync(f"folder:{other}")
    second = rebuilt(settings, store, shelf)

    assert (first.documents, second.documents) == (4, 3)


def test_our_own_past_incidents_are_in_the_new_index_too(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """The store opens them, nobody names them."""
    live.sync("rundown:incidents")
    done = rebuilt(settings, store, shelf)

    assert [report.source.partition(":")[0] for report in done.reports] == ["folder", "rundown"]


def test_a_source_that_cannot_be_read_leaves_the_old_index_answering(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf, docs: Path
):
    """And says what to do; when it can be read again, the rebuild goes on with what it had."""
    synced(live, settings)
    aside = docs.rename(docs.with_name("aside"))
    with pytest.raises(RundownError, match=r"runbooks.*--forget"):
        rebuilt(settings.model_copy(update={"docs": ()}), store, shelf)
    answers = [found(live, "full"), live.refresh()]
    aside.rename(docs)
    done = rebuilt(settings, store, shelf)

    assert (answers, done.resumed, done.generation) == ([ALL, False], True, 2)


def test_a_source_that_nobody_can_open_is_refused(live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf):
    """From a time when nobody wrote down what opens it: it must not vanish in silence."""
    synced(live, settings)
    store.set_indexed("confluence:wiki.example.org/OPS", "1", digest="x", chunks=1)

    with pytest.raises(UsageError, match=r"confluence:wiki.example.org/OPS.*rundown ingest"):
        rebuilt(settings, store, shelf)


def test_a_splitter_cuts_what_is_rebuilt_and_what_is_synced(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """The generation says what cut it; one begun with another is dropped; and a sync afterwards changes nothing."""
    synced(live, settings)
    before = live.current().index.count()
    options = {"chunk_size": 5, "chunk_overlap": 0}
    changes = {"splitter_class": "llama_index.core.node_parser.TokenTextSplitter", "splitter_options": options}
    other = settings.model_copy(update=changes)
    store.begin_generation(model="hash-32", space="hash-32/32/words-1", cut=open_cutter(settings).version)
    done = rebuilt(other, store, shelf)
    with LiveLibrary(other, store, open_model=open_hash, shelf=shelf, grace_s=0) as anew:
        report = anew.sync(settings.docs[0])
    cuts = [item.cut for item in store.generations() if item.state is GenerationState.LIVE]

    assert (done.resumed, cuts, before < done.pieces) == (False, [open_cutter(other).version], True)
    assert (report.unchanged, report.updated) == (3, 0)


def test_another_model_than_the_one_begun_begins_anew(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf
):
    """What was begun with the other is dropped."""
    synced(live, settings)
    begun = store.begin_generation(model="hash-16", space="hash-16/16/words-1", cut="x")
    done = rebuilt(settings, store, shelf, model="hash-64")

    assert (done.resumed, begun.number in [item.number for item in store.generations()]) == (False, False)


PROGRAM = """
import os, signal, sys
from core.settings import read_settings
from core.store import Store, open_store
from bot.index_admin import rebuild
from retrieval.embedding import HashEmbedder
from retrieval.generations import EdgeShelf
from retrieval.index import EdgeIndex

where = sys.argv[1]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
calls = []

class Dying(HashEmbedder):
    def embed_documents(self, texts):
        calls.append(texts)
        if where == "while it embeds":
            die()
        return super().embed_documents(texts)

real_put = EdgeIndex.put
def put(self, pieces):
    real_put(self, pieces)
    if where == "between index and manifest":
        die()
EdgeIndex.put = put
if where == "before the swap":
    Store.make_live = die
if where == "after the swap":
    EdgeShelf.publish = lambda self, number: number == 1 or die()
settings = read_settings(embedding_model="hash-64")
rebuild(settings, open_store(settings.store_url), progress=lambda *_: None, open_model=lambda model: Dying(64))
print(len(calls))
"""


@pytest.mark.parametrize(
    ("where", "generation"),
    [("while it embeds", 1), ("between index and manifest", 1), ("before the swap", 1), ("after the swap", 2)],
)
def test_a_rebuild_may_be_killed_anywhere(
    settings: Settings,
    store: Store,
    home: Path,
    docs: Path,
    where: str,
    generation: int,
    monkeypatch: pytest.MonkeyPatch,
):
    """The old index answers until the swap and the new one after it; run again, it goes on and ends whole."""
    monkeypatch.setenv("RUNDOWN_DOCS", str(docs))
    shelf = EdgeShelf(home / "index")
    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf, grace_s=0) as live:
        synced(live, settings)
        killed = subprocess.run([sys.executable, "-c", PROGRAM, where], check=False)
        live.refresh()
        answers = (live.current().index.space(), found(live, "full"))
        live.refresh()
        done = rebuild(settings, store, model="hash-64", progress=quiet, open_model=open_hash, shelf=shelf)
    verdict = verify(settings, store, shelf=shelf)

    size = {1: 32, 2: 64}[generation]
    assert (killed.returncode, answers) == (-signal.SIGKILL, (f"hash-{size}/{size}/words-1", ALL))
    assert (done.resumed, verdict.sound, verdict.documents) == (generation == 1, True, 3)


def lose_a_piece(shelf: Shelf, store: Store, source: str) -> None:
    index = shelf.index(1)
    index.delete(source, "disk.md")
    index.close()


def lose_the_manifest_of_one(shelf: Shelf, store: Store, source: str) -> None:
    store.forget_indexed(source, "disk.md")


def remember_another_version(shelf: Shelf, store: Store, source: str) -> None:
    store.set_indexed(source, "disk.md", digest="other", chunks=1)


@pytest.mark.parametrize("harm", [lose_a_piece, lose_the_manifest_of_one, remember_another_version])
def test_what_differs_is_found_and_mended(
    live: LiveLibrary, settings: Settings, store: Store, shelf: Shelf, harm: Callable[[Shelf, Store, str], None]
):
    """Named with its document and the way out; after `--repair` nothing differs."""
    synced(live, settings)
    live.close()
    before = verify(settings, store, shelf=shelf)
    (source,) = store.sources()
    harm(shelf, store, source)
    hurt = verify(settings, store, shelf=shelf)
    mended = repair(settings, store, progress=quiet, open_model=open_hash, shelf=shelf)

    assert (before.sound, [item.doc_id for item in hurt.differences], hurt.way_out) == (
        True, ["disk.md"], "run `rundown index verify --repair`",
    )  # fmt: skip
    assert mended.sound


def run(*args: str) -> tuple[int, Any]:
    """The exit code of a command, and what it printed as JSON."""
    done = CliRunner().invoke(index_app, [*args, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.exit_code in (0, 1) and done.stdout else done.exception


@pytest.fixture(name="commanded")
def _commanded(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNDOWN_DOCS", str(docs))
    monkeypatch.setenv("RUNDOWN_EMBEDDING_MODEL", "hash")


@pytest.mark.usefixtures("commanded")
def test_the_three_commands_tell_the_same_story(store: Store, docs: Path):
    """Empty at first; a rebuild reads what the settings name; verified, then hurt: exit code 1 with what to do, mended: 0."""
    empty = run("status")
    made = run("rebuild")
    told = run("status")
    whole = run("verify")
    store.forget_indexed(f"folder:{docs}", "disk.md")
    hurt = run("verify")
    mended = run("verify", "--repair")

    assert [code for code, _ in (empty, made, told, whole, hurt, mended)] == [0, 0, 0, 0, 1, 0]
    assert (empty[1]["pieces"], made[1]["documents"], hurt[1]["way_out"]) == (
        0,
        3,
        "run `rundown index verify --repair`",
    )
    (row,) = told[1]["sources"]
    assert (told[1]["generation"], told[1]["pieces"], told[1]["pieces_in_manifest"], row["documents"], row["error"]) == (
        2, 3, 3, 3, None,
    )  # fmt: skip
    assert told[1]["bytes"] > 0
    assert row["age_s"] < 100


@pytest.mark.usefixtures("commanded")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("status",), ["Generation 2 answers", "3 pieces held, 3 in the manifest", "runbooks", " s ago"]),
        (("rebuild",), ["made generation 3: 3 documents", "Generation 2 is kept until the next rebuild"]),
        (("verify",), ["generation 2: 3 documents, 3 pieces, all as the manifest says"]),
    ],
)
def test_people_are_told_in_words(args: tuple[str, ...], words: list[str], monkeypatch: pytest.MonkeyPatch):
    """Without --json, a few lines."""
    monkeypatch.setenv("COLUMNS", "400")
    run("rebuild")
    said = CliRunner().invoke(index_app, args).stdout

    assert [word for word in words if word not in said] == []


def test_while_serve_holds_the_index_its_state_is_told_all_the_same(settings: Settings, store: Store, home: Path):
    """From the store; only what the engine itself would have to say is a gap, with its way out."""
    shelf = EdgeShelf(home / "index")
    with LiveLibrary(settings, store, open_model=open_hash, shelf=shelf) as live:
        synced(live, settings)
        code = (
            "import sys; from bot.index_admin import status; from core.settings import read_settings;"
            "from core.store import open_store; s = read_settings(embedding_model='hash-32'); t = status(s, open_store(s.store_url));"
            "print(t['pieces'], t['pieces_in_manifest'], t['gap'])"
        )
        said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert said.startswith("None 3 ")
    assert "most likely `rundown serve`" in said
