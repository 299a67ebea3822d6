"""The durable workflow on real DBOS, over SQLite and Postgres; only the steps' insides are replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

from bot import workflow
from bot.workflow import Workflow
from core.errors import StoreError
from core.model import IncidentEvent
from core.settings import read_settings
from core.store import InboxRow, Store, open_store


class Diary:
    """Steps that write down what was asked of them, and fail as often as told."""

    def __init__(self) -> None:
        self.wrote: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.degraded: list[str] = []

    def _note(self, step: str, about: str) -> None:
        if self.failures.get(step):
            raise self.failures[step].pop(0)
        self.wrote.append(f"{step} {about}")

    def fold(self, row: InboxRow) -> list[str]:
        self._note("fold", row.event_id)
        return [row.raw.decode()]

    def answer_slack(self, row: InboxRow) -> list[str]:
        self._note("answer", row.event_id)
        return [row.raw.decode()] if row.raw else []

    def apologise(self, row: InboxRow, reason: str) -> None:
        self._note("apologise", reason)

    def show(self, incident_id: str) -> None:
        self._note("show", incident_id)

    def wants_investigation(self, incident_id: str) -> bool:
        return not incident_id.startswith("resolved")

    def gather(self, incident_id: str) -> bool:
        self._note("gather", incident_id)
        return not (self.degraded and self.degraded.pop())

    def rank(self, incident_id: str) -> bool:
        self._note("rank", incident_id)
        return True

    def draft(self, incident_id: str) -> bool:
        self._note("draft", incident_id)
        return True


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def running(
    any_store_url: str, tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Workflow, Store]]:
    """A launched workflow over its store."""
    monkeypatch.setattr(workflow, "RETRY_AFTER_S", (0.2, 0.2))
    monkeypatch.setattr(workflow, "STORE_PATIENCE", {"interval_seconds": 0.05, "max_attempts": 3, "backoff_rate": 1.0})
    settings = read_settings(home=tmp_path / "home", database_url=any_store_url)
    store = open_store(settings.store_url)
    worker = Workflow(diary, store, settings)
    worker.launch()
    yield worker, store
    worker.close()
    store.close()


def until(seen: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def accept(store: Store, event_id: str, incident: str, source: str = "pagerduty") -> int:
    return store.receive(source=source, event_id=event_id, kind="test", raw=incident.encode())[0]


WHOLE = ["show pd:1", "gather pd:1", "show pd:1", "rank pd:1", "show pd:1", "draft pd:1", "show pd:1"]


def test_a_page_is_shown_before_it_is_investigated(running, diary):
    """The card first, then each step and the card again."""
    worker, store = running

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: "draft pd:1" in diary.wrote and diary.wrote[-1] == "show pd:1")

    assert (diary.wrote, store.inbox_counts()) == (["fold e1", *WHOLE], {"done": 1})


def test_waking_twice_works_once(running, diary):
    """A workflow's id is its row's: a second start finds the first."""
    worker, store = running
    row = accept(store, "e1", "resolved:1")

    worker.wake(row)
    worker.wake(row)
    until(lambda: store.inbox_counts() == {"done": 1})
    time.sleep(0.3)

    assert diary.wrote == ["fold e1", "show resolved:1"]


def test_two_events_of_one_incident_investigate_it_once(running, diary):
    """The second event refreshes the card."""
    worker, store = running

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: "draft pd:1" in diary.wrote)
    worker.wake(accept(store, "e2", "pd:1"))
    until(lambda: store.inbox_counts() == {"done": 2})

    assert [line for line in diary.wrote if line.startswith(("gather", "rank", "draft"))] == [
        "gather pd:1",
        "rank pd:1",
        "draft pd:1",
    ]


def test_a_row_that_was_kept_and_never_woken_is_found_by_the_sweep(running, diary):
    """What a kill between the commit and the start leaves behind."""
    worker, store = running
    accept(store, "e1", "resolved:1")

    worker.sweep()
    until(lambda: store.inbox_counts() == {"done": 1})

    assert diary.wrote == ["fold e1", "show resolved:1"]


def test_a_degraded_investigation_is_tried_again(running, diary):
    """A part that was down is asked again later, without anybody asking."""
    diary.degraded = [True, True]
    worker, store = running

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: diary.wrote.count("draft pd:1") == 3)

    assert diary.wrote.count("gather pd:1") == 3


def test_a_store_that_refuses_is_waited_for(running, diary):
    """A full disk is no reason to give a page up."""
    diary.failures["gather"] = [StoreError("the store refused")]
    worker, store = running

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: "draft pd:1" in diary.wrote and diary.wrote[-1] == "show pd:1")

    assert diary.wrote == ["fold e1", *WHOLE]


def test_a_page_whose_workflow_failed_for_good_begins_anew(running, diary):
    """The store refused for longer than anybody waits; the sweep finds the row and starts over."""
    diary.failures["fold"] = [StoreError("the store refused")] * 4
    worker, store = running

    worker.wake(accept(store, "e1", "resolved:1"))
    until(lambda: DBOS.get_workflow_status("inbox-1").status == "ERROR")
    worker.sweep()
    until(lambda: store.inbox_counts() == {"done": 1})

    assert diary.wrote == ["fold e1", "show resolved:1"]


def test_an_investigation_that_failed_for_good_begins_anew(running, diary):
    """Its incident is open and has no words yet: that is what the sweep looks for."""
    diary.failures["gather"] = [StoreError("the store refused")] * 4
    worker, store = running
    now = datetime.now(UTC)
    store.record_events([IncidentEvent(incident_id="pd:1", event_id="1", kind="triggered", occurred_at=now)])

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: (status := DBOS.get_workflow_status("investigate-pd:1")) and status.status == "ERROR")
    worker.sweep()
    until(lambda: "draft pd:1" in diary.wrote)

    assert diary.wrote.count("gather pd:1") == 1


def test_a_step_that_breaks_degrades_and_silences_nothing(running, diary):
    """An error nobody foresaw in one step: the others run, and it is tried again."""
    diary.failures["gather"] = [RuntimeError("unforeseen")]
    diary.failures["show"] = [RuntimeError("unforeseen")]
    worker, store = running

    worker.wake(accept(store, "e1", "pd:1"))
    until(lambda: diary.wrote.count("draft pd:1") == 2)

    assert (diary.wrote.count("gather pd:1"), store.inbox_counts()) == (1, {"done": 1})


def test_a_workflow_that_lost_its_thread_goes_on(running, diary, monkeypatch):
    """DBOS's own database refused while it worked: the workflow stands as pending, and nobody is on it."""
    monkeypatch.setattr(workflow, "LOST_AFTER_S", 0.0)
    worker, store = running
    row = accept(store, "e1", "resolved:1")
    refuse = diary.failures["fold"] = [SystemExit()]
    worker.wake(row)
    until(lambda: not refuse and not worker._running)

    worker.sweep()
    until(lambda: store.inbox_counts() == {"done": 1})

    assert diary.wrote == ["fold e1", "show resolved:1"]


def test_a_request_that_cannot_be_answered_is_answered_with_a_reason(running, diary):
    """Silence is worse than an error."""
    diary.failures["answer"] = [ValueError("broken")]
    worker, store = running

    row = accept(store, "q1", "", source="slack")
    worker.wake(row)
    until(lambda: store.inbox_counts() == {"failed": 1})

    assert (diary.wrote, store.inbox_row(row).error) == (["apologise ValueError"], "ValueError")


def test_what_a_process_left_unfinished_the_next_of_its_name_finishes(any_store_url, tmp_path, diary):
    """Closed in the middle of a step, the workflow goes on at that step."""
    settings = read_settings(home=tmp_path / "home", database_url=any_store_url)
    store = open_store(settings.store_url)
    first = Workflow(diary, store, settings)
    first.launch()
    diary.failures["rank"] = [SystemExit()]  # type: ignore[list-item]
    first.wake(accept(store, "e1", "pd:1"))
    until(lambda: "gather pd:1" in diary.wrote and not diary.failures["rank"])
    first.close()
    second = Workflow(diary, store, settings)
    second.launch()
    until(lambda: "draft pd:1" in diary.wrote)
    second.close()
    store.close()

    assert diary.wrote.count("gather pd:1") == 1
