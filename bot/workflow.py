"""The durable life of an incident, on DBOS: accept → card → gather → rank → draft, each step safe to run twice.

Does: finish every accepted request and every investigation, whenever the process was killed; sweep up what a kill left between
two commits. Does not: decide what a step finds (`investigation.py`) or how it reaches Slack (`delivery.py`).

Two queues. "incoming" turns accepted requests into state and cards and must be quick; "investigations" is bounded by the cores.
Workflow ids are the ids of what they work on, so starting one twice starts it once.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import RundownError, StoreError
from core.store import InboxRow, Store

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

#: Raise it when the steps of a workflow change: a process picks up only what its own version left unfinished.
WORKFLOW_VERSION = "workflow-1"
INCOMING, INVESTIGATIONS = "incoming", "investigations"
#: Seconds between looks at each queue: a first post waits half of the first on average; both cost the idle process CPU.
INCOMING_POLL_S, INVESTIGATIONS_POLL_S = 0.1, 0.4
#: How a step waits for a store that refuses: about 8 minutes in all, then the sweep begins it anew.
STORE_PATIENCE = {"interval_seconds": 1.0, "max_attempts": 10, "backoff_rate": 2.0}
#: Seconds after which a pending workflow without a thread counts as lost, and minutes a second beginning is remembered.
LOST_AFTER_S, FORGOTTEN_MIN = 30.0, 3
#: Seconds that closing waits for steps under way; the next process finishes what takes longer.
CLOSING_S = 3
#: States in which DBOS will not touch a workflow again by itself.
GIVEN_UP = ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED")
#: Seconds of silence after which a degraded investigation is tried again, by attempt.
RETRY_AFTER_S = (30.0, 120.0, 600.0, 1800.0)


class Steps(Protocol):
    """What the workflow calls, in the order it calls it. `bot/steps.py` is the real one."""

    def fold(self, row: InboxRow) -> list[str]:
        """Turn an accepted PagerDuty request into events; the incidents it concerns."""
        ...

    def answer_slack(self, row: InboxRow) -> list[str]:
        """Do what somebody in Slack asked; the incidents they opened by it."""
        ...

    def apologise(self, row: InboxRow, reason: str) -> None:
        """Tell whoever asked that it could not be done."""
        ...

    def show(self, incident_id: str) -> None:
        """Bring the incident's messages in Slack to what is known now."""
        ...

    def wants_investigation(self, incident_id: str) -> bool:
        """Whether the incident is open and deserves one."""
        ...

    def gather(self, incident_id: str) -> bool:
        """Find documents; whether every part answered."""
        ...

    def rank(self, incident_id: str) -> bool:
        """Rank commits; whether every part answered."""
        ...

    def draft(self, incident_id: str) -> bool:
        """Write the card's words; whether every part answered."""
        ...


class Workflow:
    """One process's durable worker. One per process: DBOS keeps its state in the module.

    Args:
        steps: what to do.
        store: the inbox and outbox it sweeps.
        settings: names the database, the worker and how many investigations run at once.
    """

    def __init__(self, steps: Steps, store: Store, settings: Settings) -> None:
        self._steps, self._store, self._settings = steps, store, settings
        #: Ids of the workflows that have a thread in this process.
        self._running: set[str] = set()
        self._handle, self._investigate = self._register()

    def launch(self) -> None:
        """Start working, first on what an earlier process of this name left unfinished.

        Raises:
            core.errors.StoreError: the database cannot be opened.
        """
        from dbos import DBOS

        DBOS.launch()
        DBOS.register_queue(
            INCOMING, worker_concurrency=8, polling_interval_sec=INCOMING_POLL_S, on_conflict="always_update"
        )
        DBOS.register_queue(
            INVESTIGATIONS,
            worker_concurrency=self._settings.investigations,
            polling_interval_sec=INVESTIGATIONS_POLL_S,
            on_conflict="always_update",
        )
        self.sweep()

    def close(self) -> None:
        """Stop taking work. What is under way is finished by the next process of this name."""
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=CLOSING_S)

    def wake(self, row_id: int) -> None:
        """Start on an accepted request."""
        self._start(INCOMING, f"inbox-{row_id}", self._handle, row_id)

    def sweep(self) -> None:
        """Start whatever was accepted and is not being worked on: a process was killed in between, or a database refused."""
        for row_id in self._store.unfinished_inbox():
            self._revive(INCOMING, f"inbox-{row_id}", self._handle, row_id)
        for incident_id in self._store.incidents_without("draft"):
            self._revive(
                INVESTIGATIONS, f"investigate-{incident_id}", self._investigate, incident_id, 0, absent_is_fine=True
            )

    def _revive(
        self, queue: str, workflow_id: str, function: Callable[..., Any], *args: Any, absent_is_fine: bool = False
    ) -> None:
        """Bring a workflow back to life that is not finished, and that nobody works on.

        One that failed for good keeps its failed step for ever, so it begins anew under another name, at most once a minute. One
        that is pending with no thread of ours on it lost its thread to an error of DBOS's own database, and is resumed.
        """
        from dbos import DBOS

        again = f"{workflow_id}-again-"
        names = [
            workflow_id,
            *(
                f"{again}{minute}"
                for minute in range(int(time.time()) // 60 - FORGOTTEN_MIN, int(time.time()) // 60 + 1)
            ),
        ]
        found = [status for name in names if (status := DBOS.get_workflow_status(name)) is not None]
        if not found:
            if not absent_is_fine:
                self._start(queue, workflow_id, function, *args)
            return
        last = found[-1]
        if last.status in GIVEN_UP:
            log.error("%s had failed for good and begins anew", last.workflow_id)
            self._start(queue, f"{again}{int(time.time()) // 60}", function, *args)
        elif last.status == "PENDING" and last.workflow_id not in self._running and not self._just_started(last):
            log.warning("%s had lost its thread and goes on", last.workflow_id)
            DBOS.resume_workflow(last.workflow_id)

    def _just_started(self, status: Any) -> bool:
        """Whether a workflow may be on its way to a thread, or be another process's."""
        mine = status.executor_id in (None, "", self._settings.worker)
        return not mine or time.time() - (status.updated_at or status.created_at or 0) / 1000 < LOST_AFTER_S

    def _start(
        self, queue: str, workflow_id: str, function: Callable[..., Any], *args: Any, delay_s: float = 0.0
    ) -> None:
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        with SetWorkflowID(workflow_id), SetEnqueueOptions(delay_seconds=delay_s or None):
            DBOS.enqueue_workflow(queue, function, *args)

    def _register(self) -> tuple[Callable[[int], None], Callable[[str, int], None]]:
        """Hand the workflows to DBOS. Here and not at import: importing a module does nothing."""
        from dbos import DBOS

        DBOS(config=dbos_config(self._settings))
        bodies: dict[str, Callable[..., Any]] = {
            "incoming": self._incoming_step,
            "finish": self._finish_step,
            "show": self._show_step,
            "gather": _forgiving(self._steps.gather),
            "rank": _forgiving(self._steps.rank),
            "draft": _forgiving(self._steps.draft),
        }
        # A store that refuses (disk full, database restarting) is waited for; nothing else is: steps turn it into a gap.
        patience: dict[str, Any] = {"retries_allowed": True, "should_retry": _is_store, **STORE_PATIENCE}
        step: dict[str, Callable[..., Any]] = {
            name: DBOS.step(name=name, **patience)(_plain(body)) for name, body in bodies.items()
        }

        # What a workflow decides on comes out of its steps: replayed after a kill it must take the same branches.
        def handle(row_id: int) -> None:
            outcome = step["incoming"](row_id)
            for incident_id in outcome["incidents"]:
                if step["show"](incident_id):
                    self._start(INVESTIGATIONS, f"investigate-{incident_id}", self._investigate, incident_id, 0)
            step["finish"](row_id, outcome["error"])

        def investigate(incident_id: str, attempt: int) -> None:
            whole = True
            for name in ("gather", "rank", "draft"):
                whole = step[name](incident_id) and whole
                step["show"](incident_id)
            if not whole and attempt < len(RETRY_AFTER_S):
                following = f"investigate-{incident_id}-{attempt + 1}"
                self._start(
                    INVESTIGATIONS,
                    following,
                    self._investigate,
                    incident_id,
                    attempt + 1,
                    delay_s=RETRY_AFTER_S[attempt],
                )

        return DBOS.workflow(name="handle")(self._watched(handle)), DBOS.workflow(name="investigate")(
            self._watched(investigate)
        )

    def _watched(self, body: Callable[..., None]) -> Callable[..., None]:
        """The workflow, written down as running while it is."""

        @functools.wraps(body)
        def run(*args: Any) -> None:
            from dbos import DBOS

            workflow_id = str(DBOS.workflow_id)
            self._running.add(workflow_id)
            try:
                body(*args)
            finally:
                self._running.discard(workflow_id)

        return run

    def _incoming_step(self, row_id: int) -> dict[str, Any]:
        row = self._store.inbox_row(row_id)
        try:
            found = self._steps.answer_slack(row) if row.source == "slack" else self._steps.fold(row)
            return {"incidents": found, "error": None}
        except StoreError:
            raise
        except Exception as error:
            log.exception("inbox row %s (%s %s) could not be dealt with", row.id, row.source, row.kind)
            reason = str(error) if isinstance(error, RundownError) else type(error).__name__
            if row.source == "slack":
                self._steps.apologise(row, reason)
            return {"incidents": [], "error": reason}

    def _finish_step(self, row_id: int, error: str | None) -> None:
        self._store.finish_inbox(row_id, error=error)

    def _show_step(self, incident_id: str) -> bool:
        _forgiving(self._steps.show)(incident_id)
        return self._steps.wants_investigation(incident_id)


def dbos_config(settings: Settings) -> Any:
    """DBOS on our own database: the same Postgres, or a SQLite file beside the store's, as durable as it."""
    from core.store import open_engine

    sqlite = settings.store_url.startswith("sqlite")
    url = f"sqlite:///{settings.home / 'workflow.sqlite'}" if sqlite else settings.store_url
    return {
        "name": "rundown",
        "system_database_url": url,
        "system_database_engine": open_engine(url) if sqlite else None,
        "executor_id": settings.worker,
        "application_version": WORKFLOW_VERSION,
        "log_level": "WARNING",
        "enable_otlp": False,
    }


def _forgiving(step: Callable[[str], Any]) -> Callable[[str], Any]:
    """The step, for which an error nobody foresaw is a degraded result: it is logged, and one broken part silences no incident."""

    def run(incident_id: str) -> Any:
        try:
            return step(incident_id)
        except StoreError:
            raise
        except Exception:
            log.exception("a step of %s failed in a way nobody foresaw", incident_id)
            return False

    return run


def _is_store(error: BaseException) -> bool:
    return isinstance(error, StoreError)


def _plain(body: Callable[..., Any]) -> Callable[..., Any]:
    """A function around a bound method: DBOS writes attributes on what it decorates, and a method takes none."""

    def call(*args: Any) -> Any:
        return body(*args)

    return call
