"""From a page to its card: seconds to the first post and to the whole card, over many incidents on loopback.

    python -m benchmarks.first_post [--incidents 200] [--every 1.0] [--embedder minilm|hash]

Does: run the real server (embedded stores) against the stand-ins, page it one incident after the other, each signed and over HTTP,
and read from Slack's side when each card first stood there and when it was whole. As a baseline, in the same run and on the same
machine: the bare floor of this design, which is one durable commit and one post, without workflow, search or ranking.
Does not: judge; goals are first post p95 under 1 s and whole card p95 under 10 s on 2 cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bot.delivery import Delivery, make_client
from bot.demo_world import build_world
from bot.serve import Server
from bot.standin.pagerduty import PagerDutyStandIn
from bot.standin.slack import SlackStandIn
from core.settings import read_settings
from core.store import open_store
from retrieval.embedding import open_embedder

SECRET = "benchmark"


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(incidents: int, every_s: float, embedder: str) -> dict[str, list[float]]:
    """Seconds by what was waited for, one value an incident."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rundown-bench-")))
        world = build_world(folder / "world", now=datetime.now(UTC))
        slack = stack.enter_context(SlackStandIn(users=("dana",)))
        channel = slack.add_channel("oncall")
        pagerduty = stack.enter_context(PagerDutyStandIn())
        settings = read_settings(
            home=folder / "home",
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
            pagerduty_webhook_secrets=(SECRET,),
            default_channel="oncall",
            repos=(world.repo,),
            docs=(world.docs,),
            http_port=0,
            log_level="error",
        )
        server = stack.enter_context(Server(settings, embedder=open_embedder("hash" if embedder == "hash" else None)))
        slack.wait_for(
            lambda: server.health().get("sync of documents") == "ok" and server.health().get("commits") == "ok",
            timeout_s=120,
        )
        pagerduty.subscribe(f"{server.web.url}/pagerduty/webhook", secrets=(SECRET,))
        found: dict[str, list[float]] = {"first post": [], "whole card": []}
        for _ in track(range(incidents), description="paging"):
            began, wall = time.monotonic(), time.time()
            page = pagerduty.trigger(world.title, service=world.service, urgency="high", details=world.details)
            key = f"card:pd:{page['id']}"
            slack.wait_for(lambda key=key: (message := server.store.message(key)) and message.ts, timeout_s=60)
            message = server.store.message(key)
            found["first post"].append(
                next(posted.at for posted in slack.messages(channel) if posted.ts == message.ts) - wall
            )
            slack.wait_for(
                lambda page=page: server.steps.finished(f"pd:{page['id']}"),
                timeout_s=60,
            )
            found["whole card"].append(time.monotonic() - began)
            time.sleep(max(0.0, every_s - (time.monotonic() - began)))
        found["floor: commit and post"] = floor(folder, slack, settings, incidents)
        return found


def floor(folder: Path, slack: SlackStandIn, settings: object, incidents: int) -> list[float]:
    """Seconds for one durable commit and one post, the least this design can take."""
    store = open_store(f"sqlite:///{folder / 'floor.sqlite'}")
    channel = slack.add_channel("floor", members=(slack.bot,))
    delivery = Delivery(store, make_client(settings), channel_interval_s=0.0)  # type: ignore[arg-type]
    spent = []
    for place in range(incidents):
        began = time.monotonic()
        store.receive(source="pagerduty", event_id=str(place), kind="incident.triggered", raw=b"{}")
        store.want_message(f"card:{place}", channel=channel, body={"text": "an incident"})
        delivery.deliver(f"card:{place}")
        spent.append(time.monotonic() - began)
    store.close()
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--incidents", type=int, default=200)
    parser.add_argument(
        "--every", type=float, default=1.0, help="seconds between pages; a channel takes about one post a second"
    )
    parser.add_argument("--embedder", choices=("minilm", "hash"), default="minilm")
    arguments = parser.parse_args()
    found = measure(arguments.incidents, arguments.every, arguments.embedder)
    table = Table(
        "seconds",
        "n",
        "median",
        "p95",
        "max",
        title=f"{arguments.incidents} incidents, one every {arguments.every:g} s at most",
    )
    for name, values in found.items():
        table.add_row(
            name,
            str(len(values)),
            *(f"{value:.3f}" for value in (statistics.median(values), percentile(values, 0.95), max(values))),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
