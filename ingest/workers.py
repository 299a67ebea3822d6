"""Many sources synced at the same time, in workers that a kill does not lose.

Does: sync one source and write down how it went; sync several in threads that share one index; hand them, one workflow a
source, to the durable queue that all processes on one database take from, each again some seconds after it ended.
Does not: open the index or the model, or decide how often to sync.

Which of the two: a command syncs in threads, and is run again if it is killed; the manifest knows what is done. `rundown serve`
uses the queue: what it was syncing when it was killed goes on when it is back, and a source that is already being synced, here
or by another process, is not begun twice. No source waits for another: one that takes an hour to read the first time holds up no
page that another source closed. With the embedded index workers are threads of the one process that holds it; with a
Qdrant server and Postgres every process of `rundown serve` takes its share.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.errors import RundownError, StoreError
from ingest.sources import what_is_read
from ingest.sync import Ingestor, SyncReport

if TYPE_CHECKING:
    from core.store import Store
    from ingest.sources import Source

log = logging.getLogger(__name__)

#: The queue's name.
SYNCS = "syncs"
#: Seconds between looks at the queue: syncing is never urgent to the second, and looking costs the idle process CPU.
POLL_S = 1.0
#: Seconds after which a sync that no thread of its process works on, or whose process never came back, is begun again.
LOST_AFTER_S, ABANDONED_AFTER_S = 30.0, 6 * 3600.0
#: How long a finished sync is remembered.
REMEMBERED = timedelta(hours=1)
#: After how long without a sync that went well a source's documents are told of as out of date.
STALE = timedelta(hours=24)
#: What a workflow is called that has not ended.
_UNDER_WAY = ("ENQUEUED", "PENDING", "DELAYED")


def sync_source(
    store: Store, ingestor: Ingestor, source: Source, *, spec: str, progress: Callable[[int], None] | None = None
) -> SyncReport:
    """Sync one source, and write down when it was or why it could not be.

    Args:
        store: of the generation that the ingestor fills.
        spec: what opens the source again, for a rebuild.

    Raises:
        core.errors.RundownError: as `Ingestor.sync` does, written down too.
    """
    began_at = time.time()
    # A path was typed relative to where somebody stood; the source's name is not.
    spec = source.name if what_is_read(source.name) else spec
    try:
        report = ingestor.sync(source, progress)
    except RundownError as error:
        if not isinstance(error, StoreError):
            store.note_sync(source.name, spec=spec, began_at=began_at, error=str(error))
            _tell_of_long_failure(store, source.name)
        raise
    store.note_sync(source.name, spec=spec, began_at=began_at)
    _forget_old_name(store, ingestor, source.name, spec)
    return report


def _forget_old_name(store: Store, ingestor: Ingestor, name: str, spec: str) -> None:
    """Forget what a source left under the name it had before its scope was part of that: nobody would ever sync it again.

    Once every "pagerduty:P1" and "pagerduty:P2" was called by its host alone.
    """
    old = name.partition("#")[0]
    last = store.syncs().get(old) if old != name else None
    if last is not None and last.spec == spec:
        log.warning(
            "%s is called %s from now on: forgetting %s documents under the old name", old, name, ingestor.forget(old)
        )
        store.forget_sync(old)


def _tell_of_long_failure(store: Store, name: str) -> None:
    """Say aloud that pages answer with the text and the readers they had a day ago or more. They may be private by now."""
    last = store.syncs().get(name)
    if last is None or last.synced_at is None or datetime.now(UTC) - last.synced_at < STALE:
        return
    if count := store.sources().get(name, 0):
        log.error(
            "%s has not been synced since %s: what is indexed of it still answers, with the readers of then (documents: %s). "
            "If it is gone for good, take them out: rundown ingest --forget '%s'",
            name,
            f"{last.synced_at:%Y-%m-%d %H:%M} UTC",
            count,
            name,
        )


def sync_together(
    specs: Sequence[str], sync: Callable[[str], SyncReport], *, workers: int
) -> tuple[list[SyncReport], dict[str, RundownError]]:
    """Sync several sources at the same time in this process. One that fails stops no other.

    Args:
        specs: what opens each; one given twice is synced once.
        sync: syncs one; called from several threads.
        workers: how many at the same time.

    Returns:
        The reports of those that were synced, in the order given, and why the others were not, by spec.
    """
    wanted = list(dict.fromkeys(specs))
    with ThreadPoolExecutor(max(workers, 1), thread_name_prefix="sync") as pool:
        began = {spec: pool.submit(sync, spec) for spec in wanted}
        found, refused = [], {}
        for spec, future in began.items():
            try:
                found.append(future.result())
            except RundownError as error:
                refused[spec] = error
    return found, refused


@dataclass(kw_only=True)
class _Turn:
    """Where one source stands."""

    #: The workflow that syncs it; None between two.
    workflow_id: str | None = None
    #: When the next may begin, on the monotonic clock.
    due_at: float = 0.0
    #: Why the last one failed, "" if it did not; None before the first has ended.
    refused: str | None = None


class SyncQueue:
    """The durable queue of syncs: one workflow a source, so many at the same time in each process.

    Register before DBOS is launched, `launch` after: `bot.workflow.Workflow` does both for its own queues.

    Args:
        sync: syncs what a spec opens; what it raises is written down and ends that sync alone.
        workers: how many at the same time in this process.
        worker: this process's name, `Settings.worker`.
    """

    def __init__(self, sync: Callable[[str], object], *, workers: int, worker: str) -> None:
        self._sync, self._workers, self._worker = sync, workers, worker
        #: Ids of the workflows that have a thread in this process.
        self._running: set[str] = set()
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()
        self._workflow = self._register()

    def launch(self) -> None:
        """Take from the queue, first what an earlier process of this name left unfinished."""
        from dbos import DBOS

        DBOS.register_queue(
            SYNCS, worker_concurrency=self._workers, polling_interval_sec=POLL_S, on_conflict="always_update"
        )

    def keep_up(self, specs: Sequence[str], *, every_s: float) -> dict[str, str | None]:
        """Begin the sync of every source that is due, and wait for none. To be called every few seconds.

        One that is waiting or under way, here or in another process, is not begun again.

        Args:
            every_s: seconds from the end of a source's sync to the next of the same source.

        Returns:
            Of each source why its last sync failed, "" if it did not, None while its first one has not ended.
        """
        with self._lock:
            turns = {spec: self._turns.setdefault(spec, _Turn()) for spec in specs}
            for spec, turn in turns.items():
                self._look_at(spec, turn, every_s)
            due = [spec for spec, turn in turns.items() if turn.workflow_id is None and time.monotonic() >= turn.due_at]
            if due:
                self._forget_finished()
            for spec in due:
                turns[spec].workflow_id = self._enqueue(spec)
            return {spec: turn.refused for spec, turn in turns.items()}

    def hurry(self) -> None:
        """Have every source synced that is not being synced, whenever its turn would have been."""
        with self._lock:
            for turn in self._turns.values():
                turn.due_at = 0.0

    def _look_at(self, spec: str, turn: _Turn, every_s: float) -> None:
        """See what became of a sync that was begun."""
        from dbos import DBOS

        if turn.workflow_id is None:
            return
        status = DBOS.get_workflow_status(turn.workflow_id)
        if status is not None and status.status in _UNDER_WAY:
            self._resume_if_lost(status)
            return
        turn.workflow_id, turn.due_at = None, time.monotonic() + every_s
        turn.refused = _why_refused(status)
        if turn.refused:
            log.warning("%s could not be synced: %s", spec, turn.refused)

    def _enqueue(self, spec: str) -> str:
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        once = SetEnqueueOptions(deduplication_id=f"sync:{spec}", duplication_policy="return-existing")
        with SetWorkflowID(f"sync:{spec}:{uuid.uuid4().hex}"), once:
            return str(DBOS.enqueue_workflow(SYNCS, self._workflow, spec).workflow_id)

    def _resume_if_lost(self, status: Any) -> None:
        from dbos import DBOS

        if status.status == "PENDING" and self._is_lost(status):
            log.warning("%s had lost its thread and begins again", status.workflow_id)
            DBOS.resume_workflow(status.workflow_id)

    def _is_lost(self, status: Any) -> bool:
        """Whether nobody works on a workflow that counts as under way."""
        silent_s = time.time() - (status.updated_at or status.created_at or 0) / 1000
        if status.executor_id == self._worker:
            return status.workflow_id not in self._running and silent_s > LOST_AFTER_S
        return silent_s > ABANDONED_AFTER_S

    def _forget_finished(self) -> None:
        """There is one a source and round: remembered for ever they would fill the database."""
        from dbos import DBOS

        before = (datetime.now(UTC) - REMEMBERED).isoformat()
        finished = DBOS.list_workflows(
            queue_name=SYNCS, completed_before=before, load_input=False, load_output=False, limit=1000
        )
        if finished:
            DBOS.delete_workflows([status.workflow_id for status in finished])

    def _register(self) -> Callable[[str], str]:
        """Hand the workflow to DBOS. It returns why the source could not be synced, "" when it was."""
        from dbos import DBOS

        def body(spec: str) -> str:
            try:
                self._sync(spec)
            except RundownError as error:
                return str(error)
            except Exception as error:
                log.exception("the sync of %s failed in a way nobody foresaw", spec)
                return f"{type(error).__name__}: {error}"
            return ""

        step: Callable[[str], str] = DBOS.step(name="sync")(body)

        def sync(spec: str) -> str:
            workflow_id = str(DBOS.workflow_id)
            self._running.add(workflow_id)
            try:
                return step(spec)
            finally:
                self._running.discard(workflow_id)

        registered: Callable[[str], str] = DBOS.workflow(name="sync")(sync)
        return registered


def _why_refused(status: Any) -> str:
    """Why a sync that has ended failed; "" if it did not, or nobody remembers it."""
    if status is None:
        return ""
    if status.status == "SUCCESS":
        return str(status.output or "")
    return f"its workflow ended as {status.status}: {status.error}"
