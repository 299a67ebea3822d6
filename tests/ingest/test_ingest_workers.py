"""Several sources synced at the same time: in threads, and through the durable queue, which a kill does not empty."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.errors import DocumentError
from core.model import Document, Tier
from core.settings import read_settings
from core.store import Store
from ingest.sources import ListSource
from ingest.sync import Ingestor, SyncReport
from ingest.workers import SyncQueue, sync_source, sync_together
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex


@pytest.fixture(name="ingestor")
def _ingestor(store: Store, tmp_path: Path) -> Iterator[Ingestor]:
    index = EdgeIndex(tmp_path / "index")
    yield Ingestor(store, index, HashEmbedder(32))
    index.close()


def page(source: str, name: str) -> Document:
    return Document(id=name, source=source, title=name, text="disk full", tier=Tier.RUNBOOK)


def test_a_sync_is_written_down_with_what_opens_its_source(store: Store, ingestor: Ingestor):
    """When it went well and when it did not; a path by the source's name, which does not depend on where somebody stood."""
    sync_source(store, ingestor, ListSource("folder:/srv/runbooks", page("", "a.md")), spec="runbooks")
    with pytest.raises(DocumentError):
        sync_source(store, ingestor, ListSource("pagerduty:host", DocumentError("no", why="down")), spec="pagerduty:")

    assert {name: (item.spec, item.synced_at is not None, item.error) for name, item in store.syncs().items()} == {
        "folder:/srv/runbooks": ("folder:/srv/runbooks", True, None),
        "pagerduty:host": ("pagerduty:", False, "no: down."),
    }


def test_two_workers_sync_at_the_same_time_and_one_failure_stops_no_other():
    """Each waits until the other is there too: one after the other they would never end."""
    together = threading.Barrier(2, timeout=20)

    def sync(spec: str) -> SyncReport:
        if spec == "c":
            raise DocumentError("cannot read c")
        together.wait()
        return SyncReport(source=spec)

    found, refused = sync_together(["a", "b", "c", "a"], sync, workers=2)

    assert ([report.source for report in found], list(refused)) == (["a", "b"], ["c"])


def test_sources_synced_at_the_same_time_share_one_index(store: Store, ingestor: Ingestor):
    """Every document of each is held, and a second round finds nothing to do."""

    def sync(spec: str) -> SyncReport:
        return sync_source(store, ingestor, ListSource(spec, *(page(spec, f"{n}.md") for n in range(40))), spec=spec)

    rounds = [sync_together([f"list:{n}" for n in range(6)], sync, workers=3) for _ in range(2)]

    assert [(sum(r.added for r in found), sum(r.unchanged for r in found), refused) for found, refused in rounds] == [
        (240, 0, {}),
        (0, 240, {}),
    ]


@pytest.fixture(name="database")
def _database() -> Iterator[None]:
    """DBOS on the test's own database, taken down at the end."""
    from dbos import DBOS

    from bot.workflow import dbos_config

    DBOS(config=dbos_config(read_settings()))
    yield
    DBOS.destroy(destroy_registry=True)


def opened(queue: SyncQueue) -> SyncQueue:
    from dbos import DBOS

    DBOS.launch()
    queue.launch()
    return queue


def kept_up(
    queue: SyncQueue, specs: Sequence[str], until: Callable[[dict[str, str | None]], bool], *, every_s: float = 60.0
) -> dict[str, str | None]:
    """Looks again and again, as a server does, until what is told of the sources is so."""
    end = time.monotonic() + 30
    while not until(told := queue.keep_up(specs, every_s=every_s)):
        assert time.monotonic() < end, told
        time.sleep(0.05)
    return told


def all_ended(told: dict[str, str | None]) -> bool:
    return None not in told.values()


@pytest.mark.usefixtures("database")
def test_the_queue_syncs_so_many_at_a_time_and_each_source_once():
    """Two callers who want the same sources share one sync of each; what fails is told by name."""
    done: list[str] = []
    started, go = threading.Semaphore(0), threading.Event()

    def sync(spec: str) -> None:
        started.release()
        go.wait(30)
        done.append(spec)
        if spec == "c":
            raise DocumentError("cannot read 'c'", why="it is gone")
        if spec == "d":
            raise ZeroDivisionError("a defect")

    queue = opened(SyncQueue(sync, workers=2, worker="rundown"))
    specs = ["a", "b", "c", "d"]
    callers = [threading.Thread(target=queue.keep_up, args=(specs,), kwargs={"every_s": 60}) for _ in range(2)]
    for caller in callers:
        caller.start()
    both = [started.acquire(timeout=30), started.acquire(timeout=30), started.acquire(timeout=0.3)]
    go.set()
    told = kept_up(queue, specs, all_ended)

    assert (both, sorted(done)) == ([True, True, False], specs)
    assert told == {"a": "", "b": "", "c": "cannot read 'c': it is gone.", "d": "ZeroDivisionError: a defect"}


@pytest.mark.usefixtures("database")
def test_a_slow_source_holds_up_no_other():
    """While one is read for the first time, another is synced again and again; the slow one is not begun twice."""
    done: list[str] = []
    go = threading.Event()

    def sync(spec: str) -> None:
        done.append(spec)
        if spec == "slow":
            go.wait(30)

    queue = opened(SyncQueue(sync, workers=2, worker="rundown"))
    told = kept_up(queue, ["slow", "quick"], lambda _: done.count("quick") >= 3, every_s=0.1)
    go.set()
    kept_up(queue, ["slow", "quick"], all_ended)

    assert (told, done.count("slow")) == ({"slow": None, "quick": ""}, 1)


@pytest.mark.usefixtures("database")
def test_a_source_whose_turn_is_far_off_may_be_hurried():
    """As when a rebuilt index took over."""
    done: list[str] = []
    queue = opened(SyncQueue(done.append, workers=1, worker="rundown"))
    kept_up(queue, ["a"], all_ended)
    kept_up(queue, ["a"], all_ended)
    queue.hurry()
    kept_up(queue, ["a"], lambda _: len(done) == 2)

    assert done == ["a", "a"]


@pytest.mark.usefixtures("database")
def test_finished_syncs_are_forgotten_once_a_round_in_which_one_begins(monkeypatch: pytest.MonkeyPatch):
    """However many sources are due; a look at which none is costs the database nothing."""
    from dbos import DBOS

    rounds: list[dict[str, Any]] = []
    listed = DBOS.list_workflows
    monkeypatch.setattr(DBOS, "list_workflows", lambda **asked: rounds.append(asked) or listed(**asked))
    queue = opened(SyncQueue(lambda spec: None, workers=1, worker="rundown"))
    kept_up(queue, ["a", "b", "c"], all_ended)

    assert len(rounds) == 1


PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from typing import Any
from dbos import DBOS
from bot.workflow import dbos_config
from core.settings import read_settings
from ingest.workers import SyncQueue

settings, die = read_settings(), sys.argv[1] == "die"
log, done = Path("synced"), threading.Event()

def sync(spec):
    if die and spec == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    with log.open("a") as file:
        file.write(spec)
    if len(log.read_text()) == 3:
        done.set()

DBOS(config=dbos_config(settings))
queue = SyncQueue(sync, workers=1, worker=settings.worker)
DBOS.launch()
queue.launch()
if die:
    queue.keep_up(["a", "b", "c"], every_s=60)
print(done.wait(30))
DBOS.destroy()
"""


def test_what_was_asked_of_a_killed_process_is_done_by_the_next():
    """Nobody asks again: the queue remembers. What was finished is not begun again."""
    killed = subprocess.run([sys.executable, "-c", PROGRAM, "die"], check=False, capture_output=True)
    after = Path("synced").read_text()
    next_one = subprocess.run([sys.executable, "-c", PROGRAM, "live"], check=True, capture_output=True, text=True)

    assert (killed.returncode, after, next_one.stdout, sorted(Path("synced").read_text())) == (
        -signal.SIGKILL, "a", "True\n", ["a", "b", "c"],
    )  # fmt: skip
