"""Past incidents of several scopes of one PagerDuty account, side by side in one index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.standin.pagerduty import PagerDutyStandIn
from core.settings import read_settings
from core.store import Store
from ingest.pagerduty import PagerDutySource
from ingest.pagerduty import open as open_pagerduty
from ingest.pagerduty_client import open_client
from ingest.sources import ListSource
from ingest.sync import Ingestor
from ingest.workers import sync_source
from retrieval.embedding import HashEmbedder
from retrieval.index import EdgeIndex


@pytest.fixture(name="pagerduty")
def _pagerduty() -> Iterator[PagerDutyStandIn]:
    with PagerDutyStandIn() as standin:
        for service in ("checkout", "search"):
            standin.resolve(standin.trigger(f"{service} answers 500", service=service)["id"])
        yield standin


Opens = Callable[[str], PagerDutySource]


@pytest.fixture(name="opened")
def _opened(pagerduty: PagerDutyStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opens]:
    """Opens what stands after "pagerduty:". All share one client, which is closed at the end."""
    settings = read_settings(pagerduty_api_token=pagerduty.token, pagerduty_api_url=pagerduty.url)
    client = open_client(settings)
    monkeypatch.setattr("ingest.pagerduty.open_client", lambda _: client)
    yield lambda rest: open_pagerduty(rest, settings)
    client.close()


@pytest.fixture(name="ingestor")
def _ingestor(store: Store, tmp_path: Path) -> Iterator[Ingestor]:
    index = EdgeIndex(tmp_path / "index")
    yield Ingestor(store, index, HashEmbedder(32))
    index.close()


def service_ids(pagerduty: PagerDutyStandIn) -> list[str]:
    return [pagerduty.world.service(name)["id"] for name in ("checkout", "search")]


def test_two_scopes_do_not_delete_each_other(
    store: Store, ingestor: Ingestor, opened: Opens, pagerduty: PagerDutyStandIn
):
    """Each has a name of its own, whatever the order its services were typed in."""
    one, two = service_ids(pagerduty)
    for spec in (f"pagerduty:{one}", f"pagerduty:{two}", "pagerduty:"):
        sync_source(store, ingestor, opened(spec.partition(":")[2]), spec=spec)

    assert store.sources() == {
        f"pagerduty:127.0.0.1#{one}": 1, f"pagerduty:127.0.0.1#{two}": 1, "pagerduty:127.0.0.1": 2,
    }  # fmt: skip
    assert opened(f"{one}+{two}").name == opened(f"{two} + {one}").name


@pytest.mark.parametrize("opened_by", ["the scope", "the account"])
def test_what_a_scope_left_under_the_name_of_its_account_is_forgotten(
    store: Store, ingestor: Ingestor, opened: Opens, pagerduty: PagerDutyStandIn, opened_by: str
):
    """Nobody would sync it again. What the whole account brought in stays."""
    scope, _ = service_ids(pagerduty)
    spec = f"pagerduty:{scope}" if opened_by == "the scope" else "pagerduty:"
    account = opened("")
    sync_source(store, ingestor, ListSource(account.name, *account.documents()), spec=spec)

    sync_source(store, ingestor, opened(scope), spec=f"pagerduty:{scope}")

    kept = {} if opened_by == "the scope" else {account.name: 2}
    assert (store.sources(), account.name in store.syncs()) == (
        {f"{account.name}#{scope}": 1, **kept}, bool(kept),
    )  # fmt: skip
