"""Kill -9 at a boundary of an incident's life, then restart: nothing lost, nothing doubled.

A life has about 330 boundaries: before and after each commit that wrote, and each call to Slack. Every run of the tests kills at a
spread of them; `EVERY_BOUNDARY=1 pytest tests/durability` kills at each one, which takes half an hour.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.demo_world import World, build_world
from bot.standin.pagerduty import PagerDutyStandIn
from bot.standin.slack import Fault, SlackStandIn
from core.store import MessageState, Store, open_store

#: Boundaries that every life crosses; some fifty more follow in most, the last of them after all is done.
LAST, FARTHEST = 270, 340
EVERY = bool(os.environ.get("EVERY_BOUNDARY"))
SECRET = "a-secret-for-tests"


class Nursery:
    """Starts and ends lives of the server through one parent that has everything imported."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("life.py")
        self._parent = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def order(self, **order: Any) -> dict[str, Any]:
        assert self._parent.stdin and self._parent.stdout
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())

    def close(self) -> None:
        assert self._parent.stdin and self._parent.stdout
        self._parent.stdin.close()
        self._parent.wait(timeout=10)
        self._parent.stdout.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), now=datetime.now(UTC))


def run_incident(
    nursery: Nursery,
    world: World,
    folder: Path,
    database_url: str,
    kill_at: int,
    trouble: Any = None,
    disorder: random.Random | None = None,
) -> dict[str, Any]:
    """One incident from page to resolution with a question and a thumb, the server killed once; what came of it.

    `trouble` is told of both stand-ins before the page is sent; with `disorder`, what follows the page is delivered shuffled and thrice.
    """
    folder.mkdir()
    port = _free_port()
    with SlackStandIn(users=("dana",)) as slack, PagerDutyStandIn() as pagerduty:
        channel = slack.add_channel("checkout-oncall", members=("dana",))
        settings = {
            "home": str(folder / "home"),
            "database_url": database_url,
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "pagerduty_webhook_secrets": SECRET,
            "service_channels": {world.service: "checkout-oncall"},
            "repos": str(world.repo),
            "docs": str(world.docs),
            "http_port": port,
            "log_level": "info",
        }
        order = {"settings": settings, "report": str(folder / "boundaries")}
        pid = nursery.order(**order, kill_at=kill_at)["pid"]
        pids = [pid]
        pagerduty.subscribe(f"http://127.0.0.1:{port}/pagerduty/webhook", secrets=(SECRET,))
        if trouble:
            trouble(slack, pagerduty)

        def step() -> bool:
            """Bring the server back if it died, and let PagerDuty deliver again what was not accepted."""
            if nursery.order(reap=pids[-1])["pid"]:
                pids.append(nursery.order(**order, kill_at=0)["pid"])
            pagerduty.courier.retry()
            return True

        try:
            return _scenario(slack, pagerduty, world, channel, database_url, step, disorder) | {"lives": len(pids)}
        finally:
            nursery.order(kill=pids[-1])


def _scenario(
    slack: SlackStandIn,
    pagerduty: PagerDutyStandIn,
    world: World,
    channel: str,
    database_url: str,
    step: Any,
    disorder: random.Random | None,
) -> dict[str, Any]:
    page = pagerduty.trigger(world.title, service=world.service, urgency="high", details=world.details)
    root = _until(lambda: step() and next(iter(slack.messages(channel)), None), "the card")
    slack.say(channel, "dana", f"<@{slack.bot}> {world.question}", thread_ts=root.ts)
    _until(lambda: step() and _pressed(slack, channel, root.ts, "vote.up.summary"), "a thumb to press")
    if disorder:
        pagerduty.courier.hold()
    pagerduty.acknowledge(page["id"], user="Dana")
    pagerduty.annotate(page["id"], "Raised the pool size by hand", user="Dana")
    pagerduty.resolve(page["id"], user="Dana")
    if disorder:
        pagerduty.courier.release(copies=3, rng=disorder)
    store = open_store(database_url)
    try:
        _until(lambda: step() and _settled(store, f"pd:{page['id']}"), "everything to settle", store)
        replies = [message for message in slack.thread(channel, root.ts) if message.user == slack.bot]
        return {
            "cards": len(slack.messages(channel)),
            "replies": len(replies),
            "status": str(store.incident(f"pd:{page['id']}").status),
            "notes": len(store.incident(f"pd:{page['id']}").notes),
            "steps": sorted(step for step in store.findings(f"pd:{page['id']}") if ":" not in step),
            "votes": [(row["item"], row["vote"]) for row in store.feedback()],
            "inbox": set(store.inbox_counts()),
        }
    finally:
        store.close()


def _pressed(slack: SlackStandIn, channel: str, ts: str, button: str) -> bool:
    try:
        return bool(slack.click(channel, ts, button, "dana"))
    except LookupError:
        return False


def _settled(store: Store, incident_id: str) -> bool:
    messages = store.messages(incident_id)
    keys = {message.key.split(":")[0] for message in messages}
    incident = store.incident(incident_id)
    return (
        keys == {"card", "detail", "answer"}
        and all(message.state is MessageState.SENT and message.sent_version == message.version for message in messages)
        and incident is not None
        and incident.status == "resolved"
        and {"gather", "rank", "draft"} <= set(store.findings(incident_id))
        and len(store.feedback()) == 1
        and not store.unfinished_inbox()
    )


def _until(seen: Any, what: str, store: Store | None = None, seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, (
            f"{what} did not come; {store and [(m.key, m.state, m.version, m.sent_version, m.error) for key in store.unsent_messages() if (m := store.message(key))]} {store and store.inbox_counts()}"
        )
        time.sleep(0.05)
    return found


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


WHOLE = {
    "cards": 1,
    "replies": 2,
    "status": "resolved",
    "notes": 1,
    "steps": ["changes", "draft", "gather", "rank"],
    "votes": [("summary", "up")],
    "inbox": {"done"},
}


@pytest.mark.parametrize("kill_at", range(1, FARTHEST) if EVERY else range(3, LAST, 14))
def test_a_kill_loses_and_doubles_nothing(nursery, world, tmp_path, sqlite_url, kill_at):
    """One card, one detail, one answer, one vote, every event folded in: as if nothing had happened."""
    came = run_incident(nursery, world, tmp_path / "life", sqlite_url, kill_at)

    assert came == {**WHOLE, "lives": 2 if kill_at <= LAST else came["lives"]}


@pytest.mark.parametrize("kill_at", range(1, FARTHEST) if EVERY else range(11, LAST, 43))
def test_a_kill_loses_and_doubles_nothing_on_postgres(nursery, world, tmp_path, postgres_url, kill_at):
    """The same on the other database."""
    came = run_incident(nursery, world, tmp_path / "life", postgres_url, kill_at)

    assert came == {**WHOLE, "lives": 2 if kill_at <= LAST else came["lives"]}


def test_messages_whose_answer_slack_lost_stand_once(nursery, world, tmp_path, any_store_url):
    """Slack commits and drops the connection, for each of the three posts; a kill in between makes it no worse."""

    def lose_answers(slack: SlackStandIn, _pagerduty: PagerDutyStandIn) -> None:
        for nth in (1, 2, 3):
            slack.fault("chat.postMessage", Fault(how="drop", committed=True), nth=nth)

    came = run_incident(nursery, world, tmp_path / "life", any_store_url, 0, lose_answers)

    assert came == {**WHOLE, "lives": 1}


def test_webhooks_delivered_thrice_and_out_of_order_change_nothing(nursery, world, tmp_path, any_store_url):
    """Acknowledged, annotated and resolved come three times each, shuffled, around a kill."""
    came = run_incident(nursery, world, tmp_path / "life", any_store_url, 120, disorder=random.Random(7))

    assert came == {**WHOLE, "lives": 2}
