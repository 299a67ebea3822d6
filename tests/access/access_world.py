"""A workspace with documents that not everyone may read, and the bot's own parts over it: everything real but Slack itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.audience import Audiences
from bot.channels import Channels
from bot.delivery import Delivery
from bot.desk import Desk
from bot.gate import Gate
from bot.investigation import Investigator
from bot.metrics import Metrics
from bot.slack import build_slack
from bot.slack_edge import FORM, read
from bot.slack_web import open_client
from bot.standin.slack import SlackStandIn
from bot.standin.slack_dispatch import http_body
from bot.steps import LiveSteps
from core.model import Document, IncidentEvent, Tier
from core.settings import read_settings
from core.store import InboxRow, Store
from ingest.sync import Ingestor
from prompts.drafter import Drafter
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex
from retrieval.retriever import Retriever

EMBEDDER = HashEmbedder()
SOURCE = "wiki:test"
BEGAN = datetime(2024, 5, 14, 12, 0, tzinfo=UTC)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Shelf:
    """A source that holds what it is given."""

    held: dict[str, Document] = field(default_factory=dict)
    name: str = SOURCE

    def documents(self, held: Any = None) -> Iterator[Document]:
        yield from self.held.values()


class World:
    """One bot at work. Time stands still for its caches until `pass_time`."""

    def __init__(self, slack: SlackStandIn, store: Store, folder: Path, **settings: Any) -> None:
        self.slack, self.store, self.clock, self.shelf = slack, store, Clock(), Shelf()
        self.client = open_client(slack.bot_token, slack.api_url)
        self.settings = read_settings(**settings)
        self.index = EdgeIndex(folder / "index")
        self.retriever = Retriever(self.index, EMBEDDER)
        self.ingestor = Ingestor(store, self.index, EMBEDDER)
        investigator = Investigator(
            documents=lambda: self.retriever, commits=lambda: None, drafter=Drafter(None, timeout_s=1.0)
        )
        self.investigator = investigator
        self.audiences = Audiences(self.client, self.settings, clock=self.clock)
        gate = self.gate = Gate(self.audiences, investigator, clock=self.clock)
        delivery = Delivery(store, self.client, channel_interval_s=0.0, readback_s=0.0)
        channels, metrics = Channels(self.client, self.settings, store), Metrics()
        self.steps = LiveSteps(
            store=store,
            investigator=investigator,
            channels=channels,
            delivery=delivery,
            gate=gate,
            metrics=metrics,
            recheck_days=self.settings.recheck_days,
            clock=self.clock,
        )
        self.desk = Desk(
            store=store,
            steps=self.steps,
            investigator=investigator,
            gate=gate,
            delivery=delivery,
            settings=self.settings,
            metrics=metrics,
            health=dict,
        )
        self.app = build_slack(self.client, self.desk, store)

    def close(self) -> None:
        self.index.close()

    # -- the world changes ---------------------------------------------------------------------------------------

    def write(self, name: str, text: str, *readers: str, tier: Tier = Tier.RUNBOOK) -> None:
        """A document that these may read, from the next sync on."""
        self.shelf.held[name] = Document(id=name, source=SOURCE, title=name, text=text, tier=tier, readers=readers)

    def sync(self) -> None:
        self.ingestor.sync(self.shelf)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    # -- people act ----------------------------------------------------------------------------------------------

    def ask(self, channel: str, person: str, question: str) -> str:
        """Somebody asks in a channel; what they alone are told, as one text."""
        before = len(self.slack.ephemerals)
        self.slack.say(channel, person, f"<@{self.slack.bot}> {question}")
        self.handle()
        return said([shown.blocks for shown in self.slack.ephemerals[before:]])

    def handle(self) -> None:
        """Do what Slack told of, as the edge and the workflow would."""
        for dispatch in list(self.slack.dispatches):
            body, content_type = http_body(dispatch.kind, dispatch.payload)
            received = read(body, content_type if content_type != FORM else FORM)
            if received.of_people:
                self.audiences.heed(received.payload["event"])
            if received.wanted:
                row_id, fresh = self.store.receive(
                    source="slack", event_id=received.event_id, kind=received.kind, raw=received.pack()
                )
                if fresh:
                    row: InboxRow = self.store.inbox_row(row_id)
                    self.app.handle(row)
                    self.store.finish_inbox(row_id)
        self.slack.dispatches.clear()

    def page(self, title: str, channel: str, *, incident: str = "pd:1") -> None:
        """An incident that has its card in a channel, investigated."""
        self.store.record_events(
            [
                IncidentEvent(
                    incident_id=incident,
                    event_id=f"{incident}:1",
                    kind="triggered",
                    occurred_at=BEGAN,
                    changes={"title": title, "created_at": BEGAN.isoformat()},
                )
            ]
        )
        self.store.set_channel(incident, self.slack.workspace.channel(channel).id)
        self.steps.show(incident)
        for step in (self.steps.gather, self.steps.rank, self.steps.draft):
            step(incident)
            self.steps.show(incident)

    # -- what can be seen ----------------------------------------------------------------------------------------

    def seen(self, channel: str) -> str:
        """Everything a channel shows now, threads too, as one text."""
        return said([message.to_json() for message in self.slack.workspace.channel(channel).messages.values()])

    def everything_kept(self) -> str:
        """All that the store remembers, as one text, but what people said to us."""
        import sqlalchemy as sa

        from core.store import tables as t

        kept = []
        with self.store.engine.connect() as connection:
            for table in (t.findings, t.outbox, t.feedback, t.incidents, t.incident_events):
                kept += [[str(value) for value in row] for row in connection.execute(sa.select(table))]
        return said(kept)


def said(value: Any) -> str:
    """A value as one text, as it reads."""
    return json.dumps(value, ensure_ascii=False, default=str)
