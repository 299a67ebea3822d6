"""An edge on loopback that keeps what it accepts, and a PagerDuty stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bot.http import make_http
from bot.intake import Intake
from bot.metrics import Metrics
from bot.pagerduty import PagerDutyWebhook, normalise, normalise_polled
from bot.standin.pagerduty import PagerDutyStandIn
from bot.web import WebServer
from core.model import Incident
from core.store import Store, open_store
from core.store.tables import metadata
from ingest.pagerduty_client import PagerDutyClient, TokenBucket

SECRETS = ("the new secret", "the old secret")


@dataclass
class Edge:
    """The webhook edge, up at `url`."""

    url: str
    port: int
    store: Store
    metrics: Metrics
    http: httpx.Client
    woken: list[int] = field(default_factory=list)

    @property
    def hook(self) -> str:
        return f"{self.url}/pagerduty/webhook"

    def counted(self) -> dict[str, float]:
        """How many webhooks had which outcome."""
        found = {}
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "rundown_pagerduty_webhooks_total":
                    found[sample.labels["outcome"]] = sample.value
        return found

    def work(self) -> dict[str, Incident]:
        """Do with the inbox what a worker does; the incidents touched, as they now stand."""
        touched: dict[str, Incident] = {}
        for row_id in self.store.unfinished_inbox():
            row = self.store.inbox_row(row_id)
            read = normalise_polled if row.source == "pagerduty-poll" else normalise
            touched |= {incident.id: incident for incident in self.store.record_events(read(row.raw))}
            self.store.finish_inbox(row_id)
        return touched


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as made:
        yield made


class _Switch:
    """Lets one running server serve each test's own endpoint."""

    target: PagerDutyWebhook

    async def __call__(self, request: Any) -> Any:
        return await self.target(request)

    def misdirected(self) -> Any:
        return self.target.misdirected()


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[_Switch, WebServer, Store]]:
    switch = _Switch()
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('edge') / 'edge.sqlite'}")
    with WebServer(make_http(pagerduty=switch, metrics=Metrics(), ready=dict)) as server:
        yield switch, server, store
    store.close()


@pytest.fixture
def edge(_served: tuple[_Switch, WebServer, Store], http: httpx.Client) -> Edge:
    switch, server, store = _served
    with store.engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    metrics, woken = Metrics(), []
    switch.target = PagerDutyWebhook(Intake(store, woken.append), secrets=SECRETS, metrics=metrics)
    return Edge(server.url, server.port, store, metrics, http, woken)


class Clock:
    """A present that moves when told. Starts on a whole second."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **length: Any) -> datetime:
        self.now += timedelta(**length)
        return self.now


@pytest.fixture(scope="session")
def _account() -> Iterator[tuple[PagerDutyStandIn, Clock]]:
    clock = Clock()
    with PagerDutyStandIn(clock=clock) as standin:
        yield standin, clock


@pytest.fixture
def pd(_account: tuple[PagerDutyStandIn, Clock]) -> PagerDutyStandIn:
    standin, clock = _account
    clock.reset()
    standin.reset()
    return standin


@pytest.fixture
def clock(_account: tuple[PagerDutyStandIn, Clock], pd: PagerDutyStandIn) -> Clock:
    return _account[1]


@pytest.fixture(scope="session")
def _client(_account: tuple[PagerDutyStandIn, Clock]) -> Iterator[PagerDutyClient]:
    standin, _ = _account
    made = PagerDutyClient(standin.token, url=standin.url)
    yield made
    made.close()


@pytest.fixture
def client(_client: PagerDutyClient) -> PagerDutyClient:
    _client._bucket = TokenBucket(rate_per_s=1e6, burst=10_000)
    return _client
