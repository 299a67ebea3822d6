"""Everything that is asked of Confluence, against what Atlassian publishes.

With the vendors' files, `tests/conftest.py` judges each request and answer of every test; here each kind of page, reader and ancestor is
there once.
"""

from __future__ import annotations

from typing import Any

import pytest
from published import needs_files, published

from bot.standin.confluence import ConfluenceStandIn
from core.model import Document
from ingest.confluence import ConfluenceSource
from ingest.confluence_client import ConfluenceClient

pytestmark = needs_files


def build(wiki: ConfluenceStandIn) -> Any:
    """A world with each thing in it; the page that will be put away."""
    world = wiki.world
    for name, group in (("Anna", "sre"), ("Ben", "sre"), ("Cleo", "dba")):
        world.person(name, groups=[group])
    world.person("Dora", shows_email=False, groups=["sre"])
    world.group("leads").members += ["Anna", "Cleo"]
    world.group("guests")
    world.space("OPS", "sre", "guests", "Dora", anonymous=True)
    wiki.page_limit = 2
    top = world.page("Top", readers=["leads"], labels=["runbook"])
    folder = world.page("Folder", kind="folder", parent=top, readers=["Anna", "Ben", "Cleo"])
    page = world.page("Page", "<p>x</p>", parent=world.page("Middle", parent=folder))
    world.set_state(page, "Verified")
    world.page("Plain")
    world.page("New", labels=["incident"]).indexed = False
    return world.page("Gone")


@pytest.mark.parametrize("api", ["confluence_cloud", "confluence_data_center"])
def test_everything_asked_and_answered_is_as_published(api: str, as_published: dict[str, list[Any]]):
    """In two syncs, with a page put away between them; nothing that is published for us to ask is left unasked."""
    with ConfluenceStandIn(cloud=api == "confluence_cloud") as wiki:
        gone = build(wiki)
        client = ConfluenceClient(wiki.url, wiki.token, user=wiki.user)
        source = ConfluenceSource(client, ["OPS"])
        held = {item.id: str(item.version) for item in source.documents() if isinstance(item, Document)}
        gone.status = "archived"
        listed = list(source.documents(held))
        if wiki.cloud:
            client.get(f"/api/v2/spaces/{wiki.world.spaces['OPS'].id}")
        client.close()
    asked = {published(api).named(method, path) for method, path, *_ in as_published[api]} - {None}

    assert gone.id in held
    assert len(listed) > 3
    assert published(api).requests.keys() - asked == set()
